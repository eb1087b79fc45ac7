"""Measure U, the unit in which all timings are given, in fresh processes."""

from __future__ import annotations

import json
import statistics
import sys
from pathlib import Path

import _machine
from _process import last_line, measure
from _result import Unit

RUNG = Path(__file__).resolve().parent / "rungs" / "numpy_plain.py"


def thread_counts() -> list[int]:
    """The thread counts worth trying: one, two, all."""
    return sorted({1, min(2, _machine.cores()), _machine.cores()})


def _blocks(threads: int, blocks: int, steps: int) -> list[float]:
    argv = [sys.executable, str(RUNG), "--unit", "--threads", str(threads)]
    argv += ["--blocks", str(blocks), "--steps", str(steps)]
    return json.loads(last_line(measure(argv)))["blocks"]


def measure_unit(blocks: int = 9, steps: int = 1000, by_threads: dict[str, float] | None = None) -> Unit:
    """U at the thread count that is best for numpy here.

    The counts are compared on fewer steps, since a wrong one can be twenty times slower; pass the
    ``by_threads`` of an earlier unit to measure at its choice again.
    """
    if by_threads is None:
        by_threads = {str(n): statistics.median(_blocks(n, 5, 200)) for n in thread_counts()}
    best = int(min(by_threads, key=by_threads.__getitem__))
    times = _blocks(best, blocks, steps)
    return Unit(seconds=statistics.median(times), threads=best, blocks=times, by_threads=by_threads)


def pooled(first: Unit, second: Unit) -> Unit:
    """One unit from the beginning and the end of a sitting: the median over both."""
    blocks = first.blocks + second.blocks
    return first.model_copy(update={"blocks": blocks, "seconds": statistics.median(blocks)})
