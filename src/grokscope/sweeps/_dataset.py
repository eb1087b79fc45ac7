"""The measures of a sweep as one labeled dataset over its axes, read lazily from the cells.

Steps and measure axes are read from one cell of each shape; other cells are opened when their values are
read.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from xarray.backends import BackendArray
from xarray.core import indexing

from grokscope.errors import InputError, run_again
from grokscope.spec.events import Events
from grokscope.spec.streams import Seeds
from grokscope.store.labeled import MeasureSource, MemberAxes, with_cache
from grokscope.store.run_store import RunStore
from grokscope.sweeps._axes import Axis, free_name, point_text

__all__ = ["Grid", "axis_coordinates", "index_of", "open_dataset"]

_MEMBER_FACTS: dict[str, tuple[type, Any]] = {  # dtype, and the value for absent members
    "steps_done": (np.int64, 0),
    "complete": (np.bool_, False),
    "diverged_step": (np.int64, -1),
}


@dataclass(frozen=True)
class Grid:
    """The cells of a sweep by their index along the axes, and how to open their stores.

    Attributes:
        names: of the axes.
        axes: the axes.
        cells: the name of the cell at each index that has one.
        members: the union of all cells' members, in the order of the result.
        open: returns the store of a cell; None if it has not been started.
        groups: for each index a key that is equal for cells of the same shape.
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

    def positions(self, store: RunStore) -> np.ndarray:
        """The position [member] of each of the sweep's members in a cell's store; -1 for absent members."""
        known = {seeds: i for i, seeds in enumerate(store.seeds)}
        return np.array([known.get(seeds, -1) for seeds in self.members])


def open_dataset(grid: Grid) -> xr.Dataset:
    """Open the dataset; its arrays are lazy, over (*axes, seed or streams, step, the measure's own axes).

    A measure whose own axes differ between cells (such as neurons of networks of other widths), or which has
    the name of an axis of the sweep, is left out; the attribute ``left_out`` lists them.

    Raises:
        InputError: if no cell has been started.
    """
    cohort = MemberAxes.of(grid.members)
    samples = _samples(grid)
    steps = np.unique(np.concatenate([np.empty(0, np.int64), *(s.steps for s in samples.values())]))
    coords: dict[str, Any] = dict(cohort.coords) | axis_coordinates(grid.names, grid.axes)
    coords |= _step_coordinates(grid, samples, steps)
    sources, left_out = _common_sources(samples.values(), {*coords, *_MEMBER_FACTS})
    variables: dict[str, Any] = {}
    for name, source in sorted(sources.items()):
        dims = (*grid.names, *cohort.dims, *source.info.dims[1:])
        stored = np.result_type(
            *(one.info.dtype for each in samples.values() for one in each.sources.get(name, ()))
        )
        dtype = stored.newbyteorder("=") if stored.kind == "f" else np.dtype(np.float64)
        shape = (len(steps), *source.info.shape[2:])
        lazy = _LazyCells(grid, cohort, shape, dtype, np.nan, _measure_reader(name, steps))
        unit = source.info.attributes.get("unit", "")
        attributes = {"units": unit} if unit else {}
        variables[name] = xr.Variable(dims, indexing.LazilyIndexedArray(lazy), attributes)
        for dim, labels in source.info.attributes.get("labels", {}).items():
            coords[dim] = ((dim,), np.array(labels))
    for name, (dtype, blank) in _MEMBER_FACTS.items():
        lazy = _LazyCells(grid, cohort, (), dtype, blank, _fact_reader(name))
        coords[name] = xr.Variable((*grid.names, *cohort.dims), indexing.LazilyIndexedArray(lazy))
    dataset = xr.Dataset(variables, coords)
    if left_out:
        dataset.attrs["left_out"] = sorted(left_out)
    first, *others = (sample.events for sample in samples.values())
    dataset.attrs["events"] = first.to_json(*others)
    return with_cache(dataset)


