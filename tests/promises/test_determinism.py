"""Promise 5: with one numerics fingerprint a run is a function of its configuration, bit for bit.

The same seeds are trained again in every way that must not matter: twice, in other processes, on one or
two devices, pinned to a core, in another order, among other seeds, extended seed by seed and epoch by
epoch, with other schedules and measures, and in blocks cut by another memory. What the two runs share is
compared: final states, and measures at the steps that both have. (A neighbor that diverges:
tests/training/test_cohort.py; resumed after every commit: tests/runs/test_train.py.)
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from grokscope.runs import open_run, verify
from grokscope.store.open import open_store
from nursery import Nursery
from same_bits import contents

SPEC = """
epochs = 4
batch_size = 16
{measures}
[task]
kind = "sparse_parity"
n = 8
k = 2
n_train = 40
n_test = 20
n_probe = 64
[model]
kind = "fully_connected"
width = 16
{tables}
"""
# what is trained: tables to add; the default measures of the task are all taken
TRAINED = {
    "SGD": "",
    "Adam": '[optimizer]\nkind = "adam"\nlearning_rate = 0.01',
    "AdamW, float64": '[optimizer]\nkind = "adamw"\nlearning_rate = 0.01',
    "noisy labels, squared loss": '[loss]\nkind = "squared"',
}
TOP = {"AdamW, float64": 'precision = "float64"'}
NURSERIES = {
    "another process": {},
    "one device": {"JAX_NUM_CPU_DEVICES": "1"},
    "three devices": {"JAX_NUM_CPU_DEVICES": "3"},
    "not hurried": {},
    "pinned to a core": {},
}
# how: further words, and the seeds; several lists are given one after the other
WAYS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "again": ((), ("3",)),
    "other order": ((), ("2,0,1",)),
    "more neighbors": ((), ("0:7",)),
    "one by one": ((), ("1", "1,2", "3")),
    "other schedule": (("--set", "schedule.measures='every 1 steps'"), ("3",)),
    "other snapshots": (("--set", "schedule.snapshots='every 1 epochs'"), ("3",)),
    "no measures": (("--set", "measures=[]"), ("3",)),
    "one measure": (("--set", "measures=['test_loss']"), ("3",)),
    "longer": (("--set", "epochs=6"), ("3",)),
    "shorter, then as long": (("--set", "epochs=2"), ("3", "3")),
}


def shared_difference(folder: Path, base: Path) -> list[str]:
    """What differs where both have it: final states by hash, measures by steps of both."""
    import numpy as np

    a, b = open_store(folder), open_store(base)
    seeds_a, wrong = a.seeds, []
    for i, seeds in enumerate(b.seeds):
        trail_a, trail_b = a.checkpoint_trail(seeds_a.index(seeds)), b.checkpoint_trail(i)
        common = trail_a.keys() & trail_b.keys()
        if not common:
            wrong.append(f"seed {seeds}: no checkpoint in common")
        wrong += [f"seed {seeds}, step {s}" for s in sorted(common) if trail_a[s] != trail_b[s]]
    x, y = a.read_measures().load(), b.read_measures().load()
    if not x.data_vars:  # nothing was measured: the states are all there is
        return wrong
    steps = np.intersect1d(x.step, y.step)
    final_only = {
        "faithfulness",
        "sensitivity",
        "subnetwork_norm",
    }  # of the final subnetworks: same length only
    same_end = int(x.step.max()) == int(y.step.max())
    for name in x.data_vars.keys() & y.data_vars.keys():
        if not same_end and any(str(name).startswith(one) for one in final_only):
            continue
        one, two = (
            data[name].sel(seed=y.seed, step=steps).transpose(*y[name].dims).to_numpy() for data in (x, y)
        )
        both = ~(np.isnan(one) | np.isnan(two))  # a schedule may leave points out
        if not both.any() or one[both].tobytes() != two[both].tobytes():
            wrong.append(f"{name}")
    return wrong


def spec_file(folder: Path, trained: str, more: str = "") -> Path:
    file = folder / "spec.toml"
    text = SPEC.format(measures=f"{TOP.get(trained, '')}\n{more}", tables=TRAINED[trained])
    file.write_text(text)
    return file


@pytest.mark.parametrize(
    "trained", [pytest.param(name, marks=() if name == "SGD" else pytest.mark.torture) for name in TRAINED]
)
def test_determinism_matrix(torture, nursery, tmp_path, trained):
    ways = list(WAYS) if torture.full else ["other order", "other schedule"]
    # all measures take long to compile; once is enough
    every = torture.full and trained == "SGD"
    few = "" if every else 'measures = ["train_accuracy", "path_norm_total", "faithfulness"]'
    spec, base, cells = spec_file(tmp_path, trained, few), tmp_path / "base", 0
    ended = nursery.run("train", str(spec), "--seeds", "3", "--out", str(base))
    assert ended.code == 0, ended.err
    assert len(open_run(base).measures.data_vars) > (10 if every else 2)
    for way in ways:
        if not torture.in_time:
            break
        words, several = WAYS[way]
        out = tmp_path / "out"
        shutil.rmtree(out, ignore_errors=True)
        for i, seeds in enumerate(several):
            last = i == len(several) - 1
            more = () if way.startswith("shorter") and last else words
            ended = nursery.run("train", str(spec), "--seeds", seeds, "--out", str(out), *more)
            torture.check(ended.code == 0, f"{trained}, {way}: {ended.err[-300:]}")
        wrong = shared_difference(out, base)
        torture.check(not wrong, f"{trained}, {way}: {wrong}")
        torture.check(verify(out) == [], f"{trained}, {way}: damaged")
        if way in ("again", "one by one", "shorter, then as long"):
            here, other = contents(out), contents(base)
            if way.startswith("shorter"):  # which kept its final network too, after 2 epochs of 3 steps
                here = {k: v for k, v in here.items() if k in other or "/snapshot 6/" not in k}
            wrong = sorted(k for k in here.keys() | other.keys() if here.get(k) != other.get(k))
            torture.check(not wrong, f"{trained}, {way}: {wrong}")
        cells += 1
    torture.done(
        cells, f"ways to train the same: {trained}", f"{len(torture.failures)} differ", ways=ways[:cells]
    )


@pytest.mark.torture
def test_determinism_over_processes(torture, nursery, faults, tmp_path):
    """Programs that each process compiled for itself, other devices, one core, commits at other moments."""
    cells, files = 0, {}
    for i, trained in enumerate(TRAINED):
        (tmp_path / str(i)).mkdir()
        files[trained] = (spec_file(tmp_path / str(i), trained), tmp_path / str(i) / "base")
        ended = nursery.run("train", str(files[trained][0]), "--seeds", "3", "--out", str(files[trained][1]))
        assert ended.code == 0, ended.err
    for name, environment in NURSERIES.items():
        place = tmp_path / name.replace(" ", "-")
        place.mkdir()
        before = [sys.executable]
        if name == "pinned to a core":
            if shutil.which("taskset") is None:
                continue
            before = ["taskset", "-c", "0", sys.executable]
        options = {"hurried": name != "not hurried", "environment": environment, "python": before}
        options["cache"] = place / "cache"  # each compiles for itself
        with Nursery(place, None, **options) as other:
            for trained, (spec, base) in files.items():
                if not torture.in_time:
                    break
                out = place / f"run-{cells}"
                ended = other.run("train", str(spec), "--seeds", "3", "--out", str(out))
                torture.check(ended.code == 0, f"{trained}, {name}: {ended.err[-300:]}")
                wrong = shared_difference(out, base)
                torture.check(not wrong, f"{trained}, {name}: {wrong}")
                cells += 1
    torture.done(cells, "trainings in processes of another kind", f"{len(torture.failures)} differ")
