"""How an engine of many workers deals out tasks: their size, their order, and what is done about lost ones.

Nothing here knows of an engine: the engine, its tests and the simulation in ``benchmarks/scheduler.py`` use
the same rules.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from grokscope.sweeps.task import Task

__all__ = ["MOST_TRIES", "longest_first", "task_seconds"]

MOST_TRIES = 5  # of one task, whose workers or nodes are lost under it
_LONGEST, _SHORTEST = 600.0, 30.0  # seconds of a task on one core
_PER_WORKER = 8

T = TypeVar("T", bound=Task)


def task_seconds(total: float, workers: int, shortest: float = _SHORTEST) -> float:
    """How long a task should take at most.

    Short enough that every worker gets several, so that all end at about the same time; long enough that
    starting and compiling do not count; and never long, since what a lost worker did since its last commit is
    done again.

    Args:
        total: predicted seconds of all tasks, on one core.
        workers: how many there are.
        shortest: below which a task is not cut further.

    Example:
        >>> task_seconds(36_000.0, workers=10), task_seconds(3.6e8, workers=1000)
        (450.0, 600.0)
    """
    return min(_LONGEST, max(shortest, total / (_PER_WORKER * max(workers, 1))))


def longest_first(tasks: Sequence[T]) -> list[T]:
    """The order in which tasks are handed out: what takes long must not begin last."""
    return sorted(tasks, key=lambda task: -task.cost)
