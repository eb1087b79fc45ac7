"""N2: proofs on all 2^40 inputs for networks that are perfect on samples, and when they first succeed.

The verdicts are measures of the run (`grokscope.circuits.verification.over_training.certify`): at the end of
every member, and every 20th epoch of ten members.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Literal

import numpy as np

from grokscope.claims import Claim, Effect, NotTestable, Region
from grokscope.papers import Figure, RunLike
from grokscope.papers.two_circuits_beyond.drawing import BLUE, GREEN, LINE_GRAY, ORANGE, PINK, axis_labels
from grokscope.papers.two_circuits_beyond.members import A_TENTH_OF_THE_TIME, MemberTable
from grokscope.spec.events import event_of
from grokscope.statistics import CensoredTimes

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure as Drawing

# ---------------------------------------------------------------- evidence: the last network of each member


def final_verdict(verdict: str) -> Callable[[xr.Dataset], np.ndarray]:
    """Whether networks have the verdict at the end; NaN for those that are not perfect on the large sample.

    Args:
        verdict: ``proved`` or ``refuted``.
    """

    def evidence(measures: xr.Dataset) -> np.ndarray:
        members = MemberTable(measures)
        found = members.final(verdict)
        perfect = members.final("test_accuracy_large") == 1.0
        return np.where(perfect & ~np.isnan(found), found, np.nan)

    return evidence


# ---------------------------------------------------------------- evidence: networks on the way


def verified_points(measures: xr.Dataset) -> tuple[MemberTable, np.ndarray]:
    """The run's members, and booleans [member, step]: where the network was verified.

    A member whose network was verified at its ends only has none.

    Raises:
        NotTestable: if no member was verified over training.
    """
    members = MemberTable(measures)
    verified = ~np.isnan(members.curves("proved"))
    verified &= (verified.sum(axis=1) > 2)[:, None]
    if not verified.any():
        raise NotTestable("no member's networks were verified over training")
    return members, verified


def share_refuted(perfect_on: str) -> Callable[[xr.Dataset], np.ndarray]:
    """Of each watched member's networks that are perfect on a sample, the share that is refuted."""

    def evidence(measures: xr.Dataset) -> np.ndarray:
        members, verified = verified_points(measures)
        counted = verified & (members.curves(perfect_on) == 1.0)
        refuted = counted & (members.curves("refuted") == 1.0)
        number = counted.sum(axis=1)
        share = np.full(len(number), np.nan)
        np.divide(refuted.sum(axis=1), number, out=share, where=number > 0)
        return share[verified.any(axis=1)]

    return evidence


def proof_over_grokking(which: Literal["first", "certified"]) -> Callable[[xr.Dataset], CensoredTimes]:
    """The step of the first proof, or from which on all are proved, over the grokking step; censored.

    Of watched members that grok.
    """

    def evidence(measures: xr.Dataset) -> CensoredTimes:
        from grokscope.circuits.verification.over_training import CERTIFIED, FIRST_PROVED

        members, verified = verified_points(measures)
        # a network that starts grokked has no ratio
        watched = verified.any(axis=1) & members.grokking.observed & (members.grokking.upper > 0)
        columns = np.asarray(verified[watched].any(axis=0))
        if not columns.any():
            raise NotTestable("no watched seed grokked")
        event = FIRST_PROVED if which == "first" else CERTIFIED
        times = event.times(verdicts(members, np.flatnonzero(watched), columns))
        grokking = members.grokking[watched]
        low, high = times.bounds()
        above = np.divide(high, grokking.lower, out=np.full(len(low), np.inf), where=grokking.lower > 0)
        below = np.maximum(low, 0.0) / grokking.upper
        return CensoredTimes(below, np.maximum(above, below))

    return evidence


def verdicts(members: MemberTable, rows: np.ndarray, columns: np.ndarray) -> xr.Dataset:
    """The measure ``proved`` of these members at these points, as events read it."""
    import xarray as xr

    return xr.Dataset(
        {"proved": (("seed", "step"), members.curves("proved")[rows][:, columns])},
        {"seed": rows, "step": members.steps[columns]},
    )


# ---------------------------------------------------------------- claims

_claim = partial(Claim, source="issue N2", setting="own", experiment="standard")
_final = partial(_claim, kind="share", smallest_effect=Effect(0.1, "one network in ten"))
_refuted = partial(_claim, region=Region.at_least(0.1), smallest_effect=Effect(0.05, "one network in twenty"))
_time = partial(_claim, kind="median", smallest_effect=A_TENTH_OF_THE_TIME)

