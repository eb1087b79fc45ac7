"""Promise 2: at whichever file operation the disk fails, or the process dies, the run holds the old or the new.

The n-th write, sync, rename, link, mkdir, creation or removal below the run folder fails, once or from then on,
or the process is killed before it, after it, or in the middle of it: for n = 1, 2, 3 ... until the work ends
without having met it. Afterwards the store opens, agrees with itself, is not damaged, and the same work,
begun again, comes to the same end.
"""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from grokscope.errors import InputError
from grokscope.runs import verify
from nursery import Ended, Fault, How, Nursery, Op
from numbered_runs import state_of
from same_bits import assert_same, contents

LAST = 3
WRITES = Op.ALL & ~Op.UNLINK
# how, error, operations
FAILURES = {
    "EIO once": (How.FAIL_ONCE, errno.EIO, Op.ALL),
    "ENOSPC once": (How.FAIL_ONCE, errno.ENOSPC, WRITES),
    "ENOSPC from then on": (How.FAIL_FROM, errno.ENOSPC, WRITES & ~Op.SYNC),
    "EIO from then on": (How.FAIL_FROM, errno.EIO, Op.ALL),
}
KILLS = {
    "killed before": (How.KILL_BEFORE, 0, Op.ALL),
    "killed after": (How.KILL_AFTER, 0, Op.ALL),
    "killed within": (How.KILL_TORN, 0, Op.WRITE),
}


def acknowledged(ended: Ended) -> int:
    """The last transaction that the work said was done; -1: none."""
    told = [int(line.split()[1]) for line in ended.out.splitlines() if line.startswith("done ")]
    return told[-1] if told else -1


def state(folder: Path) -> int:
    """The number of the last transaction, -1 where there is no run, or one without members."""
    if not (folder / "store").is_dir():
        with pytest.raises(InputError):
            verify(folder)
        return -1
    from grokscope.runs._store import RunStore

    if not RunStore.open(folder).seeds:
        return -1
    return state_of(folder)


def examine(torture, ended: Ended, folder: Path, error: int, where: str) -> None:
    """What holds after any failure."""
    before = len(torture.failures)
    try:
        told, now = acknowledged(ended), state(folder)
        torture.check(now in (told, told + 1), f"{where}: said {told}, holds {now}")
        if (folder / "store").is_dir():
            damage = [str(problem) for problem in verify(folder) if problem.is_damage]
            torture.check(not damage, f"{where}: {damage}")
    except (Exception, AssertionError) as fault:
        torture.failures.append(f"{where}: {type(fault).__name__}: {fault}")
    if error:
        torture.check(ended.code in (0, 1), f"{where}: ended with {ended.code}: {ended.err[-300:]}")
        lines = ended.err.splitlines()
        torture.check("Traceback" not in ended.err, f"{where}: {ended.err[-600:]}")
        if ended.code == 1:
            named = len(lines) == 1 and os.strerror(error) in lines[0] and str(folder) in lines[0]
            torture.check(named, f"{where}: says {ended.err!r}")
    if len(torture.failures) > before:
        shutil.copytree(folder, folder.with_name(folder.name + "-failed"), dirs_exist_ok=True)


def every_operation(torture, nursery: Nursery, tmp_path: Path, case: tuple[How, int, Op], stride: int) -> int:
    """A case at each n until the work is done without meeting it; returns how often it was met."""
    how, error, ops = case
    met, n = 0, torture.rng().randint(1, stride)
    folder, words = tmp_path / "run", (str(tmp_path / "run"), str(LAST))
    while torture.in_time:
        shutil.rmtree(folder, ignore_errors=True)
        ended = nursery.run(*words, call="numbered_runs:work", fault=Fault(folder, n, how, error, ops))
        where = f"operation {n}"
        if not (ended.happened or ended.code == -signal.SIGKILL):
            torture.check(ended.code == 0, f"{where} was not met, and yet: {ended.err}")
            return met
        met += 1
        examine(torture, ended, folder, error, where)
        again = nursery.run(*words, call="numbered_runs:work")
        torture.check(again.code == 0, f"{where}, then again: {again.code} {again.err[-300:]}")
        torture.check(state(folder) == LAST, f"{where}, then again: holds {state(folder)}")
        torture.check(verify(folder) == [], f"{where}, then again: {[str(p) for p in verify(folder)]}")
        n += stride
    return met


@pytest.mark.parametrize("case", FAILURES)
def test_nth_operation_of_the_store_fails(torture, nursery, tmp_path, case):
    met = every_operation(torture, nursery, tmp_path, FAILURES[case], torture.count(120, 1))
    torture.done(met, f"file operations of the store: {case}", f"{len(torture.failures)} faults")


@pytest.mark.parametrize("case", KILLS)
def test_killed_at_the_nth_operation_of_the_store(torture, nursery, tmp_path, case):
    met = every_operation(torture, nursery, tmp_path, KILLS[case], torture.count(120, 1))
    torture.done(met, f"file operations of the store: {case}", f"{len(torture.failures)} faults")
