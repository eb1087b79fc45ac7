"""Work units: cells of one shape that one process trains, and the report that it sends back.

Units and reports are plain data, so an engine can send them to another machine. `run_unit` does the work; it
is the same function in every engine.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from grokscope.errors import InputError
from grokscope.experiment import Experiment
from grokscope.progress import Progress, SilentProgress
from grokscope.runs.block import OpenRun, Row
from grokscope.runs.early_stop import stop_rule
from grokscope.runs.measure_plan import MeasurePlan
from grokscope.runs.provenance import all_code, collect_provenance
from grokscope.runs.summary import finish_run
from grokscope.runs.trainer import Trainer, train_rows
from grokscope.spec.code import module_source, original_path
from grokscope.spec.parts import PLUGIN_PREFIX, load_plugin, looking_in
from grokscope.spec.streams import Members, Seeds
from grokscope.spec.toml import parse_toml
from grokscope.store.allow import NOTHING, Allow
from grokscope.store.place import as_place
from grokscope.store.run_store import fingerprint_difference
from grokscope.sweeps._cells import OpenCell, open_cell
from grokscope.sweeps._spec import with_settings
from grokscope.sweeps.folder import CELLS
from grokscope.training.devices import in_precision, prepare_devices
from grokscope.training.numerics import numerics_here

__all__ = [
    "PluginFile",
    "UnitCell",
    "UnitReport",
    "WorkUnit",
    "loaded_plugins",
    "numerics_difference",
    "run_unit",
    "unit_numerics",
]

_CELL_SETTINGS = ("precision",)  # entries of a fingerprint that a cell's own spec sets


@dataclass(frozen=True)
class UnitCell:
    """One cell of a work unit.

    Attributes:
        name: the name of the cell's folder.
        identity: of the cell's experiment; a worker that computes another identity refuses.
        settings: the values that replace those of the base experiment, by key.
    """

    name: str
    identity: str
    settings: dict[str, Any]


@dataclass(frozen=True)
class WorkUnit:
    """The work of one process: cells, seeds and settings; everything a worker needs besides the stores.

    Attributes:
        number: of the unit within one call of `run_sweep`.
        place: the sweep's folder or address.
        base: the base experiment as TOML.
        cells: cells of one shape.
        seeds: of every cell, one entry per member.
        max_members: the size that the program is compiled for; equal for all units of one shape.
        cost: predicted seconds on one core.
        numerics: the required fingerprint; None accepts the worker's.
        allow: accepted differences from the fingerprint and from the code of the cells' parts; they are noted
            in the cells.
        plugins: the files of the user's own parts.
        command: the command line of the driver, for provenance.
    """

    number: int
    place: str
    base: str
    cells: tuple[UnitCell, ...]
    seeds: tuple[Seeds, ...]
    max_members: int
    cost: float
    numerics: dict[str, Any] | None = None
    allow: Allow = NOTHING
    plugins: tuple[PluginFile, ...] = ()
    command: tuple[str, ...] = ()


@dataclass(frozen=True)
class PluginFile:
    """A plug-in as it is sent to a worker.

    Attributes:
        path: of the driver's file.
        source: its text.
        beside: the texts of the files beside it that it imports, by their path relative to its folder.
    """

    path: str
    source: str
    beside: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class UnitReport:
    """The result of a work unit.

    Attributes:
        numerics: the fingerprint of the process.
        refused: differences from the required fingerprint; if there are any, nothing was trained.
        seconds: wall time.
        steps_run: member-steps trained.
        steps_saved: member-steps skipped by early stopping.
    """

    numerics: dict[str, Any]
    refused: list[str] = field(default_factory=list[str])
    seconds: float = 0.0
    steps_run: int = 0
    steps_saved: int = 0


def run_unit(unit: WorkUnit, progress: Progress | None = None) -> UnitReport:
    """Train every member of a unit to its end; finished members are skipped.

    Args:
        unit: the work.
        progress: its `advance` is called with member-steps done.

    Raises:
        InputError: if this process resolves the spec to other experiments, or a cell's folder holds another
            run.
        StoreError: if a store cannot be read or written.
    """
    from grokscope.training.cache import use_compile_cache

    began = time.monotonic()
    experiments = _experiments(unit)
    prepare_devices()
    use_compile_cache()
    numerics = numerics_here(experiments[0])
    different = [] if unit.numerics is None else numerics_difference(unit.numerics, numerics)
    if different and not unit.allow.numerics:
        return UnitReport(numerics, different)
    provenance = collect_provenance(numerics, argv=unit.command, code=all_code(experiments[0]))
    counter = _StepCounter(progress or SilentProgress())
    with in_precision(experiments[0].precision), ExitStack() as open_stores:
        cells: list[OpenCell] = []
        for cell, experiment in zip(unit.cells, experiments, strict=True):
            place = as_place(unit.place) / CELLS / cell.name
            store = open_cell(place, experiment, numerics, provenance, different, allow=unit.allow)
            cells.append(open_stores.enter_context(store))
            if isinstance(place, Path):
                _link_arrays(place.parents[1], place)
        saved = _train(cells, unit, counter, provenance)
        wanted = MeasurePlan.of(experiments[0])
        passes = 2 if wanted.follow or wanted.follow_slow else 1
    seconds = round(time.monotonic() - began, 3)
    return UnitReport(numerics, [], seconds, counter.steps - saved * passes, saved)


def unit_numerics(unit: WorkUnit) -> dict[str, Any]:
    """The fingerprint under which this process would run a unit.

    Raises:
        InputError: if this process resolves the spec to other experiments.
    """
    experiments = _experiments(unit)
    prepare_devices()
    return numerics_here(experiments[0])


def numerics_difference(there: Mapping[str, Any], here: Mapping[str, Any]) -> list[str]:
    """Differences between two fingerprints, without the precision, which every cell may set.

    Example:
        >>> numerics_difference({"jax": "1", "precision": "float32"}, {"jax": "2"})
        ['jax: 1 there, 2 here']
    """
    return fingerprint_difference(
        *({name: value for name, value in one.items() if name not in _CELL_SETTINGS} for one in (there, here))
    )


def loaded_plugins() -> tuple[PluginFile, ...]:
    """Every plug-in that this process has loaded, with the source that it was loaded from."""
    found: list[PluginFile] = []
    for name, module in sorted(sys.modules.items()):
        if name.startswith(PLUGIN_PREFIX) and module.__file__:
            text, beside = module_source(module)
            path = original_path(Path(module.__file__).resolve())
            found.append(PluginFile(path, text, tuple(sorted(beside.items()))))
    return tuple(found)


def _load_plugins(plugins: Sequence[PluginFile]) -> None:
    """Load the driver's plug-ins, unless the same source is loaded already."""
    loaded = set(loaded_plugins())
    for plugin in plugins:
        if plugin not in loaded:
            _forget_modules(plugin)
            # kept as long as the process lives: tracebacks read the file
            folder = Path(tempfile.mkdtemp(prefix="grokscope-plugin-"))
            _folders[plugin.path] = folder
            for name, source in ((Path(plugin.path).name, plugin.source), *plugin.beside):
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).write_text(source, encoding="utf-8")
            load_plugin(folder / Path(plugin.path).name, original=plugin.path)


