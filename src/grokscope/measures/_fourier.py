r"""The Fourier basis on residues mod p, and measures of how concentrated a spectrum is.

The basis is real and orthonormal: $1/\sqrt p$, then for each frequency k = 1..p/2 the functions
$\cos(2 \pi k a / p)$ and $\sin(2 \pi k a / p)$, each of norm 1; at k = p/2 there is no sine.
"""

from __future__ import annotations

from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

__all__ = [
    "KeyRule",
    "basis",
    "by_frequency",
    "components",
    "frequency_of_row",
    "gini",
    "key_frequencies",
    "participation",
    "token_weights",
]

KeyRule = Literal["gap", "share", "neurons"]
_LEAST = 1e-3  # a share of the power that is as good as none


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


def key_frequencies(
    spectra: Float[Array, "2 frequency"], rule: KeyRule = "gap", *, gap: float = 5.0, share: float = 0.05
) -> Bool[Array, " frequency"]:
    r"""The frequencies that a network uses, from its spectra.

    ``gap``: in the sorted shares $s_1 \ge s_2 \ge \dots$ of the power, those up to the last gap, which is
    the last m with $s_m \ge gap \cdot s_{m + 1}$. Shares below 0.001, and what comes after the last
    frequency, count as 0.001. Without a gap, those with at least 0.001. ``share``: those with at least this
    share of the power. ``neurons``: those that explain most of at least one neuron's variance.

    Args:
        spectra: the power of the logits at each frequency, and the number of neurons of each frequency.
        rule: the rule.
        gap: the ratio that is a gap.
        share: the smallest share.

    Example:
        >>> power = jnp.array([0.814, 0.0004, 0.074, 0.031, 0.039, 0.021, 0.0003])
        >>> key_frequencies(jnp.stack([power, power]), "gap", gap=5.0, share=0.05).astype(int).tolist()
        [1, 0, 1, 1, 1, 1, 0]
    """
    if rule == "neurons":
        return spectra[1] > 0
    total = jnp.sum(spectra[0])
    shares = spectra[0] / jnp.where(total > 0, total, 1)
    if rule == "share":
        return (shares >= share) & (shares > 0)
    ordered = -jnp.sort(-shares)
    least = jnp.full(1, _LEAST, shares.dtype)
    counted = jnp.concatenate([jnp.maximum(ordered, _LEAST), least])
    is_gap = counted[:-1] >= gap * counted[1:]
    before = jnp.max(jnp.where(is_gap, jnp.arange(1, len(shares) + 1), 0))
    return shares >= jnp.where(before > 0, ordered[before - 1], _LEAST)


def token_weights(network: Any, x: jax.Array, n_residues: int) -> Float[Array, "residue feature"]:
    """Weights from the tokens of the residues: the embedding, or the first layer for both operands.

    Args:
        network: a network with an ``embedding`` (one, or one for each position), or a one-hidden-layer
            network on one-hot tokens.
        x: any inputs [sample, position, token]. The tokens of the operands are residues; a token between them
            is the operator.
        n_residues: number of tokens that are residues.

    Raises:
        TypeError: if the network is neither.
    """
    if hasattr(network, "embedding"):
        by_position = network.embedding
        if by_position.ndim == 2:
            return by_position[:n_residues]
    elif hasattr(network, "hidden_weight"):
        by_position = network.hidden_weight.reshape(*x.shape[1:], -1)
    else:
        raise TypeError(f"{type(network).__name__} has no known weights from tokens")
    has_operator = jnp.argmax(x[0, 1]) >= n_residues
    second = jnp.where(has_operator, by_position[min(2, len(by_position) - 1)], by_position[1])
    return jnp.concatenate([by_position[0], second], axis=-1)[:n_residues]
