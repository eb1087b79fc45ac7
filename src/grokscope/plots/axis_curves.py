"""Curves along one axis of a sweep, with intervals: shares, steps, final accuracy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from grokscope.plots.phases import value_text
from grokscope.plots.style import COLOR, legend, line_style, panels, small_print

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["axis_figure"]

_SHARES = (
    ("share_memorized", "memorized", COLOR["train"], "dashed"),
    ("share_grokked", "grokked", COLOR["test"], "solid"),
    ("share_diverged", "diverged", "#555555", "dotted"),
)
_STEPS = (
    ("memorization_step", "memorized", COLOR["train"], "dashed"),
    ("grokking_step", "grokked", COLOR["test"], "solid"),
    ("delay", "delay", "black", line_style("memorizing")),
)
_ACCURACIES = (
    ("final_train_accuracy", "train", COLOR["train"], "dashed"),
    ("final_test_accuracy", "test", COLOR["test"], "solid"),
)
_LOG_SPAN = 20.0  # values that span more than this factor are drawn on a logarithmic axis
_SMALL = 7.0


def axis_figure(summary: xr.Dataset, name: str, command: str = "") -> Figure:
    """Three panels against the values of an axis: shares of seeds, median steps, final accuracy; bands 95 %.

    A median that half of the seeds do not reach is left out; a band that is not bounded goes to the edge.

    Args:
        summary: of a sweep over this axis alone.
        name: of the axis.
        command: what makes this figure, for the small print.
    """
    figure, axes = panels(["Share of seeds", "Median step", "Final accuracy (mean)"])
    shares, steps, accuracy = axes
    places = _places(summary[name].to_numpy())
    for axis, lines in ((shares, _SHARES), (steps, _STEPS), (accuracy, _ACCURACIES)):
        drawn: list[np.ndarray] = []
        for variable, label, color, dash in lines:
            if variable in summary:
                _band(axis, places, summary, variable, label, color, dash, drawn)
        _room(axis, drawn, log=axis is steps)
        _scale(axis, summary[name].to_numpy(), name)
    shares.set_ylim(-0.03, 1.03)
    legend(figure, shares, steps, accuracy)
    counts = summary["n"].to_numpy()
    counts = counts[~np.isnan(counts)]
    n = f"{counts.min():.0f}" if len(counts) else "no"
    small_print(
        figure,
        f"{n} seeds or more per cell. Bands: 95 % intervals (Wilson; Brookmeyer-Crowley of the Kaplan-Meier "
        "median; Student's t). A median that half of the seeds do not reach is left out.",
        command,
    )
    return figure


def _places(values: np.ndarray) -> np.ndarray:
    """Where the values lie: at themselves if they are numbers, else side by side."""
    return values.astype(float) if values.dtype.kind in "fiu" else np.arange(len(values), dtype=float)


def _band(
    axis: Axes,
    places: np.ndarray,
    summary: xr.Dataset,
    variable: str,
    label: str,
    color: str,
    dash: Any,
    drawn: list[np.ndarray],
) -> None:
    value = summary[variable].to_numpy()
    low, high = (summary[f"{variable}_{end}"].to_numpy() for end in ("low", "high"))
    there = np.isfinite(value)
    if not there.any():
        return
    axis.plot(
        places[there],
        value[there],
        color=color,
        linestyle=dash,
        linewidth=1.2,
        marker="o",
        markersize=2.5,
        label=label,
    )
    # an end that the data cannot bound lies beyond what is drawn
    beyond = (np.max(value[there]) + 1) * 1e3
    bounded = [end[there & np.isfinite(end)] for end in (low, high)]
    low, high = np.where(np.isfinite(low), low, -beyond), np.where(np.isfinite(high), high, beyond)
    axis.fill_between(places[there], low[there], high[there], color=color, alpha=0.15, linewidth=0)
    drawn.append(np.concatenate([value[there], *bounded]))


def _room(axis: Axes, drawn: list[np.ndarray], *, log: bool) -> None:
    """Fit the vertical axis to what is bounded."""
    if not drawn:
        return
    every = np.concatenate(drawn)
    if log:
        every = every[every > 0]
        axis.set_yscale("log")
        if every.size:
            axis.set_ylim(every.min() / 1.3, every.max() * 1.3)
        return
    edge = 0.05 * (every.max() - every.min() + 1e-6)
    axis.set_ylim(every.min() - edge, every.max() + edge)


def _scale(axis: Axes, values: np.ndarray, name: str) -> None:
    numeric = values.dtype.kind in "fiu"
    if numeric and len(values) > 2 and values.min() > 0 and values.max() / values.min() >= _LOG_SPAN:
        axis.set_xscale("log")
    elif not numeric or len(values) <= 8:
        axis.set_xticks(_places(values), [value_text(value) for value in values])
    axis.set_xlabel(name.replace("_", " "), fontsize=_SMALL, labelpad=1)
