"""N9 and N10: the final circuit as a lottery ticket, and the arity of its neurons over training.

The official code of the paper has both. It retrains the final subnetwork from its initial weights; here every
control gets the same treatment. Its arity (how many incoming weights of a neuron must be kept) keeps other
weights than it means to; `grokscope.circuits.arity` keeps the largest.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from grokscope.claims import Claim, Effect, Region
from grokscope.papers import Figure, PaperExperiment, RunLike
from grokscope.papers.evidence import curve, grokking_times, memorization_times, steps_of, value_at
from grokscope.papers.two_circuits_beyond.drawing import (
    BLUE,
    GRAY,
    GREEN,
    LINE_GRAY,
    axis_labels,
    bands,
    caption,
    shares_over_time,
)
from grokscope.papers.two_circuits_beyond.members import MemberTable, ratio_claim
from grokscope.papers.two_circuits_beyond.standard import CIRCUIT, CONTROLS, branch
from grokscope.plots.style import LABEL, small_print

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure as Drawing

Evidence = Callable[["xr.Dataset"], np.ndarray]
_OTHER = 1_000_000  # added to a seed to get one that the run does not use


def _ticket(name: str, what: str, neurons: Any, **more: Any) -> PaperExperiment:
    return branch(
        name,
        f"Only {what} are trained, from initialization on; all other neurons are 0.",
        0,
        {"kind": "prune", "neurons": neurons},
        group="tickets",
        **more,
    )


EXPERIMENTS = (
    _ticket("ticket", "the neurons of the final circuit", CIRCUIT),
    _ticket("ticket-random", "as many random others", CONTROLS["random"]),
    _ticket("ticket-norm-matched", "as many others of like initial path norm", CONTROLS["norm-matched"]),
    _ticket(
        "ticket-fresh",
        "the same neurons with other initial weights",
        CIRCUIT,
        parameters=(),
        streams=f"init=+{_OTHER}",
    ),
    _ticket(
        "ticket-other-data",
        "the same neurons and weights, with other samples,",
        CIRCUIT,
        streams=f"data=+{_OTHER}",
    ),
)
LABELS = {
    "ticket": "final circuit",
    "ticket-random": "random",
    "ticket-norm-matched": "norm-matched",
    "ticket-fresh": "other weights",
    "ticket-other-data": "other samples",
}

# ---------------------------------------------------------------- N9: evidence


def groks_alone(ticket: xr.Dataset, source: xr.Dataset) -> np.ndarray:
    """Truth values [member]: whether it groks; NaN if the member whose circuit it has does not.

    A member is paired with that of the same order of batches: its initialization or data may be others.
    """
    own, other = MemberTable(ticket), MemberTable(source)
    rows = {order: i for i, (_, _, order, _) in enumerate(other.seeds)}
    paired = np.array([rows.get(order, -1) for _, _, order, _ in own.seeds])
    fair = (paired >= 0) & other.grokking.observed[paired]
    return np.where(fair, own.grokking.observed & ~own.diverged, np.nan)


def more_often(ticket: xr.Dataset, control: xr.Dataset, source: xr.Dataset) -> np.ndarray:
    """For each member whether the ticket groks (1 or 0) less whether the control does; NaN as there."""
    return groks_alone(ticket, source) - groks_alone(control, source)


# ---------------------------------------------------------------- N10: evidence


def arity_of(subnetwork: str, when: Literal["memorization", "grokking", "end"]) -> Evidence:
    """The mean arity of a subnetwork's needed neurons at a moment, [seed]; NaN where none is needed."""

    def evidence(measures: xr.Dataset) -> np.ndarray:
        return _at(measures, curve(measures, f"arity_{subnetwork}"), when)

    return evidence


def more_than_matched(measures: xr.Dataset) -> np.ndarray:
    """The mean arity of the generalizing neurons at memorization less that of the control matched in norm."""
    own, others = (arity_of(name, "memorization")(measures) for name in ("generalizing", "norm_matched"))
    return own - others


def share_needed(measures: xr.Dataset) -> np.ndarray:
    """The share of the generalizing neurons of which a weight is needed at the end, [seed]."""
    return _at(measures, curve(measures, "needed_generalizing"), "end")


def _at(measures: xr.Dataset, values: np.ndarray, when: str) -> np.ndarray:
    """The last value up to a moment, of seeds that grok."""
    grokked = grokking_times(measures)
    last = np.full(len(values), float(steps_of(measures)[-1]))
    times = {"memorization": memorization_times(measures).upper, "grokking": grokked.upper, "end": last}
    return np.where(grokked.observed, value_at(measures, values, times[when]), np.nan)


# ---------------------------------------------------------------- claims

_lottery = partial(Claim, source="official code", setting="own", confirmed_on="200-299")
_arity = partial(_lottery, experiment="standard")
_ARITY = "the mean over seeds of the mean arity (training set) of the circuit's neurons whose arity is not 0,"


