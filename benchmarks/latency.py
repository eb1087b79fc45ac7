"""How long a tiny run takes from a new process: what somebody waits who tries an idea.

In turn, repeat after repeat, whole processes by the clock and by processor time, in seconds and in U:

- ``train``, tiny (n = 16, k = 2, width 32, 10 epochs, default measures), with an empty compile cache;
- the same with another seed and the cache that the first one filled;
- ``sweep`` of 4 widths x 2 seeds of it (four programs of each kind), with an empty cache.

    python benchmarks/latency.py
    python benchmarks/latency.py --repeats 1
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from pathlib import Path

import _machine
import _ours
from _process import last_line, measure, processor_seconds
from _result import Latency, Machine, Work, today, write
from _unit import measure_unit, pooled

TINY = Path(__file__).resolve().parent / "tiny.toml"
# what is timed: at most so many U, and the stretch
GOALS = {
    "train, empty cache": (25_000.0, 15_000.0),
    "train, filled cache": (9_000.0, 5_000.0),
    "sweep, empty cache": (40_000.0, None),
}


def timed(words: list[str], cache: Path) -> tuple[float, float]:
    """Seconds by the clock and of the processor, of one command to its end.

    Raises:
        RuntimeError: The command failed; the message has the end of its output.
    """
    before = processor_seconds()
    measured = measure([*_ours.COMMAND, *words], _ours.empty_cache_environment(cache))
    last_line(measured)
    return measured.seconds, processor_seconds() - before


def repeat() -> list[tuple[float, float]]:
    """Each work once, in the order of `GOALS`."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        train = ["train", str(TINY), "--seeds"]
        sweep = ["sweep", str(TINY), "--over", "model.width=16,24,32,48", "--seeds", "2", "--yes"]
        return [
            timed([*train, "0:1", "--out", str(folder / "first")], folder / "cache"),
            timed([*train, "1:2", "--out", str(folder / "second")], folder / "cache"),
            timed([*sweep, "--out", str(folder / "sweep")], folder / "other-cache"),
        ]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    machine = Machine.model_validate(_machine.describe())
    before = measure_unit()
    repeats = [repeat() for _ in range(args.repeats)]
    unit = pooled(before, measure_unit(by_threads=before.by_threads))
    works: list[Work] = []
    for (name, (goal, stretch)), times in zip(GOALS.items(), zip(*repeats, strict=True), strict=True):
        seconds, processor = [one[0] for one in times], [one[1] for one in times]
        median = statistics.median(seconds)
        works.append(
            Work(
                name=name,
                seconds=seconds,
                processor_seconds=processor,
                units=median / unit.seconds,
                goal_units=goal,
                stretch_units=stretch,
            )
        )
        print(
            f"{name}: {median:.1f} s = {median / unit.seconds:,.0f} U (at most {goal:,.0f}), "
            f"{statistics.median(processor):.1f} s of the processor"
        )
    result = Latency(date=today(), machine=machine, unit=unit, works=works)
    print(f"written: {write(result, 'latency', args.out).name}")


if __name__ == "__main__":
    main()
