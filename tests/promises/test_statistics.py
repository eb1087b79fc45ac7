"""Promise 8: verdicts err as seldom as they say, and intervals cover as often, on data whose truth is known.

Each kind of claim (share, mean, median, median of censored times) with its parameter at the edge of the
region, on either side of it, and well inside or outside; at the numbers of seeds that are used. A rate
counts as more than 5 % when a binomial test says so at 1 in 10,000; the rates themselves are written
down. The power at the smallest effect is measured, not promised. Kaplan-Meier against lifelines:
tests/test_statistics_survival.py.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from grokscope.claims import Claim, Effect, Region, judge
from grokscope.statistics import (
    CensoredTimes,
    bootstrap_interval,
    clopper_pearson,
    geometric_mean_interval,
    kaplan_meier,
    mean_interval,
    median_interval,
    ratio_of_times,
    wilson,
)

SEEDS = (5, 20, 100)
SURE = 1e-4
EFFECT = 0.5  # standard deviations; for shares a tenth


def claim(kind: str, region: Region) -> Claim:
    return Claim(
        id="C",
        sentence="It is so.",
        source="here",
        paper_value=None,
        unit="",
        estimand="the parameter",
        region=region,
        smallest_effect=Effect(0.1, "a tenth"),
        kind=kind,
        experiment="standard",
        evidence=lambda measures: measures,
    )


def normal(rng, n, theta):
    return rng.normal(theta, 1.0, n)


def skewed(rng, n, theta):
    """Log-normal with median theta + 1 (so that theta = 0 is a median of 1)."""
    return (theta + 1) * np.exp(rng.normal(0, 0.8, n))


def discrete(rng, n, theta):
    """Whole numbers around 10 + theta, with ties: P(X <= 9) = P(X >= 11) < 1/2, median exactly 10 + theta."""
    return 10 + theta + rng.integers(-2, 3, n)


def shares(rng, n, theta):
    return rng.random(n) < 0.8 + theta


def censored(rng, n, theta):
    """Exponential times of median 1 + theta, seen on a grid of a tenth, ended at 3."""
    time = rng.exponential((1 + theta) / math.log(2), n)
    lower = np.minimum(np.floor(time * 10) / 10, 3.0)
    return CensoredTimes(lower, np.where(time < 3.0, lower + 0.1, np.inf))


# kind, how data are drawn, the parameter at theta = 0, the size of an effect
DRAWN = {
    "mean of normal values": ("mean", normal, 0.0, EFFECT),
    "geometric mean of ratios": ("geometric_mean", skewed, 1.0, 0.5),
    "median of skewed values": ("median", skewed, 1.0, 0.5),
    "median of whole numbers": ("median", discrete, 10.0, 1.0),
    "share": ("share", shares, 0.8, 0.1),
    "median of censored times": ("median", censored, 1.0, 0.5),
}


def rates(torture, name: str, n: int, region: Region, theta: float, count: int) -> tuple[float, float]:
    kind, draw, _, _ = DRAWN[name]
    one, tags = claim(kind, region), (torture.seed, sorted(DRAWN).index(name), n, int(1000 * (theta + 5)))
    verdicts = [
        judge([(one, draw(np.random.default_rng([*tags, i]), n, theta))])[0].verdict for i in range(count)
    ]
    return verdicts.count("holds") / count, verdicts.count("fails") / count


def too_often(rate: float, count: int) -> bool:
    return stats.binomtest(round(rate * count), count, 0.05, alternative="greater").pvalue < SURE


@pytest.mark.parametrize("name", DRAWN)
def test_verdicts(torture, name):
    """False "holds" with the parameter outside (at the edge, or an effect away), false "fails" inside."""
    kind, _, at, effect = DRAWN[name]
    count, facts, judged = torture.count(60, 2000), {}, 0
    for n in SEEDS:
        # the edge belongs to the region of `at_least`, and not to that of `above`
        cases = (
            ("edge, outside", Region.above(at), 0.0, False),
            ("edge, inside", Region.at_least(at), 0.0, True),
            ("effect outside", Region.at_least(at), -effect, False),
            ("effect inside", Region.at_least(at), effect, True),
        )
        if kind != "share":
            cases += (("middle of a band", Region.around(at, effect), 0.0, True),)
            cases += (("outside a band", Region.around(at, effect / 2), effect, False),)
        for text, region, theta, inside in cases:
            if not torture.in_time:
                break
            held, failed = rates(torture, name, n, region, theta, count)
            wrong, right = (failed, held) if inside else (held, failed)
            facts[f"{n} seeds, {text}"] = {"false": wrong, "right": right}
            judged += count
            torture.check(not too_often(wrong, count), f"{name}, {n} seeds, {text}: {wrong:.3f} false")
    worst = max(case["false"] for case in facts.values())
    powers = [case["right"] for text, case in facts.items() if text.startswith("100 seeds, effect")]
    power = min(powers) if powers else math.nan
    torture.check(not powers or power > 0.3, f"{name}: power {power:.2f} at the effect, with 100 seeds")
    torture.done(
        judged,
        f"simulated verdicts: {name}",
        f"false at most {100 * worst:.1f} %; power at the effect, 100 seeds: {100 * power:.0f} %",
        **facts,
    )


def ratio(rng, n):
    common = rng.normal(0, 1, n)
    a, b = (np.exp(common + rng.normal(shift, 0.3, n)) for shift in (math.log(2), 0.0))
    return ratio_of_times(*(CensoredTimes(x, x) for x in (a, b)))


def half_censored(rng, n):
    """Paired times on a grid; the record ends at the slower run's median, so half of its times are unseen."""
    end, grid, shown = 4000.0, 25.0, []
    for median, spread in ((4000, 1.0), (200, 0.2)):
        upper = np.ceil(rng.lognormal(math.log(median), spread, n) / grid) * grid
        seen = upper <= end
        shown.append(CensoredTimes(np.where(seen, upper - grid, end), np.where(seen, upper, np.inf)))
    return ratio_of_times(*shown)


