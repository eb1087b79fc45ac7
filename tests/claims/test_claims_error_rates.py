"""Simulated truth: how often a verdict is false, with the parameter at its region's edge."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from grokscope.claims import Claim, Effect, Region, judge

SIMULATIONS = 1000
# With 1000 simulations a rate of 5 % shows more than 6.5 % with probability below 2 %.
ALLOWED = 0.065


def claim(kind, region, name="C"):
    return Claim(
        id=name,
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


def rates(kind, region, draw, count=SIMULATIONS):
    """Return the shares of "holds" and "fails"."""
    one = claim(kind, region)
    verdicts = [judge([(one, draw(np.random.default_rng(i)))])[0].verdict for i in range(count)]
    return verdicts.count("holds") / count, verdicts.count("fails") / count


@pytest.mark.parametrize("n", [5, 20, 100])
@pytest.mark.parametrize("edge", [0.5, 0.9])
def test_shares_exactly(n, edge):
    """No simulation needed: every count's verdict, weighted by its probability."""
    one = claim("share", Region.at_least(edge))
    verdicts = np.array([judge([(one, np.arange(n) < k)])[0].verdict for k in range(n + 1)])
    for p in (edge - 1e-9, edge - 0.05, edge - 0.2):
        assert stats.binom.pmf(np.arange(n + 1), n, p)[verdicts == "holds"].sum() <= 0.025
    for p in (edge, edge + 0.05, 0.99):
        assert stats.binom.pmf(np.arange(n + 1), n, p)[verdicts == "fails"].sum() <= 0.025


@pytest.mark.parametrize("n", [5, 20, 100])
@pytest.mark.parametrize("region", [Region.at_least(1.0), Region.between(0.7, 1.0)])
def test_means_at_the_edge(n, region):
    held, failed = rates("mean", region, lambda rng: rng.normal(1.0, 0.3, n))
    assert held <= ALLOWED
    assert failed <= ALLOWED
    assert held + failed > 0  # at the edge a test that never errs has no power either


@pytest.mark.parametrize("n", [5, 20, 100])
@pytest.mark.parametrize("region", [Region.at_least(2.0), Region.between(1.2, 2.0)])
def test_geometric_means_at_the_edge(n, region):
    held, failed = rates("geometric_mean", region, lambda rng: 2 * rng.lognormal(0, 0.5, n))
    assert max(held, failed) <= ALLOWED
    assert held + failed > 0


@pytest.mark.parametrize("n", [5, 20, 100])
def test_medians_of_skewed_and_discrete_values_at_the_edge(n):
    edge = math.log(2)
    held, failed = rates("median", Region.at_most(edge), lambda rng: rng.exponential(1, n), 500)
    assert max(held, failed) <= ALLOWED
    held, _ = rates("median", Region.below(6), lambda rng: rng.integers(4, 9, n), 500)  # median 6
    assert held <= ALLOWED
    _, failed = rates("median", Region.between(6, 8), lambda rng: rng.integers(4, 9, n), 500)
    assert failed <= ALLOWED


@pytest.mark.parametrize(
    ("n", "effect"),
    [(20, 0.25), (100, 0.1)],
)
def test_power(n, effect):
    """A mean that lies well inside is found to hold, one well outside to fail."""
    region = Region.at_least(1.0)
    held, _ = rates("mean", region, lambda rng: rng.normal(1 + effect, 0.3, n), 300)
    _, failed = rates("mean", region, lambda rng: rng.normal(1 - effect, 0.3, n), 300)
    expected = stats.nct.sf(stats.t.ppf(0.975, n - 1), n - 1, effect / 0.3 * math.sqrt(n))
    assert held == pytest.approx(expected, abs=0.08)
    assert failed == pytest.approx(expected, abs=0.08)


@pytest.mark.slow
@pytest.mark.parametrize("correlation", [0.0, 0.9, -0.9])
def test_over_a_table_the_share_of_false_verdicts_is_controlled(correlation):
    """Ten claims at or beyond their edge and two that hold, computed from the same runs."""
    false_share = []
    for i in range(400):
        rng = np.random.default_rng(i)
        common = rng.normal(0, 1, 30)
        entries, wrong = [], {}
        for j in range(12):
            sign = -1 if correlation < 0 and j % 2 else 1
            own = math.sqrt(1 - correlation**2) * rng.normal(0, 1, 30)
            true = 1.0 if j >= 10 else 0.0
            entries.append(
                (
                    claim("mean", Region.above(0.0), f"C{j}"),
                    sign * abs(correlation) * common + own + true,
                )
            )
            wrong[f"C{j}"] = "fails" if true > 0 else "holds"
        judged = judge(entries)
        given = [one for one in judged if one.verdict in ("holds", "fails")]
        false = [one for one in given if one.verdict == wrong[one.claim.id]]
        false_share.append(len(false) / max(1, len(given)))
    assert np.mean(false_share) <= 0.05
