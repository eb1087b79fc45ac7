"""The command line from a cold process: ``grokscope reproduce two-circuits standard``.

For each number of seeds: an empty compile cache, a new folder, figures and report included; wall
time in seconds and in U, peak memory of the process tree. U is measured before and after.

    python benchmarks/end_to_end.py                     # 5 and 100 seeds
    python benchmarks/end_to_end.py --seeds 5 100 1000
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import _machine
import _ours
from _process import measure
from _result import EndToEnd, EndToEndFile, Machine, today, write
from _unit import measure_unit, pooled

GOALS = {5: (130_000.0, 86_000.0), 100: (1_500_000.0, 900_000.0)}  # U: at most, stretch
PEAK_GOAL = 2.5e9  # bytes, at 100 seeds; 1,000 seeds may take 20 % more than 100


def reproduce(seeds: int) -> tuple[float, int]:
    """Seconds and peak bytes of one cold run.

    Raises:
        RuntimeError: The command failed; the message has the end of its output.
    """
    with tempfile.TemporaryDirectory() as folder:
        environment = _ours.empty_cache_environment(Path(folder) / "cache")
        measured = measure(_ours.reproduce_command(seeds, Path(folder) / "out"), environment)
    if measured.returncode:
        tail = (measured.stderr or measured.stdout).strip()[-800:]
        raise RuntimeError(f"grokscope reproduce exited with {measured.returncode}: {tail}")
    return measured.seconds, measured.peak_bytes


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[5, 100])
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    machine = Machine.model_validate(_machine.describe())
    before = measure_unit()
    timed = {seeds: reproduce(seeds) for seeds in args.seeds}
    unit = pooled(before, measure_unit(by_threads=before.by_threads))
    runs: list[EndToEnd] = []
    for seeds, (seconds, peak) in timed.items():
        goal, stretch = GOALS.get(seeds, (None, None))
        units = seconds / unit.seconds
        runs.append(
            EndToEnd(
                seeds=seeds,
                seconds=seconds,
                units=units,
                goal_units=goal,
                stretch_units=stretch,
                peak_bytes=peak,
            )
        )
        against = f" (at most {goal:,.0f}, stretch {stretch:,.0f})" if goal else ""
        print(f"{seeds} seeds: {seconds:.1f} s = {units:,.0f} U{against}, {peak / 1e6:,.0f} MB")
    peaks = {run.seeds: run.peak_bytes for run in runs}
    if 100 in peaks:
        print(f"peak at 100 seeds: {peaks[100] / PEAK_GOAL:.0%} of the 2.5 GB allowed")
    if {100, 1000} <= peaks.keys():
        print(f"peak at 1,000 seeds over 100: {peaks[1000] / peaks[100] - 1:+.0%} (allowed +20 %)")
    result = EndToEndFile(date=today(), machine=machine, unit=unit, runs=runs)
    print(f"written: {write(result, 'end-to-end', args.out).name}")


if __name__ == "__main__":
    main()
