"""Stopped by a signal and given again, a run ends in the bits of one that was left alone.

Kills at any moment: tests/promises/test_kills.py.
"""

from __future__ import annotations

import json
import shlex
import signal
from dataclasses import dataclass
from pathlib import Path

import pytest

from grokscope import open_run
from grokscope.errors import InputError
from grokscope.new import write_template
from grokscope.runs import verify
from processes import Processes
from same_bits import assert_same, contents

SPEC = """
epochs = 20
batch_size = 16
measures = ["train_accuracy", "test_accuracy", "neuron_norm", "faithfulness"]
[schedule]
snapshots = "every 10 epochs"
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
"""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def processes(tmp_path_factory):
    return Processes(tmp_path_factory.mktemp("cache"))


@dataclass
class Whole:
    """The run that was left alone, how it was made, and how long it takes once everything is compiled."""

    folder: Path
    command: tuple[str, ...]
    seconds: float


@pytest.fixture(scope="module")
def whole(tmp_path_factory, processes):
    folder = tmp_path_factory.mktemp("whole")
    (folder / "spec.toml").write_text(SPEC)
    command = ("train", str(folder / "spec.toml"), "--seeds", "5,0:5", "--out")
    processes.finish(*command, str(folder / "run"))
    seconds = processes.finish(*command, str(folder / "again"))
    assert_same(folder / "again", contents(folder / "run"))
    return Whole(folder / "run", command, seconds)


SIGNALS = (signal.SIGINT, signal.SIGTERM)


def test_signals_end_training_cleanly_and_keep_what_is_committed(whole, processes, tmp_path):
    command = (*whole.command, str(tmp_path / "run"))
    before = 0
    for number in SIGNALS:
        code, out, err = processes.stop(*command, number=number)
        assert (code, out) == (130, "")
        again = shlex.join(["grokscope", *command])
        assert err.splitlines()[-1] == f"grokscope: stopped; resume with: {again}"
        assert "Traceback" not in err
        assert [problem.kind for problem in verify(tmp_path / "run")] == ["unfinished"]
        run = open_run(tmp_path / "run")
        assert not run.is_complete
        done = run.steps_done
        assert done.sum() > before
        before = done.sum()
        accuracy = run.measures.train_accuracy
        for i, seed in enumerate(member[0] for member in run.members):
            kept = accuracy.sel(seed=seed, step=slice(0, done[i]))
            assert done[i] == 0 or not kept.isnull().any()
    processes.finish(*command)
    assert_same(tmp_path / "run", contents(whole.folder))


def test_signals_end_a_reproduction_cleanly(processes, tmp_path):
    plugin = write_template("paper", "my_paper", tmp_path)
    command = (
        "reproduce",
        "my_paper",
        "--plugin",
        str(plugin),
        "--profile",
        "quick",
        "--seeds",
        "3",
        "--out",
    )
    reference, out = tmp_path / "reference", tmp_path / "out"
    processes.finish(*command, str(reference))
    for number in SIGNALS:
        code, said, err = processes.stop(*command, str(out), number=number)
        assert (code, said) == (130, "")
        again = shlex.join(["grokscope", *command, str(out)])
        assert err.splitlines()[-1] == f"grokscope: stopped; resume with: {again}"
        assert "Traceback" not in err
        assert not (out / "claims.json").exists()
        assert open_run(out).steps_done.max() > 0
    processes.finish(*command, str(out))
    assert_same(out / "main", contents(reference / "main"))
    for name in ("claims.json", "figures/figure-1.svg"):
        assert (out / name).read_bytes() == (reference / name).read_bytes()
    assert json.loads((out / "claims.json").read_text())[0]["seeds"] == 3


def test_a_run_that_was_stopped_before_its_first_commit_says_so(whole, tmp_path, monkeypatch):
    import grokscope as gs
    from grokscope.runs._train import Trainer

    def stop(*_, **__):
        raise KeyboardInterrupt

    experiment = open_run(whole.folder).experiment
    monkeypatch.setattr(Trainer, "_blocks", stop)
    with pytest.raises(KeyboardInterrupt):
        gs.train(experiment, seeds=2, out=tmp_path / "members")
    run = open_run(tmp_path / "members")
    assert (len(run.members), run.is_complete, run.measures.sizes["step"]) == (2, False, 0)
    with pytest.raises(InputError, match="nothing is kept yet of seeds"):
        run.model(seed=0)
    monkeypatch.setattr(Trainer, "train", stop)
    with pytest.raises(KeyboardInterrupt):
        gs.train(experiment, seeds=2, out=tmp_path / "none")
    run = open_run(tmp_path / "none")
    assert "0 members, not complete" in repr(run)
    for ask in (lambda: run.members, lambda: run.model(seed=0)):
        with pytest.raises(InputError, match="was stopped before the first result was kept"):
            ask()


def test_a_longer_run_that_was_stopped_is_not_complete(whole, tmp_path, monkeypatch):
    import grokscope as gs
    from grokscope.runs import list_runs
    from grokscope.runs._block import Block

    def stop(*_, **__):
        raise KeyboardInterrupt

    short = open_run(whole.folder).experiment.with_("epochs=2", "measures=['train_accuracy']")
    assert gs.train(short, seeds=2, out=tmp_path / "run").is_complete
    monkeypatch.setattr(Block, "run", stop)
    with pytest.raises(KeyboardInterrupt):
        gs.train(short.with_("epochs=4"), seeds=2, out=tmp_path / "run")
    assert not open_run(tmp_path / "run").is_complete
    (line,) = list_runs(tmp_path)
    assert (line.members, line.complete, line.steps) == (2, 0, 12)
