"""Figures of binary operators: accuracy, shares of the table, progress measures and Fourier spectra.

They are figures of the papers by Power et al. 2022 (arXiv 2201.02177), Nanda et al. 2023 (arXiv 2301.05217)
and Merrill et al. 2023 (arXiv 2303.11873).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from grokscope.plots.curves import chosen_seed, curve, in_steps, mark_events, median_step, standing
from grokscope.plots.style import COLOR, LABEL, SMALL, epoch_axis, legend, panels, small_print, x_label
from grokscope.spec.events import Event, event_of, member_curves

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["fractions_figure", "in_windows", "operators_figure", "progress_figure", "spectra_figure"]

_GREEN, _PINK, _ORANGE = "#009E73", "#CC79A7", "#E69F00"
# Okabe and Ito's palette, for up to eight operators.
_PALETTE = ("#0072B2", "#56B4E9", "#D55E00", _ORANGE, _GREEN, _PINK, "#000000", "#999999")
_WINDOWS = 120

# ---------------------------------------------------------------- accuracy against steps


def operators_figure(runs: Mapping[str, xr.Dataset], command: str = "", *, by_mirror: bool = False) -> Figure:
    """One panel per run: accuracy against steps; the share of held-out pairs with their mirror in training.

    Args:
        runs: measures by title of the panel.
        command: the command that makes this figure, for the small print.
        by_mirror: also draw the test accuracy on pairs with and without a mirror in the training set.

    Source: Merrill, Tsilivis, Shukla 2023 (arXiv 2303.11873), Figure 4.
    """
    figure, axes = panels(list(runs))
    notes: list[str] = []
    windows = ""
    for axis, (title, measures) in zip(axes, runs.items(), strict=True):
        steps = in_steps(measures)
        own = in_windows(steps)
        if own.sizes["step"] < steps.sizes["step"]:
            windows = f" Each seed: medians within up to {_WINDOWS} windows of the axis."
        for split in ("train", "test"):
            curve(axis, own.get(f"{split}_accuracy"), split, LABEL[split])
        if by_mirror:
            for name, label, color in (
                ("test_accuracy_mirrored", "test, mirror in training set", _GREEN),
                ("test_accuracy_unmirrored", "test, mirror held out", _PINK),
            ):
                curve(axis, own.get(name), "test", label, color=color, linewidth=0.9)
        if "mirror_share" in own:
            share = float(np.nanmean(own["mirror_share"].to_numpy()))
            if share > 0:
                axis.axhline(share, color="black", linestyle="dashed", linewidth=0.8, label="mirror share")
        axis.set_ylim(-0.03, 1.03)
        epoch_axis(axis, float(own["epoch"].max()), "step")
        notes.append(f"{title}: {standing(steps, spread=False)}{_lost_again(steps)}")
    legend(figure, *axes)
    band = "Mean and band from the 10th to the 90th percentile over seeds."
    small_print(figure, band + windows, *notes, command)
    return figure


def _lost_again(measures: xr.Dataset) -> str:
    """A sentence on seeds that do not keep what they memorized; empty if all do.

    Memorization is five measured points in a row above a level: training accuracy may fall again.
    """
    event = event_of(measures, "memorization")
    if event.measure not in measures:
        return ""
    times = event.times(measures)
    accuracy = member_curves(measures[event.measure])[times.observed]
    after = measures["step"].to_numpy() >= times.upper[times.observed, None]
    after &= ~np.isnan(accuracy)
    below = after & (accuracy <= event.threshold)
    if not below.any():
        return ""
    share, least = below.sum() / after.sum(), accuracy[after].min()
    return (
        f" Later, training accuracy is {event.threshold:g} or less at {100 * share:.0f} % of the points"
        f" (in {int(below.any(axis=1).sum())} seeds), down to {least:.2f}."
    )


def in_windows(measures: xr.Dataset) -> xr.Dataset:
    """Measures as medians within up to 120 windows of a logarithmic axis, if there are more points than that.

    With Adam accuracy drops for single points, and a hundred such spikes in the last decade hide its usual
    value. A window holds one point or more and gets the step of its last.
    """
    steps = measures["step"].to_numpy().astype(np.float64)
    if len(steps) <= _WINDOWS:
        return measures
    places = np.log1p(steps) / np.log1p(steps[-1])
    window = np.minimum((places * _WINDOWS).astype(np.int64), _WINDOWS - 1)
    last = np.flatnonzero(np.diff(window, append=_WINDOWS))
    kept = measures.isel(step=last)
    for name in measures.data_vars:
        values = measures[name]
        if "step" not in values.dims or values.dtype.kind != "f":
            continue
        axis = values.dims.index("step")
        pieces = np.split(values.to_numpy(), last[:-1] + 1, axis=axis)
        kept[name] = (values.dims, np.stack([_median(piece, axis) for piece in pieces], axis=axis))
    return kept


def _median(values: np.ndarray, axis: int) -> np.ndarray:
    """The median along an axis without NaN; NaN where all values are NaN."""
    measured = ~np.isnan(values).all(axis=axis)
    filled = np.where(np.expand_dims(measured, axis), values, 0.0)
    return np.where(measured, np.nanmedian(filled, axis=axis), np.nan)


# ---------------------------------------------------------------- against the share of the table


def fractions_figure(
    times: Mapping[float, xr.Dataset],
    operators: Mapping[str, Sequence[tuple[float, xr.Dataset]]],
    command: str = "",
) -> Figure:
    """Two panels: steps to 99 % accuracy against the training fraction; best test accuracy by operator.

    Left: points are seeds, the line is their median; a seed that does not reach 99 % is an open triangle at
    the last step. Right: points are seeds, lines are means.

    Args:
        times: measures of the runs on one operator, by training fraction.
        operators: by formula of an operator, pairs of a training fraction and the measures of its run.
        command: the command that makes this figure, for the small print.

    Source: Power et al. 2022 (arXiv 2201.02177), Figure 1 center and Figure 2 right.
    """
    figure, axes = panels(["Steps to 99 % accuracy", "Best test accuracy within the run"])
    for split in ("train", "test"):
        _times(axes[0], times, split)
    axes[0].set_yscale("log")
    for color, (name, points) in zip(_PALETTE, operators.items(), strict=False):
        at = sorted(points, key=lambda point: point[0])
        best = [_best(measures) for _, measures in at]
        places = [100 * fraction for fraction, _ in at]
        axes[1].plot(
            places, [np.mean(b) for b in best], "o-", color=color, markersize=2.5, linewidth=1, label=name
        )
        for place, values in zip(places, best, strict=True):
            axes[1].plot([place] * len(values), values, ".", color=color, markersize=2, alpha=0.6)
    axes[1].set_ylim(-0.03, 1.03)
    for axis in axes:
        x_label(axis, "share of the table in the training set (%)")
    axes[1].legend(loc="best", fontsize=SMALL - 1, frameon=False, handlelength=1.4, borderaxespad=0.2)
    legend(figure, axes[0])
    seeds = sorted({m.sizes.get("seed", 1) for m in times.values()})
    small_print(
        figure,
        f"{', '.join(map(str, seeds))} seeds each. Left: points are seeds, lines medians; open triangles: "
        "not reached by the last step. Right: points are seeds, lines means.",
        command,
    )
    return figure


def _times(axis: Axes, runs: Mapping[float, xr.Dataset], split: str) -> None:
    event = Event("99 %", f"{split}_accuracy", ">=", 0.99, 1)
    medians: list[float] = []
    fractions = sorted(runs)
    for fraction in fractions:
        measures = runs[fraction]
        steps, last = event.times(measures).upper, float(measures["step"].max())
        seen = np.isfinite(steps)
        style: dict[str, Any] = {"color": COLOR[split], "markersize": 3, "linestyle": "none"}
        axis.plot([100 * fraction] * int(seen.sum()), np.maximum(steps[seen], 1), ".", **style)
        if not seen.all():
            axis.plot([100 * fraction], [last], "^", fillstyle="none", **style)
        medians.append(median_step(steps))
    kept = [(100 * f, m) for f, m in zip(fractions, medians, strict=True) if np.isfinite(m)]
    if kept:
        axis.plot(*zip(*kept, strict=True), color=COLOR[split], linewidth=1.2, label=split)


def _best(measures: xr.Dataset) -> np.ndarray:
    return np.nanmax(member_curves(measures["test_accuracy"]), axis=1)


# ---------------------------------------------------------------- in Fourier space


def progress_figure(measures: xr.Dataset, command: str = "") -> Figure:
    """Three panels against steps: losses, Gini coefficients of two spectra, the norm of all weights.

    Args:
        measures: of one run on addition.
        command: the command that makes this figure, for the small print.

    Source: Nanda et al. 2023 (arXiv 2301.05217), Figure 7.
    """
    own = in_steps(measures)
    figure, axes = panels(["Loss", "Gini coefficient", "Norm of all weights"])
    for split in ("train", "test"):
        curve(axes[0], own.get(f"{split}_loss"), split, LABEL[split])
    if "restricted_loss" in own:
        values = own["restricted_loss"].sel(split="test")
        curve(axes[0], values, "restricted", "restricted (test pairs)", color=_GREEN)
    curve(axes[0], own.get("excluded_loss"), "excluded", "excluded (training pairs)", color=_PINK)
    axes[0].set_yscale("log")
    curve(axes[1], own.get("embedding_gini"), "embedding", color="black")
    curve(axes[1], own.get("output_gini"), "neurons to logits", color=_ORANGE)
    axes[1].set_ylim(0, 1)
    curve(axes[2], own.get("weight_norm"), "weights", color="black")
    axes[2].set_ylim(bottom=0)
    for axis in axes:
        epoch_axis(axis, float(own["epoch"].max()), "step")
    mark_events(axes, own)
    lines = [one for one in axes[1].get_lines() if one.get_label() not in ("memorization", "grokking")]
    axes[1].legend(handles=lines, loc="upper left", fontsize=SMALL, frameon=False, handlelength=1.6)
    legend(figure, axes[0])
    small_print(figure, standing(own), command)
    return figure


def spectra_figure(measures: xr.Dataset, seed: int | None = None, command: str = "") -> Figure:
    """Three panels over frequencies for one seed's final network: embedding, logits, and ablations.

    An ablation is the training loss without one frequency. Key frequencies are in color.

    Args:
        measures: of one run on addition.
        seed: one of the run's; None takes the first that groks, else the first.
        command: the command that makes this figure, for the small print.

    Raises:
        InputError: if streams are crossed, or there is no such seed.

    Source: Nanda et al. 2023 (arXiv 2301.05217), Figures 3 and 6.
    """
    seed = chosen_seed(measures, seed, "spectra_figure")
    final = measures.sel(seed=seed).isel(step=-1)
    titles = {
        "embedding_fourier": "Norm in the embedding",
        "logit_fourier": "Share of the logits' variance",
        "excluded_loss_by_frequency": "Training loss without it",
    }
    figure, axes = panels(list(titles.values()))
    keys = np.asarray(final["key_frequencies"]) > 0 if "key_frequencies" in final else None
    for axis, name in zip(axes, titles, strict=True):
        if name in final:
            k = final["frequency"].to_numpy()
            key = np.zeros(len(k), bool) if keys is None else keys
            axis.bar(k[~key], final[name].to_numpy()[~key], color="#B5B5B5", width=0.8, label="other")
            axis.bar(k[key], final[name].to_numpy()[key], color=COLOR["test"], width=0.8, label="key")
            x_label(axis, "frequency")
    if "train_loss" in final and float(final["train_loss"]) > 0:
        axes[2].set_yscale("log")
        axes[2].axhline(
            float(final["train_loss"]),
            color="black",
            linestyle="dashed",
            linewidth=0.8,
            label="training loss",
        )
    legend(figure, axes[0], axes[2])
    count = "" if keys is None else f" {int(keys.sum())} key frequencies."
    last = int(measures["step"].max())
    small_print(figure, f"Seed {seed}, step {last}.{count} {standing(measures, spread=False)}", command)
    return figure
