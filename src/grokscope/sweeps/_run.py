"""Run a sweep: plan it, run its work units on an engine, and record finished cells in the manifest."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from grokscope.errors import InputError, flag
from grokscope.experiment import Experiment
from grokscope.files import explain
from grokscope.interrupts import interruptible
from grokscope.progress import Progress, SilentProgress
from grokscope.runs.provenance import safe_command
from grokscope.spec.code import Code
from grokscope.spec.streams import Members
from grokscope.store.allow import Allow
from grokscope.store.folder import keep_files, written_spec
from grokscope.store.open import open_store
from grokscope.store.place import BucketPath, Place, as_place, located, shown_as
from grokscope.store.run_store import CODE_ADVICE, code_difference
from grokscope.sweeps._manifest import Manifest, recording_hash
from grokscope.sweeps._outcomes import KeptOutcomes
from grokscope.sweeps._plan import HUGE_GRID, SweepPlan, estimate_seconds, plan_sweep, work_units
from grokscope.sweeps._spec import SweepSpec
from grokscope.sweeps._sweep import Sweep
from grokscope.sweeps.engines.local import Engine, LocalEngine
from grokscope.sweeps.folder import (
    CELLS,
    OUTCOMES,
    SweepBucket,
    SweepFolder,
    check_place,
    is_sweep,
    read_manifest,
    writing,
)
from grokscope.sweeps.work_unit import UnitReport, WorkUnit, loaded_plugins, numerics_difference
from grokscope.training.budget import refuse_too_large

if TYPE_CHECKING:
    from grokscope.training.rates import Rates

__all__ = ["Confirm", "default_place", "huge_grid_estimate", "plan_for", "run_sweep", "sweep"]

_SAVE_SECONDS = 10.0  # between two writes of the manifest
_MEASURING_SECONDS = 0.3  # to measure the speed of this machine

_KEPT = {"all": "everything", "outcomes": "only outcomes"}

Confirm = Callable[[str, float, bool], None]


def default_place(spec: SweepSpec) -> Path:
    """The default folder: ``runs/<task>-sweep-<identity, 8 characters>``."""
    return Path("runs") / f"{spec.base.task.kind}-sweep-{spec.identity[:8]}"


def plan_for(spec: SweepSpec, out: str | Place | None = None, rates: Rates | None = None) -> SweepPlan:
    """Plan a sweep without running it; see `run_sweep` for the arguments.

    Raises:
        InputError: if a cell is not valid, or the place holds another sweep or other files.
    """
    place = default_place(spec) if out is None else as_place(out)
    check_place(place)
    manifest = read_manifest(place) if is_sweep(place) else None
    _check_identity(spec, manifest, place)
    return plan_sweep(spec, manifest, _rates(rates))


@interruptible
def run_sweep(
    spec: SweepSpec,
    *,
    out: str | Place | None = None,
    engine: Engine | None = None,
    progress: Progress | None = None,
    confirm: Confirm | None = None,
    rates: Rates | None = None,
    keep: Literal["all", "outcomes"] | None = None,
    allow_other_numerics: bool = False,
    allow_changed_code: bool = False,
) -> Sweep:
    """Train the unfinished members of a sweep.

    Args:
        spec: the sweep.
        out: the folder, or an address ``s3://bucket/prefix``; None takes `default_place`.
        engine: runs the work units; None takes this process.
        progress: receives the plan and the member-steps done.
        confirm: called before the work with the plan as text, the predicted seconds, and whether the grid is
            so large that it is probably a mistake; it raises an exception to cancel the sweep.
        rates: speed of this machine; None measures it.
        keep: ``outcomes`` keeps of a finished cell only the event times and final values of its members
            (`Sweep.outcomes`), about a hundredth of the rest, and removes its curves and networks. With more
            seeds, steps or measures such a cell is trained anew. None: as the sweep in the folder; of a new
            one ``all``.
        allow_other_numerics: accept workers with another numerics fingerprint (versions, device type), and
            note it in their cells.
        allow_changed_code: go on although the code of a part, from a plug-in, has changed since cells were
            trained, and note it in the sweep and these cells.

    Raises:
        InputError: if a cell is not valid or does not fit the memory, the place holds another sweep or other
            files, a huge grid is not confirmed, or the numerics or the code of a part differ and that is not
            allowed.
        StoreError: if a store cannot be read or written.
    """
    began = time.monotonic()
    if not spec.base.learner.trains:
        raise InputError(
            f"learner '{spec.base.learner.kind}': its networks were trained elsewhere; a sweep "
            "cannot train them."
        )
    shown = default_place(spec) if out is None else as_place(out)
    place = located(shown)
    with shown_as(place, shown):
        check_place(place)
        if keep == "outcomes" and not isinstance(place, Path):
            raise InputError(f"keep = 'outcomes': a folder of this machine is needed (got {shown}).")
        progress = progress or SilentProgress()
        engine = engine or LocalEngine()
        allow = Allow(allow_other_numerics, allow_changed_code)
        code = _code_of_cells(spec)
        rates = _rates(rates)
        if (huge := huge_grid_estimate(spec, rates)) is not None:
            if confirm is None:
                raise InputError(f"{huge[0]}; pass confirm to go on.")
            confirm(*huge, True)

        def confirmed_plan(manifest: Manifest) -> SweepPlan:
            _check_identity(spec, manifest, place)
            _check_code(manifest, code, place, allow)
            plan = plan_sweep(spec, manifest, rates)
            progress.plan(
                str(plan) if engine.workers is None else f"{plan}{_workers_text(plan, engine.workers)}"
            )
            if confirm is not None:
                confirm(str(plan), plan.seconds_on(engine.workers), False)
            for program in plan.programs:
                refuse_too_large(program.cells[0].experiment, program.at_once)
            return plan

        # plan and confirm a new sweep before its folder is made; an existing one after it is locked
        plan = None if is_sweep(place) else confirmed_plan(Manifest(spec.identity, ""))
        with writing(place) as folder:
            stored = folder.load()
            manifest = stored or Manifest(spec.identity, "")
            if plan is None or stored is not None:
                plan = confirmed_plan(manifest)
            base = _base_toml(spec.base, place, manifest)
            try:
                manifest.add(spec, plan.names, base)
            except InputError as error:
                raise InputError(f"{place}: {error}; choose another folder.") from None
            if stored is not None and keep not in (None, manifest.keep):
                raise InputError(
                    f"{place}: holds a sweep that keeps {_KEPT[manifest.keep]}, not {_KEPT[keep]}; choose "
                    "another folder."
                )
            manifest.keep = manifest.keep if stored is not None or keep is None else keep
            _note_code(manifest, code)
            _run_units(folder, manifest, plan, engine, progress, began, allow=allow)
    return Sweep(place, shown=shown)


def _workers_text(plan: SweepPlan, workers: int) -> str:
    from grokscope.progress import duration

    if plan.is_done:
        return ""
    many = f"{workers:,} workers" if workers > 1 else "1 worker"
    return f"; about {duration(plan.seconds_on(workers))} on {many} like one of its cores"


def _check_identity(spec: SweepSpec, manifest: Manifest | None, place: Place) -> None:
    if manifest is not None and manifest.identity != spec.identity:
        raise InputError(
            f"{place}: holds another sweep (identity {manifest.identity[:8]}, not {spec.identity[:8]}: "
            "another base experiment, or other keys on its axes); choose another folder."
        )


def _rates(rates: Rates | None) -> Rates:
    if rates is not None:
        return rates
    from grokscope.training.rates import measure_rates

    return measure_rates(_MEASURING_SECONDS)


def _run_units(
    folder: SweepFolder | SweepBucket,
    manifest: Manifest,
    plan: SweepPlan,
    engine: Engine,
    progress: Progress,
    began: float,
    *,
    allow: Allow,
) -> None:
    """Run the plan's work units and save the manifest as they finish."""
    seeds = plan.spec.seeds
    requested = {
        cell.name: (recording_hash(cell.experiment), cell.experiment.n_steps)
        for program in plan.programs
        for cell in program.cells
    }
    for name, (recording, steps) in requested.items():
        entry = manifest.done.get(name)
        if entry is not None and (entry["wanted"] != recording or entry["steps"] < steps):
            del manifest.done[name]  # the request has other measures or more steps than the finished cell
    units = work_units(
        plan,
        str(folder.place),
        manifest.base,
        engine.limits(plan.seconds * plan.lanes),
        allow=allow,
        plugins=loaded_plugins(),
        command=tuple(safe_command(sys.argv)),
    )
    if units and not manifest.done:
        manifest.numerics = engine.numerics(units[0])
    units = [replace(unit, numerics=manifest.numerics) for unit in units]
    folder.save(manifest)
    if manifest.keep == "outcomes":  # what an interrupted call has left
        _remove_cells(folder.place, manifest.done)
    reports: list[UnitReport] = []
    saved = time.monotonic()

    def on_done(unit: WorkUnit, report: UnitReport) -> None:
        nonlocal saved
        folder.require_place()  # else the next cell would begin another folder of this name
        _check_numerics(manifest, report, allow=allow.numerics, place=folder.place)
        reports.append(report)
        names = [cell.name for cell in unit.cells]
        if manifest.keep == "outcomes":
            for name in names:
                _keep_outcomes(folder.place, name, joined=name in manifest.done)
        for name in names:
            manifest.mark_done(name, *requested[name], seeds)
        if manifest.keep == "outcomes":
            folder.save(manifest)  # before the cells are removed
            _remove_cells(folder.place, names)
        elif time.monotonic() - saved > _SAVE_SECONDS:
            folder.save(manifest)
            saved = time.monotonic()

    try:
        if units:
            progress.start(sum(program.work for program in plan.programs), "sweep")
            engine.run(units, progress, on_done)
    finally:
        progress.finish()
        if reports:
            manifest.history.append(_history_entry(plan, reports, time.monotonic() - began))
            folder.save(manifest)


