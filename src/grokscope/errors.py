"""The errors a user can cause or meet, each with the exit code of the command line.

Everything else that is raised is a fault of ours and ends with exit code 1 and, on request, a traceback.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = ["GrokscopeError", "InputError", "Interrupted", "StoreError", "did_you_mean"]


class GrokscopeError(Exception):
    """The base of all errors with a message made for the user (one or two lines)."""

    exit_code = 1


class InputError(GrokscopeError):
    """The command, the spec or an input file is invalid."""

    exit_code = 2


class StoreError(GrokscopeError):
    """The disk, a permission, or damage to stored results."""

    exit_code = 1


class Interrupted(GrokscopeError):
    """The work was stopped by SIGINT or SIGTERM; what was committed is kept."""

    exit_code = 130


def did_you_mean(word: str, allowed: Iterable[str]) -> str:
    """Return `` Did you mean 'x'?`` for the closest allowed word, or an empty string.

    Example:
        >>> did_you_mean("sparse_partiy", ["sparse_parity", "arrays"])
        " Did you mean 'sparse_parity'?"
    """
    close = difflib.get_close_matches(word, list(allowed), n=1, cutoff=0.6)
    return f" Did you mean '{close[0]}'?" if close else ""
