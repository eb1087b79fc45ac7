"""Doing a task: open its cells' stores, train what is missing, close them. The same in every engine."""

from __future__ import annotations

import platform
import shutil
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from grokscope.errors import InputError
from grokscope.experiment import Experiment
from grokscope.progress import Progress, SilentProgress
from grokscope.runs.block import Row
from grokscope.runs.ended import rule_of
from grokscope.runs.numerics import numerics_here
from grokscope.runs.provenance import collect_provenance
from grokscope.runs.trainer import Trainer, train_rows
from grokscope.runs.wanted import Wanted
from grokscope.spec.parts import looking_in
from grokscope.spec.streams import Members
from grokscope.spec.toml import parse_toml
from grokscope.store.place import as_place
from grokscope.sweeps._cell_store import OpenCell, open_cell
from grokscope.sweeps._fingerprints import difference_but_precision
from grokscope.sweeps._home import CELLS
from grokscope.sweeps._plugins import load_sources
from grokscope.sweeps._spec import changed
from grokscope.sweeps.task import Report, Task
from grokscope.training.devices import in_precision, prepare_devices

__all__ = ["do_task", "numerics_for"]


def do_task(task: Task, progress: Progress | None = None) -> Report:
    """Bring every member of a task to its end; what is finished is not done again.

    Args:
        task: what to do.
        progress: its `advance` is told of member-steps done.

    Raises:
        InputError: if the worker understands the spec otherwise, or a cell's folder holds another run.
        StoreError: if the store does not let us.
    """
    from grokscope.training.cache import use_compile_cache

    began = time.monotonic()
    load_sources(task.plugins)
    experiments = _experiments(task)
    prepare_devices()
    use_compile_cache()
    numerics = numerics_here(experiments[0])
    refused = difference_but_precision(task.numerics, numerics) if task.numerics is not None else []
    if refused and not task.allow_other_numerics:
        return Report(task.number, numerics, refused, host=platform.node())
    facts = collect_provenance(numerics, argv=task.command)
    inner = _Counting(progress or SilentProgress())
    with in_precision(experiments[0].precision), ExitStack() as open_stores:
        cells: list[OpenCell] = []
        for cell, experiment in zip(task.cells, experiments, strict=True):
            place = as_place(task.place) / CELLS / cell.name
            cells.append(open_stores.enter_context(open_cell(place, experiment, numerics, facts, refused)))
            if isinstance(place, Path):
                _link(place.parents[1], place)
        saved = _train(cells, task, inner, facts)
        wanted = Wanted.of(experiments[0])
        passes = 2 if wanted.follow or wanted.follow_slow else 1
    return Report(
        task.number,
        numerics,
        [],
        round(time.monotonic() - began, 3),
        inner.steps - saved * passes,
        saved,
        platform.node(),
    )


def numerics_for(task: Task) -> dict[str, Any]:
    """The fingerprint under which this process would do a task.

    Raises:
        InputError: if the worker understands the spec otherwise.
    """
    load_sources(task.plugins)
    experiments = _experiments(task)
    prepare_devices()
    return numerics_here(experiments[0])


def _train(cells: Sequence[OpenCell], task: Task, progress: _Counting, facts: dict[str, Any]) -> int:
    """Train what is missing; returns the member-steps that were left out by early stopping."""
    began, members, saved = time.monotonic(), Members(task.seeds), 0
    rows: list[Row] = []
    left: dict[int, int] = {}
    fresh: dict[int, set[tuple[int, ...]]] = {}  # members that are not finished, of which steps can be saved
    for number, cell in enumerate(cells):
        trainer = Trainer(cell.store, cell.experiment, progress)
        if trainer.is_done(members):
            if not cell.store.is_finished:
                cell.store.finish()
            continue
        cell.store.update_experiment(cell.toml)
        known = dict(zip(cell.store.seeds, cell.store.complete, strict=True))
        fresh[number] = {member for member in members if not known.get(member)}
        left[number] = 0
        rule_of(cell.experiment, Wanted.of(cell.experiment))
        if not cell.experiment.is_plain:
            continue  # members that start at steps of their own, or are acted on, keep to themselves
        with cell.store.transaction("members are added") as t:
            t.add_members(members.seeds)
        positions = {seeds: i for i, seeds in enumerate(cell.store.seeds)}
        short = trainer.short([positions[member] for member in members])
        left[number] = len(short)
        rows += [Row(number, position) for position in short]

    def finish(number: int) -> None:
        nonlocal saved
        # what is left are branches, and measures of members that were trained before
        cell = cells[number]
        trainer = Trainer(cell.store, cell.experiment, progress, task.allow_other_numerics)
        trainer.train(members)
        saved += trainer.steps_saved([i for i, one in enumerate(cell.store.seeds) if one in fresh[number]])
        spent = float(cell.store.provenance.get("wall_seconds") or 0.0) + time.monotonic() - began
        cell.store.update_provenance({**facts, "wall_seconds": round(spent, 3)})
        cell.store.finish()

    def done(block: Sequence[Row]) -> None:
        for row in block:
            left[row.run] -= 1
        for number in sorted({row.run for row in block}):
            if not left[number]:
                finish(number)

    for number in [number for number, count in left.items() if not count]:
        finish(number)
    if rows:
        train_rows(cells, rows, progress.advance, n_members=max(1, task.most_members), committed=done)
    return saved


def _experiments(task: Task) -> list[Experiment]:
    """The experiments of the task's cells, made from the base as it was sent."""
    place = as_place(task.place)
    with looking_in(place if isinstance(place, Path) else Path()):
        base = Experiment.from_table(parse_toml(task.base))
        experiments = [changed(base, cell.settings) for cell in task.cells]
    for cell, experiment in zip(task.cells, experiments, strict=True):
        if experiment.identity != cell.identity:
            raise InputError(
                f"{task.place}: this worker reads the spec otherwise than the one that sent it (cell "
                f"{cell.name}); it needs the same version of grokscope and the same plug-ins."
            )
    return experiments


def _link(sweep: Path, cell: Path) -> None:
    """The arrays that the spec names, which lie beside the manifest, beside the cell's spec too."""
    for file in sweep.glob("arrays-*.safetensors"):
        if not (cell / file.name).exists():
            try:
                (cell / file.name).hardlink_to(file)
            except OSError:  # a file system without hard links
                shutil.copy2(file, cell / file.name)


class _Counting:
    """Passes `advance` on and counts; the start and end of the work are the engine's to tell."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self.steps = 0

    def plan(self, text: str) -> None:
        pass

    def start(self, total_steps: int, label: str) -> None:
        pass

    def advance(self, steps: int, note: str = "") -> None:
        self.steps += steps
        self._progress.advance(steps, note)

    def finish(self) -> None:
        pass
