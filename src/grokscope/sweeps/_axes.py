"""Axes of a sweep: the spec keys that vary and their values, parsed from ``--over`` and ``[sweep]``."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from grokscope.errors import InputError, said
from grokscope.experiment import Experiment
from grokscope.spec.overrides import without_none
from grokscope.spec.parts import Part
from grokscope.spec.streams import MEMBER_DIMS
from grokscope.spec.toml import parse_value

__all__ = [
    "Axis",
    "axis_from_columns",
    "axis_from_values",
    "axis_names",
    "canonical_text",
    "free_name",
    "over",
    "parse_axis",
    "point_text",
    "split_values",
    "values_from_table",
]

# Names that the datasets of a sweep use for other things, besides its measures: no axis has such a name.
_RESERVED = frozenset(
    (
        *(*MEMBER_DIMS, "cell", "contender"),
        *("step", "epoch", "steps_done", "complete"),
        *("neuron", "subnetwork", "split", "frequency", "matrix", "position", "layer", "head"),
        *("memorization", "grokking", "delay", "diverged", "phase", "phase_share", "n"),
    )
)
_RESERVED_FORM = re.compile(r"(share|final)_.*|.*_(step|lower|upper|low|high)")
_MAX_VALUES = 1_000_000
_DIGITS = 6  # significant digits of generated range values


@dataclass(frozen=True)
class Axis:
    """One axis: a key and its values, or several keys whose values change together.

    Attributes:
        keys: paths into the spec, e.g. ``optimizer.weight_decay``.
        points: one tuple per position along the axis, with a value for each key.

    Raises:
        InputError: if there are no points, a point is repeated, or a point has a wrong number of values.

    Example:
        >>> parse_axis("optimizer.weight_decay=log:1e-3:1e-1:3").points
        ((0.001,), (0.01,), (0.1,))
        >>> parse_axis("model.width=10,100;optimizer.learning_rate=1.0,0.1").points
        ((10, 1.0), (100, 0.1))
    """

    keys: tuple[str, ...]
    points: tuple[tuple[Any, ...], ...]

    def __post_init__(self) -> None:
        keys = ";".join(self.keys)
        if not self.points:
            raise InputError(f"{over()} {keys}: needs at least one value.")
        seen: set[str] = set()
        for point in self.points:
            if len(point) != len(self.keys):
                raise InputError(
                    f"{over('--zip')} {keys}: {point_text(point)} must have one value for each key."
                )
            text = canonical_text(point)
            if text in seen:
                raise InputError(f"{over()} {keys}: the value {point_text(point)} is given twice.")
            seen.add(text)

    def __len__(self) -> int:
        return len(self.points)

    def settings(self, index: int) -> dict[str, Any]:
        """The values at a position along the axis, by key."""
        return dict(zip(self.keys, self.points[index], strict=True))

    def joined(self, other: Axis) -> Axis:
        """An axis with the points of both, those of ``self`` first; numeric points are sorted."""
        known = {canonical_text(point) for point in self.points}
        new = tuple(point for point in other.points if canonical_text(point) not in known)
        return Axis(self.keys, self.points + new).ordered()

    def ordered(self) -> Axis:
        """This axis with its points sorted by the first key if all of that key's values are numbers."""
        if all(_is_number(point[0]) for point in self.points):
            return Axis(self.keys, tuple(sorted(self.points, key=lambda point: point[0])))
        return self


