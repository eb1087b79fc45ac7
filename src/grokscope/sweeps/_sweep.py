"""Sweep: a grid of runs on disk, as an analyst sees it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grokscope.errors import InputError
from grokscope.experiment import Experiment
from grokscope.runs.run import Run
from grokscope.spec.parts import looking_in
from grokscope.spec.streams import Members, Seeds
from grokscope.spec.toml import parse_toml
from grokscope.store.open import is_run_at, open_store
from grokscope.store.place import Place, as_place
from grokscope.store.run_store import RunStore
from grokscope.sweeps._axes import Axis
from grokscope.sweeps._home import CELLS, read_manifest
from grokscope.sweeps._manifest import members_of

if TYPE_CHECKING:
    import xarray as xr

    from grokscope.statistics import CensoredTimes, Estimate
    from grokscope.sweeps._dataset import Grid

__all__ = ["Sweep", "open_sweep"]

_OPEN_STORES = 64


class Sweep:
    """A sweep on disk: axes, cells, measures. Reading only.

    Example:
        >>> import tempfile
        >>> import grokscope as gs
        >>> experiment = gs.Experiment(task={"kind": "sparse_parity", "n": 6, "k": 2, "n_train": 32},
        ...                            model={"kind": "fully_connected", "width": 8}, epochs=2)
        >>> folder = tempfile.mkdtemp() + "/sweep"
        >>> sweep = gs.sweep(experiment, ["task.n_train=16,32"], seeds=2, out=folder)
        >>> sweep.shape, sweep.measures.test_accuracy.dims
        ((2,), ('n_train', 'seed', 'step'))
        >>> sweep.cell(n_train=16).experiment.task.n_train
        16
    """

    def __init__(self, path: str | Place) -> None:
        self.path = as_place(path)
        self._manifest = read_manifest(self.path)
        if not self._manifest.requests:
            raise InputError(f"{self.path}: this sweep was stopped before it began; give its command again.")
        self._stores: OrderedDict[str, RunStore] = OrderedDict()

    def __repr__(self) -> str:
        axes = ", ".join(f"{name}: {len(axis)}" for name, axis in zip(self.names, self.axes, strict=True))
        return f"Sweep({str(self.path)!r}, {axes}; {len(self.cells)} cells, {len(self.members)} members each)"

    @property
    def identity(self) -> str:
        """The hash of what the sweep is of: the base but for the keys on the axes."""
        return self._manifest.identity

    @cached_property
    def experiment(self) -> Experiment:
        """The base experiment, which the cells change."""
        with looking_in(self.path if isinstance(self.path, Path) else Path()):
            return Experiment.from_table(parse_toml(self._manifest.base))

    @cached_property
    def axes(self) -> tuple[Axis, ...]:
        """The axes, with all values that were ever asked for; numbers are sorted."""
        return self._manifest.axes

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The names of the axes: dimensions of `measures`."""
        return self._manifest.names

    @property
    def shape(self) -> tuple[int, ...]:
        """The number of values on each axis."""
        return tuple(len(axis) for axis in self.axes)

    @cached_property
    def cells(self) -> dict[tuple[int, ...], str]:
        """For each place on the axes that was asked for, the name of its folder below ``cells/``."""
        return {place: name for name, place in self._manifest.cells.items()}

    @cached_property
    def members(self) -> Members:
        """The members of all cells: the union of all seeds that were asked for."""
        every: dict[Seeds, None] = {}
        for request in self._manifest.requests:
            every.update(dict.fromkeys(members_of(request.seeds)))
        return Members(tuple(every))

    @cached_property
    def cells_complete(self) -> int:
        """How many of the cells have all the members that were asked of them, finished."""
        done = {name: set(members_of(entry["seeds"])) for name, entry in self._manifest.done.items()}
        lacking = {
            name
            for request in self._manifest.requests
            for wanted in [set(members_of(request.seeds))]
            for name in request.cells
            if not wanted <= done.get(name, set())
        }
        return len(self.cells) - len(lacking)

    @property
    def is_complete(self) -> bool:
        """Whether all cells that were asked for are finished."""
        return self.cells_complete == len(self.cells)

    @property
    def notes(self) -> dict[str, Any]:
        """Remarks, for example that other numerics were allowed."""
        return self._manifest.notes

    @property
    def provenance(self) -> dict[str, Any]:
        """The numerics of the cells, and what each request took: command, programs, seconds."""
        history = self._manifest.history
        return {
            "command": history[-1]["command"] if history else [],
            "wall_seconds": round(sum(one["seconds"] for one in history), 3),
            "fingerprint": self._manifest.numerics or {},
            "requests": history,
        }

    def settings(self, place: tuple[int, ...]) -> dict[str, Any]:
        """What the cell at a place changes in the base, by key."""
        found: dict[str, Any] = {}
        for axis, index in zip(self.axes, place, strict=True):
            found |= axis.settings(index)
        return found

    def cell(self, **settings: Any) -> Run:
        """The run of a cell, by the axes' names: ``sweep.cell(weight_decay=0.01, n_train=500)``.

        Axes with one value may be left out. Where an axis pairs keys, its first key names it.

        Raises:
            InputError: if there is no such axis or value, or the cell was not asked for or begun.
        """
        from grokscope.sweeps._dataset import place_of

        return self.run(place_of(self.names, self.axes, settings))

    def run(self, place: tuple[int, ...]) -> Run:
        """The run of the cell at a place on the axes.

        Raises:
            InputError: if the cell was not asked for or begun.
        """
        if place not in self.cells:
            raise InputError(f"{self.path}: no cell at {self.settings(place)} was asked for.")
        cell = self.path / CELLS / self.cells[place]
        if not is_run_at(cell):
            raise InputError(f"{self.path}: the cell at {self.settings(place)} has not been begun.")
        return Run(cell)

    def runs(self) -> Iterator[tuple[tuple[int, ...], Run]]:
        """All cells that have been begun, one after the other: the place and the run."""
        for place in sorted(self.cells):
            if is_run_at(self.path / CELLS / self.cells[place]):
                yield place, self.run(place)

    @cached_property
    def measures(self) -> xr.Dataset:
        """All measures over the axes, ``seed`` (or the crossed streams), ``step`` and their own axes.

        Values are read from the cells when they are looked at, and then kept. What was not measured, and
        cells or members that there are not, are NaN. Measures whose own axes differ between cells (neurons
        of other widths) are left out and named in ``attrs["left_out"]``; see `cell`.

        Raises:
            InputError: if there is no result yet.
        """
        from grokscope.sweeps._dataset import open_dataset

        return open_dataset(self._grid)

    @cached_property
    def outcomes(self) -> xr.Dataset:
        """What became of every member: times of memorization and grokking, divergence, final values, phase.

        See `grokscope.sweeps.outcomes_dataset`; NaN where there is no member.
        """
        from grokscope.sweeps._outcomes import outcomes_dataset

        return outcomes_dataset(self._grid)

    def times(self, event: str = "grokking", **settings: Any) -> CensoredTimes:
        """When ``memorization`` or ``grokking`` happened, or their ``delay``, to the members of a cell.

        Args:
            event: which.
            settings: the cell, as for `cell`.

        Raises:
            InputError: if there is no such event or cell.
        """
        from grokscope.sweeps._dataset import place_of
        from grokscope.sweeps._outcomes import times_of

        if f"{event}_upper" not in self.outcomes:
            raise InputError(
                f"{self.path}: no times of '{event}'; there are memorization, grokking and delay."
            )
        place = place_of(self.names, self.axes, settings)
        return times_of(self.outcomes.isel(dict(zip(self.names, place, strict=True))), event)

    @cached_property
    def estimates(self) -> dict[tuple[int, ...], dict[str, Estimate]]:
        """By place on the axes, the summary of each cell as estimates with intervals."""
        from grokscope.sweeps._summary import cell_estimates

        return {
            place: cell_estimates(self.outcomes.isel(dict(zip(self.names, place, strict=True))))
            for place in sorted(self.cells)
        }

    @cached_property
    def summary(self) -> xr.Dataset:
        """Shares, censored medians, final values and phase of every cell, with intervals, over the axes.

        See `grokscope.sweeps.summary_dataset`.
        """
        from grokscope.sweeps._summary import summary_dataset

        return summary_dataset(self.outcomes, self.names, self.estimates)

    @cached_property
    def _grid(self) -> Grid:
        from grokscope.sweeps._dataset import Grid

        return Grid(self.names, self.axes, self.cells, tuple(self.members), self._open, self._groups())

    def _groups(self) -> dict[tuple[int, ...], str]:
        """One text for all cells of the same shape: what differs besides numbers, and how far they are."""
        numbers = set(self.experiment.numbers)
        groups: dict[tuple[int, ...], str] = {}
        for place, name in self.cells.items():
            other = {key: value for key, value in self.settings(place).items() if key not in numbers}
            entry = self._manifest.done.get(name, {})
            groups[place] = repr((sorted(other.items()), entry.get("wanted"), entry.get("steps")))
        return groups

    def _open(self, name: str) -> RunStore | None:
        """A cell's store; some stay open, the latest ones."""
        if name in self._stores:
            self._stores.move_to_end(name)
            return self._stores[name]
        cell = self.path / CELLS / name
        if not is_run_at(cell):
            return None
        store = self._stores[name] = open_store(cell)
        if len(self._stores) > _OPEN_STORES:
            self._stores.popitem(last=False)
        return store


def open_sweep(path: str | Place) -> Sweep:
    """Open a sweep: a folder, or an address ``s3://bucket/prefix``.

    Raises:
        InputError: if there is none.
        StoreError: if it cannot be read.
    """
    return Sweep(path)
