"""Promise 1: stopped by a signal and given again, a command ends in the bits of one that was left alone.

Kills at any moment: test_kills.py.
"""

from __future__ import annotations

import json
import shlex
import signal

import pytest

from grokscope import open_run
from grokscope.runs import verify
from same_bits import assert_same, contents
from torture_commands import SPEC

SIGNALS = (signal.SIGINT, signal.SIGTERM)


def stopped(nursery, words, number):
    """What a command says that is stopped as soon as some of the work is done."""
    pid = nursery.start(*words)
    nursery.stop_when(pid, "%", number)
    ended = nursery.wait(pid)
    assert (ended.code, ended.out) == (130, "")
    again = shlex.join(["grokscope", *words])
    assert ended.err.splitlines()[-1] == f"grokscope: stopped; resume with: {again}"
    assert "Traceback" not in ended.err


@pytest.mark.slow
def test_signals_end_training_cleanly_and_keep_what_is_committed(nursery, tmp_path):
    (tmp_path / "spec.toml").write_text(SPEC.format(epochs=14))  # long enough to be stopped twice
    out, alone, before = tmp_path / "run", tmp_path / "left alone", 0
    words = ("train", str(tmp_path / "spec.toml"), "--seeds", "5,0:2", "--out")
    assert nursery.run(*words, str(alone)).code == 0
    for number in SIGNALS:
        stopped(nursery, (*words, str(out)), number)
        assert [problem.kind for problem in verify(out)] == ["unfinished"]
        run = open_run(out)
        assert not run.is_complete
        done = run.steps_done
        assert done.sum() > before
        before = done.sum()
        accuracy = run.measures.train_accuracy
        for i, seed in enumerate(member[0] for member in run.members):
            kept = accuracy.sel(seed=seed, step=slice(0, done[i]))
            assert done[i] == 0 or not kept.isnull().any()
    assert nursery.run(*words, str(out)).code == 0
    assert_same(out, contents(alone))


@pytest.mark.slow
def test_signals_end_a_reproduction_cleanly(nursery, prepared_command, tmp_path):
    prepared, out = prepared_command("reproduce"), tmp_path / "out"
    for number in SIGNALS:
        stopped(nursery, prepared.words(out), number)
        assert not (out / "claims.json").exists()
        assert open_run(out).steps_done.max() > 0
    assert nursery.run(*prepared.words(out)).code == 0
    prepared.assert_same(out)
    assert json.loads((out / "claims.json").read_text())[0]["seeds"] == 2
