"""Networks of others that learned real vectors become runs, and tell how far they have moved."""

from __future__ import annotations

import numpy as np
import pytest

import grokscope as gs
from grokscope.errors import InputError

WIDTH, N = 5, 3


def state(step: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(step)
    shapes = {"linear1.weight": (WIDTH, N), "linear1.bias": (WIDTH,), "linear2.weight": (2, WIDTH)}
    return {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}


def vectors() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(9)
    x = rng.normal(size=(12, N)).astype(np.float32)
    return {"train_x": x, "train_y": np.round(x[:, :2] * 3)}  # whole numbers, and vectors all the same


def test_two_outputs_of_real_labels_are_measured(tmp_path):
    states, data = {step: state(step) for step in (0, 7)}, vectors()
    run = gs.from_torch(states, data=data, out=tmp_path / "run")
    assert (run.experiment.task.label_kind, run.experiment.loss.kind) == ("real", "squared")
    assert "train_accuracy" not in run.measures
    added = run.measure(["start_distance"])
    for step, one in states.items():
        hidden = np.maximum(data["train_x"] @ one["linear1.weight"].T + one["linear1.bias"], 0)
        loss = np.mean((hidden @ one["linear2.weight"].T - data["train_y"]) ** 2)
        assert run.measures.train_loss.sel(seed=0, step=step).item() == pytest.approx(loss, rel=1e-4)
        moved = np.sqrt(sum(((one[name] - states[0][name]) ** 2).sum() for name in one))
        assert added.start_distance.sel(seed=0, step=step).item() == pytest.approx(moved, rel=1e-4)
    with pytest.raises(
        InputError, match=r"batch_loss needs batches of training; those of learner 'imported'"
    ):
        run.measure(["batch_loss"])


def test_without_a_network_of_step_0_there_is_no_start(tmp_path):
    run = gs.from_torch({5: state(5), 7: state(7)}, data=vectors(), out=tmp_path / "run")
    with pytest.raises(InputError, match=r"needs the network at the start, and the first .* is of step 5"):
        run.measure(["start_distance"])
