"""Errors with a message for the user, each with an exit code of the command line.

Any other exception is a bug of grokscope; the command line reports it as an internal error with exit code 1.
"""

from __future__ import annotations

import contextlib
import difflib
import sys
import warnings
from collections.abc import Generator, Iterable

__all__ = [
    "GrokscopeError",
    "InputError",
    "PartError",
    "StoreError",
    "did_you_mean",
    "flag",
    "option",
    "run_again",
    "said",
    "speaking_commands",
    "tell",
]

_speaks_commands = False


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


def said(*, command: str, python: str) -> str:
    """The piece of a message that says what to do: in commands on the command line, else in Python.

    Example:
        >>> said(command="add --force", python="add force=True")
        'add force=True'
        >>> with speaking_commands():
        ...     said(command="add --force", python="add force=True")
        'add --force'
    """
    return command if _speaks_commands else python


def option(name: str) -> str:
    """An option's name in a message: ``--allow-other-numerics``; in Python the argument's name.

    Example:
        >>> option("torch-module")
        'torch_module'
    """
    return said(command=f"--{name}", python=name.replace("-", "_"))


def flag(name: str) -> str:
    """An option without a value in a message: ``--force``; in Python the argument ``force=True``.

    Example:
        >>> flag("allow-other-numerics")
        'allow_other_numerics=True'
    """
    return option(name) + said(command="", python="=True")


def run_again() -> str:
    """The piece of a message that says how to go on after an interruption."""
    return said(command="run the same command again", python="make the same call again")


@contextlib.contextmanager
def speaking_commands() -> Generator[None]:
    """While active, messages name commands and options (the user of this process is at the command line)."""
    global _speaks_commands
    before = _speaks_commands
    _speaks_commands = True
    try:
        yield
    finally:
        _speaks_commands = before


def tell(text: str) -> None:
    """Say a line that is no error: on stderr if the user is at the command line, else as a Python warning."""
    if _speaks_commands:
        print(f"grokscope: {text}", file=sys.stderr, flush=True)
    else:
        warnings.warn(text, stacklevel=3)
