"""Running a sweep: plan, tasks, engine, manifest."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grokscope.errors import InputError
from grokscope.experiment import Experiment
from grokscope.progress import Progress, SilentProgress
from grokscope.runs.provenance import safe_command
from grokscope.runs.trainer import refuse_too_large
from grokscope.spec.streams import Members
from grokscope.store.folder import keep_files, written_spec
from grokscope.store.place import BucketPath, Place, as_place
from grokscope.sweeps._fingerprints import difference_but_precision
from grokscope.sweeps._home import Home, check_place, is_sweep, read_manifest, writing
from grokscope.sweeps._manifest import Manifest, wanted_of
from grokscope.sweeps._plan import MANY_CELLS, SweepPlan, estimate, plan_sweep, tasks_of
from grokscope.sweeps._plugins import plugin_sources
from grokscope.sweeps._spec import SweepSpec
from grokscope.sweeps._sweep import Sweep
from grokscope.sweeps.engines.local import Engine, LocalEngine
from grokscope.sweeps.task import Report, Task

if TYPE_CHECKING:
    from grokscope.sweeps._remote_home import RemoteHome
    from grokscope.training.rates import Rates

__all__ = ["default_place", "many_cells", "plan_for", "run_sweep", "sweep"]

_SAVE_SECONDS = 10.0  # between two writings of the manifest
_MEASURING_SECONDS = 0.3

Confirm = Callable[[str, float, bool], None]


def default_place(spec: SweepSpec) -> Path:
    """``runs/<task>-sweep-<identity, 8 characters>``."""
    return Path("runs") / f"{spec.base.task.kind}-sweep-{spec.identity[:8]}"


def plan_for(spec: SweepSpec, out: str | Place | None = None, rates: Rates | None = None) -> SweepPlan:
    """Plan a sweep without running it. See `run_sweep` for the arguments.

    Raises:
        InputError: if a cell is not valid, or the place holds another sweep or other files.
    """
    place = default_place(spec) if out is None else as_place(out)
    check_place(place)
    manifest = read_manifest(place) if is_sweep(place) else None
    _same_sweep(spec, manifest, place)
    return plan_sweep(spec, manifest, _rates(rates))


def run_sweep(
    spec: SweepSpec,
    *,
    out: str | Place | None = None,
    engine: Engine | None = None,
    progress: Progress | None = None,
    confirm: Confirm | None = None,
    rates: Rates | None = None,
    allow_other_numerics: bool = False,
) -> Sweep:
    """Run what is missing of a sweep.

    Args:
        spec: what is asked for.
        out: the folder, or an address ``s3://bucket/prefix``; None takes `default_place`.
        engine: who does the work; None takes this process.
        progress: told of the plan and the work.
        confirm: called before the work with the plan in words, the predicted seconds, and whether the grid
            is so large that it is probably a slip; it may raise.
        rates: of this machine; None measures them.
        allow_other_numerics: let workers with other numerics work too, and mark their cells.

    Raises:
        InputError: if a cell is not valid or does not fit the memory, the place holds another sweep or other
            files, the grid is huge and nobody confirms it, or the numerics are others.
        StoreError: if the store does not let us.
    """
    began = time.monotonic()
    if not spec.base.learner.trains:
        raise InputError(
            f"learner '{spec.base.learner.kind}': networks that were trained elsewhere cannot be swept over."
        )
    place = default_place(spec) if out is None else as_place(out)
    check_place(place)
    teller = progress or SilentProgress()
    worker = engine or LocalEngine()
    rates = _rates(rates)
    if (many := many_cells(spec, rates)) is not None:
        if confirm is None:
            raise InputError(f"{many[0]}; pass confirm to go on.")
        confirm(*many, True)

    def approved(manifest: Manifest) -> SweepPlan:
        _same_sweep(spec, manifest, place)
        plan = plan_sweep(spec, manifest, rates)
        teller.plan(str(plan) if worker.workers is None else f"{plan}{_elsewhere(plan, worker.workers)}")
        if confirm is not None:
            confirm(str(plan), plan.seconds_on(worker.workers), False)
        for program in plan.programs:
            refuse_too_large(program.cells[0].experiment, program.at_once)
        return plan

    # where there is no sweep yet no folder is made before it is known that there will be one
    plan = None if is_sweep(place) else approved(Manifest(spec.identity, ""))
    with writing(place) as home:
        stored = home.load()
        manifest = stored or Manifest(spec.identity, "")
        if plan is None or stored is not None:
            plan = approved(manifest)
        base = _written(spec.base, place, manifest)
        try:
            manifest.add(spec, plan.names, base)
        except InputError as error:
            raise InputError(f"{place}: {error}; choose another folder.") from None
        _work(home, manifest, plan, worker, teller, began, allow=allow_other_numerics)
    return Sweep(place)


def _elsewhere(plan: SweepPlan, workers: int) -> str:
    from grokscope.progress import duration

    if plan.is_done:
        return ""
    many = f"{workers:,} workers" if workers > 1 else "1 worker"
    return f"; about {duration(plan.seconds_on(workers))} on {many} like one of its cores"


def _same_sweep(spec: SweepSpec, manifest: Manifest | None, place: Place) -> None:
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


def _work(
    home: Home | RemoteHome,
    manifest: Manifest,
    plan: SweepPlan,
    engine: Engine,
    progress: Progress,
    began: float,
    *,
    allow: bool,
) -> None:
    """Do the plan's tasks, and write down what is done."""
    seeds = plan.spec.seeds
    wanted = {c.name: (wanted_of(c.experiment), c.experiment.n_steps) for p in plan.programs for c in p.cells}
    for name, (what, steps) in wanted.items():
        entry = manifest.done.get(name)
        if entry is not None and (entry["wanted"] != what or entry["steps"] < steps):
            del manifest.done[name]  # it is asked for more than it has
    most_members, most_seconds = engine.limits(plan.seconds * plan.lanes)
    tasks = [
        replace(
            task,
            allow_other_numerics=allow,
            plugins=plugin_sources(),
            command=tuple(safe_command(sys.argv)),
        )
        for task in tasks_of(
            plan,
            str(home.place),
            manifest.base,
            most_members=most_members,
            most_seconds=most_seconds,
        )
    ]
    if tasks and not manifest.done:
        manifest.numerics = engine.numerics(tasks[0])
    tasks = [replace(task, numerics=manifest.numerics) for task in tasks]
    home.save(manifest)
    reports: list[Report] = []
    saved = time.monotonic()

    def done(task: Task, report: Report) -> None:
        nonlocal saved
        _take_numerics(manifest, report, allow=allow, place=home.place)
        reports.append(report)
        for cell in task.cells:
            manifest.mark_done(cell.name, *wanted[cell.name], seeds)
        if time.monotonic() - saved > _SAVE_SECONDS:
            home.save(manifest)
            saved = time.monotonic()

    try:
        if tasks:
            progress.start(sum(program.work for program in plan.programs), "sweep")
            engine.run(tasks, progress, done)
    finally:
        progress.finish()
        if reports:
            manifest.history.append(_history(plan, reports, time.monotonic() - began))
            home.save(manifest)


