"""Accuracy, loss and effective sparsity over training (Figures 2, 6 and 8 of the two-circuits paper)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from grokscope.plots.curves import curve, mark_events, standing
from grokscope.plots.style import LABEL, count_axis, epoch_axis, inner_legend, legend, panels, small_print

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

__all__ = ["training_figure"]


def training_figure(measures: xr.Dataset, width: int | None = None, command: str = "") -> Figure:
    """Three panels against log epochs: accuracy, loss, and effective sparsity from the training inputs.

    Args:
        measures: of one run.
        width: number of hidden neurons, the top of the sparsity axis; None takes the largest size seen.
        command: what makes this figure, for the small print.

    Source: Merrill, Tsilivis, Shukla 2023 (arXiv 2303.11873), Figure 2.
    """
    figure, axes = panels(["Accuracy", "Loss", "Effective sparsity (neurons)"])
    accuracy, loss, sparsity = axes
    last = float(measures["epoch"].max())
    for split in ("train", "test"):
        if f"{split}_accuracy" in measures:
            curve(accuracy, measures[f"{split}_accuracy"], split, LABEL[split])
        if f"{split}_loss" in measures:
            curve(loss, measures[f"{split}_loss"], split, LABEL[split])
    accuracy.set_ylim(0.35, 1.03)
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
    for axis in axes:
        epoch_axis(axis, last)
    mark_events(axes, measures)
    legend(figure, accuracy, loss)
    small_print(figure, standing(measures), command)
    return figure
