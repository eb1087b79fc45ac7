"""Which input bits a network uses: found from its weights, without data and without being told.

How it works. Every bit has a strength that bounds what flipping it can do to the output; in a network that
has found a sparse function a few bits stand out. They are the support if the predictions are then seen to be
a function of them, on random inputs: the cross-check, which needs no labels either.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from grokscope.circuits.weights import Weights, weights_of

__all__ = ["MOST_BITS", "Support", "bit_strength", "find_support", "settings_of"]

MOST_BITS = 12  # a support is listed in full: 2^12 settings
# A bit stands out if it is this much stronger than every bit that does not. In trained networks (40 bits;
# k = 3, 4; weight decay 0.01, 0.001) the ratio is below 1.2 at chance, about 2 where 80 % of the held-out
# inputs are right, and above 4 where 99 % are.
LEAST_GAP = 2.0
# Of the predictions' variance, this much must be a function of the support. A parity that is right on a
# share a of the inputs has (2a - 1)^2 of it: one half is a = 0.85.
LEAST_SHARE = 0.5
_N_SAMPLES = 8192
_MOST_CELLS = 20_000_000  # hidden activations at a time
_FLOOR = 1e-6  # strengths below this share of the largest are rounding


@dataclass(frozen=True)
class Support:
    r"""The bits that a network uses, and what that was concluded from.

    Attributes:
        bits: the support, counted from 0, rising; empty if none was found.
        candidates: the bits that stand out in the weights the most, found or not.
        strength: of every bit, [bit]; see `bit_strength`.
        gap: the weakest candidate's strength over the strongest other bit's (infinite where others are 0).
        share: of the variance of sign f(x), x uniform, how much is a function of the candidates (estimated).
        walsh: for each set T of candidates, $E[\mathrm{sign} f(x) \prod_{i \in T} x_i]$ (estimated).
        error: standard error of these estimates, at most; 0 where all inputs were listed.
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
        """The Walsh coefficient of all candidates together: 1 if sign f is their parity."""
        return self.walsh[self.candidates]

    @property
    def why(self) -> str:
        """One line for people: what the answer stands on."""
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
    r"""$s_i = \sum_j |u_j|\, |W_{ij}|$, [bit]: flipping bit i moves the output by at most $2 s_i$.

    Rescaling a neuron ($cW_j, cb_j, u_j/c$) does not change it.

    Example:
        >>> from grokscope.circuits.constructions import proposition_2
        >>> bit_strength(proposition_2(n=4)).tolist()
        [42.0, 42.0, 60.0, 0.0]
    """
    weights = weights_of(network)
    return np.abs(weights.W) @ np.abs(weights.u)


def find_support(network: Any, *, n_samples: int = _N_SAMPLES, seed: int = 0) -> Support:
    r"""The input bits that a network on signs $\pm 1$ uses, from its weights alone.

    1. Bits are sorted by strength $s_i$ (`bit_strength`); the candidates are those above the largest ratio
       of neighbors, at most 12 of them.
    2. They stand out if the ratio is at least 2.
    3. They are the support if at least half of the variance of the prediction sign f(x) is a function of
       them: over x and x' uniform with the same candidate bits,
       $(E[\mathrm{sign} f(x)\, \mathrm{sign} f(x')] - E[\mathrm{sign} f]^2) / (1 - E[\mathrm{sign} f]^2)$.

    Where no few bits stand out because all are used (at most 12), the support is all of them if the
    predictions are mostly their parity (a Walsh coefficient of $\sqrt{1/2}$ or more). No data, label or
    number of hidden bits goes in; the inputs of step 3 are drawn here.

    Args:
        network: one hidden layer of relu, one output.
        n_samples: random inputs for the cross-check (each drawn once more beside its candidate bits). With
            at most 12 bits in all, every input is taken instead.
        seed: of these inputs.

    Raises:
        InputError: if the network is not one hidden layer of relu with one output.

    Example:
        >>> from grokscope.circuits.constructions import proposition_3
        >>> found = find_support(proposition_3(n=40, bits=(7, 20, 31)))
        >>> found.bits, found.gap, found.parity
        ((7, 20, 31), inf, 1.0)
    """
    weights = weights_of(network)
    strength = bit_strength(weights)
    if not weights.are_finite:
        return Support((), (), strength, math.nan, math.nan, {(): math.nan}, math.nan)
    candidates, gap = _standing_out(strength)
    check = _check(weights, candidates, n_samples, seed)
    if gap >= LEAST_GAP and check.share >= LEAST_SHARE:
        return Support(candidates, candidates, strength, gap, *check)
    everything = tuple(range(len(strength)))
    if len(everything) <= MOST_BITS:
        whole = _check(weights, everything, n_samples, seed)
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