def axis_coordinates(names: Sequence[str], axes: Sequence[Axis]) -> dict[str, Any]:
    """Coordinates of the axes: the first key's values label the axis, those of paired keys lie along it."""
    coords: dict[str, Any] = {}
    for name, axis in zip(names, axes, strict=True):
        columns = list(zip(*axis.points, strict=True))
        coords[name] = ((name,), _labels(columns[0]))
        for key, column in zip(axis.keys[1:], columns[1:], strict=True):
            short = key.rpartition(".")[2]
            coords[free_name(key, short, {*coords, *names})] = ((name,), _labels(column))
    return coords


def index_of(names: Sequence[str], axes: Sequence[Axis], settings: Mapping[str, Any]) -> tuple[int, ...]:
    """The index along each axis of given settings, by the axes' names or by keys.

    Raises:
        InputError: if an axis with several values has no setting, or has no such value; the message lists
            its values.
    """
    known: dict[str, tuple[str, int]] = {}  # name or key -> the axis, and which of its keys
    for name, axis in zip(names, axes, strict=True):
        for i, key in enumerate(axis.keys):
            known.setdefault(key.rpartition(".")[2], (name, i))
    for name, axis in zip(names, axes, strict=True):
        known |= {key: (name, i) for i, key in enumerate(axis.keys)} | {name: (name, 0)}
    for key in settings:
        if key not in known:
            raise InputError(f"sweep.cell: no axis '{key}'; the axes are {', '.join(names)}.")
    index: list[int] = []
    for name, axis in zip(names, axes, strict=True):
        given = {known[key][1]: value for key, value in settings.items() if known[key][0] == name}
        if not given and len(axis) > 1:
            raise InputError(f"sweep.cell: {name} is required; values: {_values_text(axis)}.")
        matches = [
            i
            for i, point in enumerate(axis.points)
            if all(_same(point[which], value) for which, value in given.items())
        ]
        if not matches:
            raise InputError(
                f"sweep.cell: {name} has no value {point_text(tuple(given.values()))}; "
                f"values: {_values_text(axis)}."
            )
        index.append(matches[0])
    return tuple(index)


def _labels(values: Sequence[Any]) -> np.ndarray:
    if all(isinstance(v, bool) for v in values) or all(
        isinstance(v, int | float) and not isinstance(v, bool) for v in values
    ):
        return np.array(values)
    return np.array([v if isinstance(v, str) else json.dumps(v, default=str) for v in values])


@dataclass(frozen=True)
class _Sample:
    """Measures, steps and events of one cell, taken for all cells of its shape."""

    sources: dict[str, list[MeasureSource]]
    steps: np.ndarray
    steps_per_epoch: int
    events: Events


def _samples(grid: Grid) -> dict[str, _Sample]:
    samples: dict[str, _Sample] = {}
    for index, name in grid.cells.items():
        group = grid.groups[index]
        if group in samples or (store := grid.open(name)) is None:
            continue
        sources = store.sources()
        steps = [source.steps for several in sources.values() for source in several]
        joined = np.unique(np.concatenate([np.empty(0, np.int64), *steps]))
        joined = joined[joined <= store.steps_done.max(initial=0)]
        samples[group] = _Sample(sources, joined, store.steps_per_epoch, store.events)
    if not samples:
        raise InputError(f"the sweep has no results yet; {run_again()}.")
    return samples


def _common_sources(samples: Iterable[_Sample], taken: set[str]) -> tuple[dict[str, MeasureSource], set[str]]:
    """A source of each measure that has the same axes in all cells, and the names of the other measures.

    Args:
        samples: of the cells.
        taken: names that neither a measure nor an axis of a measure can have.
    """
    sources: dict[str, MeasureSource] = {}
    left_out: set[str] = set()
    axes: dict[str, Any] = {}  # of measures: length and labels in the first cell that has the axis
    unequal: set[str] = set()
    for sample in samples:
        for name, (source, *_) in sample.sources.items():
            sources.setdefault(name, source)
            labels = source.info.attributes.get("labels", {})
            own = dict(zip(source.info.dims[2:], source.info.shape[2:], strict=True))
            if source.info.dims[2:] != sources[name].info.dims[2:] or name in taken or taken & own.keys():
                left_out.add(name)
            for dim, length in own.items():
                if axes.setdefault(dim, (length, labels.get(dim))) != (length, labels.get(dim)):
                    unequal.add(dim)
    left_out |= {name for name, source in sources.items() if unequal & set(source.info.dims[2:])}
    return {name: source for name, source in sources.items() if name not in left_out}, left_out


