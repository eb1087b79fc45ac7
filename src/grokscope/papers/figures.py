"""Figures that many papers have, as functions for `Figure.draw`: from runs and a command to a drawing.

`draw_range` and `draw_quantiles` are for panels of other figures: a median over seeds, and their spread.

Example:
    >>> from grokscope.papers import Figure
    >>> Figure("figure-1", "Accuracy and loss.", training_of("standard"), ("standard",)).id
    'figure-1'
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from grokscope.papers import RunLike
from grokscope.plots.curves import curve, first_seeds, in_steps, mark_events, median_step, standing
from grokscope.plots.operators import operators_figure
from grokscope.plots.runs import (
    neuron_figure,
    null_figure,
    sensitivity_figure,
    subnetwork_figure,
    training_figure,
)
from grokscope.plots.style import COLOR, epoch_axis, legend, panels, small_print, x_label
from grokscope.plots.thresholds import ThresholdPanel, thresholds_figure

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "ACCURACY",
    "CurveLine",
    "CurvePanel",
    "Draw",
    "accuracies_of",
    "beside_null",
    "curves_of",
    "draw_quantiles",
    "draw_range",
    "neurons_of",
    "sensitivity_of",
    "subnetworks_of",
    "thresholds_of",
    "training_of",
]

Draw = Callable[[Mapping[str, RunLike], str], "Figure"]


def _width(run: RunLike) -> int | None:
    return run.experiment.model.n_neurons or None


@dataclass(frozen=True)
class CurveLine:
    """One line of a panel: a measure over steps, as mean and band over seeds.

    Attributes:
        measure: its name; a run that lacks it has no line.
        label: for the legend.
        color: a name in `grokscope.plots.style.COLOR`, which also gives the dashes, or a color.
        at: labels on the measure's further axes, as ``{"group": "corrupted"}``.
    """

    measure: str
    label: str
    color: str = "black"
    at: Mapping[str, str | int] = field(default_factory=dict[str, "str | int"])


@dataclass(frozen=True)
class CurvePanel:
    """A panel of curves over steps.

    Attributes:
        title: above it.
        lines: what it shows.
        experiment: whose measures; empty: the figure's.
        log: whether the vertical axis is logarithmic.
    """

    title: str
    lines: tuple[CurveLine, ...]
    experiment: str = ""
    log: bool = False


#: The panel of training and test accuracy.
ACCURACY = CurvePanel(
    "Accuracy", tuple(CurveLine(f"{split}_accuracy", split, split) for split in ("train", "test"))
)


def curves_of(
    experiment: str,
    *shown: CurvePanel,
    times: Callable[[xr.Dataset], np.ndarray] | None = None,
    mark: str = "",
) -> Draw:
    """Panels of curves over steps, with marks.

    Args:
        experiment: whose measures are shown, where a panel does not name another.
        shown: the panels.
        times: from measures to the step of an event of each seed [seed]. Its median over seeds is marked, on
            a linear axis of steps; None: the run's events, on a logarithmic one.
        mark: what the legend calls that event.
    """

    def draw(runs: Mapping[str, RunLike], command: str) -> Figure:
        figure, axes = panels([panel.title for panel in shown])
        notes: dict[str, str] = {}
        for axis, panel in zip(axes, shown, strict=True):
            name = panel.experiment or experiment
            measures = in_steps(runs[name].measures)
            for line in panel.lines:
                values = measures.get(line.measure)
                values = values if values is None else values.sel(line.at)
                named = line.color in COLOR
                curve(
                    axis,
                    values,
                    line.color if named else line.label,
                    line.label,
                    **({} if named else {"color": line.color}),
                )
            if panel.log:
                axis.set_yscale("log")
            if times is None:
                epoch_axis(axis, float(measures["epoch"].max()), "step")
                mark_events([axis], measures)
            else:
                step = median_step(times(measures))
                if np.isfinite(step):
                    axis.axvline(
                        step,
                        color=COLOR["grokking"],
                        linestyle="dotted",
                        linewidth=1,
                        label=f"{mark} (median)",
                    )
                x_label(axis, "step")
            notes[name] = f"{panel.title}: " * bool(panel.experiment) + standing(measures)
        legend(figure, *(axis for axis, panel in zip(axes, shown, strict=True) if len(panel.lines) > 1))
        small_print(figure, *notes.values(), command)
        return figure

    return draw


def draw_range(
    axis: Axes, x: np.ndarray, values: np.ndarray, color: str, label: str, marker: str = "o-"
) -> None:
    """Draw the median and the range over seeds of values [x, seed]; an x without any is left out.

    Args:
        axis: on which to draw.
        x: the positions [x].
        values: the values [x, seed]; NaN where there is none.
        color: of line and band.
        label: for the legend.
        marker: marks and dashes of the line, as in matplotlib's ``fmt``.

    Example:
        >>> from matplotlib.figure import Figure
        >>> axis = Figure().subplots()
        >>> draw_range(axis, np.array([1.0, 2.0]), np.array([[1.0, 3.0], [np.nan, np.nan]]), "C0", "norm")
        >>> axis.lines[0].get_xydata().tolist()
        [[1.0, 2.0]]
    """
    there = np.isfinite(values).any(axis=1)
    x, values = x[there], values[there]
    if len(x):
        low, high = np.nanmin(values, axis=1), np.nanmax(values, axis=1)
        axis.fill_between(x, low, high, color=color, alpha=0.2, lw=0)
        axis.plot(x, np.nanmedian(values, axis=1), marker, color=color, markersize=3, label=label)


def draw_quantiles(
    axis: Axes, x: np.ndarray, values: np.ndarray, color: str, label: str | None = None, **line: Any
) -> None:
    """Draw the median and the 10th to the 90th percentile of values [x, seed]; an x without any is left out.

    Args:
        axis: on which to draw.
        x: the positions [x].
        values: the values [x, seed]; NaN where there is none.
        color: of line and band.
        label: for the legend.
        line: further options of the line, as ``marker="o"``.

    Example:
        >>> from matplotlib.figure import Figure
        >>> axis = Figure().subplots()
        >>> draw_quantiles(axis, np.array([1.0, 2.0]), np.array([[1.0, 3.0], [np.nan, np.nan]]), "C0")
        >>> axis.lines[0].get_xydata().tolist()
        [[1.0, 2.0]]
    """
    known = np.isfinite(values).any(axis=1)
    low, middle, high = np.nanquantile(values[known], [0.1, 0.5, 0.9], axis=1)
    line.setdefault("linewidth", 1)
    axis.plot(x[known], middle, color=color, label=label, **line)
    axis.fill_between(x[known], low, high, color=color, alpha=0.2, linewidth=0)


def accuracies_of(titles: Mapping[str, str], *, by_mirror: bool = False) -> Draw:
    """Training and test accuracy of several experiments, one panel each.

    Args:
        titles: titles of the panels by experiment.
        by_mirror: as in `grokscope.plots.operators.operators_figure`.
    """
    return lambda runs, command: operators_figure(
        {title: runs[name].measures for name, title in titles.items()}, command, by_mirror=by_mirror
    )


def training_of(experiment: str) -> Draw:
    """Accuracy, loss and effective sparsity of an experiment."""
    return lambda runs, command: training_figure(runs[experiment].measures, _width(runs[experiment]), command)


def subnetworks_of(experiment: str) -> Draw:
    """Norm and faithfulness of the subnetworks of an experiment."""
    return lambda runs, command: subnetwork_figure(runs[experiment].measures, command=command)


def neurons_of(
    experiment: str, marked: Callable[[xr.Dataset], np.ndarray] | None = None, label: str = "", seeds: int = 3
) -> Draw:
    """Norms of single neurons of the first seeds of an experiment that grok.

    Args:
        experiment: its name.
        marked: from measures to booleans [seed, neuron]: neurons that are drawn in a color of their own.
        label: what these neurons do.
        seeds: how many seeds, at most.
    """

    def draw(runs: Mapping[str, RunLike], command: str) -> Figure:
        run = runs[experiment]
        chosen = first_seeds(run.measures, seeds)
        one = run.measures.sel(seed=chosen)
        which = None if marked is None else marked(one)
        return neuron_figure(
            run.measures, run.subnetworks, chosen, marked=which, label=label, command=command
        )

    return draw


def sensitivity_of(experiment: str) -> Draw:
    """Sensitivity of the subnetworks of an experiment."""
    return lambda runs, command: sensitivity_figure(runs[experiment].measures, command)


def thresholds_of(experiment: str, panels_of: Callable[[xr.Dataset], list[ThresholdPanel]]) -> Draw:
    """How estimates of an experiment depend on a threshold: the panels are functions of its measures."""
    return lambda runs, command: thresholds_figure(
        panels_of(runs[experiment].measures), standing(runs[experiment].measures, spread=False), command
    )


def beside_null(experiment: str, null: str) -> Draw:
    """An experiment, and beside it the same experiment with random labels."""
    return lambda runs, command: null_figure(
        runs[experiment].measures, runs[null].measures, _width(runs[experiment]), command
    )
