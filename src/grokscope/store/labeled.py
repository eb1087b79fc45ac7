"""Measures as an xarray dataset: labeled, sorted by step, joined across schedules, read on access.

The store has one row per member, in order of addition, and for each schedule one column per step. In the
dataset the rows become the axis ``seed`` (or one axis per varying stream), and the columns of all schedules
become one axis ``step``. Missing values are NaN, therefore counts are float64.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import xarray as xr
from xarray.backends import BackendArray, BackendEntrypoint
from xarray.core import indexing

from grokscope.spec.streams import STREAMS
from grokscope.store.arrays import ArrayInfo, fill_value
from grokscope.store.icechunk import translate_errors
from grokscope.store.place import Place
from grokscope.store.tree import Tree

__all__ = ["LazyMeasure", "MeasureSource", "MemberAxes", "open_measures", "with_cache"]

_SPARSEST = 100


@dataclass(frozen=True)
class MemberAxes:
    """Position of each member on the axes of a dataset.

    Attributes:
        dims: names of the axes: ``seed``, or the streams that vary, or ``member``.
        member: index of the member at each point of the axes; -1 where there is none.
        coords: labels of the axes, and of streams that are constant or vary one to one with an axis.
    """

    dims: tuple[str, ...]
    member: np.ndarray
    coords: dict[str, tuple[tuple[str, ...], np.ndarray]]

    @classmethod
    def of(cls, seeds: Sequence[tuple[int, ...]]) -> MemberAxes:
        """Choose the axes from the members' seeds (init, data, order, noise).

        One axis ``seed`` if the four seeds of every member are equal; else one axis per varying stream; or
        one axis ``member`` if that grid had over 100 times more points than there are members.
        """
        table = np.array(seeds, np.int64).reshape(len(seeds), len(STREAMS))
        columns = {f"{stream}_seed": table[:, i] for i, stream in enumerate(STREAMS)}
        if all(len(set(member)) == 1 for member in seeds):
            order = np.argsort(table[:, 0])
            return cls(("seed",), order, {"seed": (("seed",), table[order, 0])})
        axes: dict[str, np.ndarray] = {}  # varying stream -> its distinct seeds
        followers: dict[str, str] = {}  # stream -> the axis with which it varies one to one
        for name, column in columns.items():
            leader = next((axis for axis in axes if _one_to_one(columns[axis], column)), None)
            if leader is not None:
                followers[name] = leader
            elif len(np.unique(column)) > 1:
                axes[name] = np.unique(column)
        if not axes:  # one member
            axes["init_seed"] = columns["init_seed"]
        constant = [name for name in columns if name not in axes and name not in followers]
        coords: dict[str, tuple[tuple[str, ...], np.ndarray]] = {
            name: ((), columns[name][0]) for name in constant
        }
        shape = tuple(len(values) for values in axes.values())
        if math.prod(shape) > _SPARSEST * len(seeds):  # random seeds: the grid would be nearly empty
            coords |= {name: (("member",), columns[name]) for name in columns if name not in constant}
            return cls(("member",), np.arange(len(seeds)), coords)
        place = tuple(np.searchsorted(values, columns[name]) for name, values in axes.items())
        member = np.full(shape, -1, np.int64)
        member[place] = np.arange(len(seeds))
        coords |= {name: ((name,), values) for name, values in axes.items()}
        for name, leader in followers.items():
            first = np.unique(columns[leader], return_index=True)[1]
            coords[name] = ((leader,), columns[name][first])
        return cls(tuple(axes), member, coords)

    def label(self, values: np.ndarray, own: Mapping[str, Any], name: str) -> xr.DataArray:
        """Label member values; points without a member are 0 or False.

        Args:
            values: array [member, *own].
            own: the further axes, each with its labels or None.
            name: name of the labeled array.
        """
        laid = values[self.member]
        laid[self.member < 0] = 0
        coords: dict[str, Any] = dict(self.coords)
        coords |= {axis: labels for axis, labels in own.items() if labels is not None}
        return xr.DataArray(laid, dims=(*self.dims, *own), coords=coords, name=name)


def _one_to_one(one: np.ndarray, other: np.ndarray) -> bool:
    pairs = len(np.unique(np.stack([one, other]), axis=1)[0])
    return pairs == len(np.unique(one)) == len(np.unique(other))


@dataclass(frozen=True)
class MeasureSource:
    """The stored array of a measure in one schedule's group, and the step of each column."""

    path: str
    info: ArrayInfo
    steps: np.ndarray


