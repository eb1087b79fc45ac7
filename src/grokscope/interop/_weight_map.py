"""Maps from the tensors of a foreign state dict to the arrays of our network.

A map comes from a known layout (``_layouts.py``), or from a TOML file of the user::

    ignore = ["*.mask"]

    [weights]
    hidden_bias = "encoder.bias"
    hidden_weight = { from = "encoder.weight", transpose = true }
    output_weight = { from = ["head.0", "head.1"], do = [{ reshape = [2, 500] }, { transpose = [1, 0] }] }
    output_bias = 0.0
"""

from __future__ import annotations

import fnmatch
import json
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from grokscope.errors import InputError, did_you_mean
from grokscope.interop._tensors import Tensors
from grokscope.spec.toml import read_toml

__all__ = ["MapEntry", "ShapeOp", "WeightMap", "map_to_start_from", "shapes_text"]

_MAX_LISTED = 40


class ShapeOp(NamedTuple):
    """An operation on the shape of an array.

    ``reshape`` to the given sizes (one may be -1); ``transpose`` to the given order of axes (none: reversed);
    or ``first``, which keeps the first entries along each axis, as many as given.
    """

    kind: Literal["reshape", "transpose", "first"]
    numbers: tuple[int, ...] = ()

    def shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Shape of the result for an array of a given shape.

        Raises:
            ValueError: if the operation does not fit the shape.
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
        """Apply the operation to an array."""
        if self.kind == "transpose":
            return array.transpose(self.numbers or None)
        if self.kind == "first":
            return array[tuple(slice(size) for size in self.shape(array.shape))]
        return array.reshape(self.shape(array.shape))


@dataclass(frozen=True)
class MapEntry:
    """How one array of our network is made from the tensors.

    Attributes:
        names: the tensors it is made from; several are stacked along a new first axis; none makes a constant.
        ops: operations on the shape, in order.
        constant: fills the array if there are no tensors.
    """

    names: tuple[str, ...] = ()
    ops: tuple[ShapeOp, ...] = ()
    constant: float = 0.0

    def shape(self, shapes: Mapping[str, tuple[int, ...]]) -> tuple[int, ...] | None:
        """Shape of the array, given those of the tensors; None for a constant, which fits any shape.

        Raises:
            ValueError: if the tensors cannot be stacked, or an operation does not fit.
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
        """Make the array; ``shape`` may differ from its own shape by axes of length 1."""
        if not self.names:
            return np.full(shape, self.constant, dtype)
        parts = [read(name) for name in self.names]
        array = parts[0] if len(parts) == 1 else np.stack(parts)
        for op in self.ops:
            array = op.apply(array)
        # a copy, because a training loop may go on to change its tensors
        return np.array(array.reshape(shape), dtype=dtype, order="C")


@dataclass(frozen=True)
class WeightMap:
    """How all arrays of our network are made.

    Attributes:
        entries: by our names.
        ignore: names of tensors that are not needed, or patterns of names (``*.mask``).
        label: names the map in messages.
    """

    entries: Mapping[str, MapEntry]
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
        """Make a map from a table.

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
        """Check that the map makes all our arrays in their shapes and leaves no tensor over.

        Args:
            tensors: the foreign tensors.
            wanted: shapes of our arrays by name.
            like: the first snapshot, if ``tensors`` is a later one, which must have the same tensors.

        Raises:
            InputError: naming the file of the tensors, the names found and the shapes expected.
        """
        used = {name for entry in self.entries.values() for name in entry.names}
        lists = "" if like is not None else f" {_found_and_expected(tensors.shapes, wanted)}"
        for name in self.entries:
            if name not in wanted:
                raise InputError(f"{self.label}: the model has no array '{name}'.{lists}")
        if missing := [name for name in wanted if name not in self.entries]:
            raise InputError(f"{self.label}: makes no array '{missing[0]}'.{lists}")
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
        """Make our arrays from checked tensors."""
        return {name: self.entries[name].take(tensors.read, wanted[name], dtype) for name in wanted}

    def _ignores(self, name: str) -> bool:
        return any(fnmatch.fnmatchcase(name, pattern) for pattern in self.ignore)