def _step_coordinates(grid: Grid, samples: Mapping[str, _Sample], steps: np.ndarray) -> dict[str, Any]:
    """``step``, and ``epoch`` along it and along the axes that change the steps per epoch."""
    per_epoch: np.ndarray = np.full(grid.shape, next(iter(samples.values())).steps_per_epoch, np.int64)
    for index in grid.cells:
        if grid.groups[index] in samples:
            per_epoch[index] = samples[grid.groups[index]].steps_per_epoch
    dims = list(grid.names)
    for axis in reversed(range(per_epoch.ndim)):
        first = per_epoch.take([0], axis=axis)
        if (per_epoch == first).all():
            per_epoch = per_epoch.take(0, axis=axis)
            del dims[axis]
    return {"step": (("step",), steps), "epoch": ((*dims, "step"), steps / np.expand_dims(per_epoch, -1))}


# called with a cell's store, the positions of the members in it, and indices along all axes but the grid's;
# returns the values at their outer product
_Reader = Callable[[RunStore, np.ndarray, tuple[np.ndarray, ...]], np.ndarray | None]


def _measure_reader(name: str, steps: np.ndarray) -> _Reader:
    return lambda store, rows, key: store.read_block(name, rows, steps, key)


def _fact_reader(name: str) -> _Reader:
    absent = np.array([_MEMBER_FACTS[name][1]], _MEMBER_FACTS[name][0])
    return lambda store, rows, key: np.append(store.member_facts()[name], absent)[rows][np.ix_(*key)]


class _LazyCells(BackendArray):
    """An array over (*axes, *members' axes, *shape) that reads only the cells that are indexed."""

    def __init__(
        self, grid: Grid, cohort: MemberAxes, shape: tuple[int, ...], dtype: Any, blank: Any, reader: _Reader
    ) -> None:
        self._grid, self._cohort, self._blank, self._reader = grid, cohort, blank, reader
        self.shape = (*grid.shape, *cohort.member.shape, *shape)
        self.dtype = np.dtype(dtype)

    def __getitem__(self, key: Any) -> Any:
        read: Callable[..., np.ndarray] = self._read
        return indexing.explicit_indexing_adapter(key, self.shape, indexing.IndexingSupport.OUTER, read)

    def _read(self, key: tuple[Any, ...]) -> np.ndarray:
        grid, n_axes = self._grid, len(self._grid.shape)
        full = [np.atleast_1d(np.arange(size)[item]) for size, item in zip(self.shape, key, strict=True)]
        out = np.full([len(own) for own in full], self._blank, self.dtype)
        for at in np.ndindex(*(len(own) for own in full[:n_axes])):
            index = tuple(int(own[i]) for own, i in zip(full[:n_axes], at, strict=True))
            name = grid.cells.get(index)
            store = None if name is None else grid.open(name)
            if store is None:
                continue
            rows = np.append(grid.positions(store), -1)[self._cohort.member]  # member -1: absent
            values = self._reader(store, rows, tuple(full[n_axes:]))
            if values is not None:
                out[at] = values
        return out[tuple(slice(None) if np.ndim(item) or isinstance(item, slice) else 0 for item in key)]


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, float) or isinstance(other, float):
        return bool(np.isclose(float(one), float(other), rtol=1e-6, atol=0.0))
    return one == other


def _values_text(axis: Axis) -> str:
    texts = [point_text(point[:1]) for point in axis.points]
    return ", ".join(texts if len(texts) <= 12 else [*texts[:10], "...", texts[-1]])
