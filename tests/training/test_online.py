"""Online training: what is measured, at which points, and with which labels."""

from __future__ import annotations

import jax
import numpy as np
import pytest

import grokscope as gs
from grokscope.spec.stopping import Stopping
from grokscope.spec.streams import stream_key
from grokscope.tasks.sparse_parity import SparseParity
from grokscope.training.timeline import Timeline

PARITY = {"kind": "sparse_parity", "n": 6, "k": 2, "n_train": 20, "n_test": 10, "n_probe": 10}


def experiment(**more) -> gs.Experiment:
    table = {
        "task": PARITY,
        "model": {"kind": "fully_connected", "width": 8},
        "online": True,
        "batch_size": 8,
    }
    return gs.Experiment(**table | {"steps": 30} | more)


@pytest.mark.parametrize("steps", [10_000, 100_000, 1_000_000])
def test_the_default_schedule_has_some_300_points(steps):
    line = Timeline.of(experiment(steps=steps))
    assert 150 < line.quick.sum() < 350
    assert line.quick.sum() == line.follow.sum()
    longer = Timeline.of(experiment(steps=2 * steps))
    assert set(line.steps[line.quick]) <= set(longer.steps[longer.quick]) | {steps}
    gaps = np.diff(line.steps[line.quick])
    assert (gaps <= 1 + 0.04 * line.steps[line.quick][1:]).all()  # events are timed to 4 %


def test_schedules_in_steps_and_those_with_epochs_stay_as_they_are():
    every = Timeline.of(experiment(schedule={"measures": "every 1 steps"}))
    assert every.quick.sum() == 31
    full = gs.Experiment(task=PARITY, steps=500, batch_size="full")
    assert Timeline.of(full).quick.sum() == 501


@pytest.mark.slow
@pytest.mark.parametrize(("labels", "noise"), [("random", 0.0), ("noisy", 0.3)])
def test_labels_that_are_not_true_are_those_of_every_new_sample(tmp_path, labels, noise):
    task = PARITY | {"labels": labels, "noise": noise}
    run = gs.train(experiment(task=task), seeds=2, out=tmp_path / "run")
    own = run.measures.sel(seed=1)
    x, y = SparseParity(**task).sample(jax.random.fold_in(stream_key("order", 1), 30), 8)
    f = np.asarray(run.model(1)(x), float)
    assert float(own.batch_loss.sel(step=30)) == pytest.approx(np.maximum(0, 1 - y * f).mean(), rel=1e-5)
    assert {"batch_loss", "batch_accuracy"} <= set(run.measures.data_vars)


def test_a_sweep_over_the_noise_shares_one_program():
    made = experiment(task=PARITY | {"labels": "noisy", "noise": 0.3})
    assert made.shape == experiment(task=PARITY | {"labels": "noisy", "noise": 0.1}).shape
    assert made.numbers["task.noise"] == 0.3


@pytest.mark.slow
def test_batches_are_measured_by_default_only_online(tmp_path):
    offline = gs.Experiment(task=PARITY, model={"kind": "fully_connected", "width": 8}, epochs=1)
    run = gs.train(offline, out=tmp_path / "run")
    assert "batch_loss" not in run.measures


@pytest.mark.slow
def test_a_stop_is_explained_in_steps(tmp_path, capsys):
    from grokscope.cli import main

    assert Stopping(grokked_for=3).text(20) == "after 3 epochs (60 steps) of test accuracy > 0.98"
    run = gs.train(experiment(stop={"grokked_for": 3}), out=tmp_path / "run")
    assert main(["show", str(run.path)]) == 0
    assert "stops         after 3 steps of test accuracy > 0.98\n" in capsys.readouterr().out
