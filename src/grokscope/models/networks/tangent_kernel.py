"""The empirical neural tangent kernel of any network, by gradients of single samples."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from grokscope.models.networks.training import joined, split

__all__ = ["MOST_INPUTS", "sample_gradients", "tangent_kernel"]

#: Inputs at most, as a kernel's measures take them.
MOST_INPUTS = 256
_CHUNK = 32  # inputs whose gradients are computed at once


def tangent_kernel(
    network: Any, x: Float[Array, "sample ..."], other: Float[Array, "other ..."] | None = None
) -> Float[Array, "sample other"]:
    r"""$K_{ij} = \sum_o \nabla_\theta f_o(x_i) \cdot \nabla_\theta f_o(x_j)$, summed over outputs.

    $\theta$ is all trained parameters of the network, in evaluation mode.

    Args:
        network: a function of inputs [sample, *input] that can be differentiated, each sample by itself.
        x: inputs.
        other: the other inputs; None: x.

    Source: Jacot, Gabriel, Hongler 2018 (arXiv 1806.07572), Section 4; the sum over outputs: Fort et al. 2020
    (arXiv 2010.15110).

    Example:
        >>> from grokscope.models.networks.linear_network import LinearNetwork
        >>> linear = LinearNetwork((jnp.array([5.0, 6.0]),))  # K is x . x'
        >>> tangent_kernel(linear, jnp.array([[1.0, 2.0], [3.0, 0.0]])).tolist()
        [[5.0, 3.0], [3.0, 9.0]]
    """
    n_outputs = jax.eval_shape(network, x[:1]).size

    def add(total: jax.Array, output: jax.Array) -> tuple[jax.Array, None]:
        rows = sample_gradients(network, x, output)
        columns = rows if other is None else sample_gradients(network, other, output)
        return total + rows @ columns.T, None

    shape = (len(x), len(x if other is None else other))
    return jax.lax.scan(add, jnp.zeros(shape, x.dtype), jnp.arange(n_outputs))[0]


def sample_gradients(
    network: Any, x: Float[Array, "sample ..."], output: Any = 0
) -> Float[Array, "sample parameter"]:
    """The gradient of an output at each input, with respect to all trained parameters, as rows.

    Args:
        network: as for `tangent_kernel`.
        x: inputs.
        output: its index, which may be traced.
    """
    trained, state = split(network)
    numbers, rest = eqx.partition(trained, eqx.is_inexact_array)

    def value(numbers: Any, one: jax.Array) -> jax.Array:
        return joined(eqx.combine(numbers, rest), state)(one[None])[0].reshape(-1)[output]

    def row(one: jax.Array) -> jax.Array:
        leaves = jax.tree.leaves(jax.grad(value)(numbers, one))
        return jnp.concatenate([leaf.reshape(-1) for leaf in leaves])

    return jax.lax.map(row, x, batch_size=_CHUNK)
