r"""N7: final path norms against the least possible, for 2 to 5 hidden bits.

With $\nu_k$ the least path norm of a network with margin 1 on the parity of k bits (`least_path_norm`), every
network has a path norm of at least $\nu_k E[y f(x)]$ over uniform inputs, so of at least $\nu_k m$ with m its
least margin over all inputs. Weight decay is, for neurons with $|u_j| = \lVert (W_j, b_j) \rVert$, a penalty
$\lambda$ times the path norm. The optimal network has hinge loss 0, so a minimum of the regularized loss has
a path norm of at most $\nu_k$.

At constant rate the noise of SGD keeps margins below 1. These networks are compared with $\nu_k$ times their
mean margin. With the rate taken to 0 margins come near 1, and the path norm is compared with $\nu_k$ itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from grokscope.claims import Claim, Effect, Region
from grokscope.experiment import Recording
from grokscope.papers import Figure, PaperExperiment, RunExperiment, RunLike
from grokscope.papers.two_circuits_beyond.drawing import (
    BLUE,
    GRAY,
    GREEN,
    LINE_GRAY,
    ORANGE,
    PINK,
    axis_labels,
    bands,
    caption,
    categories,
    member_dots,
)
from grokscope.papers.two_circuits_beyond.members import MemberTable, share_claim
from grokscope.papers.two_circuits_beyond.sizes import final_gates
from grokscope.papers.two_circuits_beyond.standard import (
    FEW_MEASURES,
    GATES,
    PROFILES,
    PROOFS_AT_THE_END,
    changed,
)
from grokscope.tasks.sparse_parity import SparseParity

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure as Drawing


def _bits(k: int, n_train: int, epochs: int, most_seeds: int) -> PaperExperiment:
    task = SparseParity(n=40, k=k, n_train=n_train, n_test=100)
    return RunExperiment(
        f"{k}-bits",
        f"The standard run with {k} hidden bits, {n_train:,} samples, {epochs} epochs.",
        changed(f"{k}-bits", task=task, epochs=epochs, measures=(*FEW_MEASURES, "margin_mean_large")),
        PROFILES,
        group="bits",
        most_seeds=most_seeds,
        analyses=(GATES,),
    )


def _annealed(k: int, n_train: int, epochs: int, most_seeds: int) -> PaperExperiment:
    """The rate falls linearly to 0 over the last third, so that the noise of SGD does."""
    schedule = {"kind": "linear", "last": 1 / 3}
    return RunExperiment(
        f"annealed-{k}",
        f"{k} hidden bits, {n_train:,} samples, {epochs} epochs, the rate taken to 0 over the last third.",
        changed(
            f"annealed-{k}",
            task=SparseParity(n=40, k=k, n_train=n_train, n_test=100),
            epochs=epochs,
            optimizer={"kind": "sgd", "learning_rate": 0.1, "weight_decay": 0.01, "schedule": schedule},
            measures=("train_accuracy", "test_accuracy", "path_norm_total", "train_margin_least"),
            schedule=Recording(measures="every 5 epochs", slow_measures="ends", follow="ends"),
        ),
        PROFILES,
        group="optimum",
        most_seeds=most_seeds,
        analyses=(PROOFS_AT_THE_END,),
    )


EXPERIMENTS = (
    _bits(2, 1000, 150, 50),
    _bits(4, 1000, 500, 50),
    _bits(5, 5000, 150, 20),
    _annealed(2, 1000, 300, 50),
    _annealed(3, 1000, 450, 50),
    _annealed(4, 1000, 750, 50),
    _annealed(5, 5000, 300, 10),
)

# Number of hidden bits -> the experiments at constant rate and annealed, and their number of samples.
_RUNS_BY_BITS = {
    2: ("2-bits", "annealed-2", "1,000"),
    3: ("standard", "annealed-3", "1,000"),
    4: ("4-bits", "annealed-4", "1,000"),
    5: ("5-bits", "annealed-5", "5,000"),
}

# ---------------------------------------------------------------- evidence

PROVED_MARGIN = "worst_margin_lower"


def norm_over_least(measures: xr.Dataset, k: int, margin: str = "") -> np.ndarray:
    r"""Final path norm over the least one, $\nu_k$, times a margin, of each member that groks; else NaN.

    Args:
        measures: of the run.
        k: hidden bits.
        margin: the measure; empty: margin 1. Without a positive margin the ratio is infinite.
    """
    from grokscope.circuits.constructions import least_path_norm

    members = MemberTable(measures)
    norm = members.final("path_norm_total") / least_path_norm(k)
    if not margin:
        return np.where(members.grokking.observed, norm, np.nan)
    found = np.divide(norm, scale := members.final(margin), out=np.full(len(norm), np.inf), where=scale > 0)
    # a refuted network has no proved margin, one that was not verified has no verdict
    unknown = np.isnan(members.final("proved")) if margin == PROVED_MARGIN else np.isnan(scale)
    return np.where(members.grokking.observed & ~unknown, found, np.nan)


def percent_above_least(measures: xr.Dataset, k: int, margin: str = "") -> np.ndarray:
    """`norm_over_least` as percent above 1."""
    return 100 * (norm_over_least(measures, k, margin) - 1)


def final_margin(measures: xr.Dataset) -> np.ndarray:
    """The least margin on the training set at the end, of each member that groks; else NaN."""
    members = MemberTable(measures)
    return np.where(members.grokking.observed, members.final("train_margin_least"), np.nan)


def has_fewer_gates(measures: xr.Dataset, bound: int) -> np.ndarray:
    """Whether a member that groks ends with fewer gates; NaN for members that do not grok."""
    gates = final_gates(measures)
    return np.where(np.isnan(gates), np.nan, gates < bound)


def groks(measures: xr.Dataset) -> np.ndarray:
    """Whether a member groks and does not diverge."""
    members = MemberTable(measures)
    return (members.grokking.observed & ~members.diverged).astype(float)


# ---------------------------------------------------------------- claims

_claim = partial(Claim, source="issue N7", setting="own", confirmed_on="200-299")


def _claims(k: int, constant: str, annealed: str, samples: str) -> tuple[Claim, ...]:
    return (
        _claim(
            id=f"N7-optimum-{k}",
            name=f"least norm met within 2 %, {k} bits",
            sentence=f"Annealed, the path norm is within 2 % of the least at margin 1: {k} bits, {samples} "
            "samples.",
            unit="%",
            estimand="the mean over seeds that grok of the final path norm, in percent above the least with "
            "which a network can have margin 1 on all inputs",
            region=Region.between(-2, 2),
            smallest_effect=Effect(1, "a hundredth of the least norm"),
            experiment=annealed,
            evidence=partial(percent_above_least, k=k),
        ),
        _claim(
            id=f"N7-margin-{k}",
            name=f"least training margin near 1, {k} bits",
            sentence=f"And the least margin on the training set is nearly 1: {k} bits.",
            estimand="the mean over seeds that grok of the least y f(x) over the training set at the end",
            region=Region.between(0.95, 1.05),
            smallest_effect=Effect(0.02, "a fiftieth of the margin"),
            experiment=annealed,
            evidence=final_margin,
        ),
        _claim(
            id=f"N7-proved-{k}",
            name=f"within 5 % of least, proved, {k} bits",
            sentence=f"Proved on all 2^40 inputs: within 5 % of the least norm for its margin: {k} bits.",
            unit="%",
            estimand="the median over seeds that grok of the final path norm, in percent above the least "
            "for the margin that is proved on all 2^40 inputs (infinite without a proof); no network is "
            "below 0",
            kind="median",
            region=Region.between(0, 5),
            smallest_effect=Effect(1, "a hundredth of the least norm"),
            experiment=annealed,
            evidence=partial(percent_above_least, k=k, margin=PROVED_MARGIN),
        ),
        _claim(
            id=f"N7-mean-{k}",
            name=f"constant rate: near least, {k} bits",
            sentence=f"At constant rate it is near the least for its mean margin: {k} bits.",
            estimand="the mean over seeds that grok of the final path norm over the least for margin 1 times "
            "the mean of y f(x) over 10,000 fresh inputs; 1 is the least possible",
            region=Region.between(1.0, 1.15),
            smallest_effect=Effect(0.05, "a twentieth of the least norm"),
            experiment=constant,
            evidence=partial(norm_over_least, k=k, margin="margin_mean_large"),
        ),
        share_claim(
            id=f"N7-groks-{k}",
            name=f"every seed groks, {k} bits",
            sentence=f"Every seed groks: {k} bits, {samples} samples.",
            source="issue N7",
            setting="own",
            estimand="the share of seeds that grok",
            experiment=constant,
            evidence=groks,
        ),
    )


CLAIMS = (
    *(claim for k, runs in _RUNS_BY_BITS.items() for claim in _claims(k, *runs)),
    *(
        share_claim(
            id=f"N7-size-{k}",
            name=f"fewer than 2^{k} gates, {k} bits",
            sentence=f"Fewer than 2^{k} gates do it: {k} bits.",
            source="Prop. 1; issue N7",
            setting="own",
            estimand=f"of the seeds that grok, the share that end with fewer than {2**k} gates",
            experiment=_RUNS_BY_BITS[k][0],
            evidence=partial(has_fewer_gates, bound=2**k),
        )
        for k in (3, 4, 5)
    ),
)

# ---------------------------------------------------------------- figures

_COLORS = {2: GREEN, 3: BLUE, 4: ORANGE, 5: PINK}


def _draw_optimum(runs: Mapping[str, RunLike], command: str) -> Drawing:
    from grokscope.circuits.constructions import least_path_norm
    from grokscope.plots.style import legend, panels

    titles = ["Path norm over the least, nu_k, in training", "At the end, against the proved margin"]
    drawing, (left, right) = panels(titles)
    names = {k: annealed for k, (_, annealed, _) in _RUNS_BY_BITS.items() if annealed in runs}

    def points(k: int, name: str, color: str, label: str = "") -> None:
        margin = MemberTable(runs[name].measures).final(PROVED_MARGIN)
        norm = norm_over_least(runs[name].measures, k)
        right.plot(
            np.where(margin > 0, margin, np.nan),
            norm,
            "o",
            color=color,
            label=label,
            markersize=2.5,
            alpha=0.6,
            markeredgewidth=0,
        )

    for k, name in names.items():
        members = MemberTable(runs[name].measures)
        curves = members.curves("path_norm_total")[members.grokking.observed] / least_path_norm(k)
        bands(left, members.steps / members.steps[-1], curves, _COLORS[k], f"{k} bits")
        points(k, name, _COLORS[k])
    if "standard" in runs:
        points(3, "standard", GRAY, "3 bits, constant rate")
    left.axhline(1.0, color=LINE_GRAY, linewidth=0.6)
    left.axvline(2 / 3, color=LINE_GRAY, linewidth=0.6, linestyle="dashed")
    left.set_xlim(0, 1)
    left.set_ylim(0.8, 2.2)
    axis_labels(left, "share of training", "path norm / nu_k")
    right.plot([0, 1.1], [0, 1.1], color=LINE_GRAY, linewidth=0.6)
    right.set_xlim(0, 1.1)
    right.set_ylim(0.8, 1.3)
    axis_labels(right, "margin proved on all 2^40 inputs", "path norm / nu_k")
    legend(drawing, left, right)
    note = (
        "Left: median and middle 80 %; dashed: from here on the rate falls to 0. Right: members whose margin "
        "is proved; no network can lie below the gray line, norm = nu_k times margin."
    )
    caption(drawing, runs, list(names.values()), command, note, marks="")
    return drawing


def _draw_constant(runs: Mapping[str, RunLike], command: str) -> Drawing:
    from grokscope.plots.style import panels

    drawing, (left, right) = panels(["Path norm over nu_k times mean margin", "Gates at the end"])
    names = {k: run for k, (run, *_) in _RUNS_BY_BITS.items() if run in runs}
    for place, (k, name) in enumerate(names.items()):
        measures = runs[name].measures
        member_dots(left, place, norm_over_least(measures, k, "margin_mean_large"), BLUE)
        member_dots(right, place, final_gates(measures), BLUE)
        right.plot([place - 0.35, place + 0.35], [2**k] * 2, color=ORANGE, linewidth=1, linestyle="dashed")
    left.axhline(1.0, color=LINE_GRAY, linewidth=0.6)
    right.axhline(4.0, color=LINE_GRAY, linewidth=0.6)
    for axis in (left, right):
        categories(axis, [f"{k} bits" for k in names])
    right.set_ylim(0, 42)
    caption(drawing, runs, list(names.values()), command, "Dashed: 2^k; gray: 1 on the left, 4 on the right.")
    return drawing


FIGURES = (
    Figure(
        "optimum",
        "N7: path norms of annealed networks meet the least possible.",
        _draw_optimum,
        ("standard", *(annealed for _, annealed, _ in _RUNS_BY_BITS.values())),
    ),
    Figure(
        "least-norms",
        "N7: at constant rate, path norms against the least for their mean margin, and numbers of gates.",
        _draw_constant,
        tuple(constant for constant, *_ in _RUNS_BY_BITS.values()),
    ),
)
