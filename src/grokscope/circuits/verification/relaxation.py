r"""Lower bounds of the output over subcubes, and the bit to split a subcube along.

Computed in floats and not trusted: ``certificate.py`` checks the result. Each neuron's contribution is
bounded from below by a line (``certificate.py`` has the proof): its chord if the contribution is concave
($v_j < 0$), a line of slope in $[0, v_j]$ if it is convex. Only the sum of the lines is minimized, so
contributions of different neurons can cancel. The slopes maximize the bound by ascent in the dual of the
triangle relaxation: from scratch for the whole cube, by a few more steps in each subcube. Parabolas below the
concave contributions add to the bound of the lines.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int, UInt8

from grokscope.circuits.verification.certificate import SLOPES
from grokscope.circuits.verification.problem import VerificationProblem

__all__ = ["BitSplit", "Bounds", "Relaxation", "precision"]

_ASCENT = 200  # most steps for whole cubes; networks that are proved without a split mostly need about 20
_MORE = 4  # most steps for a subcube, from its parent's slopes
_LENGTH = 0.3  # length of these steps, as a share of Polyak's
_LOOSEST = 64  # neurons whose lines a trial split recomputes; the lines of the others stay
_CANDIDATES = 16  # bits that are tried at each node
_LEAST_GAIN = 1e-4  # lowest gain of a half: a split that helps one half only still gets a positive product
_MOST_PRODUCTS = 20_000_000  # numbers that are kept for parabolas
_SMALL = 4096  # weights up to which float64 is as fast as float32


class Bounds(NamedTuple):
    """Lower bounds on some subcubes, and the lines they come from.

    Attributes:
        setting: of the support, [row].
        fixed: the other bits: +-1, or 0 if free, [row, other].
        shares: slopes of the lines below convex contributions, in 255ths of v, [row, neuron].
        bound: lower bound of y f(x), [row].
        q: slopes of the lines, [row, neuron].
        t: their values at 0, [row, neuron].
        center, reach: pre-activations lie within center +- reach, [row, neuron].
        slope: of the summed line, 0 at fixed bits, [row, other].
    """

    setting: Int[np.ndarray, " row"]
    fixed: Float[np.ndarray, "row other"]
    shares: UInt8[np.ndarray, "row neuron"]
    bound: Float[np.ndarray, " row"]
    q: Float[np.ndarray, "row neuron"]
    t: Float[np.ndarray, "row neuron"]
    center: Float[np.ndarray, "row neuron"]
    reach: Float[np.ndarray, "row neuron"]
    slope: Float[np.ndarray, "row other"]

    def rows(self, chosen: np.ndarray) -> Bounds:
        """Some of the subcubes."""
        return Bounds(*(column[chosen] for column in self))

    @property
    def corner(self) -> Float[np.ndarray, "row other"]:
        """The corner of each subcube at which the summed line is lowest, a candidate counterexample."""
        return np.where(self.fixed != 0, self.fixed, np.where(self.slope > 0, -1.0, 1.0))


class BitSplit(NamedTuple):
    """The bit that each subcube is split along, [row], and bounds of its halves (+1 first), [row, 2]."""

    bit: Int[np.ndarray, " row"]
    bound: Float[np.ndarray, "row 2"]


@dataclass(frozen=True, eq=False)
class Relaxation:
    """The arrays of a problem, in a layout for matrix products over many subcubes.

    Attributes:
        A, AT: weights of the other bits and their transpose.
        size, transposed_size: the absolute values of A and AT.
        B, v: [setting, neuron].
        pairs: all pairs of other bits, [2, pair].
        products: $A_{ij} A_{kj}$ of each pair (i, k), [neuron, pair]; None without parabolas.
    """

    A: np.ndarray
    AT: np.ndarray
    size: np.ndarray
    transposed_size: np.ndarray
    B: np.ndarray
    v: np.ndarray
    pairs: Int[np.ndarray, "2 pair"]
    products: np.ndarray | None

    @classmethod
    def of(cls, problem: VerificationProblem) -> Relaxation:
        """Lay out the arrays of a problem."""
        dtype = precision(problem)
        A, B, v = (np.ascontiguousarray(array, dtype) for array in (problem.A, problem.B, problem.v))
        AT = np.ascontiguousarray(A.T)
        pairs = np.array(np.triu_indices(len(A), 1))
        few = pairs.shape[1] * A.shape[1] <= _MOST_PRODUCTS
        products = AT[:, pairs[0]] * AT[:, pairs[1]] if few else None
        return cls(A, AT, np.abs(A), np.abs(AT), B, v, pairs, products)

    def whole(self, goal: float) -> Bounds:
        """Bounds on the whole cube for each setting, with slopes from scratch."""
        setting = np.arange(len(self.B))
        reach = self.size.sum(axis=0)
        chord = np.clip((self.B + reach) / np.where(reach > 0, 2 * reach, 1), 0, 1)
        fixed = np.zeros((len(setting), len(self.A)), self.A.dtype)
        return self._ascended(self._lines(setting, fixed, _in_steps(chord)), goal, _ASCENT, 1.0)

    def bounds(self, setting: np.ndarray, fixed: np.ndarray, shares: np.ndarray, goal: float) -> Bounds:
        """Bounds on subcubes, with slopes that start from the given ones."""
        parts = self._lines(setting, fixed.astype(self.A.dtype), shares)
        return self._ascended(parts, goal, _MORE, _LENGTH)

    def _lines(self, setting: np.ndarray, fixed: np.ndarray, shares: np.ndarray) -> Bounds:
        free = (fixed == 0).astype(self.A.dtype)
        center = self.B[setting] + fixed @ self.A
        reach = free @ self.size
        q, t = _lines(center, reach, self.v[setting], _of_steps(shares, self.A.dtype))
        slope = (q @ self.AT) * free
        bound = np.einsum("rj,rj->r", q, center) + t.sum(axis=1) - np.abs(slope).sum(axis=1)
        bound += self._parabolas(free, center, reach, t)
        return Bounds(setting, fixed, shares, bound, q, t, center, reach, slope)

    def _parabolas(
        self, free: np.ndarray, center: np.ndarray, reach: np.ndarray, t: np.ndarray
    ) -> np.ndarray:
        r"""The gain of the bound by parabolas below concave contributions, instead of chords, [row].

        $w_j (R_j^2 - (A_j \cdot x)^2)$ can be added to a chord that lies $-t_j$ below the contribution at 0;
        proof in ``certificate.py``.
        """
        if self.products is None:
            return np.zeros(len(t), t.dtype)
        reach = np.maximum(reach, 1e-30)  # if it is 0, so is t
        w = -t / (2 * reach * (np.abs(center) + reach))
        constant = np.einsum("rj,rj->r", w, np.square(reach) - free @ np.square(self.A))
        mixed = (w @ self.products) * (free[:, self.pairs[0]] * free[:, self.pairs[1]])
        return np.maximum(constant - 2 * np.abs(mixed).sum(axis=1), 0)

    def _ascended(self, parts: Bounds, goal: float, steps: int, length: float) -> Bounds:
        r"""Ascent of the bound in the slopes, with Polyak's steps (goal - bound) g / |g|^2 times ``length``.

        The derivative g of the bound in $q_j$ is the pre-activation at the corner where the summed line is
        lowest.
        """
        v = self.v[parts.setting]
        moves = (np.abs(parts.center) < parts.reach) & (v > 0)
        per_step = np.where(moves, v, 0)
        free = parts.fixed == 0
        # the part of the bound that does not depend on q
        constant = (
            parts.bound + np.abs(parts.slope).sum(axis=1) - np.einsum("rj,rj->r", parts.q, parts.center)
        )
        best, q, slope, bound = parts, parts.q, parts.slope, parts.bound
        for _ in range(steps):
            missing = np.maximum(goal - bound, 0)
            if not missing.any():
                break
            gradient = np.where(moves, parts.center - np.sign(slope) @ self.A, 0)
            gradient[((gradient > 0) & (q >= v)) | ((gradient < 0) & (q <= 0))] = 0
            squared = np.square(gradient).sum(axis=1)
            step = length * missing / np.where(squared > 0, squared, np.inf)
            share = (q + step[:, None] * gradient) / np.where(moves, v, 1)
            shares = np.where(moves, _in_steps(share), parts.shares)
            q = np.where(moves, _of_steps(shares, v.dtype) * per_step, parts.q)
            slope = (q @ self.AT) * free
            bound = constant + np.einsum("rj,rj->r", q, parts.center) - np.abs(slope).sum(axis=1)
            better = bound > best.bound
            both = better[:, None]
            best = best._replace(
                shares=np.where(both, shares, best.shares),
                bound=np.where(better, bound, best.bound),
                q=np.where(both, q, best.q),
                slope=np.where(both, slope, best.slope),
            )
        return best

    def split(self, parts: Bounds, goal: float) -> BitSplit:
        """Choose the bit to split each subcube along, by trial splits of candidate bits.

        A trial recomputes the lines of the loosest neurons. The bit with the largest product of the gains of
        both halves (each counted up to the goal) is taken.
        """
        rows = np.arange(len(parts.bound))
        at = rows[:, None]
        bits, loosest = self._candidates(parts)
        AT = self.AT[loosest]  # [row, neuron, other]
        chosen = np.take_along_axis(AT, bits[:, None, :], axis=2).transpose(0, 2, 1)
        free = parts.fixed == 0
        q, t, center = parts.q[at, loosest], parts.t[at, loosest], parts.center[at, loosest]
        lines = np.einsum("rj,rj->r", parts.q, parts.center) + parts.t.sum(axis=1)
        before = (lines - np.abs(parts.slope).sum(axis=1))[:, None, None]
        rest = lines - np.einsum("rj,rj->r", q, center) - t.sum(axis=1)
        rest_slope = parts.slope - (q[:, None] @ AT)[:, 0] * free
        sign = np.array([1, -1], self.A.dtype)[:, None, None]
        # [row, half, bit, neuron]
        center = center[:, None, None] + sign * chosen[:, None]
        reach = (parts.reach[at, loosest][:, None] - np.abs(chosen))[:, None]
        v = self.v[parts.setting[:, None], loosest][:, None, None]
        share = _of_steps(parts.shares[at, loosest], self.A.dtype)[:, None, None]
        q, t = _lines(center, reach, v, share)
        shape = (len(rows), 2 * bits.shape[1], -1)
        slope = (q.reshape(shape) @ AT + rest_slope[:, None]) * free[:, None]
        slope = slope.reshape(len(rows), 2, bits.shape[1], -1)
        own = np.take_along_axis(slope, bits[:, None, :, None], axis=3)[..., 0]
        line = sign[..., 0] * np.take_along_axis(rest_slope, bits, axis=1)[:, None]
        bound = np.einsum("rhbj,rhbj->rhb", q, center) + t.sum(axis=3) + rest[:, None, None] + line
        bound -= np.abs(slope).sum(axis=3) - np.abs(own)
        most = (goal - parts.bound)[:, None, None]
        gain = np.maximum(np.minimum(bound - before, most), _LEAST_GAIN)
        product = np.where(np.take_along_axis(free, bits, axis=1), gain.prod(axis=1), -1)
        best = product.argmax(axis=1)
        return BitSplit(bits[rows, best], np.maximum(bound[rows, :, best], parts.bound[:, None]))

    def _candidates(self, parts: Bounds) -> tuple[np.ndarray, np.ndarray]:
        """Candidate bits, whose fixing narrows the triangles the most; neurons with the largest triangles."""
        v = np.abs(self.v[parts.setting])
        between = np.abs(parts.center) < parts.reach
        tilt = np.square(parts.center / np.where(between, parts.reach, 1))
        # the height of a triangle, and its derivative in the reach
        gap = np.where(between, v * parts.reach * (1 - tilt) / 2, 0)
        fall = np.where(between, v * (1 + tilt) / 2, 0)
        score = np.where(parts.fixed == 0, fall @ self.transposed_size, -1)
        return _largest(score, _CANDIDATES), _largest(gap, _LOOSEST)


def precision(problem: VerificationProblem) -> type[np.floating[Any]]:
    """The float type of the bounds: float32 for large networks, to halve the memory traffic.

    The bounds are checked exactly at the end.
    """
    return np.float64 if problem.A.size <= _SMALL else np.float32


def _lines(
    center: np.ndarray, reach: np.ndarray, v: np.ndarray, share: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Slopes and values at 0 of the lines below v relu(z), for z within center +- reach."""
    low, high = center - reach, center + reach
    between = (low < 0) & (high > 0)
    chord = np.where(between, high / np.where(between, 2 * reach, 1), low >= 0)
    q = v * np.where(between & (v > 0), share, chord)
    return q, np.where(between & (v < 0), -q * low, 0)


def _in_steps(share: np.ndarray) -> np.ndarray:
    return np.rint(np.clip(share, 0, 1) * SLOPES).astype(np.uint8)


def _of_steps(steps: np.ndarray, dtype: Any) -> np.ndarray:
    return steps.astype(dtype) / dtype.type(SLOPES)


def _largest(values: np.ndarray, count: int) -> np.ndarray:
    """The positions of the largest values of each row."""
    if values.shape[1] <= count:
        return np.broadcast_to(np.arange(values.shape[1]), values.shape)
    return np.argpartition(-values, count - 1, axis=1)[:, :count]
