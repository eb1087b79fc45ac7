"""Censored times of events, how they are found in measured curves, and ratios of two runs' times.

An event is seen at a measured step, so its time is known to lie in an interval (interval-censored) or after
the end of the record (right-censored). Survival curves of such times: `_kaplan_meier.py`; regression:
`_regression.py`; the spec of an event: `grokscope.spec.events.Event`.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from grokscope.errors import InputError
from grokscope.statistics._estimate import Estimate, FloatArray
from grokscope.statistics._intervals import geometric_mean_interval, median_interval, wilson

Comparison = Literal[">", ">=", "<", "<="]
Divergence = Literal["never", "censored"]

_COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}


@dataclass(frozen=True, eq=False)
class CensoredTimes:
    """Times of an event, one per member, each known to lie in `lower` < time <= `upper`.

    Equal ends mean an exact time. An infinite upper end means that the event was not seen
    (right-censored). A lower end of -inf, which only a delay can have, means no lower bound.

    Attributes:
        lower: Last measured step before the event, one per member (any shape).
        upper: Step at which the event is seen; inf if right-censored.
        diverged: Step at which the member diverged (a competing risk); inf if it did not. Default: no
            member diverged.

    Raises:
        InputError: if the shapes differ, an end is NaN, or lower exceeds upper.

    Example:
        >>> times = CensoredTimes([64.0, 96.0], [96.0, float("inf")])
        >>> times.observed.tolist(), str(times.share())
        ([True, False], '0.5 [0.09453, 0.9055] (95 %, n = 2)')
    """

    lower: FloatArray
    upper: FloatArray
    diverged: FloatArray

    def __init__(self, lower: ArrayLike, upper: ArrayLike, diverged: ArrayLike | None = None) -> None:
        low, high = np.array(lower, dtype=np.float64), np.array(upper, dtype=np.float64)
        end = np.full(low.shape, np.inf) if diverged is None else np.array(diverged, np.float64)
        if not low.shape == high.shape == end.shape:
            raise InputError(f"lower {low.shape}, upper {high.shape}, diverged {end.shape}: shapes")
        if np.isnan(low).any() or np.isnan(high).any() or np.isnan(end).any():
            raise InputError("censored times: an end is NaN; use inf for what was not seen")
        if (low > high).any():
            worst = int(np.argmax(low > high))
            raise InputError(
                f"censored times: lower {low.flat[worst]:g} exceeds upper {high.flat[worst]:g}"
                f" for member {worst}"
            )
        object.__setattr__(self, "lower", low)
        object.__setattr__(self, "upper", high)
        object.__setattr__(self, "diverged", end)

    def __repr__(self) -> str:
        step = median_interval(self.lower, upper=self.upper)
        return f"CensoredTimes(seen in {int(self.observed.sum())} of {self.n}; median {step})"

    @property
    def n(self) -> int:
        """Number of members."""
        return self.lower.size

    @property
    def observed(self) -> NDArray[np.bool_]:
        """True for members whose event was seen."""
        return np.isfinite(self.upper)

    @property
    def midpoint(self) -> FloatArray:
        """Middle of each interval; inf where right-censored, -inf where unbounded below."""
        half = np.where(self.observed & np.isfinite(self.lower), self.upper - self.lower, 0.0) / 2
        return np.where(self.observed, self.lower, np.inf) + half

    def share(self, confidence: float = 0.95) -> Estimate:
        """Share of members whose event was seen, with Wilson's interval."""
        return wilson(int(self.observed.sum()), self.n, confidence)

    def __getitem__(self, members: Any) -> CensoredTimes:
        """Return the times of the chosen members (a numpy index)."""
        return CensoredTimes(self.lower[members], self.upper[members], self.diverged[members])

    def __sub__(self, earlier: CensoredTimes) -> CensoredTimes:
        r"""Delay from `earlier` to this event, of the same members, as censored times.

        With this event in $(l, u]$ and the earlier one in $(l', u']$ the delay lies in
        $(l - u', u - l')$. It is right-censored where this event was not seen, and unbounded below
        where the earlier one was not.

        Example:
            >>> grokking, memorization = CensoredTimes([96], [128]), CensoredTimes([0], [32])
            >>> delay = grokking - memorization
            >>> delay.lower.tolist(), delay.upper.tolist()
            ([64.0], [128.0])
        """
        if self.lower.shape != earlier.lower.shape:
            raise InputError(f"delay: {self.lower.shape} and {earlier.lower.shape} members cannot be paired")
        return CensoredTimes(
            self.lower - earlier.upper, self.upper - earlier.lower, self.diverged - earlier.lower
        )

    def __mul__(self, factor: float) -> CensoredTimes:
        """Return the times in another unit, as `times * (1 / 32)` for steps to epochs."""
        if not (np.isfinite(factor) and factor > 0):
            raise InputError(f"factor = {factor}: must be finite and positive")
        return CensoredTimes(self.lower * factor, self.upper * factor, self.diverged * factor)

    def bounds(self, divergence: Divergence = "never") -> tuple[FloatArray, FloatArray]:
        """Return flat lower and upper ends, with divergence as a competing risk or as censoring.

        Args:
            divergence: `"never"`: a member that diverged before the event never has it; its lower end
                becomes inf and it stays at risk, so shares of events over time are cumulative incidences.
                `"censored"`: the member is right-censored at its last measured step.

        Raises:
            InputError: for any other `divergence`.
        """
        if divergence not in ("never", "censored"):
            raise InputError(f"divergence = {divergence!r}: must be 'never' or 'censored'")
        lost = np.isfinite(self.diverged) & ~self.observed & (divergence == "never")
        return np.where(lost, np.inf, self.lower).ravel(), self.upper.ravel()


