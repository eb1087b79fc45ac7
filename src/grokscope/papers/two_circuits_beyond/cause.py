"""N3: is norm growth the cause of grokking, or what it does to directions?

Weights of the future circuit (the standard run's generalizing subnetwork, known from its end) are multiplied
early, or kept from growing: those from the hidden bits (the signal), those from all other bits (noise), or
all. Every claim compares members of a branch with those of the standard run that they start from: the same up
to the intervention.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from grokscope.claims import Claim, Effect, NotTestable, Region
from grokscope.papers import Figure, PaperExperiment, RunLike
from grokscope.papers.evidence import curve, ratio, steps_of
from grokscope.papers.two_circuits_beyond.drawing import (
    BLUE,
    GRAY,
    LINE_GRAY,
    axis_labels,
    caption,
    categories,
    member_dots,
)
from grokscope.papers.two_circuits_beyond.members import (
    MemberTable,
    grokking_share_claim,
    ratio_claim,
    ratios_of_grokking,
    similarity_to_source,
    speed_share_claim,
)
from grokscope.papers.two_circuits_beyond.standard import (
    CIRCUIT,
    CONFIRMED_ON,
    CONTROLS,
    FITTED,
    STEPS_PER_EPOCH,
    branch,
)
from grokscope.spec.events import events_of, parse_event

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure as Drawing

# ---------------------------------------------------------------- experiments: weights multiplied at epoch 10

DOSES = {"boost-1.25": 1.25, "boost-1.5": 1.5, "boost-2": 2.0, "boost-4": 4.0}
_AT_EPOCH_10 = 10 * STEPS_PER_EPOCH


_WEIGHTS = {
    "support": "Weights from the hidden bits",
    "others": "Weights from all other bits",
    "all": "All incoming weights",
}


def _boost(name: str, what: str, neurons: Any, factor: float, bits: str = "support") -> PaperExperiment:
    return branch(
        name,
        f"{_WEIGHTS[bits]} of {what} times {factor:g} at epoch 10.",
        _AT_EPOCH_10,
        {"kind": "boost", "factor": factor, "neurons": neurons, "bits": bits},
        epochs=240,
        group="boosts",
    )


_BOOSTS = (
    *(_boost(name, "the future circuit", CIRCUIT, factor) for name, factor in DOSES.items()),
    _boost("boost-2-next-best", "as many others, the largest of path norm,", CONTROLS["next-best"], 2.0),
    _boost(
        "boost-2-next-signal",
        "as many others, the largest of norm along the hidden bits times output weight,",
        CONTROLS["next-signal"],
        2.0,
    ),
    _boost("boost-2-random", "as many random others", CONTROLS["random"], 2.0),
    _boost("boost-2-whole", "the future circuit", CIRCUIT, 2.0, bits="all"),
    _boost("halve-rest", "the future circuit", CIRCUIT, 0.5, bits="others"),
    branch(
        "sham-2",
        "The future circuit as (2W, 2b, u/2) at epoch 10: other norms, the same function.",
        _AT_EPOCH_10,
        {"kind": "sham", "factor": 2.0, "neurons": CIRCUIT},
        epochs=240,
        group="boosts",
    ),
    branch(
        "sham-compensated",
        "The same, with all updates in the old coordinates: nothing may change.",
        _AT_EPOCH_10,
        {"kind": "sham", "factor": 2.0, "neurons": CIRCUIT, "compensated": True},
        epochs=240,
        group="boosts",
        most_seeds=10,
    ),
)

# ---------------------------------------------------------------- experiments: growth blocked

BLOCKS = {
    "block-all": "all neurons",
    "block-other-bits": "all, three other bits",
    "block-circuit": "future circuit",
    "block-norm-matched": "norm-matched",
}
_OTHER_BITS = (3, 4, 5)  # the hidden ones are 0, 1, 2


def _block(
    name: str,
    what: str,
    neurons: Any,
    bits: str | tuple[int, ...] = "support",
    which: str = "the hidden bits",
) -> PaperExperiment:
    return branch(
        name,
        f"The weights from {which} of {what} may not grow in norm from the time on at which 95 % are fitted.",
        FITTED,
        {"kind": "clamp", "neurons": neurons, "bits": bits},
        group="blocks",
    )


EXPERIMENTS = (
    *_BOOSTS,
    _block("block-all", "all neurons", "all"),
    _block("block-other-bits", "all neurons", "all", _OTHER_BITS, "three other bits"),
    _block("block-circuit", "the future circuit", CIRCUIT),
    _block("block-norm-matched", "as many others of like path norm", CONTROLS["norm-matched"]),
)

# ---------------------------------------------------------------- evidence


def dose_response(*measures: xr.Dataset) -> np.ndarray:
    """The slope [seed] of the log of the ratio of grokking steps against the log of the dose.

    The line goes through ratio 1 at dose 1. A branch that does not grok counts as if it had at its last step.

    Args:
        measures: of the branches, in the order of the doses, then of the standard run.
    """
    *branches, source = measures
    other = MemberTable(source)
    doses = np.log(list(DOSES.values()))
    ratios = np.full((len(branches), len(other.seeds)), np.nan)
    for i, one in enumerate(branches):
        own = MemberTable(one)
        rows = own.rows_in(other)
        kept = (rows >= 0) & other.grokking.observed[rows]
        step = np.where(own.grokking.observed, own.grokking.midpoint, own.steps[-1])
        before = other.grokking.midpoint[rows[kept]]
        good = (step[kept] > 0) & (before > 0)
        ratios[i, rows[kept][good]] = np.log(step[kept][good] / before[good])
    if np.isnan(ratios).all():
        raise NotTestable("no seed has all doses")
    return (doses @ ratios) / (doses @ doses)


def circuit_similarity(branch: xr.Dataset, source: xr.Dataset) -> np.ndarray:
    """The similarity of each member's final circuit to that of the member that it starts from."""
    return similarity_to_source(branch, source)[1]


