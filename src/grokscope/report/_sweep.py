"""The page of a sweep: its figures, a table of its cells, where the numbers come from."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from grokscope.report._figures import ReportFigure
from grokscope.report._page import write_page
from grokscope.report._provenance import RunInfo
from grokscope.report._sweep_view import SweepView, sweep_view

if TYPE_CHECKING:
    from grokscope.sweeps import Sweep, SweepOverview

__all__ = ["finish_sweep", "report_sweep"]

_MOST_ROWS = 200


def finish_sweep(sweep: Sweep) -> Path | None:
    """Draw the figures of a sweep into its folder and write its page; None for one in a bucket.

    Raises:
        StoreError: if something cannot be written.
    """
    if not isinstance(sweep.path, Path):
        return None
    return report_sweep(sweep, sweep.path / "report.html", figures=sweep.path / "figures")


def report_sweep(sweep: Sweep, to: Path, figures: Path | None = None) -> Path:
    """Write the page of a sweep.

    Args:
        sweep: with at least one cell that has results.
        to: the page.
        figures: a folder for the figures as files, too; None writes none.

    Raises:
        StoreError: if it cannot be written.
    """
    from grokscope.plots.save import render, save_figure
    from grokscope.sweeps import overview_of_sweep, sweep_figures

    command = f"grokscope report {shlex.quote(str(sweep.path))}"
    overview = overview_of_sweep(sweep)
    drawn: list[ReportFigure] = []
    for name, title, figure in sweep_figures(sweep, command):
        files = save_figure(figure, figures, name) if figures is not None else render(figure, ("svg",))
        drawn.append(ReportFigure(name, title, files["svg"]))
    return write_page(
        to,
        sweep.experiment.name or sweep.path.name,
        kicker="grokscope sweep",
        lead=_lead(sweep, overview),
        command=command,
        sweep=sweep_view(sweep, overview, _MOST_ROWS),
        figures=drawn,
        runs=[sweep_info(sweep)],
    )


def sweep_shown(sweep: Sweep) -> SweepView:
    """What a page shows of a sweep, on a page that is not its own."""
    from grokscope.sweeps import overview_of_sweep

    return sweep_view(sweep, overview_of_sweep(sweep), _MOST_ROWS)


def sweep_info(
    sweep: Sweep, name: str = "the base experiment, which the cells change", sentence: str = ""
) -> RunInfo:
    """Where the numbers of a sweep come from."""
    return RunInfo(
        name,
        f"{len(sweep.members)} in each cell",
        sweep.experiment.to_toml() if isinstance(sweep.path, Path) else "",
        {key: value for key, value in sweep.provenance.items() if key != "requests"},
        sentence,
    )


def _lead(sweep: Sweep, overview: SweepOverview) -> str:
    axes = ", ".join(
        f"{name} ({len(axis)} values)" for name, axis in zip(sweep.names, sweep.axes, strict=True)
    )
    state = "complete" if overview.complete else "unfinished"
    text = f"Over {axes}: {len(overview.cells)} cells, {overview.members} members, {state}."
    if overview.steps_saved:
        text += f" Early stopping left out {overview.steps_saved:,} member-steps."
    return text
