"""Samples of one's own of a known task: the arrays are served, the rest is the task's."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from grokscope import Experiment, InputError
from grokscope.spec.parts import lookup
from grokscope.tasks.arrays import Arrays
from grokscope.tasks.samples import Samples
from grokscope.tasks.sparse_parity import SparseParity

RNG = np.random.default_rng(4)
X = RNG.choice([-1.0, 1.0], (30, 5)).astype(np.float32)
Y = X[:, 0] * X[:, 1]
OWN = {"train_x": X[:20], "train_y": Y[:20], "test_x": X[20:], "test_y": Y[20:]}
RULE = SparseParity(n=5, k=2, n_train=7, n_test=8, n_probe=50)


def made(rule=RULE, arrays=OWN, **fields):
    return Samples(sha256=Arrays.from_numpy(**arrays).sha256, of=rule, **fields)


def test_arrays_are_served_with_the_probe_and_facts_of_the_task():
    task = made()
    assert (task.n_train, task.n_test, task.n_probe) == (20, 10, 50)
    data = task.shared_data()
    for name, array in OWN.items():
        np.testing.assert_array_equal(data[name], array)
    probe = RULE.shared_data()
    np.testing.assert_array_equal(data["probe_x"], probe["probe_x"])
    np.testing.assert_array_equal(data["probe_y"], probe["probe_y"])
    assert task.facts() == {"support": [0, 1], "sha256": task.sha256, "rows": 20}
    assert task.can_sample
    x, y = task.sample(jax.random.key(0), 6)
    np.testing.assert_array_equal(y, x[:, 0] * x[:, 1])


def test_a_probe_of_its_own_comes_first():
    task = made(arrays={**OWN, "probe_x": X[:3], "probe_y": Y[:3]})
    assert task.n_probe == 3
    np.testing.assert_array_equal(task.shared_data()["probe_x"], X[:3])


def test_where_the_function_is_drawn_there_is_no_probe():
    task = made(RULE.model_copy(update={"support": "drawn"}))
    assert task.n_probe == 0
    assert "probe_x" not in task.shared_data()
    assert not task.can_sample


def test_rows_are_drawn_for_each_seed_as_of_arrays():
    task = made(train_subset=6)
    assert task.n_train == 6
    same = lookup("task", "arrays")(sha256=task.sha256, train_subset=6)
    keys = jax.random.key(1), jax.random.key(2)
    for name, array in same.member_data(*keys).items():
        np.testing.assert_array_equal(task.member_data(*keys)[name], array)


def test_spec_and_file(tmp_path):
    experiment = Experiment(task=made(), epochs=1)
    (tmp_path / "experiment.toml").write_text(experiment.to_toml(tmp_path))
    again = Experiment.from_toml(tmp_path / "experiment.toml")
    assert again.identity == experiment.identity
    assert again.task.of == RULE
    saved = made().save(tmp_path / "own.npz")
    assert (type(saved), saved.path, saved.of) == (Samples, str(tmp_path / "own.npz"), RULE)
    assert Experiment(task=saved, epochs=1).identity == experiment.identity
    other = Experiment(task=made(RULE.model_copy(update={"k": 1})), epochs=1)
    assert other.identity != experiment.identity  # probe and facts are others


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        (
            SparseParity(n=6, k=2),
            r"task\.of: the arrays have rows of shape \(5,\), but task 'sparse_parity' has \(6,\)",
        ),
        (
            {"kind": "boolean_function", "n": 5, "preset": "parity", "k": 2, "output": "real"},
            "task.of: the arrays have labels of kind sign, but task 'boolean_function' has real",
        ),
        (Arrays.from_numpy(**OWN), "task.of: must be a task with a rule, not arrays"),
        ({"n": 5}, "task.kind is required"),
        ("sparse_partiy", "task 'sparse_partiy' is not known. Did you mean 'sparse_parity'?"),
    ],
)
def test_rules_that_do_not_fit(rule, text):
    with pytest.raises(InputError, match=text):
        made(rule)


def test_probes_given_in_a_spec_must_agree():
    with pytest.raises(
        InputError, match=r"task\.n_probe: found from the arrays: 50 \(got 51\); leave it out"
    ):
        made(n_probe=51)
    assert made(n_probe=50).n_probe == 50
