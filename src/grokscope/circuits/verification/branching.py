"""Cutting the cube into subcubes, the one with the lowest bound first, until every bound is good enough."""

from __future__ import annotations

import time
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from grokscope.circuits.verification.certificate import Certificate
from grokscope.circuits.verification.problem import Problem
from grokscope.circuits.verification.relaxation import Relaxation
from grokscope.circuits.verification.search import Found, evaluate

__all__ = ["Cover", "cover"]

_BATCH = 64  # subcubes at a time


class Cover(NamedTuple):
    """What the cutting came to.

    Attributes:
        certificate: the subcubes.
        bound: in floats, the lowest of all subcubes.
        found: the lowest points seen, those of the search included.
    """

    certificate: Certificate
    bound: float
    found: Found


class _Tree:
    """The nodes so far; grows by pairs."""

    def __init__(self, n_settings: int) -> None:
        self._bit = [np.full(n_settings, -1)]
        self._parents: list[np.ndarray] = []
        self._size = n_settings

    def grow(self, parents: Int[np.ndarray, " row"], bits: Int[np.ndarray, " row"]) -> np.ndarray:
        """Split nodes along bits; returns the new nodes, [row, 2]."""
        children = self._size + np.arange(2 * len(parents)).reshape(-1, 2)
        self._parents.append(np.column_stack([parents, bits, children]))
        self._size += children.size
        return children

    def certificate(self, slopes: np.ndarray) -> Certificate:
        bit, child = np.full(self._size, -1), np.full((self._size, 2), -1)
        for grown in self._parents:
            bit[grown[:, 0]], child[grown[:, 0]] = grown[:, 1], grown[:, 2:]
        return Certificate(slopes, bit, child)


class _Open(NamedTuple):
    """Subcubes whose bound is not good enough yet."""

    bound: Float[np.ndarray, " row"]
    node: Int[np.ndarray, " row"]
    setting: Int[np.ndarray, " row"]
    fixed: Float[np.ndarray, "row other"]

    def rows(self, chosen: np.ndarray) -> _Open:
        return _Open(*(column[chosen] for column in self))

    def joined(self, more: _Open) -> _Open:
        return _Open(*(np.concatenate(pair) for pair in zip(self, more, strict=True)))


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
        zero: a point with y f(x) up to this is taken to be a counterexample.
        gap: a subcube is not cut any more if its bound is within this share of the lowest point found.
        most_nodes: after it is decided, cut no further than to so many nodes.
        deadline: when to stop in any case (``time.perf_counter``).

    Returns:
        The cover; it ends early where such a point is met.
    """
    values, points = found.value.copy(), found.x.copy()
    goal = max(enough, (1.0 - gap) * float(values.min()))
    relaxation = Relaxation.of(problem, goal)
    n_settings = len(problem.settings)
    tree = _Tree(n_settings)
    every = np.arange(n_settings)
    fixed = np.zeros((n_settings, len(problem.others)), relaxation.A.dtype)
    heap = _Open(np.full(n_settings, -np.inf), every, every, fixed)
    done = np.inf  # lowest bound of those that are not looked at any more
    n_nodes = n_settings
    while len(heap.bound):
        lowest = min(done, float(heap.bound.min()))
        if (lowest > enough and n_nodes >= most_nodes) or time.perf_counter() > deadline:
            break
        now, heap = _take(heap)
        parts = relaxation.bounds(now.setting, now.fixed)
        parts = parts._replace(bound=np.maximum(parts.bound, now.bound))
        corner = parts.corner.astype(np.float64)
        _keep_lowest(values, points, now.setting, evaluate(problem, now.setting, corner), corner)
        if values.min() <= zero:
            heap = heap.joined(now._replace(bound=parts.bound))
            break
        goal = max(enough, (1.0 - gap) * float(values.min()))
        good = (parts.bound >= goal) | (parts.fixed != 0).all(axis=1)
        done = min(done, float(parts.bound[good].min(initial=np.inf)))
        if good.all():
            continue
        now, parts = now.rows(~good), parts.rows(~good)
        split = relaxation.split(parts, goal)
        children = tree.grow(now.node, split.bit)
        n_nodes += children.size
        heap = heap.joined(_halves(now, split.bit, split.bound, children))
        good = heap.bound >= goal
        done = min(done, float(heap.bound[good].min(initial=np.inf)))
        heap = heap.rows(~good)
    bound = min(done, float(heap.bound.min(initial=np.inf)))
    slopes = relaxation.slopes.astype(np.float64)
    return Cover(tree.certificate(slopes), bound, Found(values, points))


def _take(heap: _Open) -> tuple[_Open, _Open]:
    """The subcubes with the lowest bounds, and the others."""
    if len(heap.bound) <= _BATCH:
        return heap, heap.rows(np.zeros(len(heap.bound), dtype=bool))
    lowest: Bool[np.ndarray, " row"] = np.zeros(len(heap.bound), dtype=bool)
    lowest[np.argpartition(heap.bound, _BATCH)[:_BATCH]] = True
    return heap.rows(lowest), heap.rows(~lowest)


def _halves(now: _Open, bit: np.ndarray, bound: np.ndarray, children: np.ndarray) -> _Open:
    rows = np.arange(len(bit))
    fixed = [now.fixed.copy(), now.fixed.copy()]
    fixed[0][rows, bit], fixed[1][rows, bit] = 1.0, -1.0
    return _Open(
        bound.T.reshape(-1),
        children.T.reshape(-1),
        np.concatenate([now.setting, now.setting]),
        np.concatenate(fixed),
    )


def _keep_lowest(
    values: np.ndarray, points: np.ndarray, setting: np.ndarray, value: np.ndarray, x: np.ndarray
) -> None:
    """Note points that are lower than those known of their settings."""
    order = np.argsort(-value, kind="stable")  # of several of one setting, the lowest is written last
    order = order[value[order] < values[setting[order]]]
    values[setting[order]], points[setting[order]] = value[order], x[order]
