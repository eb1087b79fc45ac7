"""How long ``grokscope --help`` takes: the median of ten cold processes, the goal 0.4 s.

One more call goes before them, so that the files are in the system's cache.

    python benchmarks/help_time.py
"""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path

import _machine
import _ours
from _process import last_line, measure
from _result import HelpTime, Machine, today, write

GOAL = 0.4


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    machine = Machine.model_validate(_machine.describe())
    seconds: list[float] = []
    for _ in range(args.repeats + 1):
        measured = measure([*_ours.COMMAND, "--help"])
        last_line(measured)  # raises where the command failed
        seconds.append(measured.seconds)
    timed = seconds[1:]
    median = statistics.median(timed)
    result = HelpTime(date=today(), machine=machine, seconds=timed, median=median, goal=GOAL)
    print(f"grokscope --help: {median:.3f} s, median of {len(timed)} (goal {GOAL} s)")
    print(f"written: {write(result, 'help-time', args.out).name}")


if __name__ == "__main__":
    main()
