"""The numbers at the top of a page, on curves whose events are known."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import xarray as xr

from grokscope.report._runs import facts_of

STEPS = np.arange(0, 401, 10)


def view_of(*seeds: tuple[float, float]) -> Any:
    """Seeds that memorize at one step and grok at another; accuracy is 0.5 before and 1 from there on."""
    train, test = (
        np.array([np.where(at[which] <= STEPS, 1.0, 0.5) for at in seeds], np.float32) for which in (0, 1)
    )
    test[:, (STEPS % 20) != 0] = np.nan  # on half of the points only
    dims = ("seed", "step")
    measures = xr.Dataset(
        {"train_accuracy": (dims, train), "test_accuracy": (dims, test)},
        {"seed": np.arange(len(seeds)), "step": STEPS},
    )
    curves = SimpleNamespace(measures=measures, steps_per_epoch=5)
    return SimpleNamespace(curves=curves, sizes=[], width=None, competition=None)


def facts(*seeds: tuple[float, float]) -> dict[str, tuple[str, str]]:
    return {what: (value, more) for what, value, more in facts_of(view_of(*seeds))}


def test_the_delay_is_between_the_ends_of_the_intervals_of_seeds_that_memorize():
    """Memorization in (0, 10], grokking in (40, 60] and so on: the delay is in (30, 60], the middle 45."""
    seen = facts((10, 50), (10, 70), (10, 210))
    assert seen["memorize"] == ("3 of 3", "median: epoch 2 (step 10)")
    assert seen["grok"] == ("3 of 3", "median: epoch 16 (step 80)")
    assert seen["delay"] == ("13 epochs", "median over seeds")  # (50, 80], 65 steps
    # one that never memorizes has no delay; one that never groks has one without an end
    assert facts((10, 50), (10, 70), (10, 210), (999, 10))["delay"] == seen["delay"]
    assert facts((10, 50), (10, 70), (10, 999))["delay"] == seen["delay"]


def test_nothing_is_said_of_a_delay_that_most_seeds_have_not_come_to():
    seen = facts((10, 999), (10, 999), (10, 50))
    assert "delay" not in seen
    assert seen["grok"] == ("1 of 3", "less than half of the seeds")
    assert "delay" not in facts((999, 999))
