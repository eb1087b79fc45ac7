"""Figures of one run: accuracy and loss, subnetworks, neurons, and a run beside a run with random labels.

They are the figures of the two-circuits paper (Merrill, Tsilivis, Shukla 2023, arXiv 2303.11873). All have
logarithmic epochs, the mean over seeds with its spread, and lines at the median memorization and grokking.
"""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from grokscope.errors import InputError, did_you_mean
from grokscope.plots.curves import chosen_seed, curve, in_steps, mark_events, standing
from grokscope.plots.style import (
    COLOR,
    LABEL,
    count_axis,
    epoch_axis,
    inner_legend,
    legend,
    line_style,
    panels,
    small_print,
    x_label,
)
from grokscope.plots.thresholds import draw_band
from grokscope.spec.events import event_of
from grokscope.statistics import Estimate, median_interval

if TYPE_CHECKING:
    from collections.abc import Sequence

    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "measures_figure",
    "neuron_figure",
    "null_figure",
    "sensitivity_figure",
    "subnetwork_figure",
    "training_figure",
]

_SUBNETWORKS = ("generalizing", "complementary", "control", "norm_matched")
_CYCLE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_MOST_LINES = 24
_ACCURACY_LIMITS = (0.35, 1.03)
_SPARSITY = "Effective sparsity (neurons)"
_LEVELS = (0.9, 0.91, 0.92, 0.93, 0.94, 0.95, 0.96, 0.97, 0.98, 0.985, 0.99, 0.995)
_ANCHORS = (0.95, 0.98)


def _epoch_panels(titles: Sequence[str], *runs: xr.Dataset) -> tuple[Figure, list[Axes]]:
    """Panels against log epochs, up to the last epoch of these runs."""
    figure, axes = panels(titles)
    for axis in axes:
        epoch_axis(axis, max(float(measures["epoch"].max()) for measures in runs))
    return figure, axes


def training_figure(measures: xr.Dataset, width: int | None = None, command: str = "") -> Figure:
    """Three panels against log epochs: accuracy, loss, and effective sparsity on the training inputs.

    Args:
        measures: of one run.
        width: number of hidden neurons, the top of the sparsity axis; None takes the largest value measured.
        command: the command that makes this figure, for the small print.

    Source: Merrill, Tsilivis, Shukla 2023 (arXiv 2303.11873), Figures 2, 6 and 8.
    """
    figure, axes = _epoch_panels(["Accuracy", "Loss", _SPARSITY], measures)
    accuracy, loss, sparsity = axes
    for split in ("train", "test"):
        curve(accuracy, measures.get(f"{split}_accuracy"), split, LABEL[split])
        curve(loss, measures.get(f"{split}_loss"), split, LABEL[split])
    accuracy.set_ylim(*_ACCURACY_LIMITS)
    loss.set_ylim(bottom=0)
    top = float(width or 1)
    for name, label, line in (
        ("effective_sparsity", "same predictions", {"color": "black"}),
        ("effective_sparsity_accuracy", "same accuracy", {"color": "#009E73", "linestyle": "dashed"}),
    ):
        if name in measures:
            curve(sparsity, measures[name], name, label, **line)
            top = max(top, float(measures[name].max()))
    count_axis(sparsity, top)
    inner_legend(sparsity)
    mark_events(axes, measures)
    legend(figure, accuracy, loss)
    small_print(figure, standing(measures), command)
    return figure


