"""Overview and figures of a sweep, for `Sweep`, the command line and the report.

The class `Sweep` has methods that call these functions, so that they cannot import it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from grokscope.cards import plain_table
from grokscope.statistics import Estimate, format_number
from grokscope.sweeps._axes import point_text
from grokscope.sweeps._outcomes import PHASES

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = [
    "CellOverview",
    "SweepOverview",
    "estimate_text",
    "event_columns",
    "overview_of_sweep",
    "sweep_figures",
]

_MOST_ROWS = 60
_COLUMNS = {
    "share_memorized": "memorized",
    "share_grokked": "grokked",
    "grokking_step": "grokking step",
    "delay": "delay",
    "share_diverged": "diverged",
    "final_test_accuracy": "final test accuracy",
}


@dataclass(frozen=True)
class CellOverview:
    """Summary of one cell as plain values.

    Attributes:
        labels: its value on each axis, as text.
        settings: the values that replace those of the base, by key.
        folder: the name of its folder below ``cells/``.
        phase: the most frequent phase of its members, or empty.
        estimates: by name, see `grokscope.sweeps.summary_dataset`.
    """

    labels: tuple[str, ...]
    settings: dict[str, Any]
    folder: str
    phase: str
    estimates: dict[str, Estimate]


@dataclass(frozen=True, repr=False)
class SweepOverview:
    """Summary of a sweep as plain values; its text is what ``grokscope show`` prints.

    Attributes:
        path: its folder or address.
        identity: of the sweep.
        axes: the names of the axes.
        members: of all cells together.
        complete: whether all cells are finished.
        steps_saved: member-steps skipped by early stopping, summed over all requests.
        cells: in the order of the axes; the last axis varies fastest.
        remarks: what a reader should know, one line each.
    """

    path: str
    identity: str
    axes: tuple[str, ...]
    members: int
    complete: bool
    steps_saved: int
    cells: tuple[CellOverview, ...]
    remarks: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return str(self)

    def __str__(self) -> str:
        first, last = self.lines()
        return "\n".join([*first, *plain_table(*self.table()), *last])

    def lines(self, most: int = _MOST_ROWS) -> tuple[list[str], list[str]]:
        """The lines above and below a table of at most ``most`` cells."""
        state = "complete" if self.complete else "unfinished"
        above = [f"{self.path}: {len(self.cells)} cells, {self.members} members, {state}"]
        if self.steps_saved:
            above.append(f"early stopping left out {self.steps_saved:,} member-steps")
        above += [f"note: {remark}" for remark in self.remarks]
        return above, [f"({len(self.cells) - most} more cells)"] if len(self.cells) > most else []

    def table(self, most: int = _MOST_ROWS) -> tuple[list[str], list[list[str]]]:
        """Headers and rows of a table of at most ``most`` cells."""
        columns = {**_COLUMNS, **event_columns(name for cell in self.cells for name in cell.estimates)}
        shown = [name for name in columns if any(name in cell.estimates for cell in self.cells)]
        headers = [*self.axes, "phase", *(columns[name] for name in shown)]
        rows = [
            [*cell.labels, cell.phase, *(estimate_text(cell.estimates.get(name)) for name in shown)]
            for cell in self.cells[:most]
        ]
        return headers, rows


def event_columns(names: Iterable[str]) -> dict[str, str]:
    """The words for estimates of events other than memorization and grokking, by the estimate's name.

    Example:
        >>> event_columns(["share_grokked", "grokking_step", "share_half", "half_step"])
        {'share_half': 'half', 'half_step': 'half step'}
    """
    shares = [name.removeprefix("share_") for name in dict.fromkeys(names) if name.startswith("share_")]
    events = [event for event in shares if f"share_{event}" not in _COLUMNS]
    return {f"share_{one}": one.replace("_", " ") for one in events} | {
        f"{one}_step": f"{one.replace('_', ' ')} step" for one in events
    }


def overview_of_sweep(sweep: Any) -> SweepOverview:
    """Summarize all cells of a sweep."""
    cells: list[CellOverview] = []
    summary = sweep.statistics
    for index in sorted(sweep.cells):
        cell = summary.isel(dict(zip(sweep.names, index, strict=True)))
        code = float(cell["phase"]) if "phase" in cell else math.nan
        cells.append(
            CellOverview(
                tuple(point_text(a.points[i][:1]) for a, i in zip(sweep.axes, index, strict=True)),
                sweep.settings(index),
                sweep.cells[index],
                "" if math.isnan(code) else PHASES[int(code)],
                sweep.estimates[index],
            )
        )
    history = sweep.provenance["requests"]
    return SweepOverview(
        str(sweep.path),
        sweep.identity,
        sweep.names,
        len(sweep.cells) * len(sweep.members),
        sweep.is_complete,
        sum(int(one.get("steps_saved", 0)) for one in history),
        tuple(cells),
        tuple(sweep.remarks),
    )


def estimate_text(estimate: Estimate | None) -> str:
    """An estimate as text for a table: ``-`` for none, ``not reached`` for an infinite value."""
    if estimate is None or math.isnan(estimate.value):
        return "-"
    value = "not reached" if math.isinf(estimate.value) else format_number(estimate.value)
    if math.isinf(estimate.low) and math.isinf(estimate.high):
        return value
    return f"{value} [{format_number(estimate.low)}, {format_number(estimate.high)}]"


def sweep_figures(sweep: Any, command: str = "") -> list[tuple[str, str, Figure]]:
    """Draw a sweep: curves for one axis, a phase diagram for two, small multiples for more.

    Axes with a single value are dropped. A phase diagram needs ``train_accuracy`` and ``test_accuracy``.

    Args:
        sweep: with results in at least one cell.
        command: the command that makes the figures, printed below them.

    Returns:
        Name, title and figure of each drawing.
    """
    from grokscope.plots.phases import multiples_figure, phase_figure
    from grokscope.plots.sweeps import axis_figure

    summary = sweep.statistics.squeeze([name for name in sweep.names if sweep.statistics.sizes[name] == 1])
    names = [name for name in sweep.names if name in summary.dims]
    if len(names) == 1:
        title = f"Shares, steps and accuracy against {_axes_text(names)}."
        return [("curves", title, axis_figure(summary, names[0], command))]
    if not names or "phase" not in summary:
        return []
    if len(names) == 2:
        title = f"Phase diagram over {_axes_text(names)}."
        return [("phase-diagram", title, phase_figure(summary, names, command))]
    title = f"Phase diagrams over {_axes_text(names[-2:])}, by {_axes_text(names[:-2])}."
    return [("phase-diagrams", title, multiples_figure(summary, names, command))]


def _axes_text(names: list[str]) -> str:
    return " and ".join(name.replace("_", " ") for name in names)
