"""A run of the user's own arrays holds what it was trained on, wherever it is opened or moved to."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest

import grokscope as gs
from grokscope.runs import verify
from grokscope.tasks.arrays import Arrays

LOOK = """
import json, sys
import numpy as np
import grokscope as gs
run = gs.open_run(sys.argv[1])
weight = np.asarray(run.model(seed=1, step=2).hidden_weight)
last = run.measures.train_accuracy.values[:, -1].tolist()
print(json.dumps([run.experiment.task.n_train, weight.tobytes().hex(), last]))
"""


@pytest.fixture(scope="module")
def arrays():
    rng = np.random.default_rng(0)
    x = rng.choice([-1.0, 1.0], (48, 5))
    y = x[:, 0] * x[:, 1]
    return {"train_x": x[:32], "train_y": y[:32], "test_x": x[32:], "test_y": y[32:]}


def trained(task, out):
    experiment = gs.Experiment(
        task=task,
        model={"kind": "fully_connected", "width": 8},
        epochs=2,
        batch_size=16,
        measures=["train_accuracy"],
    )
    return gs.train(experiment, seeds=2, out=out)


def assert_opens_elsewhere(run, folder):
    """In another process, from another working folder, under another name; with a replay."""
    weight = np.asarray(run.model(seed=1, step=2).hidden_weight)
    last = run.measures.train_accuracy.values[:, -1].tolist()
    (folder / "cwd").mkdir()
    shutil.move(run.path, folder / "moved")
    done = subprocess.run(
        [sys.executable, "-c", LOOK, str(folder / "moved")],
        cwd=folder / "cwd",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [32, weight.tobytes().hex(), last]
    assert verify(folder / "moved") == []


@pytest.mark.slow
def test_arrays_in_memory_are_kept_beside_the_spec(arrays, tmp_path):
    run = trained(Arrays.from_numpy(**arrays), tmp_path / "run")
    assert_opens_elsewhere(run, tmp_path)


@pytest.mark.slow
def test_arrays_in_a_file_are_kept_too(arrays, tmp_path, monkeypatch):
    (tmp_path / "specs").mkdir()
    np.savez(tmp_path / "specs" / "data.npz", **arrays)
    monkeypatch.chdir(tmp_path / "specs")
    run = trained(Arrays(path="data.npz"), tmp_path / "run")
    (tmp_path / "specs" / "data.npz").unlink()
    assert_opens_elsewhere(run, tmp_path)
