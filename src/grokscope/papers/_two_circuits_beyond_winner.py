"""N5 and N6: when it is settled which neurons win, and what settles it.

Circuits are compared neuron by neuron, as cosines of final path norms, which has a meaning only among members
that start from one initialization: entries are per initialization.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

import numpy as np

from grokscope.claims import Claim, Effect, NotTestable, Region
from grokscope.papers._two_circuits_beyond_evidence import (
    Cohort,
    mean_by_init,
    overlap,
    overlaps_with_source,
)
from grokscope.papers._two_circuits_beyond_experiments import MOMENTS
from grokscope.spec.events import MEMORIZATION
from grokscope.spec.streams import Seeds
from grokscope.statistics import CensoredTimes

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["CROSSED_CLAIMS", "SETTLED", "WINNER_CLAIMS", "shares_of_streams", "twin_overlaps"]

SETTLED = 0.9  # likeness from which on two circuits count as the same
_FRACTIONS = (0.0, 0.25, 0.5, 1.0)  # of the memorization step, of the first four moments
_LIKENESS = Effect(0.1, "a tenth of the whole likeness")


# ---------------------------------------------------------------- N5: when it is settled


def twin_overlaps(twins: xr.Dataset, source: xr.Dataset) -> np.ndarray:
    """How alike the circuits of twins are to that of the member they come from; the mean for each."""
    return mean_by_init(*overlaps_with_source(twins, source))


def _commitment(*measures: xr.Dataset) -> CensoredTimes:
    """The moment from which on twins end with the same circuit, over the memorization step; censored.

    It lies between the last moment whose twins end otherwise and the next; at 0 if there is none.
    """
    *moments, source = measures
    tables = [dict(_each(overlaps_with_source(twins, source))) for twins in moments]
    shared = sorted(set.intersection(*(set(table) for table in tables)))
    shared = [key for key in shared if all(np.isfinite(table[key]) for table in tables)]
    if not shared:
        raise NotTestable("no member has twins at all moments")
    same = np.array([[table[key] >= SETTLED for table in tables] for key in shared])
    lower, upper = [], []
    # the order of batches begins to count at step 0; what is later than memorization, lies above 1
    edges = (0.0, *_FRACTIONS[:-1], float(np.nextafter(1.0, 2.0)), np.inf)
    ends = (*_FRACTIONS, np.inf)
    for row in same:
        # the first moment from which on all are the same
        first = len(row) - int(np.argmin(np.append(row[::-1], False)))
        lower.append(edges[first])
        upper.append(ends[first])
    return CensoredTimes(lower, upper)


def _each(found: tuple[list[Seeds], np.ndarray]) -> list[tuple[int, float]]:
    """The mean over twins for each initialization."""
    seeds, values = found
    inits = list(dict.fromkeys(init for init, *_ in seeds))
    return list(zip(inits, mean_by_init(seeds, values).tolist(), strict=True))


def _precision(
    score: str, when: Literal["initial", "memorization", "gain"]
) -> Callable[[xr.Dataset], np.ndarray]:
    """How many of the final circuit's m neurons are among the m of largest score."""

    def evidence(measures: xr.Dataset) -> np.ndarray:
        cohort = Cohort(measures)
        curve = cohort.curves(f"precision_{score}")
        measured = ~np.isnan(curve).all(axis=1)
        if not measured.any():
            raise NotTestable(f"precision_{score} was measured for no seed")
        learned = MEMORIZATION.times(measures).upper[: len(curve)]
        first, later = curve[:, 0], np.full(len(curve), np.nan)
        for i in np.flatnonzero(measured & np.isfinite(learned)):
            taken = np.flatnonzero((cohort.steps <= learned[i]) & ~np.isnan(curve[i]))
            later[i] = curve[i, taken[-1]]
        found = {"initial": first, "memorization": later, "gain": later - first}[when]
        return found[measured]

    return evidence


def _twins(id: str, sentence: str, experiment: str, region: Region) -> Claim:
    return Claim(
        id=id,
        sentence=sentence,
        source="issue N5",
        paper_value=None,
        unit="",
        estimand="the mean over members of the likeness (cosine of final path norms) of its circuit and those of its "
        "twins",
        region=region,
        smallest_effect=_LIKENESS,
        kind="mean",
        experiment=experiment,
        evidence=twin_overlaps,
        beside=("standard",),
    )


def _foretold(
    id: str, sentence: str, score: str, when: Literal["memorization", "gain"], region: Region
) -> Claim:
    what = "at memorization" if when == "memorization" else "at memorization, less that at initialization"
    by = "path norm" if score == "path_norm" else "norm along the hidden bits times output weight"
    return Claim(
        id=id,
        sentence=sentence,
        source="issue N5",
        paper_value=None,
        unit="",
        estimand="the mean over seeds of the share of the final circuit's m neurons that are among the m of largest "
        f"{by} {what}",
        region=region,
        smallest_effect=Effect(0.1, "a tenth of the circuit"),
        kind="mean",
        experiment="standard",
        evidence=_precision(score, when),
    )


