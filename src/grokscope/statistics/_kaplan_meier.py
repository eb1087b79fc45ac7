"""The Kaplan-Meier curve of right-censored times, and quantiles of it with intervals."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from grokscope.errors import InputError
from grokscope.statistics._estimate import Estimate, FloatArray, check_confidence
from grokscope.statistics._times import CensoredTimes, Divergence


@dataclass(frozen=True, eq=False)
class SurvivalCurve:
    """A Kaplan-Meier curve: the share of members whose event is later than each time.

    Attributes:
        time: Times at which events were seen, increasing.
        survival: Share still without the event just after each time.
        low: Lower end of the pointwise interval of `survival` (log-log, Greenwood's variance).
        high: Its upper end.
        at_risk: Members at risk just before each time.
        events: Events at each time.
        n: Number of members.
        confidence: Coverage of each pointwise interval.
    """

    time: FloatArray
    survival: FloatArray
    low: FloatArray
    high: FloatArray
    at_risk: NDArray[np.int_]
    events: NDArray[np.int_]
    n: int
    confidence: float

    def at(self, times: FloatArray | float) -> FloatArray:
        """Return the survival just after each of `times`."""
        index = np.searchsorted(self.time, times, side="right")
        return np.concatenate([[1.0], self.survival])[index]

    def quantile(self, q: float = 0.5, unit: str = "") -> Estimate:
        r"""Time by which a share `q` of members had the event, with Brookmeyer-Crowley's interval.

        The value is the first time with $S(t) \le 1 - q$; inf if S stays above. The interval contains the
        times at which the log-log interval of S(t) contains 1 - q. An end is infinite if n members cannot
        bound it at this confidence even without censoring ($(1-q)^n$ or $q^n$ above $\alpha/2$).

        Args:
            q: The share, strictly between 0 and 1.
            unit: Unit of the times.

        Raises:
            InputError: for q outside (0, 1).

        Source: R. Brookmeyer, J. Crowley, Biometrics 38 (1982) 29.
        """
        if not 0 < q < 1:
            raise InputError(f"q = {q}: must lie strictly between 0 and 1")
        tail = (1 - self.confidence) / 2
        low = _first_at_most(self.time, self.low, 1 - q) if (1 - q) ** self.n <= tail else -math.inf
        high = _first_at_most(self.time, self.high, 1 - q) if q**self.n <= tail else math.inf
        value = _first_at_most(self.time, self.survival, 1 - q) if self.n else math.nan
        method = "Kaplan-Meier, Brookmeyer-Crowley (log-log)"
        return Estimate(value, low, high, self.n, self.confidence, unit, method)

    def median(self, unit: str = "") -> Estimate:
        """Median time, see `quantile`."""
        return self.quantile(0.5, unit)


def kaplan_meier(
    times: CensoredTimes,
    *,
    confidence: float = 0.95,
    at: Literal["upper", "midpoint"] = "upper",
    divergence: Divergence = "never",
) -> SurvivalCurve:
    r"""Kaplan-Meier curve of `times`.

    $S(t) = \prod_{t_i \le t} (1 - d_i / n_i)$ with $d_i$ events among $n_i$ members at risk, and
    the pointwise interval $S^{\exp(\pm z \sigma / \log S)}$,
    $\sigma^2 = \sum d_i / n_i (n_i - d_i)$. Where S = 0 this variance does not exist; the interval there is
    from 0 to the previous upper end times Clopper and Pearson's upper limit for 0 of the last $n_i$ members.
    An interval-censored time is treated as exact: the step at which the event is seen (`"upper"`), or the
    middle of its interval (`"midpoint"`).

    Args:
        times: The censored times; a right-censored member leaves at its lower end, after events there.
        confidence: Coverage of the intervals.
        at: `"upper"` or `"midpoint"`; without a lower bound the midpoint is the upper end.
        divergence: See `CensoredTimes.bounds`.

    Raises:
        InputError: for an unknown `at` or `divergence`.

    Source: E. L. Kaplan, P. Meier, J. Am. Stat. Assoc. 53 (1958) 457.

    Example:
        >>> times = CensoredTimes([2, 3, 4, 9], [3, 4, 5, float("inf")])
        >>> curve = kaplan_meier(times)
        >>> curve.survival.tolist(), curve.median().value
        ([0.75, 0.5, 0.25], 4.0)
    """
    from scipy.special import ndtri

    check_confidence(confidence)
    if at not in ("upper", "midpoint"):
        raise InputError(f"at = {at!r}: must be 'upper' or 'midpoint'")
    lower, upper = times.bounds(divergence)
    event = np.isfinite(upper)
    chosen = upper
    if at == "midpoint":
        middle = times.midpoint.ravel()
        chosen = np.where(np.isneginf(middle), upper, middle)
    moment = np.where(event, chosen, lower)

    time = np.unique(moment[event])
    events = np.array([np.count_nonzero(moment[event] == t) for t in time], dtype=np.int_)
    at_risk = np.array([np.count_nonzero(moment >= t) for t in time], dtype=np.int_)
    survival = np.cumprod(1 - events / at_risk, dtype=np.float64)
    inside = survival > 0
    gone = np.where(inside, at_risk * (at_risk - events), 1)
    sigma = np.sqrt(np.cumsum(np.where(inside, events / gone, 0.0)))
    log_survival = np.log(survival, where=inside, out=np.full(len(time), -1.0))
    factor = np.exp(float(ndtri((1 + confidence) / 2)) * sigma / -log_survival)
    low = np.where(inside, survival**factor, 0.0)
    high = np.where(inside, survival ** (1 / factor), np.nan)
    if len(time) and not inside[-1]:
        before = high[-2] if len(time) > 1 else 1.0
        high[-1] = before * (1 - ((1 - confidence) / 2) ** (1 / at_risk[-1]))
    return SurvivalCurve(time, survival, low, high, at_risk, events, times.n, confidence)


def _first_at_most(time: FloatArray, curve: FloatArray, level: float) -> float:
    """Return the first time at which a falling step curve is at most `level`, else inf."""
    reached = curve <= level + 1e-12  # products of ratios like 5/6 * 4/5 * 3/4 must count as 1/2
    return float(time[np.argmax(reached)]) if reached.any() else math.inf
