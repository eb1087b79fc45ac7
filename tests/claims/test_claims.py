"""Claims: regions, evidence and verdicts."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from grokscope.claims import NotTestable, Region, gather, judge, need
from grokscope.claims._region_test import region_test
from grokscope.errors import InputError
from grokscope.statistics import CensoredTimes, false_discovery
from made_up_claims import claim


def verdict(evidence, **fields):
    return judge([(claim(**fields), evidence)])[0].verdict


# Regions


@pytest.mark.parametrize(
    ("region", "text", "inside", "outside"),
    [
        (Region.at_least(2), ">= 2", [2, 3, math.inf], [1.9]),
        (Region.above(2), "> 2", [2.1], [2, 1]),
        (Region.at_most(2), "<= 2", [2, -math.inf], [2.1]),
        (Region.below(2), "< 2", [1.9], [2, 3]),
        (Region.between(6, 8), "[6, 8]", [6, 7, 8], [5.9, 8.1]),
        (Region(0, 1, low_open=True, high_open=True), "(0, 1)", [0.5], [0, 1]),
        (Region.around(8, 0.5), "[7.5, 8.5]", [8, 8.5], [9]),
    ],
)
def test_region(region, text, inside, outside):
    assert str(region) == text
    assert all(region.contains(v) and not region.excludes(v, v) for v in inside)
    assert all(region.excludes(v, v) and not region.contains(v) for v in outside)
    assert not region.contains(*sorted([inside[0], outside[0]]))
    assert not region.excludes(*sorted([inside[0], outside[0]]))
    assert not region.contains(math.nan)


@pytest.mark.parametrize(
    "ends",
    [(2, 1), (1, 1, True), (math.nan, 1), (-math.inf, math.inf), (math.inf, math.inf)],
)
def test_impossible_regions_are_refused(ends):
    with pytest.raises(InputError, match="region"):
        Region(*ends)


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"kind": "mode"}, "kind"),
        ({"id": ""}, "id"),
        ({"confidence": 95}, "confidence"),
        ({"kind": "share", "region": Region.above(1)}, "share"),
        ({"kind": "geometric_mean", "region": Region.at_most(0)}, "positive ends"),
        ({"kind": "geometric_mean", "region": Region.between(0, 2)}, "positive ends"),
        ({"smallest_effect": None}, "smallest_effect"),
    ],
)
def test_impossible_claims_are_refused(changes, word):
    with pytest.raises(InputError, match=word):
        claim(**changes)


# Evidence


def test_evidence_comes_from_a_dataset():
    measures = xr.Dataset({"x": ("seed", [True, False])})
    assert gather(claim("share"), measures).tolist() == [1.0, 0.0]


def test_a_missing_measure_is_named_and_the_claim_not_testable():
    def evidence(measures):
        need(measures, "test_acuracy")
        return measures["test_acuracy"]

    one = claim(evidence=evidence)
    measures = xr.Dataset({"test_accuracy": ("seed", [1.0])})
    got = judge([(one, gather(one, measures))])[0]
    assert got.verdict == "not testable"
    assert got.note == "the run has no measure 'test_acuracy'. Did you mean 'test_accuracy'?"
    assert (got.value, got.interval, got.n, got.adjusted_p) == (None, None, 0, None)


@pytest.mark.parametrize(
    ("kind", "evidence", "word"),
    [
        ("share", [0.5, 1.0], "true or false"),
        ("mean", [[1.0, 2.0]], "one entry per seed"),
        ("mean", 3.0, "one entry per seed"),
        ("mean", "many", "no array"),
        ("mean", CensoredTimes([1, 2], [2, 3]), "median"),
    ],
)
def test_evidence_of_the_wrong_form_names_the_claim(kind, evidence, word):
    with pytest.raises(InputError, match=f"C1.*{word}"):
        gather(claim(kind), {"x": evidence})


# Verdicts


@pytest.mark.parametrize(
    ("true", "n", "expected"),
    [
        (5, 5, "undecided"),  # five of five say little about every seed
        (35, 35, "undecided"),
        (36, 36, "holds"),  # 0.9^36 = 0.0225 is the first below 0.025
        (96, 100, "holds"),
        (95, 100, "undecided"),
        (84, 100, "undecided"),
        (83, 100, "fails"),
        (0, 5, "fails"),
    ],
)
def test_a_claim_about_every_seed(true, n, expected):
    assert verdict(np.arange(n) < true, kind="share") == expected


@pytest.mark.parametrize("method", ["bh", "by"])
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_alone_the_verdict_is_that_of_the_interval(method, data):
    kind = data.draw(st.sampled_from(["share", "mean", "geometric_mean", "median"]))
    rng = np.random.default_rng(data.draw(st.integers(0, 10**6)))
    n = data.draw(st.integers(2, 40))
    if kind == "share":
        evidence = rng.random(n) < rng.random()
    elif kind == "mean":
        evidence = rng.normal(0.5, 0.3, n)
    elif kind == "geometric_mean":
        evidence = rng.lognormal(-0.7, 0.5, n)
    else:
        evidence = rng.integers(0, 5, n) / 4  # many values on the region's ends
    ends = [0.0, 0.25, 0.3, 0.5, 0.75, 1.0][kind == "geometric_mean" :]
    low, high = sorted(data.draw(st.sampled_from(ends)) for _ in "ab")
    region = data.draw(
        st.sampled_from(
            [Region.at_least(low), Region.at_most(high), Region.between(low, high)]
            + [Region.above(low)] * (kind != "share" or low < 1)
            + [Region.below(high)] * (kind != "share" or high > 0)
        )
    )
    got = judge([(claim(kind, region), evidence)], method=method)[0]
    if got.interval is None:
        assert got.verdict == "not testable"
        return
    expected = "undecided"
    if region.contains(*got.interval):
        expected = "holds"
    elif region.excludes(*got.interval):
        expected = "fails"
    assert got.verdict == expected


@pytest.mark.parametrize("kind", ["share", "mean", "geometric_mean", "median", "times"])
def test_p_values_are_where_the_interval_meets_the_region(kind):
    """p is the level at which the interval just lies inside, or outside: found by bisection."""
    rng = np.random.default_rng(0)
    for region in (Region.at_least(0.6), Region.between(0.3, 0.62), Region.at_most(0.35)):
        for center in (0.2, 0.5, 0.8):
            if kind == "share":
                evidence = (rng.random(25) < center).astype(float)
            elif kind == "geometric_mean":
                evidence = center * rng.lognormal(0, 0.2, 25)
            else:
                evidence = rng.normal(center, 0.1, 25)
            if kind == "times":
                evidence = CensoredTimes(evidence, evidence + 0.1)
            parameter = "median" if kind == "times" else kind
            test = region_test(claim(parameter, region), evidence)

            def met(level, rule, region=region, evidence=evidence, parameter=parameter):
                one = claim(parameter, region, confidence=1 - level)
                e = region_test(one, evidence).estimate
                return getattr(region, rule)(e.low, e.high)

            for p, rule in ((test.p_holds, "contains"), (test.p_fails, "excludes")):
                if 1e-9 < p < 0.999:
                    assert met(p * (1 + 1e-6), rule)
                    assert not met(p * (1 - 1e-6), rule)


def test_over_a_table_the_verdicts_control_the_false_discovery_rate():
    rng = np.random.default_rng(1)
    entries = [
        (claim(id=f"C{i}", region=Region.above(0)), rng.normal(shift, 1, 30))
        for i, shift in enumerate(np.linspace(-0.8, 0.8, 25))
    ]
    tests = [region_test(*entry) for entry in entries]
    p = [min(t.p_holds, t.p_fails) for t in tests]
    for method in ("bh", "by"):
        judged = judge(entries, fdr=0.1, method=method)
        expected = false_discovery(p, 0.1, method)
        assert [one.adjusted_p for one in judged] == expected.adjusted.tolist()
        for one, t, passed in zip(judged, tests, expected.rejected, strict=True):
            inside = t.estimate.low > 0, t.estimate.high <= 0
            by_interval = {(True, False): "holds", (False, True): "fails"}.get(inside, "undecided")
            assert one.verdict == (by_interval if passed else "undecided")
            assert ("by its interval alone" in one.note) == (by_interval != "undecided" and not passed)
    assert {one.verdict for one in judged} == {"holds", "fails", "undecided"}


def test_claims_without_a_test_do_not_weigh_on_the_others():
    tested = (claim("share"), np.ones(36))
    rest = [
        (claim(id="C2"), None),
        (claim(id="C3"), NotTestable("no replay")),
        (claim("deterministic", id="C4"), np.array(1.0)),
    ]
    judged = judge([tested, *rest])
    assert judged[0] == judge([tested])[0]
    assert [one.verdict for one in judged] == ["holds", "not testable", "not testable", "holds"]
    assert judged[1].note == "its experiment was not run"


def test_deterministic_claims_have_a_tolerance():
    region = Region.around(8, 0.5)
    got = judge([(claim("deterministic", region, smallest_effect=None), np.array([8.1, 9, 8.0]))])[0]
    assert (got.verdict, got.value, got.interval, got.n) == ("fails", 9, None, 3)
    assert got.note == "1 of 3 numbers outside"
    assert verdict(np.array([8.5, 7.5]), kind="deterministic", region=region) == "holds"
    edge = judge([(claim("deterministic", Region.above(1)), np.array([1.0, 2.0]))])[0]
    assert (edge.verdict, edge.value) == ("fails", 1.0)
    assert verdict(np.array([8.0, np.nan]), kind="deterministic", region=region) == "not testable"
    assert verdict(np.array([]), kind="deterministic", region=region) == "not testable"


def test_medians_of_censored_times_use_both_ends():
    low, high = np.full(20, 96.0), np.full(20, 128.0)
    times = CensoredTimes(low, high)
    assert verdict(times, kind="median", region=Region.at_least(96)) == "holds"
    assert verdict(times, kind="median", region=Region.at_least(100)) == "undecided"
    assert verdict(times, kind="median", region=Region.above(128)) == "fails"
    assert verdict(times, kind="median", region=Region.at_most(128)) == "holds"
    late = CensoredTimes(low, np.full(20, math.inf))
    assert verdict(late, kind="median", region=Region.at_least(96)) == "holds"
    assert verdict(late, kind="median", region=Region.at_most(1000)) == "undecided"
    lost = CensoredTimes(low, np.full(20, math.inf), np.full(20, 97.0))
    assert verdict(lost, kind="median", region=Region.at_most(1000)) == "fails"
    assert verdict(times[:1], kind="median") == "not testable"


@pytest.mark.parametrize(
    ("kind", "evidence", "note"),
    [
        ("share", [True], "1 of 1 seeds measured; an interval needs 2"),
        ("mean", [1.0, np.nan], "1 of 2 seeds measured; an interval needs 2"),
        ("mean", [1.0, 1.0, 1.0], "all 3 values equal 1: a t interval needs spread"),
        ("mean", [1.0, math.inf], "a value is infinite"),
        ("geometric_mean", [2.0, 2.0, 2.0], "all 3 values equal 2: a t interval needs spread"),
        ("geometric_mean", [1.0, 0.0], "a value is not positive and finite"),
        ("geometric_mean", [1.0, math.inf], "a value is not positive and finite"),
    ],
)
def test_without_an_interval_a_claim_is_not_testable(kind, evidence, note):
    got = judge([(claim(kind), np.array(evidence, dtype=float))])[0]
    assert got.verdict == "not testable"
    assert note in got.note


def test_notes_say_what_was_left_out():
    got = judge([(claim("share"), np.array([1.0] * 40 + [np.nan] * 2))])[0]
    assert (got.n, got.note) == (40, "2 of 42 seeds not measured")
    few = judge([(claim("median"), np.arange(5.0))])[0]
    assert few.note == "5 seeds cannot bound a median at 95 %"


def test_ids_are_unique_in_a_table():
    with pytest.raises(InputError, match="'C1' comes twice"):
        judge([(claim(), None), (claim(), None)])


def test_a_claim_is_a_value():
    one = claim()
    assert replace(one, id="C2").region == one.region
    with pytest.raises(AttributeError):
        one.id = "C3"


def test_a_claim_is_judged_by_the_experiments_it_names():
    assert claim(experiment="a").experiments == ("a",)
    assert claim(experiment="a", beside=("b", "c")).experiments == ("a", "b", "c")


@pytest.mark.parametrize("confidence", [0, 1])
def test_a_confidence_of_0_or_1_is_none(confidence):
    with pytest.raises(InputError, match="confidence"):
        claim(confidence=confidence)


def test_two_seeds_are_enough_for_a_median_without_bounds():
    got = judge([(claim("median"), np.array([1.0, 2.0]))])[0]
    assert (got.verdict, got.value, got.interval) == ("undecided", 1.5, (-math.inf, math.inf))
    times = CensoredTimes([1.0, 2.0], [1.5, 2.5])
    assert judge([(claim("median"), times)])[0].verdict == "undecided"


def test_a_median_on_the_edge_is_above_it_only_where_the_edge_belongs_to_the_region():
    """Eight values on the edge and two above: the sign test counts ties against what excludes them."""
    values = np.array([0.5] * 8 + [1.0] * 2)
    assert verdict(values, kind="median", region=Region.at_least(0.5)) == "holds"
    assert verdict(values, kind="median", region=Region.above(0.5)) == "undecided"
    assert verdict(-values, kind="median", region=Region.at_most(-0.5)) == "holds"
    assert verdict(-values, kind="median", region=Region.below(-0.5)) == "undecided"
    for region, evidence in ((Region.above(0.5), values), (Region.below(-0.5), -values)):
        assert region_test(claim("median", region), evidence).p_holds > 0.05
