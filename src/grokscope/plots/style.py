"""Colors, sizes, panels and axes of every figure.

Sizes are given to each artist, not through matplotlib's global settings, so that figures can be drawn in
any thread and look the same whatever the user's settings are. The font is the one matplotlib ships.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "COLOR",
    "LABEL",
    "SMALL",
    "TINY",
    "WIDTH",
    "count_axis",
    "epoch_axis",
    "inner_legend",
    "legend",
    "line_style",
    "panels",
    "small_print",
    "value_text",
    "x_label",
]

# Okabe and Ito's palette, told apart with all common kinds of color blindness; line styles do so in gray.
COLOR = {
    "train": "#D55E00",
    "test": "#0072B2",
    "generalizing": "#0072B2",
    "complementary": "#D55E00",
    "memorizing": "#CC79A7",
    "control": "#555555",
    "norm_matched": "#009E73",
    "memorization": "#9A9A9A",
    "grokking": "#222222",
    "other": "#B5B5B5",
    "null": "#CC79A7",
    "marked": "#D55E00",
}
LABEL = {
    "generalizing": "generalizing",
    "complementary": "complementary",
    "memorizing": "memorizing",
    "control": "random control",
    "norm_matched": "norm-matched control",
    "train": "train",
    "test": "test",
}
_DASHES: dict[str, Any] = {
    "complementary": (0, (5, 1.5)),
    "control": (0, (1, 1.2)),
    "norm_matched": (0, (4, 1.2, 1, 1.2)),
    "memorizing": (0, (2.5, 1.2)),
    "train": (0, (5, 1.5)),
    "grokking": (0, (1, 1.3)),
}

WIDTH = 6.75  # inches: a text block of one column
_TEXT, SMALL, TINY = 8.0, 7.0, 5.6  # points
_PANEL_HEIGHT, _TOP, _BOTTOM = 1.62, 0.44, 0.74  # inches
_PRINT_LINES, _LINE_SPACING = 3, 1.35  # lines that fit below the panels
_ROW_OF_LEGEND = 1.6  # heights of a letter
_LEFT, _RIGHT, _GAP = 0.5, 0.15, 0.5
_ROW_GAP = 0.62  # the tick labels below a panel and the title of the next
_GRID_BOTTOM = 0.12  # tick labels of several rows may be turned, and take more room


def line_style(name: str) -> Any:
    """The line style that goes with a name's color."""
    return _DASHES.get(name, "solid")