def largest_difference(branch: xr.Dataset, source: xr.Dataset) -> np.ndarray:
    """The largest difference of each member's accuracy curve from that of the member that it starts from."""
    own, other = MemberTable(branch), MemberTable(source)
    rows = own.rows_in(other)
    if (rows < 0).any():
        raise NotTestable("a member's source is not there")
    _, at, at_source = np.intersect1d(own.steps, other.steps, return_indices=True)
    expected = other.curves("test_accuracy")[rows][:, at_source]
    return np.nanmax(np.abs(own.curves("test_accuracy")[:, at] - expected), axis=1)


def lead(measures: xr.Dataset, when: str) -> np.ndarray:
    """The norm of the future circuit over that of as many random neurons, at an event [seed].

    The measure ``subnetwork_norm`` (mean incoming norm) of ``generalizing`` over that of ``control``, linear
    in the step between the points at which it was measured; NaN where the event was not seen.

    Args:
        measures: of the standard run.
        when: the event's name or condition.
    """
    circuit, control = (
        curve(measures, "subnetwork_norm", subnetwork=name) for name in ("generalizing", "control")
    )
    ratios, steps = ratio(circuit, control), steps_of(measures)
    at = parse_event(when, events_of(measures)).times(measures).upper
    found = np.full(len(ratios), np.nan)
    for i, step in enumerate(at):
        taken = ~np.isnan(ratios[i])
        if np.isfinite(step) and taken.any():
            found[i] = np.interp(step, steps[taken], ratios[i, taken])
    return found


# ---------------------------------------------------------------- claims

_ratio = partial(ratio_claim, source="issue N3", setting="own")
_groks = partial(grokking_share_claim, source="issue N3", setting="own")
_other = partial(Claim, source="issue N3", setting="own")
_fixed_again = partial(_ratio, confirmed_on=CONFIRMED_ON)
_fitted_groks = partial(_groks, confirmed_on=CONFIRMED_ON)
_faster = partial(speed_share_claim, source="not in the paper", setting="own", confirmed_on=CONFIRMED_ON)
_lead = partial(
    Claim,
    source="not in the paper",
    setting="own",
    kind="geometric_mean",
    smallest_effect=Effect(0.1, "a tenth of the norm of random neurons"),
    experiment="standard",
    confirmed_on=CONFIRMED_ON,
)
_LEAD = (
    "the geometric mean over seeds of the mean incoming norm of the future circuit over that of as many "
    "random neurons, at the step"
)
_MOST, _FEW, _SOME = Region.at_least(0.8), Region.at_most(0.3), Region.between(0.1, 0.7)

