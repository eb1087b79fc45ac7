"""What reproducing a paper will take on this machine: seeds, steps, seconds, memory; and which profile."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from grokscope.errors import InputError
from grokscope.papers._paper import Paper, PaperExperiment, find_paper
from grokscope.spec.schedule import Schedule

if TYPE_CHECKING:
    from grokscope.experiment import Experiment
    from grokscope.training.rates import Rates

__all__ = ["PROFILE_SECONDS", "Plan", "PlanRow", "plan", "plan_row"]

PROFILE_SECONDS = 600.0  # the paper profile is taken when it is predicted to take less
# Drawing all figures of an experiment and judging its claims.
_MEASURING_SECONDS = 0.5
_FIGURES_SECONDS = 3.0
# The process with its libraries and compiled programs, and how many members' states are held at a time.
_BASE_BYTES, _IN_FLIGHT = 600_000_000, 16


@dataclass(frozen=True)
class PlanRow:
    """The plan for one experiment.

    Attributes:
        name: of the experiment.
        seeds: as for ``--seeds``.
        members: how many members that is.
        steps: updates per member.
        seconds: predicted wall time.
        memory: predicted peak, in bytes.
        needs_gpu: whether it is hopeless without a GPU.
    """

    name: str
    seeds: str
    members: int
    steps: int
    seconds: float
    memory: int
    needs_gpu: bool


@dataclass(frozen=True)
class Plan:
    """What will be run; printed before the work, and recorded with it.

    Attributes:
        paper: the paper's name.
        profile: ``paper`` or ``quick``.
        reason: why this profile.
        seeds: as for ``--seeds``; None for the profile's own.
        rows: one per experiment.
        seconds: predicted for all of them.
    """

    paper: str
    profile: str
    reason: str
    seeds: str | None
    rows: tuple[PlanRow, ...]
    seconds: float

    def __str__(self) -> str:
        from grokscope.progress import duration

        lines = [f"{self.paper}, profile {self.profile} ({self.reason}):"]
        wide = max(len(row.name) for row in self.rows)
        lines += [
            f"  {row.name:{wide}}  {row.members:>5} members x {row.steps:>7,} steps"
            f"  about {duration(row.seconds)}, {row.memory / 1e9:.1f} GB{'  needs a GPU' * row.needs_gpu}"
            for row in self.rows
        ]
        return "\n".join([*lines, f"  in all about {duration(self.seconds)}"])


def plan(
    paper: str | Paper,
    experiments: Sequence[str] | str | None = None,
    seeds: int | str | None = None,
    profile: str | None = None,
    rates: Rates | None = None,
) -> Plan:
    """Plan a reproduction; nothing is run.

    Without a profile, ``paper`` is taken if it is predicted to take less than 10 minutes with the paper's
    seeds, else ``quick``. Seeds that are asked for do not change the profile: the same experiments with more
    seeds must stay the same experiments.

    Args:
        paper: its name, or the paper.
        experiments: names; None takes the default ones.
        seeds: as for ``--seeds``; None takes the profile's.
        profile: ``paper``, ``quick``, or None.
        rates: of this machine; None measures them (in less than a second).

    Raises:
        InputError: for an unknown paper, experiment or profile, or seeds that cannot be read.

    Example:
        >>> from grokscope.training.rates import Rates
        >>> rates = Rates("cpu", cores=2, large=220.0, at_shape=158.0, free=1.0, seconds=0.0)
        >>> planned = plan("two-circuits", ["standard"], seeds=5, rates=rates)
        >>> planned.profile, planned.rows[0].steps
        ('paper', 9600)
    """
    found = find_paper(paper)
    chosen = found.chosen(experiments)
    if not chosen:
        raise InputError(f"{found.kind}: name an experiment; none of them is run by default.")
    if rates is None:
        from grokscope.training.rates import measure_rates

        rates = measure_rates(_MEASURING_SECONDS)
    reason = "asked for"
    if profile is None:
        full = sum(row.seconds for row in _rows(chosen, None, "paper", rates))
        profile = "paper" if full < PROFILE_SECONDS else "quick"
        than = f"{'less' if profile == 'paper' else 'more'} than {PROFILE_SECONDS / 60:.0f} minutes"
        reason = f"at full size, with the paper's seeds, it takes {than} here"
    rows = tuple(_rows(chosen, seeds, profile, rates))
    text = None if seeds is None else str(seeds)
    return Plan(found.kind, profile, reason, text, rows, sum(row.seconds for row in rows))


def _rows(
    chosen: Sequence[PaperExperiment], seeds: int | str | None, profile: str, rates: Rates
) -> list[PlanRow]:
    rows = [plan_row(one, profile, seeds, rates) for one in chosen]
    return [replace(row, seconds=row.seconds + _FIGURES_SECONDS) for row in rows]


def plan_row(one: PaperExperiment, profile: str, seeds: int | str | None, rates: Rates) -> PlanRow:
    """The plan for one experiment alone, without what is made of it afterwards."""
    from grokscope.sweeps import plan_sweep
    from grokscope.training.rates import predict_seconds

    spec, usual = one.under(profile)
    asked = usual if seeds is None else seeds
    if one.is_contest:
        contest = one.contest(profile, asked)
        tuned = [plan_sweep(grid, None, rates) for grid in contest.grids.values()]
        last = [predict_seconds(grid.base, len(contest.fresh), rates) for grid in contest.grids.values()]
        members = contest.n_members
        seconds = sum(plan.seconds for plan in tuned) + sum(last)
        memory = max(program.memory for plan in tuned for program in plan.programs)
    elif one.is_sweep:
        planned = plan_sweep(one.grid(profile, asked), None, rates)
        members, seconds = planned.n_members, planned.seconds
        memory = max(program.memory for program in planned.programs)
    else:
        members = len(one.members(asked))
        seconds, memory = predict_seconds(spec, members, rates), predicted_memory(spec, members)
        seconds += sum(analysis.seconds for analysis in one.analyses) * members / max(1, rates.cores)
    return PlanRow(one.name, str(asked), members, spec.n_steps, seconds, memory, one.needs_gpu)


def predicted_memory(experiment: Experiment, members: int) -> int:
    """Predict the peak in bytes: the process, the measures of all members, the states of those in flight."""

    def points(name: str) -> int:
        schedule = Schedule.parse(getattr(experiment.schedule, name))
        return len(schedule.points(experiment.steps_per_epoch, experiment.n_steps))

    task = experiment.task
    parameters = experiment.model.n_parameters(task.input_shape, task.n_outputs)
    inputs = 1
    for size in task.input_shape:
        inputs *= size
    width = max(1, experiment.model.n_neurons)
    # Scalars and subnetworks at every point; two arrays of neurons at the slow ones.
    measures = 4 * (50 * points("measures") + 2 * width * points("slow_measures"))
    history = 4 * (parameters * points("follow") + inputs * task.n_train)
    rows = max(int(getattr(task, f"n_{split}", 0)) for split in ("train", "test", "probe"))
    return _BASE_BYTES + members * measures + min(members, _IN_FLIGHT) * history + 8 * rows * (width + inputs)
