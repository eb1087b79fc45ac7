"""Censored event times against a slow loop, and their arithmetic."""

from __future__ import annotations

import math
import operator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grokscope.errors import InputError
from grokscope.statistics import CensoredTimes, event_times, wilson

COMPARE = {">": operator.gt, ">=": operator.ge, "<": operator.lt, "<=": operator.le}


def oracle(steps, curve, threshold, comparison, sustained, diverged, start):
    """One member, by reading the definition aloud."""
    points = [
        (s, COMPARE[comparison](v, threshold))
        for s, v in zip(steps, curve, strict=True)
        if not math.isnan(v) and s < diverged
    ]
    for i in range(len(points)):
        m = len(points) - i if sustained == "end" else sustained
        window = points[i : i + m]
        if len(window) == m and all(holds for _, holds in window):
            return (points[i - 1][0] if i else start), points[i][0]
    # Not seen. Drop the points at the end that hold but are too few to confirm.
    while points and points[-1][1]:
        points.pop()
    return (points[-1][0] if points else start), math.inf


values = st.sampled_from([0.0, 0.5, 1.0, math.nan])


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_event_times_equal_the_slow_loop(data):
    n_steps = data.draw(st.integers(1, 12))
    members = data.draw(st.integers(1, 4))
    gaps = data.draw(st.lists(st.integers(1, 9), min_size=n_steps, max_size=n_steps))
    steps = np.cumsum(gaps) - 1
    row = st.lists(values, min_size=n_steps, max_size=n_steps)
    curves = np.array(data.draw(st.lists(row, min_size=members, max_size=members)))
    end = st.one_of(st.just(math.inf), st.integers(0, int(steps[-1]) + 1).map(float))
    diverged = data.draw(st.lists(end, min_size=members, max_size=members))
    comparison = data.draw(st.sampled_from(list(COMPARE)))
    sustained = data.draw(st.one_of(st.integers(1, 4), st.just("end")))

    got = event_times(steps, curves, 0.5, comparison, sustained, diverged=diverged)
    for i in range(members):
        expected = oracle(steps, curves[i], 0.5, comparison, sustained, diverged[i], 0.0)
        assert (got.lower[i], got.upper[i]) == expected
    assert got.diverged.tolist() == diverged


def test_leading_axes_are_members():
    steps = [0, 10, 20]
    curves = np.array([[[0, 1, 1], [0, 0, 1]], [[1, 1, 1], [0, 0, 0]]], dtype=float)
    got = event_times(steps, curves, 0.5)
    assert got.lower.tolist() == [[0, 10], [0, 20]]
    assert got.upper.tolist() == [[10, 20], [0, math.inf]]
    alone = event_times(steps, [0.0, 0.0, 1.0], 0.5)
    assert (alone.lower.item(), alone.upper.item()) == (10, 20)


def test_a_crossing_at_the_end_that_is_not_confirmed_is_censored_before_it():
    got = event_times([0, 10, 20, 30], [[0.0, 0, 1, 1]], 0.5, sustained=3)
    assert (got.lower[0], got.upper[0]) == (10, math.inf)


def test_before_the_first_measured_point_only_the_start_is_known():
    got = event_times([32, 64], [[1.0, 1.0], [np.nan, np.nan]], 0.5, start=16)
    assert got.lower.tolist() == [16, 16]
    assert got.upper.tolist() == [32, math.inf]


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"steps": [0, 10, 10]}, "steps"),
        ({"steps": [0, 10]}, "steps"),
        ({"steps": [-5, 10, 20]}, "start"),
        ({"comparison": "=="}, "comparison"),
        ({"sustained": 0}, "sustained"),
        ({"threshold": math.nan}, "threshold"),
        ({"diverged": [1.0, 2.0]}, "diverged"),
        ({"steps": [], "values": np.zeros((1, 0))}, "empty"),
    ],
)
def test_bad_arguments_are_named(change, word):
    good = {"steps": [0, 10, 20], "values": [[0.0, 1.0, 1.0]], "threshold": 0.5}
    with pytest.raises(InputError, match=word):
        event_times(**(good | change))


def test_delay_holds_for_all_times_within_the_intervals():
    rng = np.random.default_rng(0)
    grid = np.arange(0, 1000, 32.0)
    memorization, grokking = rng.uniform(1, 300, 500), rng.uniform(1, 900, 500)

    def censor(times, end):
        index = np.searchsorted(grid, times)
        return CensoredTimes(
            np.where(times > end, end, grid[index - 1]),
            np.where(times > end, math.inf, grid[index]),
        )

    delay = censor(grokking, 640) - censor(memorization, 256)
    true = grokking - memorization
    assert ((delay.lower < true) & (true < delay.upper)).all()
    assert np.isneginf(delay.lower).sum() == (memorization > 256).sum()
    assert np.isposinf(delay.upper).sum() == (grokking > 640).sum()


def test_divergence_is_a_competing_risk():
    times = CensoredTimes([10, 20, 5], [20, math.inf, math.inf], [math.inf, math.inf, 8])
    assert times.bounds("never")[0].tolist() == [10, 20, math.inf]
    assert times.bounds("censored")[0].tolist() == [10, 20, 5]
    delay = times - CensoredTimes([0, 0, 2], [5, 5, 3])
    assert delay.bounds("never")[0].tolist() == [5, 15, math.inf]
    with pytest.raises(InputError, match="divergence"):
        times.bounds("later")


def test_share_unit_midpoint_and_choice():
    times = CensoredTimes([32, 64, 96, -math.inf], [64, 96, math.inf, 10])
    assert times.share() == wilson(3, 4)
    assert times.midpoint.tolist() == [48, 80, math.inf, -math.inf]
    epochs = times[:2] * (1 / 32)
    assert (epochs.lower.tolist(), epochs.upper.tolist()) == ([1, 2], [2, 3])
    with pytest.raises(InputError, match="factor"):
        times * -1


@pytest.mark.parametrize(
    ("lower", "upper", "word"),
    [([1, 2], [3], "shapes"), ([5], [3], "exceeds"), ([math.nan], [3], "NaN")],
)
def test_impossible_times_are_refused(lower, upper, word):
    with pytest.raises(InputError, match=word):
        CensoredTimes(lower, upper)


def test_delays_and_units_carry_the_step_of_divergence():
    late = CensoredTimes([96.0, 10.0], [math.inf, math.inf], [100.0, 40.0])
    early = CensoredTimes([0.0, 8.0], [32.0, 9.0])
    assert (late - early).diverged.tolist() == [100.0, 32.0]
    assert (late * 0.5).diverged.tolist() == [50.0, 20.0]
    assert (late * 0.5).lower.tolist() == [48.0, 5.0]


@pytest.mark.parametrize("factor", [0.0, -1.0, math.inf])
def test_a_unit_is_a_positive_number(factor):
    with pytest.raises(InputError, match="finite and positive"):
        CensoredTimes([1.0], [2.0]) * factor


def test_the_middle_of_what_was_not_seen_or_has_no_beginning_is_infinite():
    times = CensoredTimes([2.0, 3.0, -math.inf], [4.0, math.inf, 5.0])
    assert times.midpoint.tolist() == [3.0, math.inf, -math.inf]