_SAME = Region.between(0.9, 1.1)
_A_TWENTIETH = Effect(0.05, "a twentieth of the time to grokking")

CLAIMS = (
    _other(
        id="N3-dose",
        name="more hidden-bit norm, sooner",
        sentence="The more norm along the hidden bits the future circuit is given early, the sooner it "
        "groks.",
        estimand="the mean over seeds of the slope of log grokking step against log dose (1.25, 1.5, 2, 4)",
        region=Region.at_most(-0.2),
        smallest_effect=Effect(0.1, "7 % of the time for a doubled norm"),
        experiment="boost-1.25",
        evidence=dose_response,
        beside=(*list(DOSES)[1:], "standard"),
    ),
    _ratio(
        id="N3-boost-2",
        name="hidden-bit norm doubled: sooner",
        sentence="A doubled norm along the hidden bits speeds grokking.",
        experiment="boost-2",
        region=Region.at_most(0.8),
    ),
    _ratio(
        id="N3-whole",
        name="all weights doubled: no sooner",
        sentence="A doubled norm in all directions does not.",
        experiment="boost-2-whole",
        region=Region.at_least(0.95),
        smallest_effect=_A_TWENTIETH,
    ),
    _ratio(
        id="N3-next-best",
        name="next best by path norm: no sooner",
        sentence="Control: doubling as many of the other largest neurons does not speed it.",
        experiment="boost-2-next-best",
        region=Region.at_least(0.95),
        smallest_effect=_A_TWENTIETH,
    ),
    _ratio(
        id="N3-random",
        name="random neurons doubled: nothing",
        sentence="Control: doubling as many random others does nothing.",
        experiment="boost-2-random",
        region=_SAME,
    ),
    _ratio(
        id="N3-sham",
        name="sham: no sooner",
        sentence="Sham: a doubled incoming norm that leaves the function as it is does not speed it.",
        experiment="sham-2",
        region=Region.at_least(0.95),
        smallest_effect=_A_TWENTIETH,
    ),
    _other(
        id="N3-sham-compensated",
        name="compensated sham: identical",
        sentence="The compensated sham changes nothing at all.",
        estimand="for each seed the largest difference of the curves of test accuracy with and without it",
        region=Region.between(0.0, 0.0),
        kind="deterministic",
        experiment="sham-compensated",
        evidence=largest_difference,
        beside=("standard",),
    ),
    *(
        _faster(
            id=f"N3-share-{experiment.removeprefix('boost-2-')}",
            name=f"share sooner: {short}",
            sentence=sentence,
            experiment=experiment,
            region=region,
        )
        for experiment, short, sentence, region in (
            (
                "boost-2",
                "hidden bits doubled",
                "A doubled norm along the hidden bits speeds most seeds.",
                _MOST,
            ),
            (
                "halve-rest",
                "other weights halved",
                "Halved weights from all other bits speed most seeds.",
                _MOST,
            ),
            ("boost-2-whole", "all weights doubled", "A doubled norm in all directions speeds few.", _FEW),
            ("boost-2-random", "random neurons", "Control: doubling as many random others speeds few.", _FEW),
            ("sham-2", "sham", "The sham speeds few.", _FEW),
            (
                "boost-2-next-best",
                "next by path norm",
                "Doubling the next best by path norm speeds some.",
                _SOME,
            ),
            (
                "boost-2-next-signal",
                "next by hidden bits",
                "Doubling the next best by hidden-bit norm speeds some.",
                _SOME,
            ),
        )
    ),
    _fixed_again(
        id="N3-halve-rest",
        name="other weights halved: sooner",
        sentence="So do halved weights of the future circuit from all other bits, which adds no norm.",
        experiment="halve-rest",
        region=Region.at_most(0.8),
    ),
    _fixed_again(
        id="N3-next-signal",
        name="next best by hidden bits: less so",
        sentence="Control: doubling as many of the others, the largest of norm along the hidden bits times "
        "output weight, does not speed it as much.",
        experiment="boost-2-next-signal",
        region=Region.at_least(0.8),
    ),
    _lead(
        id="N3-lead-fitted",
        name="circuit's lead in norm at 95 %",
        sentence="When 95 % are fitted, the future circuit's norm is less than a third above that of random "
        "neurons.",
        estimand=f"{_LEAD} from which on train accuracy exceeds 0.95",
        region=Region.at_most(1.3),
        evidence=partial(lead, when=FITTED),
    ),
    _lead(
        id="N3-lead-memorization",
        name="circuit's lead in norm at 98 %",
        sentence="At memorization (98 %) it has taken off.",
        estimand=f"{_LEAD} of memorization (train accuracy above 0.98)",
        region=Region.at_least(1.4),
        evidence=partial(lead, when="memorization"),
    ),
    _fitted_groks(
        id="N3-fitted-all",
        name="all growth blocked: none groks",
        sentence="Blocking all growth along the hidden bits, from 95 % fitted on, stops grokking.",
        experiment="block-all",
        region=Region.at_most(0.1),
    ),
    _fixed_again(
        id="N3-fitted-other-bits",
        name="other bits blocked: nothing",
        sentence="Control: blocking all growth along three other bits does nothing.",
        experiment="block-other-bits",
        region=_SAME,
    ),
    _fitted_groks(
        id="N3-fitted-circuit",
        name="circuit blocked: still groks",
        sentence="Blocking the future circuit alone does not stop it.",
        experiment="block-circuit",
        region=Region.at_least(0.8),
    ),
    _fixed_again(
        id="N3-fitted-delays",
        name="circuit blocked: later",
        sentence="It delays it.",
        experiment="block-circuit",
        region=Region.at_least(1.1),
    ),
    _other(
        id="N3-fitted-likeness",
        name="circuit blocked: another forms",
        sentence="For the most part another circuit forms.",
        estimand="the mean over seeds of the likeness (cosine of path norms) of the final circuits with and "
        "without the block",
        region=Region.at_most(0.5),
        smallest_effect=Effect(0.1, "a tenth of the whole likeness"),
        experiment="block-circuit",
        evidence=circuit_similarity,
        beside=("standard",),
        confirmed_on=CONFIRMED_ON,
    ),
    _fixed_again(
        id="N3-fitted-control",
        name="norm-matched blocked: nothing",
        sentence="Control: blocking as many others of like norm does nothing.",
        experiment="block-norm-matched",
        region=_SAME,
    ),
)

