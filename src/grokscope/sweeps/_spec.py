"""The spec of a sweep: a base experiment, axes and seeds; it generates the experiment of every cell."""

from __future__ import annotations

import hashlib
import itertools
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from grokscope.errors import InputError, did_you_mean, said
from grokscope.experiment import Experiment
from grokscope.spec.parts import kinds, looking_in
from grokscope.spec.streams import Members
from grokscope.spec.toml import read_toml
from grokscope.sweeps._axes import (
    Axis,
    axis_from_columns,
    axis_from_values,
    axis_names,
    over,
    parse_axis,
    point_text,
    values_from_table,
)

__all__ = ["Cell", "SweepSpec", "check_keys", "read_sweep_file", "settings_text", "with_settings"]

_IDENTITY_VERSION = 1
_TABLE_KEYS = ("over", "zip", "seeds")


@dataclass(frozen=True)
class Cell:
    """One experiment of a sweep: one point on every axis.

    Attributes:
        index: position along each axis.
        settings: the values that replace those of the base experiment, by key.
        experiment: the resulting experiment.
    """

    index: tuple[int, ...]
    settings: dict[str, Any]
    experiment: Experiment

    @property
    def name(self) -> str:
        """The name of the cell's folder: the first 16 digits of the experiment's identity."""
        return self.experiment.identity[:16]


