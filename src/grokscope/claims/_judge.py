"""Verdicts on a table of claims."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from grokscope.claims._claim import Claim
from grokscope.claims._evidence import Evidence, EvidenceFailed, NotTestable, checked
from grokscope.claims._leaning import Leaning, leaning
from grokscope.claims._region_test import RegionTest, region_test
from grokscope.errors import InputError
from grokscope.statistics import CensoredTimes, DiscoveryMethod, false_discovery, format_number

Verdict = Literal["holds", "fails", "undecided", "not testable"]
NOT_RUN = "its experiment was not run"  # the note of a claim without evidence


@dataclass(frozen=True)
class Judged:
    """A claim with our estimate and its verdict.

    Attributes:
        claim: The claim.
        value: Our estimate; None if there is none; inf for a median time that is not reached.
        interval: Confidence interval of the value, not adjusted for multiple claims; None for
            deterministic claims and where it cannot be computed.
        n: Number of seeds used (0 for a deterministic claim of a single number).
        verdict: "holds", "fails", "undecided" or "not testable".
        method: Method of the interval; "tolerance" for deterministic claims.
        control: How the false-discovery rate over all claims is controlled; empty if there was no test.
        adjusted_p: Adjusted p-value: the smallest false-discovery rate at which this claim gets a
            verdict; None if there was no test.
        note: Why the claim is not testable, which seeds were left out, and the like; may be empty.
        error: The error that left the claim without evidence; None if there was none.
        leaning: Of an undecided claim: which way it leans, and about how many seeds would decide it; None if
            the estimate tells nothing.
    """

    claim: Claim
    value: float | None
    interval: tuple[float, float] | None
    n: int
    verdict: Verdict
    method: str = ""
    control: str = ""
    adjusted_p: float | None = None
    note: str = ""
    error: str | None = None
    leaning: Leaning | None = None

    @property
    def words(self) -> str:
        """The verdict in words, as "undecided, leans to holds: 5 of 5 seeds; about 17 would decide".

        They are the same in the terminal, on pages, in notebooks and in `claims.json`.
        """
        return self.verdict if self.leaning is None else f"{self.verdict}, {self.leaning}"

    def to_json(self) -> dict[str, Any]:
        """Return the entry of `claims.json`.

        An infinite end of the interval becomes null, and so does an interval with two infinite ends; a
        median time that is not reached becomes the text "not reached".
        """
        c, lean = self.claim, self.leaning
        value = "not reached" if self.value == math.inf else _finite(self.value)
        interval = None
        if self.interval is not None and not np.isinf(self.interval).all():
            interval = [_finite(end) for end in self.interval]
        return {
            "id": c.id,
            "name": c.name,
            "sentence": c.sentence,
            "source": c.source,
            "paper_value": c.paper_value,
            "value": value,
            "unit": c.unit,
            "interval": interval,
            "seeds": self.n,
            "verdict": self.verdict,
            "words": self.words,
            "leaning": None if lean is None else lean.to,
            "agreeing": None if lean is None else lean.agree,
            "seeds_to_decide": None if lean is None else lean.seeds,
            "withheld": lean is not None and lean.withheld,
            "experiment": c.experiment,
            "beside": list(c.beside),
            "setting": c.setting,
            "reduced": c.reduced,
            "estimand": c.estimand,
            "region": str(c.region),
            "smallest_effect": None if c.smallest_effect is None else str(c.smallest_effect),
            "method": self.method,
            "control": self.control,
            "confidence": c.confidence,
            "adjusted_p": self.adjusted_p,
            "fixed_on": c.fixed_on,
            "confirmed_on": c.confirmed_on,
            "note": self.note,
            "error": self.error,
        }


def judge(
    claims_with_evidence: Iterable[tuple[Claim, Evidence | NotTestable | None]],
    fdr: float = 0.05,
    method: DiscoveryMethod = "by",
) -> list[Judged]:
    r"""Give a verdict on each claim, with the false-discovery rate controlled over all claims.

    If the confidence interval lies inside the claim's region, the claim holds; if it lies outside, the claim
    fails; otherwise the claim is undecided. With many claims some intervals miss the true value by chance.
    Therefore "holds" and "fails" are given only if the claim's adjusted p-value is at most `fdr`: the
    expected share of false verdicts among them is then at most `fdr`. Other claims are undecided, with a
    note.

    The p-value of a claim is the smaller of the p-values for "holds" and for "fails" (see `_region_test`).
    Exactly one of these two hypotheses is true, so testing both needs no further adjustment. For a single
    claim with `fdr` = 1 - confidence, the verdict is that of the interval alone.

    The default procedure is Benjamini and Yekutieli's, which is valid under any dependence: the claims of a
    paper are computed from the same runs. Benjamini and Hochberg's is not proved for negative dependence.

    Deterministic claims have no p-value and do not count in the adjustment. They hold if all numbers are
    inside the region, else they fail; the value shown is the one farthest outside, or the first if all are
    inside.

    Args:
        claims_with_evidence: Pairs of a claim and the result of `gather` (None: experiment not run).
        fdr: The largest allowed false-discovery rate.
        method: `"by"` or `"bh"`, see `grokscope.statistics.false_discovery`.

    Returns:
        One `Judged` per claim, in order.

    Raises:
        InputError: for a repeated id, or evidence of the wrong form.
    """
    entries = list(claims_with_evidence)
    ids = [claim.id for claim, _ in entries]
    repeated = sorted({name for name in ids if ids.count(name) > 1})
    if repeated:
        raise InputError(f"claims: id {repeated[0]!r} comes twice; ids must be unique in a table")

    tests: list[RegionTest | Judged] = []
    for claim, evidence in entries:
        if evidence is None:
            tests.append(_not_testable(claim, NOT_RUN))
        elif isinstance(evidence, EvidenceFailed):
            tests.append(replace(_not_testable(claim, str(evidence)), error=str(evidence)))
        elif isinstance(evidence, NotTestable):
            tests.append(_not_testable(claim, str(evidence)))
        else:
            tests.append(_test(claim, checked(claim, evidence)))
    p_values = [
        min(test.p_holds, test.p_fails) if isinstance(test, RegionTest) else math.nan for test in tests
    ]
    adjusted = false_discovery(p_values, fdr, method).adjusted
    tested = int(np.count_nonzero(~np.isnan(adjusted)))
    name = "Benjamini-Yekutieli" if method == "by" else "Benjamini-Hochberg"
    control = f"false-discovery rate at most {fdr:g} over {tested} claims ({name})"
    return [
        _decide(claim, evidence, test, float(p), fdr, control) if isinstance(test, RegionTest) else test
        for (claim, evidence), test, p in zip(entries, tests, adjusted, strict=True)
    ]


def _test(claim: Claim, evidence: Evidence) -> RegionTest | Judged:
    """Test a claim against its region; a deterministic or not testable claim is judged without a test."""
    try:
        if claim.kind == "deterministic" and not isinstance(evidence, CensoredTimes):
            return _deterministic(claim, evidence)
        return region_test(claim, evidence)
    except NotTestable as reason:
        return _not_testable(claim, str(reason), evidence)


def _deterministic(claim: Claim, evidence: np.ndarray) -> Judged:
    """Judge a deterministic claim: every number must lie in the region."""
    values = np.atleast_1d(evidence)
    if len(values) == 0 or np.isnan(values).any():
        raise NotTestable(f"{int(np.isnan(values).sum())} of {len(values)} numbers are missing")
    distance = np.array([abs(claim.region.distance(float(v))) for v in values])
    inside = np.array([claim.region.contains(float(v)) for v in values])
    # Outside before inside, then by distance: the end of an open region lies outside at distance 0.
    worst = float(values[np.lexsort((-distance, inside))[0]])
    note = "" if inside.all() else f"{int((~inside).sum())} of {len(values)} numbers outside"
    verdict: Verdict = "holds" if inside.all() else "fails"
    n = 0 if evidence.ndim == 0 else len(values)
    return Judged(claim, worst, None, n, verdict, "tolerance", note=note)


def _decide(
    claim: Claim, evidence: Any, test: RegionTest, adjusted: float, fdr: float, control: str
) -> Judged:
    """Give the verdict on a tested claim, from its interval and its adjusted p-value."""
    e = test.estimate
    by_interval: Literal["holds", "fails", "undecided"] = "undecided"
    if claim.region.contains(e.low, e.high):
        by_interval = "holds"
    elif claim.region.excludes(e.low, e.high):
        by_interval = "fails"
    # The tolerance absorbs rounding where the interval ends exactly at the edge of the region.
    passes = adjusted <= fdr * (1 + 1e-9)
    notes: list[str] = []
    withheld = None if by_interval == "undecided" or passes else by_interval
    if withheld:
        notes.append(f"{by_interval!r} by its interval alone, not at a false-discovery rate of {fdr:g}")
    size = evidence.n if isinstance(evidence, CensoredTimes) else np.size(evidence)
    if size > e.n:
        notes.append(f"{size - e.n} of {size} seeds not measured")
    if math.isinf(e.low) and math.isinf(e.high):
        level = format_number(100 * e.confidence)
        notes.append(f"{e.n} seeds cannot bound a {claim.kind.replace('_', ' ')} at {level} %")
    verdict = by_interval if passes else "undecided"
    return Judged(
        claim,
        e.value,
        (e.low, e.high),
        e.n,
        verdict,
        e.method,
        control,
        adjusted,
        "; ".join(notes),
        leaning=leaning(claim, checked(claim, evidence), withheld) if verdict == "undecided" else None,
    )


def _not_testable(claim: Claim, reason: str, evidence: Evidence | None = None) -> Judged:
    """Judge a claim as not testable; number and mean of the seeds are kept where there are any."""
    n, value = 0, None
    if isinstance(evidence, CensoredTimes):
        n = evidence.n
    elif evidence is not None:
        values = evidence[~np.isnan(evidence)]
        n = values.size
        value = float(values.mean()) if n and np.isfinite(values).all() else None
    return Judged(claim, value, None, n, "not testable", note=reason)


def _finite(value: float | None) -> float | None:
    """Return `value`, or None where JSON has no such number."""
    return value if value is not None and math.isfinite(value) else None


def number_text(value: float | str | None, unit: str = "") -> str:
    """Write a value for a table: a dash if there is none, "not reached" for inf."""
    if value is None:
        return "-"
    if isinstance(value, str):
        return value
    if value == math.inf:
        return "not reached"
    return f"{format_number(value)} {unit}".rstrip()
