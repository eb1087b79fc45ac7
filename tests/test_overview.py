from __future__ import annotations

import numpy as np
import pytest

from fake_runs import fake_run
from grokscope.overview import overview_of


def test_an_overview_tells_events_and_curves_of_scalar_measures():
    run = fake_run(seeds="2,5,6,7", groks_at={2: 64, 5: 96, 6: 128})
    overview = overview_of(run)
    assert overview.seeds == [2, 5, 6, 7]
    assert overview.kinds["task"] == "sparse_parity"
    assert overview.n_steps == 320
    memorization, grokking = overview.events
    assert (memorization.name, memorization.share.value) == ("memorization", 1.0)
    assert (grokking.name, grokking.share.value) == ("grokking", 0.75)
    # the times are (32, 64], (64, 96], (96, 128] and not seen: their median lies in (64, 128]
    assert 64 < grokking.step.value <= 128
    assert set(overview.curves) == {"train_accuracy", "test_accuracy", "train_loss"}
    np.testing.assert_allclose(
        overview.curves["train_loss"], run.measures["train_loss"].mean("seed").to_numpy(), rtol=1e-12
    )


def test_what_was_not_measured_is_left_out_of_a_curve():
    run = fake_run()
    run.measures["train_loss"][:, 1::2] = np.nan
    assert len(overview_of(run).curves["train_loss"]) == 6


def test_a_run_without_accuracies_has_no_events():
    run = fake_run()
    run.measures = run.measures.drop_vars(["train_accuracy", "test_accuracy"])
    assert overview_of(run).events == []


@pytest.mark.filterwarnings("error")
def test_a_measure_that_was_never_taken_is_an_empty_curve():
    run = fake_run()
    run.measures["train_loss"] = run.measures["train_loss"] * np.nan
    assert overview_of(run).curves["train_loss"] == []
