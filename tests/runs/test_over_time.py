"""Networks of several members at several steps: kept or trained again, the same bits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import grokscope as gs
from grokscope.errors import InputError

SPEC = gs.Experiment(
    task={"kind": "sparse_parity", "n": 8, "k": 2, "n_train": 64, "n_test": 20, "n_probe": 20},
    model={"kind": "fully_connected", "width": 16},
    epochs=6,
    measures=["train_accuracy"],
)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> gs.Run:
    return gs.train(SPEC, seeds="3,5,9", out=tmp_path_factory.mktemp("runs") / "plain")


def test_they_are_those_of_single_members_and_steps(run: gs.Run) -> None:
    steps, seeds = [12, 0, 5], [9, 3]
    together = run.networks(steps, seeds)
    assert together["hidden_weight"].shape == (2, 3, 8, 16)
    for i, seed in enumerate(seeds):
        for k, step in enumerate(steps):
            one = run.model(seed, step)
            for name in ("hidden_weight", "hidden_bias", "output_weight"):
                np.testing.assert_array_equal(
                    together[name][i, k], getattr(one, name), err_msg=f"{seed} {step}"
                )


def test_what_is_kept_is_not_trained_again(
    run: gs.Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run.kept_steps(3) == [0, 12]
    spec = SPEC.with_("schedule.snapshots='every 2 epochs'")
    kept = gs.train(spec, seeds="3,5,9", out=tmp_path / "kept")
    assert kept.kept_steps(5) == [0, 4, 8, 12]
    again = run.networks([4, 12], [5, 9])

    def refuse(*_: object) -> None:
        raise AssertionError("trained again")

    monkeypatch.setattr("grokscope.runs._over_time._replayed", refuse)
    read = kept.networks([4, 12], [5, 9])
    assert read.keys() == again.keys()
    for name, leaf in read.items():
        np.testing.assert_array_equal(leaf, again[name])
    with pytest.raises(AssertionError, match="trained again"):
        kept.networks([3], [5])


def test_steps_and_seeds_that_there_are_not(run: gs.Run) -> None:
    with pytest.raises(InputError, match="has steps 0 to 12, not 13"):
        run.networks([13], [3])
    with pytest.raises(InputError, match="has no seed 4"):
        run.networks([0], [4])
