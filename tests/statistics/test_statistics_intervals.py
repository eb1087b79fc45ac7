"""Intervals for shares, means and medians: against scipy, definitions, and simulated coverage."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from grokscope.errors import InputError
from grokscope.statistics import (
    Estimate,
    bootstrap_interval,
    clopper_pearson,
    format_number,
    geometric_mean_interval,
    mean_interval,
    median_interval,
    paired_bootstrap_interval,
    wilson,
)


@pytest.mark.parametrize("confidence", [0.8, 0.95, 0.99])
@pytest.mark.parametrize("n", [1, 2, 5, 20, 100])
def test_share_intervals_agree_with_scipy(n, confidence):
    for k in {0, 1, n // 2, n - 1, n}:
        test = stats.binomtest(k, n)
        for ours, name in ((wilson, "wilson"), (clopper_pearson, "exact")):
            expected = test.proportion_ci(confidence, method=name)
            got = ours(k, n, confidence)
            assert (got.low, got.high) == pytest.approx((expected.low, expected.high), abs=1e-10)
            assert (got.value, got.n, got.confidence) == (k / n, n, confidence)


def test_share_ends_are_exact_at_none_and_all():
    assert wilson(0, 7).low == clopper_pearson(0, 7).low == 0.0
    assert wilson(7, 7).high == clopper_pearson(7, 7).high == 1.0
    nothing = wilson(0, 0)
    assert math.isnan(nothing.value)
    assert (nothing.low, nothing.high, nothing.n) == (0.0, 1.0, 0)


def coverage_of_share(interval, n, p):
    """Exact coverage: the probability of all counts whose interval contains p."""
    inside = [interval(k, n).low <= p <= interval(k, n).high for k in range(n + 1)]
    return stats.binom.pmf(np.arange(n + 1), n, p)[inside].sum()


@pytest.mark.parametrize("n", [5, 20, 100])
def test_clopper_pearson_covers_at_least_95_percent(n):
    coverage = [coverage_of_share(clopper_pearson, n, p) for p in np.linspace(0.01, 0.99, 25)]
    assert min(coverage) >= 0.95


@pytest.mark.parametrize("n", [20, 100])
def test_wilson_covers_95_percent_on_average(n):
    coverage = [coverage_of_share(wilson, n, p) for p in np.linspace(0.03, 0.97, 48)]
    assert np.mean(coverage) == pytest.approx(0.95, abs=0.01)


@pytest.mark.parametrize(("successes", "n"), [(-1, 5), (6, 5), (0.5, 5)])
def test_shares_refuse_impossible_counts(successes, n):
    for interval in (wilson, clopper_pearson):
        with pytest.raises(InputError, match="successes"):
            interval(successes, n)


def test_mean_interval_agrees_with_scipy():
    x = np.random.default_rng(0).normal(3, 2, size=12)
    expected = stats.ttest_1samp(x, 0).confidence_interval(0.9)
    got = mean_interval([*x, np.nan], 0.9, unit="steps")
    assert (got.low, got.high) == pytest.approx((expected.low, expected.high))
    assert (got.n, got.unit) == (12, "steps")


def test_two_values_are_enough_for_a_mean():
    expected = stats.ttest_1samp([1.0, 4.0], 0).confidence_interval(0.95)
    got = mean_interval([1.0, 4.0])
    assert (got.low, got.high) == pytest.approx((expected.low, expected.high))


def test_mean_interval_covers_95_percent():
    x = np.random.default_rng(1).normal(3, 2, size=(2000, 5))
    intervals = [mean_interval(row) for row in x]
    assert np.mean([e.low <= 3 <= e.high for e in intervals]) == pytest.approx(0.95, abs=0.02)


def test_geometric_mean_interval_is_that_of_the_logarithms():
    x = np.random.default_rng(0).lognormal(1, 0.5, size=12)
    logs = stats.ttest_1samp(np.log(x), 0).confidence_interval(0.9)
    got = geometric_mean_interval([*x, np.nan], 0.9, unit="times")
    assert (got.low, got.high) == pytest.approx((math.exp(logs.low), math.exp(logs.high)))
    assert got.value == pytest.approx(stats.gmean(x))
    assert (got.n, got.unit) == (12, "times")
    inverse = geometric_mean_interval(1 / x, 0.9)
    assert (inverse.low, inverse.high) == pytest.approx((1 / got.high, 1 / got.low))


def test_geometric_mean_interval_covers_95_percent():
    x = np.random.default_rng(1).lognormal(1, 0.8, size=(2000, 5))
    intervals = [geometric_mean_interval(row) for row in x]
    assert np.mean([e.low <= math.e <= e.high for e in intervals]) == pytest.approx(0.95, abs=0.02)


@pytest.mark.parametrize("bad", [0.0, -1.0, math.inf])
def test_geometric_mean_refuses_what_has_no_logarithm(bad):
    with pytest.raises(InputError, match="median"):
        geometric_mean_interval([1.0, bad])


def test_too_little_data_gives_no_bounds_rather_than_made_up_ones():
    one = mean_interval([4.0])
    assert (one.value, one.low, one.high, one.n) == (4.0, -math.inf, math.inf, 1)
    assert math.isnan(mean_interval([np.nan]).value)
    factor = geometric_mean_interval([4.0])
    assert (factor.value, factor.low, factor.high) == pytest.approx((4.0, 0.0, math.inf))
    five = median_interval([1, 2, 3, 4, 5])
    assert (five.value, five.low, five.high) == (3, -math.inf, math.inf)
    single = bootstrap_interval([4.0])
    assert (single.low, single.high) == (-math.inf, math.inf)
    equal = mean_interval([0.1] * 7)
    assert equal.low == equal.high == equal.value


def test_mean_refuses_infinite_values():
    with pytest.raises(InputError, match="median"):
        mean_interval([1.0, math.inf])


@pytest.mark.parametrize("n", [6, 7, 20, 51, 200])
@pytest.mark.parametrize("confidence", [0.9, 0.95])
def test_median_interval_has_the_tightest_order_statistics_that_cover(n, confidence):
    e = median_interval(np.random.default_rng(n).permutation(n), confidence)
    low, high = int(e.low), int(e.high)
    assert low + high == n - 1  # symmetric ranks

    # The interval of ranks low..high misses when at most `low` members are on one side.
    def covered(rank):
        return 1 - 2 * stats.binom.cdf(rank, n, 0.5)

    assert covered(low) >= confidence
    assert covered(low + 1) < confidence


def test_median_interval_takes_infinite_and_interval_valued_members():
    lower = np.array([1.0, 2, 3, 4, 5, 6, 7])
    upper = np.array([2.0, 3, 4, 5, math.inf, math.inf, math.inf])
    e = median_interval(lower, upper=upper)
    assert (e.low, e.high) == (1.0, math.inf)
    assert e.value == 4.5  # between the medians 4 and 5 of the ends
    assert median_interval(lower, upper=np.where(lower > 3, math.inf, upper)).value == math.inf
    assert median_interval([-math.inf, 5.0]).value == 5.0
    with pytest.raises(InputError, match="upper"):
        median_interval(lower, upper=upper[:-1])


# of the implementation before scipy.stats.bootstrap: the same draws, so the same intervals
@pytest.mark.parametrize(
    ("interval", "method", "seed", "low", "high"),
    [
        ("mean", "bca", 0, 0.7472125923755398, 1.2449720970434164),
        ("mean", "bca", 4, 0.7421736843338612, 1.2376341719796182),
        ("mean", "percentile", 4, 0.7282687951420583, 1.2201824581602858),
        ("median", "bca", 0, 0.5344861492996229, 1.0163591941456882),
        ("median", "bca", 4, 0.5344861492996229, 1.006273445254986),
        ("median", "percentile", 4, 0.5404107907889892, 1.0163591941456882),
        ("paired", "bca", 4, -0.2843032711221519, 0.3071815033422533),
        ("paired", "percentile", 4, -0.2523186367283033, 0.33422356550064325),
    ],
)
def test_bootstrap_intervals_stay_the_same(interval, method, seed, low, high):
    x = np.random.default_rng(2).exponential(size=40)
    y = np.random.default_rng(3).exponential(size=40)
    got = {
        "mean": lambda: bootstrap_interval(x, method=method, seed=seed),
        "median": lambda: bootstrap_interval(x, np.median, method=method, seed=seed, confidence=0.9),
        "paired": lambda: paired_bootstrap_interval(x, y, method=method, seed=seed),
    }[interval]()
    assert (got.low, got.high) == pytest.approx((low, high), abs=1e-12)


def test_bca_is_shifted_towards_the_long_tail():
    x = np.random.default_rng(2).exponential(size=40)
    plain, corrected = (bootstrap_interval(x, method=m, seed=5) for m in ("percentile", "bca"))
    assert corrected.low > plain.low
    assert corrected.high > plain.high


def test_bootstrap_is_a_function_of_its_seed():
    x = np.arange(10.0)
    assert bootstrap_interval(x, seed=1) == bootstrap_interval(x, seed=1)
    assert bootstrap_interval(x, seed=1) != bootstrap_interval(x, seed=2)


def test_bootstrap_covers():
    rng = np.random.default_rng(6)
    hits = 0
    for i in range(300):
        e = bootstrap_interval(rng.exponential(size=50), resamples=400, seed=i)
        hits += e.low <= 1 <= e.high
    assert hits / 300 == pytest.approx(0.935, abs=0.035)  # known to fall a little short at n = 50


def test_paired_bootstrap_removes_what_the_pair_has_in_common():
    rng = np.random.default_rng(7)
    common = rng.normal(0, 100, size=30)
    a, b = common + rng.normal(5, 1, size=30), common + rng.normal(0, 1, size=30)
    a[3] = np.nan
    e = paired_bootstrap_interval(a, b)
    assert e.n == 29
    assert 3 < e.low < 5 < e.high < 7

    def ratio(x, y, axis):
        return np.mean(x, axis=axis) / np.mean(y, axis=axis)

    constant = paired_bootstrap_interval([2.0, 4.0, 6.0], [1.0, 2.0, 3.0], ratio)
    assert (constant.value, constant.low, constant.high) == (2.0, 2.0, 2.0)


@pytest.mark.parametrize(
    ("call", "word"),
    [
        (lambda: bootstrap_interval([1, 2], method="basic"), "method"),
        (lambda: bootstrap_interval([1, 2], resamples=10), "resamples"),
        (lambda: bootstrap_interval([1, 2], confidence=95), "confidence"),
        (lambda: bootstrap_interval(["a"]), "values"),
        (lambda: paired_bootstrap_interval([1, 2], [1, 2, 3]), "paired"),
        (lambda: mean_interval([1, 2], 1.0), "confidence"),
        (lambda: median_interval([1, 2], 0.0), "confidence"),
        (lambda: wilson(1, 2, math.nan), "confidence"),
    ],
)
def test_bad_arguments_are_named(call, word):
    with pytest.raises(InputError, match=word):
        call()


def test_an_estimate_reads_well():
    e = Estimate(3712.0, 3000.4, math.inf, n=12, confidence=0.9, unit="steps")
    assert str(e) == "3712 [3000, inf] steps (90 %, n = 12)"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (-0.25, "-0.25"),
        (999.96, "1000"),
        (12345.6, "12346"),
        (math.nan, "not a number"),
        (-math.inf, "-inf"),
        (math.inf, "inf"),
    ],
)
def test_numbers_are_written_plainly(value, text):
    assert format_number(value) == text


def test_replicates_that_are_all_on_one_side_are_not_corrected_for_bias():
    """The share of different values: 1 in the sample, and less in every resample of 40 members."""

    def different(values, axis):
        return (np.diff(np.sort(values, axis), axis=axis) > 0).mean(axis)

    x = np.arange(40.0)
    corrected, plain = (bootstrap_interval(x, different, method=m) for m in ("bca", "percentile"))
    assert (corrected.low, corrected.high) == (plain.low, plain.high)
    assert corrected.high < corrected.value == 1
    assert corrected.method == "BCa bootstrap"
