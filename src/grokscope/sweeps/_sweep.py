"""Sweep: read access to the runs of a sweep on disk; list sweeps below a folder and verify one."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grokscope.cards import Fact, html_card, text_card
from grokscope.errors import GrokscopeError, InputError, StoreError, run_again
from grokscope.experiment import Experiment
from grokscope.provided import provided
from grokscope.runs.folders import verify
from grokscope.runs.glance import experiment_text, or_problem
from grokscope.runs.remarks import marks, remarks_on
from grokscope.runs.run import Run
from grokscope.spec.events import Event
from grokscope.spec.streams import Members, Seeds
from grokscope.spec.toml import parse_toml
from grokscope.store.checksums import Problem
from grokscope.store.folder import sweep_folders
from grokscope.store.open import is_run_at, open_store
from grokscope.store.place import Place, as_place, located, shown_as
from grokscope.store.run_store import RunStore
from grokscope.sweeps._axes import Axis, point_text
from grokscope.sweeps._dataset import Grid, index_of, open_dataset
from grokscope.sweeps._manifest import members_from_text
from grokscope.sweeps._outcomes import (
    KeptOutcomes,
    cell_estimates,
    outcomes_dataset,
    summary_dataset,
    times_of,
)
from grokscope.sweeps._spec import settings_text
from grokscope.sweeps.folder import CELLS, OUTCOMES, read_manifest

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

    from grokscope.statistics import CensoredTimes, Estimate
    from grokscope.sweeps._overview import SweepOverview

__all__ = ["Sweep", "SweepSummary", "list_sweeps", "open_sweep", "verify_sweep"]

_OPEN_STORES = 64
_ONLY_OUTCOMES = "of its cells only outcomes were kept; for curves and networks train it with keep = 'all'"


class Sweep:
    """A sweep on disk, read-only: its axes, cells, measures and outcomes.

    Args:
        path: its folder, or an address in a bucket.
        shown: how messages write the path; None: as it is given.

    Attributes:
        path: the path as it was given.
        place: the absolute path: changing the working folder does not change which sweep this is.

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

    def __init__(self, path: str | Place, *, shown: Place | None = None) -> None:
        self.path, self.place = shown or as_place(path), located(path)
        with shown_as(self.place, self.path):
            self._manifest = read_manifest(self.place)
        if not self._manifest.requests:
            raise InputError(f"{self.path}: this sweep was stopped before its first cell; {run_again()}.")
        self._stores: OrderedDict[str, RunStore] = OrderedDict()

    def __repr__(self) -> str:
        return text_card(f"Sweep {self.path}", self._facts())

    def _repr_html_(self) -> str:
        """The card in notebooks."""
        return html_card(f"Sweep {self.path}", self._facts())

    def _facts(self) -> list[Fact]:
        facts = [("experiment", or_problem(lambda: experiment_text(self.experiment)))]
        facts += [
            (name, or_problem(lambda axis=axis: _axis_text(axis)))
            for name, axis in zip(self.names, self.axes, strict=True)
        ]
        done = f"{self.cells_complete} of {len(self.cells)} cells complete"
        return [*facts, ("members", f"{len(self.members)} in each cell"), ("done", done)]

    @property
    def identity(self) -> str:
        """Hash of the base experiment without the axes' keys; see `SweepSpec.identity`."""
        return self._manifest.identity

    @cached_property
    def experiment(self) -> Experiment:
        """The base experiment, which every cell modifies; parts that are not loaded are `MissingPart`."""
        folder = self.place if isinstance(self.place, Path) else None
        files = {part: one["file"] for part, one in self._manifest.code.items() if one.get("file")}
        found = Experiment.from_stored(parse_toml(self._manifest.base), folder, files)
        stores = (self._open(name) for name in self.cells.values()) if found.missing_parts else iter(())
        if (store := next((one for one in stores if one is not None), None)) is not None:
            found = Experiment.from_stored(parse_toml(self._manifest.base), folder, store.files | files)
            found.know_steps_per_epoch(store.steps_per_epoch)
        return found

    @cached_property
    def axes(self) -> tuple[Axis, ...]:
        """The axes with the values of all requests; numbers are sorted."""
        return self._manifest.axes

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The names of the axes, which are dimensions of `measures`."""
        return self._manifest.names

    @property
    def shape(self) -> tuple[int, ...]:
        """The number of values on each axis."""
        return tuple(len(axis) for axis in self.axes)

    @cached_property
    def cells(self) -> dict[tuple[int, ...], str]:
        """By index along the axes, the name of each requested cell's folder below ``cells/``."""
        return {index: name for name, index in self._manifest.cells.items()}

    @cached_property
    def members(self) -> Members:
        """The union of the members of all requests."""
        every: dict[Seeds, None] = {}
        for request in self._manifest.requests:
            every.update(dict.fromkeys(members_from_text(request.seeds)))
        return Members(tuple(every))

    @cached_property
    def cells_complete(self) -> int:
        """The number of cells whose requested members are all finished."""
        done = {name: set(members_from_text(entry["seeds"])) for name, entry in self._manifest.done.items()}
        unfinished = {
            name
            for request in self._manifest.requests
            for wanted in [set(members_from_text(request.seeds))]
            for name in request.cells
            if not wanted <= done.get(name, set())
        }
        return len(self.cells) - len(unfinished)

    @property
    def is_complete(self) -> bool:
        """Whether all requested cells are finished."""
        return self.cells_complete == len(self.cells)

    @property
    def keep(self) -> str:
        """What is kept of a finished cell: ``all``, or only the ``outcomes`` of its members."""
        return self._manifest.keep

    @property
    def notes(self) -> dict[str, Any]:
        """Remarks, for example that other numerics were allowed."""
        return self._manifest.notes

    @property
    def remarks(self) -> list[str]:
        """What a reader of the results should know, one line each; see `grokscope.Run.remarks`."""
        found = marks(self._manifest.notes) + [part.reason for part in self.experiment.missing_parts]
        entries = ((str(one.get("wanted")), name) for name, one in self._manifest.done.items())
        samples = [self._open(name) for name in dict(entries).values()]  # a cell of each set of measures
        for store in samples:
            if store is not None:
                found += [line for line in remarks_on(store, store.experiment) if line.startswith("measure ")]
        return list(dict.fromkeys(found))

    @property
    def provenance(self) -> dict[str, Any]:
        """Fingerprint of the cells, and command, counts and seconds of each request."""
        history = self._manifest.history
        return {
            "command": history[-1]["command"] if history else [],
            "wall_seconds": round(sum(one["seconds"] for one in history), 3),
            "fingerprint": self._manifest.numerics or {},
            "requests": history,
        }

    def settings(self, index: tuple[int, ...]) -> dict[str, Any]:
        """The values that replace those of the base in the cell at an index, by key."""
        found: dict[str, Any] = {}
        for axis, i in zip(self.axes, index, strict=True):
            found |= axis.settings(i)
        return found

    def cell(self, **settings: Any) -> Run:
        """The run of a cell by values on the axes: ``sweep.cell(weight_decay=0.01, n_train=500)``.

        Axes with one value may be left out. An axis of paired keys is named after its first key.

        Raises:
            InputError: if there is no such axis or value, or the cell was not requested or not started.
        """
        return self.run(index_of(self.names, self.axes, settings))

    def run(self, index: tuple[int, ...]) -> Run:
        """The run of the cell at an index along the axes.

        Raises:
            InputError: if the cell was not requested or not started.
        """
        if index not in self.cells:
            raise InputError(
                f"{self.path}: no cell with {settings_text(self.settings(index))} was requested."
            )
        cell = self._cell(self.cells[index])
        if self.keep == "outcomes":
            raise InputError(f"{self.path}: {_ONLY_OUTCOMES}.")
        if not is_run_at(cell):
            raise InputError(
                f"{self.path}: the cell with {settings_text(self.settings(index))} has not been started."
            )
        return Run(cell, shown=self.path / CELLS / self.cells[index])

    def runs(self) -> Iterator[tuple[tuple[int, ...], Run]]:
        """The index and run of every cell that has been started, one after the other."""
        for index in sorted(self.cells):
            if is_run_at(self._cell(self.cells[index])):
                yield index, self.run(index)

    @cached_property
    def measures(self) -> xr.Dataset:
        """All measures, over the axes, ``seed`` (or the crossed streams), ``step`` and their own axes.

        Values are read from the cells on first access, and kept. Values that were not measured, and absent
        cells and members, are NaN. Measures whose own axes differ between cells (such as neurons of networks
        of other widths) are left out and listed in ``attrs["left_out"]``; read them through `cell`.

        Raises:
            InputError: if no cell has been started, or only outcomes were kept.
        """
        if self.keep == "outcomes":
            raise InputError(f"{self.path}: {_ONLY_OUTCOMES}.")
        return open_dataset(self._grid)

    @cached_property
    def outcomes(self) -> xr.Dataset:
        """Event times, divergence, final values and phase of every member; see `outcomes_dataset`."""
        return outcomes_dataset(self._grid, kept=self._kept if self.keep == "outcomes" else None)

    def times(self, event: str | Event = "grokking", **settings: Any) -> CensoredTimes:
        """The times of an event, or of the ``delay`` from memorization to grokking, in the members of a cell.

        Args:
            event: ``memorization``, ``grokking`` or their ``delay``; or any other event, as for `Run.times`.
            settings: the cell, as for `cell`.

        Raises:
            InputError: if there is no such event or cell.
        """
        if isinstance(event, Event) or f"{event}_upper" not in self.outcomes:
            if event == "delay":
                raise InputError(f"{self.path}: has no times of 'delay', which needs both accuracies.")
            return self.cell(**settings).times(event)
        return times_of(self._outcomes_at(index_of(self.names, self.axes, settings)), event)

    @cached_property
    def estimates(self) -> dict[tuple[int, ...], dict[str, Estimate]]:
        """Estimates of each cell by index along the axes; see `statistics`."""
        return {index: cell_estimates(self._outcomes_at(index)) for index in sorted(self.cells)}

    def summary(self) -> SweepOverview:
        """State and cells of the sweep: what ``grokscope show`` prints.

        Example:
            >>> print(sweep.summary())  # doctest: +SKIP
            runs/sparse_parity-sweep-1b2c3d4e: 2 cells, 20 members, complete
            ...
        """
        from grokscope.sweeps._overview import overview_of_sweep

        return overview_of_sweep(self)

    def plot(self) -> Figure:
        """Draw the sweep: curves for one axis, a phase diagram for two, small multiples for more.

        Returns:
            A matplotlib Figure.

        Raises:
            InputError: if no axis has two values, or the accuracies for a phase diagram were not measured.
        """
        from grokscope.sweeps._overview import sweep_figures

        if drawn := sweep_figures(self):
            return drawn[0][2]
        raise InputError(
            f"{self.path}: a figure needs an axis with two values, and train_accuracy and test_accuracy."
        )

    def report(self, path: str | Path | None = None) -> Path:
        """Write the page of the sweep, one self-contained HTML file.

        Args:
            path: the file; None takes ``report.html`` in the sweep's folder.

        Raises:
            InputError: if the sweep lies in a bucket and no file is given.
            StoreError: if it cannot be written.
        """
        with shown_as(self.place, self.path):
            return provided("write_report")(self.place, out=path, shown=self.path)

    def export(self, path: str | Path, *, force: bool = False) -> Path:
        """Write the measures of all cells to a netCDF file or a table; the axes are columns.

        Args:
            path: the file; its suffix (.nc, .csv, .parquet) decides the format.
            force: replace the file if it exists.

        Raises:
            InputError: for an unknown suffix, a file that exists, or a missing extra.
            StoreError: if the file cannot be written.
        """
        with shown_as(self.place, self.path):
            return provided("export_results")(self.place, path, force=force).path

    @cached_property
    def statistics(self) -> xr.Dataset:
        """Shares, censored medians, final values and phase of every cell, with intervals, over the axes.

        See `grokscope.sweeps.summary_dataset`.
        """
        return summary_dataset(self.outcomes, self.names, self.estimates)

    def _outcomes_at(self, index: tuple[int, ...]) -> xr.Dataset:
        return self.outcomes.isel(dict(zip(self.names, index, strict=True)))

    @cached_property
    def _grid(self) -> Grid:
        return Grid(self.names, self.axes, self.cells, tuple(self.members), self._open, self._groups())

    def _groups(self) -> dict[tuple[int, ...], str]:
        """For each index a text that is equal for cells of equal shape, measures and length.

        With early stopping cells end at different steps, so each is a group of its own.
        """
        numbers = set(self.experiment.numbers)
        stops = self.experiment.stop.is_on or any(
            key.startswith("stop.") for axis in self.axes for key in axis.keys
        )
        groups: dict[tuple[int, ...], str] = {}
        for index, name in self.cells.items():
            other = {key: value for key, value in self.settings(index).items() if key not in numbers}
            entry = self._manifest.done.get(name, {})
            recorded = entry.get("wanted"), entry.get("steps"), stops and name
            groups[index] = repr((sorted(other.items()), *recorded))
        return groups

    def _cell(self, name: str) -> Place:
        return self.place / CELLS / name

    def _kept(self, name: str) -> KeptOutcomes | None:
        """The outcomes of a finished cell of which nothing else is kept."""
        if name not in self._manifest.done:
            return None
        return KeptOutcomes.read(Path(str(self.place)) / OUTCOMES / f"{name}.npz")

    def _open(self, name: str) -> RunStore | None:
        """A cell's store; the most recently used ones stay open. None if the cell has not been started."""
        if name in self._stores:
            self._stores.move_to_end(name)
            return self._stores[name]
        cell = self._cell(name)
        if not is_run_at(cell):
            return None
        store = self._stores[name] = open_store(cell, shown=self.path / CELLS / name)
        if len(self._stores) > _OPEN_STORES:
            self._stores.popitem(last=False)
        return store