def _take_numerics(manifest: Manifest, report: Report, *, allow: bool, place: Place) -> None:
    """The first worker's fingerprint is that of the sweep."""
    if manifest.numerics is None:
        manifest.numerics = dict(report.numerics)
        return
    different = difference_but_precision(manifest.numerics, report.numerics)
    if (report.refused or different) and not allow:
        raise InputError(
            f"{place}: was made with other numerics ({'; '.join(report.refused or different)}), so "
            "bits would not match. Choose another folder, or go on with --allow-other-numerics (such "
            "cells are marked)."
        )
    if different:
        manifest.notes["other_numerics"] = sorted({*manifest.notes.get("other_numerics", []), *different})


def _history(plan: SweepPlan, reports: Sequence[Report], seconds: float) -> dict[str, Any]:
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


def _written(base: Experiment, place: Place, manifest: Manifest) -> str:
    """The base as TOML; arrays are written beside the manifest, where every worker finds them."""
    if isinstance(place, BucketPath):
        return base.to_toml()
    with written_spec(base, place) as (text, files):
        keep_files(place, files)
        manifest.files = sorted({*manifest.files, *(file.name for file in files)})
    return text


def many_cells(spec: SweepSpec, rates: Rates | None = None) -> tuple[str, float] | None:
    """What there is to say of a grid so large that it is probably a slip, and its seconds; None for others.

    It is asked about before it is even listed: listing alone would take minutes.
    """
    from grokscope.progress import duration

    if spec.n_cells <= MANY_CELLS:
        return None
    seconds = estimate(spec, _rates(rates))
    text = (
        f"sweep: {spec.n_cells:,} cells x {len(spec.seeds):,} seeds = {spec.n_members:,} members, about "
        f"{duration(seconds)} on this machine"
    )
    return text, seconds


def sweep(
    experiment: Experiment | SweepSpec,
    over: Sequence[str] = (),
    zips: Sequence[str] = (),
    seeds: Any = 1,
    **options: Any,
) -> Sweep:
    """Train a grid of experiments; the same call again resumes, extends, or is done.

    Args:
        experiment: the base, or a `SweepSpec` that says all.
        over: axes, as on the command line: ``"optimizer.weight_decay=log:1e-3:1e-1:7"``.
        zips: axes on which several keys go in step: ``"model.width=100,1000;optimizer.learning_rate=1,0.1"``.
        seeds: of every cell; a count, a list, a text like ``5,9,20:30``, or `Members`.
        options: see `run_sweep`: ``out``, ``engine``, ``progress``, ...

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
        >>> done = sweep(experiment, ["optimizer.weight_decay=0.0,0.1"], seeds=2, out=folder)
        >>> dict(done.measures.train_accuracy.sizes)
        {'weight_decay': 2, 'seed': 2, 'step': 3}
    """
    if isinstance(experiment, SweepSpec):
        spec = experiment
    else:
        spec = SweepSpec.of(experiment, over, zips, Members.parse(seeds))
    return run_sweep(spec, **options)
