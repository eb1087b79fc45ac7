"""The exponent of a power law, fitted over a range that a rule chooses."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from grokscope.errors import InputError
from grokscope.statistics._estimate import FloatArray

__all__ = ["PowerLaw", "fit_power_law"]

_LEAST_POINTS = 3


@dataclass(frozen=True)
class PowerLaw:
    r"""$y = c\, x^b$, fitted by `fit_power_law`.

    Attributes:
        exponent: b.
        factor: c.
        n: number of points in the range.
        x: the least and the largest x of them.
    """

    exponent: float
    factor: float
    n: int
    x: tuple[float, float]

    def __call__(self, x: ArrayLike) -> FloatArray:
        """The fitted y at x."""
        return self.factor * np.asarray(x, dtype=np.float64) ** self.exponent


def fit_power_law(
    x: ArrayLike, y: ArrayLike, progress: ArrayLike, between: tuple[float, float] = (0.2, 0.8)
) -> PowerLaw:
    r"""Fit $y = c\, x^b$ by least squares of logarithms, over the points whose progress is in a range.

    The exponent of a curve that bends depends on where it is fitted. Here a third quantity decides, the same
    for all curves: the share of subtasks that are learned, say. The range is not chosen by eye on x or y.

    Args:
        x: [point], positive in the range.
        y: [point], positive in the range.
        progress: [point]; points without one (NaN), or without y, are left out.
        between: the least and the largest progress of the points that are used.

    Raises:
        InputError: if the shapes differ, fewer than three points are in the range, one of them is not
            positive, or all have the same x.

    Example:
        >>> x = np.array([1.0, 2.0, 4.0, 8.0, 16.0])
        >>> y = np.array([9.0, 1.0, 0.5, 0.25, 9.0])
        >>> fit = fit_power_law(x, y, progress=[0.0, 0.2, 0.5, 0.8, 1.0])
        >>> round(fit.exponent, 6), round(fit.factor, 6), fit.n, fit.x
        (-1.0, 2.0, 3, (2.0, 8.0))
    """
    at, values, done = (np.asarray(one, dtype=np.float64) for one in (x, y, progress))
    if not at.shape == values.shape == done.shape or at.ndim != 1:
        raise InputError(
            f"power law: x {at.shape}, y {values.shape} and progress {done.shape} must be [point]."
        )
    low, high = between
    used = (done >= low) & (done <= high) & ~np.isnan(values)
    n = int(used.sum())
    if n < _LEAST_POINTS:
        raise InputError(
            f"power law: {n} points have a progress from {low:g} to {high:g}; it needs {_LEAST_POINTS}."
        )
    if (at[used] <= 0).any() or (values[used] <= 0).any():
        raise InputError("power law: a point in the range is not positive, so it has no logarithm.")
    ends = float(at[used].min()), float(at[used].max())
    if ends[0] == ends[1]:
        raise InputError(f"power law: all points in the range have x = {ends[0]:g}.")
    log_x, log_y = np.log(at[used]), np.log(values[used])
    centered = log_x - log_x.mean()
    exponent = float(centered @ log_y / (centered @ centered))
    return PowerLaw(exponent, float(np.exp(log_y.mean() - exponent * log_x.mean())), n, ends)
