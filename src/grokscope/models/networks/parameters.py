"""Parameters of any network by name: the names under which networks are stored and exported."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import jax

from grokscope.errors import InputError, did_you_mean
from grokscope.models.networks.training import split

if TYPE_CHECKING:
    from grokscope.models import Model

__all__ = ["leaf_name", "matching_names", "named_leaves", "parameter_shapes", "replaced"]


def leaf_name(path: Any) -> str:
    """Dotted name of a key path, such as ``state.network.hidden_weight``."""
    return jax.tree_util.keystr(path, simple=True, separator=".")


def named_leaves(tree: Any) -> dict[str, Any]:
    """The leaves of a pytree by `leaf_name`, in the order of the tree.

    Example:
        >>> named_leaves({"layers": [{"weight": 1.0}, {"weight": 2.0}]})
        {'layers.0.weight': 1.0, 'layers.1.weight': 2.0}
    """
    paths, _ = jax.tree_util.tree_flatten_with_path(tree)
    return {leaf_name(path): leaf for path, leaf in paths}


def replaced(tree: Any, **leaves: Any) -> Any:
    """A copy of a pytree with some leaves replaced, by `leaf_name`; they may have any type and shape.

    Example:
        >>> replaced({"a": 1.0, "b": 2.0}, b=True)
        {'a': 1.0, 'b': True}
    """
    # through the tree: a network's class checks that its fields hold numbers of the right shape
    paths, structure = jax.tree_util.tree_flatten_with_path(tree)
    return jax.tree_util.tree_unflatten(
        structure, [leaves.get(leaf_name(path), leaf) for path, leaf in paths]
    )


def parameter_shapes(
    model: Model, input_shape: tuple[int, ...], n_outputs: int
) -> dict[str, tuple[int, ...]]:
    """The shape of every parameter of a model's networks, by name; their state is not one of them.

    Example:
        >>> from grokscope.models.fully_connected import FullyConnected
        >>> parameter_shapes(FullyConnected(width=8), (6,), 1)
        {'hidden_weight': (6, 8), 'hidden_bias': (8,), 'output_weight': (8,)}
    """
    hashable: Any = model  # frozen, which a type checker cannot see
    return dict(_shapes(hashable, input_shape, n_outputs))


@functools.lru_cache(maxsize=64)
def _shapes(model: Model, input_shape: tuple[int, ...], n_outputs: int) -> dict[str, tuple[int, ...]]:
    structure = jax.eval_shape(lambda: model.network(jax.random.key(0), input_shape, n_outputs))
    return {name: tuple(leaf.shape) for name, leaf in named_leaves(split(structure)[0]).items()}


def matching_names(patterns: Iterable[str], names: Iterable[str], whose: str = "this network") -> list[str]:
    """The names that match at least one pattern (of `fnmatch`), in their own order.

    Args:
        patterns: names, or patterns such as ``blocks.*.attention.*``.
        names: the names that there are.
        whose: what has them, for the message.

    Raises:
        InputError: if a pattern matches no name; the message lists the names.

    Example:
        >>> matching_names(["*.bias", "embedding"], ["embedding", "layers.0.weight", "layers.0.bias"])
        ['embedding', 'layers.0.bias']
    """
    known, wanted = list(names), list(patterns)
    for pattern in wanted:
        if not any(fnmatchcase(name, pattern) for name in known):
            raise InputError(
                f"'{pattern}' is no parameter of {whose}.{did_you_mean(pattern, known)} "
                f"It has: {', '.join(known)}."
            )
    return [name for name in known if any(fnmatchcase(name, pattern) for pattern in wanted)]
