"""Kaplan-Meier and Turnbull against lifelines, brute force, and simulated coverage."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from scipy import optimize

from grokscope.errors import InputError
from grokscope.statistics import CensoredTimes, clopper_pearson, kaplan_meier, turnbull

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # what lifelines imports is not ours to warn about
    from lifelines import KaplanMeierFitter
    from lifelines.utils import median_survival_times


def right_censored(seed, n):
    """Times on a coarse grid (so with ties), about a third of them censored."""
    rng = np.random.default_rng(seed)
    time, end = np.ceil(rng.exponential(10, n)), np.ceil(rng.exponential(20, n))
    observed = time <= end
    shown = np.minimum(time, end)
    return shown, observed, CensoredTimes(shown, np.where(observed, shown, math.inf))


@pytest.mark.parametrize(("seed", "n"), [(0, 6), (1, 15), (2, 40), (3, 200)])
def test_kaplan_meier_equals_lifelines(seed, n):
    shown, observed, times = right_censored(seed, n)
    fitter = KaplanMeierFitter().fit(shown, observed)
    curve = kaplan_meier(times)
    assert curve.survival == pytest.approx(fitter.predict(curve.time).to_numpy())
    assert curve.at(curve.time - 0.5) == pytest.approx(fitter.predict(curve.time - 0.5).to_numpy())
    table = fitter.event_table.loc[curve.time]
    assert curve.at_risk.tolist() == table["at_risk"].tolist()
    assert curve.events.tolist() == table["observed"].tolist()

    inside = (curve.survival > 0) & (curve.survival < 1)
    bands = fitter.confidence_interval_.loc[curve.time[inside]].to_numpy()
    assert curve.low[inside] == pytest.approx(bands[:, 0])
    assert curve.high[inside] == pytest.approx(bands[:, 1])

    median = curve.median()
    assert median.value == fitter.median_survival_time_
    # At survival 0 Greenwood's variance does not exist; lifelines' band of [0, 0] is left out.
    some_left = fitter.confidence_interval_[fitter.survival_function_["KM_estimate"] > 0]
    low, high = median_survival_times(some_left).to_numpy()[0]
    assert (median.low, median.high) == (low, high)


def test_median_interval_covers_95_percent():
    hits = []
    for seed in range(600):
        rng = np.random.default_rng(seed)
        time, end = rng.exponential(1, 40), rng.uniform(0.5, 3, 40)
        shown = np.minimum(time, end)
        times = CensoredTimes(shown, np.where(time <= end, shown, math.inf))
        median = kaplan_meier(times).median()
        hits.append(median.low <= math.log(2) <= median.high)
    assert np.mean(hits) == pytest.approx(0.95, abs=0.025)


def test_five_seeds_cannot_bound_a_median():
    times = CensoredTimes([1, 2, 3, 4, 5], [1, 2, 3, 4, 5])
    for median in (kaplan_meier(times).median(), turnbull(times).median()):
        assert (median.value, median.low, median.high) == (3, -math.inf, math.inf)


def test_not_reached_and_competing_risks():
    times = CensoredTimes([1, 2, 3, 3], [2, 3, math.inf, math.inf], [math.inf] * 3 + [3])
    assert kaplan_meier(times).median().value == 3
    early = CensoredTimes([1, 2, 3, 1], [2, 3, 4, math.inf], [math.inf] * 3 + [2])
    # As one that never comes, the diverged member stays at risk; censored, it leaves at 1.
    assert kaplan_meier(early).survival == pytest.approx([3 / 4, 2 / 4, 1 / 4])
    assert kaplan_meier(early, divergence="censored").survival == pytest.approx([2 / 3, 1 / 3, 0])
    none = CensoredTimes([5.0] * 8, [math.inf] * 8)
    assert kaplan_meier(none).median().value == math.inf
    assert turnbull(none).median().value == math.inf
    empty = CensoredTimes([], [])
    assert math.isnan(kaplan_meier(empty).median().value)
    assert math.isnan(turnbull(empty).median().value)
    assert turnbull(empty).survival(3) == (0.0, 1.0)


def test_when_the_last_members_go_together_their_number_bounds_the_end():
    curve = kaplan_meier(CensoredTimes([5] * 8, [5] * 8))
    assert curve.high[0] == clopper_pearson(0, 8).high
    assert (curve.low[0], curve.median().low, curve.median().high) == (0, 5, 5)
    # Four left at 2, of whom all go at 3.
    curve = kaplan_meier(CensoredTimes([2] * 4 + [3] * 4, [2] * 4 + [3] * 4))
    assert curve.high[1] == pytest.approx(curve.high[0] * clopper_pearson(0, 4).high)


def test_turnbull_median_reaches_to_the_ends_of_its_interval():
    e = turnbull(CensoredTimes([10] * 9, [20] * 9)).median()
    assert (e.value, e.low, e.high) == (15, 10, 20)


@pytest.mark.parametrize(
    ("n", "level", "finite"), [(5, 0.95, False), (6, 0.95, True), (6, 0.96, True), (5, 0.93, True)]
)
def test_turnbull_median_is_bounded_if_so_few_times_can_bound_it(n, level, finite):
    """All of n times lie above the median with probability 0.5^n, which may be (1 - level) / 2 at most."""
    times = np.arange(1.0, n + 1)
    e = turnbull(CensoredTimes(times, times)).median(confidence=level)
    assert (math.isfinite(e.low), math.isfinite(e.high)) == (finite, finite)


def test_where_interval_censored_times_are_put():
    times = CensoredTimes([0, 2, -math.inf], [2, 4, 5])
    assert kaplan_meier(times).time.tolist() == [2, 4, 5]
    assert kaplan_meier(times, at="midpoint").time.tolist() == [1, 3, 5]
    with pytest.raises(InputError, match="at ="):
        kaplan_meier(times, at="lower")
    with pytest.raises(InputError, match="q ="):
        kaplan_meier(times).quantile(1.0)
    with pytest.raises(InputError, match="resamples"):
        turnbull(times).median(resamples=3)


def interval_censored(seed, n, exact=False):
    """Small whole-number intervals that overlap, some right-censored, some exact."""
    rng = np.random.default_rng(seed)
    lower = rng.integers(0, 8, n).astype(float)
    upper = lower + rng.integers(0 if exact else 1, 5, n)
    return CensoredTimes(lower, np.where(rng.random(n) < 0.2, math.inf, upper))


def brute_log_likelihood(times):
    """Maximize over probabilities of single points that stand for every place a time can be.

    Ends are whole numbers, so all whole and half numbers (and one beyond) are enough.
    """
    places = np.concatenate([np.arange(0, 14, 0.5), [math.inf]])
    low, high = times.lower[:, None], times.upper[:, None]
    covers = ((places > low) | ((low == high) & (places == low))) & (places <= high)
    covers = np.unique(covers, axis=1).astype(float)
    found = optimize.minimize(
        lambda p: -np.sum(np.log(covers @ p + 1e-300)),
        np.full(covers.shape[1], 1 / covers.shape[1]),
        jac=lambda p: -(1 / (covers @ p + 1e-300)) @ covers,
        bounds=[(0, 1)] * covers.shape[1],
        constraints={"type": "eq", "fun": lambda p: p.sum() - 1},
        method="SLSQP",
        options={"maxiter": 1000, "ftol": 1e-12},
    )
    assert found.success
    return -found.fun


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("seed", range(6))
def test_turnbull_maximizes_the_likelihood(seed, exact):
    times = interval_censored(seed, 25, exact)
    curve = turnbull(times)
    assert curve.gap < 1e-6
    assert curve.mass.sum() == pytest.approx(1)
    assert curve.log_likelihood == pytest.approx(brute_log_likelihood(times), abs=1e-5)
    # What is reported is the likelihood of the curve itself, from its intervals alone.
    inside = (curve.lower >= times.lower[:, None]) & (curve.upper <= times.upper[:, None])
    point = (curve.lower == curve.upper) & (curve.lower == times.lower[:, None])
    inside &= ~point | (times.lower == times.upper)[:, None]
    assert np.log(inside @ curve.mass).sum() == pytest.approx(curve.log_likelihood)


@pytest.mark.parametrize("seed", range(4))
def test_turnbull_agrees_with_lifelines(seed):
    # Shared ends belong to both neighbors there, and to one here: shift them apart.
    rng = np.random.default_rng(100 + seed)
    whole = interval_censored(seed, 60)
    times = CensoredTimes(whole.lower + rng.uniform(0, 0.4, 60), whole.upper - rng.uniform(0, 0.4, 60))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fitter = KaplanMeierFitter().fit_interval_censoring(times.lower, times.upper, tol=1e-9)
    curve = turnbull(times)
    finite = curve.upper[np.isfinite(curve.upper)]
    for t in finite:  # at right ends the survival is known exactly
        least, greatest = curve.survival(t)
        assert least == pytest.approx(greatest)
        row = fitter.survival_function_.loc[:t].iloc[-1]
        assert least == pytest.approx(row["NPMLE_estimate_lower"], abs=1e-3)


def test_turnbull_of_exact_times_is_kaplan_meier():
    _, _, times = right_censored(5, 30)
    product_limit, curve = kaplan_meier(times), turnbull(times)
    for t, s in zip(product_limit.time, product_limit.survival, strict=True):
        assert curve.survival(t) == pytest.approx((s, s), abs=1e-3)
    assert curve.median().value == product_limit.median().value


def test_turnbull_survival_brackets_what_is_inside_an_interval():
    curve = turnbull(CensoredTimes([0, 0, 4, 4], [2, 2, 6, 6]))
    assert curve.survival(1) == pytest.approx((0.5, 1.0))
    assert curve.survival(2) == pytest.approx((0.5, 0.5))
    assert curve.survival(5) == pytest.approx((0.0, 0.5))


def test_turnbull_median_covers_what_lies_between_measured_points():
    hits = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        time = rng.exponential(1, 40)
        width = rng.uniform(0.05, 0.4, 40)  # each member has a grid of its own
        lower = np.floor(time / width) * width
        seen = lower + width < 2
        median = turnbull(CensoredTimes(np.minimum(lower, 2), np.where(seen, lower + width, np.inf)))
        e = median.median(resamples=100, seed=seed)
        hits.append(e.low <= math.log(2) <= e.high)
        assert e.low <= e.value <= e.high
    assert np.mean(hits) >= 0.9


def test_turnbull_median_is_a_function_of_its_seed():
    curve = turnbull(interval_censored(3, 30))
    assert curve.median(seed=1) == curve.median(seed=1)


def test_without_a_share_the_quantile_is_the_median():
    curve = kaplan_meier(CensoredTimes([2, 3, 4, 9], [3, 4, 5, 10]))
    assert curve.quantile() == curve.median()


def test_a_curve_wants_a_confidence_between_0_and_1():
    with pytest.raises(InputError, match="confidence"):
        kaplan_meier(CensoredTimes([2], [3]), confidence=95)
