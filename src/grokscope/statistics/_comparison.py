"""Comparison of the times of two runs, paired on members."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Literal

import numpy as np

from grokscope.errors import InputError
from grokscope.statistics._estimate import Estimate
from grokscope.statistics._events import CensoredTimes, Divergence
from grokscope.statistics._intervals import geometric_mean_interval, median_interval


def ratio_of_times(
    a: CensoredTimes,
    b: CensoredTimes,
    *,
    confidence: float = 0.95,
    method: Literal["median", "geometric_mean"] = "median",
    divergence: Divergence = "never",
) -> Estimate:
    r"""Ratio of the times of the same members in two runs, a over b, with an interval.

    With member i's times in $(l_i, u_i]$ and $(l'_i, u'_i]$ its ratio lies in
    $(l_i / u'_i, u_i / l'_i)$.

    `"median"` (any censoring): the median over members of the paired ratio, with the order
    statistics of the sign test: the low end from the pairs' lower ends, the high end from their
    upper ends. A pair with only a censored can be as large as inf, one with only b censored as
    small as 0, and one with both says nothing and widens both ends; the interval covers whatever
    the unseen times are. The value takes the ratios of the steps at which both were seen, inf or 0
    for pairs with one censored, and leaves out pairs with both.

    `"geometric_mean"` (every event seen): $\exp$ of Student's t interval for the mean log-ratio
    of the midpoints; narrower, and bounded from 2 members on.

    Args:
        a: Times of the first run, in steps (or any unit; the same as b's).
        b: Times of the second run, the same members in the same order.
        confidence: Coverage of the interval.
        method: `"median"` or `"geometric_mean"`.
        divergence: See `CensoredTimes.bounds`; with `"never"` a member that diverged in a counts
            as later than any time.

    Raises:
        InputError: if members cannot be paired, a time is negative, an unknown method is asked
            for, or a geometric mean of times that were not all seen, or are zero.

    Example:
        >>> slow, fast = CensoredTimes([90, 180], [110, 220]), CensoredTimes([45, 90], [55, 110])
        >>> ratio_of_times(slow, fast).value
        2.0
    """
    if a.lower.shape != b.lower.shape:
        raise InputError(f"ratio: {a.n} and {b.n} members cannot be paired")
    a_low, a_high = a.bounds(divergence)
    b_low, b_high = b.bounds(divergence)
    if (a.lower < 0).any() or (b.lower < 0).any():
        raise InputError("ratio: times must not be negative (is this a delay?)")
    if method == "geometric_mean":
        return _geometric_mean(a, b, confidence)
    if method != "median":
        raise InputError(f"method = {method!r}: must be 'median' or 'geometric_mean'")

    def divide(x: float, y: float, unknown: float) -> float:
        """Divide x by y; 0/0 and inf/inf leave the ratio `unknown`."""
        if (x == 0 and y == 0) or (math.isinf(x) and math.isinf(y)):
            return unknown
        return math.inf if y == 0 else x / y

    low_ends = [divide(x, y, 0.0) for x, y in zip(a_low, b_high, strict=True)]
    high_ends = [divide(x, y, math.inf) for x, y in zip(a_high, b_low, strict=True)]
    seen = [divide(x, y, math.nan) for x, y in zip(a_high, b_high, strict=True)]
    bounds = median_interval(low_ends, confidence, upper=high_ends)
    return Estimate(
        median_interval(seen, confidence).value,
        max(bounds.low, 0.0),  # a ratio of times cannot be negative
        bounds.high,
        a.n,
        confidence,
        method="median paired ratio, order statistics (sign test)",
    )


def _geometric_mean(a: CensoredTimes, b: CensoredTimes, confidence: float) -> Estimate:
    """Return exp of the t interval for the mean log-ratio of midpoints."""
    unseen = int(np.count_nonzero(~(a.observed & b.observed)))
    if unseen:
        raise InputError(
            f"method = 'geometric_mean': {unseen} of {a.n} pairs have an event that was not seen;"
            " use 'median'"
        )
    x, y = a.midpoint.ravel(), b.midpoint.ravel()
    if (x <= 0).any() or (y <= 0).any():
        raise InputError("method = 'geometric_mean': a time is 0; use 'median'")
    found = geometric_mean_interval(x / y, confidence)
    return replace(found, method="geometric mean of paired ratios, Student's t")
