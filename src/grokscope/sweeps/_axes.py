"""Axes of a sweep: which keys of a spec take which values, as written in ``--over`` and ``[sweep]``."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from grokscope.errors import InputError
from grokscope.experiment import Experiment
from grokscope.spec.toml import parse_value

__all__ = ["Axis", "axis_names", "axis_of", "canonical", "parse_axis", "point_text", "split_values"]

_RESERVED = (
    *("seed", "step", "epoch", "neuron", "split", "subnetwork", "member", "cell"),
    *("init_seed", "data_seed", "order_seed", "noise_seed"),
)
_MOST_VALUES = 1_000_000
_DIGITS = 6  # of the values of a range; more would only make them unreadable


@dataclass(frozen=True)
class Axis:
    """One axis: a key and its values, or several keys whose values go in step.

    Attributes:
        keys: paths into the spec, e.g. ``optimizer.weight_decay``.
        points: along the axis, one value for each key.

    Raises:
        InputError: if there is no value, a value comes twice, or a point lacks one.

    Example:
        >>> parse_axis("optimizer.weight_decay=log:1e-3:1e-1:3").points
        ((0.001,), (0.01,), (0.1,))
        >>> parse_axis("model.width=10,100;optimizer.learning_rate=1.0,0.1").points
        ((10, 1.0), (100, 0.1))
    """

    keys: tuple[str, ...]
    points: tuple[tuple[Any, ...], ...]

    def __post_init__(self) -> None:
        what = self.label
        if not self.points:
            raise InputError(f"--over {what}: names no value.")
        seen: set[str] = set()
        for point in self.points:
            if len(point) != len(self.keys):
                raise InputError(f"--zip {what}: {point_text(point)} has not one value for each key.")
            text = canonical(point)
            if text in seen:
                raise InputError(f"--over {what}: the value {point_text(point)} is given twice.")
            seen.add(text)

    @property
    def label(self) -> str:
        """The keys, for messages."""
        return ";".join(self.keys)

    def __len__(self) -> int:
        return len(self.points)

    def settings(self, index: int) -> dict[str, Any]:
        """The values at a place of the axis, by key."""
        return dict(zip(self.keys, self.points[index], strict=True))

    def joined(self, other: Axis) -> Axis:
        """The points of both; those of ``self`` first. Numbers are sorted."""
        known = {canonical(point) for point in self.points}
        return Axis(
            self.keys, self.points + tuple(p for p in other.points if canonical(p) not in known)
        ).ordered()

    def ordered(self) -> Axis:
        """With its points sorted by the first key, where that is numbers."""
        if all(_is_number(point[0]) for point in self.points):
            return Axis(self.keys, tuple(sorted(self.points, key=lambda point: point[0])))
        return self

    def position(self, point: Sequence[Any]) -> int:
        """The place of a point."""
        return [canonical(p) for p in self.points].index(canonical(tuple(point)))


def parse_axis(text: str, base: Experiment | None = None) -> Axis:
    """Read ``a.b=VALUES``, or ``a.b=VALUES;c.d=VALUES`` (in step).

    VALUES are separated by commas; each is TOML, else a bare string. ``lin:low:high:count`` and
    ``log:low:high:count`` stand for that many values in equal steps or factors, both ends included.

    Args:
        text: of an option.
        base: the spec, to see which keys take whole numbers: there a range is rounded.

    Raises:
        InputError: if it cannot be read that way.
    """
    columns: dict[str, list[Any]] = {}
    for piece in split_values(text, ";"):
        key, equals, values = piece.partition("=")
        key = key.strip()
        if not equals or not all(name.strip() for name in key.split(".")):
            raise InputError(
                f"--over '{piece}': write a.b=1,2,3 or a.b=log:1e-3:1e-1:7, for example "
                "optimizer.weight_decay=0.001,0.01."
            )
        if not values.strip():
            raise InputError(f"--over {key}: names no value.")
        if key in columns:
            raise InputError(f"--over {key}: this key is given twice.")
        whole = base is not None and _takes_whole_numbers(base, key)
        columns[key] = [
            value for item in split_values(values, ",") for value in _values(key, item.strip(), whole)
        ]
    return axis_of(columns)


def axis_of(columns: Mapping[str, Sequence[Any]]) -> Axis:
    """An axis of keys and their values, which must be equally many."""
    lengths = {key: len(values) for key, values in columns.items()}
    if len(set(lengths.values())) > 1:
        counts = ", ".join(f"{key} has {count}" for key, count in lengths.items())
        raise InputError(f"--zip: paired keys need equally many values, but {counts}.")
    return Axis(tuple(columns), tuple(zip(*columns.values(), strict=True)))


def axis_from_table(key: str, value: Any, base: Experiment | None = None) -> list[Any]:
    """The values of a key in a ``[sweep.over]`` table: a list, or a text as on the command line."""
    if isinstance(value, str):
        return [point[0] for point in parse_axis(f"{key}={value}", base).points]
    if isinstance(value, list):
        return value
    raise InputError(f"sweep.over.{key}: a list of values, or a text like 'log:1e-3:1e-1:7'.")


def axis_names(axes: Iterable[Axis]) -> tuple[str, ...]:
    """Short names for the dimensions of the result: the last part of the first key, unless that is taken.

    Example:
        >>> axis_names([parse_axis("optimizer.weight_decay=0.1"), parse_axis("optimizer.kind=sgd")])
        ('weight_decay', 'optimizer')
    """
    firsts = [axis.keys[0] for axis in axes]
    shorts = [_short(key) for key in firsts]
    return tuple(
        short if shorts.count(short) == 1 and short not in _RESERVED else key.replace(".", "_")
        for key, short in zip(firsts, shorts, strict=True)
    )


def split_values(text: str, separator: str) -> list[str]:
    """Split at a separator that is not inside brackets, braces or quotes; empty pieces are errors.

    Example:
        >>> split_values('a,[1,2],"x,y"', ",")
        ['a', '[1,2]', '"x,y"']
    """
    pieces, depth, quote = [""], 0, ""
    for character in text:
        if quote:
            quote = "" if character == quote else quote
        elif character in "\"'":
            quote = character
        elif character in "[{":
            depth += 1
        elif character in "]}":
            depth -= 1
        elif character == separator and depth == 0:
            pieces.append("")
            continue
        pieces[-1] += character
    if not all(piece.strip() for piece in pieces):
        raise InputError(f"--over '{text}': there is nothing between two separators '{separator}'.")
    return pieces


def point_text(point: Sequence[Any]) -> str:
    """A point for people: its values."""
    return ", ".join(f"{v:g}" if isinstance(v, float) else str(v) for v in point)


def _values(key: str, text: str, whole: bool) -> list[Any]:
    kind, colon, rest = text.partition(":")
    if colon and kind in ("log", "lin"):
        return _range(key, kind, rest, whole)
    return [parse_value(text)]


def _range(key: str, kind: str, text: str, whole: bool) -> list[Any]:
    where = f"--over {key}={kind}:{text}"
    try:
        low, high, number = text.split(":")
        ends, count = (float(low), float(high)), int(number)
    except ValueError:
        raise InputError(f"{where}: write {kind}:LOW:HIGH:COUNT, for example {kind}:1e-3:1e-1:7.") from None
    if not all(map(math.isfinite, ends)) or not 1 <= count <= _MOST_VALUES:
        raise InputError(f"{where}: the ends must be finite and the count from 1 to {_MOST_VALUES}.")
    if count == 1 and ends[0] != ends[1]:
        raise InputError(f"{where}: one value cannot be at both ends; give 2 or more.")
    if kind == "log":
        if min(ends) <= 0:
            raise InputError(f"{where}: both ends must be positive.")
        ends = (math.log10(ends[0]), math.log10(ends[1]))
    share = [i / (count - 1) if count > 1 else 0.0 for i in range(count)]
    raw = [ends[0] + s * (ends[1] - ends[0]) for s in share]
    values = [10**v if kind == "log" else v for v in raw]
    if whole:
        return [round(value) for value in values]
    return [float(f"{value:.{_DIGITS}g}") for value in values]


def _takes_whole_numbers(base: Experiment, key: str) -> bool:
    value: Any = base
    for name in key.split("."):
        value = getattr(value, name, None)
    return isinstance(value, int) and not isinstance(value, bool)


def _short(key: str) -> str:
    *above, last = key.split(".")
    return above[-1] if last == "kind" and above else last


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def canonical(point: Sequence[Any]) -> str:
    """A text that is the same for equal values: 1 and 1.0 are."""
    return json.dumps([float(v) if _is_number(v) else v for v in point], sort_keys=True, default=str)
