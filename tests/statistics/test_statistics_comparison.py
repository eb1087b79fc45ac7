"""Paired ratios of times, and the false-discovery rate against its definition."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from grokscope.errors import InputError
from grokscope.statistics import (
    CensoredTimes,
    false_discovery,
    geometric_mean_interval,
    paired_ratios,
    ratio_of_times,
)


def on_grid(time, step, end=math.inf):
    """What a schedule with points every `step` up to `end` shows of exact times."""
    lower = np.ceil(time / step) * step - step
    seen = lower + step <= end
    return CensoredTimes(np.where(seen, lower, end), np.where(seen, lower + step, math.inf))


def test_geometric_mean_of_exact_ratios():
    b = np.array([100.0, 200.0, 400.0])
    e = ratio_of_times(CensoredTimes(2 * b, 2 * b), CensoredTimes(b, b), method="geometric_mean")
    assert (e.value, e.low, e.high) == pytest.approx((2, 2, 2))
    skew = np.array([1.0, 2.0, 4.0])
    e = ratio_of_times(CensoredTimes(skew, skew), CensoredTimes([1] * 3, [1] * 3), method="geometric_mean")
    half = 4.302652729911275 * math.log(2) / math.sqrt(3)  # t table: 97.5 % at 2 degrees of freedom
    assert (e.value, e.low, e.high) == pytest.approx((2, 2 * math.exp(-half), 2 * math.exp(half)))


@pytest.mark.parametrize("end", [math.inf, 1200.0])
def test_median_ratio_covers_with_and_without_censoring(end):
    hits, sharp = [], []
    for seed in range(300):
        rng = np.random.default_rng(seed)
        b = rng.lognormal(6, 0.5, 25)
        a = 1.5 * b * rng.lognormal(0, 0.2, 25)
        e = ratio_of_times(on_grid(a, 32, end), on_grid(b, 32, end))
        hits.append(e.low <= 1.5 <= e.high)
        sharp.append(e.low > 1)
        assert e.low <= e.value <= e.high
    assert np.mean(hits) >= 0.95
    assert np.mean(sharp) > 0.9  # and it still says that a is slower


def test_censored_pairs_count_as_far_as_they_are_known():
    inf = math.inf
    a = CensoredTimes([90] * 8, [100] * 4 + [inf] * 4)
    b = CensoredTimes([45] * 8, [50] * 6 + [inf] * 2)
    e = ratio_of_times(a, b)
    # Ratios: four of 2, two with only a censored (inf), two with both (left out of the value).
    assert e.value == 2
    assert (e.low, e.high) == (0, inf)
    swapped = ratio_of_times(b[:6], a[:6])
    assert swapped.value == 0.5
    assert swapped.low == 0
    assert swapped.high == pytest.approx(50 / 90)


def test_divergence_and_zero_times():
    inf = math.inf
    times = CensoredTimes([10] * 6, [10] * 6)
    lost = CensoredTimes([4] * 6, [inf] * 6, [5] * 6)
    assert ratio_of_times(lost, times).low == inf
    assert ratio_of_times(lost, times, divergence="censored").low == pytest.approx(0.4)
    start = CensoredTimes([0] * 6, [0] * 6)
    unknown = ratio_of_times(start, start)
    assert math.isnan(unknown.value)
    assert (unknown.low, unknown.high) == (0, inf)
    assert ratio_of_times(times, start).value == inf


def test_fewer_than_six_pairs_have_no_bounds():
    e = ratio_of_times(CensoredTimes([2] * 5, [2] * 5), CensoredTimes([1] * 5, [1] * 5))
    assert (e.value, e.low, e.high, e.n) == (2, 0, math.inf, 5)


@pytest.mark.parametrize(
    ("a", "b", "method", "word"),
    [
        (CensoredTimes([1], [2]), CensoredTimes([1, 1], [2, 2]), "median", "paired"),
        (CensoredTimes([-1], [2]), CensoredTimes([1], [2]), "median", "negative"),
        (CensoredTimes([1], [2]), CensoredTimes([1], [2]), "mean", "method"),
        (CensoredTimes([1], [math.inf]), CensoredTimes([1], [2]), "geometric_mean", "1 of 1"),
        (CensoredTimes([0], [0]), CensoredTimes([1], [2]), "geometric_mean", "is 0"),
    ],
)
def test_bad_comparisons_are_refused(a, b, method, word):
    with pytest.raises(InputError, match=word):
        ratio_of_times(a, b, method=method)


def rejected_by_definition(p, level, method):
    """Reject the k smallest for the largest k with p_(k) <= k level / (m c)."""
    m = len(p)
    c = sum(1 / i for i in range(1, m + 1)) if method == "by" else 1.0
    ordered = sorted(p)
    k = max((i for i in range(1, m + 1) if ordered[i - 1] <= i * level / (m * c)), default=0)
    return [k > 0 and value <= ordered[k - 1] for value in p]


@settings(max_examples=300, deadline=None)
@given(
    # Multiples of 1/1000 against levels off that grid: no ties to be decided by rounding.
    p=st.lists(st.integers(0, 200), min_size=1, max_size=12),
    level=st.sampled_from([0.0123457, 0.0512343, 0.2098761]),
    method=st.sampled_from(["bh", "by"]),
)
def test_false_discovery_is_its_definition(p, level, method):
    p = [x / 1000 for x in p]
    found = false_discovery(p, level, method)
    assert found.rejected.tolist() == rejected_by_definition(p, level, method)
    # The adjusted value is the smallest level at which the test is rejected.
    for i, adjusted in enumerate(found.adjusted):
        if 0 < adjusted < 0.99:
            assert rejected_by_definition(p, adjusted * (1 + 1e-9), method)[i]
            assert not rejected_by_definition(p, adjusted * (1 - 1e-9), method)[i]


def test_an_adjusted_value_is_at_most_one():
    # by definition (1 + 1/2) * 2 * 0.9 / 1 and (1 + 1/2) * 2 * 0.95 / 2
    assert false_discovery([0.9, 0.95], method="by").adjusted.tolist() == [1.0, 1.0]


def test_tests_not_made_are_not_counted():
    found = false_discovery([0.02, np.nan, 0.03])
    assert found.adjusted[[0, 2]] == pytest.approx([0.03, 0.03])
    assert np.isnan(found.adjusted[1])
    assert found.rejected.tolist() == [True, False, True]
    assert false_discovery([]).adjusted.shape == (0,)


@pytest.mark.parametrize(
    ("arguments", "word"),
    [(([1.5],), "p_values"), (([0.5], 0.0), "level"), (([0.5], 0.05, "holm"), "method")],
)
def test_false_discovery_refuses(arguments, word):
    with pytest.raises(InputError, match=word):
        false_discovery(*arguments)


@pytest.mark.parametrize("method", ["bh", "by"])
def test_adjusted_p_values_agree_with_scipy(method):
    p = np.random.default_rng(4).uniform(0, 0.3, 15)
    expected = stats.false_discovery_control(p, method=method)
    assert false_discovery(p, 0.1, method).adjusted == pytest.approx(expected)


@pytest.mark.parametrize("level", [0.0, 1.0, -0.1, 1.5])
def test_a_false_discovery_rate_lies_between_0_and_1(level):
    with pytest.raises(InputError, match="level"):
        false_discovery([0.01], level)


def test_what_is_exactly_at_the_level_is_discovered():
    found = false_discovery([0.05, 0.9], 0.1, "bh")
    assert found.adjusted.tolist() == [0.1, 0.9]
    assert found.rejected.tolist() == [True, False]


def test_the_true_ratio_lies_between_the_ends_of_each_pair():
    rng = np.random.default_rng(0)
    for end in (320.0, 640.0, math.inf):
        a, b = rng.lognormal(6, 0.7, 500), rng.lognormal(5.5, 0.7, 500)
        found = paired_ratios(on_grid(a, 32, end), on_grid(b, 32, end))
        assert ((found.lower <= a / b) & (a / b <= found.upper)).all()
        assert found.n == 500
    assert np.isfinite(found.upper[b > 32]).all()


@pytest.mark.parametrize("n", [4, 10, 25])
def test_putting_in_the_end_of_the_record_for_unseen_times_misses_the_truth_where_bounds_do_not(n):
    """Half of the slower run's times are unseen; why no claim imputes them (docs/referee.md, point 7)."""
    rng, end, imputed, bounded = np.random.default_rng(n), 4000.0, [], []
    for _ in range(400):
        slow, fast = rng.lognormal(math.log(4000), 1.0, n), rng.lognormal(math.log(200), 0.2, n)
        wrong = geometric_mean_interval(np.minimum(slow, end) / fast)
        right = ratio_of_times(on_grid(slow, 25, end), on_grid(fast, 25, end))
        imputed.append(wrong.low <= 20 <= wrong.high)
        bounded.append(right.low <= 20 <= right.high)
    assert np.mean(imputed) < {4: 0.96, 10: 0.6, 25: 0.1}[n]
    assert np.mean(bounded) >= 0.95


