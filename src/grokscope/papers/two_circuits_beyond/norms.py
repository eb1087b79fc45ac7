"""N7: final path norms against the least with which a network can have margin 1, for 2 to 5 hidden bits."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from grokscope.claims import Claim, Effect, Region
from grokscope.papers import Figure, PaperExperiment, RunExperiment, RunLike
from grokscope.papers.two_circuits_beyond.drawing import (
    BLUE,
    LINE_GRAY,
    ORANGE,
    caption,
    categories,
    member_dots,
)
from grokscope.papers.two_circuits_beyond.members import MemberTable, share_claim
from grokscope.papers.two_circuits_beyond.sizes import final_gates
from grokscope.papers.two_circuits_beyond.standard import GATES, PROFILES, changed
from grokscope.tasks.sparse_parity import SparseParity

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure as Drawing


def _bits(k: int, n_train: int, epochs: int, most_seeds: int) -> PaperExperiment:
    task = SparseParity(n=40, k=k, n_train=n_train, n_test=100)
    return RunExperiment(
        f"{k}-bits",
        f"The standard run with {k} hidden bits, {n_train:,} samples, {epochs} epochs.",
        changed(f"{k}-bits", task=task, epochs=epochs),
        PROFILES,
        group="bits",
        most_seeds=most_seeds,
        analyses=(GATES,),
    )


EXPERIMENTS = (_bits(2, 1000, 150, 50), _bits(4, 1000, 500, 50), _bits(5, 5000, 150, 20))

# Number of hidden bits -> the experiment, and its number of samples.
_RUNS_BY_BITS = {
    2: ("2-bits", "1,000"),
    3: ("standard", "1,000"),
    4: ("4-bits", "1,000"),
    5: ("5-bits", "5,000"),
}

# ---------------------------------------------------------------- evidence


def norm_over_least(measures: xr.Dataset, k: int) -> np.ndarray:
    r"""Final path norm over the least one, $\nu_k$, of each member that groks; NaN for those that do not."""
    from grokscope.circuits.constructions import least_path_norm

    members = MemberTable(measures)
    ratio = members.final("path_norm_total") / least_path_norm(k)
    return np.where(members.grokking.observed, ratio, np.nan)


def has_fewer_gates(measures: xr.Dataset, bound: int) -> np.ndarray:
    """Whether a member that groks ends with fewer gates; NaN for members that do not grok."""
    gates = final_gates(measures)
    return np.where(np.isnan(gates), np.nan, gates < bound)


def groks(measures: xr.Dataset) -> np.ndarray:
    """Whether a member groks and does not diverge."""
    members = MemberTable(measures)
    return (members.grokking.observed & ~members.diverged).astype(float)


# ---------------------------------------------------------------- claims


def _claims(k: int, experiment: str, samples: str) -> tuple[Claim, ...]:
    return (
        Claim(
            id=f"N7-norm-{k}",
            sentence=f"The final path norm is near the least possible: {k} bits, {samples} samples.",
            source="issue N7",
            setting="own",
            estimand="the mean over seeds that grok of the final path norm over the least with which a "
            "network can have margin 1 on all inputs",
            region=Region.between(1.0, 1.5),
            smallest_effect=Effect(0.1, "a tenth of the least norm"),
            experiment=experiment,
            evidence=partial(norm_over_least, k=k),
        ),
        share_claim(
            id=f"N7-groks-{k}",
            sentence=f"Every seed groks: {k} bits, {samples} samples.",
            source="issue N7",
            setting="own",
            estimand="the share of seeds that grok",
            experiment=experiment,
            evidence=groks,
        ),
    )


CLAIMS = (
    *(
        claim
        for k, (experiment, samples) in _RUNS_BY_BITS.items()
        for claim in _claims(k, experiment, samples)
    ),
    *(
        share_claim(
            id=f"N7-size-{k}",
            sentence=f"Fewer than 2^{k} gates do it: {k} bits.",
            source="Prop. 1; issue N7",
            setting="own",
            estimand=f"the share of seeds that that grok end with fewer than {2**k} gates",
            experiment=_RUNS_BY_BITS[k][0],
            evidence=partial(has_fewer_gates, bound=2**k),
        )
        for k in (3, 4, 5)
    ),
)

# ---------------------------------------------------------------- figure


def _draw(runs: Mapping[str, RunLike], command: str) -> Drawing:
    from grokscope.circuits.constructions import least_path_norm
    from grokscope.plots.style import panels

    drawing, (left, right) = panels(["Final path norm over the least, nu_k", "Gates at the end"])
    names = {k: run for k, (run, _) in _RUNS_BY_BITS.items() if run in runs}
    for place, (k, name) in enumerate(names.items()):
        members = MemberTable(runs[name].measures)
        ratio = members.final("path_norm_total") / least_path_norm(k)
        member_dots(left, place, ratio[members.grokking.observed], BLUE)
        member_dots(right, place, final_gates(runs[name].measures), BLUE)
        right.plot([place - 0.35, place + 0.35], [2**k] * 2, color=ORANGE, linewidth=1, linestyle="dashed")
    left.axhline(1.0, color=LINE_GRAY, linewidth=0.6)
    right.axhline(4.0, color=LINE_GRAY, linewidth=0.6)
    for axis in (left, right):
        categories(axis, [f"{k} bits" for k in names])
    right.set_ylim(0, 42)
    caption(drawing, runs, list(names.values()), command, "Dashed: 2^k; gray: 1 on the left, 4 on the right.")
    return drawing


FIGURE = Figure(
    "least-norms",
    "N7: final path norms against the least possible, and numbers of gates.",
    _draw,
    tuple(run for run, _ in _RUNS_BY_BITS.values()),
)
