"""Networks of a run at any step: from the final state or a snapshot where there is one, else by replay."""

from __future__ import annotations

import functools
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np

from grokscope.errors import InputError
from grokscope.experiment import Experiment
from grokscope.runs._origins import cohort_of
from grokscope.runs.block import Block
from grokscope.runs.numerics import TO_REPLAY, check_numerics, numerics_here
from grokscope.store.run_store import RunStore
from grokscope.training.devices import choose_execution, in_precision, prepare_devices
from grokscope.training.loop import MemberLoop
from grokscope.training.timeline import Timeline

__all__ = ["network_at", "network_of", "network_shapes", "not_kept", "stacked_network"]

_IN_STATE = "state.network."


def network_at(store: RunStore, experiment: Experiment, position: int, step: int) -> Any:
    """The network of one member at a step.

    Raises:
        InputError: if nothing is kept of the member yet; or if it must be replayed, and the numerics of this
            machine differ from the run's.
    """
    prepare_devices()
    with in_precision(experiment.precision):  # else jax would make float32 of what is stored in float64
        structure = network_structure(experiment)
        if step in store.snapshot_steps(position):
            return _filled(structure, store.read_snapshot(position, step), "")
        if not experiment.learner.trains:
            raise InputError(not_kept(store, position, step))
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


def not_kept(store: RunStore, position: int, step: int) -> str:
    """Why an imported run has no network at a step."""
    steps = store.snapshot_steps(position)
    some = ", ".join(map(str, steps if len(steps) <= 6 else [*steps[:3], "...", steps[-1]]))
    near = min(steps, key=lambda one: abs(one - step))
    return (
        f"{store.path}: was imported and cannot be replayed; it has the steps {some}, and the nearest to "
        f"{step} is {near}."
    )


def network_shapes(experiment: Experiment) -> dict[str, tuple[int, ...]]:
    """The shape of every array of the experiment's network, by the names of snapshots."""
    paths, _ = jax.tree_util.tree_flatten_with_path(network_structure(experiment))
    return {_leaf_name(path): tuple(leaf.shape) for path, leaf in paths}


def network_of(experiment: Experiment, leaves: dict[str, np.ndarray]) -> Any:
    """The network of arrays by the names of snapshots."""
    return _filled(network_structure(experiment), leaves, "")


def stacked_network(experiment: Experiment, several: list[dict[str, np.ndarray]]) -> Any:
    """The networks of several members as one pytree of host arrays [member, ...]."""
    paths, tree = jax.tree_util.tree_flatten_with_path(network_structure(experiment))
    return jax.tree_util.tree_unflatten(
        tree, [np.stack([leaves[_leaf_name(path)] for leaves in several]) for path, _ in paths]
    )


def network_structure(experiment: Experiment) -> Any:
    """The shapes of the experiment's network."""
    return _structure(cast("Any", experiment))


@functools.lru_cache(maxsize=8)
def _structure(experiment: Any) -> Any:
    task = experiment.task
    return jax.eval_shape(
        lambda: experiment.model.network(jax.random.key(0), task.input_shape, task.n_outputs)
    )


def _filled(structure: Any, leaves: dict[str, np.ndarray], prefix: str) -> Any:
    paths, tree = jax.tree_util.tree_flatten_with_path(structure)
    arrays = [jnp.asarray(leaves[prefix + _leaf_name(path)]) for path, _ in paths]
    return jax.tree_util.tree_unflatten(tree, arrays)


def _leaf_name(path: Any) -> str:
    return jax.tree_util.keystr(path, simple=True, separator=".")


def _replayed(store: RunStore, experiment: Experiment, position: int, step: int) -> Any:
    check_numerics(store, numerics_here(experiment), advice=TO_REPLAY)
    line = Timeline(np.array([0, step]), *(np.zeros(2, dtype=bool) for _ in range(4)))
    execution = choose_execution(1, experiment=experiment)
    cohort = cohort_of(store, experiment, MemberLoop(experiment, keep=True), [position], execution)
    *_, (part, _, networks) = Block(cohort, line).replay()
    last = len(part) - 1
    return jax.tree.map(lambda leaf: jnp.asarray(np.asarray(leaf)[cohort.rows[0], last]), networks)
