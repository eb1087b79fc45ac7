"""Schedules: the steps at which measures are taken or networks are stored.

A schedule does not depend on the length of a run, so a longer run has all points of a shorter one. Every
schedule includes the initial and the final state.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from grokscope.errors import InputError

__all__ = ["Schedule"]

_EVERY = re.compile(r"every (\d+) (steps?|epochs?)")
_LOG = re.compile(r"log(?: (\d+))?")
# More points than this are a mistake ('every 1 steps' of 10^12 steps, say).
_MOST_POINTS = 10_000_000
_MOST_PER_DECADE = 100_000
# 'epochs' of online training, where every step would be an epoch. Independent of the length, like the others.
_ONLINE = "log 64"
_ALLOWED = (
    "'epochs', 'every 10 epochs', 'every 5 steps', 'log' (32 points a decade of epochs), 'log 12', "
    "'ends', or a list of steps"
)


@dataclass(frozen=True)
class Schedule:
    """A set of steps, as the union of pieces. ``|`` joins two schedules.

    Attributes:
        pieces: texts (``epochs``, ``every 10 epochs``, ``every 5 steps``, ``log``, ``log 12``, ``ends``) or
            steps (negative: counted from the end, -1 is the final state).

    Raises:
        InputError: if a piece is none of these.

    Example:
        >>> Schedule.parse("every 2 epochs").points(steps_per_epoch=32, n_steps=160).tolist()
        [0, 64, 128, 160]
        >>> (Schedule.parse("ends") | Schedule.parse([64])).points(32, 160).tolist()
        [0, 64, 160]
    """

    pieces: tuple[str | int, ...]

    def __post_init__(self) -> None:
        for piece in self.pieces:
            if isinstance(piece, int):
                continue
            if piece in ("epochs", "ends"):
                continue
            match = _EVERY.fullmatch(piece) or _LOG.fullmatch(piece)
            if match is None or int(match[1] or 1) == 0:
                raise InputError(f"schedule: '{piece}' is not known. Allowed: {_ALLOWED}.")
            if piece.startswith("log") and int(match[1] or 1) > _MOST_PER_DECADE:
                raise InputError(f"schedule: '{piece}': at most {_MOST_PER_DECADE} points a decade.")

    @classmethod
    def parse(cls, value: Schedule | str | int | list[str | int] | tuple[str | int, ...]) -> Schedule:
        """Read a schedule from a spec: one piece or a list of pieces."""
        if isinstance(value, Schedule):
            return value
        pieces = tuple(value) if isinstance(value, list | tuple) else (value,)
        if all(type(piece) in (str, int) for piece in pieces):
            return cls(pieces)
        raise InputError(f"schedule: {value!r} is not known. Allowed: {_ALLOWED}.")

    def __or__(self, other: Schedule) -> Schedule:
        return Schedule(self.pieces + tuple(p for p in other.pieces if p not in self.pieces))

    def points(self, steps_per_epoch: int, n_steps: int, *, online: bool = False) -> np.ndarray:
        """The sorted steps, including 0 and ``n_steps``; int64 [point].

        Args:
            steps_per_epoch: updates of an epoch.
            n_steps: length of the run.
            online: whether there are no epochs; ``epochs`` is then ``log 64``, in steps.

        Raises:
            InputError: if there are more than 10 million.
        """
        steps = {0, n_steps}
        for piece in self.pieces:
            replaced = _ONLINE if online and piece == "epochs" else piece
            steps.update(_steps(replaced, steps_per_epoch, n_steps))
        return np.array(sorted(step for step in steps if 0 <= step <= n_steps), dtype=np.int64)


def _regular(piece: str | int, every: int, n_steps: int) -> range:
    points = range(0, n_steps + 1, every)
    if n_steps // every > _MOST_POINTS:
        raise InputError(
            f"schedule: '{piece}' makes {n_steps // every} points of {n_steps} steps; at most {_MOST_POINTS}."
        )
    return points


def _steps(piece: str | int, steps_per_epoch: int, n_steps: int) -> Iterable[int]:
    if isinstance(piece, int):
        return [piece if piece >= 0 else n_steps + 1 + piece]
    if piece == "ends":
        return []
    if piece == "epochs":
        return _regular(piece, steps_per_epoch, n_steps)
    if match := _EVERY.fullmatch(piece):
        unit = steps_per_epoch if match[2].startswith("epoch") else 1
        return _regular(piece, int(match[1]) * unit, n_steps)
    match = _LOG.fullmatch(piece)
    per_decade = int(match[1] or 32) if match else 32
    last = max(1, n_steps // steps_per_epoch)
    count = math.ceil(per_decade * math.log10(last)) + 1
    epochs = {round(10 ** (i / per_decade)) for i in range(count + 1)}
    return [epoch * steps_per_epoch for epoch in epochs]
