"""The errors that a user can cause or must be told about, and the hint for mistyped names.

Every error here carries the exit code that the command line ends with. Messages are one or two
lines: the field or file, its value, and what is allowed.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = ["GrokscopeError", "InputError", "Interrupted", "StoreError", "did_you_mean"]


class GrokscopeError(Exception):
    """The base of all errors that grokscope reports without a traceback."""

    exit_code = 1


class InputError(GrokscopeError):
    """The command, the spec or an input file is invalid."""

    exit_code = 2


class StoreError(GrokscopeError):
    """A run's store cannot be read or written: disk, permission, damage, or a second writer."""

    exit_code = 1


class Interrupted(GrokscopeError):  # noqa: N818 - it is the user's wish, not a fault
    """The work was interrupted (SIGINT or SIGTERM); all committed work is kept."""

    exit_code = 130


def did_you_mean(word: str, allowed: Iterable[str]) -> str:
    """Return `` Did you mean 'x'?`` for the allowed name nearest to `word`, or an empty string.

    Example:
        >>> did_you_mean("sparse_party", ["sparse_parity", "arrays"])
        " Did you mean 'sparse_parity'?"
        >>> did_you_mean("zzz", ["sparse_parity", "arrays"])
        ''
    """
    near = difflib.get_close_matches(word, list(allowed), n=1)
    return f" Did you mean {near[0]!r}?" if near else ""
