"""Predicted memory: against what is really there, and refusals before anything is allocated."""

import jax
import numpy as np
import pytest

from grokscope import Experiment, InputError
from grokscope.optimizers import Adam
from grokscope.tasks.arrays import Arrays
from grokscope.training import budget
from grokscope.training.budget import available_bytes, check_memory, predicted_bytes

STANDARD = Experiment(task="sparse_parity", epochs=300)


def held(experiment):
    """Bytes of one member's state, its data and the shared data, from the arrays themselves."""
    task = experiment.task
    data = task.member_data(jax.random.key(0), jax.random.key(0))
    state = experiment.learner.init(experiment, jax.random.key(0), data)
    return tuple(
        sum(leaf.nbytes for leaf in jax.tree.leaves(tree)) for tree in (state, data, task.shared_data())
    )


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_prediction_counts_what_is_there(optimizer, precision):
    with jax.enable_x64(precision == "float64"):
        experiment = Experiment(task="sparse_parity", epochs=3, optimizer=optimizer, precision=precision)
        state, data, shared = held(experiment)
        one, three = (predicted_bytes(experiment, n, workers=1) for n in (1, 3))
    assert three - one == pytest.approx(2 * (state + data), rel=1e-3)
    # the rest is one gradient and the activations of 10,000 probe inputs on 1,000 neurons
    size = 8 if precision == "float64" else 4
    assert one - (state + data + shared) == pytest.approx(size * (42_000 + 10_000 * 1000), rel=0.06)


def test_snapshots_are_copies_of_the_parameters():
    more = predicted_bytes(STANDARD, 2, n_snapshots=11) - predicted_bytes(STANDARD, 2, n_snapshots=1)
    assert more == 2 * 10 * 42_000 * 4


def test_each_worker_has_its_own_space_and_no_more_work_than_members():
    spaces = [predicted_bytes(STANDARD, 4, workers=workers) for workers in (1, 2, 4, 8)]
    assert spaces[1] - spaces[0] == pytest.approx((spaces[2] - spaces[0]) / 3, rel=1e-6)
    assert spaces[3] == spaces[2]


def test_other_tasks_are_counted_too():
    x, y = np.ones((50, 8)), np.arange(50) % 4
    task = Arrays.from_numpy(train_x=x, train_y=y, test_x=x, test_y=y)
    experiment = Experiment(task=task, epochs=3, loss="cross_entropy", optimizer=Adam())
    assert predicted_bytes(experiment) > 2 * x.size * 4


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            "model.width=1000000000",
            "memory: one member of this experiment would take 42.3 TB, and 8.0 GB are free",
        ),
        ("model.width=1000000000000", "memory: one member of this experiment would take 42,336.0 TB"),
        ("task.n_probe=1000000000", "memory: one member of this experiment would take 4.4 TB"),
        ("task.n_train=1000000000", "memory: one member of this experiment would take "),
    ],
)
def test_what_is_too_large_is_refused_before_it_is_allocated(monkeypatch, change, said):
    monkeypatch.setattr(budget, "available_bytes", lambda: 8 * 10**9)
    with pytest.raises(InputError) as error:
        check_memory(STANDARD.with_(change))
    assert str(error.value).startswith(said)
    assert str(error.value).endswith(
        "; choose a smaller model or task (model.width, task.n_train, task.n_probe)."
    )


def test_too_many_members_or_snapshots_are_told_apart_from_too_large_a_model(monkeypatch):
    monkeypatch.setattr(budget, "available_bytes", lambda: 10**9)
    assert check_memory(STANDARD, 10, workers=1) == predicted_bytes(STANDARD, 10, workers=1)
    with pytest.raises(InputError) as error:
        check_memory(STANDARD, 10, n_snapshots=9600, workers=2)
    assert str(error.value).startswith(
        "memory: 10 members of this experiment would take 16.2 GB, and 1.0 GB are free"
    )
    assert str(error.value).endswith("; train fewer members at once, or keep fewer snapshots.")


def test_free_memory_is_that_of_the_container_where_that_is_less(monkeypatch, tmp_path):
    import psutil

    total = psutil.virtual_memory().total
    assert 0 < available_bytes() <= total
    (tmp_path / "memory.max").write_text("5000000\n")
    (tmp_path / "memory.stat").write_text("file 4000000\nanon 1000000\n")
    monkeypatch.setattr(budget, "_CONTAINER", tmp_path)
    assert available_bytes() == 4_000_000
    (tmp_path / "memory.stat").write_text("anon 9000000\n")
    assert available_bytes() == 0
    for text in ("max\n", ""):
        (tmp_path / "memory.max").write_text(text)
        assert available_bytes() > 5_000_000
