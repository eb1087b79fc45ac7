"""Promise 1: killed at any moment and begun again, a command ends in the bits of one that was left alone.

`kill -9` at uniformly random moments, up to five in a run; and at file operations: before, after, and in
the middle of a write, so that every step between write, commit and rename is met. Then the same command
again: arrays, attributes, checkpoints and files are equal bit for bit (times and object ids may differ).
"""

from __future__ import annotations

import signal
import time

import pytest

from grokscope.runs import verify
from grokscope.store.open import open_store
from nursery import Fault, How, Op
from torture_commands import COMMANDS

MOST_KILLS = 5  # of one run
FEW = {"train": 12, "measure": 5, "branch": 3}
MANY = {"train": 50, "extend": 25, "measure": 25, "reproduce": 40, "sweep": 30, "branch": 15} | {"import": 15}


def look(torture, prepared, out, where) -> bool:
    """After a kill each run is there and sound, or not there; returns whether there is work that was kept."""
    kept = False
    for name in prepared.whole:
        if (out / name / "store").is_dir():
            damage = [str(problem) for problem in verify(out / name) if problem.is_damage]
            torture.check(not damage, f"{where}: {damage}")
            kept = kept or bool(open_store(out / name).steps_done.any())
    return kept


def finish(torture, prepared, nursery, out, where) -> None:
    ended = nursery.run(*prepared.words(out))
    torture.check(ended.code == 0, f"{where}, then again: {ended.code} {ended.err[-300:]}")
    try:
        prepared.assert_same(out)
    except (Exception, AssertionError) as fault:
        torture.failures.append(f"{where}: {type(fault).__name__}: {fault}"[:500])


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in FEW else pytest.mark.torture) for name in MANY]
)
def test_killed_at_random_moments(torture, nursery, prepared_command, tmp_path, name):
    prepared, rng = prepared_command(name), torture.rng()
    total = torture.count(FEW.get(name, 0), MANY[name])
    landed, kept, runs, late = 0, 0, 0, 0
    # what is uniform is the moment within the work, however loaded the machine is: the last run's time
    seconds = prepared.seconds
    while landed < total and torture.in_time:
        runs += 1
        out, moments = prepared.start_of(tmp_path / "out"), []
        for _ in range(rng.randint(1, MOST_KILLS)):
            after = rng.uniform(0, seconds)
            pid = nursery.start(*prepared.words(out))
            time.sleep(after)
            nursery.stop(pid)
            ended = nursery.wait(pid)
            if ended.code != -signal.SIGKILL:
                late += 1
                torture.check(ended.code == 0, f"{name}: {ended.code} {ended.err[-300:]}")
                break
            moments.append(round(after, 3))
            kept += look(torture, prepared, out, f"{name} killed after {moments} s")
        landed += len(moments)
        finish(torture, prepared, nursery, out, f"{name} killed after {moments} s")
    assert late <= runs
    torture.done(
        landed, f"kills of `{name}`", f"{len(torture.failures)} runs differ", runs=runs, found_kept_work=kept
    )


def test_every_command_that_writes_is_killed():
    assert MANY.keys() == COMMANDS.keys()


@pytest.mark.slow
@pytest.mark.parametrize("how", ["killed before", "killed after", "killed within"])
def test_killed_at_operations_of_training(torture, nursery, prepared_command, tmp_path, how):
    """Drawn from all operations of a training; each one of the store's is met in test_nth_operation.py."""
    prepared, rng = prepared_command("train"), torture.rng()
    number = {
        "killed before": How.KILL_BEFORE,
        "killed after": How.KILL_AFTER,
        "killed within": How.KILL_TORN,
    }[how]
    ops = Op.WRITE if number is How.KILL_TORN else Op.ALL
    total, met = torture.count(1, 100), 0
    while met < total and torture.in_time:
        out = prepared.start_of(tmp_path / "out")
        fault = Fault(out.parent, rng.randint(1, prepared.operations), number, 0, ops)
        if nursery.run(*prepared.words(out), fault=fault).code != -signal.SIGKILL:
            continue
        met += 1
        look(torture, prepared, out, f"{how} operation {fault.n}")
        finish(torture, prepared, nursery, out, f"{how} operation {fault.n}")
    torture.done(met, f"file operations of `train`: {how}", f"{len(torture.failures)} runs differ")
