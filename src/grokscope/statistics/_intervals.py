"""Intervals for one sample: a share, a mean, a geometric mean, a median.

Entries that are NaN were not measured and are left out; `n` counts the rest. Where the data cannot
bound a quantity (a mean of one value, a median of five at 95 %), the end is infinite: an interval
is never made up. Censored times have their own files (`_kaplan_meier`, `_turnbull`).
"""

from __future__ import annotations

import math
import operator

import numpy as np
from numpy.typing import ArrayLike

from grokscope.errors import InputError
from grokscope.statistics._estimate import Estimate, FloatArray, check_confidence, measured


def wilson(successes: int, n: int, confidence: float = 0.95) -> Estimate:
    r"""Wilson's score interval for a share.

    With $\hat p$ = `successes` / `n` and z the normal quantile of `confidence`:
    $(\hat p + z^2/2n \pm z\sqrt{\hat p(1-\hat p)/n + z^2/4n^2}) / (1 + z^2/n)$.
    Its coverage is right on average over shares; use `clopper_pearson` where it must never fall
    short. With n = 0 the value is NaN and the interval [0, 1].

    Raises:
        InputError: unless 0 <= successes <= n.

    Source: E. B. Wilson, J. Am. Stat. Assoc. 22 (1927) 209.

    Example:
        >>> print(wilson(5, 5))
        1 [0.5655, 1] (95 %, n = 5)
    """
    from scipy.special import ndtri

    k, n = _counts(successes, n)
    check_confidence(confidence)
    if n == 0:
        return Estimate(math.nan, 0.0, 1.0, 0, confidence, method="Wilson")
    z = float(ndtri((1 + confidence) / 2))
    share = k / n
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    # At the ends the formula gives exactly 0 and 1, which rounding would miss.
    low = 0.0 if k == 0 else middle - half
    high = 1.0 if k == n else middle + half
    return Estimate(share, low, high, n, confidence, method="Wilson")


def clopper_pearson(successes: int, n: int, confidence: float = 0.95) -> Estimate:
    r"""Clopper and Pearson's exact interval for a share: coverage is never below `confidence`.

    With $\alpha$ = 1 - `confidence`, low solves $P(X \ge k \mid p) = \alpha/2$ and high solves
    $P(X \le k \mid p) = \alpha/2$ for $X \sim$ Binomial(`n`, p), k = `successes`.
    With n = 0 the value is NaN and the interval [0, 1].

    Raises:
        InputError: unless 0 <= successes <= n.

    Source: C. J. Clopper, E. S. Pearson, Biometrika 26 (1934) 404.

    Example:
        >>> print(clopper_pearson(5, 5))
        1 [0.4782, 1] (95 %, n = 5)
    """
    from scipy.special import betaincinv

    k, n = _counts(successes, n)
    tail = (1 - check_confidence(confidence)) / 2
    low = 0.0 if k == 0 else float(betaincinv(k, n - k + 1, tail))
    high = 1.0 if k == n else float(betaincinv(k + 1, n - k, 1 - tail))
    return Estimate(k / n if n else math.nan, low, high, n, confidence, method="Clopper-Pearson")


def mean_interval(values: ArrayLike, confidence: float = 0.95, unit: str = "") -> Estimate:
    r"""Student's t interval for a mean: $\bar x \pm t_{n-1}\, s/\sqrt n$.

    Exact for normal values; with skewed ones and few members prefer `median_interval`. One value
    gives an interval without bounds. Equal values give one without width, which says nothing about
    the spread (`grokscope.claims` refuses to judge by it).

    Args:
        values: One number per member; NaN = not measured.
        confidence: Nominal coverage.
        unit: Unit of the values.

    Raises:
        InputError: if a value is infinite (a mean of censored times does not exist).

    Example:
        >>> print(mean_interval([1.0, 2.0, 3.0], unit="steps"))
        2 [-0.4841, 4.484] steps (95 %, n = 3)
    """
    from scipy.special import stdtrit

    check_confidence(confidence)
    x = measured(values)
    if not np.isfinite(x).all():
        raise InputError("values: a mean needs finite values; use a median for censored times")
    n, method = len(x), "Student's t"
    if n < 2:
        mean = float(x[0]) if n else math.nan
        return Estimate(mean, -math.inf, math.inf, n, confidence, unit, method)
    mean = float(x.mean())
    # Equal values have spread 0, which the rounding of their mean would miss.
    spread = 0.0 if np.ptp(x) == 0 else float(x.std(ddof=1))
    half = float(stdtrit(n - 1, (1 + confidence) / 2)) * spread / math.sqrt(n)
    return Estimate(mean, mean - half, mean + half, n, confidence, unit, method)


