"""What there is to know of a sweep at a glance, as plain values: for the command line and the page."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from grokscope.statistics import Estimate, format_number
from grokscope.sweeps._axes import point_text
from grokscope.sweeps._outcomes import PHASES

if TYPE_CHECKING:
    from grokscope.sweeps._sweep import Sweep

__all__ = ["CellOverview", "SweepOverview", "estimate_text", "overview_of_sweep"]

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
    """One cell.

    Attributes:
        labels: its value on each axis, as text.
        settings: what it changes in the base, by key.
        folder: the name of its folder below ``cells/``.
        phase: the commonest phase of its members, or empty.
        estimates: by name, see `grokscope.sweeps._summary`.
    """

    labels: tuple[str, ...]
    settings: dict[str, Any]
    folder: str
    phase: str
    estimates: dict[str, Estimate]


@dataclass(frozen=True)
class SweepOverview:
    """A sweep.

    Attributes:
        path: its folder or address.
        identity: of the sweep.
        axes: the names of the axes.
        members: of all cells together.
        complete: whether all cells are finished.
        steps_saved: member-steps that early stopping left out, of all requests.
        cells: in the order of the axes, the last fastest.
    """

    path: str
    identity: str
    axes: tuple[str, ...]
    members: int
    complete: bool
    steps_saved: int
    cells: tuple[CellOverview, ...]

    def table(self, most: int = 60) -> tuple[list[str], list[list[str]]]:
        """Headers and rows of a table of (at most so many) cells."""
        shown = [name for name in _COLUMNS if any(name in cell.estimates for cell in self.cells)]
        headers = [*self.axes, "phase", *(_COLUMNS[name] for name in shown)]
        rows = [
            [
                *cell.labels,
                cell.phase,
                *(estimate_text(cell.estimates.get(name)) for name in shown),
            ]
            for cell in self.cells[:most]
        ]
        return headers, rows


def overview_of_sweep(sweep: Sweep) -> SweepOverview:
    """Look at all cells of a sweep."""
    cells: list[CellOverview] = []
    summary = sweep.summary
    for place in sorted(sweep.cells):
        cell = summary.isel(dict(zip(sweep.names, place, strict=True)))
        code = float(cell["phase"]) if "phase" in cell else math.nan
        cells.append(
            CellOverview(
                tuple(point_text(a.points[i][:1]) for a, i in zip(sweep.axes, place, strict=True)),
                sweep.settings(place),
                sweep.cells[place],
                "" if math.isnan(code) else PHASES[int(code)],
                sweep.estimates[place],
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
    )


def estimate_text(estimate: Estimate | None) -> str:
    """An estimate for a table: a dash where there is none, words where it is not reached."""
    if estimate is None or math.isnan(estimate.value):
        return "-"
    value = "not reached" if math.isinf(estimate.value) else format_number(estimate.value)
    if math.isinf(estimate.low) and math.isinf(estimate.high):
        return value
    return f"{value} [{format_number(estimate.low)}, {format_number(estimate.high)}]"
