"""How many input bits a neuron needs: its arity."""

from __future__ import annotations

from typing import Any

import numpy as np

from grokscope.circuits.weights import weights_of, width_of
from grokscope.errors import InputError

__all__ = ["arity"]


def arity(network: Any, neuron: int, x: np.ndarray) -> int:
    r"""How many of a neuron's largest incoming weights must be kept for every prediction to stay.

    The smallest m in 0..n such that, with all but the m largest $|W_{ij}|$ of neuron j set to 0 (the lower
    bit first among equals; the bias stays), sign f is what it was at every row of x. All m are tried: that m
    is enough says nothing of m + 1. Rows with f(x) = 0 are left out, and a 0 agrees with nothing.

    The official code's version masks other weights than it means to: it compares the positions that sort
    the weights with a rank, which are the same only where the weights are sorted already.

    Args:
        network: one hidden layer of relu, one output.
        neuron: j.
        x: inputs [sample, bit].

    Raises:
        InputError: if there is no such neuron, or the network cannot be read.

    Source: defined in the official code of Merrill, Tsilivis, Shukla 2023.

    Example:
        >>> from grokscope.circuits.constructions import proposition_1
        >>> from grokscope.circuits.support import settings_of
        >>> arity(proposition_1(n=5, bits=(4, 1)), 0, settings_of(5))
        2
    """
    weights = weights_of(network)
    n, p = len(weights.W), width_of(network)
    if not 0 <= neuron < p:
        raise InputError(f"neuron {neuron}: the network has neurons 0 to {p - 1}.")
    x = np.asarray(x, dtype=np.float64).reshape(len(x), -1)
    w, b, u = weights.W[:, neuron], weights.b[neuron], weights.u[neuron]
    # summed, not subtracted from f: the others may be exactly 0 where this neuron decides
    others = weights.only(np.arange(len(weights.u)) != neuron).outputs(x)
    f = others + np.maximum(x @ w + b, 0.0) * u
    largest = np.argsort(-np.abs(w), kind="stable")
    z = np.full(len(x), b)
    counted = f != 0
    for m in range(n + 1):
        if m > 0:
            z = z + x[:, largest[m - 1]] * w[largest[m - 1]]
        masked = others + np.maximum(z, 0.0) * u
        if (np.sign(masked) == np.sign(f))[counted].all():
            return m
    return n  # rounding alone can tell f from itself
