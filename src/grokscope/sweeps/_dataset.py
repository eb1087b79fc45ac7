"""The measures of a sweep as one labelled dataset over its axes, read from the cells when looked at.

Which steps and axes there are is asked of one cell of each shape; nothing is read of the others before a
value of theirs is wanted.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from xarray.backends import BackendArray
from xarray.core import indexing

from grokscope.errors import InputError
from grokscope.spec.streams import Seeds
from grokscope.store.labeled import MeasureSource, MemberAxes, remembering
from grokscope.store.run_store import RunStore
from grokscope.sweeps._axes import Axis, point_text

__all__ = ["Grid", "axis_coordinates", "open_dataset"]

_FACTS: dict[str, tuple[type, Any]] = {
    "steps_done": (np.int64, 0),
    "complete": (np.bool_, False),
    "diverged_step": (np.int64, -1),
}


@dataclass(frozen=True)
class Grid:
    """Where the cells of a sweep lie, and how they are opened.

    Attributes:
        names: of the axes.
        axes: their points.
        cells: for each place that has one, the cell's name.
        members: of all cells together, in the order of the result.
        open: the store of a cell; None where it has not been begun.
        groups: of the cells of a place that have the same shape, one key.
    """

    names: tuple[str, ...]
    axes: tuple[Axis, ...]
    cells: Mapping[tuple[int, ...], str]
    members: Sequence[Seeds]
    open: Callable[[str], RunStore | None]
    groups: Mapping[tuple[int, ...], str]

    @property
    def shape(self) -> tuple[int, ...]:
        """The number of points along each axis."""
        return tuple(len(axis) for axis in self.axes)

    def rows(self, store: RunStore, cohort: MemberAxes) -> np.ndarray:
        """The position in a cell's store of each place of the members' axes; -1 where it has none."""
        known = {seeds: i for i, seeds in enumerate(store.seeds)}
        positions = np.array([known.get(seeds, -1) for seeds in self.members] + [-1])
        return positions[cohort.member]


def open_dataset(grid: Grid) -> xr.Dataset:
    """The dataset, with lazy arrays over (*axes, seed or streams, step, the measure's own axes).

    Measures whose own axes differ in length between cells (neurons of other widths) are left out; their
    names are in the attribute ``left_out``.
    """
    cohort = MemberAxes.of(grid.members)
    samples = _samples(grid)
    steps = np.unique(np.concatenate([np.empty(0, np.int64), *(s.steps for s in samples.values())]))
    infos, left_out = _infos(samples.values())
    coords: dict[str, Any] = dict(cohort.coords) | axis_coordinates(grid.names, grid.axes)
    coords |= _epochs(grid, samples, steps)
    variables: dict[str, Any] = {}
    for name, source in sorted(infos.items()):
        dims = (*grid.names, *cohort.dims, *source.info.dims[1:])
        stored = source.info.dtype
        dtype = stored.newbyteorder("=") if stored.kind == "f" else np.dtype(np.float64)
        lazy = _CellsArray(grid, cohort, name, steps, source.info.shape[2:], dtype)
        unit = source.info.attributes.get("unit", "")
        attributes = {"units": unit} if unit else {}
        variables[name] = xr.Variable(dims, indexing.LazilyIndexedArray(lazy), attributes)
        for dim, labels in source.info.attributes.get("labels", {}).items():
            coords[dim] = ((dim,), np.array(labels))
    for name in _FACTS:
        fact = indexing.LazilyIndexedArray(_CellsFacts(grid, cohort, name))
        coords[name] = xr.Variable((*grid.names, *cohort.dims), fact)
    dataset = xr.Dataset(variables, coords)
    if left_out:
        dataset.attrs["left_out"] = sorted(left_out)
    return remembering(dataset)


def axis_coordinates(names: Sequence[str], axes: Sequence[Axis]) -> dict[str, Any]:
    """The labels along the axes; of keys that go in step the first is the label, the others go along it."""
    coords: dict[str, Any] = {}
    for name, axis in zip(names, axes, strict=True):
        columns = list(zip(*axis.points, strict=True))
        coords[name] = ((name,), _labels(columns[0]))
        for key, column in zip(axis.keys[1:], columns[1:], strict=True):
            coords[key.rpartition(".")[2] if key.rpartition(".")[2] not in coords else key] = (
                (name,),
                _labels(column),
            )
    return coords


def _labels(values: Sequence[Any]) -> np.ndarray:
    if all(isinstance(v, bool) for v in values) or all(
        isinstance(v, int | float) and not isinstance(v, bool) for v in values
    ):
        return np.array(values)
    return np.array([v if isinstance(v, str) else json.dumps(v, default=str) for v in values])


@dataclass(frozen=True)
class _Sample:
    """What one cell of a shape says of all of them."""

    sources: dict[str, list[MeasureSource]]
    steps: np.ndarray
    steps_per_epoch: int


def _samples(grid: Grid) -> dict[str, _Sample]:
    found: dict[str, _Sample] = {}
    for place, name in grid.cells.items():
        group = grid.groups[place]
        if group in found or (store := grid.open(name)) is None:
            continue
        sources = store.sources()
        steps = [source.steps for several in sources.values() for source in several]
        joined = np.unique(np.concatenate([np.empty(0, np.int64), *steps]))
        joined = joined[joined <= store.steps_done.max(initial=0)]
        found[group] = _Sample(sources, joined, store.steps_per_epoch)
    if not found:
        raise InputError("the sweep has no result yet; give the command that began it again.")
    return found


def _infos(samples: Any) -> tuple[dict[str, MeasureSource], set[str]]:
    infos: dict[str, MeasureSource] = {}
    left_out: set[str] = set()
    for sample in samples:
        for name, sources in sample.sources.items():
            source = sources[0]
            known = infos.setdefault(name, source)
            if known.info.shape[2:] != source.info.shape[2:]:
                left_out.add(name)
    return {name: source for name, source in infos.items() if name not in left_out}, left_out


def _epochs(grid: Grid, samples: Mapping[str, _Sample], steps: np.ndarray) -> dict[str, Any]:
    """``step``, and ``epoch`` along it and along the axes that change the steps of an epoch."""
    per_epoch: np.ndarray = np.full(grid.shape, next(iter(samples.values())).steps_per_epoch, np.int64)
    for place in grid.cells:
        if grid.groups[place] in samples:
            per_epoch[place] = samples[grid.groups[place]].steps_per_epoch
    dims = list(grid.names)
    for axis in reversed(range(per_epoch.ndim)):
        first = per_epoch.take([0], axis=axis)
        if (per_epoch == first).all():
            per_epoch = per_epoch.take(0, axis=axis)
            del dims[axis]
    return {"step": (("step",), steps), "epoch": ((*dims, "step"), steps / np.expand_dims(per_epoch, -1))}


class _OverCells(BackendArray):
    """An array over the axes of the grid, and then over what each cell has."""

    def __init__(
        self, grid: Grid, cohort: MemberAxes, shape: tuple[int, ...], dtype: Any, blank: Any
    ) -> None:
        self._grid = grid
        self._cohort = cohort
        self._blank = blank
        self.shape = (*grid.shape, *shape)
        self.dtype = np.dtype(dtype)

    def __getitem__(self, key: Any) -> Any:
        read: Callable[..., np.ndarray] = self._read
        return indexing.explicit_indexing_adapter(key, self.shape, indexing.IndexingSupport.OUTER, read)

    def _read(self, key: tuple[Any, ...]) -> np.ndarray:
        n_axes = len(self._grid.shape)
        full = [np.atleast_1d(np.arange(size)[item]) for size, item in zip(self.shape, key, strict=True)]
        out = np.full([len(index) for index in full], self._blank, self.dtype)
        for where in np.ndindex(*(len(index) for index in full[:n_axes])):
            place = tuple(int(index[i]) for index, i in zip(full[:n_axes], where, strict=True))
            name = self._grid.cells.get(place)
            store = None if name is None else self._grid.open(name)
            if store is not None and (values := self._of(store, tuple(full[n_axes:]))) is not None:
                out[where] = values
        return out[tuple(slice(None) if np.ndim(item) or isinstance(item, slice) else 0 for item in key)]

    def _of(self, store: RunStore, key: tuple[np.ndarray, ...]) -> np.ndarray | None:
        """The outer product of indices of one cell."""
        raise NotImplementedError


class _CellsArray(_OverCells):
    """A measure."""

    def __init__(
        self,
        grid: Grid,
        cohort: MemberAxes,
        name: str,
        steps: np.ndarray,
        inner: tuple[int, ...],
        dtype: Any,
    ) -> None:
        super().__init__(grid, cohort, (*cohort.member.shape, len(steps), *inner), dtype, np.nan)
        self._name = name
        self._steps = steps

    def _of(self, store: RunStore, key: tuple[np.ndarray, ...]) -> np.ndarray | None:
        return store.read_block(self._name, self._grid.rows(store, self._cohort), self._steps, key)


class _CellsFacts(_OverCells):
    """A fact about members."""

    def __init__(self, grid: Grid, cohort: MemberAxes, name: str) -> None:
        dtype, blank = _FACTS[name]
        super().__init__(grid, cohort, cohort.member.shape, dtype, blank)
        self._name = name

    def _of(self, store: RunStore, key: tuple[np.ndarray, ...]) -> np.ndarray:
        values = np.append(store.member_facts()[self._name], np.array([self._blank], self.dtype))
        return values[self._grid.rows(store, self._cohort)][np.ix_(*key)]


def place_of(names: Sequence[str], axes: Sequence[Axis], settings: Mapping[str, Any]) -> tuple[int, ...]:
    """The place of settings on the axes, by the axes' names or by keys.

    Raises:
        InputError: if an axis is not named, or has no such value; it lists those it has.
    """
    known: dict[str, tuple[str, int]] = {}  # a word -> the axis, and which of its keys
    for name, axis in zip(names, axes, strict=True):
        for i, key in enumerate(axis.keys):
            known.setdefault(key.rpartition(".")[2], (name, i))
    for name, axis in zip(names, axes, strict=True):
        known |= {key: (name, i) for i, key in enumerate(axis.keys)} | {name: (name, 0)}
    for key in settings:
        if key not in known:
            raise InputError(f"sweep.cell: no axis '{key}'; the axes are {', '.join(names)}.")
    place: list[int] = []
    for name, axis in zip(names, axes, strict=True):
        given = {known[key][1]: value for key, value in settings.items() if known[key][0] == name}
        if not given and len(axis) > 1:
            raise InputError(f"sweep.cell: say which {name}: {_listed(axis)}.")
        matches = [
            i
            for i, point in enumerate(axis.points)
            if all(_same(point[which], value) for which, value in given.items())
        ]
        if not matches:
            raise InputError(f"sweep.cell: {name} has no such value; it has {_listed(axis)}.")
        place.append(matches[0])
    return tuple(place)


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, float) or isinstance(other, float):
        return bool(np.isclose(float(one), float(other), rtol=1e-6, atol=0.0))
    return one == other


def _listed(axis: Axis) -> str:
    texts = [point_text(point[:1]) for point in axis.points]
    return ", ".join(texts if len(texts) <= 12 else [*texts[:10], "...", texts[-1]])
