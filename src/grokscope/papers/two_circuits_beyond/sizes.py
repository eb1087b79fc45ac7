"""N1: the number of gates of the final circuit, and whether SGD finds four gates.

A gate is what the active neurons compute of the hidden bits, neurons that compute the same counted once
(`grokscope.circuits.count_gates`). A network "has 4 gates" here only if the network of 4 neurons that is made
of them is proved right on all 2^40 inputs. The claim on how often that happens is C12b, in ``propositions``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from grokscope.claims import Claim, Effect
from grokscope.papers import Figure, RunExperiment, RunLike
from grokscope.papers.two_circuits_beyond.drawing import BLUE, ORANGE, axis_labels, caption
from grokscope.papers.two_circuits_beyond.members import MemberTable, share_claim
from grokscope.papers.two_circuits_beyond.standard import GATES, PROFILES, changed

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure as Drawing

ANNEALED = RunExperiment(
    "annealed",
    "The standard run with the rate taken to 0 over the last third.",
    changed(
        "annealed",
        optimizer={
            "kind": "sgd",
            "learning_rate": 0.1,
            "weight_decay": 0.01,
            "schedule": {"kind": "linear", "last": 1 / 3},
        },
    ),
    PROFILES,
    analyses=(GATES,),
)

# ---------------------------------------------------------------- evidence


def final_gates(measures: xr.Dataset) -> np.ndarray:
    """Number of gates at the end of each member that groks; NaN for those that do not."""
    members = MemberTable(measures)
    return np.where(members.grokking.observed, members.final("gates"), np.nan)


def has_gates(*numbers: int) -> Callable[[xr.Dataset], np.ndarray]:
    """Whether a member groks and ends with one of these numbers of gates."""

    def evidence(measures: xr.Dataset) -> np.ndarray:
        members = MemberTable(measures)
        gates = members.final("gates")
        return np.where(np.isnan(gates), np.nan, np.isin(gates, numbers) & members.grokking.observed)

    return evidence


def four_gates_proved(measures: xr.Dataset) -> np.ndarray:
    """Whether a member ends with four gates whose network of four neurons is proved right everywhere."""
    members = MemberTable(measures)
    gates, proved = members.final("gates"), members.final("merged_proved")
    return np.where(np.isnan(gates), np.nan, (gates == 4) & (proved == 1))


# ---------------------------------------------------------------- claims


def _claims(id: str, experiment: str, when: str, rate: str) -> tuple[Claim, ...]:
    claim = partial(share_claim, experiment=experiment)
    return (
        claim(
            id=f"{id}a",
            name=f"6 or 8 gates, {rate}",
            sentence=f"The circuit ends with 6 or 8 gates, duplicates merged: {when}.",
            source="Sec. 3.3; issue N1",
            setting="own",
            paper_value="6, 6, 6, 8, 8",
            estimand="the share of seeds that end with 6 or 8 gates",
            evidence=has_gates(6, 8),
        ),
        claim(
            id=f"{id}b",
            name=f"4, 6, 7 or 8 gates, {rate}",
            sentence=f"It ends with 4, 6, 7 or 8 gates: {when}.",
            source="issue N1",
            setting="own",
            estimand="the share of seeds that end with 4, 6, 7 or 8 gates",
            smallest_effect=Effect(0.1, "one seed in ten"),
            evidence=has_gates(4, 6, 7, 8),
        ),
    )


CLAIMS = (
    *_claims("N1-constant-", "standard", "constant rate, epoch 300", "constant rate"),
    *_claims("N1-annealed-", "annealed", "rate annealed to 0", "annealed"),
)

# ---------------------------------------------------------------- figure


def _draw(runs: Mapping[str, RunLike], command: str) -> Drawing:
    from grokscope.plots.style import panels

    drawing, axes = panels(["Gates at the end: constant rate", "Rate annealed to 0"])
    for axis, name, color in zip(axes, ("standard", "annealed"), (BLUE, ORANGE), strict=True):
        gates = final_gates(runs[name].measures)
        known = gates[~np.isnan(gates)].astype(int)
        sizes, counts = np.unique(np.minimum(known, 13), return_counts=True)
        axis.bar(sizes, counts / max(1, len(known)), color=color, width=0.8)
        axis.set_xticks([4, 6, 8, 10, 13], ["4", "6", "8", "10", "13+"])
        axis.set_xlim(2.4, 13.6)
        axis_labels(axis, "gates, duplicates merged", "share of seeds")
    caption(drawing, runs, ["standard", "annealed"], command, marks="")
    return drawing


FIGURE = Figure(
    "gate-counts",
    "N1: gates at the end, at constant rate and annealed.",
    _draw,
    ("standard", "annealed"),
)
