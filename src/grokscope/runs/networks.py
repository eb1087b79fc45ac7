"""Networks as arrays by name, and back: the names are those of snapshots."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from grokscope.experiment import Experiment
from grokscope.learners import abstract_predictor
from grokscope.models.networks.parameters import leaf_name, named_leaves

__all__ = ["network_of", "network_shapes", "stacked", "stacked_network"]


def network_shapes(experiment: Experiment) -> dict[str, tuple[int, ...]]:
    """The shape of every array of the experiment's network, by the names of snapshots."""
    hashable: Any = experiment
    return {name: leaf.shape for name, leaf in named_leaves(_structure(hashable)).items()}


def network_of(experiment: Experiment, leaves: Mapping[str, np.ndarray]) -> Any:
    """The network made of arrays by the names of snapshots."""
    return _filled(experiment, lambda name: jnp.asarray(leaves[name]))


def stacked_network(experiment: Experiment, several: Sequence[Mapping[str, np.ndarray]]) -> Any:
    """The networks of several members as one pytree of host arrays [member, ...]."""
    return _filled(experiment, lambda name: np.stack([leaves[name] for leaves in several]))


def stacked(several: Sequence[Mapping[str, np.ndarray]], axis: int = 0) -> dict[str, np.ndarray]:
    """Stack arrays of the same names along a new axis.

    Example:
        >>> stacked([{"w": np.zeros(3)}, {"w": np.ones(3)}])["w"].shape
        (2, 3)
    """
    return {name: np.stack([leaves[name] for leaves in several], axis) for name in several[0]}


def _filled(experiment: Experiment, array: Callable[[str], Any]) -> Any:
    """The experiment's network with the arrays that a function returns for their names."""
    hashable: Any = experiment
    paths, structure = jax.tree_util.tree_flatten_with_path(_structure(hashable))
    return jax.tree_util.tree_unflatten(structure, [array(leaf_name(path)) for path, _ in paths])


@functools.lru_cache(maxsize=8)
def _structure(experiment: Experiment) -> Any:
    """The experiment's network with shapes in place of arrays."""
    return abstract_predictor(experiment)