def null_figure(
    measures: xr.Dataset, null: xr.Dataset, width: int | None = None, command: str = ""
) -> Figure:
    """A run beside its null: the same networks, inputs and batches, with random labels.

    Three panels against log epochs, with both runs: training and test accuracy, and effective sparsity. The
    fourth has the median epoch at which training accuracy passes a level, against the level.

    Args:
        measures: of the run with true labels.
        null: of the run with random labels.
        width: number of hidden neurons, the top of the sparsity axis; None takes the largest value measured.
        command: the command that makes this figure, for the small print.
    """
    titles = {
        "train_accuracy": "Training accuracy",
        "test_accuracy": "Test accuracy",
        "effective_sparsity": _SPARSITY,
    }
    figure, axes = panels([*titles.values(), "Median epoch of a training accuracy"], columns=2)
    for axis in axes[:3]:
        epoch_axis(axis, max(float(run["epoch"].max()) for run in (measures, null)))
    top = float(width or 1)
    for run, label, color, dash in (
        (measures, "true labels", COLOR["test"], "solid"),
        (null, "random labels", COLOR["null"], "dashed"),
    ):
        for axis, name in zip(axes, titles, strict=False):
            if name in run:
                curve(axis, run[name], name, label, color=color, linestyle=dash)
                if name == "effective_sparsity":
                    top = max(top, float(run[name].max()))
        if "train_accuracy" in run:
            draw_band(axes[3], _fitting_epochs(run), color=color, linestyle=dash)
    for axis in axes[:2]:
        axis.set_ylim(*_ACCURACY_LIMITS)
    for level in _ANCHORS:
        axes[3].axvline(level, color="#999999", linewidth=0.5, zorder=0)
    axes[3].set_ylim(bottom=0)
    x_label(axes[3], "training accuracy that is passed for 5 measured points")
    count_axis(axes[2], top)
    mark_events(axes[:3], measures)
    legend(figure, *axes)
    random = f"With random labels: {standing(null, spread=False)}"
    last = "Last panel: band is the 95 % interval of the median; thin lines: 0.95 and 0.98."
    small_print(figure, standing(measures), random, last, command)
    return figure


def _fitting_epochs(measures: xr.Dataset) -> list[tuple[float, Estimate]]:
    """The median epoch at which training accuracy passes each level, with its interval."""
    steps, epochs = (measures[name].to_numpy().astype(np.float64) for name in ("step", "epoch"))
    found = []
    for level in _LEVELS:
        upper = replace(event_of(measures, "memorization"), threshold=level).times(measures).upper
        at = np.where(np.isfinite(upper), np.interp(upper, steps, epochs), np.inf)
        found.append((level, median_interval(at)))
    return found


def subnetwork_figure(measures: xr.Dataset, split: str = "test", command: str = "") -> Figure:
    """Three panels against log epochs: norms, faithfulness, and faithfulness beyond chance (kappa).

    The subnetworks were chosen at the last epoch, so the end points of the curves hold by construction. When
    the curves part, and how the controls behave, does not. Kappa is 0 for agreement by chance.

    Args:
        measures: of one run.
        split: whose inputs faithfulness is measured on (the paper: the test set).
        command: the command that makes this figure, for the small print.

    Source: Merrill, Tsilivis, Shukla 2023 (arXiv 2303.11873), Figures 3, 7 and 9; the norm-matched control
        and kappa are not in the paper.
    """
    titles = {
        "subnetwork_norm": "Mean norm of neurons",
        "faithfulness": f"Faithfulness ({split} set)",
        "faithfulness_kappa": "Faithfulness beyond chance ($\\kappa$)",
    }
    figure, axes = _epoch_panels(list(titles.values()), measures)
    for axis, name in zip(axes, titles, strict=True):
        if name not in measures:
            continue
        values = measures[name]
        if "split" in values.dims:
            values = values.sel(split=split)
        for subnetwork in _SUBNETWORKS:
            curve(axis, values.sel(subnetwork=subnetwork), subnetwork, LABEL[subnetwork])
    axes[0].set_ylim(bottom=0)
    axes[1].axhline(0.5, color="#999999", linewidth=0.5, zorder=0)
    axes[1].set_ylim(*_ACCURACY_LIMITS)
    axes[2].axhline(0, color="#999999", linewidth=0.5, zorder=0)
    axes[2].set_ylim(-0.3, 1.05)
    mark_events(axes, measures)
    legend(figure, *axes)
    small_print(figure, standing(measures), "Sets of neurons are fixed at the last epoch. " + command)
    return figure


