"""Curves along one axis of a sweep, one for each value of another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from grokscope.plots.phases import value_text
from grokscope.plots.style import legend, panels, small_print

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["LOOK", "Quantity", "lines_figure"]

# Okabe and Ito's palette, and a shape each, so that lines are told apart in gray
LOOK = (("#0072B2", "o"), ("#D55E00", "s"), ("#009E73", "^"), ("#CC79A7", "D"), ("#555555", "v"))
_SMALL = 7.0


@dataclass(frozen=True)
class Quantity:
    """What a panel shows.

    Attributes:
        title: of the panel.
        name: of a variable of a sweep's summary, which has ``NAME_low`` and ``NAME_high`` too.
        unit: from the values on the axes to a factor on the variable; None: 1.
        log: whether its axis is logarithmic.
    """

    title: str
    name: str
    unit: Callable[[float, float], float] | None = None
    log: bool = True


def lines_figure(
    summary: xr.Dataset,
    x: str,
    by: str,
    quantities: Sequence[Quantity],
    command: str = "",
    note: str = "",
) -> Figure:
    """A panel for each quantity, against the axis ``x``, with a line for each value of the axis ``by``.

    Bars are 95 % intervals. A median that half of the seeds do not reach is an open mark at the upper edge.

    Args:
        summary: of a sweep over these two axes.
        x: the horizontal axis; of positive numbers, drawn logarithmically.
        by: what the lines differ in; up to five values.
        quantities: of the panels.
        command: what makes this figure, for the small print.
        note: more small print.
    """
    figure, axes = panels([one.title for one in quantities], height=1.9)
    places = summary[x].to_numpy().astype(float)
    for axis, quantity in zip(axes, quantities, strict=True):
        axis.set_xscale("log")
        axis.set_yscale("log" if quantity.log else "linear")
        lost: list[tuple[np.ndarray, str, str]] = []
        for (color, mark), label in zip(LOOK, summary[by].to_numpy(), strict=False):
            line = summary.sel({by: label})
            factor = np.ones(len(places))
            if quantity.unit is not None:
                factor = np.array([quantity.unit(float(place), float(label)) for place in places])
            _line(axis, places, line, quantity.name, factor, color, mark, f"{by} {value_text(label)}")
            value = line[quantity.name].to_numpy()
            lost.append((places[np.isinf(value)], color, mark))
        axis.set_xlabel(x.replace("_", " "), fontsize=_SMALL, labelpad=1)
        if quantity.log:
            _plain_numbers(axis)
        else:
            axis.set_ylim(-0.03, 1.03)
        top = axis.get_ylim()[1]
        for there, color, mark in lost:
            axis.plot(
                there,
                np.full(len(there), top),
                mark,
                color=color,
                fillstyle="none",
                markersize=4,
                clip_on=False,
            )
    legend(figure, *axes)
    counts = summary["n"].to_numpy()
    n = f"{np.nanmin(counts):.0f}" if np.isfinite(counts).any() else "no"
    small_print(
        figure,
        f"{n} seeds per cell; medians (shares: Wilson) with 95 % intervals. Open marks at the upper edge: "
        f"half of the seeds did not get there. {note}",
        command,
    )
    return figure


def _plain_numbers(axis: Axes) -> None:
    """Numbers as they are written, at 1, 2 and 5 where there is less than a decade or so."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    low, high = axis.get_ylim()
    axis.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if high < 200 * low else (1.0,)))
    axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
    axis.yaxis.set_minor_formatter(NullFormatter())


def _line(
    axis: Axes,
    places: np.ndarray,
    line: xr.Dataset,
    name: str,
    factor: np.ndarray,
    color: str,
    mark: str,
    label: str,
) -> None:
    value, low, high = (line[f"{name}{end}"].to_numpy() * factor for end in ("", "_low", "_high"))
    there = np.isfinite(value) & ((value > 0) | (axis.get_yscale() == "linear"))
    ends = np.stack(
        [
            np.where(np.isfinite(low) & (low > 0), value - np.minimum(low, value), 0.0),
            np.where(np.isfinite(high), np.maximum(high, value) - value, 0.0),
        ]
    )[:, there]
    axis.errorbar(
        places[there],
        value[there],
        yerr=ends,
        color=color,
        marker=mark,
        markersize=3,
        linewidth=1.1,
        elinewidth=0.6,
        capsize=1.5,
        label=label.replace("_", " "),
    )
