"""``grokscope runs``: list runs and sweeps."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from grokscope.cli import options
from grokscope.cli import output as out


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
        from grokscope.progress import RichProgress
        from grokscope.sweeps import list_runs

        place = folder or "runs"
        with RichProgress() as progress:
            found = list_runs(place, progress)
        if json:
            out.document(found)
            return
        if not found:
            out.note(f"grokscope: no runs under {place}")
            return
        out.table(*found.table())
