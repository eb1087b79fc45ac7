"""Moments: a step of a run, given by a number or relative to an event."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numpy as np

from grokscope.errors import InputError, said
from grokscope.spec.events import MEASURE_NAME, Event, Events, parse_event
from grokscope.spec.parts import Part

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Moment", "check_moment", "how_to_branch", "moments_in", "parse_moment", "with_conditions"]

_T = TypeVar("_T")
_FIELDS = ("at", "until")  # the fields of parts that hold moments

_FORM = re.compile(
    r"\s*(?:(?P<factor>\d+(?:\.\d+)?)\s*\*\s*)?"
    rf"(?P<event>{MEASURE_NAME}"
    r"(?:\s*[<>]=?\s*-?\d+(?:\.\d*)?(?:[eE][+-]?\d+)?(?:\s+for\s+\d+)?)?)"
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


def parse_moment(value: Any, where: str = "at", events: Mapping[str, Event] | None = None) -> Moment:
    """Read a moment: ``[FACTOR *] EVENT [+|- STEPS]``, or a step.

    The step of an event is the first measured point at which it is seen; ``start`` is the step at which the
    run (or the branch) starts, ``end`` its last step.

    Args:
        value: the value in a spec.
        where: its key, for messages.
        events: the events that it may name; None: ``memorization`` and ``grokking`` at their usual levels.

    Raises:
        InputError: if the value is not a moment, or the event is not known.

    Example:
        >>> parse_moment(320).offset, parse_moment("test_accuracy > 0.9 for 3").event.sustained
        (320, 3)
    """
    name, factor, offset = _read(value, where)
    if name in ("", "start", "end"):
        return Moment(name or None, factor, offset)
    try:
        event = parse_event(name, Events() if events is None else events)
    except InputError as error:
        raise InputError(f"{where}: {error}") from None
    return Moment(event, factor, offset)


def check_moment(value: Any, where: str = "at") -> str:
    """Check the form of a moment, which may name any event; returns the event, or an empty text for a step.

    Which events there are depends on the source run, which a part of a spec does not know.

    Raises:
        InputError: if the value is not a moment.

    Example:
        >>> check_moment("0.5 * half - 32"), check_moment(7)
        ('half', '')
    """
    name, _, _ = _read(value, where)
    if any(sign in name for sign in "<>"):
        parse_moment(value, where)
    return name


def with_conditions(
    value: _T, events: Mapping[str, Event], keep: Collection[Any] = (), where: str = ""
) -> _T:
    """A part or table in whose moments events that are not the usual ones of their name are written out.

    The identity of a branch must tell which condition its ``at = "grokking"`` means.

    Args:
        value: an init, an intervention, a set of neurons, or the table of one; or a list of these.
        events: of the source run.
        keep: moments that stay as they are.
        where: the key of the table, for messages.

    Raises:
        InputError: if a moment names an event that is not known.
    """
    if isinstance(value, Part):
        table: dict[str, Any] = {name: getattr(value, name) for name in type(value).model_fields}
        changed = with_conditions(table, events, keep, _table(value))
        return value.model_copy(update=changed) if changed != table else value
    if isinstance(value, list | tuple):
        items = [with_conditions(item, events, keep, where) for item in cast("list[Any]", value)]
        return cast("_T", items if isinstance(value, list) else tuple(items))
    if isinstance(value, dict):
        fields = cast("dict[str, Any]", value)
        found = {name: with_conditions(item, events, keep, where) for name, item in fields.items()}
        for name in _FIELDS:
            if isinstance(one := found.get(name), str) and one not in keep:
                found[name] = _written_out(one, f"{where}.{name}", events)
        return cast("_T", found)
    return value


def moments_in(part: Part) -> Iterator[tuple[str, str]]:
    """The key and the value of every moment in a part and in its parts, except steps."""
    for name in type(part).model_fields:
        value: Any = getattr(part, name)
        for item in value if isinstance(value, tuple) else (value,):
            if isinstance(item, Part):
                yield from moments_in(item)
        if name in _FIELDS and isinstance(value, str):
            yield f"{_table(part)}.{name}", value


def _table(part: Part) -> str:
    return "interventions" if part.group == "intervention" else part.group


def _written_out(value: str, where: str, events: Mapping[str, Event]) -> str:
    event = parse_moment(value, where, events).event
    name = check_moment(value, where)
    # a condition stays as it is written: the identity of its branch is a hash of the text
    if not isinstance(event, Event) or name not in events or event == Events().get(name):
        return value
    return value.replace(name, event.condition, 1)


def _read(value: Any, where: str) -> tuple[str, float, int]:
    """The event (empty for a step), the factor and the offset of a moment."""
    if isinstance(value, int) and not isinstance(value, bool):
        if value < 0:
            raise InputError(f"{where}: must be {_ALLOWED} (got {value}).")
        return "", 1.0, value
    if not isinstance(value, str):
        raise InputError(f"{where}: must be {_ALLOWED} (got {value!r}).")
    if value.strip().isdigit():
        return "", 1.0, int(value)
    match = _FORM.fullmatch(value)
    if match is None:
        raise InputError(f"{where}: must be {_ALLOWED} (got '{value}').")
    offset = int(match["offset"].replace(" ", "")) if match["offset"] else 0
    return match["event"].strip(), float(match["factor"] or 1.0), offset