def map_to_start_from(tensors: Tensors, wanted: Mapping[str, tuple[int, ...]]) -> str:
    """A map file in which each of our arrays has the one tensor that fits by its shape.

    Args:
        tensors: the foreign tensors.
        wanted: shapes of our arrays by name.
    """
    left = dict(tensors.shapes)
    lines: list[str] = []
    for name, shape in wanted.items():
        fits = [(n, False) for n, s in left.items() if _squeezed(s) == _squeezed(shape)]
        fits += [
            (n, True)
            for n, s in left.items()
            if _squeezed(s) == _squeezed(shape)[::-1] and (n, False) not in fits
        ]
        lines.append(f"# {name} has shape {list(shape)}" + ("" if fits else "; no tensor fits"))
        if len(fits) > 1:
            lines[-1] += f"; {', '.join(json.dumps(n) for n, _ in fits)} fit"
        theirs, is_turned = fits[0] if len(fits) == 1 else ("", False)
        value = f"{{ from = {json.dumps(theirs)}, transpose = true }}" if is_turned else json.dumps(theirs)
        lines.append(f"{json.dumps(name)} = {value}")
        left.pop(theirs, None)
    found = "".join(f"#   {json.dumps(name)} {list(shape)}\n" for name, shape in left.items())
    return (
        "# A map for grokscope import torch --map: our arrays = their tensors. Write the missing names.\n"
        f"# Tensors that have no place yet (those that are not needed go into 'ignore'):\n{found}"
        "ignore = []\n\n[weights]\n" + "\n".join(lines) + "\n"
    )


def shapes_text(shapes: Mapping[str, tuple[int, ...]]) -> str:
    """Format names with their shapes in one line.

    Example:
        >>> shapes_text({"a.weight": (3, 2), "a.bias": (3,)})
        'a.weight [3, 2], a.bias [3]'
    """
    items = [f"{name} {list(shape)}" for name, shape in shapes.items()]
    more = len(items) - _MAX_LISTED
    return ", ".join(items[:_MAX_LISTED]) + (f", and {more} more" if more > 0 else "")


def _found_and_expected(found: Mapping[str, tuple[int, ...]], wanted: Mapping[str, tuple[int, ...]]) -> str:
    return f"Found: {shapes_text(found)}. Expected: {shapes_text(wanted)}."


def _as_in(like: Tensors | None, has: bool = True) -> str:
    return "" if like is None else f", which {like.label} {'has' if has else 'has not'}"


def _squeezed(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(size for size in shape if size != 1)


def _flat(table: Mapping[str, Any], above: str = "") -> Iterable[tuple[str, Any]]:
    """Join the keys of nested tables, which is what TOML makes of ``blocks.0.W`` without quotation marks."""
    for key, value in table.items():
        if isinstance(value, Mapping) and not value.keys() & {"from", "transpose", "do"}:
            yield from _flat(value, f"{above}{key}.")
        else:
            yield f"{above}{key}", value


def _entry(value: Any, where: str) -> MapEntry:
    if isinstance(value, str):
        return MapEntry((value,))
    if isinstance(value, int | float) and not isinstance(value, bool):
        return MapEntry(constant=float(value))
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
    return MapEntry(tuple(names), ops)


def _ops(step: Any, where: str) -> list[ShapeOp]:
    if isinstance(step, Mapping) and len(step) == 1:
        [(kind, value)] = step.items()
        if kind == "transpose" and isinstance(value, bool):
            return [ShapeOp("transpose")] if value else []
        numbers = isinstance(value, list | tuple) and value and all(type(n) is int for n in value)
        if kind in ("reshape", "transpose", "first") and numbers:
            return [ShapeOp(kind, tuple(value))]
    raise InputError(
        f"{where}: a change of shape is {{ transpose = true }}, {{ transpose = [1, 0] }}, "
        f"{{ reshape = [4, -1] }} or {{ first = [128, 113] }} (got {step!r})."
    )
