"""From their names to ours: which of their tensors each of our arrays is made of, and how.

A map is made by a layout that we know (`_layouts.py`), or read from a small TOML file::

    ignore = ["*.mask"]

    [weights]
    hidden_bias = "encoder.bias"
    hidden_weight = { from = "encoder.weight", transpose = true }
    output_weight = { from = ["head.0", "head.1"], do = [{ reshape = [2, 500] }, { transpose = [1, 0] }] }
    output_bias = 0.0
"""

from __future__ import annotations

import fnmatch
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from grokscope.errors import InputError, did_you_mean
from grokscope.interop._tensors import Tensors
from grokscope.spec.toml import read_toml

__all__ = ["Entry", "Op", "WeightMap", "spoken_shapes"]

_MOST_LISTED = 40


class Op(NamedTuple):
    """A change of shape.

    ``reshape`` to sizes (one may be -1), ``transpose`` (no numbers: reversed), or ``first`` (so many along
    each axis, the first ones).
    """

    kind: Literal["reshape", "transpose", "first"]
    numbers: tuple[int, ...] = ()

    def shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape after it.

        Raises:
            ValueError: if it does not fit.
        """
        if self.kind == "transpose":
            axes = self.numbers or tuple(reversed(range(len(shape))))
            if sorted(axes) != list(range(len(shape))):
                raise ValueError(f"transpose = {list(axes)} does not fit shape {list(shape)}")
            return tuple(shape[axis] for axis in axes)
        if self.kind == "first":
            fits = len(self.numbers) == len(shape) and all(map(int.__le__, self.numbers, shape))
            if not fits or min(self.numbers, default=0) < 0:
                raise ValueError(f"first = {list(self.numbers)} does not fit shape {list(shape)}")
            return self.numbers
        size, known = math.prod(shape), math.prod(n for n in self.numbers if n != -1)
        sizes = tuple(size // known if n == -1 and known else n for n in self.numbers)
        if self.numbers.count(-1) > 1 or math.prod(sizes) != size or any(n < -1 for n in self.numbers):
            raise ValueError(f"reshape = {list(self.numbers)} does not fit shape {list(shape)}")
        return sizes

    def apply(self, array: np.ndarray) -> np.ndarray:
        """The array after it."""
        if self.kind == "transpose":
            return array.transpose(self.numbers or None)
        if self.kind == "first":
            return array[tuple(slice(size) for size in self.shape(array.shape))]
        return array.reshape(self.shape(array.shape))


@dataclass(frozen=True)
class Entry:
    """How one of our arrays is made.

    Attributes:
        names: their tensors; several are stacked along a new first axis; none: a constant.
        ops: changes of shape, in order.
        constant: the number that fills it, where it is made of no tensor.
    """

    names: tuple[str, ...] = ()
    ops: tuple[Op, ...] = ()
    constant: float = 0.0

    def shape(self, shapes: Mapping[str, tuple[int, ...]]) -> tuple[int, ...] | None:
        """The shape it has, from those of their tensors; None for a constant, which has any.

        Raises:
            ValueError: if the tensors cannot be stacked, or a change of shape does not fit.
        """
        if not self.names:
            return None
        found = [shapes[name] for name in self.names]
        if len(set(found)) > 1:
            raise ValueError(f"tensors of shapes {', '.join(str(list(s)) for s in found)} cannot be stacked")
        shape = found[0] if len(found) == 1 else (len(found), *found[0])
        for op in self.ops:
            shape = op.shape(shape)
        return shape

    def take(self, read: Callable[[str], np.ndarray], shape: tuple[int, ...], dtype: str) -> np.ndarray:
        """The array, of a shape that differs from its own by axes of length 1 at most."""
        if not self.names:
            return np.full(shape, self.constant, dtype)
        parts = [read(name) for name in self.names]
        array = parts[0] if len(parts) == 1 else np.stack(parts)
        for op in self.ops:
            array = op.apply(array)
        # a copy: a training loop goes on to change what it gave
        return np.array(array.reshape(shape), dtype=dtype, order="C")


@dataclass(frozen=True)
class WeightMap:
    """All entries, and names that are passed over.

    Attributes:
        entries: by our names.
        ignore: their names, or patterns of them (``*.mask``), that are not needed.
        label: where the map comes from, for messages.
    """

    entries: Mapping[str, Entry]
    ignore: tuple[str, ...] = ()
    label: str = "map"

    @classmethod
    def from_toml(cls, path: Path) -> WeightMap:
        """Read a map file.

        Raises:
            InputError: naming the file and what is wrong.
        """
        return cls.from_table(read_toml(path), str(path))

    @classmethod
    def from_table(cls, table: Mapping[str, Any], label: str = "map") -> WeightMap:
        """Make a map of a (TOML) table.

        Raises:
            InputError: naming the label and what is wrong.
        """
        for key in table:
            if key not in ("weights", "ignore"):
                raise InputError(
                    f"{label}: no key '{key}' is known.{did_you_mean(key, ('weights', 'ignore'))} "
                    "Allowed: weights, ignore."
                )
        ignore, weights = table.get("ignore", []), table.get("weights")
        if not isinstance(ignore, list | tuple) or not all(isinstance(name, str) for name in ignore):
            raise InputError(f"{label}: ignore must be a list of names.")
        if not isinstance(weights, Mapping) or not weights:
            raise InputError(f"{label}: needs a table [weights], our names = theirs.")
        entries = {name: _entry(value, f"{label}: {name}") for name, value in _flat(weights)}
        return cls(entries, tuple(ignore), label)

    def check(
        self, tensors: Tensors, wanted: Mapping[str, tuple[int, ...]], *, like: Tensors | None = None
    ) -> None:
        """Check that tensors give all our arrays, in their shapes, and that none is left over.

        Args:
            tensors: theirs.
            wanted: shapes of our arrays by name.
            like: the first snapshot, which the others must be like.

        Raises:
            InputError: naming the tensors' file, the names found and the shapes expected.
        """
        used = {name for entry in self.entries.values() for name in entry.names}
        lists = "" if like is not None else f" {_both(tensors.shapes, wanted)}"
        for name in self.entries:
            if name not in wanted:
                raise InputError(f"{self.label}: '{name}' is no array of the model.{lists}")
        if missing := [name for name in wanted if name not in self.entries]:
            raise InputError(f"{self.label}: says nothing of our '{missing[0]}'.{lists}")
        known = [*tensors.shapes]
        for name in sorted(used):
            if name not in tensors.shapes:
                close = did_you_mean(name, known) if like is None else ""
                raise InputError(f"{tensors.label}: lacks '{name}'{_as_in(like)}.{close}{lists}")
        for name in known:
            if name not in used and not self._ignores(name):
                more = "; name it in the map's 'ignore' if it is not needed" if like is None else ""
                raise InputError(f"{tensors.label}: has '{name}' too{_as_in(like, False)}{more}.{lists}")
        for name, entry in self.entries.items():
            try:
                shape = entry.shape(tensors.shapes)
            except ValueError as error:
                raise InputError(f"{tensors.label}: for our '{name}': {error}.{lists}") from None
            if shape is not None and _squeezed(shape) != _squeezed(wanted[name]):
                theirs = " and ".join(f"'{n}' {list(tensors.shapes[n])}" for n in entry.names)
                raise InputError(
                    f"{tensors.label}: {theirs} gives shape {list(shape)}, but our '{name}' has "
                    f"{list(wanted[name])}.{lists}"
                )

    def take(
        self, tensors: Tensors, wanted: Mapping[str, tuple[int, ...]], dtype: str
    ) -> dict[str, np.ndarray]:
        """Our arrays, of checked tensors."""
        return {name: self.entries[name].take(tensors.read, wanted[name], dtype) for name in wanted}

    def _ignores(self, name: str) -> bool:
        return any(fnmatch.fnmatchcase(name, pattern) for pattern in self.ignore)


def spoken_shapes(shapes: Mapping[str, tuple[int, ...]]) -> str:
    """Names with their shapes, in one line.

    Example:
        >>> spoken_shapes({"a.weight": (3, 2), "a.bias": (3,)})
        'a.weight [3, 2], a.bias [3]'
    """
    items = [f"{name} {list(shape)}" for name, shape in shapes.items()]
    more = len(items) - _MOST_LISTED
    return ", ".join(items[:_MOST_LISTED]) + (f", and {more} more" if more > 0 else "")


def _both(found: Mapping[str, tuple[int, ...]], wanted: Mapping[str, tuple[int, ...]]) -> str:
    return f"Found: {spoken_shapes(found)}. Expected: {spoken_shapes(wanted)}."


def _as_in(like: Tensors | None, has: bool = True) -> str:
    return "" if like is None else f", which {like.label} {'has' if has else 'has not'}"


def _squeezed(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(size for size in shape if size != 1)


def _flat(table: Mapping[str, Any], above: str = "") -> Iterable[tuple[str, Any]]:
    """Entries by dotted names: TOML reads ``blocks.0.W`` without quotation marks as nested tables."""
    for key, value in table.items():
        if isinstance(value, Mapping) and not value.keys() & {"from", "transpose", "do"}:
            yield from _flat(value, f"{above}{key}.")
        else:
            yield f"{above}{key}", value


def _entry(value: Any, where: str) -> Entry:
    if isinstance(value, str):
        return Entry((value,))
    if isinstance(value, int | float) and not isinstance(value, bool):
        return Entry(constant=float(value))
    if not isinstance(value, Mapping) or "from" not in value:
        raise InputError(
            f'{where}: write a name, a number, or {{ from = "...", transpose = true }} with the key from.'
        )
    allowed = ("from", "transpose", "do")
    for key in value:
        if key not in allowed:
            raise InputError(
                f"{where}: no key '{key}' is known.{did_you_mean(key, allowed)} "
                f"Allowed: {', '.join(allowed)}."
            )
    names = (value["from"],) if isinstance(value["from"], str) else value["from"]
    if not isinstance(names, list | tuple) or not names or not all(isinstance(name, str) for name in names):
        raise InputError(f"{where}: from must be a name or a list of names.")
    if "transpose" in value and "do" in value:
        raise InputError(f"{where}: give transpose, or do (a list of changes), not both.")
    steps = [{"transpose": value["transpose"]}] if "transpose" in value else value.get("do", [])
    if not isinstance(steps, list | tuple):
        raise InputError(f"{where}: do must be a list, as [{{ reshape = [4, 32, 128] }}].")
    ops = tuple(op for step in steps for op in _ops(step, where))
    return Entry(tuple(names), ops)


def _ops(step: Any, where: str) -> list[Op]:
    if isinstance(step, Mapping) and len(step) == 1:
        [(kind, value)] = step.items()
        if kind == "transpose" and isinstance(value, bool):
            return [Op("transpose")] if value else []
        numbers = isinstance(value, list | tuple) and value and all(type(n) is int for n in value)
        if kind in ("reshape", "transpose", "first") and numbers:
            return [Op(kind, tuple(value))]
    raise InputError(
        f"{where}: a change of shape is {{ transpose = true }}, {{ transpose = [1, 0] }}, "
        f"{{ reshape = [4, -1] }} or {{ first = [128, 113] }} (got {step!r})."
    )