@dataclass(frozen=True)
class SweepSpec:
    """A grid of experiments, each trained with the same seeds.

    Attributes:
        base: the experiment that every cell modifies.
        axes: the axes in the order given; the grid is their product.
        seeds: the members of every cell.

    Raises:
        InputError: if there is no axis, a key is on two axes, or a key does not change a run's results.

    Example:
        >>> base = Experiment(task="sparse_parity", epochs=300)
        >>> spec = SweepSpec.of(base, over=["task.n_train=500,1000", "optimizer.weight_decay=0.01"], seeds=5)
        >>> [cell.settings["task.n_train"] for cell in spec.cells()], spec.n_members
        ([500, 1000], 10)
    """

    base: Experiment
    axes: tuple[Axis, ...]
    seeds: Members

    def __post_init__(self) -> None:
        if not self.axes:
            raise InputError(
                "a sweep needs an axis: "
                + said(
                    command="--over optimizer.weight_decay=0.001,0.01, or [sweep] in the spec.",
                    python='{"optimizer.weight_decay": [0.001, 0.01]}, for example.',
                )
            )
        keys = [key for axis in self.axes for key in axis.keys]
        for key in keys:
            if keys.count(key) > 1:
                raise InputError(f"{over()} {key}: this key is on two axes.")
            if key.split(".")[0] in type(self.base).not_identifying and not self._length_is_identifying(key):
                raise InputError(
                    f"{over()} {key}: does not determine the numbers, so all cells would be the same run; "
                    f"set it for all of them{said(command=' with --set', python='')}."
                )

    @classmethod
    def of(
        cls,
        base: Experiment,
        over: Sequence[str | Axis] | Mapping[str | tuple[str, ...], Any] = (),
        zips: Sequence[str | Axis] = (),
        seeds: Any = 1,
    ) -> SweepSpec:
        """Build a spec from command-line texts, or from values.

        Args:
            base: the base experiment.
            over: one axis each, see `parse_axis`; or for each key its values, see `axis_from_values`.
            zips: one axis each whose keys change together, in the same syntax.
            seeds: see `Members.parse`.

        Raises:
            InputError: see `parse_axis` and the class.
        """
        if isinstance(over, Mapping):
            over = [axis_from_values(key, values, base) for key, values in over.items()]
        elif isinstance(over, str):
            over = [over]
        axes = [one if isinstance(one, Axis) else parse_axis(one, base) for one in (*over, *zips)]
        return cls(base, tuple(axes), Members.parse(seeds))

    @classmethod
    def from_toml(
        cls,
        path: str | Path,
        overrides: Sequence[str] = (),
        over: Sequence[str] = (),
        zips: Sequence[str] = (),
        seeds: Any = None,
    ) -> SweepSpec:
        """Read a spec file with a ``[sweep]`` table.

        Args:
            path: the TOML file.
            overrides: ``--set`` texts, applied to the base experiment.
            over: axes that replace those of the table on the same keys, and add to the others.
            zips: the same, for keys that change together.
            seeds: replaces ``sweep.seeds``; None keeps it.

        Raises:
            InputError: if the file or a value in it is not valid.
        """
        base, table = read_sweep_file(path, overrides)
        check_keys(table, _TABLE_KEYS, "sweep")
        axes = [parse_axis(text, base) for text in (*over, *zips)]
        replaced = {key for axis in axes for key in axis.keys}
        kept = [axis for axis in _axes_of_table(table, base) if not replaced & set(axis.keys)]
        if seeds is None:
            seeds = table.get("seeds", 1)
        if not isinstance(seeds, int | str | Members) or isinstance(seeds, bool):
            raise InputError("sweep.seeds: a count (20), or a text like '5,9,20:30'.")
        return cls(base, (*kept, *axes), Members.parse(seeds))

    @property
    def names(self) -> tuple[str, ...]:
        """The dimension name of each axis; a sweep's folder keeps those of its first request."""
        measures = {*kinds("measure"), *(measure.name for measure in self.base.measures or ())}
        results = {f"{event}_{end}" for event in self.base.events for end in ("step", "lower", "upper")}
        return axis_names(self.axes, {*measures, *results, *self.base.axes})

    @property
    def shape(self) -> tuple[int, ...]:
        """The number of points along each axis."""
        return tuple(len(axis) for axis in self.axes)

    @property
    def n_cells(self) -> int:
        """The number of cells."""
        return math.prod(self.shape)

    @property
    def n_members(self) -> int:
        """The number of members of all cells together."""
        return self.n_cells * len(self.seeds)

    @property
    def identity(self) -> str:
        """SHA-256 (64 hex digits) of the base without the axes' keys, and of the names of those keys.

        More values, seeds, epochs or measures do not change it.
        """
        table = self.base.identifying()
        keys = sorted(key for axis in self.axes for key in axis.keys)
        for key in keys:
            *parents, last = key.split(".")
            level: Any = table
            for name in parents:
                if isinstance(level, list) and name.isdigit() and int(name) < len(level):
                    level = level[int(name)]
                else:
                    level = level.get(name, {}) if isinstance(level, dict) else {}
            if isinstance(level, dict):
                level.pop(last, None)
        text = json.dumps([_IDENTITY_VERSION, keys, table], sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    def cells(self) -> Iterator[Cell]:
        """All cells; the last axis varies fastest.

        Raises:
            InputError: if a value is not valid, or two cells are the same experiment.
        """
        seen: dict[str, Cell] = {}
        for index in itertools.product(*(range(size) for size in self.shape)):
            cell = self.cell(index)
            first = seen.setdefault(cell.experiment.identity, cell)
            if first is not cell:
                raise InputError(
                    f"{over()}: {settings_text(first.settings)} and {settings_text(cell.settings)} "
                    "are the same experiment."
                )
            yield cell

    def cell(self, index: tuple[int, ...]) -> Cell:
        """The cell at an index of the grid.

        Raises:
            InputError: if its values are not valid.
        """
        settings: dict[str, Any] = {}
        for axis, i in zip(self.axes, index, strict=True):
            settings |= axis.settings(i)
        return Cell(index, settings, with_settings(self.base, settings))

    def _length_is_identifying(self, key: str) -> bool:
        return key in ("epochs", "steps") and self.base.optimizer.schedule.depends_on_length


def read_sweep_file(path: str | Path, overrides: Sequence[str] = ()) -> tuple[Experiment, dict[str, Any]]:
    """Read a spec file: the base experiment with ``--set`` texts applied, and the table ``[sweep]``.

    Raises:
        InputError: if the file is not valid.
    """
    table = read_toml(Path(path))
    sweep_table = table.pop("sweep", {})
    if not isinstance(sweep_table, dict):
        raise InputError("sweep: must be a table with over, zip and seeds.")
    with looking_in(Path(path).parent):
        return Experiment.from_table(table, tuple(overrides)), sweep_table


def check_keys(table: Mapping[str, Any], allowed: Sequence[str], where: str) -> None:
    """Check the keys of a table.

    Raises:
        InputError: if a key is not among those allowed.
    """
    for key in table:
        if key not in allowed:
            hint = did_you_mean(key, allowed)
            raise InputError(f"{where}.{key}: no such key.{hint} Allowed: {', '.join(allowed)}.")


def with_settings(base: Experiment, settings: dict[str, Any]) -> Experiment:
    """The base experiment with some values replaced.

    Raises:
        InputError: if a key does not exist or a value is not valid.
    """
    try:
        return base.with_(*(f"{key}={_toml(value)}" for key, value in settings.items()))
    except InputError as error:
        text = str(error).removeprefix("--set ")  # which only the command line says
        names_key = any(text.startswith(f"{key}:") for key in settings)
        raise InputError(
            f"{over()} {text}" if names_key else f"{over()} {settings_text(settings)}: {text}"
        ) from None


def settings_text(settings: dict[str, Any]) -> str:
    """Settings as text for messages and tables.

    Example:
        >>> settings_text({"task.n_train": 500, "optimizer.weight_decay": 1e-3})
        'task.n_train=500, optimizer.weight_decay=0.001'
    """
    return ", ".join(f"{key}={point_text((value,))}" for key, value in settings.items())


def _axes_of_table(table: dict[str, Any], base: Experiment) -> list[Axis]:
    over = _flat(table.get("over", {}))
    axes = [axis_from_columns({key: values_from_table(key, value, base)}) for key, value in over.items()]
    pairs = table.get("zip", [])
    return axes + [
        axis_from_columns({key: values_from_table(key, value, base) for key, value in _flat(pair).items()})
        for pair in (pairs if isinstance(pairs, list) else [pairs])
    ]


def _flat(table: Any, prefix: str = "") -> dict[str, Any]:
    """Flatten ``{"task": {"k": [3, 4]}}``, as TOML parses a dotted key, to ``{"task.k": [3, 4]}``."""
    if not isinstance(table, dict):
        raise InputError("sweep: over and zip are tables of keys, e.g. over = {task.k = [3, 4]}.")
    flat: dict[str, Any] = {}
    for key, value in table.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat


def _toml(value: Any) -> str:
    import tomli_w

    # tomli_w writes a table inside a list in one line
    text = tomli_w.dumps({"value": [list(value) if isinstance(value, tuple) else value]})
    return text.strip()[len("value = [") : -1].strip().rstrip(",")
