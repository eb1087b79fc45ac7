r"""Lower bounds of the output over subcubes, and which bit to split. In floats: nothing here is trusted.

One line stands below each neuron's contribution (``certificate.py`` says why): its chord where the
contribution is concave ($v_j < 0$), and a line of slope in $[0, v_j]$ where it is convex. These slopes are
chosen once for each setting of the support, by ascent in the dual of the triangle relaxation, and
kept in all its subcubes. Only the sum of the lines is bounded, so that what cancels between neurons does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from grokscope.circuits.verification.problem import Problem

__all__ = ["Bounds", "Relaxation", "Split", "is_curved", "precision"]

_ASCENT = 200  # steps; most networks that can be proved without splitting need about 20
_LOOSEST = 64  # neurons that a trial split looks at; the lines of the others stay
_CANDIDATES = 10  # bits that are tried at each node
_LEAST_GAIN = 1e-4  # so that a split that helps one half only is compared by that half
_MOST_PRODUCTS = 20_000_000
_SMALL = 4096  # weights up to which float64 costs nothing


class Bounds(NamedTuple):
    """What is known of some subcubes.

    Attributes:
        setting: of the support, [row].
        fixed: the other bits: +-1, or 0 where free, [row, other].
        bound: lower bound of y f(x), [row].
        q: slopes of the lines, [row, neuron].
        t: their values at 0, [row, neuron].
        center, reach: pre-activations lie within center +- reach, [row, neuron].
        slope: of the summed line, 0 at fixed bits, [row, other].
    """

    setting: Int[np.ndarray, " row"]
    fixed: Float[np.ndarray, "row other"]
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
        """Where the summed line is lowest: a good place to look for a counterexample."""
        return np.where(self.fixed != 0, self.fixed, np.where(self.slope > 0, -1.0, 1.0))


class Split(NamedTuple):
    """The bit that each subcube is split along, and bounds of its halves (+1 first), [row] and [row, 2]."""

    bit: Int[np.ndarray, " row"]
    bound: Float[np.ndarray, "row 2"]


@dataclass(frozen=True, eq=False)
class Relaxation:
    """The arrays of a problem, laid out for products of many subcubes at once.

    Attributes:
        A, AT: weights of the other bits and their transpose.
        size, transposed_size: their absolute values.
        B, v: [setting, neuron].
        slopes: of the lines below convex contributions, as a share of v, [setting, neuron].
        pairs: of other bits, each once, [2, pair].
        products: of the weights of a pair, [neuron, pair]; None without curves.
    """

    A: np.ndarray
    AT: np.ndarray
    size: np.ndarray
    transposed_size: np.ndarray
    B: np.ndarray
    v: np.ndarray
    slopes: np.ndarray
    pairs: Int[np.ndarray, "2 pair"]
    products: np.ndarray | None

    @classmethod
    def of(cls, problem: Problem, goal: float) -> Relaxation:
        """Choose the slopes.

        Args:
            problem: what is to be proved.
            goal: the bound that is hoped for.
        """
        dtype = precision(problem)
        A, B, v = (np.ascontiguousarray(array, dtype) for array in (problem.A, problem.B, problem.v))
        AT = np.ascontiguousarray(A.T)
        size, transposed_size = np.abs(A), np.abs(AT)
        slopes = _best_slopes(A, AT, B, v, size.sum(axis=0), goal)
        pairs = np.array(np.triu_indices(len(A), 1))
        products = AT[:, pairs[0]] * AT[:, pairs[1]] if is_curved(problem) else None
        return cls(A, AT, size, transposed_size, B, v, slopes, pairs, products)

    def bounds(self, setting: np.ndarray, fixed: np.ndarray) -> Bounds:
        """The bounds of subcubes."""
        fixed = fixed.astype(self.A.dtype)
        free = (fixed == 0).astype(self.A.dtype)
        center = self.B[setting] + fixed @ self.A
        reach = free @ self.size
        q, t = _lines(center, reach, self.v[setting], self.slopes[setting])
        slope = (q @ self.AT) * free
        bound = np.einsum("rj,rj->r", q, center) + t.sum(axis=1) - np.abs(slope).sum(axis=1)
        bound += self._curves(free, center, reach, t)
        return Bounds(setting, fixed, bound, q, t, center, reach, slope)

    def _curves(self, free: np.ndarray, center: np.ndarray, reach: np.ndarray, t: np.ndarray) -> np.ndarray:
        r"""What is gained by parabolas below concave contributions instead of chords, [row].

        $w_j (R_j^2 - (A_j \cdot x)^2)$ can be added to a chord that is $-t_j$ below at 0: ``certificate.py``.
        """
        if self.products is None:
            return np.zeros(len(t), t.dtype)
        reach = np.maximum(reach, 1e-30)  # where it is 0, t is too
        w = -t / (2 * reach * (np.abs(center) + reach))
        constant = np.einsum("rj,rj->r", w, np.square(reach) - free @ np.square(self.A))
        mixed = (w @ self.products) * (free[:, self.pairs[0]] * free[:, self.pairs[1]])
        return np.maximum(constant - 2 * np.abs(mixed).sum(axis=1), 0)

    def split(self, parts: Bounds, goal: float) -> Split:
        r"""Choose a bit for each subcube by trying the likeliest on the loosest neurons.

        The bit with the largest product of what both halves gain (up to the goal) is taken.
        """
        rows = np.arange(len(parts.bound))
        v = self.v[parts.setting]
        low, high = parts.center - parts.reach, parts.center + parts.reach
        between = (low < 0) & (high > 0)
        reach = np.where(between, parts.reach, 1)
        # the largest distance of a triangle's sides, and how fast it falls with the reach
        gap = np.where(between, np.abs(v) * -low * high / (2 * reach), 0)
        fall = np.where(between, np.abs(v) * (1 + np.square(parts.center / reach)) / 2, 0)
        score = (fall @ self.transposed_size) * (parts.fixed == 0) - (parts.fixed != 0)
        bits = _largest(score, _CANDIDATES)
        loosest = _largest(gap, _LOOSEST)
        AT = self.AT[loosest]  # [row, neuron, other]
        at, chosen = rows[:, None], np.take_along_axis(AT, bits[:, None, :], axis=2).transpose(0, 2, 1)
        q, t, center = parts.q[at, loosest], parts.t[at, loosest], parts.center[at, loosest]
        chords = np.einsum("rj,rj->r", parts.q, parts.center) + parts.t.sum(axis=1)
        before = (chords - np.abs(parts.slope).sum(axis=1))[:, None, None]
        rest = chords - np.einsum("rj,rj->r", q, center) - t.sum(axis=1)
        rest_slope = parts.slope - (q[:, None] @ AT)[:, 0] * (parts.fixed == 0)
        sign = np.array([1, -1], self.A.dtype)[:, None, None]
        # [row, half, bit, neuron]
        center = center[:, None, None] + sign * chosen[:, None]
        reach = (parts.reach[at, loosest][:, None] - np.abs(chosen))[:, None]
        share = self.slopes[parts.setting][at, loosest][:, None, None]
        q, t = _lines(center, reach, v[at, loosest][:, None, None], share)
        shape = (len(rows), 2 * bits.shape[1], -1)
        slope = (q.reshape(shape) @ AT + rest_slope[:, None]) * (parts.fixed == 0)[:, None]
        slope = slope.reshape(len(rows), 2, bits.shape[1], -1)
        own = np.take_along_axis(slope, bits[:, None, :, None], axis=3)[..., 0]
        line = sign[..., 0] * np.take_along_axis(rest_slope, bits, axis=1)[:, None]
        bound = np.einsum("rhbj,rhbj->rhb", q, center) + t.sum(axis=3) + rest[:, None, None] + line
        bound -= np.abs(slope).sum(axis=3) - np.abs(own)
        most = (goal - parts.bound)[:, None, None]
        gain = np.maximum(np.minimum(bound - before, most), _LEAST_GAIN)
        product = np.where(np.take_along_axis(parts.fixed, bits, axis=1) == 0, gain.prod(axis=1), -1)
        best = product.argmax(axis=1)
        return Split(bits[rows, best], np.maximum(bound[rows, :, best], parts.bound[:, None]))


def is_curved(problem: Problem) -> bool:
    """Whether the products of pairs of weights are few enough to be kept."""
    n_others, width = problem.A.shape
    return n_others * (n_others - 1) // 2 * width <= _MOST_PRODUCTS


def precision(problem: Problem) -> type[np.floating[Any]]:
    """The floats that bounds are computed in.

    For large networks float32, half the memory traffic: the bounds are checked exactly at the end.
    """
    return np.float64 if problem.A.size <= _SMALL else np.float32


def _lines(
    center: np.ndarray, reach: np.ndarray, v: np.ndarray, slopes: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Slopes and values at 0 of the lines below v relu(z), z within center +- reach."""
    low, high = center - reach, center + reach
    between = (low < 0) & (high > 0)
    share = np.where(between, high / np.where(between, 2 * reach, 1), low >= 0)
    q = v * np.where(between & (v > 0), slopes, share)
    return q, np.where(between & (v < 0), -q * low, 0)