def sensitivity_figure(measures: xr.Dataset, command: str = "") -> Figure:
    """Sensitivity of each subnetwork on the training and on the test inputs, against log epochs.

    A network that computes a k-bit parity has sensitivity k, a random function about n / 2. The
    measure is a mean over the first 100 inputs of each set.

    Args:
        measures: of one run.
        command: the command that makes this figure, for the small print.
    """
    splits = {"train": "Sensitivity on training inputs (bits)", "test": "Sensitivity on test inputs (bits)"}
    rows = "Means over the first 100 inputs of each set."
    figure, axes = _epoch_panels(list(splits.values()), measures)
    for axis, split in zip(axes, splits, strict=True):
        if "sensitivity" in measures:
            for name in _SUBNETWORKS:
                values = measures["sensitivity"].sel(split=split, subnetwork=name)
                curve(axis, values, name, LABEL[name])
        axis.set_ylim(bottom=0)
    axes[1].sharey(axes[0])
    mark_events(axes, measures)
    legend(figure, *axes)
    small_print(figure, f"{rows} {standing(measures)}", command)
    return figure


def neuron_figure(
    measures: xr.Dataset,
    subnetworks: xr.DataArray,
    seed: int | Sequence[int] | None = None,
    command: str = "",
    *,
    marked: np.ndarray | None = None,
    label: str = "marked",
) -> Figure:
    """Two panels for each seed: the norm of every neuron against log epochs; the same over its least so far.

    The right panel shows growth: a norm that only falls stays at 1. Neurons in both the memorizing and the
    generalizing subnetwork are drawn as generalizing.

    Args:
        measures: of one run, with ``neuron_norm``.
        subnetworks: booleans [seed, subnetwork, neuron].
        seed: one or more of the run's; None takes the first seed that groks, else the first.
        command: the command that makes this figure, for the small print.
        marked: booleans [chosen seed, neuron]: neurons that have a color of their own.
        label: what the marked neurons are.

    Raises:
        InputError: if the run has no such seed, or no ``neuron_norm``.

    Source: Merrill, Tsilivis, Shukla 2023 (arXiv 2303.11873), Figure 5; the right panels are ours.
    """
    if "neuron_norm" not in measures:
        raise InputError("neuron_figure: the run has no measure 'neuron_norm'.")
    wanted = [seed] if seed is None or isinstance(seed, int) else list(seed)
    seeds = [chosen_seed(measures, one, "neuron_figure") for one in wanted]
    titles = [
        title
        for one in seeds
        for title in (f"Norm of each neuron (seed {one})", "Over its least norm so far")
    ]
    figure, axes = panels(titles, 1.5, columns=2)
    notes: list[str] = []
    for i, one in enumerate(seeds):
        own = measures.sel(seed=[one])
        norms = own["neuron_norm"].isel(seed=0).transpose("neuron", "step").to_numpy()
        taken = ~np.isnan(norms).all(axis=0)
        norms, epochs = norms[:, taken], own["epoch"].to_numpy()[taken]
        sets = subnetworks.sel(seed=one)
        left = np.ones(len(norms), dtype=bool)
        bundles: list[tuple[str, np.ndarray]] = []
        for name, chosen in (
            ("generalizing", sets.sel(subnetwork="generalizing").to_numpy().astype(bool)),
            (label, np.zeros_like(left) if marked is None else np.asarray(marked[i], dtype=bool)),
            ("memorizing", sets.sel(subnetwork="memorizing").to_numpy().astype(bool)),
            ("other", left.copy()),
        ):
            bundles.append((name, chosen & left))
            left &= ~chosen
        counts = "; ".join(f"{int(which.sum())} {name}" for name, which in bundles if which.any())
        notes.append(f"Seed {one}: {counts}.")
        grown = norms / np.maximum(np.fmin.accumulate(norms, axis=1), np.finfo(np.float32).tiny)
        pair = axes[2 * i : 2 * i + 2]
        for axis, values in zip(pair, (norms, grown), strict=True):
            epoch_axis(axis, float(measures["epoch"].max()))
            for order, (name, which) in enumerate(reversed(bundles)):
                wide = 1.1 if name == "generalizing" else 0.6 if name == label else 0.3
                _bundle(axis, epochs, values[which], name, 1.0 + order, wide)
        pair[0].set_ylim(0, float(np.nanmax(norms, initial=1e-3)) * 1.03)
        pair[1].set_ylim(0.98, 1.5)
        mark_events(pair, own)
        if i < len(seeds) - 1:
            for axis in pair:
                axis.set_xlabel("")
    legend(figure, *axes)
    text = f"{standing(measures.sel(seed=seeds), spread=False)} {' '.join(notes)}"
    small_print(figure, text, command)
    return figure


