"""Engines: who does the tasks of a sweep. The interface, and this process as the first of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from grokscope.errors import InputError
from grokscope.progress import Progress
from grokscope.sweeps._task import Report, Task
from grokscope.sweeps._work import do_task

__all__ = ["ENGINES", "Engine", "LocalEngine", "engine_named"]

ENGINES = ("local",)


class Engine(Protocol):
    """Does tasks, in any order, each at least once, until all are done.

    A task is idempotent: what of it is finished is not done again, and the bits do not depend on who does it.
    """

    #: limits on a task, for `grokscope.sweeps._plan.tasks_of`; None for no limit of its own
    most_members: int | None
    most_seconds: float | None

    def run(self, tasks: Sequence[Task], progress: Progress, done: Callable[[Task, Report], None]) -> None:
        """Do all tasks.

        Args:
            tasks: what to do.
            progress: its `advance` is told of member-steps done.
            done: told of each task when it is finished, in this process and thread.

        Raises:
            GrokscopeError: if a task cannot be done.
        """
        ...


class LocalEngine:
    """This process, on all its devices, one task after the other."""

    most_members: int | None = None
    most_seconds: float | None = None

    def run(self, tasks: Sequence[Task], progress: Progress, done: Callable[[Task, Report], None]) -> None:
        """Do all tasks."""
        for task in tasks:
            done(task, do_task(task, progress))


def engine_named(name: str) -> Engine:
    """The engine of a name: ``local``, which is this process with all its devices.

    Raises:
        InputError: for another name.
    """
    if name != "local":
        raise InputError(f"engine '{name}' is not known. Known: {', '.join(ENGINES)}.")
    return LocalEngine()
