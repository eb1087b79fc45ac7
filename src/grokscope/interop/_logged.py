"""Losses and accuracies that a file holds beside its networks, compared with those of our forward pass.

State dicts do not tell the forward pass: the mask and the scale of attention, the activation, the epsilon of
a norm. Where a file has the losses of its networks, they tell whether what was assumed is right.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from grokscope.errors import InputError, said

if TYPE_CHECKING:
    from grokscope.experiment import Experiment
    from grokscope.interop._steps import Numbers

__all__ = ["ForwardCheck", "LoggedValue", "in_percent", "logged_values"]

_SPLITS = {
    **dict.fromkeys(("train", "training", "tr"), "train"),
    **dict.fromkeys(("test", "val", "valid", "validation", "eval"), "test"),
}
_KINDS = {
    **dict.fromkeys(("loss", "losses"), "loss"),
    **dict.fromkeys(("acc", "accs", "accuracy", "accuracies"), "accuracy"),
}
# For the rounding of a float32 forward pass and of logs. Training values may be means over changing networks.
_TOLERANCE = {"test": 0.01, "train": 0.5}
_SMALLEST = 1e-6  # a difference of losses that says nothing
_MOST_VALUES = 10**6  # of a list
_MOST_METRICS = 1000  # of a table of them
_WORDS = re.compile(r"[a-z]+")


class LoggedValue(NamedTuple):
    """A loss or an accuracy of one network, as its file has it.

    Attributes:
        path: the keys that lead to it.
        measure: our measure, such as ``test_loss``.
        value: the value at the network's step.
        near: the values of the steps before and after, which may belong to this network: codes differ in
            whether they log before or after an update.
    """

    path: tuple[str, ...]
    measure: str
    value: float
    near: tuple[float, ...] = ()

    def agrees(self, ours: float, tolerance: float) -> bool:
        """Whether our value may be the logged one."""
        values = [v for v in (self.value, *self.near) if math.isfinite(v)]
        if not math.isfinite(ours) or not values:
            return True  # a loss that overflows says nothing
        low, high = min(values), max(values)
        slack = tolerance * max(abs(low), abs(high)) + _SMALLEST
        if self.measure.endswith("accuracy"):
            slack = max(slack, 5e-4)  # as logs round it
        slack += high - low  # the curve may go on as it comes
        return low - slack <= ours <= high + slack

    @property
    def as_fraction(self) -> LoggedValue:
        """The same of a value in percent."""
        return self._replace(value=self.value / 100, near=tuple(value / 100 for value in self.near))


def in_percent(logged: Iterable[Sequence[LoggedValue]]) -> set[str]:
    """The measures of accuracy whose values, of all networks, are in percent: one of them is more than 1."""
    every = (one for values in logged for one in values)
    return {one.measure for one in every if one.measure.endswith("accuracy") and one.value > 1}


def logged_values(
    content: Any, paths: Sequence[tuple[str, ...]], said_by: Sequence[Sequence[Numbers]]
) -> list[tuple[LoggedValue, ...]]:
    """The losses and accuracies of each network in a loaded file.

    A single number beside a network, or in a table beside it, is that network's. A list with as many numbers
    as there are networks has one of each. A list with a number for every step or epoch is read at that of
    each network.

    Args:
        content: what was loaded.
        paths: the keys that lead to each network; they are a series if there are several.
        said_by: what the file says of the step of each.
    """
    numbers = [_number(one) for one in said_by]
    holds = Counter(path[:depth] for path in paths for depth in range(len(path)))  # networks below a table
    tables = _Tables(content)
    places: dict[int, list[int | None]] = {}
    per_network: list[tuple[LoggedValue, ...]] = []
    for i, path in enumerate(paths):
        found: dict[str, LoggedValue] = {}
        for one in tables.beside(path):
            value = _value(one.item) if holds[one.table] == 1 else None
            if value is not None:
                found[one.measure] = LoggedValue(one.path, one.measure, value)
                continue
            listed = tables.listed(one.item) or []
            if len(listed) not in places:
                places[len(listed)] = _places(numbers, len(listed))
            if listed and (at := places[len(listed)][i]) is not None:
                near = tuple(listed[j] for j in (at - 1, at + 1) if 0 <= j < len(listed))
                near = near if len(listed) != len(paths) or len(paths) == 1 else ()
                found[one.measure] = LoggedValue(one.path, one.measure, listed[at], near)
        per_network.append(tuple(found.values()))
    return per_network


class ForwardCheck:
    """Compares logged losses and accuracies with those of our forward pass.

    A test value that differs by more than a hundredth is an error. A training value is one only if it differs
    by more than a half and no test value of the network agrees, because training values are often means over
    an epoch.

    Args:
        experiment: the experiment of the networks.
        has_data: whether the data were given; else nothing can be compared.
        assumed: what was assumed about the forward pass, for the error.
        allowed: go on where values differ.

    Attributes:
        differences: what differs, if that is allowed.
        notes: what is to be said besides.
    """

    def __init__(
        self, experiment: Experiment, *, has_data: bool, assumed: Sequence[str], allowed: bool
    ) -> None:
        self._experiment = experiment
        self._has_data = has_data
        self._assumed = assumed
        self._allowed = allowed
        self._program: Any = None
        self._arrays: dict[str, Any] = {}
        self._compared: dict[str, int] = {}
        self._loosely: dict[str, str] = {}
        self._not_compared: dict[str, None] = {}
        self.differences: list[str] = []

    def compare(
        self, label: str, step: int, leaves: dict[str, np.ndarray], logged: Sequence[LoggedValue]
    ) -> None:
        """Compare the values of one network.

        Raises:
            InputError: if they differ, and that is not allowed.
        """
        if not logged:
            return
        if not self._has_data:
            self._not_compared |= dict.fromkeys(one.measure for one in logged)
            return
        ours = self._measured(leaves)
        differs: list[LoggedValue] = []
        tested = False
        for one in (one for one in logged if one.measure in ours):
            split = one.measure.partition("_")[0]
            if one.agrees(ours[one.measure], _TOLERANCE["test"]):
                self._compared[one.measure] = self._compared.get(one.measure, 0) + 1
                tested |= split == "test"
            elif split == "train" and one.agrees(ours[one.measure], _TOLERANCE["train"]):
                self._loosely.setdefault(one.measure, _difference(one, ours, step))
            else:
                differs.append(one)
        wrong = [one for one in differs if one.measure.startswith("test") or not tested]
        self._loosely |= {
            one.measure: _difference(one, ours, step)
            for one in differs
            if one not in wrong and one.measure not in self._loosely
        }
        if not wrong:
            return
        text = f"{label}: {_difference(wrong[0], ours, step)}"
        if not self._allowed:
            go_on = said(command="--allow-other-forward", python="allow_other_forward=True")
            raise InputError(
                f"{text}. Our forward pass is another, or the data are. Assumed: {'; '.join(self._assumed)}. "
                f"Set what is wrong in the spec; {go_on} goes on and marks the run."
            )
        self.differences.append(text)

    @property
    def notes(self) -> list[str]:
        """What was compared, what was not, and what differs a little."""
        found: list[str] = []
        if self._compared:
            counts = ", ".join(f"{name} of {count}" for name, count in self._compared.items())
            found.append(f"our forward pass gives what the files have logged ({counts} networks).")
        found += [
            f"{text}; training values may be means over batches or an epoch."
            for text in self._loosely.values()
        ]
        if self._not_compared:
            names = ", ".join(self._not_compared)
            found.append(f"logged values ({names}) are not compared with ours, because no data were given.")
        return found

    def _measured(self, leaves: dict[str, np.ndarray]) -> dict[str, float]:
        """Our losses and accuracies of a network, by measure."""
        import jax

        from grokscope.runs.networks import network_of
        from grokscope.training.devices import in_precision, prepare_devices
        from grokscope.training.loop import as_precision

        prepare_devices()
        with in_precision(self._experiment.precision):
            if self._program is None:
                self._arrays = as_precision(self._experiment.task.shared_data(), self._experiment.precision)
                self._program = jax.jit(self._take())
            found = self._program(network_of(self._experiment, leaves), self._arrays)
            return {name: float(value) for name, value in found.items()}

    def _take(self) -> Any:
        from grokscope.measures import Measure, Point
        from grokscope.spec.parts import lookup

        experiment = self._experiment
        measures: dict[str, Measure] = {}
        for name in ("train_loss", "test_loss", "train_accuracy", "test_accuracy"):
            measure: Any = lookup("measure", name)()
            if measure.missing(experiment) is None:
                measures[name] = measure

        def take(network: Any, arrays: dict[str, Any]) -> dict[str, Any]:
            point = Point(network, arrays, experiment.loss, task=experiment.task)
            return {name: measure(point) for name, measure in measures.items()}

        return take


def _difference(one: LoggedValue, ours: Mapping[str, float], step: int) -> str:
    return (
        f"{one.measure} at step {step} is {ours[one.measure]:.4g} by our forward pass, but the file has "
        f"{one.value:.4g} ({'.'.join(one.path)})"
    )


def _measure_of(name: str) -> str | None:
    """Our measure of a logged name, such as ``test_losses``, ``val/acc`` or ``valLoss``."""
    words = _WORDS.findall(re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower())
    splits = {_SPLITS[word] for word in words if word in _SPLITS}
    kinds = {_KINDS[word] for word in words if word in _KINDS}
    others = [word for word in words if word not in _SPLITS and word not in _KINDS]
    if len(splits) != 1 or len(kinds) != 1 or set(others) & {"best", "min", "max", "smooth", "ema", "log"}:
        return None
    return f"{splits.pop()}_{kinds.pop()}"


class _Tables:
    """The tables and lists of a file that lead to its networks, each looked through once."""

    def __init__(self, content: Any) -> None:
        self._content = content
        self._children: dict[tuple[str, ...], dict[str, Any]] = {}
        self._logged: dict[tuple[str, ...], list[_Logged]] = {}
        self._lists: dict[int, list[float] | None] = {}

    def beside(self, path: tuple[str, ...]) -> Iterator[_Logged]:
        """The losses and accuracies beside a network, from the outermost table inwards."""
        value = self._content
        for depth in range(len(path)):
            place = path[:depth]
            if place not in self._children:
                self._children[place] = _items(value)
                self._logged[place] = [*_logged_in(value, place)]
            yield from self._logged[place]
            value = self._children[place].get(path[depth])

    def listed(self, item: Any) -> list[float] | None:
        """The numbers of a list."""
        if id(item) not in self._lists:
            self._lists[id(item)] = _values(item)
        return self._lists[id(item)]


class _Logged(NamedTuple):
    """A loss or an accuracy, or a list of them: keys to the table around it, keys to it, measure, value."""

    table: tuple[str, ...]
    path: tuple[str, ...]
    measure: str
    item: Any


def _logged_in(value: Any, place: tuple[str, ...]) -> Iterator[_Logged]:
    for key, item in _items(value).items() if isinstance(value, Mapping) else ():
        if (measure := _measure_of(key)) is not None:
            yield _Logged(place, (*place, key), measure, item)
        elif isinstance(item, Mapping) and len(item) <= _MOST_METRICS:
            for inner, one in _items(item).items():  # as in {"metrics": {"test_loss": ...}}
                if (measure := _measure_of(inner)) is not None:
                    yield _Logged(place, (*place, key, inner), measure, one)


def _items(value: Any) -> dict[str, Any]:
    pairs = value.items() if isinstance(value, Mapping) else enumerate(value or ())
    return {str(key): item for key, item in pairs}


def _number(said_by: Sequence[Numbers]) -> int | None:
    """The epoch of a network, or its step: the place in a list of losses."""
    for one in said_by:
        if one.is_known:
            return one.epoch if one.epoch is not None else one.step
    return None


def _places(numbers: Sequence[int | None], count: int) -> list[int | None]:
    """The place of each network in a list of ``count`` values; None where the list does not tell."""
    if count == len(numbers) > 1:
        return [*range(count)]
    known = sorted(n for n in numbers if n is not None)
    if len(known) < len(numbers):  # of a network alone, the last value
        return [count - 1] if len(numbers) == 1 else [None] * len(numbers)
    # one value for each epoch (or step): the last network is near the end of the list
    gap = max(1, known[-1] - known[-2]) if len(known) > 1 else 1
    if not known[-1] - 1 <= count - 1 <= known[-1] + gap:
        return [None] * len(numbers)
    return [None if n is None else min(n, count - 1) for n in numbers]


def _value(item: Any) -> float | None:
    """A single number; None if it is none."""
    if getattr(item, "shape", None) == () and "object" not in str(getattr(item, "dtype", "object")):
        item = item.item() if hasattr(item, "item") else item.__array__().item()
    return float(item) if isinstance(item, int | float) and not isinstance(item, bool) else None


def _values(item: Any) -> list[float] | None:
    """The numbers of a list, a tensor or an array of one axis; None if it is none of them, or too long."""
    if hasattr(item, "shape") and hasattr(item, "dtype"):
        if len(item.shape) != 1 or item.shape[0] > _MOST_VALUES or "object" in str(item.dtype):
            return None
        item = item.tolist() if hasattr(item, "tolist") else item.__array__().tolist()
    if not isinstance(item, list | tuple) or not 0 < len(item) <= _MOST_VALUES:
        return None
    found = [_value(one) for one in item]
    return None if any(one is None for one in found) else [one for one in found if one is not None]
