"""A small sweep for tests (two decays by two training set sizes), and comparisons of runs and sweeps."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

import grokscope as gs
from grokscope.store.open import create_store, open_store
from grokscope.sweeps import SweepSpec
from grokscope.sweeps._manifest import Manifest, recording_hash
from grokscope.training.rates import Rates

RATES = Rates("cpu", cores=2, large=220.0, at_shape=158.0, free=1.0, seconds=0.0)
MEASURES = ("train_accuracy", "test_accuracy", "path_norm_total", "neuron_norm")
OVER = ("optimizer.weight_decay=0.0,0.05", "task.n_train=24,40")


def small(*overrides: str, measures: Sequence[str] | None = MEASURES) -> gs.Experiment:
    return gs.Experiment(
        task={"kind": "sparse_parity", "n": 8, "k": 2, "n_train": 40, "n_test": 20, "n_probe": 64},
        model={"kind": "fully_connected", "width": 16},
        epochs=4,
        batch_size=16,
        measures=measures,
    ).with_(*overrides)


def states(run: gs.Run) -> dict[tuple[int, int, int, int], tuple[int, str]]:
    """Each member's latest step and the hash of its state."""
    store = open_store(run.path)
    found = {seeds: store.read_checkpoint(i) for i, seeds in enumerate(store.seeds)}
    return {seeds: (one.step, one.sha256) for seeds, one in found.items()}


def assert_same_run(one: gs.Run, other: gs.Run) -> None:
    """Assert equal members, states and measures, bit for bit."""
    assert states(one) == states(other)
    xr.testing.assert_identical(one.measures.load(), other.measures.load())


def assert_same_sweep(one: gs.Sweep, other: gs.Sweep) -> None:
    """Assert equal cells, bit for bit."""
    assert one.cells == other.cells
    for place in one.cells:
        assert_same_run(one.run(place), other.run(place))


Curves = Callable[[dict[str, Any], int], Mapping[str, Any]]


def made_up(folder: Path, over: tuple[str, ...], seeds: Any, steps: list[int], curves: Curves) -> gs.Sweep:
    """Write a sweep without training: its cells hold the given curves.

    ``curves`` maps settings and a seed to measures. A curve is a list over ``steps``, or a pair (steps,
    values) with steps of its own; ``diverged`` is a step.
    """
    spec = SweepSpec.of(small("steps=" + str(steps[-1])), over, seeds=seeds)
    manifest = Manifest(spec.identity, spec.base.to_toml(), numerics={})
    for cell in spec.cells():
        one = cell.experiment
        rows = [dict(curves(cell.settings, member[0])) for member in spec.seeds]
        lost = [row.pop("diverged", -1) for row in rows]
        store = create_store(
            folder / "cells" / cell.name,
            one.to_toml(),
            one.identity,
            {},
            {},
            steps_per_epoch=one.steps_per_epoch,
        )
        with store, store.transaction("made up") as t:
            t.add_members(spec.seeds)
            for name in rows[0]:
                at = rows[0][name][0] if isinstance(rows[0][name], tuple) else steps
                table = [row[name][1] if isinstance(row[name], tuple) else row[name] for row in rows]
                t.write_measures(f"of {name}", slice(None), at, {name: np.array(table, np.float32)})
            t.mark(slice(None), steps_done=steps[-1], complete=True, diverged_step=np.array(lost))
        manifest.mark_done(cell.name, recording_hash(one), one.n_steps, spec.seeds)
    manifest.add(spec, tuple(cell.name for cell in spec.cells()), manifest.base)
    (folder / "sweep.json").write_text(json.dumps(manifest.to_json()))
    return gs.open_sweep(folder)