def _keep_outcomes(place: Place, name: str, *, joined: bool) -> None:
    """Write the outcomes of a finished cell, joined with those of members that were trained before."""
    file = Path(str(place)) / OUTCOMES / f"{name}.npz"
    found = KeptOutcomes.of(open_store(place / CELLS / name))
    (found.joined(KeptOutcomes.read(file)) if joined else found).write(file)


def _remove_cells(place: Place, names: Iterable[str]) -> None:
    """Remove the folders of cells whose outcomes are kept."""
    for name in names:
        cell = Path(str(place)) / CELLS / name
        if cell.is_dir():
            try:
                shutil.rmtree(cell)
            except OSError as error:
                raise explain(cell, "cannot be removed", error) from error


def _check_numerics(manifest: Manifest, report: UnitReport, *, allow: bool, place: Place) -> None:
    """Compare the numerics fingerprint of a report with the sweep's, which the first report sets."""
    if manifest.numerics is None:
        manifest.numerics = dict(report.numerics)
        return
    different = numerics_difference(manifest.numerics, report.numerics)
    if (report.refused or different) and not allow:
        raise InputError(
            f"{place}: was made with other numerics ({'; '.join(report.refused or different)}), so "
            f"bits would not match. Choose another folder, or go on with "
            f"{flag('allow-other-numerics')} (such cells are marked)."
        )
    if different:
        manifest.notes["other_numerics"] = sorted({*manifest.notes.get("other_numerics", []), *different})