class _Check(NamedTuple):
    share: float
    walsh: dict[tuple[int, ...], float]
    error: float


def _standing_out(strength: np.ndarray) -> tuple[tuple[int, ...], float]:
    """The bits above the largest ratio of neighbors in falling strength, rising, and that ratio."""
    order = np.argsort(-strength, kind="stable")
    sorted_ = np.maximum(strength[order], _FLOOR * strength.max())
    most = min(MOST_BITS, len(strength) - 1)
    if most == 0 or not strength.any():
        return (int(order[0]),), 1.0
    size = int(np.argmax(sorted_[:most] / sorted_[1 : most + 1])) + 1
    other = strength[order[size]]
    gap = float(strength[order[size - 1]] / other) if other > 0 else math.inf
    return tuple(sorted(order[:size].tolist())), gap


def _check(weights: Weights, bits: tuple[int, ...], n_samples: int, seed: int) -> _Check:
    """How much of sign f is a function of some bits, and which: by sampling, or over all inputs."""
    n = len(weights.W)
    if n <= MOST_BITS:
        x = settings_of(n)
        g = _signs(weights, x)
        cells = np.bincount(_codes(x, bits), g, minlength=2 ** len(bits)) / len(x)
        together = float((cells**2).sum()) * 2 ** len(bits)
        error = 0.0
    else:
        generator = np.random.default_rng(seed)
        x, again = 1.0 - 2.0 * generator.integers(0, 2, (2, n_samples, n))
        again[:, list(bits)] = x[:, list(bits)]
        g = _signs(weights, x)
        cells = np.bincount(_codes(x, bits), g, minlength=2 ** len(bits)) / n_samples
        together = float(np.mean(g * _signs(weights, again)))
        error = 1 / math.sqrt(n_samples)
    variance = float(np.mean(g**2)) - float(np.mean(g)) ** 2
    share = (together - float(np.mean(g)) ** 2) / variance if variance > 0 else 0.0
    return _Check(share, _spectrum(cells, bits), error)


def _signs(weights: Weights, x: np.ndarray) -> np.ndarray:
    rows = max(1, _MOST_CELLS // max(1, len(weights.u)))
    pieces = [np.sign(weights.outputs(x[low : low + rows])) for low in range(0, len(x), rows)]
    return np.concatenate(pieces)


def _codes(x: np.ndarray, bits: tuple[int, ...]) -> np.ndarray:
    """The position of each row's setting of some bits in `settings_of`."""
    place = 2 ** np.arange(len(bits))[::-1]
    return ((x[:, list(bits)] < 0) @ place).astype(np.int64)


def _spectrum(cells: np.ndarray, bits: tuple[int, ...]) -> dict[tuple[int, ...], float]:
    """The sum of values times each product of bits, from the values at each setting."""
    table = cells.reshape((2,) * len(bits))
    for axis in range(len(bits)):
        plus, minus = np.take(table, 0, axis), np.take(table, 1, axis)
        table = np.stack([plus + minus, plus - minus], axis)
    return {
        tuple(bit for bit, inside in zip(bits, index, strict=True) if inside): float(value)
        for index, value in np.ndenumerate(table)
    }
