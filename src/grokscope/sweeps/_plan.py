"""The planner: group cells into compiled programs, predict time and memory, cut programs into work units."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from grokscope.runs.measure_plan import MeasurePlan
from grokscope.sweeps._manifest import Manifest, recording_hash
from grokscope.sweeps._spec import Cell, SweepSpec, settings_text
from grokscope.sweeps.work_unit import UnitCell, WorkUnit
from grokscope.training.budget import predicted_bytes
from grokscope.training.rates import START_SECONDS, predict_seconds

if TYPE_CHECKING:
    from grokscope.experiment import Experiment
    from grokscope.training.rates import Rates

__all__ = ["HUGE_GRID", "Program", "SweepPlan", "estimate_seconds", "plan_sweep", "work_units"]

HUGE_GRID = 100_000  # cells; a larger grid is probably a mistake, and is confirmed before it is listed
_COMPILE_SECONDS = 3.0
_CELL_SECONDS = 0.1  # to create, commit and finish a store
_BASE_BYTES = 600_000_000  # the process with its libraries and compiled programs
_MAX_ON_CORE, _MAX_ON_ACCELERATOR = 64, 256  # members at once, as in `training.devices`
_SCALARS = 50  # upper bound on values per point of measures without a neuron axis


@dataclass(frozen=True)
class Program:
    """Cells of one shape, trained by one compiled program.

    Attributes:
        settings: the settings that its cells share and that other programs' cells do not, as text.
        cells: the cells with unfinished members.
        members: the number of unfinished members of all its cells.
        steps: updates per member.
        work: member-steps; twice as many where a second pass follows subnetworks.
        seconds: predicted on this machine.
        memory: predicted peak in bytes.
        at_once: members that the program is compiled for.
        per_cell: largest number of unfinished members of a cell.
    """

    settings: str
    cells: tuple[Cell, ...]
    members: int
    steps: int
    work: int
    seconds: float
    memory: int
    at_once: int
    per_cell: int


@dataclass(frozen=True)
class SweepPlan:
    """The work of a sweep; printed before it starts.

    Attributes:
        spec: the sweep.
        names: of all cells; the last axis varies fastest.
        programs: in the order in which they run.
        cells_done: the number of finished cells.
        seconds: predicted for all programs on this machine.
        lanes: members that this machine trains in parallel.
    """

    spec: SweepSpec
    names: tuple[str, ...]
    programs: tuple[Program, ...]
    cells_done: int
    seconds: float
    lanes: int

    @property
    def n_members(self) -> int:
        """The number of unfinished members."""
        return sum(program.members for program in self.programs)

    @property
    def is_done(self) -> bool:
        """Whether every cell is finished."""
        return not self.programs

    def seconds_on(self, workers: int | None) -> float:
        """Predicted seconds on workers as fast as one lane of this machine; None: on this machine."""
        return self.seconds if workers is None else self.seconds * self.lanes / max(workers, 1)

    @property
    def facts(self) -> dict[str, Any]:
        """The plan as JSON data."""
        return {
            "axes": {name: len(axis) for name, axis in zip(self.spec.names, self.spec.axes, strict=True)},
            "cells": self.spec.n_cells,
            "cells_done": self.cells_done,
            "members": self.spec.n_members,
            "members_to_do": self.n_members,
            "seconds": self.seconds,
            "programs": [
                {
                    "settings": program.settings,
                    "cells": len(program.cells),
                    "members": program.members,
                    "steps": program.steps,
                    "seconds": program.seconds,
                    "memory": program.memory,
                }
                for program in self.programs
            ],
        }

    def __str__(self) -> str:
        from grokscope.progress import duration

        spec = self.spec
        axes = " x ".join(f"{name} ({len(axis)})" for name, axis in zip(spec.names, spec.axes, strict=True))
        lines = [
            f"sweep over {axes}: {spec.n_cells:,} cells x {len(spec.seeds):,} seeds "
            f"= {spec.n_members:,} members"
        ]
        if self.cells_done:
            lines[0] += f"; {self.cells_done:,} cells are done"
        width = max((len(program.settings) for program in self.programs), default=0)
        count = len(self.programs)
        shown = self.programs if count <= 12 else (*self.programs[:10], self.programs[-1])
        for program in shown:
            if program is shown[-1] and count > len(shown):
                lines.append(f"  ... {count - len(shown)} more programs")
            lines.append(
                f"  {program.settings:{width}}  {len(program.cells):>5,} cells  {program.members:>7,} members"
                f" x {program.steps:,} steps  about {duration(program.seconds)}, "
                f"{program.memory / 1e9:.1f} GB"
            )
        if self.is_done:
            return "\n".join([*lines, "  nothing is left to do"])
        plural = "programs" if count != 1 else "program"
        lines.append(f"  in all {count} {plural}, about {duration(self.seconds)} on this machine")
        return "\n".join(lines)


def estimate_seconds(spec: SweepSpec, rates: Rates) -> float:
    """Predicted seconds of a sweep from its base experiment alone, for grids too large to list."""
    lanes = _lanes(rates)
    one = predict_seconds(spec.base, lanes, rates) - START_SECONDS
    return one * math.ceil(spec.n_members / lanes) + _CELL_SECONDS * spec.n_cells


def plan_sweep(spec: SweepSpec, manifest: Manifest | None, rates: Rates) -> SweepPlan:
    """Plan a sweep without running it.

    Cells that differ only in `Experiment.numbers` share a program.

    Args:
        spec: the sweep.
        manifest: of the sweep's folder; None if there is none yet.
        rates: of this machine.

    Raises:
        InputError: if a cell is not valid.
    """
    names: list[str] = []
    by_shape: dict[tuple[Experiment, bool], list[Cell]] = {}
    missing: dict[str, int] = {}
    for cell in spec.cells():
        one = cell.experiment
        names.append(cell.name)
        missing[cell.name] = len(spec.seeds)
        if manifest is not None:
            missing[cell.name] = manifest.n_missing(cell.name, recording_hash(one), one.n_steps, spec.seeds)
        if missing[cell.name]:
            by_shape.setdefault((one.shape, one.is_plain), []).append(cell)
    groups = list(by_shape.values())
    programs = [_program(group, groups, missing, rates) for group in groups]
    done = sum(not count for count in missing.values())
    start = START_SECONDS if programs else 0.0
    seconds = start + sum(program.seconds for program in programs)
    return SweepPlan(spec, tuple(names), tuple(programs), done, seconds, _lanes(rates))


def work_units(
    plan: SweepPlan, place: str, base: str, limits: tuple[int | None, float | None], **common: Any
) -> list[WorkUnit]:
    """Cut the plan's programs into work units of whole cells.

    Args:
        plan: the plan.
        place: the sweep's folder or address.
        base: the base experiment as TOML.
        limits: the most members of a unit (None takes the size that the program is compiled for), and its
            highest cost in seconds on one core (None sets no limit).
        common: further fields of every unit.
    """
    max_members, max_seconds = limits
    units: list[WorkUnit] = []
    seeds = plan.spec.seeds
    for program in plan.programs:
        per_cell = program.seconds * plan.lanes / len(program.cells)
        most = max(1, (max_members or program.at_once) // program.per_cell)
        if max_seconds is not None:
            most = max(1, min(most, int(max_seconds / max(per_cell, 1e-9))))
        count = math.ceil(len(program.cells) / most)
        each = math.ceil(len(program.cells) / count)
        for low in range(0, len(program.cells), each):
            cells = program.cells[low : low + each]
            units.append(
                WorkUnit(
                    len(units),
                    place,
                    base,
                    tuple(UnitCell(c.name, c.experiment.identity, c.settings) for c in cells),
                    tuple(seeds),
                    min(each * program.per_cell, program.at_once),
                    per_cell * len(cells),
                    **common,
                )
            )
    return units


def _program(
    group: Sequence[Cell], groups: list[list[Cell]], missing: Mapping[str, int], rates: Rates
) -> Program:
    experiment = group[0].experiment
    wanted = MeasurePlan.of(experiment)  # raises before training if a measure does not apply
    members = sum(missing[cell.name] for cell in group)
    most = _MAX_ON_CORE * rates.cores if rates.device == "cpu" else _MAX_ON_ACCELERATOR
    at_once = min(members, most)
    seconds = predict_seconds(experiment, members, rates) - START_SECONDS
    return Program(
        _shared_settings(group, groups),
        tuple(group),
        members,
        experiment.n_steps,
        members * experiment.n_steps * (2 if wanted.follow or wanted.follow_slow else 1),
        seconds + _COMPILE_SECONDS + _CELL_SECONDS * len(group),
        _memory(experiment, at_once),
        at_once,
        max(missing[cell.name] for cell in group),
    )


def _shared_settings(group: Sequence[Cell], groups: list[list[Cell]]) -> str:
    """The settings shared by all cells of a group, as text."""
    if len(groups) == 1:
        return "all cells"
    first = group[0].settings
    same = {key: v for key, v in first.items() if all(cell.settings[key] == v for cell in group)}
    return settings_text(same) or f"like {settings_text(first)}"


def _lanes(rates: Rates) -> int:
    return rates.cores if rates.device == "cpu" else 1


def _memory(experiment: Experiment, at_once: int) -> int:
    width = max(1, experiment.model.n_neurons)
    quick, slow, n_snapshots = (
        len(experiment.points(name)) for name in ("measures", "slow_measures", "snapshots")
    )
    measures = 4 * (_SCALARS * quick + 2 * width * slow)
    return _BASE_BYTES + at_once * measures + predicted_bytes(experiment, at_once, n_snapshots)
