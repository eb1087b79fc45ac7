"""Training alone: member-steps per second of the compiled loop, without measures.

The rate is the slope between two lengths of training, both compiled beforehand, so that neither
compilation nor the making of data is in it:

    rate = members * 32 * (E2 - E1) / (t2 - t1)         member-steps per second

A step is counted as 5.25 MFLOP: two products of 2 * 32 * 40 * 1000 (forward, and the gradient of
W) and two of 2 * 32 * 1000 (with u, and its gradient). The last batch of an epoch has 8 samples
and is counted as a step like the others. The goal: 80 % of the best library's rate at the
shape 32 x 40 x 1000 on all cores.

    python benchmarks/training.py --members 8
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path

import _machine
import _ours
from _result import Machine, Training, today, write
from _sgemm import measure_sgemm, reference

FLOP_PER_STEP = 2 * (2 * 32 * 40 * 1000) + 2 * (2 * 32 * 1000)
GOAL = 0.8


def seconds_of(members: int, epochs: int) -> float:
    """Seconds of one call."""
    start = time.perf_counter()
    _ours.train_members(members, epochs)
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--members", type=int, default=8, help="a multiple of the cores")
    parser.add_argument("--epochs", type=int, nargs=2, default=(60, 300), metavar=("E1", "E2"))
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    short, long = args.epochs
    if not 0 < short < long:
        parser.error(f"--epochs {short} {long}: E1 must be above 0 and below E2")
    machine = Machine.model_validate(_machine.describe())
    rates = measure_sgemm()
    with tempfile.TemporaryDirectory() as cache:
        os.environ.pop("JAX_COMPILATION_CACHE_DIR", None)
        os.environ |= _ours.empty_cache_environment(Path(cache))
        first = seconds_of(args.members, short)
        seconds_of(args.members, long)
        times: tuple[list[float], list[float]] = ([], [])
        for _ in range(args.repeats):
            times[0].append(seconds_of(args.members, short))
            times[1].append(seconds_of(args.members, long))
    gained = statistics.median(b - a for a, b in zip(*times, strict=True))
    if gained <= 0:
        parser.exit(1, "the longer run was not slower: take more epochs or more repeats\n")
    rate = args.members * _ours.STEPS_PER_EPOCH * (long - short) / gained
    gflops = rate * FLOP_PER_STEP / 1e9
    result = Training(
        date=today(),
        machine=machine,
        members=args.members,
        epochs=(short, long),
        seconds=times,
        first_call_seconds=first,
        member_steps_per_second=rate,
        gflops=gflops,
        sgemm=rates,
        reference_gflops=reference(rates),
        share=gflops / reference(rates),
        goal=GOAL,
    )
    path = write(result, "training", args.out)
    cores = machine.cores
    print(f"{rate:,.0f} member-steps/s on {cores} cores, {cores * 1e6 / rate:.1f} us each per core")
    print(f"{gflops:.1f} GFLOP/s = {result.share:.0%} of {result.reference_gflops:.1f} (goal 80 %)")
    print(f"written: {path.name}")


if __name__ == "__main__":
    main()
