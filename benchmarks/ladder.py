"""The ladder: the same work, from a plain PyTorch script up to grokscope, in one sitting.

    python benchmarks/ladder.py --torch-python PATH/TO/python --readme
    python benchmarks/ladder.py --seeds 5 100 --readme           # with a second table, for 100 seeds
    python benchmarks/ladder.py --quick                          # a look, extrapolated

The rules are in ``benchmarks/README.md``, the rungs in ``rungs/``, the fields of the result file in
``_result.py``.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import _machine
from _process import last_line, measure
from _result import Ladder, Machine, Rung, Skipped, Unit, today, write
from _sgemm import measure_sgemm
from _table import render, update_readme
from _unit import measure_unit, pooled, thread_counts

HERE = Path(__file__).resolve().parent
QUICK_EPOCHS = (4, 12)


@dataclass(frozen=True)
class Plan:
    """A rung that can be run: its file, how it is called, what the table says of it."""

    name: str
    title: str
    logs: str
    script: str
    options: tuple[str, ...] = ()
    torch: bool = False
    takes_threads: bool = True
    takes_epochs: bool = True
    together: bool = False  # trains all seeds at once, and has a row for many of them, too


PLANS = (
    Plan("torch_loop", "PyTorch, loop over seeds, DataLoader", "accuracy and loss, every epoch",
         "torch_loop.py", torch=True),
    Plan("torch_device", "PyTorch, loop over seeds, tensors", "final accuracy",
         "torch_device.py", torch=True),
    Plan("torch_func", "PyTorch, torch.func ensemble", "final accuracy",
         "torch_func.py", torch=True),
    Plan("numpy_plain", "numpy, loop over seeds", "final accuracy", "numpy_plain.py"),
    Plan("jax_optax", "JAX and optax, vmap over seeds", "final accuracy",
         "jax_optax.py", takes_threads=False, together=True),
    Plan("equinox_ensemble", "Equinox, ensemble of seeds", "final accuracy",
         "equinox_ensemble.py", takes_threads=False),
    Plan("ours_bare", "grokscope, training only", "nothing",
         "ours.py", ("--mode", "bare"), takes_threads=False, together=True),
    Plan("ours_train", "grokscope train", "the default measures, every epoch",
         "ours.py", ("--mode", "train"), takes_threads=False),
    Plan("ours_reproduce", "grokscope reproduce", "every measure, claims, figures, report",
         "ours.py", ("--mode", "reproduce"), takes_threads=False, takes_epochs=False,
         together=True),
)  # fmt: skip


@dataclass
class Tally:
    """What the repeats of one rung have given so far."""

    plan: Plan
    threads: int | None
    seeds: int
    seconds: list[float] = field(default_factory=list)
    compile_seconds: list[float] = field(default_factory=list)
    peak: int = 0
    last: dict[str, Any] = field(default_factory=dict)


def run_rung(
    plan: Plan, python: str, seeds: int, epochs: int, threads: int | None
) -> tuple[float, int, dict[str, Any]]:
    """Run once; the seconds of the whole process, its peak memory, the rung's own words.

    A rung that starts its work in a further process gives the seconds of that one itself.
    """
    argv = [python, str(HERE / "rungs" / plan.script), *plan.options]
    argv += ["--seeds", str(seeds), "--epochs", str(epochs)]
    if threads is not None:
        argv += ["--threads", str(threads)]
    measured = measure(argv)
    said = json.loads(last_line(measured))
    return said.get("wall_seconds", measured.seconds), measured.peak_bytes, said


def best_threads(plan: Plan, python: str) -> int | None:
    """The thread count with which a short run of one seed is fastest (one is a choice too)."""
    if not plan.takes_threads:
        return None
    took = {
        threads: run_rung(plan, python, 1, 30, threads)[2]["train_seconds"] for threads in thread_counts()
    }
    return min(took, key=took.__getitem__)


def timed(tally: Tally, python: str, epochs: int, quick: bool) -> None:
    """Add one repeat; a quick one is scaled along the line through two short runs."""
    plan, scale = tally.plan, quick and tally.plan.takes_epochs
    if scale:
        (low, high), times = QUICK_EPOCHS, []
        for short in (low, high):
            seconds, peak, said = run_rung(plan, python, tally.seeds, short, tally.threads)
            times.append(seconds)
        slope = max(0.0, (times[1] - times[0]) / (high - low))
        seconds = times[1] + slope * (epochs - high)
    else:
        seconds, peak, said = run_rung(plan, python, tally.seeds, epochs, tally.threads)
    tally.seconds.append(seconds)
    tally.peak = max(tally.peak, peak)
    tally.last = said
    if said.get("compile_seconds") is not None:
        tally.compile_seconds.append(said["compile_seconds"])


def finished(tally: Tally, unit: Unit, epochs: int, quick: bool) -> Rung:
    """The rung as it goes into the result file."""
    plan, median = tally.plan, statistics.median(tally.seconds)
    return Rung(
        name=plan.name,
        title=plan.title,
        logs=plan.logs,
        epochs=epochs if plan.takes_epochs else 300,
        seeds=tally.seeds,
        threads=tally.threads,
        seconds=tally.seconds,
        median=median,
        minimum=min(tally.seconds),
        units=median / unit.seconds,
        extrapolated=quick and plan.takes_epochs,
        compile_seconds=statistics.median(tally.compile_seconds) if tally.compile_seconds else None,
        peak_bytes=tally.peak,
        accuracy=tally.last["accuracy"],
        versions=tally.last["versions"],
    )


def why_not(plan: Plan, python: str) -> str | None:
    """Why a rung cannot run with this interpreter, or None."""
    package = "torch" if plan.torch else "numpy" if plan.script == "numpy_plain.py" else "grokscope"
    argv = [python, "-c", f"import {package}"]
    if subprocess.run(argv, capture_output=True, check=False).returncode == 0:
        return None
    hint = "; give an interpreter that has it with --torch-python" if plan.torch else ""
    return f"{package} cannot be imported{hint}"


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def sit(args: argparse.Namespace) -> Ladder:
    """One sitting: the unit, the rungs in turn, the unit again, the matrix rates."""
    machine = Machine.model_validate(_machine.describe())
    brief = {"blocks": 3, "steps": 300} if args.quick else {}
    before = measure_unit(**brief)
    say(f"U = {before.seconds * 1e6:.0f} us with {before.threads} BLAS thread(s)")
    tallies: list[Tally] = []
    skipped: list[Skipped] = []
    for plan in PLANS:
        if args.rungs and plan.name not in args.rungs:
            continue
        python = args.torch_python if plan.torch else sys.executable
        reason = why_not(plan, python)
        if reason:
            skipped.append(Skipped(name=plan.name, reason=reason))
            say(f"{plan.name}: {reason}")
            continue
        tallies.append(Tally(plan, best_threads(plan, python), args.seeds[0]))
    for repeat in range(args.repeats):
        # The order turns with each repeat, so that no rung always follows the same one.
        for tally in tallies if repeat % 2 == 0 else tallies[::-1]:
            python = args.torch_python if tally.plan.torch else sys.executable
            timed(tally, python, args.epochs, args.quick)
            say(f"repeat {repeat + 1}, {tally.plan.name}: {tally.seconds[-1]:.2f} s")
    more = [
        Tally(tally.plan, tally.threads, seeds)
        for seeds in args.seeds[1:]
        for tally in tallies
        if tally.plan.together
    ]
    for tally in more:  # once: they take minutes
        timed(tally, sys.executable, args.epochs, args.quick)
        say(f"{tally.plan.name}, {tally.seeds} seeds: {tally.seconds[-1]:.2f} s")
    unit = pooled(before, measure_unit(**brief, by_threads=before.by_threads))
    return Ladder(
        date=today(),
        quick=args.quick,
        repeats=args.repeats,
        machine=machine,
        unit=unit,
        sgemm=measure_sgemm(0.5, 1024) if args.quick else measure_sgemm(),
        rungs=[finished(tally, unit, args.epochs, args.quick) for tally in (*tallies, *more)],
        skipped=skipped,
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--seeds",
        type=int,
        nargs="+",
        default=[5],
        help="how many; further numbers are run once, by jax_optax, ours_bare and ours_reproduce",
    )
    parser.add_argument("--epochs", type=int, default=300)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="short runs, extrapolated")
    parser.add_argument("--rungs", nargs="+", choices=[plan.name for plan in PLANS])
    parser.add_argument("--torch-python", default=sys.executable, help="interpreter with torch")
    parser.add_argument("--out", type=Path, help="result file instead of results/ladder-DATE.json")
    parser.add_argument("--readme", action="store_true", help="rewrite the table in README.md")
    args = parser.parse_args()
    if args.readme and args.quick:
        parser.error("--readme takes measured times, --quick gives extrapolated ones")
    ladder = sit(args)
    if not ladder.rungs:
        parser.exit(1, "no rung could run: " + "; ".join(s.reason for s in ladder.skipped) + "\n")
    path = write(ladder, "ladder-quick" if args.quick else "ladder", args.out)
    table = render(ladder)
    print(table)
    say(f"written: {path.name}")
    if args.readme:
        update_readme(HERE.parent / "README.md", table)


if __name__ == "__main__":
    main()
