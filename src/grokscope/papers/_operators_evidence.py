"""Evidence for C13 of the two-circuits paper: test accuracy on the plateau before generalization.

Each function returns a number per seed; NaN where it was not measured or does not exist for that seed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from grokscope.papers._transition import Transition, ratio

if TYPE_CHECKING:
    import xarray as xr

__all__ = [
    "difference_on_plateau",
    "mean_on_plateau",
    "plateau",
    "plateau_over_mirrors",
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
