"""``grokscope runs``: list runs and sweeps."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from grokscope.cli import options
from grokscope.cli import output as out
from grokscope.errors import InputError


def runs(
    folder: Annotated[
        Path | None, typer.Argument(metavar="[DIR]", help="The folder to search. Default: runs.")
    ] = None,
    plugin: options.Plugin = None,
    json: options.Json = False,
) -> None:
    """List the runs and sweeps under a folder."""
    with out.json_only(json):
        options.load_plugins(plugin)
        from grokscope.runs import list_runs
        from grokscope.sweeps import list_sweeps

        if folder is not None and not folder.is_dir():
            raise InputError(f"{folder}: there is no such folder.")
        place = folder or "runs"
        found, sweeps = list_runs(place), list_sweeps(place)
        if json:
            out.document([*found, *sweeps])
            return
        if not found and not sweeps:
            out.note(f"grokscope: no runs under {place}")
            return
        rows = [
            (
                *(run.path, run.identity[:8], run.task, run.steps),
                run.problem or f"{run.complete} of {run.members} complete",
            )
            for run in found
        ]
        rows += [
            (
                *(sweep.path, sweep.identity[:8], f"sweep of {sweep.task} over {', '.join(sweep.axes)}"),
                *(sweep.steps, sweep.problem or f"{sweep.complete} of {sweep.cells} cells complete"),
            )
            for sweep in sweeps
        ]
        out.table(("run", "identity", "task", "steps", "members"), rows)
