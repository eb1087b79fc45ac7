"""Promise 4: of two that write one run exactly one proceeds; a dead one is taken over.

Two real processes at random distances in time, which make, extend or measure the same run; in every
other pair the first is killed at a random moment.
"""

from __future__ import annotations

import platform
import re
import signal
import time

import pytest

from grokscope.runs import verify

HELD = re.compile(
    r"^grokscope: \S+: is being written by process (\d+) on (\S+) since \S+; wait for it or stop it\.$"
)
FEW, ALL = ("train",), ("train", "extend", "measure", "reproduce")


@pytest.mark.slow
def test_two_writers(torture, nursery, prepared_command, tmp_path):
    rng, total = torture.rng(), torture.count(4, 50)
    seen = {"refused": 0, "one after the other": 0, "killed": 0, "taken over": 0}
    done = 0
    while done < total and torture.in_time:
        names = torture.count(len(FEW), len(ALL))
        prepared = prepared_command(ALL[done % names])
        kill = done % 2 == 1
        out, where = prepared.start_of(tmp_path / "out"), f"{prepared.name} {done}"
        done += 1
        first = nursery.start(*prepared.words(out))
        # half of them close together, where a run is made and locks are taken
        time.sleep(rng.uniform(0, prepared.seconds) * rng.choice([0.05, 1]))
        second = nursery.start(*prepared.words(out))
        if kill:
            time.sleep(rng.uniform(0, prepared.seconds / 2))
            nursery.stop(first)
        pids = (first, second)
        ends = [nursery.wait(pid) for pid in pids]
        refused = 0
        for i, ended in enumerate(ends):
            last = (ended.err.splitlines() or [""])[-1]
            if i == 0 and kill and ended.code == -signal.SIGKILL:
                seen["killed"] += 1
            elif ended.code == 0:
                pass
            elif found := HELD.match(last):
                refused += 1
                holder = (int(found[1]), found[2])
                torture.check(holder == (pids[1 - i], platform.node()), f"{where}: {last}, not {pids[1 - i]}")
            else:
                torture.failures.append(f"{where}: {ended.code} {ended.err[-300:]}")
        torture.check(refused < 2, f"{where}: nobody proceeded")
        seen["refused"] += refused
        seen["one after the other"] += all(ended.code == 0 for ended in ends)
        if ends[0].code == -signal.SIGKILL:
            for name in prepared.whole:
                if (out / name / "store").is_dir():
                    damage = [str(problem) for problem in verify(out / name) if problem.is_damage]
                    torture.check(not damage, f"{where}: {damage}")
            # the lock of the dead is free at once
            third = nursery.run(*prepared.words(out))
            torture.check(third.code == 0, f"{where}: not taken over: {third.code} {third.err[-300:]}")
            seen["taken over"] += 1
        try:
            prepared.assert_same(out)
        except (Exception, AssertionError) as fault:
            torture.failures.append(f"{where}: {type(fault).__name__}: {fault}"[:500])
    torture.done(done, "pairs of writers", f"{len(torture.failures)} faults", **seen)
