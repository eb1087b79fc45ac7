"""How long it takes to learn and to generalize, and how far it comes, against the training fraction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from grokscope.plots.style import COLOR, legend, panels, small_print
from grokscope.spec.events import Event, member_curves

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["fractions_figure"]

_SMALL = 7.0
_PALETTE = ("#0072B2", "#56B4E9", "#D55E00", "#E69F00", "#009E73", "#CC79A7", "#000000", "#999999")


def fractions_figure(
    times: Mapping[float, xr.Dataset],
    operators: Mapping[str, Sequence[tuple[float, xr.Dataset]]],
    command: str = "",
) -> Figure:
    """Two panels: steps to 99 % accuracy against the training fraction; best test accuracy by operator.

    Seeds are points, their medians a line; a seed that does not get there is an open triangle at the last
    step.

    Args:
        times: measures of runs by training fraction.
        operators: of each operator, by its formula, the fractions and the measures there.
        command: what makes this figure, for the small print.

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
        axis.set_xlabel("share of the table in the training set (%)", fontsize=_SMALL, labelpad=1)
    _inside(axes[1])
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
        medians.append(float(np.sort(steps)[(len(steps) - 1) // 2]))
    kept = [(100 * f, m) for f, m in zip(fractions, medians, strict=True) if np.isfinite(m)]
    if kept:
        axis.plot(*zip(*kept, strict=True), color=COLOR[split], linewidth=1.2, label=split)


def _best(measures: xr.Dataset) -> np.ndarray:
    return np.nanmax(member_curves(measures["test_accuracy"]), axis=1)


def _inside(axis: Axes) -> None:
    axis.legend(loc="best", fontsize=_SMALL - 1, frameon=False, handlelength=1.4, borderaxespad=0.2)
