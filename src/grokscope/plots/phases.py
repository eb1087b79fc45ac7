"""Phase diagrams: heat maps over two axes of a sweep; several small ones for more axes."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from grokscope.plots.curves import seeds_per_cell
from grokscope.plots.style import SMALL, TINY, panels, small_print, value_text, x_label

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["PHASE_COLOR", "multiples_figure", "phase_figure"]

# Okabe and Ito's palette; in gray a phase is known by its letter.
PHASE_COLOR = {
    "comprehension": "#56B4E9",
    "grokking": "#009E73",
    "memorization": "#E69F00",
    "confusion": "#C8C8C8",
    "diverged": "#D55E00",
    "coexistence": "#56B4E9",
    "partial inversion": "#009E73",
    "full inversion": "#0072B2",
    "forgetting": "#CC79A7",
}
_LETTER = {
    "comprehension": "C",
    "grokking": "G",
    "memorization": "M",
    "confusion": "X",
    "diverged": "D",
    "coexistence": "Co",
    "partial inversion": "P",
    "full inversion": "F",
    "forgetting": "Fo",
}
_MOST_LETTERS = 12  # along an axis with more cells, cells have no text
_LONGEST_LABEL, _MOST_TURNED = 8, 3  # characters beside an axis; of up to three rows, longer ones are turned
_MOST_TICKS, _MOST_PANELS, _COLUMNS = 8, 12, 3


def phase_figure(summary: xr.Dataset, names: Sequence[str], command: str = "") -> Figure:
    """Three heat maps over two axes: the phase of each cell, the share that generalized, the median delay.

    Args:
        summary: of a sweep over exactly these axes.
        names: of the vertical and the horizontal axis.
        command: the command that makes this figure, for the small print.

    Source: phases as in Liu et al. 2022 (arXiv 2205.10343), Figure 6 and Table 1.
    """
    figure, axes = panels(["Phase (commonest)", "Share that generalized", "Median delay (steps)"], height=1.9)
    for i, axis in enumerate(axes):  # room for the color bars and their numbers
        box = axis.get_position()
        axis.set_position((box.x0 + 0.01 - 0.005 * i, box.y0, box.width - 0.045, box.height))
    _phases(axes[0], summary, names)
    _values(figure, axes[1], summary, names, "share_grokked", log=False, limits=(0.0, 1.0))
    _values(figure, axes[2], summary, names, "delay", log=True)
    for axis in axes[1:]:
        _drop_vertical_labels(axis)
    _legend(figure, summary)
    small_print(figure, f"{_standing(summary)} Gray: not reached by half of the seeds, or no cell.", command)
    return figure


def multiples_figure(summary: xr.Dataset, names: Sequence[str], command: str = "") -> Figure:
    """Phase diagrams over the last two axes, one for each value of the other axes; the first 12 of them.

    Args:
        summary: of a sweep over three axes or more.
        names: of the axes.
        command: the command that makes this figure, for the small print.
    """
    outer, inner = names[:-2], names[-2:]
    places = list(itertools.product(*(range(summary.sizes[name]) for name in outer)))
    shown = places[:_MOST_PANELS]
    titles = [
        ", ".join(
            f"{name} {value_text(summary[name].to_numpy()[i])}" for name, i in zip(outer, place, strict=True)
        )
        for place in shown
    ]
    figure, axes = panels(titles, columns=_COLUMNS)
    for i, (axis, place) in enumerate(zip(axes, shown, strict=True)):
        _phases(axis, summary.isel(dict(zip(outer, place, strict=True))), inner)
        if i % _COLUMNS:
            _drop_vertical_labels(axis)
    _legend(figure, summary)
    left_out = f"{len(places) - len(shown)} more of {len(places)} diagrams are not shown. "
    small_print(figure, (left_out if len(shown) < len(places) else "") + _standing(summary), command)
    return figure


def _drop_vertical_labels(axis: Axes) -> None:
    axis.set_ylabel("")
    axis.set_yticklabels([])


def _phases(axis: Axes, summary: xr.Dataset, names: Sequence[str]) -> None:
    from matplotlib.colors import to_rgba

    listed = list(summary.attrs["phases"])
    codes = summary["phase"].transpose(*names).to_numpy()
    share = summary["phase_share"].transpose(*names).to_numpy()
    image = np.ones((*codes.shape, 4))
    letters = max(codes.shape) <= _MOST_LETTERS
    for place in np.ndindex(*codes.shape):
        if np.isnan(codes[place]):
            continue
        phase = listed[int(codes[place])]
        color = np.array(to_rgba(PHASE_COLOR[phase]))
        strength = 0.35 + 0.65 * float(share[place])  # a phase of fewer seeds is paler
        image[place] = 1 - strength * (1 - color)
        image[(*place, 3)] = 1.0
        if letters:
            text = _LETTER[phase] + ("" if share[place] == 1 else f"\n{100 * share[place]:.0f}")
            axis.text(place[1], place[0], text, fontsize=TINY, ha="center", va="center", linespacing=0.9)
    axis.imshow(image, origin="lower", aspect="auto", interpolation="nearest")
    _label(axis, summary, names)


def _values(
    figure: Figure,
    axis: Axes,
    summary: xr.Dataset,
    names: Sequence[str],
    variable: str,
    *,
    log: bool,
    limits: tuple[float, float] | None = None,
) -> None:
    from matplotlib.colors import LogNorm, Normalize
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    if variable not in summary:
        axis.text(0.5, 0.5, "not measured", transform=axis.transAxes, ha="center", fontsize=SMALL)
        return
    values = summary[variable].transpose(*names).to_numpy()
    if not np.isfinite(values).any():
        axis.set_facecolor("#E4E4E4")
        axis.set_xlim(-0.5, values.shape[1] - 0.5)
        axis.set_ylim(-0.5, values.shape[0] - 0.5)
        axis.text(0.5, 0.5, "not reached in any cell", transform=axis.transAxes, ha="center", fontsize=SMALL)
        _label(axis, summary, names)
        return
    known = values[np.isfinite(values) & ((values > 0) | (not log))]
    low, high = limits or ((float(known.min()), float(known.max())) if known.size else (1.0, 10.0))
    if log:
        norm: Any = LogNorm(max(low, 1.0), max(high, 2 * max(low, 1.0)))
    else:
        norm = Normalize(low, high)
    axis.set_facecolor("#E4E4E4")  # not reached, or no such cell
    shown = np.where(np.isfinite(values), np.maximum(values, norm.vmin), np.nan)
    mesh = axis.imshow(
        shown, origin="lower", aspect="auto", interpolation="nearest", cmap="viridis", norm=norm
    )
    box = axis.get_position()
    beside = figure.add_axes((box.x1 + 0.006, box.y0, 0.008, box.height))
    bar = figure.colorbar(mesh, cax=beside)
    if log:  # few ticks without powers, which need more room
        ticks = LogLocator(subs=(1.0, 3.0) if norm.vmax >= 10 * norm.vmin else (1.0, 2.0, 5.0))
        bar.ax.yaxis.set_major_locator(ticks)
        bar.ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        bar.ax.yaxis.set_minor_locator(NullLocator())
    bar.ax.tick_params(which="both", labelsize=TINY, length=1.5, pad=1)
    _label(axis, summary, names)


def _label(axis: Axes, summary: xr.Dataset, names: Sequence[str]) -> None:
    for name, set_ticks in zip(names, (axis.set_yticks, axis.set_xticks), strict=True):
        values = summary[name].to_numpy()
        places = range(0, len(values), -(-len(values) // _MOST_TICKS))
        set_ticks(places, [value_text(values[i]) for i in places])
    x_label(axis, names[1])
    axis.set_ylabel(names[0].replace("_", " "), fontsize=SMALL, labelpad=1)
    beside = [tick.get_text() for tick in axis.get_yticklabels()]
    if len(beside) <= _MOST_TURNED and max(map(len, beside)) > _LONGEST_LABEL:
        axis.set_yticks(axis.get_yticks(), beside, rotation=90, va="center")
    turned = summary.sizes[names[1]] > 3
    axis.tick_params(axis="x", labelrotation=45 if turned else 0)
    for tick in axis.get_xticklabels():
        tick.set_horizontalalignment("right" if turned else "center")


def _legend(figure: Figure, summary: xr.Dataset) -> None:
    from matplotlib.patches import Patch

    listed = list(summary.attrs["phases"])
    codes = summary["phase"].to_numpy()
    there = [listed[int(code)] for code in np.unique(codes[~np.isnan(codes)])]
    handles = [Patch(color=PHASE_COLOR[phase], label=f"{phase} ({_LETTER[phase]})") for phase in there]
    if handles:
        figure.legend(
            handles=handles,
            loc="upper left",
            bbox_to_anchor=(0.06, 1.0),
            ncols=len(handles),
            fontsize=SMALL,
            frameon=False,
            handlelength=1.0,
            columnspacing=1.0,
            borderaxespad=0.3,
        )


def _standing(summary: xr.Dataset) -> str:
    n, most = seeds_per_cell(summary), summary["n"].max()
    if most > summary["n"].min():
        n = f"{n} to {float(most):.0f}"
    shares = summary["phase_share"].to_numpy() if "phase_share" in summary else np.empty(0)
    numbers = "Numbers in cells: share of seeds in that phase, in %." if np.any(shares < 1) else ""
    return f"{n} seeds per cell. {numbers}".rstrip()
