"""Linear separability of points from the origin: a linear program, the hard margin, Wendel's theorem."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from grokscope.errors import GrokscopeError, InputError

__all__ = ["hard_margin", "linearly_separable", "separable_probability"]

_LEAST_SIDE = 1e-6  # optimum of the program that counts as positive: HiGHS keeps constraints to 1e-7
_TOUCHES = 1e-12  # a squared margin, in units of the points' size, that counts as 0


def linearly_separable(x: ArrayLike) -> bool:
    r"""Whether all points lie on one side of a hyperplane through the origin: $w x_i > 0$ for some w, all i.

    That is so if and only if the origin is outside the convex hull of the points. With labels $\pm 1$ pass
    the products $y_i x_i$; for separation by an affine hyperplane add an input that is always 1. Decided by
    the linear program $\max t$ with $w x_i \ge t$ and $|w_j| \le 1$ (HiGHS), in units in which the points
    are of size 1: its optimum is 0 or positive, and one below $10^{-6}$ counts as 0.

    Args:
        x: the points [sample, input].

    Raises:
        InputError: if x is no finite matrix with at least one row and one column.
        GrokscopeError: if the program was not decided.

    Example:
        >>> triangle = np.array([[1.0, 0.0], [-1.0, 1.0], [-1.0, -1.0]])  # around the origin
        >>> linearly_separable(triangle), linearly_separable(triangle + [2, 0])
        (False, True)
    """
    from scipy.optimize import linprog

    points = _points(x)
    size = _size(points)
    if size == 0:
        return False
    n, d = points.shape
    goal = np.append(np.zeros(d), -1.0)
    sides = np.hstack([-points / size, np.ones((n, 1))])
    bounds = [(-1.0, 1.0)] * d + [(0.0, None)]
    found = linprog(goal, A_ub=sides, b_ub=np.zeros(n), bounds=bounds, method="highs")
    if found.status != 0:
        raise GrokscopeError(f"linear separability: HiGHS did not decide it: {found.message}")
    return bool(-found.fun > _LEAST_SIDE)


def hard_margin(x: ArrayLike) -> float:
    r"""The largest margin of the points from the origin, $\max_{\lVert w \rVert = 1} \min_i w x_i$, or 0.

    It is the distance of their convex hull from the origin, and 0 if the points cannot be separated from it.
    Computed by non-negative least squares: $\min_{\alpha \ge 0} \lVert X^\top \alpha \rVert^2 +
    (1 - \sum_i \alpha_i)^2$ is $M^2 / (1 + M^2)$, in units in which the points are of size 1.

    Args:
        x: the points [sample, input]; products $y_i x_i$ with labels.

    Raises:
        InputError: as `linearly_separable`.

    Example:
        >>> round(hard_margin([[2.0, 1.0], [2.0, -1.0]]), 6), hard_margin([[1.0], [-1.0]])
        (2.0, 0.0)
    """
    from scipy.optimize import nnls

    points = _points(x)
    size = _size(points)
    if size == 0:
        return 0.0
    target = np.append(np.zeros(points.shape[1]), 1.0)
    alpha, _ = nnls(np.vstack([points.T / size, np.ones(len(points))]), target)
    # the nearest point of the hull, from its weights: more exact than the residual
    nearest = points.T @ alpha / alpha.sum()
    squared = float(nearest @ nearest)
    return math.sqrt(squared) if squared > _TOUCHES * size**2 else 0.0


def separable_probability(n: int, d: int) -> float:
    r"""The probability that n random points in d dimensions are separable from the origin (Wendel).

    $2^{-(n-1)} \sum_{k=0}^{d-1} \binom{n-1}{k}$, for independent points whose law is symmetric about the
    origin and that lie in general position.

    Raises:
        InputError: if n or d is below 1.

    Source: Wendel 1962, "A problem in geometric probability".

    Example:
        >>> separable_probability(4, 2), separable_probability(200, 100)
        (0.5, 0.5)
    """
    if n < 1 or d < 1:
        raise InputError(f"n = {n}, d = {d}: must be at least 1")
    return sum(math.comb(n - 1, k) for k in range(min(d, n))) / 2 ** (n - 1)


def _size(points: np.ndarray) -> float:
    """The root mean square norm."""
    return float(np.sqrt(np.square(points).sum(axis=1).mean()))


def _points(x: ArrayLike) -> np.ndarray:
    points = np.asarray(x, np.float64)
    if points.ndim != 2 or 0 in points.shape or not np.isfinite(points).all():
        raise InputError(f"points {points.shape}: must be a finite matrix [sample, input], not empty")
    return points
