"""What a sweep costs over the bare training of as many members: planner, store, figures and page included.

    cost = t(grokscope sweep, A x B cells x S seeds) / t(bare training of A B S members in one cohort)

The sweep is over weight decay and learning rate, which are values of the compiled program: one program. It
measures accuracies and norms, at every epoch if not said otherwise. Both are whole processes, from start to
exit; the compile cache is filled by a first, short sweep. The goal is 1.15 at 4 x 4 x 10.

    python benchmarks/sweep.py                       # 160 members x 300 epochs, twice
    python benchmarks/sweep.py --every 10            # measured every 10 epochs
    python benchmarks/sweep.py --seeds 2 --epochs 60

Where other programs run at the same time compare the times of processors (user and system) instead.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from pathlib import Path

import _machine
import _ours
from _process import Measured, measure, processor_seconds
from _result import Machine, SweepCost, today, write

GOAL = 1.15
SIDE = 4  # values on each axis
WARM_UP = 16  # points of the first run: enough for segments of the size that the timed ones have


def timed(argv: list[str]) -> tuple[Measured, float]:
    """A finished command, and the processor seconds that it took."""
    before = processor_seconds()
    measured = measure(argv)
    seconds = processor_seconds() - before
    if measured.returncode:
        raise SystemExit(measured.stderr[-2000:])
    return measured, seconds


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=10, help="of each of the 16 cells")
    parser.add_argument("--epochs", type=int, default=300)
    parser.add_argument("--every", type=int, default=1, help="epochs between measured points")
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    machine = Machine.model_validate(_machine.describe())
    members = SIDE * SIDE * args.seeds
    bare: list[tuple[Measured, float]] = []
    swept: list[tuple[Measured, float]] = []
    with tempfile.TemporaryDirectory() as folder:
        short = min(args.epochs, WARM_UP * args.every)
        timed(_ours.sweep_command(SIDE, args.seeds, short, Path(folder) / "compiles", args.every))
        timed(_ours.bare_command(members, short))
        for repeat in range(args.repeats):
            bare.append(timed(_ours.bare_command(members, args.epochs)))
            out = Path(folder) / f"sweep-{repeat}"
            swept.append(timed(_ours.sweep_command(SIDE, args.seeds, args.epochs, out, args.every)))
    seconds = [[one.seconds for one, _ in many] for many in (bare, swept)]
    processor = [[used for _, used in many] for many in (bare, swept)]
    result = SweepCost(
        date=today(),
        machine=machine,
        cells=SIDE * SIDE,
        members=members,
        epochs=args.epochs,
        every=args.every,
        bare_seconds=seconds[0],
        sweep_seconds=seconds[1],
        bare_processor_seconds=processor[0],
        sweep_processor_seconds=processor[1],
        sweep_peak_bytes=max(one.peak_bytes for one, _ in swept),
        cost=statistics.median(seconds[1]) / statistics.median(seconds[0]),
        processor_cost=statistics.median(processor[1]) / statistics.median(processor[0]),
        goal=GOAL,
    )
    bare_median, sweep_median = map(statistics.median, seconds)
    print(f"{members} members x {args.epochs} epochs, measured every {args.every}:")
    print(f"bare {bare_median:.1f} s, sweep {sweep_median:.1f} s: {result.cost:.2f} times (goal {GOAL})")
    both = f"{processor[0][0]:.1f} s and {processor[1][0]:.1f} s"
    print(f"processor time: {both}: {result.processor_cost:.2f} times")
    print(f"written: {write(result, f'sweep-every-{args.every}', args.out).name}")


if __name__ == "__main__":
    main()
