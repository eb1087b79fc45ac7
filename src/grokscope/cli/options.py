"""Arguments and options that several commands share, and the steps that go with them."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from grokscope.errors import InputError

if TYPE_CHECKING:
    from grokscope.runs import Run
    from grokscope.store.folder import Holding

_LONG_SECONDS = 3600.0  # work that takes longer needs --yes or an answer

RunPath = Annotated[
    Path, typer.Argument(metavar="RUN", help="A run folder, or a folder that contains exactly one run.")
]
ResultPath = Annotated[
    Path,
    typer.Argument(
        metavar="RUN|SWEEP|OUTPUT",
        help="The folder of a run, sweep or contest, the output of reproduce, or a folder of these.",
    ),
]
RunFolder = Annotated[
    Path | None,
    typer.Option("--out", metavar="DIR", help="Where to write the run. Default: runs/<task>-<identity>."),
]
Set = Annotated[
    list[str] | None, typer.Option("--set", metavar="a.b=c", help="Change a value of the spec; repeatable.")
]
Seeds = Annotated[
    str | None,
    typer.Option(
        "--seeds",
        metavar="S",
        help="A count (5), a list (5,9,20:30), or a list per stream (init=0;data=0:50).",
    ),
]
Plugin = Annotated[
    list[Path] | None,
    typer.Option(
        "--plugin",
        metavar="FILE.py",
        help="Import parts of your own from this file; the file is executed. Repeatable.",
    ),
]
OtherNumerics = Annotated[
    bool,
    typer.Option(
        "--allow-other-numerics",
        help="Continue a run from another machine or other versions; the result is marked.",
    ),
]
ChangedCode = Annotated[
    bool,
    typer.Option(
        "--allow-changed-code",
        help="Continue although the code of a part from a plug-in has changed; the result is marked.",
    ),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before long work.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print the plan and stop.")]
FullTable = Annotated[
    bool,
    typer.Option("--full", help="Claims with sentences, sources, settings and notes; else a line each."),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]


def load_plugins(files: Sequence[Path] | None) -> None:
    """Import the files given by ``--plugin``."""
    if files:
        from grokscope.spec.parts import load_plugin

        for file in files:
            load_plugin(file)


def load_run(path: Path, plugins: Sequence[Path] | None) -> Run:
    """Open a run after importing the plug-ins that its experiment may use."""
    load_plugins(plugins)
    from grokscope import runs

    return runs.open_run(path)


def holding(path: Path) -> Holding:
    """What is at a path: a run, a sweep, a contest, a reproduction or another folder."""
    if str(path).startswith("s3:"):
        from grokscope import sweeps

        return "sweep" if sweeps.is_sweep(path) else "run"
    # importing `grokscope.sweeps` for a local path would take a second
    from grokscope.store.folder import holding as holding_of

    return holding_of(path)


def holds_one_run(path: Path) -> bool:
    """Whether a path is a run, or a folder with nothing but one run in it."""
    kind = holding(path)
    if kind in ("run", "sweep", "contest"):
        return kind == "run"
    from grokscope.store.folder import is_run, results_in

    found = results_in(path)
    return not found or (len(found) == 1 and is_run(found[0]))


def confirm(seconds: float, yes: bool, *, warning: str = "", advice: str = "") -> None:
    """Ask before work of more than an hour, or before any work with a warning.

    Args:
        seconds: the expected time.
        yes: whether ``--yes`` was given; then nothing is asked.
        warning: replaces the expected time in the question.
        advice: added to the error, behind the advice to give ``--yes``.

    Raises:
        InputError: if the process has no terminal to ask on.
        typer.Abort: if the answer is no.
    """
    from grokscope.progress import duration

    if yes or (seconds <= _LONG_SECONDS and not warning):
        return
    reason = warning or f"this takes about {duration(seconds)} here"
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise InputError(f"{reason}: add --yes to go on{advice}.")
    typer.confirm(f"{reason}; go on?", abort=True, err=True)
