r"""Intervals for one sample: a share, a mean, a geometric mean, a median; and the bootstrap.

NaN marks a value that was not measured; it is left out, and `n` counts the rest. Where the data cannot bound
a quantity (a mean of one value, a median of five at 95 %) the end is infinite.

The bootstrap is scipy.stats.bootstrap. The other intervals are closed formulas over scipy.special.
scipy.stats has two of them, `binomtest(k, n).proportion_ci` (Wilson, Clopper-Pearson) and `t.interval`, with
the same values to rounding (tested). They are not called because claims are judged by these intervals: the
last digits of recorded claims would change, importing scipy.stats takes a second, and scipy finds
Clopper-Pearson's ends by a search that takes 5 ms where the formula takes 10 us.
"""

from __future__ import annotations

import math
import operator
import warnings
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from grokscope.errors import InputError
from grokscope.statistics._estimate import Estimate, FloatArray, check_confidence, measured

BootstrapMethod = Literal["bca", "percentile"]


def wilson(successes: int, n: int, confidence: float = 0.95) -> Estimate:
    r"""Wilson's score interval for a share.

    With $\hat p$ = `successes` / `n` and z the normal quantile of `confidence`:
    $(\hat p + z^2/2n \pm z\sqrt{\hat p(1-\hat p)/n + z^2/4n^2}) / (1 + z^2/n)$.
    Its coverage is nominal on average over shares; the coverage of `clopper_pearson` is never below
    nominal. With n = 0 the value is NaN and the interval [0, 1].

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
    # Here the formula is exactly 0 and 1; floats would miss it by rounding.
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
    k, n = _counts(successes, n)
    low, high = clopper_pearson_ends(k, n, check_confidence(confidence))
    return Estimate(k / n if n else math.nan, low, high, n, confidence, method="Clopper-Pearson")


def clopper_pearson_ends(successes: float, n: int, confidence: float) -> tuple[float, float]:
    r"""The ends of `clopper_pearson`; `successes` may be a fraction, as n times a share.

    They are quantiles of beta distributions: $\alpha/2$ of Beta(k, n - k + 1) and $1 - \alpha/2$ of
    Beta(k + 1, n - k). For whole numbers k this is Clopper and Pearson's interval, continuous in between.

    Example:
        >>> [round(end, 4) for end in clopper_pearson_ends(4.5, 5, 0.95)]
        [0.3714, 0.9999]
    """
    from scipy.special import betaincinv

    k, tail = successes, (1 - confidence) / 2
    low = 0.0 if k == 0 else float(betaincinv(k, n - k + 1, tail))
    high = 1.0 if k == n else float(betaincinv(k + 1, n - k, 1 - tail))
    return low, high


def mean_interval(values: ArrayLike, confidence: float = 0.95, unit: str = "") -> Estimate:
    r"""Student's t interval for a mean: $\bar x \pm t_{n-1}\, s/\sqrt n$.

    Exact for normal values; for skewed values and few members prefer `median_interval`. So for shares near 0
    or 1, as accuracies: of Beta(20, 1) values it covers the mean in 89, 90 and 93 % of samples of 4, 10 and
    25, and may reach above 1, while the ends of a median's interval are values. With one value the
    interval has no bounds. With equal values it has no width; `grokscope.claims` does not judge by such an
    interval.

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
    # Equal values have spread 0; the rounding of their mean would give more.
    spread = 0.0 if np.ptp(x) == 0 else float(x.std(ddof=1))
    half = float(stdtrit(n - 1, (1 + confidence) / 2)) * spread / math.sqrt(n)
    return Estimate(mean, mean - half, mean + half, n, confidence, unit, method)


