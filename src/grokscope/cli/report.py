"""``grokscope report``: write an HTML page."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from grokscope.cli import options
from grokscope.cli import output as out
from grokscope.errors import GrokscopeError, InputError

_LOOK_SECONDS = 1.0  # between looks whether the run is complete


def report(
    path: options.ResultPath,
    other: Annotated[Path | None, typer.Argument(metavar="[RUN_B]", help="A run to compare with.")] = None,
    to: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE.html", help="The file. Default: report.html in the folder."),
    ] = None,
    watch: Annotated[
        bool,
        typer.Option("--watch", help="Serve the page of a run on this machine until the run is complete."),
    ] = False,
    plugin: options.Plugin = None,
    json: options.Json = False,
) -> None:
    """Write an HTML page about a run, a sweep or a reproduction.

    The page is one file and loads nothing else. With --watch it is first served while another process trains
    or records the run, and follows its commits.
    """
    with out.json_only(json):
        options.load_plugins(plugin)
        from grokscope.report import write_report

        if watch:
            _watch(path, other)
        file = write_report(path, other, out=to)
        out.result(json, {"path": file}, f"{file}: written")


def _watch(path: Path, other: Path | None) -> None:
    """Serve the page of a run, which another process writes, until the run is complete."""
    from grokscope.report import LiveReport
    from grokscope.runs import open_run
    from grokscope.store.folder import holding

    if other is not None or holding(path) not in ("run", "other"):
        raise InputError("--watch: is for one run.")
    with LiveReport(path) as live:
        out.note(f"grokscope: watch it at {live.address}")
        while True:
            with suppress(GrokscopeError):  # not begun yet
                if open_run(path).is_complete:
                    break
            time.sleep(_LOOK_SECONDS)
        live.let_it_end()