def test_a_longer_record_narrows_the_interval_and_does_not_move_it():
    rng = np.random.default_rng(1)
    a, b = rng.lognormal(7, 0.7, 40), rng.lognormal(5, 0.3, 40)
    short, long = (ratio_of_times(on_grid(a, 32, end), on_grid(b, 32, end)) for end in (896.0, 8960.0))
    assert short.low <= long.low <= np.median(a / b) <= long.high <= short.high == math.inf


def test_a_member_that_diverged_counts_as_later_than_any_time():
    a, b = (
        CensoredTimes([90.0, 90.0], [math.inf, 110.0], [95.0, math.inf]),
        CensoredTimes([45.0] * 2, [55.0] * 2),
    )
    assert paired_ratios(a, b).lower[0] == math.inf
    assert paired_ratios(a, b, divergence="censored").lower[0] == pytest.approx(90 / 55)
    assert paired_ratios(b, a).upper[0] == 0.0


def test_a_pair_of_which_neither_was_seen_says_nothing():
    never = CensoredTimes([100.0] * 8, [np.inf] * 8)
    both = ratio_of_times(never, never)
    assert (both.low, both.high) == (0.0, np.inf)
    twice = ratio_of_times(CensoredTimes([200.0] * 8, [200.0] * 8), CensoredTimes([100.0] * 8, [100.0] * 8))
    assert (twice.low, twice.high) == (2.0, 2.0)
    # eight more of which nothing is known are not eight fewer
    ends = [[200.0] * 8 + [300.0] * 8, [200.0] * 8 + [np.inf] * 8, [100.0] * 8 + [300.0] * 8]
    mixed = ratio_of_times(CensoredTimes(*ends[:2]), CensoredTimes(ends[2], [100.0] * 8 + [np.inf] * 8))
    assert (mixed.low, mixed.high, mixed.n) == (0.0, np.inf, 16)
    zero = CensoredTimes([0.0] * 8, [0.0] * 8)
    assert (ratio_of_times(zero, zero).low, ratio_of_times(zero, zero).high) == (0.0, np.inf)


@pytest.mark.parametrize("which", [0, 1])
def test_a_geometric_mean_of_times_that_are_0_is_refused_by_name(which):
    pair = [CensoredTimes([0.0, 2.0], [0.0, 4.0]), CensoredTimes([1.0, 2.0], [3.0, 4.0])]
    with pytest.raises(InputError, match="a time is 0"):
        ratio_of_times(*(pair if which == 0 else pair[::-1]), method="geometric_mean")