def parse_axis(text: str, base: Experiment | None = None) -> Axis:
    """Parse ``a.b=VALUES``, or ``a.b=VALUES;c.d=VALUES`` for keys that change together.

    VALUES are separated by commas. Each is a TOML value, or a bare string if it is not valid TOML.
    ``lin:LOW:HIGH:COUNT`` and ``log:LOW:HIGH:COUNT`` expand to COUNT values, equally spaced or with equal
    factors, both ends included.

    Args:
        text: the text of an ``--over`` or ``--zip`` option.
        base: the base experiment; ranges over its integer keys are rounded to integers.

    Raises:
        InputError: if the text is not of this form.
    """
    columns: dict[str, list[Any]] = {}
    for piece in split_values(text, ";"):
        key, equals, values = piece.partition("=")
        key = key.strip()
        if not equals or not all(name.strip() for name in key.split(".")):
            raise InputError(
                f"{over()} '{piece}': write a.b=1,2,3 or a.b=log:1e-3:1e-1:7, for example "
                "optimizer.weight_decay=0.001,0.01."
            )
        if not values.strip():
            raise InputError(f"{over()} {key}: needs at least one value.")
        if key in columns:
            raise InputError(f"{over()} {key}: this key is given twice.")
        integer = base is not None and _is_integer_key(base, key)
        columns[key] = [
            value for item in split_values(values, ",") for value in _values(key, item.strip(), integer)
        ]
    return axis_from_columns(columns)


def axis_from_columns(columns: Mapping[str, Sequence[Any]]) -> Axis:
    """Build an axis from the values of each key.

    Raises:
        InputError: if the keys have different numbers of values, or see `Axis`.
    """
    lengths = {key: len(values) for key, values in columns.items()}
    if len(set(lengths.values())) > 1:
        counts = ", ".join(f"{key} has {count}" for key, count in lengths.items())
        raise InputError(f"{over('--zip')}: paired keys need equally many values, but {counts}.")
    return Axis(tuple(columns), tuple(zip(*columns.values(), strict=True)))


def axis_from_values(keys: str | tuple[str, ...], values: Any, base: Experiment) -> Axis:
    """Build an axis from Python values.

    Args:
        keys: a key, or several whose values change together.
        values: of one key a list, an array, or a text like ``log:1e-3:1e-1:7``; of several keys a list of
            tuples, with a value for each key. Parts and tables are values, too.
        base: the base experiment.

    Raises:
        InputError: if there are no values, or see `Axis`.

    Example:
        >>> base = Experiment(task="sparse_parity", epochs=1)
        >>> axis_from_values("optimizer.weight_decay", [0.0, 0.1], base).points
        ((0.0,), (0.1,))
        >>> axis_from_values(("model.width", "optimizer.learning_rate"), [(8, 0.1), (16, 0.05)], base).points
        ((8, 0.1), (16, 0.05))
    """
    names = (keys,) if isinstance(keys, str) else tuple(keys)
    text = ";".join(names)
    if isinstance(values, str):
        if len(names) > 1:
            raise InputError(f"{over()} {text}: give a list of tuples, with a value for each key.")
        return parse_axis(f"{text}={values}", base)
    if not isinstance(values, Iterable) or isinstance(values, Mapping):
        raise InputError(f"{over()} {text}: give a list of values (got {values!r:.60}).")
    points: list[tuple[Any, ...]] = []
    for value in values:
        several = isinstance(value, Iterable) and not isinstance(value, str | Mapping | Part)
        if len(names) > 1 and not several:
            raise InputError(f"{over()} {text}: {value!r:.60} must be a tuple with a value for each key.")
        point = value if len(names) > 1 else (value,)
        points.append(tuple(_plain(one) for one in cast("Any", point)))
    return Axis(names, tuple(points))


def _plain(value: Any) -> Any:
    """A value as a spec has it: numpy's numbers as Python's, parts as tables, tuples as lists."""
    if isinstance(value, Part):
        return without_none(value.model_dump(mode="json"))
    listed = getattr(value, "tolist", None)
    return value if listed is None else listed()


def values_from_table(key: str, value: Any, base: Experiment) -> list[Any]:
    """The values of a key in a ``[sweep.over]`` table: a list, or a string in ``--over`` syntax."""
    if isinstance(value, str):
        return [point[0] for point in parse_axis(f"{key}={value}", base).points]
    if isinstance(value, list):
        return value
    raise InputError(f"sweep.over.{key}: a list of values, or a text like 'log:1e-3:1e-1:7'.")


