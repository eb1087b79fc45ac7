"""A small sweep for tests: two decays by two training sets, and what is compared of it."""

from __future__ import annotations

import xarray as xr

import grokscope as gs
from grokscope.rates import Rates
from grokscope.runs._store import RunStore

RATES = Rates("cpu", cores=2, large=220.0, at_shape=158.0, free=1.0, seconds=0.0)
MEASURES = ("train_accuracy", "test_accuracy", "path_norm_total", "neuron_norm")
OVER = ("optimizer.weight_decay=0.0,0.05", "task.n_train=24,40")


def small(*overrides: str, measures: tuple[str, ...] | None = MEASURES) -> gs.Experiment:
    return gs.Experiment(
        task={"kind": "sparse_parity", "n": 8, "k": 2, "n_train": 40, "n_test": 20, "n_probe": 64},
        model={"kind": "fully_connected", "width": 16},
        epochs=4,
        batch_size=16,
        measures=measures,
    ).with_(*overrides)


def states(run: gs.Run) -> dict[tuple[int, int, int, int], tuple[int, str]]:
    """Each member's latest step and the hash of its whole state."""
    store = RunStore.open(run.path)
    found = {seeds: store.read_checkpoint(i) for i, seeds in enumerate(store.seeds)}
    return {seeds: (one.step, one.sha256) for seeds, one in found.items()}


def assert_same_run(one: gs.Run, other: gs.Run) -> None:
    """The same members, states and measures, bit for bit."""
    assert states(one) == states(other)
    xr.testing.assert_identical(one.measures.load(), other.measures.load())


def assert_same_sweep(one: gs.Sweep, other: gs.Sweep) -> None:
    """The same cells, bit for bit."""
    assert one.cells == other.cells
    for place in one.cells:
        assert_same_run(one.run(place), other.run(place))
