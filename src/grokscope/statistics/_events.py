"""Times of events that are seen only at measured steps: interval- and right-censored.

What goes elsewhere: curves and medians of such times (`_kaplan_meier`, `_turnbull`), ratios of two
(`_comparison`), and the spec of an event (`Event`, with the schedules).
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from grokscope.errors import InputError
from grokscope.statistics._estimate import Estimate, FloatArray
from grokscope.statistics._intervals import wilson

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
    """When an event happened to each member, as far as it is known: `lower` < time <= `upper`.

    Equal ends mean an exact time. An infinite upper end means that the event was not seen
    (right-censored); a lower end of -inf, which only a delay can have, that nothing bounds it from
    below.

    Attributes:
        lower: Last step at which the event had not happened yet, one per member (any shape).
        upper: Step at which it is seen; inf if right-censored.
        diverged: Step at which the member diverged, which is a competing risk; inf where it did
            not. Left out, no member did.

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

    def __init__(
        self, lower: ArrayLike, upper: ArrayLike, diverged: ArrayLike | None = None
    ) -> None:
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
            raise InputError(
                f"delay: {self.lower.shape} and {earlier.lower.shape} members cannot be paired"
            )
        return CensoredTimes(
            self.lower - earlier.upper, self.upper - earlier.lower, self.diverged - earlier.lower
        )

    def __mul__(self, factor: float) -> CensoredTimes:
        """Return the times in another unit, as `times * (1 / 32)` for steps to epochs."""
        if not (np.isfinite(factor) and factor > 0):
            raise InputError(f"factor = {factor}: must be finite and positive")
        return CensoredTimes(self.lower * factor, self.upper * factor, self.diverged * factor)

    def bounds(self, divergence: Divergence = "never") -> tuple[FloatArray, FloatArray]:
        """Return flat lower and upper ends, with the competing risk settled.

        Args:
            divergence: `"never"`: a member that diverged first will never have the event, so its
                lower end becomes inf and it stays at risk; shares of events over time are then
                cumulative incidences. `"censored"`: it is taken out at its last measured step, as
                if it would have gone on like the others.

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
    """Find when each member's curve first crosses a threshold and stays across.

    The event is at the first measured point from which on `sustained` consecutive measured points
    (this one included) satisfy `value comparison threshold`. Its time lies between the measured
    point before and this one. A crossing that the record ends too early to confirm does not count:
    the member is right-censored at the last point before it, because the event may have been then.
    A member that satisfies the condition from its first measured point on has its time between
    `start` and that point. NaN was not measured and is skipped, so that a member's own measured
    points count.

    Args:
        steps: Measured steps, increasing, shape (step,).
        values: The measure, shape (..., step): the leading axes are members.
        threshold: The value to cross.
        comparison: `">"`, `">="`, `"<"` or `"<="`.
        sustained: Number of consecutive measured points, or `"end"`: all points to the end.
        diverged: Step at which each member diverged, shape (...), inf or NaN where it did not.
            Points from there on are not counted.
        start: The earliest step at which the event could be, where the record begins later.

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
    """Return the step of each member's measured point `number` (any step where there is none)."""
    return steps[np.argmax(count >= number[..., None], axis=-1)]
