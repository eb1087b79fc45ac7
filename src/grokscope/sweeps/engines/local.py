"""Engines: who does the tasks of a sweep. The interface, and this process as the first of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from grokscope.errors import InputError, did_you_mean
from grokscope.progress import Progress
from grokscope.sweeps.task import Report, Task
from grokscope.sweeps.work import do_task

__all__ = ["ENGINES", "Engine", "LocalEngine", "engine_named"]

ENGINES = ("local", "ray")


class Engine(Protocol):
    """Does tasks, in any order, each at least once, until all are done.

    A task is idempotent: what of it is finished is not done again, and the bits do not depend on who does it.
    """

    @property
    def workers(self) -> int | None:
        """How many members are worked on at the same time; None: as many as this machine can."""
        ...

    def limits(self, seconds: float) -> tuple[int | None, float | None]:
        """The most members, and the most seconds on one core, of a task; None for no limit of its own.

        Args:
            seconds: predicted for the whole sweep, on one core.
        """
        ...

    def numerics(self, task: Task) -> dict[str, Any] | None:
        """The fingerprint that a new sweep is to be made under; None: the first report's."""
        ...

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

    def close(self) -> None:
        """Let go of whatever does the work. May be called twice."""
        ...


class LocalEngine:
    """This process, on all its devices, one task after the other."""

    workers: int | None = None

    def limits(self, seconds: float) -> tuple[int | None, float | None]:
        """None: a task is as large as the memory allows."""
        return None, None

    def numerics(self, task: Task) -> dict[str, Any] | None:
        """Those of this process, as the first report says."""
        return None

    def run(self, tasks: Sequence[Task], progress: Progress, done: Callable[[Task, Report], None]) -> None:
        """Do all tasks."""
        for task in tasks:
            done(task, do_task(task, progress))

    def close(self) -> None:
        """Nothing is held."""


def engine_named(name: str, address: str | None = None) -> Engine:
    """The engine of a name.

    Args:
        name: ``local``, this process with all its devices; or ``ray``, the machines of a Ray cluster.
        address: of the cluster: ``auto`` (the one that this machine belongs to; also what None means),
            ``HOST:PORT``, ``ray://HOST:PORT`` (for a machine that does not belong to it), or ``local`` (one
            is started here, and stopped with the engine).

    Raises:
        InputError: for another name, an address that is not for it, a cluster that does not answer, or if Ray
            is not installed.
    """
    if name == "local":
        if address is not None:
            raise InputError(f"--address {address}: is for --engine ray.")
        return LocalEngine()
    if name != "ray":
        raise InputError(
            f"engine '{name}' is not known.{did_you_mean(name, ENGINES)} Known: {', '.join(ENGINES)}."
        )
    from grokscope.sweeps.engines.ray import RayEngine

    return RayEngine.connected(address or "auto")