def _bundle(axis: Axes, epochs: np.ndarray, norms: np.ndarray, name: str, order: float, width: float) -> None:
    """Many thin lines as one artist, drawn as pixels: a thousand paths would make files of megabytes."""
    from matplotlib.collections import LineCollection
    from matplotlib.lines import Line2D

    if not norms.size:
        return
    points = np.stack([np.broadcast_to(epochs, norms.shape), norms], axis=-1)
    alpha = 1.0 if len(norms) < 100 else 0.35  # shows the density of a thousand lines
    color = COLOR.get(name, COLOR["marked"])
    lines = LineCollection(
        list(points), colors=color, linewidths=width, alpha=alpha, rasterized=True, zorder=order
    )
    axis.add_collection(lines)
    axis.add_line(Line2D([], [], color=color, linewidth=max(width, 0.9), label=name))


def measures_figure(
    measures: xr.Dataset, names: Sequence[str] = (), by: Literal["epoch", "step"] = "epoch"
) -> Figure:
    """Any scalar measures against log time, those of one unit in one panel.

    Args:
        measures: of one run; or of a cell of a sweep.
        names: of the measures; none: train and test accuracy.
        by: the horizontal axis: ``epoch`` or ``step``.

    Raises:
        InputError: if a measure is not there, or has an axis besides seed and step with no labels.
    """
    chosen = [*names] or [name for name in ("train_accuracy", "test_accuracy") if name in measures]
    known = [str(name) for name in measures.data_vars]
    if by not in ("epoch", "step"):
        raise InputError(f"by: 'epoch' or 'step' (got '{by}').")
    if not chosen:
        raise InputError(f"plot: name a measure; the run has: {', '.join(known)}.")
    for name in chosen:
        if name not in known:
            hint = did_you_mean(name, known)
            raise InputError(f"plot: the run has no measure '{name}'.{hint} It has: {', '.join(known)}.")
    if by == "step":
        measures = in_steps(measures)
    lines: dict[str, list[tuple[str, xr.DataArray]]] = {}
    for name in chosen:
        split, title = _split_and_title(name)
        lines.setdefault(title, []).extend(_lines(measures[name], name, split or title))
    figure, axes = panels(list(lines), columns=3)
    last = float(measures["epoch"].max())
    for axis, drawn in zip(axes, lines.values(), strict=True):
        epoch_axis(axis, last, by)
        for i, (label, values) in enumerate(drawn):
            words = label.split()
            color = next((COLOR[word] for word in words if word in COLOR), _CYCLE[i % len(_CYCLE)])
            curve(axis, values, label, LABEL.get(label), color=color, linestyle=line_style(words[-1]))
        inner_legend(axis)
    mark_events(axes, measures)
    small_print(figure, standing(measures))
    return figure


def _split_and_title(name: str) -> tuple[str, str]:
    """Split and panel of a measure: train and test values of the same quantity share a panel."""
    split, _, rest = name.partition("_")
    if split in ("train", "test") and rest:
        return split, rest.replace("_", " ").capitalize()
    return "", name.replace("_", " ").capitalize()


def _lines(values: xr.DataArray, name: str, label: str) -> list[tuple[str, xr.DataArray]]:
    """The curves [seed, step] of a measure, one for each label on its other axes, each with its label."""
    inner = [str(axis) for axis in values.dims if axis not in ("seed", "step")]
    if not inner:
        return [(label, values)]
    bare = [axis for axis in inner if axis not in values.coords]
    if bare or np.prod([values.sizes[axis] for axis in inner]) > _MOST_LINES:
        raise InputError(
            f"plot: '{name}' has the axis '{(bare or inner)[0]}', too many curves for one panel; draw "
            f"run.measures.{name} with xarray."
        )
    return [
        (" ".join(map(str, labels)), values.sel(dict(zip(inner, labels, strict=True))))
        for labels in itertools.product(*(values[axis].to_numpy().tolist() for axis in inner))
    ]
