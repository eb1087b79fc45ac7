"""Looking for a counterexample: many random inputs go downhill, one flipped bit at a time."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from grokscope.circuits.verification.problem import Problem

__all__ = ["Found", "evaluate", "search"]

_RESTARTS = 32  # starting points for each setting of the support
_MOST_SWEEPS = 8  # over all bits; nearly all points stop moving after four
_MOST_CELLS = 500_000  # hidden activations at a time: they stay in the cache


class Found(NamedTuple):
    """The lowest point found for each setting.

    Attributes:
        value: y f(x), [setting].
        x: the other bits, [setting, other].
    """

    value: Float[np.ndarray, " setting"]
    x: Float[np.ndarray, "setting other"]


def search(problem: Problem, seed: int = 0) -> Found:
    """Go downhill in y f(x) from random inputs by flips of single bits, in random order, until none helps."""
    generator = np.random.default_rng(seed)
    n_settings, width = problem.B.shape
    at_a_time = max(1, _MOST_CELLS // (_RESTARTS * max(1, width)))
    parts = [
        _descend(problem, np.arange(start, min(start + at_a_time, n_settings)), generator)
        for start in range(0, n_settings, at_a_time)
    ]
    return Found(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def evaluate(
    problem: Problem, setting: np.ndarray, x: Float[np.ndarray, "row other"]
) -> Float[np.ndarray, " row"]:
    """The value y f(x) of each row."""
    z = x @ problem.A + problem.B[setting]
    return problem.target[setting] * (np.maximum(z, 0.0) @ problem.weights.u)


def _descend(problem: Problem, settings: np.ndarray, generator: np.random.Generator) -> Found:
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
    # sums that were updated flip by flip have rounding errors of their own
    value = evaluate(problem, setting, x).reshape(len(settings), _RESTARTS)
    best = value.argmin(axis=1)
    rows = np.arange(len(settings))
    return Found(value[rows, best], x.reshape(len(settings), _RESTARTS, n_others)[rows, best])
