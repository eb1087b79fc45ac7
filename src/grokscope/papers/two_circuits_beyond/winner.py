"""N5 and N6: when and by what the neurons of the final circuit are determined.

Circuits are compared neuron by neuron, as cosines of final path norms. This has a meaning only among members
with the same initialization, so evidence has one entry per initialization.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Literal

import numpy as np

from grokscope.claims import Claim, Effect, NotTestable, Region
from grokscope.papers import Figure, RunExperiment, RunLike
from grokscope.papers.two_circuits_beyond.drawing import (
    BLUE,
    LINE_GRAY,
    ORANGE,
    axis_labels,
    caption,
    categories,
    member_dots,
)
from grokscope.papers.two_circuits_beyond.members import (
    MemberTable,
    mean_by_init,
    similarity,
    similarity_to_source,
)
from grokscope.papers.two_circuits_beyond.standard import CONFIRMED_ON, FITTED, PROFILES, branch, changed
from grokscope.spec.events import event_of
from grokscope.spec.streams import Seeds
from grokscope.statistics import CensoredTimes

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure as Drawing

# ---------------------------------------------------------------- experiments: twins and crossed streams

MOMENTS: dict[str, int | str] = {
    "twins-0": 0,
    "twins-quarter": "0.25 * memorization",
    "twins-half": "0.5 * memorization",
    "twins-fitted": FITTED,
    "twins-memorization": "memorization",
    "twins-grokking": "grokking",
}
_TWINS = tuple(
    branch(
        name,
        f"Twins: members of the standard run that see their batches in two other orders from {at} on."
        if at
        else "Twins: the standard run's initial networks and data, with two other orders of batches.",
        at,
        streams="order=+1000,+2000",
        most_seeds=30,
        group="twins",
    )
    for name, at in MOMENTS.items()
)
_CROSSED = RunExperiment(
    "crossed",
    "Each initialization with two data sets crossed with two orders of batches.",
    changed("crossed"),
    PROFILES,
    streams="data=+0,+1000; order=+0,+1000",
    most_seeds=50,
)
EXPERIMENTS = (*_TWINS, _CROSSED)

# ---------------------------------------------------------------- N5: when it is decided

_SAME_CIRCUIT = 0.9  # similarity from which on two circuits count as the same
_FRACTIONS = (0.0, 0.25, 0.5, 1.0)  # of the memorization step, of the first four moments


def twin_similarity(twins: xr.Dataset, source: xr.Dataset) -> np.ndarray:
    """The similarity of each initialization's circuit and those of its twins, mean over twins."""
    return mean_by_init(*similarity_to_source(twins, source))


def time_of_commitment(*measures: xr.Dataset) -> CensoredTimes:
    """The moment from which on twins end with the same circuit, over the memorization step; censored.

    It lies between the last moment whose twins end with another circuit and the next one; at 0 if there is no
    such moment.

    Args:
        measures: of the twins of the first four moments, then of the standard run.
    """
    *moments, source = measures
    tables = [_by_init(*similarity_to_source(twins, source)) for twins in moments]
    shared = sorted(set.intersection(*(set(table) for table in tables)))
    shared = [key for key in shared if all(np.isfinite(table[key]) for table in tables)]
    if not shared:
        raise NotTestable("no member has twins at all moments")
    same = np.array([[table[key] >= _SAME_CIRCUIT for table in tables] for key in shared])
    # The order of batches has an effect from step 0 on; what is later than memorization lies above 1.
    edges = (0.0, *_FRACTIONS[:-1], float(np.nextafter(1.0, 2.0)), np.inf)
    ends = (*_FRACTIONS, np.inf)
    # The first moment from which on all twins end the same.
    first = [len(row) - int(np.argmin(np.append(row[::-1], False))) for row in same]
    return CensoredTimes([edges[i] for i in first], [ends[i] for i in first])


def _by_init(seeds: list[Seeds], values: np.ndarray) -> dict[int, float]:
    """The mean over twins, by seed of the initialization."""
    inits = dict.fromkeys(init for init, *_ in seeds)
    return dict(zip(inits, mean_by_init(seeds, values).tolist(), strict=True))


def precision(
    score: str, when: Literal["initial", "memorization", "gain"]
) -> Callable[[xr.Dataset], np.ndarray]:
    """The share of the final circuit's m neurons that are among the m of largest score.

    Args:
        score: ``path_norm`` or ``support_norm``.
        when: at the first step, at memorization, or how much larger at memorization.
    """

    def evidence(measures: xr.Dataset) -> np.ndarray:
        members = MemberTable(measures)
        curve = members.curves(f"precision_{score}")
        measured = ~np.isnan(curve).all(axis=1)
        if not measured.any():
            raise NotTestable(f"precision_{score} was measured for no seed")
        learned = event_of(measures, "memorization").times(measures).upper[: len(curve)]
        first, later = curve[:, 0], np.full(len(curve), np.nan)
        for i in np.flatnonzero(measured & np.isfinite(learned)):
            taken = np.flatnonzero((members.steps <= learned[i]) & ~np.isnan(curve[i]))
            later[i] = curve[i, taken[-1]]
        found = {"initial": first, "memorization": later, "gain": later - first}[when]
        return found[measured]

    return evidence


