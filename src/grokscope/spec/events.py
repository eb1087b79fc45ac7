"""Events of a run (memorization, grokking, divergence) and their times in its members.

An `Event` is a condition on a measure. Its times are read from a run's measures as censored times; their
statistics are in `grokscope.statistics`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np

from grokscope.errors import InputError, did_you_mean
from grokscope.statistics import CensoredTimes, event_times

if TYPE_CHECKING:
    import xarray as xr

__all__ = [
    "GROKKING",
    "MEMORIZATION",
    "Event",
    "diverged_steps",
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
            measures["step"].to_numpy(),
            member_curves(measures[self.measure]),
            self.threshold,
            self.comparison,
            self.sustained,
            diverged=diverged_steps(measures),
        )

    def __str__(self) -> str:
        many = "all" if self.sustained == "end" else self.sustained
        where = "points to the end" if self.sustained == "end" else "consecutive measured points"
        return f"{self.measure} {self.comparison} {self.threshold:g} at {many} {where}"


_MEMBER_DIMS = ("seed", "member", "init_seed", "data_seed", "order_seed", "noise_seed")
MEMORIZATION = Event("memorization", "train_accuracy", ">", 0.98)
GROKKING = Event("grokking", "test_accuracy", ">", 0.98)
_NAMED = {event.name: event for event in (MEMORIZATION, GROKKING)}
_FORM = re.compile(r"\s*([a-z_]\w*)\s*([<>]=?)\s*(-?\d+(?:\.\d*)?(?:[eE][+-]?\d+)?)(?:\s+for\s+(\d+))?\s*")


def parse_event(text: str) -> Event:
    """Read an event: ``memorization``, ``grokking``, or ``MEASURE > NUMBER [for N]`` (N points; default 5).

    Raises:
        InputError: if the text is none of these; the message lists what is allowed.

    Example:
        >>> print(parse_event("train_loss <= 0.01 for 3"))
        train_loss <= 0.01 at 3 consecutive measured points
    """
    if text in _NAMED:
        return _NAMED[text]
    match = _FORM.fullmatch(text)
    if match is None or match[4] == "0":
        raise InputError(
            f"event '{text}' is not known.{did_you_mean(text, _NAMED)} "
            f"Known: {', '.join(_NAMED)}, or MEASURE > NUMBER [for N measured points]."
        )
    measure, comparison, number, sustained = match.groups()
    return Event(text.strip(), measure, cast("Any", comparison), float(number), int(sustained or 5))


def grokking_delay(measures: xr.Dataset) -> CensoredTimes:
    """Steps from memorization to grokking, per seed; right-censored where grokking was not seen."""
    return GROKKING.times(measures) - MEMORIZATION.times(measures)


def member_curves(values: xr.DataArray) -> np.ndarray:
    """A measure as float64 [member, step], of members along ``seed`` or along the axes of crossed streams."""
    array = values.transpose(..., "step").to_numpy().astype(np.float64)
    return array.reshape(-1, array.shape[-1])


def diverged_steps(measures: xr.Dataset) -> np.ndarray:
    """The step at which each member diverged, as floats [member]; inf where it did not.

    A run records it (coordinate ``diverged_step``, -1 for none). For other measures it is the first step
    from which the training loss is not finite at any later point.
    """
    if "diverged_step" in measures.coords:
        recorded = measures["diverged_step"].to_numpy().astype(np.float64).ravel()
        return np.where(recorded >= 0, recorded, np.inf)
    if "train_loss" not in measures:
        sizes = [size for dim, size in measures.sizes.items() if dim in _MEMBER_DIMS]
        return np.full(int(np.prod(sizes)) if sizes else 1, np.inf)
    loss = member_curves(measures["train_loss"])
    steps = measures["step"].to_numpy().astype(np.float64)
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
