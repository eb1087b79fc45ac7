"""Search for a counterexample, and for a cover of the cube by subcubes with positive lower bounds.

`search` minimizes y f(x) by flips of single bits from random inputs. `cover` is branch and bound: it splits
the subcube with the lowest bound until all bounds are high enough. Neither has to be trusted: a
counterexample and a cover are checked exactly by ``certificate.py``.
"""

from __future__ import annotations

import heapq
import time
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from grokscope.circuits.verification.certificate import Certificate
from grokscope.circuits.verification.problem import VerificationProblem
from grokscope.circuits.verification.relaxation import Bounds, Relaxation

__all__ = ["Cover", "LowestPoints", "cover", "evaluate", "search"]

_RESTARTS = 32  # starting points for each setting of the support
_MOST_SWEEPS = 8  # over all bits; nearly all points stop moving after four
_MOST_CELLS = 500_000  # hidden activations at a time, so that they stay in the processor's cache
_BATCH = 64  # subcubes at a time
_MOST_SLOPES = 500_000_000  # slopes in memory, one byte each


class LowestPoints(NamedTuple):
    """The input with the lowest y f(x) found so far, for each setting of the support.

    Attributes:
        value: y f(x), [setting].
        x: the other bits, [setting, other].
    """

    value: Float[np.ndarray, " setting"]
    x: Float[np.ndarray, "setting other"]


