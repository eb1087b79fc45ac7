"""Verify the networks of a run at many steps.

The verdicts are stored as measures of the run, so events, claims, figures, tables and exports read them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np

from grokscope.circuits.relu_network import ReluNetwork, relu_network_at
from grokscope.circuits.target import readable_positions, target_of
from grokscope.circuits.verification.verify import BUDGET, Verdict, verify
from grokscope.errors import InputError
from grokscope.interrupts import raise_if_interrupted
from grokscope.progress import Progress, SilentProgress
from grokscope.runs.given import GivenMeasures
from grokscope.spec.events import Event
from grokscope.spec.schedule import Schedule
from grokscope.spec.streams import Seeds, on_members

if TYPE_CHECKING:
    import xarray as xr

    from grokscope.runs import Run

__all__ = ["CERTIFIED", "FIRST_PROVED", "MEASURES", "certify"]

MEASURES = ("proved", "refuted", "worst_margin_lower", "worst_margin_upper", "proof_budget")
FIRST_PROVED = Event("first proved", "proved", ">", 0.5, sustained=1)
CERTIFIED = Event("certified", "proved", ">", 0.5, sustained="end")

_GROUP = "verification"
_POINTS = 30  # number of steps by default
_MOST_BYTES = 400_000_000  # of networks in memory at once


def certify(
    run: Run,
    seeds: Iterable[int | Seeds] | None = None,
    steps: Any = None,
    *,
    budget: float = BUDGET,
    progress: Progress | None = None,
) -> xr.Dataset:
    r"""Verify the networks of a run at many steps, and store the verdicts in the run.

    The measures, over seed and step, with y the task's function:

    - ``proved``, ``refuted``: 1 or 0; both are 0 if undecided;
    - ``worst_margin_lower``: a certified lower bound of $\min_x y(x) f(x)$; NaN if refuted;
    - ``worst_margin_upper``: the smallest $y(x) f(x)$ that was found;
    - ``proof_budget``: the budget of the verification, in seconds.

    `FIRST_PROVED` and `CERTIFIED` (proved at this and all later points) are events of these measures.
    Networks are verified in parallel, one on each core. A decided network is not verified again, an undecided
    one only with a larger budget; so a call that was stopped continues when it is repeated.

    Args:
        run: of a Boolean function of few bits on inputs +-1, and one hidden layer of relu.
        seeds: of the members; None: all.
        steps: a schedule (see `Schedule`), as ``every 10 epochs`` or ``log``; or a list of steps (-1 is the
            last). None: about 30, evenly spaced.
        budget: seconds for each network.
        progress: advanced by one for each network.

    Returns:
        These measures of all members of the run that have been verified, now or before.

    Raises:
        InputError: if the run's networks cannot be verified, or it has no such seed or step.

    Example:
        >>> import tempfile
        >>> import grokscope as gs
        >>> from grokscope.circuits import construction_experiment
        >>> run = gs.train(construction_experiment(2, n=20, measures=["test_accuracy"]),
        ...                out=tempfile.mkdtemp() + "/run")
        >>> certified = certify(run)
        >>> certified.proved.values.tolist(), CERTIFIED.times(certified).upper.tolist()
        ([[1.0, 1.0]], [0.0])
    """
    from grokscope.training.devices import usable_cores

    positions = readable_positions(run, seeds, "certify")
    targets = {position: target_of(run, position) for position in positions}
    points = _points(run, positions, steps)
    shown = progress or SilentProgress()
    with GivenMeasures(run, _GROUP) as given:
        todo = _undone(given.read(MEASURES), run, points, positions, budget)
        shown.start(sum(map(len, todo.values())), "certify")
        pool = ThreadPoolExecutor(usable_cores())
        try:
            for step, networks in _networks(run, todo):
                verdicts: list[Verdict] = []
                futures = [pool.submit(_verify, networks[row], *targets[row], budget) for row in todo[step]]
                for future in futures:
                    raise_if_interrupted()
                    verdicts.append(future.result())
                    shown.advance(1)
                given.write(todo[step], [step], _values(verdicts, budget))
        finally:
            pool.shutdown(cancel_futures=True)
            shown.finish()
        found = given.read(MEASURES)
    assert found is not None  # at least one network was verified, now or before
    return found


def _verify(network: ReluNetwork, bits: tuple[int, ...], target: np.ndarray, budget: float) -> Verdict:
    return verify(network, bits, target=target, budget=budget)


def _values(verdicts: Sequence[Verdict], budget: float) -> dict[str, np.ndarray]:
    """The measures of some members at one step, [member, 1]."""
    refuted = [verdict.verdict == "counterexample" for verdict in verdicts]
    columns = {
        "proved": [verdict.verdict == "proved" for verdict in verdicts],
        "refuted": refuted,
        "worst_margin_lower": [
            verdict.lower if np.isfinite(verdict.lower) else np.nan for verdict in verdicts
        ],
        "worst_margin_upper": [verdict.upper for verdict in verdicts],
        "proof_budget": [budget] * len(verdicts),
    }
    return {name: np.array(values)[:, None] for name, values in columns.items()}


def _points(run: Run, positions: Sequence[int], steps: Any) -> list[int]:
    """The steps at which to verify.

    Raises:
        InputError: if a member has not reached a step.
    """
    experiment = run.experiment
    reached = int(min(run.steps_done[position] for position in positions))
    if steps is None:
        every = max(1, round(reached / experiment.steps_per_epoch / _POINTS))
        steps = f"every {every} epochs" if reached >= experiment.steps_per_epoch else "ends"
    listed = steps if isinstance(steps, list | tuple) else ()
    if listed and all(type(step) is int for step in listed):
        points = np.unique([step if step >= 0 else reached + 1 + step for step in listed])
        if points[0] < 0 or points[-1] > reached:
            raise InputError(f"certify: the run has steps 0 to {reached}, not {list(listed)}.")
    else:
        points = Schedule.parse(steps).points(experiment.steps_per_epoch, reached)
    first = int(max(run.origins.steps[position] for position in positions))
    return [int(step) for step in points if step >= first]


def _undone(
    found: xr.Dataset | None, run: Run, points: Sequence[int], positions: Sequence[int], budget: float
) -> dict[int, list[int]]:
    """For each step, the positions of members to verify: neither decided there nor tried with this budget."""
    todo = {step: list(positions) for step in points}
    if found is None:
        return todo
    known = on_members(found, run.members)
    decided = (known.proved + known.refuted > 0.5) | (known.proof_budget >= budget)
    for step in points:
        if step in known.step:
            done = decided.sel(step=step).to_numpy()
            todo[step] = [position for position in positions if not done[position]]
    return {step: rows for step, rows in todo.items() if rows}


def _networks(run: Run, todo: dict[int, list[int]]) -> Iterator[tuple[int, dict[int, ReluNetwork]]]:
    """The networks of each step, by position; as many steps are read or replayed at once as fit in memory."""
    task = run.experiment.task
    size = 8 * run.experiment.model.n_parameters(task.input_shape, task.n_outputs)
    steps = sorted(todo)
    while steps:
        rows = sorted({row for step in steps for row in todo[step]})
        count = max(1, _MOST_BYTES // (size * len(rows)))
        now, steps = steps[:count], steps[count:]
        leaves = run.networks(now, [run.members.seeds[row] for row in rows])
        for j, step in enumerate(now):
            missing = set(todo[step])
            yield step, {row: relu_network_at(leaves, i, j) for i, row in enumerate(rows) if row in missing}
