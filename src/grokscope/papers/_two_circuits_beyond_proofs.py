"""N2: networks that are perfect on samples, and what is proved of them on all 2^40 inputs, and when.

The verdicts are measures of the run (`grokscope.circuits.verification.over_training.certify`): at the end of
every member, and every 20th epoch of ten of them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

import numpy as np

from grokscope.claims import Claim, Effect, NotTestable, Region
from grokscope.papers._two_circuits_beyond_evidence import Cohort
from grokscope.statistics import CensoredTimes

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["PROOF_CLAIMS", "decided_points", "verdicts_of"]

_ONE_IN_TEN = Effect(0.1, "one network in ten")


def _at_the_end(verdict: str, perfect_on: str) -> Callable[[xr.Dataset], np.ndarray]:
    """Of networks that are perfect on a sample at the end: whether they have the verdict."""

    def evidence(measures: xr.Dataset) -> np.ndarray:
        cohort = Cohort(measures)
        found = cohort.last(verdict)
        perfect = cohort.last(perfect_on) == 1.0
        return np.where(perfect & ~np.isnan(found), found, np.nan)

    return evidence


def decided_points(measures: xr.Dataset) -> tuple[Cohort, np.ndarray]:
    """The run's cohort, and at which points [member, step] of which members verdicts were asked for.

    Of members whose networks were verified at their ends only there is none.
    """
    cohort = Cohort(measures)
    asked = ~np.isnan(cohort.curves("proved"))
    asked &= (asked.sum(axis=1) > 2)[:, None]
    if not asked.any():
        raise NotTestable("no member's networks were verified over training")
    return cohort, asked


def _share_refuted(perfect_on: str) -> Callable[[xr.Dataset], np.ndarray]:
    """Of each watched seed's networks that are perfect on a sample, the share that is refuted."""

    def evidence(measures: xr.Dataset) -> np.ndarray:
        cohort, asked = decided_points(measures)
        counted = asked & (cohort.curves(perfect_on) == 1.0)
        refuted = counted & (cohort.curves("refuted") == 1.0)
        number = counted.sum(axis=1)
        share = np.full(len(number), np.nan)
        np.divide(refuted.sum(axis=1), number, out=share, where=number > 0)
        return share[asked.any(axis=1)]

    return evidence


def _time_over_grokking(which: Literal["first", "from then on"]) -> Callable[[xr.Dataset], CensoredTimes]:
    """When each watched seed's network is proved, over the step at which it groks."""

    def evidence(measures: xr.Dataset) -> CensoredTimes:
        from grokscope.circuits.verification.over_training import CERTIFIED, FIRST_PROVED

        cohort, asked = decided_points(measures)
        watched = asked.any(axis=1) & cohort.grokking.observed
        columns = np.asarray(asked[watched].any(axis=0))
        if not columns.any():
            raise NotTestable("no watched seed grokked")
        rows = np.flatnonzero(watched)
        event = FIRST_PROVED if which == "first" else CERTIFIED
        times = event.times(verdicts_of(cohort, rows, columns))
        b = cohort.grokking[watched]
        low, high = times.bounds()
        above = np.divide(high, b.lower, out=np.full(len(low), np.inf), where=b.lower > 0)
        below = np.maximum(low, 0.0) / b.upper
        return CensoredTimes(below, np.maximum(above, below))

    return evidence


def verdicts_of(cohort: Cohort, rows: np.ndarray, columns: np.ndarray) -> xr.Dataset:
    """The verdicts of some members at the steps at which there are some."""
    import xarray as xr

    return xr.Dataset(
        {"proved": (("seed", "step"), cohort.curves("proved")[rows][:, columns])},
        {"seed": rows, "step": cohort.steps[columns]},
    )


PROOF_CLAIMS = (
    Claim(
        id="N2a",
        sentence="At the end a network that is perfect on 10,000 points is proved on all 2^40 inputs.",
        source="issue N2",
        paper_value=None,
        unit="",
        estimand="the share of networks perfect on 10,000 points at the last epoch that are proved on all 2^40 inputs",
        region=Region.at_least(0.8),
        smallest_effect=_ONE_IN_TEN,
        kind="share",
        experiment="standard",
        evidence=_at_the_end("proved", "test_accuracy_large"),
    ),
    Claim(
        id="N2b",
        sentence="At the end a network that is perfect on 10,000 points is hardly ever refuted.",
        source="issue N2",
        paper_value=None,
        unit="",
        estimand="the share of networks perfect on 10,000 points at the last epoch that are refuted",
        region=Region.at_most(0.1),
        smallest_effect=_ONE_IN_TEN,
        kind="share",
        experiment="standard",
        evidence=_at_the_end("refuted", "test_accuracy_large"),
    ),
    Claim(
        id="N2c",
        sentence="On the way, many networks that are perfect on the paper's 100 points are wrong somewhere.",
        source="issue N2",
        paper_value="perfect",
        unit="",
        estimand="the mean over ten seeds of the share of refuted networks among those that are perfect on 100 "
        "points, every 20th epoch",
        region=Region.at_least(0.1),
        smallest_effect=Effect(0.05, "one network in twenty"),
        kind="mean",
        experiment="standard",
        evidence=_share_refuted("test_accuracy"),
    ),
    Claim(
        id="N2d",
        sentence="So are some that are perfect on 10,000 points.",
        source="issue N2",
        paper_value=None,
        unit="",
        estimand="the same among those that are perfect on 10,000 points",
        region=Region.at_least(0.1),
        smallest_effect=Effect(0.05, "one network in twenty"),
        kind="mean",
        experiment="standard",
        evidence=_share_refuted("test_accuracy_large"),
    ),
    Claim(
        id="N2e",
        sentence="The first proof comes well after grokking.",
        source="issue N2",
        paper_value=None,
        unit="",
        estimand="the median over ten seeds of the first step at which the network is proved, over the grokking step",
        region=Region.at_least(1.25),
        smallest_effect=Effect(0.1, "a tenth of the time to grokking"),
        kind="median",
        experiment="standard",
        evidence=_time_over_grokking("first"),
    ),
    Claim(
        id="N2f",
        sentence="A network stays proved only from half as long again as it took to grok, or later, or not at all.",
        source="issue N2",
        paper_value=None,
        unit="",
        estimand="the median over ten seeds of the certified step (from which on all are proved), over the grokking "
        "step",
        region=Region.at_least(1.5),
        smallest_effect=Effect(0.1, "a tenth of the time to grokking"),
        kind="median",
        experiment="standard",
        evidence=_time_over_grokking("from then on"),
    ),
)
