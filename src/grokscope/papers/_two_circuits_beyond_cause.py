"""N3 and N4: is norm growth the cause, and do the circuits compete?

Every claim compares members of a branch with those of the standard run that they come from: the same up to
the intervention. The "future circuit" is the standard run's generalizing subnetwork, known from its end.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from grokscope.claims import Claim, Effect, NotTestable, Region
from grokscope.papers._two_circuits_beyond_evidence import (
    Cohort,
    overlaps_with_source,
    ratios_of_grokking,
    share_that_groks,
)
from grokscope.papers._two_circuits_beyond_experiments import DOSES

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["CAUSE_CLAIMS", "COMPETITION_CLAIMS"]

_TWENTIETH = Effect(0.05, "a twentieth of the time to grokking")
_TENTH = Effect(0.1, "a tenth of the time to grokking")
_SAME = Region.between(0.9, 1.1)
_HARDLY = Region.at_most(0.1)


def _claim(
    id: str,
    sentence: str,
    estimand: str,
    region: Region,
    effect: Effect,
    kind: Any,
    experiment: str,
    evidence: Callable[..., Any],
    *beside: str,
) -> Claim:
    return Claim(
        id=id,
        sentence=sentence,
        source=f"issue {id[:2]}",
        paper_value=None,
        unit="",
        estimand=estimand,
        region=region,
        smallest_effect=effect,
        kind=kind,
        experiment=experiment,
        evidence=evidence,
        beside=(*beside, "standard"),
    )


def _ratio(id: str, sentence: str, experiment: str, region: Region, effect: Effect = _TENTH) -> Claim:
    return _claim(
        id,
        sentence,
        "the median over pairs of the grokking step with the intervention over that without",
        region,
        effect,
        "median",
        experiment,
        ratios_of_grokking,
    )


def _groks(id: str, sentence: str, experiment: str, region: Region) -> Claim:
    return _claim(
        id,
        sentence,
        "the share of seeds that grok, of those that grok without the intervention",
        region,
        Effect(0.1, "one seed in ten"),
        "share",
        experiment,
        share_that_groks,
    )


# ---------------------------------------------------------------- N3: norm growth as the cause


def _dose_response(*measures: xr.Dataset) -> np.ndarray:
    """Per seed the slope of the log of the ratio of grokking steps against the log of the dose.

    Through the ratio 1 at dose 1; a branch that does not grok counts as if it had at its last step.
    """
    *branches, source = measures
    other = Cohort(source)
    doses = np.log(list(DOSES.values()))
    ratios = np.full((len(branches), len(other.seeds)), np.nan)
    for i, branch in enumerate(branches):
        own = Cohort(branch)
        rows = own.source_rows(other)
        kept = (rows >= 0) & other.grokking.observed[rows]
        step = np.where(own.grokking.observed, own.grokking.midpoint, own.steps[-1])
        before = other.grokking.midpoint[rows[kept]]
        good = (step[kept] > 0) & (before > 0)
        ratios[i, rows[kept][good]] = np.log(step[kept][good] / before[good])
    if np.isnan(ratios).all():
        raise NotTestable("no seed has all doses")
    return (doses @ ratios) / (doses @ doses)


def _other_circuit(branch: xr.Dataset, source: xr.Dataset) -> np.ndarray:
    return overlaps_with_source(branch, source)[1]


def _difference(branch: xr.Dataset, source: xr.Dataset) -> np.ndarray:
    """The largest difference of each member's accuracy curve from that of the one it comes from."""
    own, other = Cohort(branch), Cohort(source)
    rows = own.source_rows(other)
    if (rows < 0).any():
        raise NotTestable("a member's source is not there")
    shared, at, there = np.intersect1d(own.steps, other.steps, return_indices=True)
    del shared
    apart = np.abs(own.curves("test_accuracy")[:, at] - other.curves("test_accuracy")[rows][:, there])
    return np.nanmax(apart, axis=1)


