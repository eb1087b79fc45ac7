"""`Estimate`, a value with its interval and number of members; and how numbers are formatted."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from grokscope.errors import InputError

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """A value with its interval, and the number of members and the method behind it.

    Attributes:
        value: The point estimate; NaN without members, inf for a time that is not reached within the
            record.
        low: Lower end of the interval; -inf where the data cannot bound it.
        high: Upper end of the interval; inf where the data cannot bound it.
        n: Number of members used.
        confidence: Nominal coverage of the interval, between 0 and 1.
        unit: Unit of value, low and high; empty for a pure number.
        method: Name of the interval's method, as a methods section would name it.

    Example:
        >>> print(Estimate(0.97, 0.9148, 0.9938, n=100, confidence=0.95))
        0.97 [0.9148, 0.9938] (95 %, n = 100)
    """

    value: float
    low: float
    high: float
    n: int
    confidence: float
    unit: str = ""
    method: str = ""

    def __str__(self) -> str:
        unit = f" {self.unit}" if self.unit else ""
        interval = f"[{format_number(self.low)}, {format_number(self.high)}]"
        level = format_number(100 * self.confidence)
        return f"{format_number(self.value)} {interval}{unit} ({level} %, n = {self.n})"


def format_number(value: float) -> str:
    """Format `value` with four significant digits; from 1,000 on as a whole number.

    Only numbers below 1e-4 and from 1e15 on have an exponent.

    Example:
        >>> [format_number(v) for v in (0.123456, 3712.0, 123456.7, 1e-7, float("inf"))]
        ['0.1235', '3712', '123457', '1e-07', 'inf']
    """
    if not math.isfinite(value):
        return "not a number" if math.isnan(value) else ("inf" if value > 0 else "-inf")
    if 1000 <= abs(value) < 1e15:
        return str(round(value))
    return f"{value:.4g}"


def check_confidence(confidence: float) -> float:
    """Return `confidence`, or raise `InputError` unless it lies strictly between 0 and 1."""
    if not 0.0 < confidence < 1.0:
        raise InputError(f"confidence = {confidence}: must lie strictly between 0 and 1, as 0.95")
    return confidence


def measured(values: ArrayLike, name: str = "values") -> FloatArray:
    """Return `values` as a flat float array without NaN, which marks a value that was not measured."""
    try:
        flat = np.asarray(values, dtype=np.float64).ravel()
    except (TypeError, ValueError):
        raise InputError(f"{name}: must be an array of numbers, got {values!r:.80}") from None
    return flat[~np.isnan(flat)]
