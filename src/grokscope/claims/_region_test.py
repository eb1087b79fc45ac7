r"""Tests of a parameter against a region that agree with the parameter's interval.

For each kind of parameter there are two one-sided tests, `greater(x)` of $\theta \le x$ and
`less(x)` of $\theta \ge x$, whose p-values are at most $\alpha/2$ exactly when the two-sided
interval at confidence $1 - \alpha$ lies above, or below, x. For the region [a, b]:

- "holds" rejects $\theta < a$ and $\theta > b$, both (an intersection-union test):
  $p = 2 \max(\mathrm{greater}(a), \mathrm{less}(b))$,
- "fails" rejects $a \le \theta \le b$, at either end: $p = 2 \min(\mathrm{less}(a),
  \mathrm{greater}(b))$.

So $p \le \alpha$ if and only if the interval lies inside, or outside, the region. The factor 2 is
needed for this agreement. It makes "holds" stricter than necessary ($\alpha/2$ would be enough), and
"fails" exact for a region that is one point.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from grokscope.claims._claim import Claim, Region
from grokscope.claims._evidence import Evidence, NotTestable
from grokscope.statistics import (
    CensoredTimes,
    Estimate,
    clopper_pearson,
    geometric_mean_interval,
    mean_interval,
    median_interval,
)

# (x, or_equal) -> p-value of the test against values up to x (without x itself if or_equal).
OneSided = Callable[[float, bool], float]


@dataclass(frozen=True)
class RegionTest:
    """An estimate, and the p-values for "holds" and "fails" that agree with its interval."""

    estimate: Estimate
    p_holds: float
    p_fails: float


def region_test(claim: Claim, evidence: Evidence) -> RegionTest:
    """Estimate the claim's parameter and test it against its region.

    Raises:
        NotTestable: if the evidence does not determine an interval; the message says why.
    """
    if isinstance(evidence, CensoredTimes):
        lower, upper = evidence.bounds()
        return _median(claim, lower, upper)
    values = evidence[~np.isnan(evidence)]
    if len(values) < 2:
        raise NotTestable(f"{len(values)} of {evidence.size} seeds measured; an interval needs 2")
    if claim.kind == "share":
        return _share(claim, values)
    if claim.kind == "mean":
        return _mean(claim, values)
    if claim.kind == "geometric_mean":
        return _geometric_mean(claim, values)
    return _median(claim, values, values)


def _share(claim: Claim, values: np.ndarray) -> RegionTest:
    """Test a share by exact binomial tails (Clopper-Pearson)."""
    from scipy.special import bdtr, bdtrc

    n, k = len(values), int(values.sum())

    def greater(x: float, or_equal: bool) -> float:
        if x < 0 or (x == 0 and or_equal):
            return 0.0  # every share is at least 0
        return 1.0 if x > 1 or k == 0 else float(bdtrc(k - 1, n, x))

    def less(x: float, or_equal: bool) -> float:
        if x > 1 or (x == 1 and or_equal):
            return 0.0
        return 1.0 if x < 0 else float(bdtr(k, n, x))

    return _combine(clopper_pearson(k, n, claim.confidence), claim.region, greater, less)


def _mean(claim: Claim, values: np.ndarray) -> RegionTest:
    """Test a mean by Student's t."""
    if not np.isfinite(values).all():
        raise NotTestable("a value is infinite: the mean does not exist (claim the median)")
    greater, less = _student(values, float(values[0]))
    return _combine(mean_interval(values, claim.confidence), claim.region, greater, less)


def _geometric_mean(claim: Claim, values: np.ndarray) -> RegionTest:
    """Test a geometric mean by Student's t of the logarithms."""
    if not (np.isfinite(values) & (values > 0)).all():
        raise NotTestable(
            "a value is not positive and finite: the geometric mean does not exist (claim the median)"
        )
    greater, less = _student(np.log(values), float(values[0]))
    return _combine(
        geometric_mean_interval(values, claim.confidence),
        claim.region,
        lambda x, or_equal: greater(math.log(x), or_equal),
        lambda x, or_equal: less(math.log(x), or_equal),
    )


def _student(values: np.ndarray, first: float) -> tuple[OneSided, OneSided]:
    """The two one-sided t tests of a mean; `first` is the first value, for the error message."""
    from scipy.special import stdtr

    n = len(values)
    if np.ptp(values) == 0:
        raise NotTestable(f"all {n} values equal {first:g}: a t interval needs spread (claim the share)")
    standard_error = float(values.std(ddof=1)) / math.sqrt(n)
    mean = float(values.mean())

    def greater(x: float, or_equal: bool) -> float:
        return float(stdtr(n - 1, (x - mean) / standard_error))

    def less(x: float, or_equal: bool) -> float:
        return float(stdtr(n - 1, (mean - x) / standard_error))

    return greater, less


def _median(claim: Claim, lower: np.ndarray, upper: np.ndarray) -> RegionTest:
    """Sign test: counts of members whose whole interval lies on one side."""
    from scipy.special import bdtr

    n = len(lower)
    if n < 2:
        raise NotTestable(f"{n} seeds; an interval needs 2")

    def greater(x: float, or_equal: bool) -> float:
        not_above = np.count_nonzero(lower < x if or_equal else lower <= x)
        return 0.0 if math.isinf(x) else float(bdtr(not_above, n, 0.5))

    def less(x: float, or_equal: bool) -> float:
        not_below = np.count_nonzero(upper > x if or_equal else upper >= x)
        return 0.0 if math.isinf(x) else float(bdtr(not_below, n, 0.5))

    estimate = median_interval(lower, claim.confidence, upper=upper)
    return _combine(estimate, claim.region, greater, less)


def _combine(estimate: Estimate, region: Region, greater: OneSided, less: OneSided) -> RegionTest:
    """Combine one-sided tests into p-values for "holds" and "fails"; an infinite end restricts nothing."""
    has_low, has_high = not math.isinf(region.low), not math.isinf(region.high)
    above_low = greater(region.low, not region.low_open) if has_low else 0.0
    below_high = less(region.high, not region.high_open) if has_high else 0.0
    under = less(region.low, region.low_open) if has_low else 1.0
    over = greater(region.high, region.high_open) if has_high else 1.0
    p_holds, p_fails = 2 * max(above_low, below_high), 2 * min(under, over)
    return RegionTest(estimate, min(1.0, p_holds), min(1.0, p_fails))