def _code_of_cells(spec: SweepSpec) -> dict[str, Code]:
    """The code of all parts of all cells that train and are not the package's own, by part."""
    found = spec.base.training_code
    values = (value for axis in spec.axes for point in axis.points for value in point)
    if any(not isinstance(value, int | float) for value in values):  # texts and tables may name other parts
        for cell in spec.cells():
            found |= cell.experiment.training_code
    return found


def _check_code(manifest: Manifest, code: Mapping[str, Code], place: Place, allow: Allow) -> None:
    """Refuse parts whose code is not that of the cells that are there."""
    differences = code_difference({part: one for part, one in manifest.code.items() if part in code}, code)
    if differences and not allow.code:
        raise InputError(f"{place}: code has changed: {', '.join(differences)}; {CODE_ADVICE['train']}")


def _note_code(manifest: Manifest, code: Mapping[str, Code]) -> None:
    """Record the code of the parts; where it has changed, note it."""
    differences = code_difference({part: one for part, one in manifest.code.items() if part in code}, code)
    if differences:
        manifest.notes["changed_code"] = sorted({*manifest.notes.get("changed_code", []), *differences})
    manifest.code = {part: one.to_json() for part, one in code.items()} | manifest.code


def _history_entry(plan: SweepPlan, reports: Sequence[UnitReport], seconds: float) -> dict[str, Any]:
    return {
        "command": safe_command(sys.argv),
        "members": plan.n_members,
        "programs": len(plan.programs),
        "tasks": len(reports),
        "seconds": round(seconds, 3),
        "working_seconds": round(sum(report.seconds for report in reports), 3),
        "steps_run": sum(report.steps_run for report in reports),
        "steps_saved": sum(report.steps_saved for report in reports),
    }


