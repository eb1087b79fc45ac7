"""Estimates against the threshold they depend on: a verdict made by a threshold, seen over all thresholds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from grokscope.plots.style import line_style, panels, small_print, x_label
from grokscope.statistics import Estimate

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["ThresholdPanel", "draw_band", "thresholds_figure"]

_COLORS = ("#0072B2", "#D55E00", "#009E73", "#000000")
_DASHES = ("solid", line_style("train"), line_style("norm_matched"), line_style("control"))


@dataclass(frozen=True)
class ThresholdPanel:
    """One panel of `thresholds_figure`.

    Attributes:
        title: what is estimated.
        threshold: label of the horizontal axis.
        lines: pairs (threshold, estimate), by label.
        region: the lower and the upper end of the values that mean "holds"; an end may be infinite.
        used: the thresholds of claims, which get a thin line.
        limits: of the vertical axis; None: matplotlib's choice.
    """

    title: str
    threshold: str
    lines: Mapping[str, Sequence[tuple[float, Estimate]]]
    region: tuple[float, float]
    used: tuple[float, ...] = ()
    limits: tuple[float, float] | None = field(default=None)


def draw_band(axis: Axes, points: Sequence[tuple[float, Estimate]], label: str = "", **line: Any) -> None:
    """A line through the values of estimates, and a band between the ends of their intervals.

    Values that are not finite are left out; an end that is not finite is drawn at the edge of the panel.
    """
    at = np.array([x for x, _ in points])
    values, low, high = (
        np.array([getattr(one, name) for _, one in points], dtype=np.float64)
        for name in ("value", "low", "high")
    )
    seen = np.isfinite(values)
    axis.plot(at[seen], values[seen], linewidth=1.2, label=label or None, **line)
    bounded = seen & np.isfinite(low) & np.isfinite(high)
    axis.fill_between(at, low, high, where=bounded, color=line.get("color", "black"), alpha=0.18, linewidth=0)


def thresholds_figure(shown: Sequence[ThresholdPanel], standing: str = "", command: str = "") -> Figure:
    """Panels of estimates against a threshold, with pointwise intervals; the region of the claims is shaded.

    Args:
        shown: the panels.
        standing: small print on the run.
        command: the command that makes this figure, for the small print.
    """
    figure, axes = panels([one.title for one in shown], 1.75, columns=2)
    for axis, panel in zip(axes, shown, strict=True):
        for i, (label, points) in enumerate(panel.lines.items()):
            draw_band(axis, points, label, color=_COLORS[i % 4], linestyle=_DASHES[i % 4])
        at = [x for points in panel.lines.values() for x, _ in points]
        axis.set_xlim(min(at), max(at))
        if panel.limits is not None:
            axis.set_ylim(*panel.limits)
        bottom, top = axis.get_ylim()
        ends = max(panel.region[0], bottom), min(panel.region[1], top)
        axis.axhspan(*ends, color="#000000", alpha=0.05, linewidth=0, zorder=0)
        axis.set_ylim(bottom, top)
        for x in panel.used:
            axis.axvline(x, color="#999999", linewidth=0.5, zorder=0)
        x_label(axis, panel.threshold)
        if len(panel.lines) > 1:
            axis.legend(loc="best", fontsize=6.2, frameon=False, handlelength=1.8, borderaxespad=0.2)
    words = (
        "Bands: pointwise 95 % intervals. Shaded: what the claims count as holds. Thin lines: thresholds of "
    )
    small_print(figure, f"{words}claims. {standing}", command)
    return figure
