"""A task: some cells of one shape, to be trained by one process; and what it reports.

Both are plain data, so that an engine can send them to another machine.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from grokscope.spec.streams import Seeds

__all__ = ["CellTask", "Report", "Task"]


@dataclass(frozen=True)
class CellTask:
    """One cell of a task.

    Attributes:
        name: of its folder.
        identity: of its experiment; a worker whose spec gives another one refuses.
        settings: what differs from the base, by key.
    """

    name: str
    identity: str
    settings: dict[str, Any]


@dataclass(frozen=True)
class Task:
    """What a worker needs to know; it finds the rest in the store.

    Attributes:
        number: of the task in its sweep.
        place: the sweep's folder or address.
        base: the base experiment as TOML.
        cells: of one shape.
        seeds: of every cell, for each member (init, data, order, noise).
        most_members: the size that the program is made for, the same in all tasks of one shape.
        steps: updates per member.
        cost: predicted seconds on one core.
        numerics: the fingerprint to be worked under; None takes the worker's.
        allow_other_numerics: go on under another one, and mark the cells.
        plugins: the user's own parts, as (file name, source).
        command: what the user typed, for the provenance.
    """

    number: int
    place: str
    base: str
    cells: tuple[CellTask, ...]
    seeds: tuple[Seeds, ...]
    most_members: int
    steps: int
    cost: float
    numerics: dict[str, Any] | None = None
    allow_other_numerics: bool = False
    plugins: tuple[tuple[str, str], ...] = ()
    command: tuple[str, ...] = ()


@dataclass(frozen=True)
class Report:
    """What became of a task.

    Attributes:
        number: of the task.
        numerics: the fingerprint of the process.
        refused: how that differs from what was asked for; nothing was done then.
        seconds: wall time.
        steps_run: member-steps that were trained now.
        steps_saved: member-steps that early stopping left out.
        host: where it was done.
    """

    number: int
    numerics: dict[str, Any]
    refused: list[str] = field(default_factory=list[str])
    seconds: float = 0.0
    steps_run: int = 0
    steps_saved: int = 0
    host: str = ""
