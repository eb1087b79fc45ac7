"""A sweep on 1,000 workers, simulated from recorded times of cells: nothing is trained in the simulation.

First some cells of a small sweep are trained, one by one on one core, and their times recorded (processor
time, since other programs may run). Then the engine's own rules are followed
(`grokscope.sweeps.engines.ray`):
cells are grouped into tasks, the longest is handed out first, and whoever is free takes the next. A worker
dies at a constant rate; another takes its place after a while; the lost task goes to the end of the line,
and goes on from its last commit.

    python benchmarks/scheduler.py                 # records (about half a minute), then simulates
    python benchmarks/scheduler.py --cells FILE    # simulates with the cells of an earlier result
"""

from __future__ import annotations

import argparse
import heapq
import os
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import _machine
from _result import Case, Cells, Machine, Scheduler, today, write
from grokscope.sweeps.engines.ray import longest_first, unit_seconds
from grokscope.sweeps.work_unit import WorkUnit

WORKERS = 1000
DEATHS = 0.01  # of the workers, each hour
COMMIT_SECONDS, REPLACED_AFTER = 20.0, 600.0
STANDARD_STEPS = 9600


@dataclass(frozen=True)
class Outcome:
    """What became of a simulated sweep; times in seconds."""

    end: float
    work: float
    lost: float
    deaths: int


