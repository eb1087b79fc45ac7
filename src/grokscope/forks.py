"""Forked processes: refuse libraries whose threads a fork does not copy, as their next call would hang."""

from __future__ import annotations

import os

from grokscope.errors import InputError

__all__ = ["uses_threads"]

_started: set[str] = set()
_lost: set[str] = set()


def uses_threads(library: str) -> None:
    """Note that a library with threads is about to work in this process.

    Raises:
        InputError: if it has worked in the process that this one was forked from.
    """
    if library in _lost:
        raise InputError(
            f"{library} has worked before this process was forked, and would hang here, because a fork does "
            "not copy its threads. Start processes with multiprocessing.get_context('spawn')."
        )
    _started.add(library)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=lambda: _lost.update(_started))
