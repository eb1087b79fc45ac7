"""Cutting the cube into subcubes, the one with the lowest bound first, until every bound is good enough."""

from __future__ import annotations

import heapq
import time
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from grokscope.circuits.verification.certificate import Certificate
from grokscope.circuits.verification.problem import Problem
from grokscope.circuits.verification.relaxation import Bounds, Relaxation
from grokscope.circuits.verification.search import Found, evaluate

__all__ = ["Cover", "cover"]

_BATCH = 64  # subcubes at a time
_MOST_CELLS = 500_000_000  # slopes that are kept, a byte each


class Cover(NamedTuple):
    """What the cutting came to.

    Attributes:
        certificate: the subcubes.
        found: the lowest points seen, those of the search included.
    """

    certificate: Certificate
    found: Found


class _Tree:
    """The subcubes so far, cut or not, in arrays that grow by doubling."""

    def __init__(self, roots: Bounds) -> None:
        self.size = len(roots.setting)
        self.setting = roots.setting
        self.fixed = roots.fixed.astype(np.int8)
        self.shares = roots.shares
        self.bit = np.full(self.size, -1)
        self.child = np.full((self.size, 2), -1)

    def cut(self, nodes: Int[np.ndarray, " row"], bits: Int[np.ndarray, " row"]) -> np.ndarray:
        """Cut along bits; returns the new nodes, [row, 2]."""
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
    problem: Problem,
    found: Found,
    *,
    enough: float,
    zero: float,
    gap: float,
    most_nodes: int,
    deadline: float,
) -> Cover:
    """Cut until it is decided, then sharpen the bound.

    Args:
        problem: what is to be proved.
        found: the lowest points known.
        enough: a bound from which on it is decided.
        zero: a point with y f(x) up to this is taken to be a counterexample; then it ends.
        gap: a subcube is not cut any more if its bound is within this share of the lowest point found.
        most_nodes: after it is decided, cut no further than to so many nodes.
        deadline: when to stop in any case (``time.perf_counter``).
    """
    values, points = found.value.copy(), found.x.copy()
    goal = max(enough, (1.0 - gap) * float(values.min()))
    relaxation = Relaxation.of(problem)
    roots = relaxation.whole(goal)
    tree = _Tree(roots)
    heap = list(zip(roots.bound.tolist(), range(tree.size), strict=True))
    heapq.heapify(heap)
    full = _MOST_CELLS // max(1, roots.shares.shape[1])
    lowest_done = np.inf  # of the subcubes that are cut no more
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
        children = tree.cut(nodes[~good], split.bit)
        for bound, child in zip(split.bound.ravel().tolist(), children.ravel().tolist(), strict=True):
            if bound >= goal:
                lowest_done = min(lowest_done, bound)
            else:
                heapq.heappush(heap, (bound, child))
    return Cover(tree.certificate(curved=relaxation.products is not None), Found(values, points))


def _keep_lowest(
    values: Float[np.ndarray, " setting"],
    points: Float[np.ndarray, "setting other"],
    setting: Int[np.ndarray, " row"],
    value: Float[np.ndarray, " row"],
    x: Float[np.ndarray, "row other"],
) -> None:
    """Note points that are lower than those known of their settings."""
    order = np.argsort(-value, kind="stable")  # of several of one setting, the lowest is written last
    order = order[value[order] < values[setting[order]]]
    values[setting[order]], points[setting[order]] = value[order], x[order]
