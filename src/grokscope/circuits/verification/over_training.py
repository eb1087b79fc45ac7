"""Certified accuracy over training: every network of a run at many steps, proved, refuted or neither.

The verdicts are measures of the run like any other: events, claims, figures, tables and exports read them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np

from grokscope.circuits.reading import check_readable
from grokscope.circuits.verification.target import target_of
from grokscope.circuits.verification.verdict import Verdict
from grokscope.circuits.verification.verify import BUDGET, verify
from grokscope.circuits.weights import Weights, weights_of
from grokscope.errors import InputError
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
_POINTS = 30  # steps, where none are asked for
_MOST_BYTES = 400_000_000  # of networks in memory


def certify(
    run: Run,
    seeds: Iterable[int | Seeds] | None = None,
    steps: Any = None,
    *,
    budget: float = BUDGET,
    progress: Progress | None = None,
) -> xr.Dataset:
    r"""Verify the networks of a run at many steps, and keep the verdicts in the run.

    The measures, over seed and step, with y the task's function:

    - ``proved``, ``refuted``: 1 or 0; both are 0 where it is undecided;
    - ``worst_margin_lower``: certified: $\min_x y(x) f(x)$ is at least this; NaN where it was refuted;
    - ``worst_margin_upper``: the smallest $y(x) f(x)$ that was found;
    - ``proof_budget``: seconds that were allowed.

    `FIRST_PROVED` and `CERTIFIED` (proved there and at all later points) are their events. Networks are
    verified side by side, one on each core. What is decided is not decided again, and what is undecided only
    with a larger budget: a call that was stopped goes on when it is repeated.

    Args:
        run: of a Boolean function of few bits on inputs +-1, and one hidden layer of relu.
        seeds: which members; None: all.
        steps: a schedule (see `Schedule`): ``every 10 epochs``, ``log``; or a list of steps (-1: the last):
            just these. None: about 30 even ones.
        budget: seconds for each network.
        progress: told of the work, a unit for each network.

    Returns:
        These measures of the whole run, those of earlier calls included.

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

    check_readable(run)
    positions = range(len(run.members)) if seeds is None else [run.position(seed) for seed in seeds]
    if not len(positions):
        raise InputError("certify: no seeds are given.")
    targets = {position: target_of(run, position) for position in positions}
    points = _points(run, positions, steps)
    shown = progress or SilentProgress()
    with GivenMeasures(run, _GROUP) as given:
        todo = _undone(given.read(MEASURES), run, points, positions, budget)
        shown.start(sum(map(len, todo.values())), "certify")
        pool = ThreadPoolExecutor(usable_cores())
        try:
            for step, networks in _networks(run, todo):
                tasks = [partial(_verify, networks[row], *targets[row], budget) for row in todo[step]]
                verdicts: list[Verdict] = []
                for future in [pool.submit(task) for task in tasks]:
                    verdicts.append(future.result())
                    shown.advance(1)
                given.write(todo[step], [step], _values(verdicts, budget))
        finally:
            pool.shutdown(cancel_futures=True)
            shown.finish()
        found = given.read(MEASURES)
    assert found is not None  # at least one network was verified, now or before
    return found


def _verify(network: Weights, bits: tuple[int, ...], target: np.ndarray, budget: float) -> Verdict:
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
    """The steps that are asked for.

    Raises:
        InputError: if a member has not come so far.
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
    """For each step the members that are not decided there, nor tried for as long."""
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


def _networks(run: Run, todo: dict[int, list[int]]) -> Iterator[tuple[int, dict[int, Weights]]]:
    """The networks of each step, by position; many steps are read, or trained again, at a time."""
    task = run.experiment.task
    size = 8 * run.experiment.model.n_parameters(task.input_shape, task.n_outputs)
    steps = sorted(todo)
    while steps:
        rows = sorted({row for step in steps for row in todo[step]})
        count = max(1, _MOST_BYTES // (size * len(rows)))
        now, steps = steps[:count], steps[count:]
        leaves = run.networks(now, [run.members.seeds[row] for row in rows])
        for j, step in enumerate(now):
            of_step: dict[int, Weights] = {}
            for i, row in enumerate(rows):
                if row in todo[step]:
                    one = {name: leaf[i, j] for name, leaf in leaves.items()}
                    of_step[row] = weights_of(SimpleNamespace(**one, activation="relu"))
            yield step, of_step