def near_one(rng, n):
    """Shares of neurons, pairs or variance: most are near 1, some are not, and none is above."""
    return median_interval(rng.beta(20, 1, n))


def survival(rng, n):
    time, end = rng.exponential(1, n), rng.uniform(0.5, 3, n)
    shown = np.minimum(time, end)
    return kaplan_meier(CensoredTimes(shown, np.where(time <= end, shown, np.inf))).median()


# interval, truth, whether it covers about 95 % or at least 95 %
FEW, MANY = (4, 10, 25), (50, 100)  # seeds
INTERVALS = {
    "mean_interval": (lambda rng, n: mean_interval(rng.normal(3, 2, n)), 3.0, "about"),
    "geometric_mean_interval": (
        lambda rng, n: geometric_mean_interval(rng.lognormal(1, 0.8, n)),
        math.e,
        "about",
    ),
    "median_interval": (lambda rng, n: median_interval(rng.exponential(1, n)), math.log(2), "at least"),
    "clopper_pearson": (lambda rng, n: clopper_pearson(int(rng.binomial(n, 0.8)), n), 0.8, "at least"),
    "wilson": (lambda rng, n: wilson(int(rng.binomial(n, 0.63)), n), 0.63, "about"),
    "bootstrap_interval": (
        lambda rng, n: bootstrap_interval(rng.normal(3, 2, n), resamples=500),
        3.0,
        "about",
    ),
    "ratio_of_times": (ratio, 2.0, "at least"),
    "ratio_of_times, half censored": (half_censored, 20.0, "at least"),
    "median of shares": (near_one, 0.5 ** (1 / 20), "at least"),
    "kaplan_meier median": (survival, math.log(2), "about"),
}


ON_FEW = ("ratio_of_times, half censored", "median of shares")  # as reproductions of papers have them


@pytest.mark.parametrize("name", INTERVALS)
def test_coverage(torture, name):
    """95 % +- 2 where that is promised, at least 95 % where that is; 2,000 simulations."""
    interval, truth, what = INTERVALS[name]
    count, facts = torture.count(100, 2000), {}
    # in the suite a few simulations are judged more leniently: 100 at 95 % show less than 86 % once in 5,000
    low, high = (0.93, 0.97) if torture.full else (0.86, 1.0)
    for n in FEW + MANY if name in ON_FEW else MANY:
        rng, hits = np.random.default_rng([torture.seed, n]), 0
        for _ in range(count):
            found = interval(rng, n)
            hits += found.low <= truth <= found.high
        facts[f"{n} seeds"] = hits / count
        fine = low <= hits / count and (hits / count <= high or what == "at least")
        torture.check(fine, f"{name}, {n} seeds: {hits / count:.3f} of {count}")
    shown = ", ".join(f"{100 * rate:.1f} % with {n}" for n, rate in facts.items())
    torture.done(
        len(facts) * count, f"simulated intervals: {name}", f"cover {shown}", promised=f"{what} 95 %", **facts
    )
