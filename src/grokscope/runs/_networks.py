"""Networks of a run at any step: from the final state or a snapshot where there is one, else by replay."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from grokscope.errors import InputError
from grokscope.experiment import Experiment
from grokscope.runs._block import Block
from grokscope.runs._numerics import TO_REPLAY, check_numerics, numerics_here
from grokscope.runs._origins import cohort_of
from grokscope.runs._store import RunStore
from grokscope.training.devices import choose_execution, in_precision, prepare_devices
from grokscope.training.loop import MemberLoop
from grokscope.training.timeline import Timeline

__all__ = ["network_at"]

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
    line = Timeline(np.array([0, step]), *(np.zeros(2, dtype=bool) for _ in range(4)))
    cohort = cohort_of(store, experiment, MemberLoop(experiment, keep=True), [position], choose_execution(1))
    *_, (part, _, networks) = Block(cohort, line).replay()
    last = len(part) - 1
    return jax.tree.map(lambda leaf: jnp.asarray(np.asarray(leaf)[cohort.rows[0], last]), networks)