def open_sweep(path: str | Place) -> Sweep:
    """Open a sweep in a folder or at an address ``s3://bucket/prefix``.

    Raises:
        InputError: if there is no sweep.
        StoreError: if it cannot be read.
    """
    return Sweep(path)


@dataclass(frozen=True)
class SweepSummary:
    """One line of `list_sweeps`.

    Attributes:
        path: its folder.
        task: the kind of the base experiment's task.
        identity: of the sweep.
        axes: the names of its axes.
        cells: the number of requested cells.
        complete: the number of finished cells.
        members: of each cell.
        steps: the base experiment's length.
        problem: the error on opening it, or None.
    """

    path: Path
    task: str = ""
    identity: str = ""
    axes: tuple[str, ...] = ()
    cells: int = 0
    complete: int = 0
    members: int = 0
    steps: int = 0
    problem: str | None = None


def list_sweeps(folder: str | Path = "runs") -> list[SweepSummary]:
    """Summarize all sweeps at or below a folder, sorted by path; run folders are not searched."""
    summaries: list[SweepSummary] = []
    for path in sweep_folders(Path(folder)):
        try:
            sweep = Sweep(path)
            summaries.append(
                SweepSummary(
                    path,
                    sweep.experiment.task.kind,
                    sweep.identity,
                    sweep.names,
                    len(sweep.cells),
                    sweep.cells_complete,
                    len(sweep.members),
                    sweep.experiment.n_steps,
                )
            )
        except GrokscopeError as error:
            summaries.append(SweepSummary(path, problem=str(error)))
    return summaries


