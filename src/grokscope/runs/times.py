"""Times of an event in the members of a run: censored times that know their event and members."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from grokscope.cards import plain_table
from grokscope.spec.events import Event
from grokscope.spec.streams import STREAMS, Members
from grokscope.statistics import CensoredTimes, format_number, median_interval

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["EventTimes"]

_MOST_ROWS = 12


class EventTimes(CensoredTimes):
    """The step of an event in each member of a run: a `CensoredTimes` with its event and members.

    Attributes:
        event: the event.
        members: the members, in the order of the times.

    Example:
        >>> from grokscope.spec.events import GROKKING
        >>> times = EventTimes(GROKKING, Members.parse(2), CensoredTimes([64, 96], [96, np.inf]))
        >>> print(times)
        grokking: test_accuracy > 0.98 at 5 consecutive measured points
        seen in 1 of 2 members; median step not reached
        seed  after step  by step
        0     64          96
        1     96          not seen
    """

    event: Event
    members: Members

    def __init__(self, event: Event, members: Members, times: CensoredTimes) -> None:
        super().__init__(times.lower, times.upper, times.diverged)
        object.__setattr__(self, "event", event)
        object.__setattr__(self, "members", members)

    def __repr__(self) -> str:
        return str(self)

    def __str__(self) -> str:
        labels = [str(member[0] if self.members.is_plain else tuple(member)) for member in self.members]
        named = "" if self.event.measure in self.event.name else f"{self.event.name}: "
        return f"{named}{self.event}\n{_times_text(self, labels)}"

    def to_xarray(self) -> xr.Dataset:
        """The times as a dataset over ``member``, with the coordinate ``seed`` or one for each stream."""
        import xarray as xr

        seeds = np.array(self.members.seeds, np.int64)
        columns = ["seed"] if self.members.is_plain else [f"{stream}_seed" for stream in STREAMS]
        return xr.Dataset(
            {name: ("member", getattr(self, name)) for name in ("lower", "upper", "diverged", "observed")},
            {name: ("member", seeds[:, i]) for i, name in enumerate(columns)},
            {"event": str(self.event)},
        )


def _times_text(times: CensoredTimes, labels: list[str]) -> str:
    """Times as text: how often the event was seen, the median step, and a row for each member."""
    seen = f"seen in {int(times.observed.sum())} of {times.n} members"
    step = median_interval(times.lower, upper=times.upper)
    median = format_number(step.value) if np.isfinite(step.value) else "not reached"
    if np.isfinite([step.low, step.high]).all():
        median += f" [{format_number(step.low)}, {format_number(step.high)}]"
    rows = [
        (label, _step(low), _step(high) if np.isfinite(high) else "not seen")
        for label, low, high in zip(labels, times.lower, times.upper, strict=True)
    ]
    table = plain_table(("seed", "after step", "by step"), rows[:_MOST_ROWS])
    more = [f"({len(rows) - _MOST_ROWS} more members)"] if len(rows) > _MOST_ROWS else []
    return "\n".join([f"{seen}; median step {median}", *table, *more])


def _step(step: float) -> str:
    return f"{step:.0f}" if np.isfinite(step) and step == round(step) else format_number(float(step))
