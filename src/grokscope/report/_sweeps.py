"""Sweeps and contests on the page: the map of a sweep's cells, the standings of a contest."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grokscope.report._arrays import Table
from grokscope.report._curves import Curves
from grokscope.report._provenance import RunInfo
from grokscope.statistics import format_number

if TYPE_CHECKING:
    import xarray as xr

    from grokscope.statistics import Estimate
    from grokscope.sweeps import Contest, Standing, Sweep, SweepOverview

__all__ = [
    "SweepView",
    "cell_times",
    "contest_lead",
    "standing_text",
    "sweep_info",
    "sweep_lead",
    "sweep_view",
]

_ACCURACIES = ("train_accuracy", "test_accuracy", "test_accuracy_large")
_TOLERANCES = tuple(f"{split}_tolerance_accuracy" for split in ("train", "test", "population"))
_LOSSES = ("train_loss", "test_loss", "population_loss")
_MEASURES = frozenset((*_ACCURACIES, "population_accuracy", *_TOLERANCES, *_LOSSES, "effective_sparsity"))
_MOST_CELLS = 300  # whose curves are on the page
_MOST_POINTS = 90  # of a curve
_MOST_ROWS = 200  # of the table of cells
# Quantities of the map: name of the estimate, its words, and whether it is a share or a time.
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
    """A sweep on a page: a map of its cells, and the curves of each.

    Attributes:
        axes: names, and the labels along each.
        cells: as plain values: place, name, phase, estimates, times of events, and the position of its curves
            or None.
        phases: all phases there are.
        curves: of the cells, as many as fit.
        table: of the cells, for readers without scripts.
    """

    axes: tuple[tuple[str, tuple[str, ...]], ...]
    cells: tuple[dict[str, Any], ...]
    phases: tuple[str, ...]
    curves: tuple[Curves, ...]
    table: Table

    def data(self) -> dict[str, Any]:
        """The numbers for the page's script, besides the curves."""
        from grokscope.sweeps import event_columns

        have = {name: None for cell in self.cells for name in cell["values"]}
        others = {
            name: (f"share with {words}" if name.startswith("share_") else words, _kind(name))
            for name, words in event_columns(have).items()
        }
        timed = dict.fromkeys(name for cell in self.cells for name in cell["times"])
        return {
            "events": [
                {"id": name, "words": name.replace("_", " "), "share": _share_of(name)}
                for name in sorted(timed, key=lambda name: (name != "grokking", name))
            ],
            "axes": [{"name": name, "labels": list(labels)} for name, labels in self.axes],
            "cells": list(self.cells),
            "phases": list(self.phases) if any(cell["phase"] for cell in self.cells) else [],
            "quantities": [
                {"id": name, "words": words, "kind": kind}
                for name, (words, kind) in {**_QUANTITIES, **others}.items()
                if name in have
            ],
        }


def _kind(name: str) -> str:
    return "share" if name.startswith("share_") else "time"


def sweep_view(sweep: Sweep, overview: SweepOverview) -> SweepView:
    """Read the data of a sweep and its overview that the page shows."""
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
                pass
        cells.append(
            {
                "place": list(place),
                "name": name,
                "phase": cell.phase,
                "values": {
                    key: _plain(one) for key, one in cell.estimates.items() if not math.isnan(one.value)
                },
                "times": cell_times(sweep.outcomes.isel(dict(zip(sweep.names, place, strict=True)))),
                "curves": own,
            }
        )
    axes = tuple(
        (name, tuple(point_text(point[:1]) for point in axis.points))
        for name, axis in zip(overview.axes, sweep.axes, strict=True)
    )
    table = Table("The cells, with 95 % intervals", *overview.table(_MOST_ROWS))
    return SweepView(axes, tuple(cells), PHASES, tuple(curves), table)


def _share_of(event: str) -> str:
    """The name of the estimate of the share of members in which an event was seen."""
    return "share_" + {"memorization": "memorized", "grokking": "grokked"}.get(event, event)


def cell_times(outcomes: xr.Dataset) -> dict[str, dict[str, Any]]:
    """The times of each event in a cell as plain values: as many as there are steps, not as members.

    The survival curve is that of Kaplan and Meier; a member that diverged never has the event. ``lost`` has
    the steps after which members were not seen any more, and how many.
    """
    import numpy as np

    from grokscope.statistics import kaplan_meier
    from grokscope.sweeps import times_of

    found: dict[str, dict[str, Any]] = {}
    for name in outcomes:
        event = str(name).removesuffix("_upper")
        if event == str(name) or event == "delay":
            continue
        times = times_of(outcomes, event)
        if not times.n:
            continue
        curve = kaplan_meier(times)
        last = times.lower[~times.observed]
        steps, counts = np.unique(last[np.isfinite(last)], return_counts=True)
        shares = {
            key: [round(one, 4) for one in getattr(curve, key).tolist()]
            for key in ("survival", "low", "high")
        }
        found[event] = {
            "n": times.n,
            "time": curve.time.tolist(),
            "seen": curve.events.tolist(),
            **shares,
            "lost": np.stack([steps, counts], axis=1).tolist(),
        }
    return found


def _plain(estimate: Estimate) -> list[float | int | None]:
    """Value, low, high and number of members; null for what is not finite."""
    ends = (estimate.value, estimate.low, estimate.high)
    return [*(end if math.isfinite(end) else None for end in ends), estimate.n]


def sweep_info(sweep: Sweep, name: str, sentence: str = "") -> RunInfo:
    """Provenance of a sweep."""
    return RunInfo(
        name,
        f"{len(sweep.members)} in each cell",
        sweep.experiment.to_toml() if isinstance(sweep.path, Path) else "",
        {key: value for key, value in sweep.provenance.items() if key != "requests"},
        sentence,
        sweep.remarks,
    )


def sweep_lead(sweep: Sweep, overview: SweepOverview) -> str:
    """Axes and state of a sweep in a sentence."""
    axes = ", ".join(
        f"{name} ({len(axis)} values)" for name, axis in zip(sweep.names, sweep.axes, strict=True)
    )
    state = "complete" if overview.complete else "unfinished"
    text = f"Over {axes}: {len(overview.cells)} cells, {overview.members} members, {state}."
    if overview.steps_saved:
        text += f" Early stopping left out {overview.steps_saved:,} member-steps."
    return text


def standing_text(one: Standing) -> str:
    """The result of a contender in a line."""
    from grokscope.sweeps import estimate_text, settings_text

    versus = "the reference" if one.speedup is None else f"speed-up {estimate_text(one.speedup)}"
    return (
        f"{versus}; grokked {estimate_text(one.share)}; median step {estimate_text(one.step)}; "
        f"chosen: {settings_text(one.chosen)} (tuning score {format_number(one.tuned)} steps)"
        + (f"; {one.ends_text}" if one.ends else "")
    )


def contest_lead(contest: Contest) -> str:
    """Contenders and seeds of a contest in a sentence."""
    first = next(iter(contest.tuning.values()))
    run = next(iter(contest.runs.values()))
    return (
        f"{len(contest.contenders)} contenders, each tuned over {len(first.cells)} settings on "
        f"{len(first.members)} seeds and compared on {len(run.members)} fresh ones. Speed-ups: the "
        "reference's grokking step over the contender's own, paired on seeds."
    )