def verify_sweep(path: str | Path) -> list[Problem]:
    """Check the cells of a sweep against their checksums; see `grokscope.runs.folders`.

    Returns:
        The problems found; files are named relative to the sweep's folder.

    Raises:
        InputError: if there is no sweep.
        StoreError: if its manifest is damaged.
    """
    sweep = Sweep(path)
    folder = Path(path)
    problems: list[Problem] = []
    finished = read_manifest(as_place(path)).done
    for name in sorted(sweep.cells.values()):
        if sweep.keep == "outcomes" and name in finished:
            problems += _problems_of_outcomes(folder / OUTCOMES / f"{name}.npz")
            continue
        cell = folder / CELLS / name
        if not cell.is_dir():
            problems.append(Problem(f"{CELLS}/{name}", "unfinished", "has not been started"))
            continue
        problems += [Problem(f"{CELLS}/{name}/{p.file}", p.kind, p.message) for p in verify(cell)]
    return problems


def _problems_of_outcomes(file: Path) -> list[Problem]:
    name = f"{OUTCOMES}/{file.name}"
    if not file.is_file():
        return [Problem(name, "missing", "is missing")]
    try:
        KeptOutcomes.read(file)
    except StoreError:
        return [Problem(name, "changed", "is damaged")]
    return []


def _axis_text(axis: Axis) -> str:
    """The values of an axis; of many only the first and the last ones."""
    values = [point_text(point) for point in axis.points]
    shown = values if len(values) <= 8 else [*values[:4], "...", values[-1]]
    return f"{', '.join(shown)} ({len(values)} values)" if len(values) > 8 else ", ".join(shown)
