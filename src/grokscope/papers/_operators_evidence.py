"""What claims about binary operators are judged by: the plateau, steps to 99 %, ratios of these.

Each function returns a number per seed, NaN where it was not measured or does not exist for that seed.
Functions of two runs pair their seeds by position; both have the same seeds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from grokscope.claims import NotTestable, need
from grokscope.papers._transition import Transition, ratio
from grokscope.spec.events import Event, member_curves

if TYPE_CHECKING:
    import xarray as xr

__all__ = [
    "best_accuracy",
    "difference_on_plateau",
    "growth_per_percent",
    "mean_on_plateau",
    "plateau",
    "plateau_over_mirrors",
    "ratio_of_splits",
    "ratio_of_steps",
    "steps_to",
]

# Held-out pairs without a mirror in the training set are past guessing: the network begins to generalize.
_BEGINS = 0.25


def _window(t: Transition) -> np.ndarray:
    """Points from memorization to where accuracy on pairs without a mirror leaves chance."""
    learned = t.memorization.upper[:, None]
    begins = t.crossing(t.series("test_accuracy_unmirrored"), _BEGINS, ">")[:, None]
    return (t.steps >= learned) & (t.steps < begins)


def _median(values: np.ndarray, window: np.ndarray) -> np.ndarray:
    inside = np.where(window, values, np.nan)
    result = np.full(len(values), np.nan)
    some = ~np.isnan(inside).all(axis=1)
    result[some] = np.nanmedian(inside[some], axis=1)
    return result


def plateau(measures: xr.Dataset) -> np.ndarray:
    """Test accuracy on the plateau: the median from memorization to the beginning of generalization.

    That begins where accuracy on held-out pairs whose mirror is held out too exceeds 0.25 at 5 measured
    points in a row; where it never does, the plateau lasts to the end.
    """
    t = Transition(measures)
    return _median(t.series("test_accuracy"), _window(t))


def mean_on_plateau(measures: xr.Dataset) -> np.ndarray:
    """The same as the mean over the plateau's points, which tells networks apart that have a median of 0."""
    t = Transition(measures)
    values = t.series("test_accuracy")
    inside = np.where(_window(t), values, np.nan)
    counted = (~np.isnan(inside)).sum(axis=1)
    return np.where(counted > 0, np.nansum(inside, axis=1) / np.maximum(counted, 1), np.nan)


def plateau_over_mirrors(measures: xr.Dataset) -> np.ndarray:
    """Test accuracy on the plateau over the share of held-out pairs with their mirror in the training set."""
    t = Transition(measures)
    return ratio(plateau(measures), t.at(t.series("mirror_share"), t.memorization.upper))


def difference_on_plateau(measures: xr.Dataset) -> np.ndarray:
    """Accuracy on the plateau on pairs with a mirror in the training set, less that on the others."""
    t = Transition(measures)
    window = _window(t)
    with_mirror, without = (
        _median(t.series(name), window) for name in ("test_accuracy_mirrored", "test_accuracy_unmirrored")
    )
    return with_mirror - without


def steps_to(measures: xr.Dataset, split: str, level: float = 0.99) -> tuple[np.ndarray, np.ndarray]:
    """The first measured step with an accuracy of ``level`` or more, and whether there is one.

    Where there is none the step is the last of the run: a lower bound.
    """
    name = f"{split}_accuracy"
    need(measures, name)
    if np.isnan(member_curves(measures[name])).all():
        raise NotTestable(f"{name} was measured for no seed")
    steps = Event(f"{level:g}", name, ">=", level, 1).times(measures).upper
    unknown = np.isnan(member_curves(measures[name])).all(axis=1)
    last = float(measures["step"].max())
    found = np.where(np.isfinite(steps), np.maximum(steps, 1.0), last)
    return np.where(unknown, np.nan, found), np.isfinite(steps)


def ratio_of_steps(above: xr.Dataset, below: xr.Dataset, split: str = "test") -> np.ndarray:
    """Steps to 99 % of one run over those of another; NaN where the other does not get there.

    Where the one does not get there its last step counts: the ratio is then a lower bound.
    """
    upper, _ = steps_to(above, split)
    lower, there = steps_to(below, split)
    return np.where(there, ratio(*_paired(upper, lower)), np.nan)


def ratio_of_splits(measures: xr.Dataset) -> np.ndarray:
    """Steps to 99 % test accuracy over those to 99 % training accuracy; NaN where the latter is not reached.

    A lower bound where the former is not.
    """
    test, _ = steps_to(measures, "test")
    train, learned = steps_to(measures, "train")
    return np.where(learned, ratio(test, train), np.nan)


def growth_per_percent(less: xr.Dataset, more: xr.Dataset, percent: float) -> np.ndarray:
    r"""By how much steps to 99 % test accuracy grow for each percent less data: $(T_l / T_m)^{1/d} - 1$.

    A lower bound where the run with less data does not get there; NaN where that with more does not.
    """
    return ratio_of_steps(less, more) ** (1 / percent) - 1


def best_accuracy(measures: xr.Dataset) -> np.ndarray:
    """The best test accuracy at any measured step."""
    t = Transition(measures)
    values = t.series("test_accuracy")
    result = np.full(len(values), np.nan)
    some = ~np.isnan(values).all(axis=1)
    result[some] = np.nanmax(values[some], axis=1)
    return result


def _paired(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if len(a) != len(b):
        raise NotTestable(f"the runs have {len(a)} and {len(b)} seeds, and cannot be paired")
    return a, b