_folders: dict[str, Path] = {}  # the folder with the copy of each plug-in that was sent here


def _forget_modules(plugin: PluginFile) -> None:
    """Forget the modules beside an earlier copy of a plug-in; python would take them for the new ones."""
    folder = _folders.get(plugin.path, Path(plugin.path).parent)
    beside = {(folder / name).resolve() for name, _ in plugin.beside}
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if file and Path(file).resolve() in beside:
            del sys.modules[name]
    if plugin.path in _folders and str(folder.resolve()) in sys.path:
        sys.path.remove(str(folder.resolve()))


def _experiments(unit: WorkUnit) -> list[Experiment]:
    """The experiments of the unit's cells, resolved in this process."""
    _load_plugins(unit.plugins)
    place = as_place(unit.place)
    with looking_in(place if isinstance(place, Path) else Path()):
        base = Experiment.from_table(parse_toml(unit.base))
        experiments = [with_settings(base, cell.settings) for cell in unit.cells]
    for cell, experiment in zip(unit.cells, experiments, strict=True):
        if experiment.identity != cell.identity:
            raise InputError(
                f"{unit.place}: this worker resolves the spec to another experiment than the driver (cell "
                f"{cell.name}); it needs the same version of grokscope and the same plug-ins."
            )
    return experiments


