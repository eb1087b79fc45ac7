"""Kaplan-Meier against lifelines and simulated coverage."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest

from grokscope.errors import InputError
from grokscope.statistics import CensoredTimes, clopper_pearson, kaplan_meier

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
    median = kaplan_meier(times).median()
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
    empty = CensoredTimes([], [])
    assert math.isnan(kaplan_meier(empty).median().value)


def test_when_the_last_members_go_together_their_number_bounds_the_end():
    curve = kaplan_meier(CensoredTimes([5] * 8, [5] * 8))
    assert curve.high[0] == clopper_pearson(0, 8).high
    assert (curve.low[0], curve.median().low, curve.median().high) == (0, 5, 5)
    # Four left at 2, of whom all go at 3.
    curve = kaplan_meier(CensoredTimes([2] * 4 + [3] * 4, [2] * 4 + [3] * 4))
    assert curve.high[1] == pytest.approx(curve.high[0] * clopper_pearson(0, 4).high)


def test_where_interval_censored_times_are_put():
    times = CensoredTimes([0, 2, -math.inf], [2, 4, 5])
    assert kaplan_meier(times).time.tolist() == [2, 4, 5]
    assert kaplan_meier(times, at="midpoint").time.tolist() == [1, 3, 5]
    with pytest.raises(InputError, match="at ="):
        kaplan_meier(times, at="lower")
    with pytest.raises(InputError, match="q ="):
        kaplan_meier(times).quantile(1.0)


def test_without_a_share_the_quantile_is_the_median():
    curve = kaplan_meier(CensoredTimes([2, 3, 4, 9], [3, 4, 5, 10]))
    assert curve.quantile() == curve.median()


def test_a_curve_wants_a_confidence_between_0_and_1():
    with pytest.raises(InputError, match="confidence"):
        kaplan_meier(CensoredTimes([2], [3]), confidence=95)
