"""What reproducing a paper will take on this machine: seeds, steps, seconds, memory; and which profile.

The prediction counts multiply-adds of the updates and of the measures, and divides by what the machine was
measured to do. It is meant to be right within a factor of two.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from grokscope.errors import InputError
from grokscope.papers._paper import find_paper
from grokscope.schedule import Schedule
from grokscope.streams import Members

if TYPE_CHECKING:
    from collections.abc import Sequence

    from grokscope.experiment import Experiment
    from grokscope.papers._paper import Paper

__all__ = ["PROFILE_SECONDS", "Plan", "PlanRow", "Rates", "plan"]

PROFILE_SECONDS = 600.0  # the paper profile is taken when it is predicted to take less

# Work per sample and neuron of the quick measures (all prefixes of a network at once, outputs) in the time
# of one floating-point operation of a matrix product; from trials on two cores.
_PREFIXES, _FOLLOW, _FLIPS = 230.0, 45.0, 1.2
_SENSITIVITY_ROWS, _BASE_BYTES, _IN_FLIGHT = 100, 400e6, 16


@dataclass(frozen=True)
class Rates:
    """What a machine was measured to do (``grokscope doctor`` measures it).

    Attributes:
        flops: floating-point operations per second of small matrix products, batch x inputs x width, on all
            cores together.
        startup_seconds: what an experiment takes besides: compiling, opening files.
        figures_seconds: drawing and writing all figures and the report.
    """

    flops: float = 120e9
    startup_seconds: float = 6.0
    figures_seconds: float = 6.0


@dataclass(frozen=True)
class PlanRow:
    """The plan for one experiment.

    Attributes:
        name: of the experiment.
        experiment: the spec under the chosen profile.
        members: who is trained.
        steps: updates per member.
        seconds: predicted; None where the model's cost is not known.
        memory: predicted peak, in bytes; None likewise.
        needs_gpu: whether it is hopeless without a GPU.
    """

    name: str
    experiment: Experiment
    members: Members
    steps: int
    seconds: float | None
    memory: float | None
    needs_gpu: bool


@dataclass(frozen=True)
class Plan:
    """What will be run.

    Attributes:
        paper: the paper's name.
        profile: ``paper`` or ``quick``.
        reason: why this profile.
        rows: one per experiment.
    """

    paper: str
    profile: str
    reason: str
    rows: tuple[PlanRow, ...]

    @property
    def seconds(self) -> float | None:
        """Predicted for all; None where one is not known."""
        known = [row.seconds for row in self.rows if row.seconds is not None]
        return sum(known) if len(known) == len(self.rows) else None


def plan(
    paper: str | Paper,
    experiments: Sequence[str] | None = None,
    seeds: int | str | Members | None = None,
    profile: str | None = None,
    rates: Rates | None = None,
) -> Plan:
    """Plan a reproduction; nothing is run.

    Without a profile, ``paper`` is taken if it is predicted to take less than 10 minutes with the seeds that
    the paper has, else ``quick``. Seeds that are asked for do not change the profile: the same run with more
    seeds stays the same run.

    Args:
        paper: its name, or the paper.
        experiments: names; None takes the default ones.
        seeds: as for ``--seeds``; None takes the profile's.
        profile: ``paper``, ``quick``, or None.
        rates: of this machine; None takes those of a small laptop.

    Raises:
        InputError: for an unknown paper, experiment, profile, or seeds that cannot be read.
    """
    found = find_paper(paper)
    chosen = found.chosen(list(experiments) if experiments else None)
    if not chosen:
        raise InputError(f"{found.kind}: name an experiment; none of them is run by default.")
    speed = rates or Rates()
    reason = "asked for"
    if profile is None:
        full = _rows(chosen, None, "paper", speed)
        known = [row.seconds for row in full if row.seconds is not None]
        short = len(known) == len(full) and sum(known) < PROFILE_SECONDS
        profile = "paper" if short else "quick"
        limit = f"{PROFILE_SECONDS / 60:.0f} minutes with the paper's seeds"
        reason = f"the full size is predicted to take {'less' if short else 'more'} than {limit}"
        if len(known) < len(full):
            reason = "what the full size takes is not known for this model"
    return Plan(found.kind, profile, reason, tuple(_rows(chosen, seeds, profile, speed)))


def _rows(
    chosen: Sequence[Any], seeds: int | str | Members | None, profile: str, rates: Rates
) -> list[PlanRow]:
    rows: list[PlanRow] = []
    for one in chosen:
        spec, usual = one.under(profile)
        members = Members.parse(usual if seeds is None else seeds)
        seconds = predicted_seconds(spec, len(members), rates)
        memory = predicted_memory(spec, len(members))
        rows.append(PlanRow(one.name, spec, members, spec.n_steps, seconds, memory, one.needs_gpu))
    return rows


def predicted_seconds(experiment: Experiment, members: int, rates: Rates) -> float | None:
    """Predict the time of an experiment; None where the model's cost is not known."""
    sizes = _sizes(experiment)
    if sizes is None:
        return None
    n, p, train, test, probe = sizes
    batch = train if experiment.batch_size == "full" else int(experiment.batch_size)
    per_epoch = train if not experiment.online else batch
    samples = per_epoch * experiment.n_steps / experiment.steps_per_epoch
    # Forward and the two halves of the backward pass that are needed: 2 + 2 operations per weight.
    work = 4 * samples * n * p
    taken = {name: _points(experiment, name) for name in ("measures", "slow_measures", "follow")}
    work += taken["measures"] * p * (train * (2 * n + _PREFIXES) + test * 2 * n)
    flips = 2 * _SENSITIVITY_ROWS * n * p * n * _FLIPS
    work += taken["slow_measures"] * (p * probe * (2 * n + _PREFIXES) + flips)
    work += taken["follow"] * p * (train + test) * (2 * n + _FOLLOW)
    return rates.startup_seconds + rates.figures_seconds + members * work / rates.flops


def predicted_memory(experiment: Experiment, members: int) -> float | None:
    """Predict the peak memory in bytes: the libraries, all measures, and the states of members in flight."""
    sizes = _sizes(experiment)
    if sizes is None:
        return None
    n, p, train, _, probe = sizes
    points, slow = _points(experiment, "measures"), _points(experiment, "slow_measures")
    measures = 4 * (points * 60 + slow * 2 * p)
    states = 4 * (points * p * (n + 2) + 2 * train * p + train * n)
    return _BASE_BYTES + members * measures + min(members, _IN_FLIGHT) * states + 4 * probe * (n + p)


def _points(experiment: Experiment, name: str) -> int:
    schedule = Schedule.parse(getattr(experiment.schedule, name))
    return len(schedule.points(experiment.steps_per_epoch, experiment.n_steps))


def _sizes(experiment: Experiment) -> tuple[int, int, int, int, int] | None:
    """Inputs, neurons, and samples per split of a one-hidden-layer network; None for other models."""
    from grokscope.models.fully_connected import FullyConnected

    if not isinstance(experiment.model, FullyConnected):
        return None
    task = experiment.task
    inputs = 1
    for size in task.input_shape:
        inputs *= size
    test, probe = (int(getattr(task, f"n_{split}", 0)) for split in ("test", "probe"))
    return inputs, experiment.model.width, task.n_train, test, probe