def open_measures(
    tree: Tree,
    folder: Place,
    cohort: MemberAxes,
    members: Mapping[str, np.ndarray],
    measures: Mapping[str, Sequence[MeasureSource]],
    steps: np.ndarray,
    steps_per_epoch: int,
) -> xr.Dataset:
    """Build the dataset of measures at sorted steps; arrays are read on first access, then cached.

    Args:
        tree: arrays of the store.
        folder: path for error messages.
        cohort: axes of the members.
        members: coordinates of members, each [member] by name.
        measures: stored arrays by measure; where several contain a step, the last one counts.
        steps: labels of the axis ``step``.
        steps_per_epoch: updates per epoch, for the coordinate ``epoch``.
    """
    coords: dict[str, Any] = dict(cohort.coords)
    coords["step"] = (("step",), steps)
    coords["epoch"] = (("step",), steps / steps_per_epoch)
    blank = {"diverged_step": -1}
    for name, values in members.items():
        column = np.append(values, np.asarray(blank.get(name, 0), values.dtype))
        coords[name] = (cohort.dims, column[cohort.member])
    variables: dict[str, Any] = {}
    for name, sources in measures.items():
        info = sources[0].info
        dims = (*cohort.dims, *info.dims[1:])
        lazy = LazyMeasure(tree, folder, name, cohort.member, sources, steps)
        unit = info.attributes.get("unit", "")
        attributes = {"units": unit} if unit else {}
        variables[name] = xr.Variable(dims, indexing.LazilyIndexedArray(lazy), attributes)
        for dim, labels in info.attributes.get("labels", {}).items():
            coords[dim] = ((dim,), np.array(labels))
    return with_cache(xr.Dataset(variables, coords))


def with_cache(dataset: xr.Dataset) -> xr.Dataset:
    """Add xarray's in-memory cache to a dataset of lazy arrays."""
    # xarray caches only what a backend has opened
    return xr.open_dataset(cast(Any, _Handle(dataset)), engine=_Backend, chunks=None, cache=True)


class LazyMeasure(BackendArray):
    """A measure on the axes of a dataset; an access reads only the chunks it needs."""

    def __init__(
        self,
        tree: Tree,
        folder: Place,
        name: str,
        member: np.ndarray,
        sources: Sequence[MeasureSource],
        steps: np.ndarray,
    ) -> None:
        self._tree = tree
        self._folder = folder
        self._name = name
        self._member = member
        self._sources = sources
        self._steps = steps
        info = sources[0].info
        self.shape = (*member.shape, len(steps), *info.shape[2:])
        stored = np.result_type(*(source.info.dtype for source in sources))
        self.dtype = stored.newbyteorder("=") if stored.kind == "f" else np.dtype(np.float64)

    def __getitem__(self, key: Any) -> Any:
        read: Callable[..., np.ndarray] = self.read
        return indexing.explicit_indexing_adapter(key, self.shape, indexing.IndexingSupport.OUTER, read)

    def read(self, key: tuple[Any, ...]) -> np.ndarray:
        """Values at the outer product of indices (integer, slice or array, one per axis); NaN if missing."""
        full = [np.atleast_1d(np.arange(size)[item]) for size, item in zip(self.shape, key, strict=True)]
        n_axes = self._member.ndim
        rows = self._member[np.ix_(*full[:n_axes])].ravel()
        inner = full[n_axes + 1 :]
        out = np.full([len(rows), *(len(index) for index in full[n_axes:])], np.nan, self.dtype)
        for source in self._sources:
            self._fill(out, source, rows, self._steps[full[n_axes]], inner)
        out = out.reshape([len(index) for index in full])
        return out[tuple(slice(None) if np.ndim(item) or isinstance(item, slice) else 0 for item in key)]

    def _fill(
        self,
        out: np.ndarray,
        source: MeasureSource,
        rows: np.ndarray,
        steps: np.ndarray,
        inner: list[np.ndarray],
    ) -> None:
        n_rows, n_columns = source.info.shape[:2]
        order = np.argsort(source.steps)
        at = np.searchsorted(source.steps, steps, sorter=order).clip(max=len(order) - 1)
        columns = order[at]
        have_column = np.flatnonzero((source.steps[columns] == steps) & (columns < n_columns))
        have_row = np.flatnonzero((rows >= 0) & (rows < n_rows))
        if not len(have_row) or not len(have_column):
            return
        with translate_errors(self._folder, f"measure '{self._name}' cannot be read"):
            values = self._tree.read(source.path, [rows[have_row], columns[have_column], *inner])
        known = ~np.isnan(values) if values.dtype.kind == "f" else values != fill_value(values.dtype)
        where = np.ix_(have_row, have_column)
        out[where] = np.where(known, values, out[where])


class _Handle:
    """The argument of `_Backend.open_dataset`: a dataset of lazy arrays."""

    def __init__(self, dataset: xr.Dataset) -> None:
        self.dataset = dataset


class _Backend(BackendEntrypoint):
    """Returns a lazy dataset to ``xarray.open_dataset``, which adds the cache."""

    def open_dataset(self, filename_or_obj: Any, *, drop_variables: Any = None) -> xr.Dataset:
        del drop_variables
        return filename_or_obj.dataset