# ---------------------------------------------------------------- figure

_DOSE_2 = {
    "boost-2": "circuit",
    "halve-rest": "its rest halved",
    "boost-2-whole": "all directions",
    "sham-2": "sham",
    "boost-2-next-signal": "next, hidden bits",
    "boost-2-next-best": "next, path norm",
    "boost-2-random": "random",
}


def _draw(runs: Mapping[str, RunLike], command: str) -> Drawing:
    from grokscope.plots.style import panels

    titles = ["Circuit's hidden-bit norm at epoch 10, times", "Dose 2: others, other directions"]
    drawing, (left, right) = panels(titles)
    source = runs["standard"].measures
    for place, name in enumerate(DOSES):
        member_dots(left, place, ratios_of_grokking(runs[name].measures, source).midpoint, BLUE)
    categories(left, [f"{dose:g}" for dose in DOSES.values()])
    for place, name in enumerate(_DOSE_2):
        color = BLUE if name in ("boost-2", "halve-rest") else GRAY
        member_dots(right, place, ratios_of_grokking(runs[name].measures, source).midpoint, color)
    categories(right, list(_DOSE_2.values()))
    for axis in (left, right):
        axis.axhline(1.0, color=LINE_GRAY, linewidth=0.6)
    axis_labels(left, "", "grokking step, over that without")
    caption(drawing, runs, [*DOSES, *list(_DOSE_2)[1:]], command)
    return drawing


FIGURE = Figure(
    "dose-response",
    "N3: grokking after weights of the future circuit were multiplied early, and controls.",
    _draw,
    ("standard", *DOSES, *list(_DOSE_2)[1:]),
)