def _train(
    cells: Sequence[OpenCell], unit: WorkUnit, progress: _StepCounter, provenance: dict[str, Any]
) -> int:
    """Train the unfinished members; return the member-steps skipped by early stopping."""
    began, members, saved = time.monotonic(), Members(unit.seeds), 0
    rows: list[Row] = []
    untrained: dict[OpenRun, int] = {}  # rows of each unfinished cell that are still to be trained
    unfinished: dict[OpenRun, set[Seeds]] = {}
    for cell in cells:
        trainer = Trainer(cell.store, cell.experiment, progress)
        if trainer.is_done(members):
            cell.store.update_events(cell.experiment.events)
            if not cell.store.is_finished:
                finish_run(cell.store)
            continue
        cell.store.update_experiment(cell.toml)
        complete = dict(zip(cell.store.seeds, cell.store.complete, strict=True))
        unfinished[cell] = {member for member in members if not complete.get(member)}
        untrained[cell] = 0
        stop_rule(cell.experiment, MeasurePlan.of(cell.experiment))
        if not cell.experiment.is_plain:
            continue  # members with start steps or targets of their own are trained cell by cell
        with cell.store.transaction("members are added") as t:
            t.add_members(members.seeds)
        positions = {seeds: i for i, seeds in enumerate(cell.store.seeds)}
        short = trainer.short([positions[member] for member in members])
        untrained[cell] = len(short)
        rows += [Row(cell, position) for position in short]

    def finish(cell: OpenRun) -> None:
        nonlocal saved
        # trains branches, and adds measures to members that were trained before
        trainer = Trainer(cell.store, cell.experiment, progress, unit.allow)
        trainer.train(members)
        rows = [i for i, seeds in enumerate(cell.store.seeds) if seeds in unfinished[cell]]
        saved += trainer.steps_saved(rows)
        spent = float(cell.store.provenance.get("wall_seconds") or 0.0) + time.monotonic() - began
        cell.store.update_provenance({**provenance, "wall_seconds": round(spent, 3)})
        finish_run(cell.store)

    def on_done(block: Sequence[Row]) -> None:
        for row in block:
            untrained[row.run] -= 1
        for cell in dict.fromkeys(row.run for row in block):
            if not untrained[cell]:
                finish(cell)

    for cell in [cell for cell, count in untrained.items() if not count]:
        finish(cell)
    if rows:
        train_rows(rows, progress.advance, n_members=max(1, unit.max_members), committed=on_done)
    return saved


def _link_arrays(sweep: Path, cell: Path) -> None:
    """Hard-link the array files of the base experiment into the cell's folder."""
    for file in sweep.glob("arrays-*.safetensors"):
        if not (cell / file.name).exists():
            try:
                (cell / file.name).hardlink_to(file)
            except OSError:  # the file system has no hard links
                shutil.copy2(file, cell / file.name)


class _StepCounter(SilentProgress):
    """Count member-steps and pass only `advance` on; the engine reports the plan, start and end."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self.steps = 0

    def advance(self, steps: int, note: str = "") -> None:
        """Count and pass on."""
        self.steps += steps
        self._progress.advance(steps, note)