def _base_toml(base: Experiment, place: Place, manifest: Manifest) -> str:
    """The base experiment as TOML; its array files are written beside the manifest, for the workers."""
    if isinstance(place, BucketPath):
        return base.to_toml()
    with written_spec(base, place) as (text, files):
        keep_files(place, files)
        manifest.files = sorted({*manifest.files, *(file.name for file in files)})
    return text


def huge_grid_estimate(spec: SweepSpec, rates: Rates | None = None) -> tuple[str, float] | None:
    """Size (as text) and predicted seconds of a grid of more than `HUGE_GRID` cells; None for smaller grids.

    The estimate uses the base experiment alone: listing the cells would take minutes.
    """
    from grokscope.progress import duration

    if spec.n_cells <= HUGE_GRID:
        return None
    seconds = estimate_seconds(spec, _rates(rates))
    text = (
        f"sweep: {spec.n_cells:,} cells x {len(spec.seeds):,} seeds = {spec.n_members:,} members, about "
        f"{duration(seconds)} on this machine"
    )
    return text, seconds


def sweep(
    experiment: Experiment | SweepSpec,
    over: Sequence[str] | Mapping[str | tuple[str, ...], Any] = (),
    zips: Sequence[str] = (),
    seeds: Any = 1,
    **options: Any,
) -> Sweep:
    """Train a grid of experiments; the same call again resumes or extends it, or does nothing.

    Args:
        experiment: the base experiment, or a complete `SweepSpec`.
        over: for each key its values: ``{"optimizer.weight_decay": [0.0, 0.1]}``; keys that change together
            are a tuple: ``{("model.width", "optimizer.learning_rate"): [(8, 0.1), (16, 0.05)]}``. Or texts in
            the syntax of ``--over``: ``["optimizer.weight_decay=log:1e-3:1e-1:7"]``.
        zips: axes whose keys change together: ``"model.width=100,1000;optimizer.learning_rate=1,0.1"``.
        seeds: seeds of every cell: a count, a list, a text like ``5,9,20:30``, or `Members`.
        options: passed to `run_sweep`: ``out``, ``engine``, ``progress``, ...

    Returns:
        The sweep.

    Raises:
        InputError: see `run_sweep`.
        StoreError: see `run_sweep`.

    Example:
        >>> import tempfile
        >>> small = {"kind": "sparse_parity", "n": 6, "k": 2, "n_train": 32}
        >>> experiment = Experiment(task=small, model={"kind": "fully_connected", "width": 8}, epochs=2)
        >>> folder = tempfile.mkdtemp() + "/sweep"
        >>> done = sweep(experiment, {"optimizer.weight_decay": [0.0, 0.1]}, seeds=2, out=folder)
        >>> dict(done.measures.train_accuracy.sizes)
        {'weight_decay': 2, 'seed': 2, 'step': 3}
    """
    if isinstance(experiment, SweepSpec):
        spec = experiment
    else:
        spec = SweepSpec.of(experiment, over, zips, Members.parse(seeds))
    return run_sweep(spec, **options)