WINNER_CLAIMS = (
    _foretold(
        "N5-norm",
        "At memorization most of the largest neurons are not the future circuit's.",
        "path_norm",
        "memorization",
        Region.at_most(0.5),
    ),
    _foretold(
        "N5-gain",
        "Norm along the hidden bits foretells it at memorization better than at initialization.",
        "support_norm",
        "gain",
        Region.at_least(0.2),
    ),
    _twins(
        "N5-start",
        "With its initialization and data alone the winner is not settled: the order of batches matters.",
        "twins-0",
        Region.at_most(0.9),
    ),
    _twins(
        "N5-memorization",
        "At memorization, long before grokking, it is settled whatever the order of batches.",
        "twins-memorization",
        Region.at_least(0.9),
    ),
    Claim(
        id="N5-commitment",
        sentence="It is settled on the way to memorization.",
        source="issue N5",
        paper_value=None,
        unit="",
        estimand=f"the median over members of the moment from which on their twins end with a likeness of {SETTLED:g} "
        "or more, over the memorization step (censored; twins at 0, a quarter, a half and the whole of it)",
        region=Region.at_most(1.0),
        smallest_effect=Effect(0.25, "a quarter of the time to memorization"),
        kind="median",
        experiment=next(iter(MOMENTS)),
        evidence=_commitment,
        beside=(*list(MOMENTS)[1:4], "standard"),
    ),
)


# ---------------------------------------------------------------- N6: which stream decides


def shares_of_streams(measures: xr.Dataset) -> dict[str, np.ndarray]:
    r"""Shares of the variance of the final circuit, one entry per initialization.

    With z a member's path norms, scaled to length 1, its variance around the mean over all members is 1 less
    next to nothing (neurons of different initializations have nothing in common), and the mean of
    $z \cdot z'$ over pairs of members that share only some streams is the part of the variance that these
    streams decide together (a closed Sobol index). With a the mean over pairs that share the initialization
    alone, b those that share the data too, c those that share the order of batches too: ``init`` = a,
    ``data`` = b - a (given the initialization), ``order`` = c - a (likewise), ``together`` = 1 - b - c + a:
    what only data and order together decide.
    """
    cohort = Cohort(measures)
    z = cohort.last("path_norm")
    by_init: dict[int, list[int]] = {}
    for row, (init, *_) in enumerate(cohort.seeds):
        by_init.setdefault(init, []).append(row)
    found: dict[str, list[float]] = {"init": [], "data": [], "order": [], "together": []}
    for rows in by_init.values():
        pairs: dict[tuple[bool, bool], list[float]] = {}
        for i, one in enumerate(rows):
            for other in rows[i + 1 :]:
                same = tuple(cohort.seeds[one][s] == cohort.seeds[other][s] for s in (1, 2))
                pairs.setdefault((same[0], same[1]), []).append(float(overlap(z[one], z[other])))
        wanted = ((False, False), (True, False), (False, True))
        if not all(kind in pairs for kind in wanted):
            continue
        a, b, c = (float(np.mean(pairs[kind])) for kind in wanted)
        for name, value in zip(found, (a, b - a, c - a, 1 - b - c + a), strict=True):
            found[name].append(value)
    if not found["init"]:
        raise NotTestable("data and order of batches are not crossed")
    return {name: np.array(values) for name, values in found.items()}


def _share(stream: str) -> Callable[[xr.Dataset], np.ndarray]:
    return lambda measures: shares_of_streams(measures)[stream]


def _crossed(id: str, sentence: str, stream: str, what: str, region: Region) -> Claim:
    return Claim(
        id=id,
        sentence=sentence,
        source="issue N6",
        paper_value=None,
        unit="",
        estimand=f"the share of the variance of final path norms over neurons that {what}",
        region=region,
        smallest_effect=Effect(0.1, "a tenth of the variance"),
        kind="mean",
        experiment="crossed",
        evidence=_share(stream),
    )


CROSSED_CLAIMS = (
    _crossed(
        "N6-init",
        "The initialization alone does not decide which neurons win.",
        "init",
        "the initialization decides alone",
        Region.at_most(0.2),
    ),
    _crossed(
        "N6-data",
        "The data decide most of it.",
        "data",
        "the data decide, given the initialization, whatever the order of batches",
        Region.at_least(0.5),
    ),
    _crossed(
        "N6-order",
        "The order of batches alone decides little.",
        "order",
        "the order of batches decides, given the initialization, whatever the data",
        Region.at_most(0.1),
    ),
    _crossed(
        "N6-together",
        "The rest is decided by data and order of batches together.",
        "together",
        "only data and order of batches together decide, given the initialization",
        Region.at_least(0.1),
    ),
)
