"""Errors with a message for the user, each with an exit code of the command line.

Any other exception is a bug of grokscope; the command line reports it as an internal error with exit code 1.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = ["GrokscopeError", "InputError", "PartError", "StoreError", "did_you_mean"]


class GrokscopeError(Exception):
    """Base class of all errors with a message for the user (one or two lines)."""

    exit_code = 1


class InputError(GrokscopeError):
    """The command, the spec or an input file is invalid."""

    exit_code = 2


class PartError(InputError):
    """A user's part (a plug-in's learner or measure, say) fails or does not keep its contract."""


class StoreError(GrokscopeError):
    """Stored results cannot be read or written, or are damaged."""

    exit_code = 1


def did_you_mean(word: str, allowed: Iterable[str]) -> str:
    """Return `` Did you mean 'x'?`` for the closest allowed word, or an empty string.

    Example:
        >>> did_you_mean("sparse_partiy", ["sparse_parity", "arrays"])
        " Did you mean 'sparse_parity'?"
    """
    close = difflib.get_close_matches(word, list(allowed), n=1, cutoff=0.6)
    return f" Did you mean '{close[0]}'?" if close else ""
