"""Networks as arrays by name, and back: the names are those of snapshots."""

from __future__ import annotations

import functools
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np

from grokscope.experiment import Experiment

__all__ = ["network_of", "network_shapes", "stacked_network"]


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
