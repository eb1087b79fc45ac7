"""Weights that compute a parity exactly, from the three propositions of the paper, in numpy.

As networks: ``circuits/constructions.py``; as the initial network of a run: ``models/construction.py``.
"""

from __future__ import annotations

import itertools
from typing import Literal, NamedTuple

import numpy as np

__all__ = ["MOST_BITS", "ConstructionWeights", "Proposition", "construction_weights", "n_gates"]

Proposition = Literal[1, 2, 3]

MOST_BITS = 16  # of Proposition 1, which has 2^k neurons

# a row per neuron: weights on the three bits, bias, output weight
_PROPOSITION_2 = (
    (-1, -1, 10, -9, -1),
    (-1, -1, 1, -2, 10),
    (1, 1, 1, -2, 10),
    (1, -1, -10, -9, -1),
    (-1, 1, -1, -2, 10),
    (1, -1, -1, -2, 10),
)
_PROPOSITION_3 = (
    (0, 0, 0, 1, 1),
    (1, 1, 1, -1, 2),
    (1, 1, 1, 1, -1),
    (-1, -1, -1, -1, -1),
)


class ConstructionWeights(NamedTuple):
    """Arrays of float64: ``hidden_weight`` [bit, neuron], ``hidden_bias`` and ``output_weight`` [neuron]."""

    hidden_weight: np.ndarray
    hidden_bias: np.ndarray
    output_weight: np.ndarray


def n_gates(proposition: Proposition, k: int) -> int:
    """Number of neurons of a construction: 2^k, 6 or 4."""
    return {1: 2**k, 2: 6, 3: 4}[proposition]


def construction_weights(
    proposition: Proposition, n: int, bits: tuple[int, ...], width: int
) -> ConstructionWeights:
    r"""The weights of a construction; additional neurons are zero.

    Proposition 1: a neuron for each setting s of the k bits, $\mathrm{relu}(s \cdot x_S - (k - 1))$, which is
    1 at that setting and 0 at all others; its output weight is the parity of s.

    Args:
        proposition: 1, 2 or 3.
        n: input bits.
        bits: the bits whose parity is computed; three for Propositions 2 and 3.
        width: number of neurons, at least `n_gates`.
    """
    k = len(bits)
    if proposition == 1:
        settings = np.array(list(itertools.product((1.0, -1.0), repeat=k)))
        table = np.column_stack([settings, np.full(len(settings), 1.0 - k), settings.prod(axis=1)])
    else:
        table = np.array(_PROPOSITION_2 if proposition == 2 else _PROPOSITION_3, dtype=np.float64)
    weights = ConstructionWeights(np.zeros((n, width)), np.zeros(width), np.zeros(width))
    gates = slice(0, len(table))
    weights.hidden_weight[list(bits), gates] = table[:, :k].T
    weights.hidden_bias[gates], weights.output_weight[gates] = table[:, k], table[:, k + 1]
    return weights
