"""Find the input bits that a network uses (its support) from its weights, without data or labels.

Every bit has a strength, which bounds how much flipping it can change the output. In a network that has
learned a sparse function, a few bits are much stronger than the others. They are the support if a cross-check
on random inputs shows that the predictions are a function of them.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from grokscope.circuits.relu_network import ReluNetwork, as_relu_network

__all__ = ["MOST_BITS", "Support", "bit_strength", "find_support", "settings_of"]

MOST_BITS = 12  # of a support: all its settings, 2^12, are listed
# A bit stands out if it is at least this many times as strong as every bit that does not. In trained
# networks (40 bits; k = 3, 4; weight decay 0.01, 0.001) the ratio is below 1.2 at chance, about 2 at 80 %
# test accuracy and above 4 at 99 %.
LEAST_GAP = 2.0
# Least share of the predictions' variance that is a function of the support. A network that predicts a parity
# with accuracy a has share (2a - 1)^2: one half is a = 0.85.
LEAST_SHARE = 0.5
_N_SAMPLES = 8192
_MOST_CELLS = 20_000_000  # hidden activations at a time
_FLOOR = 1e-6  # strengths below this share of the largest count as rounding


@dataclass(frozen=True)
class Support:
    r"""The bits that a network uses, and the evidence for them.

    Attributes:
        bits: the support, counted from 0, rising; empty if none was found.
        candidates: the bits that stand out the most, whether or not they are the support.
        strength: of every bit, [bit]; see `bit_strength`.
        gap: the weakest candidate's strength divided by the strongest other bit's; infinite if that is 0.
        share: share of the variance of sign f(x), x uniform, that is a function of the candidates (estimate).
        walsh: $E[\mathrm{sign} f(x) \prod_{i \in T} x_i]$ for each set T of candidates (estimate).
        error: upper bound of these estimates' standard error; 0 if all inputs were listed.
    """

    bits: tuple[int, ...]
    candidates: tuple[int, ...]
    strength: np.ndarray
    gap: float
    share: float
    walsh: dict[tuple[int, ...], float]
    error: float

    @property
    def parity(self) -> float:
        """The Walsh coefficient of all candidates; 1 if sign f is their parity."""
        return self.walsh[self.candidates]

    @property
    def why(self) -> str:
        """The evidence, in one line."""
        if math.isnan(self.gap):
            return "the weights are not finite: the training diverged"
        named = ", ".join(map(str, self.candidates))
        if not self.bits and self.gap < LEAST_GAP:
            return f"no bits stand out: at most {self.gap:.3g} times as strong as the others"
        share = f"{100 * self.share:.3g} % of the predictions' variance is a function of bits {named}"
        if self.bits and len(self.bits) == len(self.strength):
            return f"{share}: these are all there are"
        return f"{self.gap:.3g} times as strong as any other bit; {share}"


def bit_strength(network: Any) -> np.ndarray:
    r"""The strength $s_i = \sum_j |u_j|\, |W_{ij}|$ of each bit, [bit].

    Flipping bit i changes the output by at most $2 s_i$. Rescaling a neuron ($cW_j, cb_j, u_j/c$) does not
    change the strength.

    Example:
        >>> from grokscope.circuits import proposition_2
        >>> bit_strength(proposition_2(n=4)).tolist()
        [42.0, 42.0, 60.0, 0.0]
    """
    weights = as_relu_network(network)
    return np.abs(weights.W) @ np.abs(weights.u)


def find_support(network: Any, *, n_samples: int = _N_SAMPLES, seed: int = 0) -> Support:
    r"""Find the input bits that a network on inputs $\pm 1$ uses, from its weights alone.

    1. Bits are sorted by strength $s_i$ (`bit_strength`) and cut where the ratio of neighbors is largest; the
       candidates are the bits above the cut, at most 12.
    2. They stand out if this ratio is at least 2.
    3. They are the support if at least half of the variance of the prediction sign f(x) is a function of
       them. With x and x' uniform but for equal candidate bits, that share is
       $(E[\mathrm{sign} f(x)\, \mathrm{sign} f(x')] - E[\mathrm{sign} f]^2) / (1 - E[\mathrm{sign} f]^2)$.

    A network may use all of its bits. If no candidates pass and there are at most 12 bits, the support is all
    of them if the predictions are mostly their parity (a Walsh coefficient of at least $\sqrt{1/2}$).

    Args:
        network: one hidden layer of relu, one output.
        n_samples: random inputs x for the cross-check, and as many x'. With at most 12 bits all inputs are
            listed instead.
        seed: of these inputs.

    Raises:
        InputError: if the network is not one hidden layer of relu with one output.

    Example:
        >>> from grokscope.circuits import proposition_3
        >>> found = find_support(proposition_3(n=40, bits=(7, 20, 31)))
        >>> found.bits, found.gap, found.parity
        ((7, 20, 31), inf, 1.0)
    """
    weights = as_relu_network(network)
    strength = bit_strength(weights)
    if not weights.are_finite:
        return Support((), (), strength, math.nan, math.nan, {(): math.nan}, math.nan)
    candidates, gap = _candidates(strength)
    check = _cross_check(weights, candidates, n_samples, seed)
    if gap >= LEAST_GAP and check.share >= LEAST_SHARE:
        return Support(candidates, candidates, strength, gap, *check)
    everything = tuple(range(len(strength)))
    if len(everything) <= MOST_BITS:
        whole = _cross_check(weights, everything, n_samples, seed)
        if whole.walsh[everything] ** 2 >= LEAST_SHARE:
            return Support(everything, everything, strength, math.inf, *whole)
    return Support((), candidates, strength, gap, *check)


def settings_of(k: int) -> np.ndarray:
    """All settings of k bits, [2^k, k] of +-1; the first is all +1, the last bit changes fastest.

    Example:
        >>> settings_of(2).tolist()
        [[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]]
    """
    return np.array(list(itertools.product((1.0, -1.0), repeat=k))).reshape(2**k, k)


class _CrossCheck(NamedTuple):
    share: float
    walsh: dict[tuple[int, ...], float]
    error: float


def _candidates(strength: np.ndarray) -> tuple[tuple[int, ...], float]:
    """The bits above the largest ratio of neighbors in falling strength (in rising order), and that ratio."""
    order = np.argsort(-strength, kind="stable")
    sorted_ = np.maximum(strength[order], _FLOOR * strength.max())
    most = min(MOST_BITS, len(strength) - 1)
    if most == 0 or not strength.any():
        return (int(order[0]),), 1.0
    size = int(np.argmax(sorted_[:most] / sorted_[1 : most + 1])) + 1
    other = strength[order[size]]
    gap = float(strength[order[size - 1]] / other) if other > 0 else math.inf
    return tuple(sorted(order[:size].tolist())), gap


def _cross_check(weights: ReluNetwork, bits: tuple[int, ...], n_samples: int, seed: int) -> _CrossCheck:
    """The share of the variance of sign f that is a function of some bits, and their Walsh coefficients."""
    n = len(weights.W)
    if n <= MOST_BITS:
        x = settings_of(n)
        g = _signs(weights, x)
        cells = np.bincount(_codes(x, bits), g, minlength=2 ** len(bits)) / len(x)
        together = float((cells**2).sum()) * 2 ** len(bits)
        error = 0.0
    else:
        generator = np.random.default_rng(seed)
        x, x2 = 1.0 - 2.0 * generator.integers(0, 2, (2, n_samples, n))
        x2[:, list(bits)] = x[:, list(bits)]
        g = _signs(weights, x)
        cells = np.bincount(_codes(x, bits), g, minlength=2 ** len(bits)) / n_samples
        together = float(np.mean(g * _signs(weights, x2)))
        error = 1 / math.sqrt(n_samples)
    variance = float(np.mean(g**2)) - float(np.mean(g)) ** 2
    share = (together - float(np.mean(g)) ** 2) / variance if variance > 0 else 0.0
    return _CrossCheck(share, _spectrum(cells, bits), error)


def _signs(weights: ReluNetwork, x: np.ndarray) -> np.ndarray:
    rows = max(1, _MOST_CELLS // max(1, len(weights.u)))
    pieces = [np.sign(weights.outputs(x[low : low + rows])) for low in range(0, len(x), rows)]
    return np.concatenate(pieces)


def _codes(x: np.ndarray, bits: tuple[int, ...]) -> np.ndarray:
    """The position of each row's setting of some bits in `settings_of`."""
    place = 2 ** np.arange(len(bits))[::-1]
    return ((x[:, list(bits)] < 0) @ place).astype(np.int64)


def _spectrum(cells: np.ndarray, bits: tuple[int, ...]) -> dict[tuple[int, ...], float]:
    """The Walsh-Hadamard transform: the sum over settings of the values times each product of bits."""
    table = cells.reshape((2,) * len(bits))
    for axis in range(len(bits)):
        plus, minus = np.take(table, 0, axis), np.take(table, 1, axis)
        table = np.stack([plus + minus, plus - minus], axis)
    return {
        tuple(bit for bit, inside in zip(bits, index, strict=True) if inside): float(value)
        for index, value in np.ndenumerate(table)
    }
