"""The command line: one file per command, each of which parses, calls the library and prints.

``app.py`` lists the commands, ``guard.py`` turns errors and signals into exit codes, ``output.py`` prints,
``options.py`` holds options that several commands share. No command imports jax, xarray or rich before it
runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from grokscope.interrupts import end_on_signals

if TYPE_CHECKING:
    import typer

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code. The console script calls this.

    Args:
        arguments: the words after the program's name. By default those of the process, which then ends here.

    Returns:
        0 done; 1 disk, damage or an internal error; 2 an invalid command or input; 130 interrupted.

    Example:
        >>> main(["--version"])
        grokscope 0.1.0
        0
    """
    if arguments is None:
        end_on_signals()  # until the guard takes over
    from grokscope.cli.guard import end_process, open_closed_streams, run_guarded

    if arguments is None:
        open_closed_streams()
    code = run_guarded(_load_app, arguments)
    if arguments is None:
        end_process(code)
    return code


def _load_app() -> typer.Typer:
    from grokscope.cli.app import app

    return app
