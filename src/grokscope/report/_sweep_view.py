"""A sweep as the page has it: a map of its cells, and the curves of each."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from grokscope.report._curves import Curves

if TYPE_CHECKING:
    from grokscope.statistics import Estimate
    from grokscope.sweeps import Sweep, SweepOverview

__all__ = ["SweepView", "sweep_view"]

_MEASURES = frozenset(
    (
        "train_accuracy",
        "test_accuracy",
        "test_accuracy_large",
        "train_loss",
        "test_loss",
        "effective_sparsity",
    )
)
_MOST_CELLS = 300  # whose curves are on the page
_MOST_POINTS = 90  # of a curve
# What the map can show: name of the estimate, words, whether it is a share, whether it is a time.
_QUANTITIES = {
    "share_grokked": ("share that generalized", "share"),
    "grokking_step": ("grokking step", "time"),
    "delay": ("delay, steps", "time"),
    "share_memorized": ("share that memorized", "share"),
    "share_diverged": ("share that diverged", "share"),
    "final_test_accuracy": ("final test accuracy", "share"),
    "final_effective_sparsity": ("final effective sparsity", "time"),
}


@dataclass(frozen=True, eq=False)
class SweepView:
    """A sweep on a page.

    Attributes:
        axes: names, and the labels along each.
        cells: as plain values: place, name, phase, estimates, and the position of its curves or None.
        phases: all that a cell can be in.
        curves: of the cells, as many as fit.
        table: headers and rows, for readers without scripts.
    """

    axes: tuple[tuple[str, tuple[str, ...]], ...]
    cells: tuple[dict[str, Any], ...]
    phases: tuple[str, ...]
    curves: tuple[Curves, ...]
    table: tuple[list[str], list[list[str]]]

    def data(self) -> dict[str, Any]:
        """What the page's script is given, besides the curves."""
        have = {name for cell in self.cells for name in cell["values"]}
        return {
            "axes": [{"name": name, "labels": list(labels)} for name, labels in self.axes],
            "cells": list(self.cells),
            "phases": list(self.phases) if any(cell["phase"] for cell in self.cells) else [],
            "quantities": [
                {"id": name, "words": words, "kind": kind}
                for name, (words, kind) in _QUANTITIES.items()
                if name in have
            ],
        }


def sweep_view(sweep: Sweep, overview: SweepOverview, most_rows: int) -> SweepView:
    """Read what the page shows of a sweep.

    Args:
        sweep: to read.
        overview: of the same.
        most_rows: of the table.
    """
    from grokscope.errors import GrokscopeError
    from grokscope.sweeps import PHASES, point_text

    curves: list[Curves] = []
    cells: list[dict[str, Any]] = []
    for place, cell in zip(sorted(sweep.cells), overview.cells, strict=True):
        name = ", ".join(f"{axis} {label}" for axis, label in zip(overview.axes, cell.labels, strict=True))
        own = None
        if len(curves) < _MOST_CELLS:
            try:
                curves.append(Curves(sweep.run(place), name, only=_MEASURES, points=_MOST_POINTS))
                own = len(curves) - 1
            except GrokscopeError:  # not begun yet
                own = None
        cells.append(
            {
                "place": list(place),
                "name": name,
                "phase": cell.phase,
                "values": {
                    key: _plain(one) for key, one in cell.estimates.items() if not math.isnan(one.value)
                },
                "curves": own,
            }
        )
    axes = tuple(
        (name, tuple(point_text(point[:1]) for point in axis.points))
        for name, axis in zip(overview.axes, sweep.axes, strict=True)
    )
    return SweepView(axes, tuple(cells), PHASES, tuple(curves), overview.table(most_rows))


def _plain(estimate: Estimate) -> list[float | int | None]:
    """Value, low, high and number of members; null for what is not finite."""
    ends = (estimate.value, estimate.low, estimate.high)
    return [*(end if math.isfinite(end) else None for end in ends), estimate.n]
