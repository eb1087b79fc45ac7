"""The command line: parses, calls, prints. No logic.

`main` is what the console script calls. One file per family of commands (``_papers.py``, ``_runs.py``,
``_files.py``, ``_tools.py``); ``_guard.py`` turns errors and signals into lines and exit codes, ``_print.py``
turns results into tables or JSON. Nothing here imports jax, xarray or rich before a command needs it.
"""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    Args:
        arguments: without the program's name; if not given, those of the process, which then ends.

    Returns:
        0 done, 1 disk, damage or a fault of ours, 2 an invalid command or input, 130 interrupted.

    Example:
        >>> main(["--version"])
        grokscope 0.1.0.dev0
        0
    """
    from grokscope.cli._guard import ended, guarded

    code = guarded(arguments)
    if arguments is None:
        ended(code)
    return code
