"""N8: what the sparse circuit and all other neurons, the complement, compute alone.

The paper has a sparse subnetwork that generalizes and a dense one that memorizes and dies. The circuit alone
is verified on all 2^40 inputs, as the whole network is. The complement's predictions are compared with the
whole network's, and with the labels of 10,000 fresh inputs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from grokscope.claims import Claim, Effect, Region
from grokscope.papers import Figure, RunLike
from grokscope.papers.evidence import curve, final_value, grokking_times, memorization_times, value_at
from grokscope.papers.two_circuits_beyond.drawing import (
    BLUE,
    GRAY,
    LINE_GRAY,
    ORANGE,
    axis_labels,
    bands,
    caption,
    categories,
)
from grokscope.papers.two_circuits_beyond.members import MemberTable

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure as Drawing

# ---------------------------------------------------------------- evidence

Curve = Callable[["xr.Dataset"], np.ndarray]


def refuted_alone(measures: xr.Dataset) -> np.ndarray:
    """Of each member whose whole network is proved at the end: whether its circuit alone is refuted."""
    members = MemberTable(measures)
    return np.where(members.final("proved") == 1, members.final("circuit_refuted"), np.nan)


def kappa(measures: xr.Dataset) -> np.ndarray:
    """The complement's agreement with the whole network on the test set, beyond chance, [seed, step]."""
    return curve(measures, "faithfulness_kappa", subnetwork="complementary", split="test")


def fresh_accuracy(measures: xr.Dataset) -> np.ndarray:
    """The complement's accuracy on 10,000 fresh inputs, [seed, step]."""
    return curve(measures, "subnetwork_accuracy", subnetwork="complementary")


def gap(measures: xr.Dataset) -> np.ndarray:
    """The complement's agreement with the whole network on the training set less its fresh accuracy."""
    own = curve(measures, "faithfulness", subnetwork="complementary", split="train")
    return own - fresh_accuracy(measures)


def at_memorization(of: Curve) -> Curve:
    """A curve's value at memorization, [seed]."""
    return lambda measures: value_at(measures, of(measures), memorization_times(measures).upper)


def at_end(of: Curve) -> Curve:
    """A curve's last value, [seed]; NaN for seeds that do not grok."""

    def evidence(measures: xr.Dataset) -> np.ndarray:
        return np.where(grokking_times(measures).observed, final_value(of(measures)), np.nan)

    return evidence


def return_of_kappa(measures: xr.Dataset) -> np.ndarray:
    """How much the complement's kappa rises from grokking to the end, [seed]."""
    values = kappa(measures)
    return final_value(values) - value_at(measures, values, grokking_times(measures).upper)


# ---------------------------------------------------------------- claims

_claim = partial(
    Claim, source="not in the paper", setting="own", experiment="standard", confirmed_on="200-299"
)
_GAP = (
    "the mean over seeds of the complement's agreement with the whole network on the training set, less its "
    "accuracy on 10,000 fresh inputs"
)

CLAIMS = (
    _claim(
        id="N8-circuit",
        name="circuit alone often not the parity",
        sentence="Where the whole network is proved on all 2^40 inputs, its sparse circuit alone often is "
        "wrong somewhere.",
        estimand="the share of networks proved at the end whose active neurons alone are refuted",
        kind="share",
        region=Region.at_least(0.5),
        smallest_effect=Effect(0.1, "one network in ten"),
        evidence=refuted_alone,
    ),
    _claim(
        id="N8-memorizer",
        name="complement memorizes at first",
        sentence="At memorization the complement is a memorizer: right on the training set only.",
        estimand=f"{_GAP}, at memorization",
        region=Region.at_least(0.4),
        smallest_effect=Effect(0.05, "a twentieth of the inputs"),
        evidence=at_memorization(gap),
    ),
    _claim(
        id="N8-fresh",
        name="complement right on fresh inputs",
        sentence="At the end it is none: it is right on most fresh inputs.",
        estimand="the mean over seeds of the complement's accuracy on 10,000 fresh inputs at the end",
        region=Region.at_least(0.6),
        smallest_effect=Effect(0.05, "a twentieth of the inputs"),
        evidence=at_end(fresh_accuracy),
    ),
    _claim(
        id="N8-gap",
        name="complement no memorizer at the end",
        sentence="And hardly better on the training set than on fresh inputs.",
        estimand=f"{_GAP}, at the end",
        region=Region.between(-0.05, 0.05),
        smallest_effect=Effect(0.05, "a twentieth of the inputs"),
        evidence=at_end(gap),
    ),
    _claim(
        id="N8-returns",
        name="complement does not go on dying",
        sentence="Its agreement with the whole network falls up to grokking, and no further.",
        estimand="the mean over seeds of the complement's kappa (test set) at the end, less that at grokking",
        region=Region.at_least(0.0),
        smallest_effect=Effect(0.05, "a twentieth of the whole agreement"),
        evidence=return_of_kappa,
    ),
)

# ---------------------------------------------------------------- figure


def _draw(runs: Mapping[str, RunLike], command: str) -> Drawing:
    from grokscope.plots.style import legend, panels

    drawing, (left, right) = panels(["The complement's predictions", "Proved networks at the end"])
    measures = runs["standard"].measures
    epochs = measures["epoch"].to_numpy().astype(float)
    train = curve(measures, "faithfulness", subnetwork="complementary", split="train")
    for values, color, label in (
        (train, GRAY, "agreement, training set"),
        (fresh_accuracy(measures), BLUE, "accuracy, fresh inputs"),
        (kappa(measures), ORANGE, "kappa, test set"),
    ):
        bands(left, epochs, values, color, label)
    left.axhline(0.5, color=LINE_GRAY, linewidth=0.6)
    left.set_xlim(0, None)
    axis_labels(left, "epoch")
    members = MemberTable(measures)
    circuit = {
        "proved": members.final("circuit_proved"),
        "refuted": members.final("circuit_refuted"),
    }
    whole = members.final("proved") == 1
    counts = [int((values[whole] == 1).sum()) for values in circuit.values()]
    counts.append(int(whole.sum()) - sum(counts))
    right.bar(range(3), counts, color=[BLUE, ORANGE, GRAY], width=0.7)
    categories(right, ["proved", "refuted", "undecided"])
    axis_labels(right, "the circuit alone", "networks")
    legend(drawing, left)
    note = "Left: medians and middle 80 % of seeds. Right: of the networks proved on all inputs."
    caption(drawing, runs, ["standard"], command, note, marks="")
    return drawing


FIGURE = Figure(
    "alone",
    "N8: what the complement predicts, and verdicts on the circuit alone.",
    _draw,
    ("standard",),
)
