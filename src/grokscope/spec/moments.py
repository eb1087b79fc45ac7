"""Moments: a step of a run, given by a number or relative to an event."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from grokscope.errors import InputError, said
from grokscope.spec.events import Event, parse_event

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Moment", "how_to_branch", "parse_moment"]

_FORM = re.compile(
    r"\s*(?:(?P<factor>\d+(?:\.\d+)?)\s*\*\s*)?"
    r"(?P<event>[a-z_]\w*(?:\s*[<>]=?\s*-?\d+(?:\.\d*)?(?:[eE][+-]?\d+)?(?:\s+for\s+\d+)?)?)"
    r"(?:\s*(?P<offset>[+-]\s*\d+))?\s*"
)
_ALLOWED = (
    "a step from 0 on, or an event like 'memorization', 'grokking', 'grokking - 320', '0.5 * grokking' or "
    "'test_accuracy > 0.9 for 3'"
)


@dataclass(frozen=True)
class Moment:
    """A step of a run: factor * (step of the event) + offset, rounded down.

    Attributes:
        event: an event, or ``start`` or ``end`` (of the run); None means step 0.
        factor: factor on the event's step.
        offset: steps added.

    Example:
        >>> parse_moment("0.5 * grokking - 32")
        Moment(event=GROKKING, factor=0.5, offset=-32)
    """

    event: Event | str | None = None
    factor: float = 1.0
    offset: int = 0

    def __repr__(self) -> str:
        event = self.event.name.upper() if isinstance(self.event, Event) else repr(self.event)
        return f"Moment(event={event}, factor={self.factor}, offset={self.offset})"

    def steps(self, measures: xr.Dataset | None, start: np.ndarray, end: np.ndarray) -> np.ndarray:
        """The step in each member, float64 [member]; inf where the event was not seen.

        Args:
            measures: measures of the source run, members in the order of ``start``; None if there is no
                source run (then the moment must be a step, ``start`` or ``end``).
            start: the step at which each member starts, [member].
            end: the step at which each member ends, [member].

        Raises:
            InputError: if the moment needs an event, and there is no source run or it lacks the measure.
        """
        if self.event is None:
            base = np.zeros(len(start))
        elif self.event == "start":
            base = start.astype(np.float64)
        elif self.event == "end":
            base = end.astype(np.float64)
        else:
            assert isinstance(self.event, Event)
            if measures is None:
                raise InputError(
                    f"event {self.event.name}: needs a source run, and there is none; give a step, or "
                    f"branch from a run: {how_to_branch()}."
                )
            base = self.event.times(measures).upper
        with np.errstate(invalid="ignore"):  # 0 * inf, where the event was not seen
            steps = np.floor(self.factor * base) + self.offset
        return np.where(np.isfinite(base), steps, np.inf)

    @property
    def is_event(self) -> bool:
        """Whether the step depends on an event of a source run."""
        return isinstance(self.event, Event)


def how_to_branch() -> str:
    """The piece of a message that says how a branch is made."""
    return said(command="grokscope branch RUN --at STEP|EVENT", python="run.branch(STEP or EVENT)")


def parse_moment(value: Any, where: str = "at") -> Moment:
    """Read a moment: ``[FACTOR *] EVENT [+|- STEPS]``, or a step.

    The step of an event is the first measured point at which it is seen; ``start`` is the step at which the
    run (or the branch) starts, ``end`` its last step.

    Args:
        value: the value in a spec.
        where: its key, for messages.

    Raises:
        InputError: if the value is not a moment, or the event is not known.

    Example:
        >>> parse_moment(320).offset, parse_moment("test_accuracy > 0.9 for 3").event.sustained
        (320, 3)
    """
    if isinstance(value, int) and not isinstance(value, bool):
        if value < 0:
            raise InputError(f"{where}: must be {_ALLOWED} (got {value}).")
        return Moment(offset=value)
    if not isinstance(value, str):
        raise InputError(f"{where}: must be {_ALLOWED} (got {value!r}).")
    if value.strip().isdigit():
        return Moment(offset=int(value))
    match = _FORM.fullmatch(value)
    if match is None:
        raise InputError(f"{where}: must be {_ALLOWED} (got '{value}').")
    name = match["event"].strip()
    offset = int(match["offset"].replace(" ", "")) if match["offset"] else 0
    factor = float(match["factor"] or 1.0)
    if name in ("start", "end"):
        return Moment(name, factor, offset)
    try:
        event = parse_event(name)
    except InputError as error:
        raise InputError(f"{where}: {error}") from None
    return Moment(event, factor, offset)
