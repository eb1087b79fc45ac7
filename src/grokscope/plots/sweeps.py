"""Figures of sweeps and contests: curves along an axis with intervals, and contenders side by side."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from grokscope.plots.curves import seeds_per_cell
from grokscope.plots.style import COLOR, legend, line_style, panels, small_print, value_text, x_label
from grokscope.spec.events import event_of
from grokscope.statistics import kaplan_meier

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["Quantity", "axis_figure", "contest_figure", "lines_figure"]

# Variable of a sweep's summary, label, color and line style.
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
_MOST_TICKS = 8
_SHARE_LIMITS = (-0.03, 1.03)
_MOST_NAMES = 4  # of contenders below a panel; more are in the order of the legend
# Okabe and Ito's palette, with markers that tell lines apart in gray.
_LINES = (
    *(("#0072B2", "o"), ("#D55E00", "s"), ("#009E73", "^"), ("#CC79A7", "D"), ("#555555", "v")),
    *(("#E69F00", "P"), ("#56B4E9", "X"), ("#8C564B", "*"), ("#9A9A00", "d")),
)

# ---------------------------------------------------------------- a sweep over one axis


def axis_figure(summary: xr.Dataset, name: str, command: str = "") -> Figure:
    """Three panels against the values of an axis: shares of seeds, median steps, final accuracy; bands 95 %.

    A median that half of the seeds do not reach is left out. A band with an infinite end reaches the edge.

    Args:
        summary: of a sweep over this axis alone.
        name: of the axis.
        command: the command that makes this figure, for the small print.
    """
    figure, axes = panels(["Share of seeds", "Median step", "Final accuracy (mean)"])
    shares, steps, accuracy = axes
    labels = summary[name].to_numpy()
    numeric = labels.dtype.kind in "fiu"
    places = labels.astype(float) if numeric else np.arange(len(labels), dtype=float)
    log = numeric and len(labels) > 2 and labels.min() > 0 and labels.max() / labels.min() >= _LOG_SPAN
    for axis, lines in ((shares, _SHARES), (steps, _STEPS), (accuracy, _ACCURACIES)):
        drawn = [
            _band(axis, places, summary, variable, label=label, color=color, linestyle=dash)
            for variable, label, color, dash in lines
            if variable in summary
        ]
        _fit_height(axis, np.concatenate([*drawn, np.empty(0)]), log=axis is steps)
        if log:
            axis.set_xscale("log")
        elif not numeric or len(labels) <= _MOST_TICKS:
            axis.set_xticks(places, [value_text(label) for label in labels])
        x_label(axis, name)
    shares.set_ylim(*_SHARE_LIMITS)
    legend(figure, shares, steps, accuracy)
    small_print(
        figure,
        f"{seeds_per_cell(summary)} seeds or more per cell. Bands: 95 % intervals (Wilson; "
        "Brookmeyer-Crowley of the Kaplan-Meier median; Student's t). A median that half of the seeds do not "
        "reach is left out.",
        command,
    )
    return figure


def _band(axis: Axes, places: np.ndarray, summary: xr.Dataset, variable: str, **line: Any) -> np.ndarray:
    """Draw a variable and its interval; returns the finite values and ends."""
    value, low, high = (summary[f"{variable}{end}"].to_numpy() for end in ("", "_low", "_high"))
    there = np.isfinite(value)
    if not there.any():
        return np.empty(0)
    axis.plot(places[there], value[there], linewidth=1.2, marker="o", markersize=2.5, **line)
    beyond = (np.max(value[there]) + 1) * 1e3  # in place of an infinite end: outside of the panel
    bounded = [end[there & np.isfinite(end)] for end in (low, high)]
    low, high = np.where(np.isfinite(low), low, -beyond), np.where(np.isfinite(high), high, beyond)
    axis.fill_between(places[there], low[there], high[there], color=line["color"], alpha=0.15, linewidth=0)
    return np.concatenate([value[there], *bounded])


def _fit_height(axis: Axes, values: np.ndarray, *, log: bool) -> None:
    if not values.size:
        return
    if log:
        axis.set_yscale("log")
        values = values[values > 0]
        if values.size:
            axis.set_ylim(values.min() / 1.3, values.max() * 1.3)
        return
    edge = 0.05 * (values.max() - values.min() + 1e-6)
    axis.set_ylim(values.min() - edge, values.max() + edge)


# ---------------------------------------------------------------- a sweep over two axes


@dataclass(frozen=True)
class Quantity:
    """The quantity of one panel.

    Attributes:
        title: of the panel.
        name: of a variable of a sweep's summary, which has ``NAME_low`` and ``NAME_high`` too.
        factor: from the values on the two axes to a factor on the variable; None: 1.
        log: whether its axis is logarithmic.
    """

    title: str
    name: str
    factor: Callable[[float, float], float] | None = None
    log: bool = True


def lines_figure(
    summary: xr.Dataset, x: str, by: str, quantities: Sequence[Quantity], command: str = ""
) -> Figure:
    """A panel for each quantity, against the axis ``x``, with a line for each value of the axis ``by``.

    Bars are 95 % intervals. A median that half of the seeds do not reach is an open mark at the upper edge.

    Args:
        summary: of a sweep over these two axes.
        x: the horizontal axis; of positive numbers, drawn logarithmically.
        by: the axis with a line for each value; up to five values.
        quantities: one per panel.
        command: the command that makes this figure, for the small print.
    """
    figure, axes = panels([one.title for one in quantities], height=1.9)
    places = summary[x].to_numpy().astype(float)
    for axis, quantity in zip(axes, quantities, strict=True):
        axis.set_xscale("log")
        axis.set_yscale("log" if quantity.log else "linear")
        not_reached: list[tuple[np.ndarray, str, str]] = []
        for (color, mark), label in zip(_LINES, summary[by].to_numpy(), strict=False):
            line = summary.sel({by: label})
            factor = np.ones(len(places))
            if quantity.factor is not None:
                factor = np.array([quantity.factor(float(place), float(label)) for place in places])
            text = f"{by} {value_text(label)}".replace("_", " ")
            _error_bars(axis, places, line, quantity.name, factor, color=color, marker=mark, label=text)
            not_reached.append((places[np.isinf(line[quantity.name].to_numpy())], color, mark))
        x_label(axis, x)
        if quantity.log:
            _plain_numbers(axis)
        else:
            axis.set_ylim(*_SHARE_LIMITS)
        top = axis.get_ylim()[1]
        for there, color, mark in not_reached:
            edge = np.full(len(there), top)
            axis.plot(there, edge, mark, color=color, fillstyle="none", markersize=4, clip_on=False)
    legend(figure, *axes)
    small_print(
        figure,
        f"{seeds_per_cell(summary)} seeds per cell; medians (shares: Wilson) with 95 % intervals. Open "
        "marks at the upper edge: half of the seeds did not get there.",
        command,
    )
    return figure


def _plain_numbers(axis: Axes) -> None:
    """Plain numbers on a logarithmic axis, also at 2 and 5 if it spans little more than a decade."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    low, high = axis.get_ylim()
    axis.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if high < 200 * low else (1.0,)))
    axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
    axis.yaxis.set_minor_formatter(NullFormatter())