def _control(name: str, short: str, sentence: str) -> Claim:
    return _lottery(
        id=f"N9-{name.removeprefix('ticket-')}",
        name=short,
        sentence=sentence,
        estimand="the mean over seeds that grok in the standard run of whether the final circuit's neurons "
        f"grok alone (1 or 0), less whether the control does: {LABELS[name]}",
        region=Region.at_least(0.1),
        smallest_effect=Effect(0.1, "one seed in ten"),
        experiment="ticket",
        evidence=more_often,
        beside=(name, "standard"),
    )


CLAIMS = (
    _lottery(
        id="N9-ticket",
        name="ticket groks alone",
        sentence="In most seeds the final circuit's neurons grok alone from their initial weights.",
        estimand="the share of seeds that grok, of those that grok in the standard run",
        kind="share",
        region=Region.at_least(0.5),
        smallest_effect=Effect(0.1, "one seed in ten"),
        experiment="ticket",
        evidence=groks_alone,
        beside=("standard",),
    ),
    ratio_claim(
        id="N9-sooner",
        name="ticket groks sooner",
        sentence="And sooner than among the others.",
        source="official code",
        setting="own",
        confirmed_on="200-299",
        experiment="ticket",
        region=Region.at_most(0.8),
    ),
    _control("ticket-random", "ticket beats random neurons", "More often than as many random others."),
    _control(
        "ticket-norm-matched",
        "ticket beats norm-matched neurons",
        "More often than as many of like initial norm.",
    ),
    _control("ticket-fresh", "ticket beats other weights", "More often than with other initial weights."),
    _control("ticket-other-data", "ticket needs its own samples", "More often than with other samples."),
    _arity(
        id="N10-memorization",
        name="arity like others' at memorization",
        sentence="At memorization a neuron of the future circuit needs as many incoming weights as others.",
        estimand=f"{_ARITY} at memorization, less that of as many others of like norm",
        region=Region.between(-5, 5),
        smallest_effect=Effect(2, "two of 40 weights"),
        evidence=more_than_matched,
    ),
    _arity(
        id="N10-grokking",
        name="arity 4 or less at grokking",
        sentence="When the network groks it needs about three.",
        estimand=f"{_ARITY.replace('mean', 'median', 1)} at the last of the points, every 10 epochs, up to "
        "grokking",
        kind="median",
        region=Region.at_most(4),
        smallest_effect=Effect(1, "one weight"),
        evidence=arity_of("generalizing", "grokking"),
    ),
    _arity(
        id="N10-end",
        name="arity 3 or less at the end",
        sentence="At the end it needs three or fewer.",
        estimand=f"{_ARITY} at the end",
        region=Region.at_most(3),
        smallest_effect=Effect(0.5, "half a weight"),
        evidence=arity_of("generalizing", "end"),
    ),
    _arity(
        id="N10-needed",
        name="most circuit neurons not needed",
        sentence="Of most of its neurons, taken one at a time, no weight is needed.",
        estimand="the mean over seeds of the share of the circuit's neurons whose arity at the end is not 0",
        region=Region.at_most(0.5),
        smallest_effect=Effect(0.1, "one neuron in ten"),
        evidence=share_needed,
    ),
)

# ---------------------------------------------------------------- figures


def _draw_tickets(runs: Mapping[str, RunLike], command: str) -> Drawing:
    from grokscope.plots.style import legend, panels

    drawing, (left,) = panels(["Trained alone from initial weights"])
    shares_over_time(left, runs, {"standard": "all neurons", **LABELS})
    legend(drawing, left)
    caption(drawing, runs, list(LABELS), command, marks="")
    return drawing


def _draw_arity(runs: Mapping[str, RunLike], command: str) -> Drawing:
    from grokscope.plots.style import legend, panels

    drawing, (left, right) = panels(["Arity of the needed neurons", "Share of neurons that are needed"])
    measures = runs["standard"].measures
    epochs = measures["epoch"].to_numpy().astype(float)
    colors = {"generalizing": BLUE, "control": GRAY, "norm_matched": GREEN}
    n = int((~np.isnan(curve(measures, "needed_generalizing")).all(axis=1)).sum())
    for name, color in colors.items():
        arity = curve(measures, f"arity_{name}")
        known = (~np.isnan(arity)).sum(axis=0) >= n / 2
        bands(left, epochs, np.where(known, arity, np.nan), color, LABEL[name])
        bands(right, epochs, curve(measures, f"needed_{name}"), color)
    left.axhline(3.0, color=LINE_GRAY, linewidth=0.6)
    for axis in (left, right):
        axis.set_xlim(0, None)
    axis_labels(left, "epoch", "incoming weights")
    axis_labels(right, "epoch")
    legend(drawing, left)
    note = "Left: where half of the seeds or more have needed neurons."
    small_print(drawing, f"{n} seeds; medians and middle 80 %. {note}", command)
    return drawing


TICKET_FIGURE = Figure(
    "lottery",
    "N9: the final circuit's neurons trained alone from their initial weights, and controls.",
    _draw_tickets,
    ("standard", *LABELS),
)
ARITY_FIGURE = Figure(
    "arity",
    "N10: how many incoming weights the neurons of subnetworks need.",
    _draw_arity,
    ("standard",),
)
