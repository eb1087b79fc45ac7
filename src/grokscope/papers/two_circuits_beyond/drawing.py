"""Parts of the figures: dots of members, shares over time, labels, the small print."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from grokscope.papers import RunLike
from grokscope.papers.two_circuits_beyond.members import MemberTable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing

_SMALL = 7.0  # points
BLUE, ORANGE, GREEN, PINK, GRAY, AMBER = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#555555", "#E69F00"
LINE_GRAY = "#999999"


def axis_labels(axis: Axes, x: str, y: str = "") -> None:
    """Set the labels of both axes."""
    axis.set_xlabel(x, fontsize=_SMALL, labelpad=1)
    axis.set_ylabel(y, fontsize=_SMALL, labelpad=1)


def categories(axis: Axes, names: Sequence[str]) -> None:
    """Name the places 0, 1, ... of the x axis."""
    axis.set_xticks(range(len(names)), names, rotation=18, ha="right", rotation_mode="anchor")
    axis.set_xlim(-0.6, len(names) - 0.4)


def member_dots(axis: Axes, place: float, values: np.ndarray, color: str) -> None:
    """One point per member around a place of the x axis, spread sideways, and a bar at the median."""
    found = values[np.isfinite(values)]
    apart = np.linspace(-0.2, 0.2, len(found)) if len(found) > 1 else np.zeros(len(found))
    axis.plot(place + apart, found, ".", color=color, markersize=2.5, alpha=0.5, markeredgewidth=0)
    if len(found):
        axis.plot([place - 0.3, place + 0.3], [np.median(found)] * 2, color=color, linewidth=1.5)


def bands(axis: Axes, x: np.ndarray, curves: np.ndarray, color: str, label: str = "") -> None:
    """The median of curves [member, point] over the places x, and a band of their middle 80 %."""
    taken = ~np.isnan(curves).all(axis=0)
    low, middle, high = np.nanquantile(curves[:, taken], [0.1, 0.5, 0.9], axis=0)
    axis.fill_between(x[taken], low, high, color=color, alpha=0.2, linewidth=0)
    axis.plot(x[taken], middle, color=color, linewidth=1.2, label=label)


def shares_over_time(axis: Axes, runs: Mapping[str, RunLike], labels: Mapping[str, str]) -> None:
    """The share of members that have grokked against epochs, one curve for each of these experiments."""
    for color, (name, label) in zip((GRAY, ORANGE, BLUE, GREEN, PINK, AMBER), labels.items(), strict=False):
        members = MemberTable(runs[name].measures)
        per_epoch = runs[name].experiment.steps_per_epoch
        times = np.sort(members.grokking.upper) / per_epoch
        last = members.steps[-1] / per_epoch
        seen = times[np.isfinite(times)]
        share = np.arange(len(seen) + 1) / len(times)
        axis.step(
            np.concatenate([[0.0], seen, [last]]),
            np.append(share, share[-1]),
            where="post",
            color=color,
            linewidth=1.2,
            label=label,
        )
    axis.set_ylim(-0.03, 1.03)
    axis.set_xlim(0, None)
    axis_labels(axis, "epoch", "share that has grokked")


def caption(
    drawing: Drawing,
    runs: Mapping[str, RunLike],
    names: Sequence[str],
    command: str,
    note: str = "",
    marks: str = "; points are members, bars medians",
) -> None:
    """Write the small print: number of members, meaning of the marks, a note, the command."""
    from grokscope.plots.style import small_print

    counts = {len(MemberTable(runs[name].measures).seeds) for name in names}
    low, high = min(counts), max(counts)
    many = f"{low}" if low == high else f"{low} to {high}"
    small_print(drawing, f"{many} members for each setting{marks}.", note, command)
