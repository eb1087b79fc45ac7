"""Networks of several members at several steps: read where they are kept, else from one replay of all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from grokscope.errors import InputError
from grokscope.experiment import Experiment
from grokscope.runs.block import Block
from grokscope.runs.networks import network_at, not_kept
from grokscope.runs.numerics import TO_REPLAY, check_numerics, numerics_here
from grokscope.spec.streams import Members
from grokscope.store.run_store import RunStore
from grokscope.training.cohort import Cohort
from grokscope.training.devices import choose_execution, in_precision, prepare_devices
from grokscope.training.loop import MemberLoop
from grokscope.training.timeline import Timeline

__all__ = ["kept_steps", "networks_at"]


def kept_steps(store: RunStore, position: int) -> list[int]:
    """The steps at which a member's network can be had without a replay: snapshots, and its last state."""
    steps = set(store.snapshot_steps(position))
    if store.checkpoint_trail(position):
        steps.add(int(store.steps_done[position]))
    return sorted(steps)


def networks_at(
    store: RunStore, experiment: Experiment, positions: Sequence[int], steps: Sequence[int]
) -> dict[str, np.ndarray]:
    """The networks of members at steps, as host arrays [member, step, ...] by the names of snapshots.

    What is kept is read; if anything is not, all members are trained again, once, and together.

    Raises:
        InputError: if they would have to be replayed, and cannot be: the run was imported, or the numerics of
            this machine differ from its own.
    """
    at = np.unique(np.asarray(steps, np.int64))
    missing = [(p, s) for p in positions for s in at.tolist() if s not in set(kept_steps(store, p))]
    if not missing:
        rows = [[network_at(store, experiment, p, int(step)) for step in at] for p in positions]
        found = _stack([_stack([_named(network) for network in row]) for row in rows])
    elif not experiment.learner.trains:
        raise InputError(not_kept(store, *missing[0]))
    else:
        prepare_devices()
        with in_precision(experiment.precision):
            found = _replayed(store, experiment, positions, at)
    order = np.searchsorted(at, np.asarray(steps, np.int64))
    return {name: leaf[:, order] for name, leaf in found.items()}


def _replayed(
    store: RunStore, experiment: Experiment, positions: Sequence[int], at: np.ndarray
) -> dict[str, np.ndarray]:
    """Train members again, and keep their networks at some steps."""
    check_numerics(store, numerics_here(experiment), advice=TO_REPLAY)
    points = np.union1d(at, [0])
    line = Timeline(points, *(np.zeros(len(points), dtype=bool) for _ in range(4)))
    members = Members(tuple(store.seeds[p] for p in positions))
    execution = choose_execution(len(members), experiment=experiment)
    cohort = Cohort(MemberLoop(experiment, keep=True), members, execution)
    pieces: list[dict[str, np.ndarray]] = []
    for part, _, networks in Block(cohort, line).replay():
        wanted = np.flatnonzero(np.isin(part.steps, at))
        pieces.append({name: leaf[cohort.rows][:, wanted] for name, leaf in _named(networks).items()})
    return {name: np.concatenate([piece[name] for piece in pieces], axis=1) for name in pieces[0]}


def _named(network: Any) -> dict[str, np.ndarray]:
    paths, _ = jax.tree_util.tree_flatten_with_path(network)
    return {jax.tree_util.keystr(path, simple=True, separator="."): np.asarray(leaf) for path, leaf in paths}


def _stack(each: Sequence[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    return {name: np.stack([one[name] for one in each]) for name in each[0]}
