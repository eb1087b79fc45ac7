"""Promise 10: in long work memory stays flat, commits cost little, and files do not pile up.

`make torture` trains 2,000 members with measures for an hour (or as long as it is given), as a user would.
"""

from __future__ import annotations

import json
import os

import numpy as np
import pytest

from grokscope.runs import verify
from grokscope.store.icechunk import _COLLECT_EVERY, Repository
from nursery import Nursery, missing

SPEC = """
epochs = {epochs}
measures = ["train_accuracy", "test_accuracy", "effective_sparsity", "path_norm_total"]
[schedule]
measures = "every 10 epochs"
[task]
kind = "sparse_parity"
n = 20
k = 2
n_train = 500
[model]
kind = "fully_connected"
width = 100
"""
MEMBERS, EPOCHS, HOUR = 2000, 20_000, 3600.0  # more epochs than an hour suffices for
STEPS_PER_EPOCH = 16


@pytest.mark.torture
@pytest.mark.skipif(missing() is not None, reason=str(missing()))
def test_long_work(torture, tmp_path):
    spec, journal, out = tmp_path / "spec.toml", tmp_path / "journal", tmp_path / "run"
    spec.write_text(SPEC.format(epochs=EPOCHS))
    seconds = min(HOUR, torture.limit)
    words = (str(journal), str(seconds), "train", str(spec), "--seeds", str(MEMBERS), "--out", str(out))
    with Nursery(tmp_path, None, hurried=False) as nursery:
        ended = nursery.run(*words, call="watched_work:long")
    torture.check(ended.code in (0, 130), f"{ended.code}: {ended.err[-300:]}")
    damage = [str(problem) for problem in verify(out) if problem.is_damage]
    torture.check(not damage, f"{damage}")
    lines = [json.loads(line) for line in journal.read_text().splitlines()]
    seen = {name: np.array([line[name] for line in lines], float) for name in lines[0]}
    late = seen["seconds"] > 0.2 * seen["seconds"][-1]  # after compiling, and the first block
    # an epoch of one member after another: what a leak would be proportional to
    epochs = seen["member_steps"] / STEPS_PER_EPOCH
    slope = float(np.polyfit(epochs[late] / 1000, seen["resident"][late] / 1e6, 1)[0])
    share = seen["committing"][-1] / seen["seconds"][-1]
    torture.check(slope < 1.0, f"memory rises by {slope:.2f} MB per 1,000 epochs")
    torture.check(share < 0.02, f"commits take {100 * share:.1f} % of the time")
    # what is left of old commits is collected every so many, and then kept for as many more
    Repository.open(out / "store").collect(everything=True)
    needed = sum(len(files) for _, _, files in os.walk(out))
    allowed = needed + 2 * _COLLECT_EVERY * np.diff(seen["files"]).max()
    most = seen["files"].max()
    torture.check(most <= allowed, f"{most:.0f} files, {allowed:.0f} are allowed")
    torture.done(
        round(seen["seconds"][-1]),
        f"seconds of training up to {MEMBERS} members",
        f"memory {slope:+.3f} MB per 1,000 epochs, commits {100 * share:.2f} % of the time, "
        f"at most {most:.0f} files, {needed} of them needed",
        commits=len(lines),
        epochs=float(epochs[-1]),
        resident_mb=[round(x / 1e6) for x in (seen["resident"][late].min(), seen["resident"].max())],
    )