def simulate(
    works: list[float],
    predicted: list[float],
    workers: int,
    *,
    start: float,
    deaths_per_second: float,
    commit: float,
    replaced_after: float,
    rng: np.random.Generator,
) -> Outcome:
    """Follow a sweep from its first task to the end of its last.

    Args:
        works: seconds that each task really takes.
        predicted: what the planner thinks that it takes: the order is made by it.
        workers: how many there are.
        start: seconds of a new worker before its first task.
        deaths_per_second: of a worker.
        commit: seconds between commits; what came after the last one is lost with the worker. Infinite: all.
        replaced_after: seconds until a dead worker has been replaced.
        rng: for the deaths.
    """
    tasks = [
        WorkUnit(i, "", "", (), (), 1, cost) for i, cost in enumerate(predicted)
    ]  # only number and cost matter to the order
    line = [(task.number, works[task.number]) for task in longest_first(tasks)]
    at, end, lost, deaths = 0, 0.0, 0.0, 0
    free = [(start, worker) for worker in range(workers)]
    heapq.heapify(free)
    dies = rng.exponential(1 / deaths_per_second, workers) if deaths_per_second else np.full(workers, np.inf)
    running: list[tuple[float, int, int, float]] = []  # (end or death, worker, task, work left at its begin)

    def hand_out(now: float, worker: int) -> None:
        nonlocal at
        while dies[worker] <= now:  # it died while it had nothing to do
            now = dies[worker] + replaced_after + start
            dies[worker] = now + rng.exponential(1 / deaths_per_second)
        number, work = line[at]
        at += 1
        heapq.heappush(running, (min(now + work, dies[worker]), worker, number, work))
        begun[worker] = now

    begun: dict[int, float] = {}
    while at < len(line) or running:
        while at < len(line) and free and (not running or free[0][0] <= running[0][0]):
            hand_out(*heapq.heappop(free))
        if not running:
            continue
        now, worker, number, work = heapq.heappop(running)
        done = now - begun[worker]
        if done >= work - 1e-9:
            end = max(end, now)
            heapq.heappush(free, (now, worker))
            continue
        deaths += 1
        kept = 0.0 if np.isinf(commit) else commit * (done // commit)
        lost += done - kept
        line.append((number, work - kept))
        again = now + replaced_after + start
        dies[worker] = again + rng.exponential(1 / deaths_per_second)
        heapq.heappush(free, (again, worker))
    return Outcome(end, float(sum(works)), lost, deaths)


def case(name: str, members: int, factor: float, deaths: float, cells: Cells, simulations: int) -> Case:
    """A sweep of standard runs, ``factor`` times as long as the recorded cells' rate says.

    Args:
        name: of the case.
        members: in all.
        factor: on the length of a member, 1 for the standard run.
        deaths: of a worker, per hour.
        cells: as recorded.
        simulations: over which is averaged.
    """
    rng = np.random.default_rng(0)
    steps = int(STANDARD_STEPS * factor)
    per_cell = cells.members * steps / cells.member_steps_per_second
    count = members // cells.members
    recorded = np.array(cells.cpu_seconds) / statistics.median(cells.cpu_seconds)
    limit = unit_seconds(per_cell * count, WORKERS)
    each = max(1, int(limit / per_cell))
    tasks = -(-count // each)
    outcomes: list[tuple[Outcome, Outcome]] = []
    for _ in range(simulations):
        drawn = rng.choice(recorded, count) * per_cell
        works = [float(part.sum()) for part in np.array_split(drawn, tasks)]
        predicted = [per_cell * len(part) for part in np.array_split(drawn, tasks)]
        common = {
            "start": cells.first_cpu_seconds,
            "deaths_per_second": deaths / 3600,
            "replaced_after": REPLACED_AFTER,
            "rng": rng,
        }
        outcomes.append(
            (
                simulate(works, predicted, WORKERS, commit=COMMIT_SECONDS, **common),
                simulate(works, predicted, WORKERS, commit=np.inf, **common),
            )
        )
    ends = [one.end for one, _ in outcomes]
    return Case(
        name=name,
        members=members,
        member_steps=steps,
        tasks=tasks,
        deaths_per_worker_hour=deaths,
        deaths=statistics.mean(one.deaths for one, _ in outcomes),
        hours=statistics.mean(ends) / 3600,
        share_of_ideal=statistics.mean(one.work / (WORKERS * one.end) for one, _ in outcomes),
        lost_share=statistics.mean(one.lost / one.work for one, _ in outcomes),
        lost_share_without_commits=statistics.mean(other.lost / other.work for _, other in outcomes),
    )


def record(n_cells: int, members: int, epochs: int) -> Cells:
    """Train cells of the standard network, one by one on one core; accuracy and norms are measured."""
    os.environ["JAX_NUM_CPU_DEVICES"] = "1"
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    import grokscope as gs
    from grokscope.store.icechunk import Repository
    from grokscope.sweeps import LocalEngine
    from grokscope.training.rates import Rates

    commits: list[str] = []
    commit = Repository.commit

    def counted(self: Any, session: Any, message: str) -> None:
        commits.append(message)
        commit(self, session, message)

    Repository.commit = counted  # type: ignore[method-assign]
    times: list[tuple[float, float]] = []

    class OneByOne(LocalEngine):
        def limits(self, seconds: float) -> tuple[int | None, float | None]:
            return members, 1e-9

        def run(self, tasks: Any, progress: Any, done: Any) -> None:
            for task in tasks:
                before = (time.process_time(), time.perf_counter())
                super().run([task], progress, done)
                times.append((time.process_time() - before[0], time.perf_counter() - before[1]))

    names = ("train_accuracy", "test_accuracy", "path_norm_total")
    experiment = gs.Experiment(task="sparse_parity", epochs=epochs, measures=names)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "sweep"
        gs.sweep(
            experiment,
            [f"optimizer.weight_decay=log:1e-3:1e-1:{n_cells}"],
            seeds=members,
            out=out,
            engine=OneByOne(),
            rates=Rates("cpu", cores=1, large=100.0, at_shape=70.0, free=1.0, seconds=0.0),
        )
        size = sum(file.stat().st_size for file in out.glob("cells/**/*") if file.is_file())
    cpu, wall = zip(*times[1:], strict=True)
    rate = members * experiment.n_steps / statistics.median(cpu)
    return Cells(
        what=f"standard sparse parity, width 1000, {epochs} epochs; {', '.join(names)} at every epoch",
        members=members,
        steps=experiment.n_steps,
        cpu_seconds=[round(one, 4) for one in cpu],
        first_cpu_seconds=round(times[0][0], 3),
        wall_seconds=[round(one, 4) for one in wall],
        member_steps_per_second=round(rate, 1),
        bytes_per_cell=size // n_cells,
        commits_per_cell=round(len(commits) / n_cells),
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cells", type=Path, help="a result whose recorded cells are taken")
    parser.add_argument("--simulations", type=int, default=5)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    machine = Machine.model_validate(_machine.describe())
    if args.cells is None:
        cells = record(16, 4, 60)
    else:
        cells = Scheduler.model_validate_json(args.cells.read_text()).cells
    print(f"{cells.member_steps_per_second:,.0f} member-steps/s on one core", file=sys.stderr)
    cases = [
        case("10^6 standard runs, no deaths", 10**6, 1, 0.0, cells, args.simulations),
        case("10^6 standard runs, 1 % die each hour", 10**6, 1, DEATHS, cells, args.simulations),
        case("10^6 runs of ten times the length, no deaths", 10**6, 10, 0.0, cells, args.simulations),
        case(
            "10^6 runs of ten times the length, 1 % die each hour", 10**6, 10, DEATHS, cells, args.simulations
        ),
    ]
    for one in cases:
        print(
            f"{one.name}: {one.tasks:,} tasks, {one.hours:.2f} h, {one.share_of_ideal:.1%} of the ideal, "
            f"{one.deaths:.0f} deaths, {one.lost_share:.3%} done again "
            f"({one.lost_share_without_commits:.2%} without commits)"
        )
    result = Scheduler(
        date=today(),
        machine=machine,
        workers=WORKERS,
        simulations=args.simulations,
        commit_seconds=COMMIT_SECONDS,
        start_seconds=cells.first_cpu_seconds,
        replaced_after_seconds=REPLACED_AFTER,
        cells=cells,
        cases=cases,
    )
    print(write(result, "scheduler", args.out))


if __name__ == "__main__":
    main()
