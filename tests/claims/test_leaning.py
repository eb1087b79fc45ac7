"""Which way an undecided claim leans, and how many seeds would decide it: brute force and simulation."""

from __future__ import annotations

import math
from itertools import count

import numpy as np
import pytest
from scipy import stats

from grokscope.claims import Claim, Effect, Leaning, Region, judge, least_seeds
from grokscope.statistics import (
    CensoredTimes,
    clopper_pearson,
    geometric_mean_interval,
    mean_interval,
    median_interval,
)

HIGH = Region.at_least(0.8)


def claim(kind, region=HIGH, **changes):
    fields = {
        "id": "C1",
        "sentence": "It is so.",
        "estimand": "the parameter",
        "region": region,
        "smallest_effect": Effect(0.1, "a tenth"),
        "kind": kind,
        "experiment": "standard",
        "evidence": lambda measures: measures,
    }
    return Claim(**(fields | changes))


def leaning(kind, region, evidence, **changes):
    (one,) = judge([(claim(kind, region, **changes), evidence)])
    assert one.verdict == "undecided", one
    return one.leaning


def decides(region, interval, to):
    side = region.contains if to == "holds" else region.excludes
    return side(interval.low, interval.high)


# The number of seeds


@pytest.mark.parametrize("confidence", [0.95, 0.8])
@pytest.mark.parametrize(
    ("successes", "n", "region", "to"),
    [
        (5, 5, HIGH, "holds"),
        (9, 10, HIGH, "holds"),
        (2, 4, HIGH, "fails"),
        (7, 10, HIGH, "fails"),
        (0, 5, Region.at_most(0.1), "holds"),
        (1, 20, Region.below(0.1), "holds"),
        (2, 10, Region.at_most(0.1), "fails"),
        (5, 10, Region.between(0.3, 0.7), "holds"),
        (8, 10, Region.between(0.3, 0.7), "fails"),
    ],
)
def test_seeds_of_a_share_are_those_at_which_the_exact_interval_decides(successes, n, region, to, confidence):
    """At multiples of the seeds the same share is possible: all from the number on decide, none before."""
    got = leaning("share", region, np.arange(n) < successes, confidence=confidence)
    assert got.to == to
    assert n < got.seeds < 2000
    for times in range(1, got.seeds // n + 20):
        size = times * n
        decided = decides(region, clopper_pearson(times * successes, size, confidence), to)
        assert decided == (size >= got.seeds), size
        # and by scipy's own search for the ends
        if abs(size - got.seeds) <= n:
            exact = stats.binomtest(times * successes, size).proportion_ci(confidence)
            assert decided == decides(region, exact, to)


def with_moments(n, mean, spread):
    """n values with exactly this mean and standard deviation."""
    values = np.linspace(-1, 1, n)
    return mean + spread * values / values.std(ddof=1)


@pytest.mark.parametrize(
    ("mean", "spread", "region", "to"),
    [
        (1.0, 0.4, HIGH, "holds"),
        (0.7, 0.3, HIGH, "fails"),
        (0.79, 0.05, Region.above(0.8), "fails"),
        (0.0, 1.0, Region.between(-0.3, 0.5), "holds"),
        (0.9, 1.0, Region.between(-0.3, 0.5), "fails"),
        (-0.1, 0.4, Region.below(0.0), "holds"),
    ],
)
@pytest.mark.parametrize("kind", ["mean", "geometric_mean"])
def test_seeds_of_a_mean_are_the_first_at_which_the_t_interval_decides(kind, mean, spread, region, to):
    interval, change = mean_interval, np.asarray
    if kind == "geometric_mean":
        interval, change = geometric_mean_interval, np.exp
        region = Region(*np.exp([region.low, region.high]), region.low_open, region.high_open)
        region = Region(-math.inf, region.high, high_open=region.high_open) if region.low == 0 else region
    got = leaning(kind, region, change(with_moments(4, mean, spread)))
    first = next(n for n in count(5) if decides(region, interval(change(with_moments(n, mean, spread))), to))
    assert (got.to, got.seeds) == (to, first)


@pytest.mark.parametrize(
    ("values", "region", "to"),
    [
        ([1, 2, 3, 4, 5], Region.at_least(0), "holds"),
        ([1, 2, 3, 4, 5], Region.above(1), "holds"),
        ([1, 2, 3, 4, 5], Region.at_most(2), "fails"),
        ([1, 2, 2, 2, 5], Region.between(2, 4), "holds"),
        ([1, 2, 3, 3, 5], Region.below(3), "fails"),
        ([1, 5, 6, 7, 8, 9, 10], Region.between(1, 4), "fails"),
        ([0, 2, 3, 4, 9, math.inf, math.inf], Region.at_most(5), "holds"),
    ],
)
def test_seeds_of_a_median_are_those_at_which_the_sign_test_decides(values, region, to):
    got = leaning("median", region, np.array(values, dtype=float))
    assert got.to == to
    n = len(values)
    assert n < got.seeds < 2000
    for times in range(1, got.seeds // n + 20):
        decided = decides(region, median_interval(np.repeat(values, times).astype(float)), to)
        assert decided == (times * n >= got.seeds), times


def test_six_seeds_are_the_first_that_bound_a_median():
    assert leaning("median", Region.at_least(0), np.arange(1.0, 6)).seeds == 6


def test_on_the_edge_no_number_of_seeds_decides():
    for kind, region, evidence in (
        ("share", HIGH, [1, 1, 1, 1, 0]),
        ("mean", Region.at_least(2), [1.0, 2.0, 3.0]),
        ("median", Region.at_least(2), [1.0, 1.0, 3.0, 3.0]),
    ):
        got = leaning(kind, region, np.array(evidence, dtype=float))
        assert (got.to, got.seeds) == ("holds", None)
        assert str(got).endswith("more than 10,000 would decide")


DRAWN = {
    "mean": (lambda rng, n: rng.normal(1.0, 0.3, n), Region.at_least(0.9)),
    "geometric_mean": (lambda rng, n: rng.lognormal(0.0, 0.5, n), Region.at_least(0.8)),
    "share": (lambda rng, n: (rng.random(n) < 0.9).astype(float), HIGH),
    "median": (lambda rng, n: rng.exponential(1.0, n), Region.at_most(-math.log(0.4))),
}


@pytest.mark.parametrize("kind", DRAWN)
def test_so_many_fresh_seeds_decide_about_every_second_time_and_four_times_as_many_nearly_always(kind):
    """What the seeds showed being the truth, their number is where the estimate is just far enough."""
    draw, region = DRAWN[kind]
    # a sample without luck: quantiles
    quiet = {
        "mean": with_moments(6, 1.0, 0.3),
        "geometric_mean": np.exp(with_moments(6, 0.0, 0.5)),
        "share": np.array([1.0] * 9 + [0.0]),
        "median": stats.expon.ppf((np.arange(20) + 0.5) / 20),
    }[kind]
    seeds = leaning(kind, region, quiet).seeds
    one, rng = claim(kind, region), np.random.default_rng(0)
    rates = [
        np.mean([judge([(one, draw(rng, size))])[0].verdict == "holds" for _ in range(400)])
        for size in (seeds, 4 * seeds)
    ]
    assert 0.3 < rates[0] < 0.7
    assert rates[1] > 0.9


# Which way


def test_a_claim_leans_to_the_side_of_its_estimate():
    assert leaning("share", HIGH, np.ones(5)) == Leaning("holds", 5, 5, 17)
    assert leaning("share", HIGH, np.array([1.0, 0.0, 1.0, np.nan])).agree == 1  # of those that are false
    assert leaning("share", Region.at_most(0.1), np.zeros(5)).agree == 5
    # a share that is to be neither 0 nor 1 has no seed that is like it
    assert leaning("share", Region.between(0.3, 0.7), np.arange(10) < 5).agree is None
    got = leaning("mean", HIGH, np.array([0.5, 0.6, 0.9]))
    assert (got.to, got.agree, got.n) == ("fails", 2, 3)
    got = leaning("median", Region.above(2), np.array([2.0, 3, 4]))
    assert (got.to, got.agree) == ("holds", 2)


def test_times_that_may_lie_on_either_side_lean_to_none():
    times = CensoredTimes([96.0] * 20, [128.0] * 20)
    assert leaning("median", Region.at_least(100), times) is None
    assert judge([(claim("median", Region.at_least(100)), times)])[0].words == "undecided"
    # nothing is known of the time after the end of a run
    late = CensoredTimes([96.0] * 8, [math.inf] * 8)
    assert leaning("median", Region.at_most(1000), late) is None
    some = CensoredTimes([96.0] * 4, [128.0] * 3 + [math.inf])
    got = leaning("median", Region.at_least(90), some)
    assert (got.to, got.agree) == ("holds", 4)
    got = leaning("median", Region.at_most(200), some)
    assert (got.to, got.agree) == ("holds", 3)


def test_what_is_decided_or_not_testable_does_not_lean():
    verdicts = judge(
        [
            (claim("share", id="A"), np.ones(60)),
            (claim("share", id="B"), np.zeros(60)),
            (claim("share", id="C"), None),
            (claim("mean", id="D"), np.ones(3)),
            (claim("deterministic", id="E"), np.array(1.0)),
        ]
    )
    assert [one.leaning for one in verdicts] == [None] * 5
    assert [one.words for one in verdicts] == ["holds", "fails", "not testable", "not testable", "holds"]


def test_a_verdict_that_the_table_withholds_says_so():
    """Alone it holds; among nine that tell nothing its p-value is not small enough."""
    evidence = np.ones(18)
    assert judge([(claim("share"), evidence)])[0].verdict == "holds"
    noise = [(claim("share", Region.at_least(0.5), id=f"N{i}"), np.arange(18) % 2) for i in range(9)]
    one = judge([(claim("share"), evidence), *noise])[0]
    assert (one.verdict, one.leaning) == ("undecided", Leaning("holds", 18, 18, 18, withheld=True))
    assert one.words == (
        "undecided, leans to holds: 18 of 18 seeds; decided by its interval alone, but withheld by the error"
        " control of the table"
    )
    assert one.to_json()["withheld"] is True


def test_words_round_the_number_up_to_two_digits():
    for seeds, text in ((6, "6"), (17, "17"), (101, "110"), (1201, "1,300"), (9950, "10,000")):
        assert (
            str(Leaning("fails", 2, 3, seeds)) == f"leans to fails: 2 of 3 seeds; about {text} would decide"
        )


# The fewest seeds that can show a claim


@pytest.mark.parametrize(
    ("kind", "region", "alike"),
    [
        ("share", HIGH, lambda n: np.ones(n)),
        ("share", Region.at_least(0.9), lambda n: np.ones(n)),
        ("share", Region.at_most(0.1), lambda n: np.zeros(n)),
        ("median", HIGH, lambda n: np.ones(n)),
        ("mean", HIGH, lambda n: np.linspace(1, 1.001, n)),
        ("geometric_mean", HIGH, lambda n: np.linspace(1, 1.001, n)),
    ],
)
def test_the_fewest_seeds_show_a_claim_and_one_less_does_not(kind, region, alike):
    one = claim(kind, region)
    n = least_seeds(one)
    assert judge([(one, alike(n))])[0].verdict == "holds"
    assert judge([(one, alike(n - 1))])[0].verdict in ("undecided", "not testable")


def test_the_fewest_seeds_of_a_share_between_two_ends_are_tried_one_by_one():
    region = Region.between(0.3, 0.7)
    shown = [
        n
        for n in range(2, 60)
        if any(
            region.contains(interval.low, interval.high)
            for interval in (clopper_pearson(k, n) for k in range(n + 1))
        )
    ]
    assert least_seeds(claim("share", region)) == shown[0]


def test_numbers_need_no_seeds_and_some_shares_too_many():
    assert least_seeds(claim("deterministic", smallest_effect=None)) == 0
    assert least_seeds(claim("share", Region.at_least(0.9999))) is None