CAUSE_CLAIMS = (
    _claim(
        "N3-dose",
        "The more norm along the hidden bits the future circuit is given early, the sooner it groks.",
        "the mean over seeds of the slope of log grokking step against log dose (1.25, 1.5, 2, 4)",
        Region.at_most(-0.2),
        Effect(0.1, "7 % of the time for a doubled norm"),
        "mean",
        "boost-1.25",
        _dose_response,
        *list(DOSES)[1:],
    ),
    _ratio(
        "N3-boost-2",
        "A doubled norm along the hidden bits speeds grokking.",
        "boost-2",
        Region.at_most(0.8),
    ),
    _ratio(
        "N3-whole",
        "A doubled norm in all directions does not.",
        "boost-2-whole",
        Region.at_least(0.95),
        _TWENTIETH,
    ),
    _ratio(
        "N3-next-best",
        "Control: doubling as many of the other largest neurons does not speed it.",
        "boost-2-next-best",
        Region.at_least(0.95),
        _TWENTIETH,
    ),
    _ratio(
        "N3-random",
        "Control: doubling as many random others does nothing.",
        "boost-2-random",
        _SAME,
    ),
    _ratio(
        "N3-sham",
        "Sham: a doubled incoming norm that leaves the function as it is does not speed it.",
        "sham-2",
        Region.at_least(0.95),
        _TWENTIETH,
    ),
    Claim(
        id="N3-sham-compensated",
        sentence="The compensated sham changes nothing at all.",
        source="issue N3",
        paper_value=None,
        unit="",
        estimand="for each seed the largest difference of the curves of test accuracy with and without it",
        region=Region.between(0.0, 0.0),
        smallest_effect=None,
        kind="deterministic",
        experiment="sham-compensated",
        evidence=_difference,
        beside=("standard",),
    ),
    _groks(
        "N3-block-all",
        "Blocking all growth along the hidden bits stops grokking.",
        "block-all",
        _HARDLY,
    ),
    _groks(
        "N3-block-circuit",
        "Blocking the future circuit alone does not stop it.",
        "block-circuit",
        Region.at_least(0.8),
    ),
    _ratio("N3-block-delays", "It delays it.", "block-circuit", Region.at_least(1.1)),
    _claim(
        "N3-block-other",
        "For the most part another circuit forms.",
        "the mean over seeds of the likeness (cosine of path norms) of the final circuits with and without "
        "the block",
        Region.at_most(0.5),
        Effect(0.1, "a tenth of the whole likeness"),
        "mean",
        "block-circuit",
        _other_circuit,
    ),
    _ratio(
        "N3-block-control",
        "Control: blocking as many others of like norm does nothing.",
        "block-norm-matched",
        _SAME,
    ),
)

# ---------------------------------------------------------------- N4: competition

COMPETITION_CLAIMS = (
    _groks(
        "N4-circuit",
        "The future circuit alone, all else cut at memorization, groks.",
        "prune-to-circuit",
        Region.at_least(0.8),
    ),
    _ratio("N4-sooner", "And sooner than among the others.", "prune-to-circuit", Region.at_most(0.8)),
    _groks("N4-random", "As many random neurons do not.", "prune-to-random", _HARDLY),
    _groks("N4-norm-matched", "Nor do as many of like path norm.", "prune-to-norm-matched", _HARDLY),
    _groks("N4-next-best", "Nor do the largest of the others.", "prune-to-next-best", _HARDLY),
    _ratio(
        "N4-apart",
        "If circuit and rest do not feel each other's hinge loss, grokking comes sooner.",
        "circuit-apart",
        Region.at_most(0.95),
        _TWENTIETH,
    ),
    _ratio(
        "N4-apart-control",
        "Control: the same for as many others of like path norm changes nothing.",
        "norm-matched-apart",
        _SAME,
    ),
)
