"""The figures of `two_circuits_beyond`: sizes, proofs, doses, blocks, norms, when the winner is settled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from grokscope.claims import NotTestable
from grokscope.papers._paper import Figure, RunLike
from grokscope.papers._two_circuits_beyond_evidence import Cohort, ratios_of_grokking
from grokscope.papers._two_circuits_beyond_experiments import BLOCKS, DOSES, MOMENTS
from grokscope.papers._two_circuits_beyond_proofs import decided_points, verdicts_of
from grokscope.papers._two_circuits_beyond_sizes import RUNS_BY_BITS, gates_of
from grokscope.papers._two_circuits_beyond_winner import SETTLED, shares_of_streams, twin_overlaps
from grokscope.spec.events import MEMORIZATION

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing

__all__ = ["FIGURES"]

_SMALL = 7.0
_BLUE, _ORANGE, _GREEN, _PINK, _GRAY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#555555"


def _labels(axis: Axes, x: str, y: str = "") -> None:
    axis.set_xlabel(x, fontsize=_SMALL, labelpad=1)
    axis.set_ylabel(y, fontsize=_SMALL, labelpad=1)


def _dots(axis: Axes, place: float, values: np.ndarray, color: str) -> None:
    """One point per seed, a little apart, and a bar at the median."""
    found = values[np.isfinite(values)]
    apart = np.linspace(-0.2, 0.2, len(found)) if len(found) > 1 else np.zeros(len(found))
    axis.plot(place + apart, found, ".", color=color, markersize=2.5, alpha=0.5, markeredgewidth=0)
    if len(found):
        axis.plot([place - 0.3, place + 0.3], [np.median(found)] * 2, color=color, linewidth=1.5)


def _named(axis: Axes, names: Sequence[str]) -> None:
    axis.set_xticks(range(len(names)), names, rotation=18, ha="right", rotation_mode="anchor")
    axis.set_xlim(-0.6, len(names) - 0.4)


def _print(
    drawing: Drawing,
    runs: Mapping[str, RunLike],
    names: Sequence[str],
    command: str,
    note: str = "",
    marks: str = "; points are members, bars medians",
) -> None:
    from grokscope.plots.style import small_print

    counts = {len(Cohort(runs[name].measures).seeds) for name in names}
    low, high = min(counts), max(counts)
    many = f"{low}" if low == high else f"{low} to {high}"
    small_print(drawing, f"{many} members for each setting{marks}.", note, command)


# ---------------------------------------------------------------- N3, N4

_CONTROLS = {
    "boost-2": "circuit",
    "boost-2-next-best": "next best",
    "boost-2-random": "random",
    "boost-2-whole": "all directions",
    "sham-2": "sham",
}


def _dose_response(runs: Mapping[str, RunLike], command: str) -> Drawing:
    from grokscope.plots.style import panels

    drawing, (left, right) = panels(["Dose: norm at epoch 10, times", "Controls, at dose 2"])
    source = runs["standard"].measures
    for place, name in enumerate(DOSES):
        _dots(left, place, ratios_of_grokking(runs[name].measures, source).midpoint, _BLUE)
    _named(left, [f"{dose:g}" for dose in DOSES.values()])
    for place, name in enumerate(_CONTROLS):
        color = _BLUE if name == "boost-2" else _GRAY
        _dots(right, place, ratios_of_grokking(runs[name].measures, source).midpoint, color)
    _named(right, list(_CONTROLS.values()))
    for axis in (left, right):
        axis.axhline(1.0, color="#999999", linewidth=0.6)
    _labels(left, "", "grokking step, over that without")
    _print(drawing, runs, [*DOSES, *list(_CONTROLS)[1:]], command)
    return drawing


_BLOCK_LABELS = dict(zip(BLOCKS, ("all neurons", "future circuit", "norm-matched"), strict=True))


def _shares_over_time(axis: Axes, runs: Mapping[str, RunLike], names: Mapping[str, str]) -> None:
    """Share of members that have grokked, against epochs."""
    for color, (name, label) in zip((_GRAY, _ORANGE, _BLUE, _GREEN, _PINK), names.items(), strict=False):
        cohort = Cohort(runs[name].measures)
        per_epoch = runs[name].experiment.steps_per_epoch
        times = np.sort(cohort.grokking.upper) / per_epoch
        last = cohort.steps[-1] / per_epoch
        seen = times[np.isfinite(times)]
        share = np.arange(len(seen) + 1) / len(times)
        axis.step(
            np.concatenate([[0.0], seen, [last]]),
            np.append(share, share[-1]),
            where="post",
            color=color,
            linewidth=1.2,
            label=label,
        )
    axis.set_ylim(-0.03, 1.03)
    axis.set_xlim(0, None)
    _labels(axis, "epoch", "share that has grokked")


def _blocking(runs: Mapping[str, RunLike], command: str) -> Drawing:
    from grokscope.plots.style import inner_legend, panels

    drawing, (left, right) = panels(["Growth along the hidden bits blocked", "All else cut at memorization"])
    _shares_over_time(left, runs, {"standard": "nothing", **_BLOCK_LABELS})
    cuts = {
        "standard": "nothing cut",
        "prune-to-circuit": "future circuit",
        "prune-to-random": "random",
        "prune-to-norm-matched": "norm-matched",
        "prune-to-next-best": "next best",
    }
    _shares_over_time(right, runs, cuts)
    for axis, height in ((left, 0.4), (right, 0.68)):  # where no curve is
        inner_legend(axis)
        if (shown := axis.get_legend()) is not None:
            shown.set_loc("center right")
            shown.set_bbox_to_anchor((1.02, height), axis.transAxes)
    _print(drawing, runs, [*_BLOCK_LABELS, *list(cuts)[1:]], command, marks="")
    return drawing


# ---------------------------------------------------------------- N1, N7


def _sizes(runs: Mapping[str, RunLike], command: str) -> Drawing:
    from grokscope.plots.style import panels

    drawing, axes = panels(["Gates at the end: constant rate", "Rate annealed to 0"])
    for axis, name, color in zip(axes, ("standard", "annealed"), (_BLUE, _ORANGE), strict=True):
        gates = gates_of(runs[name].measures)
        known = gates[~np.isnan(gates)].astype(int)
        sizes, counts = np.unique(np.minimum(known, 13), return_counts=True)
        axis.bar(sizes, counts / max(1, len(known)), color=color, width=0.8)
        axis.set_xticks([4, 6, 8, 10, 13], ["4", "6", "8", "10", "13+"])
        axis.set_xlim(2.4, 13.6)
        _labels(axis, "gates, duplicates merged", "share of seeds")
    _print(drawing, runs, ["standard", "annealed"], command, marks="")
    return drawing


def _norms(runs: Mapping[str, RunLike], command: str) -> Drawing:
    from grokscope.circuits.constructions import least_path_norm
    from grokscope.plots.style import panels

    drawing, (left, right) = panels(["Final path norm over the least, nu_k", "Gates at the end"])
    names = {k: run for k, (run, _) in RUNS_BY_BITS.items() if run in runs}
    for place, (k, name) in enumerate(names.items()):
        cohort = Cohort(runs[name].measures)
        ratio = cohort.last("path_norm_total") / least_path_norm(k)
        _dots(left, place, ratio[cohort.grokking.observed], _BLUE)
        _dots(right, place, gates_of(runs[name].measures), _BLUE)
        right.plot([place - 0.35, place + 0.35], [2**k] * 2, color=_ORANGE, linewidth=1, linestyle="dashed")
    left.axhline(1.0, color="#999999", linewidth=0.6)
    right.axhline(4.0, color="#999999", linewidth=0.6)
    for axis in (left, right):
        _named(axis, [f"{k} bits" for k in names])
    right.set_ylim(0, 42)
    _print(drawing, runs, list(names.values()), command, "Dashed: 2^k; gray: 1 on the left, 4 on the right.")
    return drawing


# ---------------------------------------------------------------- N2


def _proofs(runs: Mapping[str, RunLike], command: str) -> Drawing:
    from grokscope.circuits.verification.over_training import CERTIFIED, FIRST_PROVED
    from grokscope.plots.style import legend, panels, small_print

    drawing, (left, right) = panels(["When each seed gets there", "Certified margin on all inputs"])
    run = runs["standard"]
    per_epoch = run.experiment.steps_per_epoch
    try:
        cohort, asked = decided_points(run.measures)
    except NotTestable:
        return drawing
    rows = np.flatnonzero(asked.any(axis=1))
    columns = np.asarray(asked[rows].any(axis=0))
    verdicts = verdicts_of(cohort, rows, columns)
    memorized = MEMORIZATION.times(run.measures).upper[: len(cohort.seeds)]
    events = {
        "memorization": (memorized[rows], _PINK, "s"),
        "grokking": (cohort.grokking.upper[rows], _ORANGE, "o"),
        "first proved": (FIRST_PROVED.times(verdicts).upper, _GREEN, "^"),
        "certified from here on": (CERTIFIED.times(verdicts).upper, _BLUE, "D"),
    }
    for label, (steps, color, marker) in events.items():
        left.plot(
            steps / per_epoch, range(len(rows)), marker, color=color, markersize=3, linestyle="", label=label
        )
    left.set_yticks(range(len(rows)), [str(cohort.seeds[row][0]) for row in rows])
    left.set_xlim(0, None)
    _labels(left, "epoch", "seed")
    margin = cohort.curves("worst_margin_lower")[rows][:, columns]
    found = cohort.curves("worst_margin_upper")[rows][:, columns]
    epochs = cohort.steps[columns] / per_epoch
    for lower, upper in zip(margin, found, strict=True):
        right.plot(epochs, upper, color="#BBBBBB", linewidth=0.6)
        right.plot(epochs, np.where(lower > 0, lower, np.nan), color=_BLUE, linewidth=0.9)
    right.axhline(0.0, color="#999999", linewidth=0.6)
    right.set_ylim(-1.0, 1.0)
    right.set_xlim(0, None)
    _labels(right, "epoch", "least y f(x)")
    legend(drawing, left)
    small_print(
        drawing,
        f"{len(rows)} seeds, every 20th epoch. Right: blue, the margin that is proved; gray, the least "
        "that was found.",
        command,
    )
    return drawing


# ---------------------------------------------------------------- N5, N6

_STREAMS = {"init": "init", "data": "data", "order": "order", "together": "data and order"}


def _commitment(runs: Mapping[str, RunLike], command: str) -> Drawing:
    from grokscope.plots.style import panels

    drawing, (left, right) = panels(["Twins: likeness to the source's circuit", "What decides the circuit"])
    source = runs["standard"].measures
    for place, name in enumerate(MOMENTS):
        _dots(left, place, twin_overlaps(runs[name].measures, source), _BLUE)
    _named(left, ["start", "1/4", "1/2", "memorization", "grokking"])
    left.axhline(SETTLED, color="#999999", linewidth=0.6)
    left.set_ylim(-0.03, 1.05)
    _labels(left, "", "cosine of path norms")
    shares = shares_of_streams(runs["crossed"].measures)
    for place, name in enumerate(_STREAMS):
        _dots(right, place, shares[name], _ORANGE)
        right.plot(place, shares[name].mean(), "D", color="black", markersize=3)
    _named(right, list(_STREAMS.values()))
    _labels(right, "", "share of variance")
    note = (
        "Left: by where the order of batches changes (1/4, 1/2: of the way to memorization). Diamonds: means."
    )
    _print(drawing, runs, list(MOMENTS), command, note)
    return drawing


FIGURES = (
    Figure(
        "gate-counts",
        "N1: gates at the end, at constant rate and annealed.",
        _sizes,
        ("standard", "annealed"),
    ),
    Figure(
        "proofs-over-training",
        "N2: when networks memorize, grok and are proved right on all 2^40 inputs, and their margin.",
        _proofs,
        ("standard",),
    ),
    Figure(
        "dose-response",
        "N3: grokking after the future circuit's norm was multiplied early, and controls.",
        _dose_response,
        ("standard", *DOSES, *list(_CONTROLS)[1:]),
    ),
    Figure(
        "blocking",
        "N3, N4: share of seeds that have grokked, with growth blocked and with neurons cut.",
        _blocking,
        (
            "standard",
            *BLOCKS,
            "prune-to-circuit",
            "prune-to-random",
            "prune-to-norm-matched",
            "prune-to-next-best",
        ),
    ),
    Figure(
        "commitment",
        "N5, N6: when it is settled which neurons win, and by what.",
        _commitment,
        ("standard", *MOMENTS, "crossed"),
    ),
    Figure(
        "least-norms",
        "N7: final path norms against the least possible, and numbers of gates.",
        _norms,
        tuple(run for run, _ in RUNS_BY_BITS.values()),
    ),
)