def event_times(
    steps: ArrayLike,
    values: ArrayLike,
    threshold: float,
    comparison: Comparison = ">",
    sustained: int | Literal["end"] = 1,
    *,
    diverged: ArrayLike | None = None,
    start: float = 0.0,
) -> CensoredTimes:
    """Find when each member's curve first crosses a threshold and stays across it.

    The event is at the first of `sustained` consecutive measured points that satisfy
    `value comparison threshold`. Its time lies between the measured point before and this one, or between
    `start` and this one if no point is before. A crossing with fewer than `sustained` points before the end
    of the record does not count: the member is right-censored at the last point before that crossing. NaN
    marks a point that was not measured; it is skipped, so only a member's own measured points are counted.

    Args:
        steps: Measured steps, increasing, shape (step,).
        values: The measure, shape (..., step): the leading axes are members.
        threshold: The value to cross.
        comparison: `">"`, `">="`, `"<"` or `"<="`.
        sustained: Number of consecutive measured points, or `"end"`: all points up to the end.
        diverged: Step at which each member diverged, shape (...), inf or NaN where it did not.
            Points from that step on are not used.
        start: The earliest possible step of the event, if the record begins later.

    Returns:
        The times, with the leading shape of `values`, in steps.

    Raises:
        InputError: for steps that do not increase, shapes that do not match, an unknown comparison
            or a `sustained` below 1.

    Example:
        >>> accuracy = [[0.5, 0.99, 0.6, 0.99, 1.0], [0.5, 0.5, 0.5, 0.5, 0.99]]
        >>> grokking = event_times([0, 32, 64, 96, 128], accuracy, 0.98, sustained=2)
        >>> grokking.lower.tolist(), grokking.upper.tolist()
        ([64.0, 96.0], [96.0, inf])
    """
    s, v = np.asarray(steps, dtype=np.float64), np.asarray(values, dtype=np.float64)
    if s.ndim != 1 or len(s) == 0 or v.shape[-1:] != s.shape:
        raise InputError(f"values {v.shape}: the last axis must match steps {s.shape}, not empty")
    if not np.isfinite(s).all() or (np.diff(s) <= 0).any() or s[0] < start:
        raise InputError(f"steps: must be finite, increasing, and not before start = {start:g}")
    if comparison not in _COMPARE:
        raise InputError(f"comparison = {comparison!r}: must be one of {', '.join(_COMPARE)}")
    if sustained != "end" and sustained < 1:
        raise InputError(f"sustained = {sustained!r}: must be a whole number from 1 on, or 'end'")
    if np.isnan(threshold):
        raise InputError("threshold: must be a number, not NaN")
    lost = np.full(v.shape[:-1], np.inf) if diverged is None else np.array(diverged, np.float64)
    if lost.shape != v.shape[:-1]:
        raise InputError(f"diverged {lost.shape}: must have one step per member {v.shape[:-1]}")
    lost = np.where(np.isnan(lost), np.inf, lost)

    measured = ~np.isnan(v) & (s < lost[..., None])
    holds = measured & _COMPARE[comparison](v, threshold)
    # Number a member's measured points 1, 2, ...; `broken` is the number of its last failing point.
    count = np.cumsum(measured, axis=-1, dtype=np.int_)
    broken = np.maximum.accumulate(np.where(measured & ~holds, count, 0), axis=-1)
    run = count - broken  # consecutive points that hold, up to here
    total, last_broken = count[..., -1], broken[..., -1]
    if sustained == "end":
        seen = (total > 0) & (last_broken < total)
        before = last_broken
    else:
        confirmed = holds & (run >= sustained)
        seen = confirmed.any(axis=-1)
        at = confirmed.argmax(axis=-1)[..., None]
        first_before = np.take_along_axis(broken, at, axis=-1)[..., 0]
        before = np.where(seen, first_before, last_broken)
    # The event lies after measured point `before` (0: before the first) and by the next one.
    lower = np.where(before > 0, _step_of(s, count, before), start)
    upper = np.where(seen, _step_of(s, count, before + 1), np.inf)
    return CensoredTimes(lower, upper, lost)