def panels(
    titles: Sequence[str], height: float = _PANEL_HEIGHT, columns: int | None = None
) -> tuple[Figure, list[Axes]]:
    """A figure of equal panels in rows, with room for a legend above and small print below.

    Args:
        titles: one per panel.
        height: of a panel, in inches.
        columns: panels in a row, at most; None puts all in one row.
    """
    from matplotlib.figure import Figure

    n = min(columns or len(titles), len(titles))
    rows = -(-len(titles) // n)
    total = rows * height + (rows - 1) * _ROW_GAP + _TOP + _BOTTOM + (_GRID_BOTTOM if columns else 0.0)
    figure = Figure(figsize=(WIDTH, total), dpi=100, facecolor="white")
    wide = (WIDTH - _LEFT - _RIGHT - _GAP * (n - 1)) / n
    axes: list[Axes] = []
    for i, title in enumerate(titles):
        row, column = divmod(i, n)
        left = _LEFT + column * (wide + _GAP)
        foot = total - _TOP - (row + 1) * height - row * _ROW_GAP if columns else _BOTTOM
        axis = figure.add_axes((left / WIDTH, foot / total, wide / WIDTH, height / total))
        axis.set_title(title, fontsize=_TEXT, loc="left", pad=4)
        axis.tick_params(which="both", labelsize=SMALL, width=0.6, length=2.5, pad=2)
        axis.tick_params(which="minor", width=0.4, length=1.5)
        for side, spine in axis.spines.items():
            spine.set_linewidth(0.6)
            spine.set_visible(side in ("left", "bottom"))
        axes.append(axis)
    return figure, axes


def x_label(axis: Axes, text: str) -> None:
    """Label the horizontal axis in small letters; ``_`` is written as a space."""
    axis.set_xlabel(text.replace("_", " "), fontsize=SMALL, labelpad=1)


def value_text(value: Any) -> str:
    """Write a value on an axis of a sweep briefly.

    Example:
        >>> value_text(0.001), value_text(128), value_text("sgd")
        ('0.001', '128', 'sgd')
    """
    return f"{value:g}" if isinstance(value, float | np.floating) else str(value)


def epoch_axis(axis: Axes, last: float, unit: str = "epoch") -> None:
    """A logarithmic axis of epochs (or steps) with 0 at its left end."""
    from matplotlib.ticker import FixedLocator, FuncFormatter

    axis.set_xscale("symlog", linthresh=1, linscale=0.25)
    axis.set_xlim(0, max(last, 2))
    decades = [10**i for i in range(12) if 10**i <= last]
    # The last epoch gets a number too, unless it would touch the last decade's.
    free = math.log10(last / decades[-1]) / (math.log10(last) + 0.25) if last > 1 else 0.0
    ends = [last] if free >= 0.14 else []
    axis.xaxis.set_major_locator(FixedLocator([0, *decades, *ends]))
    axis.xaxis.set_minor_locator(
        FixedLocator([d * i for d in decades for i in range(2, 10) if d * i <= last])
    )
    axis.xaxis.set_major_formatter(FuncFormatter(lambda epoch, _: f"{epoch:g}"))
    x_label(axis, unit)


def count_axis(axis: Axes, top: float) -> None:
    """A logarithmic axis of counts from 1 to ``top``, with plain numbers."""
    from matplotlib.ticker import FuncFormatter

    axis.set_yscale("log")
    axis.set_ylim(0.9, top * 1.15)
    axis.yaxis.set_major_formatter(FuncFormatter(lambda count, _: f"{count:g}"))


def inner_legend(axis: Axes) -> None:
    """A legend inside a panel, for lines that only this panel has."""
    if axis.get_legend_handles_labels()[0]:
        axis.legend(loc="lower left", fontsize=SMALL, frameon=False, handlelength=1.8, borderaxespad=0.2)


def legend(figure: Figure, *sources: Axes) -> None:
    """One legend for the whole figure, above the panels, in as many rows as it needs; each label once."""
    handles: dict[str, Any] = {}
    for axis in sources:
        for handle, label in zip(*axis.get_legend_handles_labels(), strict=True):
            handles.setdefault(label, handle)
    for rows in range(1, len(handles) + 1):
        made = figure.legend(
            list(handles.values()),
            list(handles),
            loc="upper left",
            bbox_to_anchor=(_LEFT / WIDTH - 0.01, 1.0),
            ncols=-(-len(handles) // rows),
            fontsize=SMALL,
            frameon=False,
            handlelength=1.7,
            columnspacing=0.9,
            handletextpad=0.4,
            borderaxespad=0.3,
        )
        if made.get_window_extent().x1 <= figure.bbox.x1 or rows == len(handles):
            _lengthen(figure, top=(rows - 1) * SMALL * _ROW_OF_LEGEND / 72)
            return
        made.remove()


def small_print(figure: Figure, *lines: str) -> None:
    """Write lines in small letters below the panels: seeds, spread, the command that makes the figure."""
    import textwrap

    wrapped = [part for line in lines if line for part in textwrap.wrap(line, 150)]
    _lengthen(figure, foot=max(0, len(wrapped) - _PRINT_LINES) * TINY * _LINE_SPACING / 72)
    figure.text(
        _LEFT / WIDTH - 0.005,
        0.084 / figure.get_figheight(),
        "\n".join(wrapped),
        fontsize=TINY,
        color="#444444",
        va="bottom",
        ha="left",
        linespacing=_LINE_SPACING,
        parse_math=False,
    )


def _lengthen(figure: Figure, *, foot: float = 0.0, top: float = 0.0) -> None:
    """Make a figure taller, by so many inches at its foot and at its top; its panels keep their size."""
    if not foot and not top:
        return
    old = figure.get_figheight()
    new = old + foot + top
    for axis in figure.axes:
        box = axis.get_position()
        axis.set_position((box.x0, (box.y0 * old + foot) / new, box.width, box.height * old / new))
    for text in figure.texts:
        text.set_y((text.get_position()[1] * old + foot) / new)
    figure.set_figheight(new)