def search(problem: VerificationProblem, seed: int = 0) -> LowestPoints:
    """Minimize y f(x) from random inputs by flips of single bits, in random order, until no flip helps."""
    generator = np.random.default_rng(seed)
    n_settings, width = problem.B.shape
    at_a_time = max(1, _MOST_CELLS // (_RESTARTS * max(1, width)))
    parts = [
        _descend(problem, np.arange(start, min(start + at_a_time, n_settings)), generator)
        for start in range(0, n_settings, at_a_time)
    ]
    return LowestPoints(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def evaluate(
    problem: VerificationProblem, setting: np.ndarray, x: Float[np.ndarray, "row other"]
) -> Float[np.ndarray, " row"]:
    """The output y f(x) of each row, a setting of the support and the other bits."""
    z = x @ problem.A + problem.B[setting]
    return problem.target[setting] * (np.maximum(z, 0.0) @ problem.weights.u)


def _descend(
    problem: VerificationProblem, settings: np.ndarray, generator: np.random.Generator
) -> LowestPoints:
    A, u = problem.A, problem.weights.u
    n_others = len(A)
    setting = np.repeat(settings, _RESTARTS)
    y = problem.target[setting]
    x = generator.choice([-1.0, 1.0], (len(setting), n_others))
    z = x @ A + problem.B[setting]
    value = y * (np.maximum(z, 0.0) @ u)
    for _ in range(_MOST_SWEEPS):
        moved = False
        for bit in generator.permutation(n_others).tolist():
            flipped = z - 2.0 * x[:, bit, None] * A[bit]
            other = y * (np.maximum(flipped, 0.0) @ u)
            better = other < value
            if better.any():
                moved = True
                z[better], value[better] = flipped[better], other[better]
                x[better, bit] *= -1.0
        if not moved:
            break
    # computed anew: the updates of single flips have accumulated rounding errors
    value = evaluate(problem, setting, x).reshape(len(settings), _RESTARTS)
    best = value.argmin(axis=1)
    rows = np.arange(len(settings))
    return LowestPoints(value[rows, best], x.reshape(len(settings), _RESTARTS, n_others)[rows, best])


class Cover(NamedTuple):
    """The result of branch and bound.

    Attributes:
        certificate: the subcubes and their slopes.
        found: the lowest points found, including those of the search before.
    """

    certificate: Certificate
    found: LowestPoints


class _Tree:
    """All subcubes so far, split or not, in arrays that grow by doubling."""

    def __init__(self, roots: Bounds) -> None:
        self.size = len(roots.setting)
        self.setting = roots.setting
        self.fixed = roots.fixed.astype(np.int8)
        self.shares = roots.shares
        self.bit = np.full(self.size, -1)
        self.child = np.full((self.size, 2), -1)

    def split(self, nodes: Int[np.ndarray, " row"], bits: Int[np.ndarray, " row"]) -> np.ndarray:
        """Split nodes along bits; returns the new nodes, [row, 2]."""
        children = self.size + np.arange(2 * len(nodes)).reshape(-1, 2)
        self.size += children.size
        while self.size > len(self.bit):
            self.setting, self.fixed, self.shares, self.bit, self.child = (
                np.concatenate([array, np.empty_like(array)])
                for array in (self.setting, self.fixed, self.shares, self.bit, self.child)
            )
        self.bit[nodes], self.child[nodes] = bits, children
        self.bit[children], self.child[children] = -1, -1
        for half, sign in ((0, 1), (1, -1)):
            new = children[:, half]
            self.setting[new], self.fixed[new] = self.setting[nodes], self.fixed[nodes]
            self.shares[new] = self.shares[nodes]
            self.fixed[new, bits] = sign
        return children

    def certificate(self, *, curved: bool) -> Certificate:
        bit, child = self.bit[: self.size], self.child[: self.size]
        return Certificate(bit.copy(), child.copy(), self.shares[: self.size][bit < 0], curved)


def cover(
    problem: VerificationProblem,
    found: LowestPoints,
    *,
    enough: float,
    zero: float,
    gap: float,
    most_nodes: int,
    deadline: float,
) -> Cover:
    """Split subcubes until the problem is decided, then sharpen the bound.

    Args:
        problem: to be proved.
        found: the lowest points found by `search`.
        enough: bound at which a subcube counts as proved.
        zero: a point with y f(x) at most this counts as a counterexample and ends the search.
        gap: a subcube is not split further if its bound is within this share of the lowest point found.
        most_nodes: number of nodes at which to stop once the problem is decided.
        deadline: time at which to stop in any case (``time.perf_counter``).
    """
    values, points = found.value.copy(), found.x.copy()
    goal = max(enough, (1.0 - gap) * float(values.min()))
    relaxation = Relaxation.of(problem)
    roots = relaxation.whole(goal)
    tree = _Tree(roots)
    heap = list(zip(roots.bound.tolist(), range(tree.size), strict=True))
    heapq.heapify(heap)
    full = _MOST_SLOPES // max(1, roots.shares.shape[1])
    lowest_done = np.inf  # lowest bound of the subcubes that are not split further
    while heap and tree.size < full and time.perf_counter() < deadline:
        if min(lowest_done, heap[0][0]) > enough and tree.size >= most_nodes:
            break
        taken = [heapq.heappop(heap) for _ in range(min(_BATCH, len(heap)))]
        least, nodes = (np.array(column) for column in zip(*taken, strict=True))
        parts = relaxation.bounds(tree.setting[nodes], tree.fixed[nodes], tree.shares[nodes], goal)
        parts = parts._replace(bound=np.maximum(parts.bound, least))
        tree.shares[nodes] = parts.shares
        corner = parts.corner.astype(np.float64)
        _keep_lowest(values, points, parts.setting, evaluate(problem, parts.setting, corner), corner)
        if values.min() <= zero:
            break
        goal = max(enough, (1.0 - gap) * float(values.min()))
        good = (parts.bound >= goal) | (parts.fixed != 0).all(axis=1)
        lowest_done = min(lowest_done, float(parts.bound[good].min(initial=np.inf)))
        if good.all():
            continue
        parts = parts.rows(~good)
        split = relaxation.split(parts, goal)
        children = tree.split(nodes[~good], split.bit)
        for bound, child in zip(split.bound.ravel().tolist(), children.ravel().tolist(), strict=True):
            if bound >= goal:
                lowest_done = min(lowest_done, bound)
            else:
                heapq.heappush(heap, (bound, child))
    return Cover(tree.certificate(curved=relaxation.products is not None), LowestPoints(values, points))


def _keep_lowest(
    values: Float[np.ndarray, " setting"],
    points: Float[np.ndarray, "setting other"],
    setting: Int[np.ndarray, " row"],
    value: Float[np.ndarray, " row"],
    x: Float[np.ndarray, "row other"],
) -> None:
    """Replace, in place, the points of settings for which a lower one is given."""
    order = np.argsort(-value, kind="stable")  # of several points of one setting the lowest is written last
    order = order[value[order] < values[setting[order]]]
    values[setting[order]], points[setting[order]] = value[order], x[order]