def _error_bars(
    axis: Axes, places: np.ndarray, line: xr.Dataset, name: str, factor: np.ndarray, **style: Any
) -> None:
    """Draw a variable times a factor with its interval; an infinite end has no bar."""
    value, low, high = (line[f"{name}{end}"].to_numpy() * factor for end in ("", "_low", "_high"))
    there = np.isfinite(value) & ((value > 0) | (axis.get_yscale() == "linear"))
    places, value, low, high = (one[there] for one in (places, value, low, high))
    bars = np.stack(
        [
            np.where(np.isfinite(low) & (low > 0), value - np.minimum(low, value), 0.0),
            np.where(np.isfinite(high), np.maximum(high, value) - value, 0.0),
        ]
    )
    axis.errorbar(places, value, yerr=bars, markersize=3, linewidth=1.1, elinewidth=0.6, capsize=1.5, **style)


# ---------------------------------------------------------------- a contest


def contest_figure(contest: Any, command: str = "") -> Figure:
    """Three panels: share of seeds that have grokked, each seed's step, each setting's tuning score.

    Args:
        contest: a `grokscope.sweeps.Contest`.
        command: the command that makes this figure, for the small print.
    """
    from matplotlib.ticker import LogLocator, NullFormatter

    titles = ["Share that has grokked", "Grokking step, fresh seeds", "Tuning score of each setting"]
    figure, axes = panels(titles, height=1.9)
    shares, steps, scores = axes
    names = list(contest.runs)
    earliest, beyond = np.inf, 1.15 * max(run.experiment.n_steps for run in contest.runs.values())
    for i, (name, (color, mark)) in enumerate(zip(names, itertools.cycle(_LINES), strict=False)):
        measures = contest.runs[name].measures
        times = event_of(measures, "grokking").times(measures)
        curve = kaplan_meier(times)
        at = np.concatenate([[1.0], curve.time, [contest.runs[name].experiment.n_steps]])
        share = 1 - curve.at(at)
        shares.plot(
            at,
            share,
            color=color,
            marker=mark,
            markersize=2.5,
            markevery=[-1],
            linewidth=1.1,
            label=name,
            drawstyle="steps-post",
        )
        grokked = times.upper
        earliest = min(earliest, *grokked)
        places = i + np.linspace(-0.25, 0.25, max(len(grokked), 2))[: len(grokked)]
        seen = np.isfinite(grokked)
        late = np.full((~seen).sum(), beyond)
        steps.plot(places[seen], grokked[seen], mark, color=color, markersize=2.5)
        (unseen,) = steps.plot(places[~seen], late, mark, color=color, markersize=3.5)
        unseen.set(markerfacecolor="white", markeredgewidth=0.6)
        found = np.sort(contest.scores[name])
        ranks = np.arange(1, len(found) + 1)
        scores.plot(ranks, found, color=color, marker=mark, markersize=2.5, linewidth=0.9)
    shares.set_xscale("log")
    shares.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    shares.xaxis.set_major_formatter("{x:,.0f}")
    shares.xaxis.set_minor_formatter(NullFormatter())
    if np.isfinite(earliest):
        shares.set_xlim(left=0.7 * earliest)
    shares.set_ylim(-0.02, 1.02)
    x_label(shares, "step")
    steps.set_yscale("log")
    scores.set_yscale("log")
    steps.set_xticks(range(len(names)), names if len(names) <= _MOST_NAMES else [""] * len(names))
    x_label(scores, "settings, best first")
    legend(figure, shares)
    first = next(iter(contest.tuning.values()))
    fresh = len(next(iter(contest.runs.values())).members)
    small_print(
        figure,
        f"{fresh} fresh seeds. Tuning: {len(first.cells)} settings on {len(first.members)} seeds for each; "
        "the score is the mean grokking step, a member that does not grok counting with twice the run's "
        f"length. Open marks: not within the run.{_at_ends(contest)}",
        command,
    )
    return figure


def _at_ends(contest: Any) -> str:
    """Note, for the small print: contenders whose chosen setting is at the edge of their grid."""
    each = [
        f"{one.name} ({', '.join(key.rsplit('.', 1)[-1] for key in one.ends)})"
        for one in contest.standings
        if one.ends
    ]
    return f" Chosen at an end of what was tried: {', '.join(each)}." if each else ""
