"""What a sweep is asked for: a base experiment, axes, seeds; and the cells that follow."""

from __future__ import annotations

import hashlib
import itertools
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from grokscope.errors import InputError, did_you_mean
from grokscope.experiment import Experiment
from grokscope.spec.parts import looking_in
from grokscope.spec.streams import Members
from grokscope.spec.toml import read_toml
from grokscope.sweeps._axes import Axis, axis_from_table, axis_names, axis_of, parse_axis, point_text

__all__ = ["Cell", "SweepSpec"]

_IDENTITY_VERSION = 1
_TABLE_KEYS = ("over", "zip", "seeds")


@dataclass(frozen=True)
class Cell:
    """One place of the grid.

    Attributes:
        index: its place along each axis.
        settings: what differs from the base, by key.
        experiment: what is trained there.
    """

    index: tuple[int, ...]
    settings: dict[str, Any]
    experiment: Experiment

    @property
    def name(self) -> str:
        """The name of its folder: the start of the experiment's identity."""
        return self.experiment.identity[:16]


@dataclass(frozen=True)
class SweepSpec:
    """A grid of experiments and the seeds of every cell.

    Attributes:
        base: the experiment that the cells change.
        axes: in the order given; their product is the grid.
        seeds: of every cell.

    Raises:
        InputError: if there is no axis, a key is on two, or a key does not exist.

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
                "a sweep needs an axis: --over optimizer.weight_decay=0.001,0.01, or [sweep] in the spec."
            )
        keys = [key for axis in self.axes for key in axis.keys]
        for key in keys:
            if keys.count(key) > 1:
                raise InputError(f"--over {key}: this key is on two axes.")
            if key.split(".")[0] in type(self.base).not_identifying and not self._length_matters(key):
                raise InputError(
                    f"--over {key}: does not determine the numbers, so its cells would be one and the same "
                    "run; set it for all of them with --set."
                )

    @classmethod
    def of(
        cls,
        base: Experiment,
        over: Sequence[str | Axis] = (),
        zips: Sequence[str | Axis] = (),
        seeds: Any = 1,
    ) -> SweepSpec:
        """Make a spec of texts as on the command line; each of ``zips`` pairs several keys.

        Raises:
            InputError: see `parse_axis`, and the class.
        """
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
        """Read a spec file with a ``[sweep]`` table; what is given here takes the place of what is there.

        Raises:
            InputError: if the file or a value in it is not valid.
        """
        file = Path(path)
        table = read_toml(file)
        own = table.pop("sweep", {})
        if not isinstance(own, dict):
            raise InputError("sweep: must be a table with over, zip and seeds.")
        with looking_in(file.parent):
            base = Experiment.from_table(table, tuple(overrides))
        given = [parse_axis(text, base) for text in (*over, *zips)]
        taken = {key for axis in given for key in axis.keys}
        there = [axis for axis in _axes_of_table(own, base) if not taken & set(axis.keys)]
        asked = own.get("seeds", 1) if seeds is None else seeds
        if not isinstance(asked, int | str | Members) or isinstance(asked, bool):
            raise InputError("sweep.seeds: a count (20), or a text like '5,9,20:30'.")
        return cls(base, (*there, *given), Members.parse(asked))

    @property
    def names(self) -> tuple[str, ...]:
        """The dimensions of the result."""
        return axis_names(self.axes)

    @property
    def shape(self) -> tuple[int, ...]:
        """The number of points along each axis."""
        return tuple(len(axis) for axis in self.axes)

    @property
    def n_cells(self) -> int:
        """How many cells the grid has."""
        return math.prod(self.shape)

    @property
    def n_members(self) -> int:
        """Members of all cells."""
        return self.n_cells * len(self.seeds)

    @property
    def identity(self) -> str:
        """Hash (64 hex digits) of the base, but for the keys on the axes, and of these keys.

        More values, seeds, epochs or measures do not change it.
        """
        table = self.base.identifying()
        keys = sorted(key for axis in self.axes for key in axis.keys)
        for key in keys:
            *above, last = key.split(".")
            level: Any = table
            for name in above:
                if isinstance(level, list) and name.isdigit() and int(name) < len(level):
                    level = level[int(name)]
                else:
                    level = level.get(name, {}) if isinstance(level, dict) else {}
            if isinstance(level, dict):
                level.pop(last, None)
        text = json.dumps([_IDENTITY_VERSION, keys, table], sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    def cells(self) -> Iterator[Cell]:
        """All cells, the last axis fastest.

        Raises:
            InputError: if a value is not valid, or two cells are the same experiment.
        """
        seen: dict[str, Cell] = {}
        for index in itertools.product(*(range(size) for size in self.shape)):
            cell = self.cell(index)
            twin = seen.setdefault(cell.experiment.identity, cell)
            if twin is not cell:
                raise InputError(
                    f"--over: {settings_text(twin.settings)} and {settings_text(cell.settings)} "
                    "are the same experiment."
                )
            yield cell

    def cell(self, index: tuple[int, ...]) -> Cell:
        """The cell at a place of the grid.

        Raises:
            InputError: if its values are not valid.
        """
        settings: dict[str, Any] = {}
        for axis, place in zip(self.axes, index, strict=True):
            settings |= axis.settings(place)
        return Cell(index, settings, changed(self.base, settings))

    def _length_matters(self, key: str) -> bool:
        return key in ("epochs", "steps") and self.base.optimizer.schedule.depends_on_length


def changed(base: Experiment, settings: dict[str, Any]) -> Experiment:
    """The base with some values set.

    Raises:
        InputError: if a key does not exist or a value is not valid.
    """
    try:
        return base.with_(*(f"{key}={_toml(value)}" for key, value in settings.items()))
    except InputError as error:
        text = str(error).removeprefix("--set ")
        own = any(text.startswith(f"{key}:") for key in settings)
        raise InputError(f"--over {text}" if own else f"--over {settings_text(settings)}: {text}") from None


def settings_text(settings: dict[str, Any]) -> str:
    """Settings for people.

    Example:
        >>> settings_text({"task.n_train": 500, "optimizer.weight_decay": 1e-3})
        'task.n_train=500, optimizer.weight_decay=0.001'
    """
    return ", ".join(f"{key}={point_text((value,))}" for key, value in settings.items())


def _axes_of_table(table: dict[str, Any], base: Experiment) -> list[Axis]:
    for name in table:
        if name not in _TABLE_KEYS:
            hint = did_you_mean(name, _TABLE_KEYS)
            raise InputError(f"sweep.{name}: no such key.{hint} Allowed: {', '.join(_TABLE_KEYS)}.")
    axes = [axis_of({key: axis_from_table(key, v, base)}) for key, v in _flat(table.get("over", {})).items()]
    pairs = table.get("zip", [])
    return axes + [
        axis_of({key: axis_from_table(key, v, base) for key, v in _flat(pair).items()})
        for pair in (pairs if isinstance(pairs, list) else [pairs])
    ]


def _flat(table: Any, above: str = "") -> dict[str, Any]:
    """``{"task": {"k": [3, 4]}}`` (what a dotted key becomes in TOML) as ``{"task.k": [3, 4]}``."""
    if not isinstance(table, dict):
        raise InputError("sweep: over and zip are tables of keys, e.g. over = {task.k = [3, 4]}.")
    flat: dict[str, Any] = {}
    for key, value in table.items():
        flat |= _flat(value, f"{above}{key}.") if isinstance(value, dict) else {f"{above}{key}": value}
    return flat


def _toml(value: Any) -> str:
    import tomli_w

    # inside a list a table is written in one line
    text = tomli_w.dumps({"value": [list(value) if isinstance(value, tuple) else value]})
    return text.strip()[len("value = [") : -1].strip().rstrip(",")
