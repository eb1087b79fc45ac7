"""Events of a run (memorization, grokking, divergence) and their times in its members.

An `Event` is a condition on a measure. Its times are read from a run's measures as censored times; their
statistics are in `grokscope.statistics`. The table ``[events]`` of a spec gives them other levels (`Events`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

import numpy as np
from pydantic import BeforeValidator, InstanceOf, PlainSerializer

from grokscope.errors import InputError, did_you_mean
from grokscope.spec.streams import MEMBER_DIMS
from grokscope.statistics import CensoredTimes, event_times

if TYPE_CHECKING:
    import xarray as xr

__all__ = [
    "GROKKING",
    "MEASURE_NAME",
    "MEMORIZATION",
    "Event",
    "Events",
    "EventsField",
    "diverged_steps",
    "event_of",
    "events_of",
    "grokking_delay",
    "member_curves",
    "parse_event",
]


@dataclass(frozen=True)
class Event:
    """A measure crosses a threshold and stays beyond it.

    Attributes:
        name: a label.
        measure: name of a measure without axes besides seed and step.
        comparison: ``>``, ``>=``, ``<`` or ``<=``.
        threshold: the value that the measure is compared with.
        sustained: the number of consecutive measured points at which the comparison must hold, the first
            one included; ``end``: it must hold at all points to the end.

    Example:
        >>> print(GROKKING)
        test_accuracy > 0.98 at 5 consecutive measured points
    """

    name: str
    measure: str
    comparison: Literal[">", ">=", "<", "<="]
    threshold: float
    sustained: int | Literal["end"] = 5

    def times(self, measures: xr.Dataset) -> CensoredTimes:
        """The step of the event in each member, interval-censored by the schedule.

        Raises:
            InputError: if the event's measure is not among the measures.
        """
        if self.measure not in measures:
            raise InputError(
                f"event {self.name}: the run has no measure '{self.measure}'."
                f"{did_you_mean(self.measure, [str(name) for name in measures])}"
            )
        return event_times(
            measures.variables["step"].to_numpy(),
            member_curves(measures[self.measure]),
            self.threshold,
            self.comparison,
            self.sustained,
            diverged=diverged_steps(measures),
        )

    @property
    def condition(self) -> str:
        """The event as `parse_event` reads it.

        Example:
            >>> GROKKING.condition
            'test_accuracy > 0.98 for 5'
        """
        return f"{self.measure} {self.comparison} {self.threshold!r} for {self.sustained}"

    def __str__(self) -> str:
        many = "all" if self.sustained == "end" else self.sustained
        where = "points to the end" if self.sustained == "end" else "consecutive measured points"
        return f"{self.measure} {self.comparison} {self.threshold:g} at {many} {where}"


MEMORIZATION = Event("memorization", "train_accuracy", ">", 0.98)
GROKKING = Event("grokking", "test_accuracy", ">", 0.98)
_DEFAULT = {event.name: event for event in (MEMORIZATION, GROKKING)}
#: names of measures may end in numbers: test_tolerance_accuracy_0.01, test_tolerance_accuracy_1e-05
MEASURE_NAME = r"[a-z_](?:[\w.]|(?<=\de)-)*"
_FORM = re.compile(
    rf"\s*({MEASURE_NAME})\s*([<>]=?)\s*(-?\d+(?:\.\d*)?(?:[eE][+-]?\d+)?)(?:\s+for\s+(\d+))?\s*"
)
# moments have the first two; results of sweeps and pages the others
_RESERVED = ("start", "end", "delay", "diverged", "phase", "certified", "proved")


def parse_event(text: str, known: Mapping[str, Event] = _DEFAULT) -> Event:
    """Read an event: the name of a known one, or ``MEASURE > NUMBER [for N]`` (N points; default 5).

    Args:
        text: the text.
        known: events by name; by default ``memorization`` and ``grokking`` at their usual levels.

    Raises:
        InputError: if the text is none of these; the message lists what is allowed.

    Example:
        >>> print(parse_event("train_loss <= 0.01 for 3"))
        train_loss <= 0.01 at 3 consecutive measured points
    """
    if text in known:
        return known[text]
    match = _FORM.fullmatch(text)
    if match is None or match[4] == "0":
        raise InputError(
            f"event '{text}' is not known.{did_you_mean(text, known)} "
            f"Known: {', '.join(known)}, or MEASURE > NUMBER [for N measured points]."
        )
    measure, comparison, number, sustained = match.groups()
    return Event(text.strip(), measure, cast("Any", comparison), float(number), int(sustained or 5))


class Events(Mapping[str, Event]):
    """The events of a run by name: ``memorization``, ``grokking`` and those of its task and its spec.

    Args:
        given: those of the spec; they replace the others of their name.
        task: those of the task.

    Example:
        >>> events = Events.parse({"half": "test_accuracy > 0.5"})
        >>> list(events), str(events["half"])
        (['memorization', 'grokking', 'half'], 'test_accuracy > 0.5 at 5 consecutive measured points')
    """

    def __init__(self, given: Mapping[str, Event] | None = None, task: Mapping[str, Event] | None = None):
        usual = {**_DEFAULT, **(task or {})}
        #: those of the spec that differ from the others of their name
        self.given = {name: event for name, event in (given or {}).items() if usual.get(name) != event}
        self._all = {**usual, **self.given}

    @classmethod
    def parse(cls, table: Any, where: str = "events") -> Events:
        """Read the table ``[events]`` of a spec: conditions by name.

        Raises:
            InputError: if it is not a table of names and conditions.
        """
        if isinstance(table, Events):
            return table
        if not isinstance(table, Mapping):
            raise InputError(f"{where}: must be a table of events, as half = 'test_accuracy > 0.5 for 5'.")
        found: dict[str, Event] = {}
        for name, value in cast("Mapping[Any, Any]", table).items():
            if not isinstance(name, str) or not re.fullmatch(r"[a-z_][a-z0-9_]*", name):
                raise InputError(f"{where}.{name}: the name must be of lower-case letters, digits and '_'.")
            if name in _RESERVED:
                raise InputError(f"{where}.{name}: is used for something else; choose another name.")
            if isinstance(value, Event):
                found[name] = replace(value, name=name)
                continue
            if not isinstance(value, str) or _FORM.fullmatch(value) is None:
                got = f"'{value}'" if isinstance(value, str) else repr(value)
                raise InputError(
                    f"{where}.{name}: must be MEASURE > NUMBER [for N measured points], as "
                    f"'test_accuracy > 0.98 for 5' (got {got})."
                )
            found[name] = replace(parse_event(value, {}), name=name)
        return cls(found)

    @property
    def unusual(self) -> dict[str, str]:
        """The conditions that are not those of every run, by name."""
        return {name: one.condition for name, one in self.items() if _DEFAULT.get(name) != one}

    def without(self, names: Iterable[str]) -> Events:
        """A copy that lacks some events."""
        found = Events(self.given)
        left_out = set(names)
        found._all = {name: event for name, event in self.items() if name not in left_out}
        return found

    def to_json(self, *others: Events) -> str:
        """The conditions as a text, for the attribute ``events`` of a dataset of measures.

        Args:
            others: events of other cells of a sweep; those that are not in all of them, or differ, are null.
        """
        names = dict.fromkeys(name for events in (self, *others) for name in events)
        common = {name: self.get(name) for name in names}
        same = {name: one for name, one in common.items() if all(each.get(name) == one for each in others)}
        return json.dumps({name: one.condition if (one := same.get(name)) else None for name in names})

    def __getitem__(self, name: str) -> Event:
        return self._all[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._all)

    def __len__(self) -> int:
        return len(self._all)

    def __hash__(self) -> int:
        return hash(tuple(self._all.items()))

    def __repr__(self) -> str:
        return f"Events({ {name: event.condition for name, event in self.items()} })"


if TYPE_CHECKING:
    EventsField = Any  # tables are converted, which type checkers do not know
else:
    EventsField = Annotated[
        InstanceOf[Events],
        BeforeValidator(Events.parse),
        PlainSerializer(lambda events: {name: one.condition for name, one in events.given.items()}),
    ]


def event_of(measures: Any, name: str) -> Event:
    """The event of a name of the run that a dataset of measures is of.

    Raises:
        InputError: if the run has no such event, or (of a sweep) its cells have different ones.

    Example:
        >>> import xarray as xr
        >>> event_of(xr.Dataset(), "grokking") == GROKKING
        True
    """
    events = events_of(measures)
    if name not in events:
        raise InputError(
            f"event '{name}' is not known, or differs between cells.{did_you_mean(name, events)} "
            f"Known: {', '.join(events)}."
        )
    return events[name]


def events_of(measures: Any) -> Events:
    """The events of the run that a dataset of measures is of; the usual ones if it does not say.

    Raises:
        InputError: if the attribute ``events`` of the dataset cannot be read.

    Example:
        >>> import xarray as xr
        >>> list(events_of(xr.Dataset()))
        ['memorization', 'grokking']
    """
    text = getattr(measures, "attrs", {}).get("events")
    if text is None:
        return Events()
    try:
        table = json.loads(text)
        found = Events.parse({name: one for name, one in table.items() if one}, "measures.attrs['events']")
        return found.without(name for name, one in table.items() if not one)
    except (TypeError, ValueError, AttributeError):
        raise InputError("measures.attrs['events']: must be a JSON table of conditions.") from None


def grokking_delay(measures: xr.Dataset) -> CensoredTimes:
    """Steps from memorization to grokking, per seed; right-censored where grokking was not seen."""
    grokking, memorization = (event_of(measures, name) for name in ("grokking", "memorization"))
    return grokking.times(measures) - memorization.times(measures)


def member_curves(values: xr.DataArray) -> np.ndarray:
    """A measure as float64 [member, step], of members along ``seed`` or along the axes of crossed streams."""
    ordered = values if values.dims[-1:] == ("step",) else values.transpose(..., "step")
    array = ordered.to_numpy().astype(np.float64)
    return array.reshape(-1, array.shape[-1])


def diverged_steps(measures: xr.Dataset) -> np.ndarray:
    """The step at which each member diverged, as floats [member]; inf where it did not.

    A run records it (coordinate ``diverged_step``, -1 for none). For other measures it is the first step
    from which the training loss is not finite at any later point.
    """
    if "diverged_step" in measures.variables:
        # by `variables`: xarray would collect the other coordinates, and claims ask thousands of times
        recorded = measures.variables["diverged_step"].to_numpy().astype(np.float64).ravel()
        return np.where(recorded >= 0, recorded, np.inf)
    if "train_loss" not in measures:
        sizes = [size for dim, size in measures.sizes.items() if dim in MEMBER_DIMS]
        return np.full(int(np.prod(sizes)) if sizes else 1, np.inf)
    loss = member_curves(measures["train_loss"])
    steps = measures.variables["step"].to_numpy().astype(np.float64)
    finite = np.isfinite(loss)
    taken = finite.any(axis=0)  # points at which the loss was measured
    if not taken.any():
        return np.full(len(loss), np.inf)
    finite, steps = finite[:, taken], steps[taken]
    # The number of points up to the last finite one; the member diverged at the point after it. A member
    # without any finite point counts as not diverged: there is no evidence.
    kept = np.where(finite.any(axis=1), finite.shape[1] - np.argmax(finite[:, ::-1], axis=1), 0)
    lost = (kept > 0) & (kept < len(steps))
    return np.where(lost, steps[np.minimum(kept, len(steps) - 1)], np.inf)
