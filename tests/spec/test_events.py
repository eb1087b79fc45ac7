"""Events of runs, against what was put in."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from grokscope.errors import InputError
from grokscope.spec.events import GROKKING, MEMORIZATION, diverged_steps, grokking_delay
from synthetic_runs import GROKKED, MEMORIZED, STEPS_PER_EPOCH, synthetic_run

RUN = synthetic_run(["groks", "never", "diverges", "at once"])


def test_times_are_those_put_in() -> None:
    memorized, grokked = (event.times(RUN.measures) for event in (MEMORIZATION, GROKKING))
    assert memorized.observed.all()
    assert grokked.observed.tolist() == [True, False, False, True]
    assert memorized.upper[0] / STEPS_PER_EPOCH == pytest.approx(MEMORIZED, rel=0.3)
    assert grokked.upper[0] / STEPS_PER_EPOCH == pytest.approx(GROKKED, rel=0.3)
    delay = grokking_delay(RUN.measures)
    assert delay.lower[0] <= grokked.upper[0] - memorized.upper[0] <= delay.upper[0]
    assert np.isinf(delay.upper[1])


def test_divergence_is_found_from_the_loss() -> None:
    assert diverged_steps(RUN.measures).tolist() == [np.inf, np.inf, 50 * STEPS_PER_EPOCH, np.inf]


def test_what_a_run_records_of_divergence_counts_more() -> None:
    recorded = RUN.measures.assign_coords(diverged_step=("seed", [-1, 64, 320, -1]))
    assert diverged_steps(recorded).tolist() == [np.inf, 64, 320, np.inf]
    assert MEMORIZATION.times(recorded).observed.tolist() == [True, False, False, True]


def test_a_loss_taken_now_and_then_is_no_divergence() -> None:
    sparse = RUN.measures.isel(seed=[0]).copy()
    sparse["train_loss"] = sparse["train_loss"].where(sparse["step"] % 320 == 0)
    assert np.isinf(diverged_steps(sparse)).all()
    assert np.isinf(diverged_steps(sparse.assign(train_loss=sparse["train_loss"] * np.nan))).all()
    assert len(diverged_steps(RUN.measures.drop_vars("train_loss"))) == 4


def test_crossed_streams_are_members_too() -> None:
    crossed = xr.Dataset(
        {
            name: (("init_seed", "data_seed", "step"), RUN.measures[name].to_numpy().reshape(2, 2, -1))
            for name in ("train_accuracy", "test_accuracy", "train_loss")
        },
        coords={"step": RUN.measures["step"]},
    )
    for event in (MEMORIZATION, GROKKING):
        np.testing.assert_array_equal(event.times(crossed).upper, event.times(RUN.measures).upper)


def test_a_missing_measure_is_named() -> None:
    renamed = RUN.measures.rename(test_accuracy="test_acuracy")
    with pytest.raises(InputError, match=r"no measure 'test_accuracy'\. Did you mean 'test_acuracy'"):
        GROKKING.times(renamed)
