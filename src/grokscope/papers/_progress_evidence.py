"""What the claims of the progress-measures paper are judged by: a number per seed from a run's measures."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from grokscope.claims import NotTestable, need
from grokscope.papers._transition import Transition, ratio

if TYPE_CHECKING:
    import xarray as xr

__all__ = [
    "excluded_over_chance",
    "few_keys",
    "final",
    "fraction_of_norm",
    "restricted_over_test",
    "rise_of_gini",
    "time_of_excluded",
    "time_of_restricted",
]


def _chance(measures: xr.Dataset) -> float:
    """The loss of a guess, log p, from the number of frequencies of an odd p."""
    if "frequency" not in measures.sizes:
        raise NotTestable("the run has no measure of frequencies")
    return math.log(2 * measures.sizes["frequency"] + 1)


def final(measures: xr.Dataset, name: str) -> np.ndarray:
    """A measure of the last network of each seed that grokked."""
    t = Transition(measures)
    return np.where(t.grokking.observed, t.last(t.series(name)), np.nan)


def few_keys(measures: xr.Dataset, least: int, most: int) -> np.ndarray:
    """Whether a seed groks, and its last network has between ``least`` and ``most`` key frequencies."""
    t = Transition(measures)
    need(measures, "key_frequencies")
    values = measures["key_frequencies"].transpose(..., "frequency", "step").to_numpy()
    counts = values.reshape(-1, *values.shape[-2:])[:, :, -1].sum(axis=1)
    if np.isnan(counts).all():
        raise NotTestable("key_frequencies was measured for no seed")
    return t.condition(t.grokking.observed & (counts >= least) & (counts <= most), counts)


def _test_falls(t: Transition, level: float) -> np.ndarray:
    """When test loss falls below half of chance, for seeds that grok."""
    return np.where(t.grokking.observed, t.crossing(t.series("test_loss"), level, "<"), np.nan)


def time_of_restricted(measures: xr.Dataset) -> np.ndarray:
    """When the restricted loss (test pairs) falls below half of chance, over when the test loss does."""
    t = Transition(measures)
    level = _chance(measures) / 2
    return ratio(t.crossing(t.series("restricted_loss", split="test"), level, "<"), _test_falls(t, level))


def time_of_excluded(measures: xr.Dataset) -> np.ndarray:
    """When the excluded loss, after memorization, exceeds half of chance, over when the test loss falls."""
    t = Transition(measures)
    level = _chance(measures) / 2
    excluded = t.series("excluded_loss")
    # before memorization it is high because nothing is learned yet
    later = np.where(t.steps >= t.memorization.upper[:, None], excluded, np.nan)
    return ratio(t.crossing(later, level, ">"), _test_falls(t, level))


def excluded_over_chance(measures: xr.Dataset) -> np.ndarray:
    """The excluded loss of the last network over log p, for seeds that grok."""
    return final(measures, "excluded_loss") / _chance(measures)


def restricted_over_test(measures: xr.Dataset) -> np.ndarray:
    """log10 of restricted loss (test pairs) over test loss, of the last network of seeds that grok."""
    t = Transition(measures)
    restricted = t.last(t.series("restricted_loss", split="test"))
    found = ratio(restricted, t.last(t.series("test_loss")))
    usable = t.grokking.observed & (found > 0)
    return np.log10(found, out=np.full(len(found), np.nan), where=usable)


def rise_of_gini(measures: xr.Dataset) -> np.ndarray:
    """The Gini coefficient of the embedding's spectrum at the end, less that at memorization."""
    t = Transition(measures)
    values = t.series("embedding_gini")
    rise = t.last(values) - t.at(values, t.memorization.upper)
    return np.where(t.grokking.observed, rise, np.nan)


def fraction_of_norm(measures: xr.Dataset) -> np.ndarray:
    """The squared norm of all weights at the end over that at memorization, for seeds that grok."""
    t = Transition(measures)
    squared = t.series("weight_norm") ** 2
    found = ratio(t.last(squared), t.at(squared, t.memorization.upper))
    return np.where(t.grokking.observed, found, np.nan)
