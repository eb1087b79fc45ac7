"""Networks of a run at any step: from the final state or a snapshot where there is one, else by replay."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from grokscope.errors import InputError
from grokscope.experiment import Experiment
from grokscope.runs._block import Block
from grokscope.runs._numerics import TO_REPLAY, check_numerics, numerics_here
from grokscope.runs._store import RunStore
from grokscope.streams import Members
from grokscope.training.cohort import Cohort
from grokscope.training.devices import choose_execution, in_precision, prepare_devices
from grokscope.training.loop import MemberLoop
from grokscope.training.timeline import Timeline

__all__ = ["kept_steps", "network_at", "networks_at"]

_IN_STATE = "state.network."


def network_at(store: RunStore, experiment: Experiment, position: int, step: int) -> Any:
    """The network of one member at a step.

    Raises:
        InputError: if nothing is kept of the member yet; or if it must be replayed, and the numerics of this
            machine differ from the run's.
    """
    prepare_devices()
    with in_precision(experiment.precision):  # else jax would make float32 of what is stored in float64
        structure = _structure(experiment)
        if step in store.snapshot_steps(position):
            return _filled(structure, store.read_snapshot(position, step), "")
        if step != int(store.steps_done[position]):
            return _replayed(store, experiment, position, step)
        try:
            leaves = store.read_checkpoint(position).leaves
        except KeyError:
            raise InputError(
                f"{store.path}: nothing is kept yet of seeds {store.seeds[position]}: the run was stopped "
                "before; give the command that began it again."
            ) from None
        return _filled(structure, leaves, _IN_STATE)


def kept_steps(store: RunStore, position: int) -> list[int]:
    """The steps at which a member's network can be had without a replay: snapshots, and its last state."""
    steps = set(store.snapshot_steps(position))
    if store.checkpoint_trail(position):
        steps.add(int(store.steps_done[position]))
    return sorted(steps)


def networks_at(
    store: RunStore, experiment: Experiment, positions: Sequence[int], steps: Sequence[int]
) -> dict[str, np.ndarray]:
    """The networks of several members at several steps, as host arrays [member, step, ...] by name of leaf.

    What is kept is read; if anything is not, all members are trained again, once, and together.

    Raises:
        InputError: if they must be replayed, and the numerics of this machine differ from the run's.
    """
    at = np.unique(np.asarray(steps, np.int64))
    if all(set(at.tolist()) <= set(kept_steps(store, position)) for position in positions):
        rows = [[network_at(store, experiment, p, int(step)) for step in at] for p in positions]
        stacked = [_stack([_named(network) for network in row]) for row in rows]
    else:
        prepare_devices()
        with in_precision(experiment.precision):
            stacked = _replay_all(store, experiment, positions, at)
    order = np.searchsorted(at, np.asarray(steps, np.int64))
    return {name: leaf[:, order] for name, leaf in _stack(stacked).items()}


def _replay_all(
    store: RunStore, experiment: Experiment, positions: Sequence[int], at: np.ndarray
) -> list[dict[str, np.ndarray]]:
    """Train members again and keep their networks at some steps; a block at a time, each as long as asked."""
    check_numerics(store, numerics_here(experiment), advice=TO_REPLAY)
    points = np.union1d(at, [0])
    line = Timeline(points, *(np.zeros(len(points), dtype=bool) for _ in range(4)))
    cohort = Cohort(
        MemberLoop(experiment, keep=True),
        Members(tuple(store.seeds[p] for p in positions)),
        choose_execution(len(positions)),
    )
    pieces: list[dict[str, np.ndarray]] = []
    for part, _, networks in Block(cohort, line).replay():
        wanted = np.flatnonzero(np.isin(part.steps, at))
        kept = jax.tree.map(lambda leaf, at=wanted: np.asarray(leaf)[cohort.rows][:, at], networks)
        pieces.append(_named(kept))
    joined = {name: np.concatenate([piece[name] for piece in pieces], axis=1) for name in pieces[0]}
    return [{name: leaf[i] for name, leaf in joined.items()} for i in range(len(positions))]


def _named(network: Any) -> dict[str, np.ndarray]:
    paths, _ = jax.tree_util.tree_flatten_with_path(network)
    return {jax.tree_util.keystr(path, simple=True, separator="."): np.asarray(leaf) for path, leaf in paths}


def _stack(each: Sequence[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    return {name: np.stack([one[name] for one in each]) for name in each[0]}


def _structure(experiment: Experiment) -> Any:
    """The shapes of the experiment's network."""
    task = experiment.task
    return jax.eval_shape(
        lambda: experiment.model.network(jax.random.key(0), task.input_shape, task.n_outputs)
    )


def _filled(structure: Any, leaves: dict[str, np.ndarray], prefix: str) -> Any:
    paths, tree = jax.tree_util.tree_flatten_with_path(structure)
    arrays = [
        jnp.asarray(leaves[prefix + jax.tree_util.keystr(path, simple=True, separator=".")])
        for path, _ in paths
    ]
    return jax.tree_util.tree_unflatten(tree, arrays)


def _replayed(store: RunStore, experiment: Experiment, position: int, step: int) -> Any:
    check_numerics(store, numerics_here(experiment), advice=TO_REPLAY)
    members = Members((store.seeds[position],))
    line = Timeline(np.array([0, step]), *(np.zeros(2, dtype=bool) for _ in range(4)))
    cohort = Cohort(MemberLoop(experiment, keep=True), members, choose_execution(1))
    *_, (part, _, networks) = Block(cohort, line).replay()
    last = len(part) - 1
    return jax.tree.map(lambda leaf: jnp.asarray(np.asarray(leaf)[cohort.rows[0], last]), networks)
