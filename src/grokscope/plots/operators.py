"""Accuracy on binary operators, beside what commutativity alone explains."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from grokscope.plots.curves import curve, in_steps, standing
from grokscope.plots.style import LABEL, epoch_axis, legend, panels, small_print

if TYPE_CHECKING:
    from collections.abc import Mapping

    import xarray as xr
    from matplotlib.figure import Figure

__all__ = ["in_windows", "operators_figure"]

_WINDOWS = 120
_MIRRORED, _UNMIRRORED = "#009E73", "#CC79A7"


def operators_figure(runs: Mapping[str, xr.Dataset], command: str = "", *, by_mirror: bool = False) -> Figure:
    """One panel per run: accuracy against steps, and the share of held-out pairs whose mirror was trained on.

    Args:
        runs: measures by title of the panel.
        command: what makes this figure, for the small print.
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
            if f"{split}_accuracy" in own:
                curve(axis, own[f"{split}_accuracy"], split, LABEL[split])
        if by_mirror:
            for name, label, color in (
                ("test_accuracy_mirrored", "test, mirror in training set", _MIRRORED),
                ("test_accuracy_unmirrored", "test, mirror held out", _UNMIRRORED),
            ):
                if name in own:
                    curve(axis, own[name], "test", label, color=color, linewidth=0.9)
        if "mirror_share" in own:
            share = float(np.nanmean(own["mirror_share"].to_numpy()))
            if share > 0:
                axis.axhline(share, color="black", linestyle="dashed", linewidth=0.8, label="mirror share")
        axis.set_ylim(-0.03, 1.03)
        epoch_axis(axis, float(own["epoch"].max()), "step")
        notes.append(f"{title}: {standing(steps, spread=False)}")
    legend(figure, *axes)
    band = "Mean and band from the 10th to the 90th percentile over seeds."
    small_print(figure, band + windows, *notes, command)
    return figure


def in_windows(measures: xr.Dataset) -> xr.Dataset:
    """The measures as medians within windows of a logarithmic axis, where there are more points than that.

    With Adam accuracy breaks down for moments, and a hundred such spikes on the last decade of the axis hide
    where it is most of the time. A window holds at least one point and is labelled by its last.
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
    """The median along an axis of what was measured; NaN where nothing was."""
    measured = ~np.isnan(values).all(axis=axis)
    filled = np.where(np.expand_dims(measured, axis), values, 0.0)
    return np.where(measured, np.nanmedian(filled, axis=axis), np.nan)
