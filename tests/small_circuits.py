"""A small run that has learned drawn parities, trained once in a session: for tests of reading circuits."""

from __future__ import annotations

import atexit
import functools
import shutil
import tempfile
from pathlib import Path

import grokscope as gs

SPEC = """
epochs = 200
batch_size = 16
measures = ["train_accuracy", "test_accuracy"]
[task]
kind = "sparse_parity"
n = 10
k = 2
support = "drawn"
n_train = 100
n_test = 200
[model]
kind = "fully_connected"
width = 24
[optimizer]
kind = "sgd"
learning_rate = 0.1
weight_decay = 0.01
[schedule]
snapshots = [0, 700]
"""


@functools.cache
def trained() -> gs.Run:
    """Three seeds of (10, 2)-parity with hidden bits of their own, 1,400 steps, a snapshot half-way."""
    folder = Path(tempfile.mkdtemp(prefix="grokscope-test-circuits-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    (folder / "spec.toml").write_text(SPEC)
    return gs.train(gs.Experiment.from_toml(folder / "spec.toml"), seeds=3, out=folder / "run")