def _largest(values: np.ndarray, count: int) -> np.ndarray:
    """The positions of the largest values of each row."""
    if values.shape[1] <= count:
        return np.broadcast_to(np.arange(values.shape[1]), values.shape)
    return np.argpartition(-values, count - 1, axis=1)[:, :count]


def _best_slopes(
    A: np.ndarray, AT: np.ndarray, B: np.ndarray, v: np.ndarray, reach: np.ndarray, goal: float
) -> np.ndarray:
    r"""Ascent in the bound of whole cubes, with steps of Polyak's length (goal - bound) / |g|^2.

    The derivative of the bound in $q_j$ is the pre-activation at the corner where the summed line is lowest.
    """
    chord = np.clip((B + reach) / np.where(reach > 0, 2 * reach, 1), 0, 1)
    q, t = _lines(B, np.broadcast_to(reach, B.shape), v, chord)
    moves: Bool[np.ndarray, "setting neuron"] = (np.abs(B) < reach) & (v > 0)
    constant, best, most = t.sum(axis=1), q, np.full(len(q), -np.inf)
    for _ in range(_ASCENT):
        slope = q @ AT
        bound = np.einsum("sj,sj->s", q, B) + constant - np.abs(slope).sum(axis=1)
        best, most = np.where((bound > most)[:, None], q, best), np.maximum(most, bound)
        if (most >= goal).all():
            break
        gradient = np.where(moves, B - np.sign(slope) @ A, 0)
        gradient = np.where((gradient > 0) & (q >= v) | (gradient < 0) & (q <= 0), 0, gradient)
        length = np.square(gradient).sum(axis=1)
        step = np.where(length > 0, np.maximum(goal - bound, 0) / np.where(length > 0, length, 1), 0)
        q = np.where(moves, np.clip(q + step[:, None].astype(q.dtype) * gradient, 0, np.maximum(v, 0)), q)
    return np.where(moves, best / np.where(moves, v, 1), 0).astype(A.dtype)
