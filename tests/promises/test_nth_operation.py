"""Promise 2: wherever the disk fails, or the process dies, the run holds the old or the new state.

The n-th write, sync, rename, link, mkdir, creation or removal below the run folder fails, once or from
then on, or the process is killed before it, after it, or in the middle of it: for n = 1, 2, 3 ... until
the work ends without having met it. Afterwards the store opens, agrees with itself, is not damaged, and
the same work, begun again, comes to the same end.
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
from numbered_runs import state_of
from nursery import Ended, Fault, How, Nursery, Op
from torture_commands import COMMANDS

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
    from grokscope.store.open import open_store

    if not open_store(folder).seeds:
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
    """A case at each n, in random order (there may not be time for all); returns how often it was met."""
    how, error, ops = case
    met, folder, words = 0, tmp_path / "run", (str(tmp_path / "run"), str(LAST))
    whole = nursery.run(*words, call="numbered_runs:work", fault=Fault(folder, -1, how, error, ops))
    assert whole.code == 0, whole.err
    numbers = list(range(1, whole.counted + 1))
    torture.rng().shuffle(numbers)
    for n in numbers[::stride]:
        if not torture.in_time:
            break
        shutil.rmtree(folder, ignore_errors=True)
        ended = nursery.run(*words, call="numbered_runs:work", fault=Fault(folder, n, how, error, ops))
        where = f"operation {n} of {whole.counted}"
        if not (ended.happened or ended.code == -signal.SIGKILL):
            # threads do their work in another order each time, and now and then there is less of it
            torture.check(ended.code == 0, f"{where} was not met, and yet: {ended.err}")
            continue
        met += 1
        examine(torture, ended, folder, error, where)
        again = nursery.run(*words, call="numbered_runs:work")
        torture.check(again.code == 0, f"{where}, then again: {again.code} {again.err[-300:]}")
        torture.check(state(folder) == LAST, f"{where}, then again: holds {state(folder)}")
        torture.check(verify(folder) == [], f"{where}, then again: {[str(p) for p in verify(folder)]}")
    torture.operations = whole.counted
    return met


@pytest.mark.slow
@pytest.mark.parametrize("case", FAILURES)
def test_nth_operation_of_the_store_fails(torture, nursery, tmp_path, case):
    met = every_operation(torture, nursery, tmp_path, FAILURES[case], torture.count(120, 1))
    result = f"{len(torture.failures)} faults"
    torture.done(met, f"of {torture.operations} file operations of the store: {case}", result)


@pytest.mark.slow
@pytest.mark.parametrize("case", KILLS)
def test_killed_at_the_nth_operation_of_the_store(torture, nursery, tmp_path, case):
    met = every_operation(
        torture, nursery, tmp_path, KILLS[case], torture.count(30 if "within" in case else 120, 1)
    )
    result = f"{len(torture.failures)} faults"
    torture.done(met, f"of {torture.operations} file operations of the store: {case}", result)


# --- through the command line ---


def look(torture, prepared, out: Path, where: str) -> None:
    """After a failure each run is there and sound, or not there."""
    for name in prepared.whole:
        if (out / name / "store").is_dir():
            damage = [str(problem) for problem in verify(out / name) if problem.is_damage]
            torture.check(not damage, f"{where}: {damage}")


FEW = ("train",)
each_command = pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in FEW else pytest.mark.torture) for name in COMMANDS]
)


@pytest.mark.slow
@each_command
def test_nth_operation_of_a_command_fails(torture, nursery, prepared_command, tmp_path, name):
    """Moments drawn at random among all file operations of a command, each way to fail."""
    prepared, rng, met = prepared_command(name), torture.rng(), 0
    total = torture.count(1, 60)
    while met < total and torture.in_time:
        out = prepared.start_of(tmp_path / "out")
        how, error, ops = rng.choice(list(FAILURES.values()))
        fault = Fault(out.parent, rng.randint(1, prepared.operations), how, error, ops)
        ended = nursery.run(*prepared.words(out), fault=fault)
        where = f"{name}, operation {fault.n}, {how.name}, {errno.errorcode[error]}"
        if not ended.happened:
            continue
        met += 1
        last = (ended.err.splitlines() or [""])[-1]
        named = last.startswith("grokscope: ") and os.strerror(error) in last and str(tmp_path) in last
        torture.check(ended.code in (0, 1) and (ended.code == 0 or named), f"{where}: {ended.code} {last}")
        torture.check("Traceback" not in ended.err, f"{where}: {ended.err[-600:]}")
        look(torture, prepared, out, where)
        again = nursery.run(*prepared.words(out))
        torture.check(again.code == 0, f"{where}, then again: {again.err[-300:]}")
        compare(torture, prepared, out, where)
    torture.done(met, f"file operations of `{name}` that fail", f"{len(torture.failures)} faults")


def compare(torture, prepared, out: Path, where: str) -> None:
    try:
        prepared.assert_same(out)
    except Exception as fault:
        torture.failures.append(f"{where}: {type(fault).__name__}: {fault}"[:500])
    except AssertionError as fault:
        torture.failures.append(f"{where}: {fault}"[:500])


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 4 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(place)]
    if shutil.which("mount") is None or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small file system needs root on Linux")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


@pytest.mark.slow
def test_full_file_system(torture, nursery, prepared_command, small_disk):
    """A small tmpfs that is really full, at some moment or other of a training; then there is room again."""
    prepared, rng, met, tried = prepared_command("train"), torture.rng(), 0, 0
    size = sum(file.stat().st_size for file in (prepared.folder / "whole").rglob("*") if file.is_file())
    free_of = torture.count(2, 60)
    ballast = small_disk / "ballast"
    while tried < free_of and torture.in_time:
        tried += 1
        out = prepared.start_of(small_disk / "run")
        free = shutil.disk_usage(small_disk).free
        ballast.write_bytes(bytes(max(0, free - rng.randrange(0, 3 * size))))
        ended = nursery.run(*prepared.words(out))
        where = f"{free - ballast.stat().st_size} bytes free"
        if ended.code:
            met += 1
            last = (ended.err.splitlines() or [""])[-1]
            torture.check(
                ended.code == 1 and os.strerror(errno.ENOSPC) in last and str(small_disk) in last,
                f"{where}: {last}",
            )
            look(torture, prepared, out, where)
        ballast.unlink()
        again = nursery.run(*prepared.words(out))
        torture.check(again.code == 0, f"{where}, then again: {again.err[-300:]}")
        compare(torture, prepared, out, where)
    assert met, "the disk was never full"
    torture.done(tried, "small file systems", f"{met} were full; {len(torture.failures)} faults", full=met)