_precision_claim = partial(
    Claim,
    source="issue N5",
    setting="own",
    smallest_effect=Effect(0.1, "a tenth of the circuit"),
    experiment="standard",
)
_twins_claim = partial(
    Claim,
    source="issue N5",
    setting="own",
    estimand="the mean over members of the likeness (cosine of final path norms) of its circuit and those of "
    "its twins",
    smallest_effect=Effect(0.1, "a tenth of the whole likeness"),
    evidence=twin_similarity,
    beside=("standard",),
)

_WHEN_CLAIMS = (
    _precision_claim(
        id="N5-norm",
        name="largest neurons are not the circuit",
        sentence="At memorization most of the largest neurons are not the future circuit's.",
        estimand="the mean over seeds of the share of the final circuit's m neurons that are among the m of "
        "largest path norm at memorization",
        region=Region.at_most(0.5),
        evidence=precision("path_norm", "memorization"),
    ),
    _precision_claim(
        id="N5-gain",
        name="hidden-bit norm foretells it",
        sentence="Norm along the hidden bits foretells it at memorization better than at initialization.",
        estimand="the mean over seeds of the share of the final circuit's m neurons that are among the m of "
        "largest norm along the hidden bits times output weight at memorization, less that at initialization",
        region=Region.at_least(0.2),
        evidence=precision("support_norm", "gain"),
    ),
    _twins_claim(
        id="N5-start",
        name="at start: order of batches matters",
        sentence="With its initialization and data alone the winner is not settled: the order of batches "
        "matters.",
        experiment="twins-0",
        region=Region.at_most(0.9),
    ),
    _twins_claim(
        id="N5-memorization",
        name="at 98 % it is settled who wins",
        sentence="At memorization (98 %) it is settled whatever the order of batches.",
        experiment="twins-memorization",
        region=Region.at_least(0.9),
    ),
    _twins_claim(
        id="N5-fitted",
        name="at 95 % it is settled who wins",
        sentence="When 95 % are fitted, before the circuit has taken off, it is settled whatever the order "
        "of batches.",
        experiment="twins-fitted",
        region=Region.at_least(0.9),
        confirmed_on=CONFIRMED_ON,
    ),
    Claim(
        id="N5-commitment",
        name="settled on the way to memorization",
        sentence="It is settled on the way to memorization.",
        source="issue N5",
        setting="own",
        estimand="the median over members of the moment from which on their twins end with a likeness of "
        f"{_SAME_CIRCUIT:g} or more, over the memorization step (censored; twins at 0, a quarter, a half and "
        "the whole of it)",
        region=Region.at_most(1.0),
        smallest_effect=Effect(0.25, "a quarter of the time to memorization"),
        kind="median",
        experiment="twins-0",
        evidence=time_of_commitment,
        beside=("twins-quarter", "twins-half", "twins-memorization", "standard"),
    ),
)

# ---------------------------------------------------------------- N6: which streams decide


def shares_of_streams(measures: xr.Dataset) -> dict[str, np.ndarray]:
    r"""Shares of the variance of the final circuit, one entry per initialization.

    Let z be a member's path norms, scaled to length 1. Its variance around the mean over all members is
    nearly 1, because neurons of different initializations have nothing in common. The mean of $z \cdot z'$
    over pairs of members that share only some streams is the part of the variance that these streams decide
    together (a closed Sobol index). With a the mean over pairs that share the initialization alone, b those
    that share the data too, c those that share the order of batches too:

    - ``init`` = a, the main effect of the initialization;
    - ``data`` = b - a, the interaction of data and initialization;
    - ``order`` = c - a, the interaction of order and initialization;
    - ``together`` = 1 - b - c + a, the interaction of all three.

    Neurons are exchangeable before they are initialized: averaged over initializations, z is the same for all
    of them, whatever the data and the order. Data and order therefore have no main effects and no
    interaction without the initialization, and the four shares add up to 1.

    Raises:
        NotTestable: if no initialization has members of two data sets crossed with two orders of batches.
    """
    members = MemberTable(measures)
    z = members.final("path_norm")
    by_init: dict[int, list[int]] = {}
    for row, (init, *_) in enumerate(members.seeds):
        by_init.setdefault(init, []).append(row)
    found: dict[str, list[float]] = {"init": [], "data": [], "order": [], "together": []}
    for rows in by_init.values():
        pairs: dict[tuple[bool, bool], list[float]] = {}
        for i, one in enumerate(rows):
            for other in rows[i + 1 :]:
                same = tuple(members.seeds[one][s] == members.seeds[other][s] for s in (1, 2))
                pairs.setdefault((same[0], same[1]), []).append(float(similarity(z[one], z[other])))
        wanted = ((False, False), (True, False), (False, True))
        if not all(kind in pairs for kind in wanted):
            continue
        a, b, c = (float(np.mean(pairs[kind])) for kind in wanted)
        for name, value in zip(found, (a, b - a, c - a, 1 - b - c + a), strict=True):
            found[name].append(value)
    if not found["init"]:
        raise NotTestable("data and order of batches are not crossed")
    return {name: np.array(values) for name, values in found.items()}


