"""``grokscope report``: write an HTML page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from grokscope.cli import options
from grokscope.cli import output as out


def report(
    path: options.ResultPath,
    other: Annotated[Path | None, typer.Argument(metavar="[RUN_B]", help="A run to compare with.")] = None,
    to: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE.html", help="The file. Default: report.html in the folder."),
    ] = None,
    plugin: options.Plugin = None,
    json: options.Json = False,
) -> None:
    """Write an HTML page about a run, a sweep or a reproduction.

    The page is one file and loads nothing else.
    """
    with out.json_only(json):
        options.load_plugins(plugin)
        from grokscope.report import write_report

        file = write_report(path, other, out=to)
        out.result(json, {"path": file}, f"{file}: written")
