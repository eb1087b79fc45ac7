"""Runs that were stopped: what they say, and that they are not complete.

Kills and signals: tests/promises/test_kills.py, test_signals.py.
"""

from __future__ import annotations

import pytest

import grokscope as gs
from grokscope import open_run
from grokscope.errors import InputError

EXPERIMENT = gs.Experiment(
    task={"kind": "sparse_parity", "n": 8, "k": 2, "n_train": 40, "n_test": 20, "n_probe": 64},
    model={"kind": "fully_connected", "width": 16},
    epochs=20,
    batch_size=16,
    measures=["train_accuracy"],
)


def test_a_run_that_was_stopped_before_its_first_commit_says_so(tmp_path, monkeypatch):
    from grokscope.runs.trainer import Trainer

    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("grokscope.runs.trainer.cut_blocks", stop)
    with pytest.raises(KeyboardInterrupt):
        gs.train(EXPERIMENT, seeds=2, out=tmp_path / "members")
    run = open_run(tmp_path / "members")
    assert (len(run.members), run.is_complete, run.measures_so_far.sizes["step"]) == (2, False, 0)
    with pytest.raises(InputError, match="nothing is kept yet of seeds"):
        run.model(seed=0)
    monkeypatch.setattr(Trainer, "train", stop)
    with pytest.raises(KeyboardInterrupt):
        gs.train(EXPERIMENT, seeds=2, out=tmp_path / "none")
    run = open_run(tmp_path / "none")
    assert repr(run).splitlines()[2:4] == ["  members     0", "  done        not complete: 0 of 0"]
    for ask in (lambda: run.members, lambda: run.model(seed=0)):
        with pytest.raises(InputError, match="was stopped before the first result was kept"):
            ask()


def test_a_longer_run_that_was_stopped_is_not_complete(tmp_path, monkeypatch):
    from grokscope.runs import run_summaries
    from grokscope.runs.block import Block

    def stop(*_, **__):
        raise KeyboardInterrupt

    short = EXPERIMENT.with_("epochs=2")
    assert gs.train(short, seeds=2, out=tmp_path / "run").is_complete
    monkeypatch.setattr(Block, "run", stop)
    with pytest.raises(KeyboardInterrupt):
        gs.train(short.with_("epochs=4"), seeds=2, out=tmp_path / "run")
    assert not open_run(tmp_path / "run").is_complete
    (line,) = run_summaries(tmp_path)
    assert (line.members, line.complete, line.steps) == (2, 0, 12)
