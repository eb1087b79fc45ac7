"""Norm and faithfulness of subnetworks over training (Figures 3, 7 and 9 of the two-circuits paper)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from grokscope.plots.curves import curve, mark_events, standing
from grokscope.plots.style import LABEL, epoch_axis, legend, panels, small_print

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

__all__ = ["sensitivity_figure", "subnetwork_figure"]

_SHOWN = ("generalizing", "complementary", "control", "norm_matched")


def subnetwork_figure(measures: xr.Dataset, split: str = "test", command: str = "") -> Figure:
    """Three panels against log epochs: norms, faithfulness, and faithfulness beyond chance (kappa).

    The sets were picked at the last epoch, so the end points of the curves hold by construction; when the
    curves part, and how the controls behave, do not. Kappa is 0 for agreement by chance.

    Args:
        measures: of one run.
        split: on whose inputs faithfulness is taken (the paper: the test set).
        command: what makes this figure, for the small print.

    Source: Merrill, Tsilivis, Shukla 2023 (arXiv 2303.11873), Figure 3; the norm-matched control and kappa
        are not in the paper.
    """
    titles = ["Mean norm of neurons", f"Faithfulness ({split} set)", "Faithfulness beyond chance ($\\kappa$)"]
    figure, axes = panels(titles)
    for axis, measure in zip(axes, ("subnetwork_norm", "faithfulness", "faithfulness_kappa"), strict=True):
        epoch_axis(axis, float(measures["epoch"].max()))
        if measure not in measures:
            continue
        values = measures[measure]
        if "split" in values.dims:
            values = values.sel(split=split)
        for name in _SHOWN:
            curve(axis, values.sel(subnetwork=name), name, LABEL[name])
    axes[0].set_ylim(bottom=0)
    axes[1].axhline(0.5, color="#999999", linewidth=0.5, zorder=0)
    axes[1].set_ylim(0.35, 1.03)
    axes[2].axhline(0, color="#999999", linewidth=0.5, zorder=0)
    axes[2].set_ylim(-0.3, 1.05)
    mark_events(axes, measures)
    legend(figure, *axes)
    small_print(figure, standing(measures), "Sets of neurons are fixed at the last epoch. " + command)
    return figure


def sensitivity_figure(measures: xr.Dataset, command: str = "") -> Figure:
    """Sensitivity of each subnetwork on the training and on the test inputs, against log epochs.

    A network that computes a k-bit parity has sensitivity k; one that decides by chance has about n / 2.
    """
    figure, axes = panels(["Sensitivity on training inputs (bits)", "Sensitivity on test inputs (bits)"])
    for axis, split in zip(axes, ("train", "test"), strict=True):
        epoch_axis(axis, float(measures["epoch"].max()))
        if "sensitivity" in measures:
            for name in _SHOWN:
                values = measures["sensitivity"].sel(split=split, subnetwork=name)
                curve(axis, values, name, LABEL[name])
        axis.set_ylim(bottom=0)
    axes[1].sharey(axes[0])
    mark_events(axes, measures)
    legend(figure, *axes)
    small_print(figure, standing(measures), command)
    return figure
