"""For tests of the store: members of one seed each, and how many files this process has open."""

from __future__ import annotations

import gc
import os


def plain(*seeds: int) -> list[tuple[int, int, int, int]]:
    """The four seeds of each member, all the same."""
    return [(seed, seed, seed, seed) for seed in seeds]


def open_files() -> int:
    gc.collect()  # what an earlier test left open is not counted once and then not again
    return len(os.listdir("/dev/fd"))