def geometric_mean_interval(values: ArrayLike, confidence: float = 0.95, unit: str = "") -> Estimate:
    r"""Interval for a geometric mean: exp of Student's t interval for the mean logarithm.

    $\exp(\bar y \pm t_{n-1}\, s_y/\sqrt n)$ with $y_i = \log x_i$. For ratios and other positive numbers that
    vary by factors: exact for log-normal values, and never below 0, as that of `mean_interval` may be. Ratios
    and their inverses get inverse intervals.

    Args:
        values: One positive number per member; NaN = not measured.
        confidence: Nominal coverage.
        unit: Unit of the values.

    Raises:
        InputError: if a value is infinite, zero or negative.

    Example:
        >>> print(geometric_mean_interval([1.0, 2.0, 4.0], unit="times"))
        2 [0.3575, 11.19] times (95 %, n = 3)
    """
    x = measured(values)
    if not (np.isfinite(x) & (x > 0)).all():
        raise InputError("values: a geometric mean needs positive, finite values; use a median")
    logs = mean_interval(np.log(x), confidence)
    with np.errstate(over="ignore"):
        value, low, high = (float(end) for end in np.exp([logs.value, logs.low, logs.high]))
    return Estimate(value, low, high, logs.n, confidence, unit, "geometric mean, Student's t of logarithms")


def median_interval(
    values: ArrayLike,
    confidence: float = 0.95,
    unit: str = "",
    *,
    upper: ArrayLike | None = None,
) -> Estimate:
    r"""Distribution-free interval for a median, from two order statistics (the sign test).

    $[x_{(k)}, x_{(n+1-k)}]$ with the largest k for which
    $P(\mathrm{Binomial}(n, 1/2) < k) \le (1 - \mathrm{confidence})/2$. Where there is no such
    k >= 1 (fewer than 6 members at 95 %) the interval has no bounds. Infinite values are welcome.

    Args:
        values: One number per member, NaN = not measured; with `upper`, the lower ends.
        confidence: Least coverage.
        unit: Unit of the values.
        upper: Upper ends, where each value is known only to lie between `values` and `upper`. The
            low end of the interval then comes from the lower ends and its high end from the upper
            ones, so that it covers whatever the true values are; the value is the middle of the
            two medians (the finite one where the other is infinite below, inf where the median
            is not reached).

    Raises:
        InputError: if `upper` has another length, or an end is missing.

    Example:
        >>> print(median_interval(range(1, 12)))
        6 [2, 10] (95 %, n = 11)
    """
    check_confidence(confidence)
    low_ends = measured(values)
    high_ends = low_ends if upper is None else measured(upper, "upper")
    if len(low_ends) != len(high_ends):
        raise InputError(f"upper: {len(high_ends)} measured values for {len(low_ends)} lower ends")
    n = len(low_ends)
    if n == 0:
        value, low, high = math.nan, -math.inf, math.inf
    else:
        value = _middle(_median(low_ends), _median(high_ends))
        low, high = _order_bounds(low_ends, high_ends, confidence)
    return Estimate(value, low, high, n, confidence, unit, "order statistics (sign test)")


def _order_bounds(lower: FloatArray, upper: FloatArray, confidence: float) -> tuple[float, float]:
    """Return the k-th smallest lower end and the k-th largest upper end of the sign test."""
    from scipy.special import bdtr

    n = len(lower)
    # Rounding must not turn a tail of exactly (1 - confidence) / 2 away.
    tail = (1 - confidence) / 2 * (1 + 1e-12)
    k = int(np.count_nonzero(bdtr(np.arange(n), n, 0.5) <= tail))
    if k == 0:
        return -math.inf, math.inf
    return float(np.sort(lower)[k - 1]), float(np.sort(upper)[n - k])


def _median(x: FloatArray) -> float:
    """Median that stays defined with infinite entries (the mean of -inf and inf is not)."""
    x = np.sort(x)
    return _middle(float(x[(len(x) - 1) // 2]), float(x[len(x) // 2]))


def _middle(low: float, high: float) -> float:
    """Middle of [low, high]; inf where high is (not reached), the finite end where low is -inf."""
    if low == high or math.isinf(high):
        return high
    return high if math.isinf(low) else low + (high - low) / 2


def _counts(successes: int, n: int) -> tuple[int, int]:
    """Return both as plain integers, or raise `InputError`."""
    try:
        k, total = operator.index(successes), operator.index(n)
    except TypeError:
        raise InputError(f"successes = {successes!r}, n = {n!r}: must be whole numbers") from None
    if not 0 <= k <= total:
        raise InputError(f"successes = {k} of n = {total}: must satisfy 0 <= successes <= n")
    return k, total