def _step_of(steps: FloatArray, count: NDArray[np.int_], number: NDArray[np.int_]) -> FloatArray:
    """Return the step of each member's measured point `number` (any step if that point does not exist)."""
    return steps[np.argmax(count >= number[..., None], axis=-1)]


def paired_ratios(a: CensoredTimes, b: CensoredTimes, *, divergence: Divergence = "never") -> CensoredTimes:
    r"""Ratios of the times of the same members in two runs, a / b, each known to lie in an interval.

    With member i's times in $(l_i, u_i]$ and $(l'_i, u'_i]$ its ratio lies in $(l_i / u'_i, u_i / l'_i)$. It
    can be as large as inf where only a is censored, as small as 0 where only b is, and anything where both
    are: no time is put in for one that was not seen. `median_interval` of the ends, or a claim of kind
    "median", then covers for all possible unseen times.

    Args:
        a: Times of the first run, in steps (or any unit; the same as b's).
        b: Times of the second run, the same members in the same order.
        divergence: See `CensoredTimes.bounds`; with `"never"` a member that diverged in a counts
            as later than any time.

    Raises:
        InputError: if members cannot be paired, or a time is negative.

    Example:
        >>> end = float("inf")
        >>> ratios = paired_ratios(CensoredTimes([90, 400], [110, end]), CensoredTimes([45, 90], [55, 100]))
        >>> ratios.lower.round(2).tolist(), ratios.upper.round(2).tolist()
        ([1.64, 4.0], [2.44, inf])
    """
    if a.lower.shape != b.lower.shape:
        raise InputError(f"ratio: {a.n} and {b.n} members cannot be paired")
    if (a.lower < 0).any() or (b.lower < 0).any():
        raise InputError("ratio: times must not be negative (is this a delay?)")
    a_low, a_high = a.bounds(divergence)
    b_low, b_high = b.bounds(divergence)
    lower = [_divide(x, y, 0.0) for x, y in zip(a_low, b_high, strict=True)]
    upper = [_divide(x, y, math.inf) for x, y in zip(a_high, b_low, strict=True)]
    return CensoredTimes(np.reshape(lower, a.lower.shape), np.reshape(upper, a.lower.shape))


def _divide(x: float, y: float, unknown: float) -> float:
    """Divide x by y; 0/0 and inf/inf leave the ratio `unknown`."""
    if (x == 0 and y == 0) or (math.isinf(x) and math.isinf(y)):
        return unknown
    return math.inf if y == 0 else x / y


def ratio_of_times(
    a: CensoredTimes,
    b: CensoredTimes,
    *,
    confidence: float = 0.95,
    method: Literal["median", "geometric_mean"] = "median",
    divergence: Divergence = "never",
) -> Estimate:
    r"""Ratio of the times of the same members in two runs, a / b, with an interval.

    `"median"` (any censoring): the median over members of `paired_ratios`, with the interval of the sign
    test: its low end is an order statistic of the pairs' lower ends, its high end one of their upper ends.
    The value is the median of the ratios of the steps at which events were seen: inf or 0 for pairs with one
    censored; pairs with both censored are left out.

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
        InputError: if members cannot be paired, a time is negative, the method is unknown, or for a
            geometric mean of times that are zero or were not all seen.

    Example:
        >>> slow, fast = CensoredTimes([90, 180], [110, 220]), CensoredTimes([45, 90], [55, 110])
        >>> ratio_of_times(slow, fast).value
        2.0
    """
    ratios = paired_ratios(a, b, divergence=divergence)
    if method == "geometric_mean":
        return _geometric_mean(a, b, confidence)
    if method != "median":
        raise InputError(f"method = {method!r}: must be 'median' or 'geometric_mean'")
    seen = [_divide(x, y, math.nan) for x, y in zip(a.upper.ravel(), b.upper.ravel(), strict=True)]
    bounds = median_interval(ratios.lower, confidence, upper=ratios.upper)
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
