"""Handwritten digits: the images of scikit-learn, split, and what is said where it is not installed."""

import sys

import jax
import numpy as np
import pytest

import grokscope as gs
from grokscope.errors import InputError
from grokscope.tasks import digits
from grokscope.tasks.digits import Digits

KEYS = jax.random.split(jax.random.key(5), 3)


def arrays(task, key=KEYS[0]):
    data = {**task.shared_data(), **task.member_data(key, KEYS[2])}
    return {name: np.asarray(array) for name, array in data.items()}


@pytest.mark.digits
def test_fixed_splits_are_the_first_and_the_last_images_of_scikit_learn():
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    data = arrays(Digits(n_train=30, n_test=20, split="fixed"))
    np.testing.assert_array_equal(data["train_x"], x[:30] / 16)
    np.testing.assert_array_equal(data["train_y"], y[:30])
    np.testing.assert_array_equal(data["test_x"], x[-20:] / 16)
    np.testing.assert_array_equal(data["test_y"], y[-20:])


@pytest.mark.digits
def test_drawn_splits_do_not_overlap_and_the_test_images_stay():
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    table = {row.tobytes(): label for row, label in zip((x / 16).astype(np.float32), y, strict=True)}
    assert len(table) == 1797  # no image is there twice
    whole, few = arrays(Digits()), arrays(Digits(n_train=50))
    rows = [row.tobytes() for split in ("train", "test") for row in whole[f"{split}_x"]]
    assert set(rows) == set(table)
    labels = [*whole["train_y"], *whole["test_y"]]
    assert labels == [table[row] for row in rows]
    np.testing.assert_array_equal(few["test_x"], whole["test_x"])
    np.testing.assert_array_equal(few["train_x"], whole["train_x"][:50])
    other = arrays(Digits(n_train=50), KEYS[1])
    assert not np.array_equal(other["train_x"], few["train_x"])


@pytest.mark.digits
def test_no_test_images():
    assert arrays(Digits(n_train=1797, n_test=0))["test_x"].shape == (0, 64)


@pytest.mark.digits
def test_other_images_are_refused(monkeypatch):
    import sklearn.datasets

    monkeypatch.setattr(
        sklearn.datasets, "load_digits", lambda return_X_y: (np.zeros((1797, 64)), np.zeros(1797))
    )
    digits._images.cache_clear()
    with pytest.raises(InputError, match="other ones"):
        arrays(Digits())
    digits._images.cache_clear()


def test_without_scikit_learn_a_run_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    digits._images.cache_clear()
    spec = gs.Experiment(task="digits", model={"kind": "mlp", "widths": [4]}, loss="squared", steps=1)
    with pytest.raises(InputError, match=r"pip install grokscope\[digits\]") as refused:
        gs.train(spec, seeds=1, out=tmp_path / "run")
    assert "\n" not in str(refused.value)
    digits._images.cache_clear()


def test_more_images_than_there_are():
    with pytest.raises(InputError, match="n_train \\+ n_test must be at most 1797 \\(got 1798\\)"):
        Digits(n_train=1001)