def axis_names(axes: Iterable[Axis], taken: Collection[str] = ()) -> tuple[str, ...]:
    """Dimension names of the axes: the last part of the first key, or the full key if that is not free.

    A name is free if no other axis, measure, coordinate or result of a sweep has it.

    Args:
        axes: the axes.
        taken: the names of the measures and of their axes.

    Example:
        >>> axis_names([parse_axis("optimizer.weight_decay=0.1"), parse_axis("optimizer.kind=sgd")])
        ('weight_decay', 'optimizer')
        >>> axis_names([parse_axis("task.n=8,9")])  # a summary has a variable n
        ('task_n',)
    """
    firsts = [axis.keys[0] for axis in axes]
    shorts = [_short(key) for key in firsts]
    names: list[str] = []
    for key, short in zip(firsts, shorts, strict=True):
        others = {*taken, *names, *(one for one in shorts if shorts.count(one) > 1)}
        names.append(free_name(key, short, others))
    return tuple(names)


def free_name(key: str, short: str, taken: Collection[str]) -> str:
    """The first of the short name, the full key with underscores, and the full key that is not in use.

    Example:
        >>> free_name("task.n", "n", ()), free_name("task.k", "k", ()), free_name("task.k", "k", {"k"})
        ('task_n', 'k', 'task_k')
    """
    full = key.replace(".", "_")
    if short not in taken and short not in _RESERVED and not _RESERVED_FORM.fullmatch(short):
        return short
    if full not in taken and full not in _RESERVED:
        return full
    return key if "." in key else f"spec.{key}"


def over(flag: str = "--over") -> str:
    """How messages about an axis begin."""
    return said(command=flag, python="sweep over")


def split_values(text: str, separator: str) -> list[str]:
    """Split at separators outside brackets, braces and quotes.

    Raises:
        InputError: if a piece is empty.

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
        raise InputError(f"{over()} '{text}': a value beside a separator '{separator}' is empty.")
    return pieces


def point_text(point: Sequence[Any]) -> str:
    """The values of a point as text for messages and tables."""
    return ", ".join(f"{v:g}" if isinstance(v, float) else str(v) for v in point)


def _values(key: str, text: str, integer: bool) -> list[Any]:
    kind, colon, rest = text.partition(":")
    if colon and kind in ("log", "lin"):
        return _range(key, kind, rest, integer)
    return [parse_value(text)]


def _range(key: str, kind: str, text: str, integer: bool) -> list[Any]:
    where = f"{over()} {key}={kind}:{text}"
    try:
        low, high, number = text.split(":")
        ends, count = (float(low), float(high)), int(number)
    except ValueError:
        raise InputError(f"{where}: write {kind}:LOW:HIGH:COUNT, for example {kind}:1e-3:1e-1:7.") from None
    if not all(map(math.isfinite, ends)) or not 1 <= count <= _MAX_VALUES:
        raise InputError(f"{where}: the ends must be finite and the count from 1 to {_MAX_VALUES}.")
    if count == 1 and ends[0] != ends[1]:
        raise InputError(f"{where}: a COUNT of 1 needs LOW equal to HIGH; give 2 or more.")
    if kind == "log":
        if min(ends) <= 0:
            raise InputError(f"{where}: both ends must be positive.")
        ends = (math.log10(ends[0]), math.log10(ends[1]))
    fractions = [i / (count - 1) if count > 1 else 0.0 for i in range(count)]
    raw = [ends[0] + f * (ends[1] - ends[0]) for f in fractions]
    values = [10**v if kind == "log" else v for v in raw]
    if integer:
        return [round(value) for value in values]
    return [float(f"{value:.{_DIGITS}g}") for value in values]


def _is_integer_key(base: Experiment, key: str) -> bool:
    value: Any = base
    for name in key.split("."):
        value = getattr(value, name, None)
    return isinstance(value, int) and not isinstance(value, bool)


def _short(key: str) -> str:
    *above, last = key.split(".")
    return above[-1] if last == "kind" and above else last


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def canonical_text(point: Sequence[Any]) -> str:
    """A text that is equal for equal points; 1 and 1.0 are equal."""
    return json.dumps([float(v) if _is_number(v) else v for v in point], sort_keys=True, default=str)