CLAIMS = (
    _final(
        id="N2a",
        name="perfect on 10,000: proved",
        sentence="At the end a network that is perfect on 10,000 points is proved on all 2^40 inputs.",
        estimand="the share of networks perfect on 10,000 points at the last epoch that are proved on all "
        "2^40 inputs",
        region=Region.at_least(0.8),
        evidence=final_verdict("proved"),
    ),
    _final(
        id="N2b",
        name="perfect on 10,000: hardly refuted",
        sentence="At the end a network that is perfect on 10,000 points is hardly ever refuted.",
        estimand="the share of networks perfect on 10,000 points at the last epoch that are refuted",
        region=Region.at_most(0.1),
        evidence=final_verdict("refuted"),
    ),
    _refuted(
        id="N2c",
        name="perfect on 100, wrong on the way",
        sentence="On the way, many networks that are perfect on the paper's 100 points are wrong somewhere.",
        paper_value="perfect",
        estimand="the mean over ten seeds of the share of refuted networks among those that are perfect on "
        "100 points, every 20th epoch",
        evidence=share_refuted("test_accuracy"),
    ),
    _refuted(
        id="N2d",
        name="perfect on 10,000, wrong on the way",
        sentence="So are some that are perfect on 10,000 points.",
        estimand="the same among those that are perfect on 10,000 points",
        evidence=share_refuted("test_accuracy_large"),
    ),
    _time(
        id="N2e",
        name="first proof well after grokking",
        sentence="The first proof comes well after grokking.",
        estimand="the median over ten seeds of the first step at which the network is proved, over the "
        "grokking step",
        region=Region.at_least(1.25),
        evidence=proof_over_grokking("first"),
    ),
    _time(
        id="N2f",
        name="stays proved only much later",
        sentence="A network stays proved only from half as long again as it took to grok, or later, or not "
        "at all.",
        estimand="the median over ten seeds of the certified step (from which on all are proved), over the "
        "grokking step",
        region=Region.at_least(1.5),
        evidence=proof_over_grokking("certified"),
    ),
)

# ---------------------------------------------------------------- figure


def _draw(runs: Mapping[str, RunLike], command: str) -> Drawing:
    from grokscope.circuits.verification.over_training import CERTIFIED, FIRST_PROVED
    from grokscope.plots.style import legend, panels, small_print

    drawing, (left, right) = panels(["When each seed gets there", "Certified margin on all inputs"])
    run = runs["standard"]
    per_epoch = run.experiment.steps_per_epoch
    try:
        members, verified = verified_points(run.measures)
    except NotTestable:
        return drawing
    rows = np.flatnonzero(verified.any(axis=1))
    columns = np.asarray(verified[rows].any(axis=0))
    proved = verdicts(members, rows, columns)
    memorized = event_of(run.measures, "memorization").times(run.measures).upper[: len(members.seeds)]
    events = {
        "memorization": (memorized[rows], PINK, "s"),
        "grokking": (members.grokking.upper[rows], ORANGE, "o"),
        "first proved": (FIRST_PROVED.times(proved).upper, GREEN, "^"),
        "certified from here on": (CERTIFIED.times(proved).upper, BLUE, "D"),
    }
    for label, (steps, color, marker) in events.items():
        left.plot(
            steps / per_epoch, range(len(rows)), marker, color=color, markersize=3, linestyle="", label=label
        )
    left.set_yticks(range(len(rows)), [str(members.seeds[row].init) for row in rows])
    left.set_xlim(0, None)
    axis_labels(left, "epoch", "seed")
    margin = members.curves("worst_margin_lower")[rows][:, columns]
    found = members.curves("worst_margin_upper")[rows][:, columns]
    epochs = members.steps[columns] / per_epoch
    for lower, upper in zip(margin, found, strict=True):
        right.plot(epochs, upper, color="#BBBBBB", linewidth=0.6)
        right.plot(epochs, np.where(lower > 0, lower, np.nan), color=BLUE, linewidth=0.9)
    right.axhline(0.0, color=LINE_GRAY, linewidth=0.6)
    right.set_ylim(-1.0, 1.0)
    right.set_xlim(0, None)
    axis_labels(right, "epoch", "least y f(x)")
    legend(drawing, left)
    small_print(
        drawing,
        f"{len(rows)} seeds, every 20th epoch. Right: blue, the margin that is proved; gray, the least "
        "that was found.",
        command,
    )
    return drawing


FIGURE = Figure(
    "proofs-over-training",
    "N2: when networks memorize, grok and are proved right on all 2^40 inputs, and their margin.",
    _draw,
    ("standard",),
)