def share_of_stream(measures: xr.Dataset, stream: str) -> np.ndarray:
    """One of the shares of `shares_of_streams`."""
    return shares_of_streams(measures)[stream]


_stream_claim = partial(
    Claim,
    source="issue N6",
    setting="own",
    smallest_effect=Effect(0.1, "a tenth of the variance"),
    experiment="crossed",
)
_VARIANCE = "the share of the variance of final path norms over neurons that is"

_STREAM_CLAIMS = (
    _stream_claim(
        id="N6-init",
        name="initialization alone decides little",
        sentence="The initialization alone does not decide which neurons win.",
        estimand=f"{_VARIANCE} the main effect of the initialization: what it decides on average over "
        "data and orders of batches",
        region=Region.at_most(0.2),
        evidence=partial(share_of_stream, stream="init"),
    ),
    _stream_claim(
        id="N6-data",
        name="init x data decides most",
        sentence="The interaction of the training set with the initialization decides most of it.",
        estimand=f"{_VARIANCE} the interaction of initialization and data: what both decide together, on "
        "average over orders of batches, less the main effect of the initialization (that of data is 0: "
        "neurons are exchangeable)",
        region=Region.at_least(0.5),
        evidence=partial(share_of_stream, stream="data"),
    ),
    _stream_claim(
        id="N6-order",
        name="init x order decides little",
        sentence="The interaction of the order of batches with the initialization decides little.",
        estimand=f"{_VARIANCE} the interaction of initialization and order of batches: what both decide "
        "together, on average over data, less the main effect of the initialization (that of the order is 0)",
        region=Region.at_most(0.1),
        evidence=partial(share_of_stream, stream="order"),
    ),
    _stream_claim(
        id="N6-together",
        name="init x data x order: the rest",
        sentence="The rest is decided by initialization, training set and order of batches together.",
        estimand=f"{_VARIANCE} the interaction of initialization, data and order of batches: what no two of "
        "them decide",
        region=Region.at_least(0.1),
        evidence=partial(share_of_stream, stream="together"),
    ),
)

CLAIMS = (*_WHEN_CLAIMS, *_STREAM_CLAIMS)

# ---------------------------------------------------------------- figure

_STREAM_LABELS = {"init": "init", "data": "init x data", "order": "init x order", "together": "all three"}


def _draw(runs: Mapping[str, RunLike], command: str) -> Drawing:
    from grokscope.plots.style import panels

    drawing, (left, right) = panels(["Twins: likeness to the source's circuit", "What decides the circuit"])
    source = runs["standard"].measures
    for place, name in enumerate(MOMENTS):
        member_dots(left, place, twin_similarity(runs[name].measures, source), BLUE)
    categories(left, ["start", "1/4", "1/2", "95 %", "98 %", "grokking"])
    left.axhline(_SAME_CIRCUIT, color=LINE_GRAY, linewidth=0.6)
    left.set_ylim(-0.03, 1.05)
    axis_labels(left, "", "cosine of path norms")
    shares = shares_of_streams(runs["crossed"].measures)
    for place, name in enumerate(_STREAM_LABELS):
        member_dots(right, place, shares[name], ORANGE)
        right.plot(place, shares[name].mean(), "D", color="black", markersize=3)
    categories(right, list(_STREAM_LABELS.values()))
    axis_labels(right, "", "share of variance")
    note = (
        "Left: by where the order of batches changes (95 %, 98 %: of train accuracy; 1/4, 1/2: of the way to "
        "98 %). Diamonds: means."
    )
    caption(drawing, runs, list(MOMENTS), command, note)
    return drawing


FIGURE = Figure(
    "commitment",
    "N5, N6: when it is settled which neurons win, and by what.",
    _draw,
    ("standard", *MOMENTS, "crossed"),
)
