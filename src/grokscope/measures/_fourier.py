r"""The Fourier basis on residues mod p, and measures of how concentrated a spectrum is.

The basis is real and orthonormal: $1/\sqrt p$, then for each frequency k = 1..p/2 the functions
$\cos(2 \pi k a / p)$ and $\sin(2 \pi k a / p)$, each of norm 1; at k = p/2 there is no sine.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

__all__ = [
    "basis",
    "by_frequency",
    "components",
    "frequency_of_row",
    "gini",
    "participation",
    "token_weights",
]


def frequency_of_row(p: int) -> np.ndarray:
    """The frequency of each row of `basis`: 0, 1, 1, 2, 2, ...; int [p]."""
    return (np.arange(p) + 1) // 2


def basis(p: int) -> np.ndarray:
    """The orthonormal basis, float64 [p, p]: one function of a = 0..p-1 per row.

    Example:
        >>> F = basis(5)
        >>> bool(np.allclose(F @ F.T, np.eye(5)))
        True
    """
    k = frequency_of_row(p)[:, None]
    angle = 2 * np.pi * k * np.arange(p) / p
    rows = np.where(np.arange(p)[:, None] % 2 == 1, np.cos(angle), np.sin(angle))
    rows[0] = 1.0
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def components(values: Float[Array, "residue ..."]) -> Float[Array, "row ..."]:
    """Coefficients of functions of the residue (along the first axis) in the basis."""
    matrix = jnp.asarray(basis(len(values)), values.dtype)
    return jnp.tensordot(matrix, values, axes=1)


def by_frequency(power: Float[Array, "row ..."]) -> Float[Array, "frequency ..."]:
    """Sums over the two rows (cosine, sine) of each frequency 1..p // 2; the constant is left out."""
    p = len(power)
    padded = jnp.concatenate([power[1:], jnp.zeros_like(power[: 1 - p % 2])])
    return padded[0::2] + padded[1::2]


def gini(values: Float[Array, " n"]) -> Float[Array, ""]:
    r"""The Gini coefficient $\sum_{ij} |x_i - x_j| / (2 n \sum_i x_i)$ of non-negative numbers.

    0 if all are equal (also if all are 0); near 1 if one of them is much larger than all others.

    Example:
        >>> round(float(gini(jnp.array([0.0, 0.0, 3.0]))), 4)
        0.6667
    """
    n, total = len(values), jnp.sum(values)
    rank = jnp.arange(1, n + 1, dtype=values.dtype)
    share = 2 * jnp.sum(rank * jnp.sort(values)) / (n * jnp.where(total > 0, total, 1))
    return jnp.where(total > 0, share - (n + 1) / n, 0)


def participation(power: Float[Array, "frequency column"]) -> Float[Array, " column"]:
    r"""The inverse participation ratio $\sum_k P_k^2 / (\sum_k P_k)^2$ of each column; 0 if all are 0.

    1 if one frequency has all the power; 1 / (number of frequencies) if all have the same power.
    """
    total = jnp.sum(power, axis=0)
    share = power / jnp.where(total > 0, total, 1)
    return jnp.sum(jnp.square(share), axis=0)


def token_weights(network: Any, x: jax.Array, n_residues: int) -> Float[Array, "residue feature"]:
    """Weights from the tokens of the residues: the embedding, or the first layer for both operands.

    Args:
        network: a network with an ``embedding``, or a one-hidden-layer network on one-hot tokens.
        x: any inputs [sample, position, token], for their shape.
        n_residues: number of tokens that are residues.

    Raises:
        TypeError: if the network is neither.
    """
    if hasattr(network, "embedding"):
        return network.embedding[:n_residues]
    if not hasattr(network, "hidden_weight"):
        raise TypeError(f"{type(network).__name__} has no known weights from tokens")
    positions, tokens = x.shape[1:]
    weights = network.hidden_weight.reshape(positions, tokens, -1)[:2]
    return jnp.concatenate(list(weights), axis=-1)[:n_residues]
