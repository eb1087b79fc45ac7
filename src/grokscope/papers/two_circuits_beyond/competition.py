"""N4: do the circuits compete?

When 95 % of the training set are fitted all neurons but the future circuit are cut, or circuit and rest no
longer feel each other's hinge loss. Every claim compares members of a branch with those of the standard run
that they start from.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from grokscope.claims import Effect, Region
from grokscope.papers import Figure, PaperExperiment, RunLike
from grokscope.papers.two_circuits_beyond.cause import BLOCKS
from grokscope.papers.two_circuits_beyond.drawing import caption, shares_over_time
from grokscope.papers.two_circuits_beyond.members import grokking_share_claim, ratio_claim
from grokscope.papers.two_circuits_beyond.standard import CIRCUIT, CONFIRMED_ON, CONTROLS, FITTED, branch

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing


def _prune(name: str, what: str, neurons: Any) -> PaperExperiment:
    return branch(
        name,
        f"All is cut but {what} when 95 % are fitted.",
        FITTED,
        {"kind": "prune", "neurons": neurons},
        group="prunes",
    )


def _apart(name: str, what: str, neurons: Any) -> PaperExperiment:
    return branch(
        name,
        f"From the time on at which 95 % are fitted {what} and all other neurons do not feel each other's "
        "hinge loss.",
        FITTED,
        {"kind": "stop_gradient", "groups": [neurons]},
        group="apart",
    )


EXPERIMENTS = (
    _prune("prune-to-circuit", "the future circuit", CIRCUIT),
    _prune("prune-to-random", "as many random others", CONTROLS["random"]),
    _prune("prune-to-norm-matched", "as many others of like path norm", CONTROLS["norm-matched"]),
    _prune("prune-to-next-best", "as many others, the largest of path norm", CONTROLS["next-best"]),
    _apart("circuit-apart", "the future circuit", CIRCUIT),
    _apart("norm-matched-apart", "as many others of like path norm", CONTROLS["norm-matched"]),
)

# ---------------------------------------------------------------- claims

_ratio = partial(ratio_claim, source="issue N4", setting="own", confirmed_on=CONFIRMED_ON)
_groks = partial(grokking_share_claim, source="issue N4", setting="own", confirmed_on=CONFIRMED_ON)

CLAIMS = (
    _groks(
        id="N4-fitted-circuit",
        name="circuit alone groks",
        sentence="The future circuit alone, all else cut when 95 % are fitted, groks.",
        experiment="prune-to-circuit",
        region=Region.at_least(0.8),
    ),
    _ratio(
        id="N4-fitted-sooner",
        name="circuit alone: sooner",
        sentence="And sooner than among the others.",
        experiment="prune-to-circuit",
        region=Region.at_most(0.8),
    ),
    _groks(
        id="N4-fitted-random",
        name="random alone: a quarter at most",
        sentence="As many random neurons grok in a quarter of the seeds at most.",
        experiment="prune-to-random",
        region=Region.at_most(0.25),
    ),
    _groks(
        id="N4-fitted-norm-matched",
        name="norm-matched alone: likewise",
        sentence="So do as many others of like path norm.",
        experiment="prune-to-norm-matched",
        region=Region.at_most(0.25),
    ),
    _groks(
        id="N4-fitted-next-best",
        name="next best alone: part of the seeds",
        sentence="The largest of the others grok in part of the seeds.",
        experiment="prune-to-next-best",
        region=Region.between(0.2, 0.8),
    ),
    _ratio(
        id="N4-fitted-apart",
        name="losses parted: no sooner",
        sentence="If circuit and rest do not feel each other's hinge loss, grokking comes no sooner.",
        experiment="circuit-apart",
        region=Region.at_least(0.95),
        smallest_effect=Effect(0.05, "a twentieth of the time to grokking"),
    ),
    _groks(
        id="N4-fitted-apart-control",
        name="losses parted, control: disturbs",
        sentence="The operation disturbs: done to as many others of like path norm it keeps half of the "
        "seeds or more from grokking.",
        experiment="norm-matched-apart",
        region=Region.at_most(0.5),
    ),
)

# ---------------------------------------------------------------- figure (of N3's blocks, too)

_PRUNES = {
    "prune-to-circuit": "future circuit",
    "prune-to-random": "random",
    "prune-to-norm-matched": "norm-matched",
    "prune-to-next-best": "next best",
}


def _draw(runs: Mapping[str, RunLike], command: str) -> Drawing:
    from grokscope.plots.style import inner_legend, panels

    drawing, (left, right) = panels(["Growth along hidden bits blocked at 95 %", "All else cut at 95 %"])
    shares_over_time(left, runs, {"standard": "nothing", **BLOCKS})
    shares_over_time(right, runs, {"standard": "nothing cut", **_PRUNES})
    for axis, height in ((left, 0.4), (right, 0.55)):  # where no curve is
        inner_legend(axis)
        if (shown := axis.get_legend()) is not None:
            shown.set_loc("center right")
            shown.set_bbox_to_anchor((1.02, height), axis.transAxes)
    caption(drawing, runs, [*BLOCKS, *_PRUNES], command, marks="")
    return drawing


FIGURE = Figure(
    "blocking",
    "N3, N4: share of seeds that have grokked, with growth blocked and with neurons cut.",
    _draw,
    ("standard", *BLOCKS, *_PRUNES),
)