def geometric_mean_interval(values: ArrayLike, confidence: float = 0.95, unit: str = "") -> Estimate:
    r"""Interval for a geometric mean: exp of Student's t interval for the mean logarithm.

    $\exp(\bar y \pm t_{n-1}\, s_y/\sqrt n)$ with $y_i = \log x_i$. For ratios and other positive numbers:
    exact for log-normal values, and always above 0. The interval of 1/x is the inverse of that of x.

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
    k >= 1 (fewer than 6 members at 95 %) the interval has no bounds. Values may be infinite.

    Args:
        values: One number per member; NaN = not measured. With `upper`: the lower ends.
        confidence: Least coverage.
        unit: Unit of the values.
        upper: Upper ends, for values that are only known to lie between `values` and `upper`. The low
            end of the interval then comes from the lower ends and its high end from the upper ends, so
            that it covers for all possible true values. The value is the middle of the two medians: the
            upper one if the lower is -inf, inf if the upper is inf (the median is not reached).

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


def bootstrap_interval(
    values: ArrayLike,
    statistic: Callable[..., Any] = np.mean,
    *,
    confidence: float = 0.95,
    method: BootstrapMethod = "bca",
    resamples: int = 2000,
    seed: int = 0,
    unit: str = "",
) -> Estimate:
    r"""Bootstrap interval: quantiles of the statistic over samples drawn with replacement.

    `"percentile"` takes the $\alpha/2$ and $1-\alpha/2$ quantiles of the replicates. `"bca"` moves these
    levels to $\Phi(z_0 + (z_0 + z)/(1 - a(z_0 + z)))$, with $z_0$ the normal quantile of the share of
    replicates below the estimate (median bias) and a the skewness of the jackknife / 6 (acceleration). If
    $z_0$ or a does not exist (all replicates on one side of the estimate; a jackknife without spread), it
    gives the percentile interval. Below about 20 members both methods cover less than the nominal level:
    prefer an exact interval. Computed by scipy.stats.bootstrap.

    Args:
        values: One number per member; NaN = not measured.
        statistic: `statistic(values, axis=-1)`, as `np.mean` or `np.median`.
        confidence: Nominal coverage.
        method: `"bca"` or `"percentile"`.
        resamples: Number of bootstrap samples.
        seed: Seed of the generator; the same seed gives the same interval.
        unit: Unit of the statistic.

    Raises:
        InputError: for an unknown method or fewer than 100 resamples.

    Source: B. Efron, J. Am. Stat. Assoc. 82 (1987) 171.

    Example:
        >>> e = bootstrap_interval([1.0, 2.0, 4.0, 8.0], seed=1)
        >>> e.value, e.low < 3.75 < e.high
        (3.75, True)
    """
    samples = (measured(values),)
    return _bootstrap(samples, statistic, confidence, method, resamples, seed, unit, "bootstrap")


def _mean_difference(a: FloatArray, b: FloatArray, axis: int) -> FloatArray:
    return np.mean(a - b, axis=axis)


def paired_bootstrap_interval(
    a: ArrayLike,
    b: ArrayLike,
    statistic: Callable[..., Any] = _mean_difference,
    *,
    confidence: float = 0.95,
    method: BootstrapMethod = "bca",
    resamples: int = 2000,
    seed: int = 0,
    unit: str = "",
) -> Estimate:
    """Bootstrap interval for two samples of the same members; both values of a member are drawn together.

    Pairing removes the variation that both samples share (the same initialization, data and order). Members
    that are not measured in both samples are left out.

    Args:
        a: One number per member.
        b: One number per member, in the same order.
        statistic: `statistic(a, b, axis=-1)`; by default the mean of `a - b`.
        confidence: Nominal coverage.
        method: `"bca"` or `"percentile"`, see `bootstrap_interval`.
        resamples: Number of bootstrap samples.
        seed: Seed of the generator.
        unit: Unit of the statistic.

    Raises:
        InputError: if a and b differ in shape, or for what `bootstrap_interval` raises.

    Example:
        >>> e = paired_bootstrap_interval([3.0, 5.0, 9.0], [1.0, 3.0, 7.0])
        >>> e.value, e.low, e.high
        (2.0, 2.0, 2.0)
    """
    x, y = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if x.shape != y.shape:
        raise InputError(f"a has shape {x.shape}, b has {y.shape}: members must be paired")
    both = ~(np.isnan(x) | np.isnan(y))
    samples = (x[both], y[both])
    return _bootstrap(samples, statistic, confidence, method, resamples, seed, unit, "paired bootstrap")


def _bootstrap(
    samples: tuple[FloatArray, ...],
    statistic: Callable[..., Any],
    confidence: float,
    method: BootstrapMethod,
    resamples: int,
    seed: int,
    unit: str,
    name: str,
) -> Estimate:
    """Bootstrap members; the same members are drawn from every sample."""
    check_confidence(confidence)
    if method not in ("bca", "percentile"):
        raise InputError(f"method = {method!r}: must be 'bca' or 'percentile'")
    if resamples < 100:
        raise InputError(f"resamples = {resamples}: must be at least 100")
    n = len(samples[0])
    label = f"{'BCa' if method == 'bca' else 'percentile'} {name}"
    value = float(statistic(*samples, axis=-1)) if n else math.nan
    if n < 2:
        return Estimate(value, -math.inf, math.inf, n, confidence, unit, label)
    from scipy.stats import bootstrap

    def ends(method: BootstrapMethod) -> tuple[float, float]:
        found = bootstrap(
            samples,
            statistic,
            n_resamples=resamples,
            vectorized=True,
            paired=len(samples) > 1,
            axis=-1,
            confidence_level=confidence,
            method=method,
            rng=np.random.default_rng(seed),
        ).confidence_interval
        return float(found.low), float(found.high)

    with warnings.catch_warnings(), np.errstate(divide="ignore", invalid="ignore"):
        warnings.simplefilter("ignore")  # a correction that does not exist is NaN, which is checked here
        low, high = ends(method)
    if math.isnan(low) or math.isnan(high):
        low, high = ends("percentile")
    return Estimate(value, low, high, n, confidence, unit, label)


def _order_bounds(lower: FloatArray, upper: FloatArray, confidence: float) -> tuple[float, float]:
    """Return the k-th smallest lower end and the k-th largest upper end of the sign test."""
    from scipy.special import bdtr

    n = len(lower)
    # A tail of exactly (1 - confidence) / 2 must count despite rounding.
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
    """Middle of [low, high]: high if it is inf (not reached) or if low is -inf."""
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
