"""Reading a run around the transition: values at an event, before and after it, and when a curve turns.

The claims of grokking papers are built from these. Everything is per seed; NaN means not measured, and what
a seed that never gets there should count as is left to the claim.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Literal

import numpy as np

from grokscope.claims import NotTestable, need
from grokscope.spec.events import GROKKING, MEMORIZATION, diverged_steps, member_curves
from grokscope.statistics import CensoredTimes, event_times

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Transition", "ratio"]

_LAST_EPOCHS = 50


class Transition:
    """A run's measures, read from its memorization and grokking steps.

    Attributes:
        measures: the run's.
        steps, epochs: of the measured points.

    Raises:
        NotTestable: if train or test accuracy was not measured.
    """

    def __init__(self, measures: xr.Dataset) -> None:
        need(measures, "train_accuracy", "test_accuracy")
        self.measures = measures
        self.steps = measures["step"].to_numpy().astype(np.float64)
        self.epochs = measures["epoch"].to_numpy().astype(np.float64)

    @cached_property
    def known(self) -> np.ndarray:
        """Seeds that were trained to their end, or diverged; the others say nothing."""
        known = np.asarray(~np.isnan(member_curves(self.measures["train_accuracy"])).all(axis=1))
        if "complete" in self.measures.coords:
            known &= self.measures["complete"].to_numpy().astype(bool).ravel() | np.isfinite(self.diverged)
        return known

    @cached_property
    def diverged(self) -> np.ndarray:
        """Step of divergence; inf for the others."""
        return diverged_steps(self.measures)

    @cached_property
    def memorization(self) -> CensoredTimes:
        """When each seed memorized."""
        return MEMORIZATION.times(self.measures)

    @cached_property
    def grokking(self) -> CensoredTimes:
        """When each seed grokked."""
        return GROKKING.times(self.measures)

    def series(self, measure: str, **labels: str) -> np.ndarray:
        """A measure [seed, step], at the given labels of its other axes.

        Raises:
            NotTestable: if it was not measured for any seed that is known.
        """
        need(self.measures, measure)
        values = member_curves(self.measures[measure].sel(labels))
        if np.isnan(values[self.known]).all():
            raise NotTestable(f"{measure} was measured for no seed")
        # What a network that is lost measures, means nothing.
        return np.where(self.steps < self.diverged[:, None], values, np.nan)

    def neurons(self, measure: str) -> tuple[np.ndarray, np.ndarray]:
        """A measure of each neuron [seed, neuron, point], and the steps of the points it was taken at.

        Raises:
            NotTestable: if it was taken at fewer than two points.
        """
        need(self.measures, measure)
        values = self.measures[measure].transpose(..., "neuron", "step")
        # One neuron shows when: the array is large, and most of it was never taken.
        taken = ~np.isnan(member_curves(values.isel(neuron=0))).all(axis=0)
        if taken.sum() < 2:
            raise NotTestable(f"{measure} was measured at {taken.sum()} steps; it needs 2")
        array = values.isel(step=np.flatnonzero(taken)).to_numpy()
        array = array.reshape(-1, *array.shape[-2:])
        lost = self.steps[taken] >= self.diverged[:, None, None]
        return np.where(lost, np.nan, array), self.steps[taken]

    def at(self, values: np.ndarray, steps: np.ndarray) -> np.ndarray:
        """Each seed's value at the last measured point up to its own step; NaN where the step is infinite."""
        result = np.full(len(values), np.nan)
        for i, step in enumerate(steps):
            taken = ~np.isnan(values[i]) & (self.steps <= step)
            if np.isfinite(step) and taken.any():
                result[i] = values[i, np.flatnonzero(taken)[-1]]
        return result

    def last(self, values: np.ndarray) -> np.ndarray:
        """Each seed's value at the last point of the run; NaN where it was not measured there."""
        return values[:, -1].copy()

    def median_of_last(self, values: np.ndarray, epochs: float = _LAST_EPOCHS) -> np.ndarray:
        """Each seed's median over the measured points of the last epochs; NaN if the run ends in NaN."""
        late = values[:, self.epochs > self.epochs[-1] - epochs]
        result = np.full(len(values), np.nan)
        lasting = ~np.isnan(late[:, -1])
        if lasting.any():
            result[lasting] = np.nanmedian(late[lasting], axis=1)
        return result

    def crossing(
        self, values: np.ndarray, threshold: float | np.ndarray, comparison: Literal[">", "<"]
    ) -> np.ndarray:
        """The step from which on each seed's curve is across its threshold at 5 points; inf if never."""
        shifted = values - np.broadcast_to(np.asarray(threshold, dtype=np.float64), len(values))[:, None]
        # A seed without a threshold has no crossing.
        return event_times(self.steps, shifted, 0.0, comparison, 5, diverged=self.diverged).upper

    def condition(self, true: np.ndarray, *used: np.ndarray) -> np.ndarray:
        """Evidence for a share: 1 or 0 per seed, NaN for seeds not known.

        A seed that diverged, or did not reach the event that the condition speaks of, does not show what is
        claimed, and counts as 0. A seed that reached it, but lacks a value in ``used``, was not measured.
        """
        result = np.where(self.known, np.asarray(true, dtype=np.float64), np.nan)
        reached = self.grokking.observed & self.memorization.observed & ~np.isfinite(self.diverged)
        for values in used:
            result = np.where(reached & np.isnan(values), np.nan, result)
        return result


def ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """``above / below``; NaN where one is not finite, or the lower one is not positive."""
    good = np.isfinite(above) & np.isfinite(below) & (below > 0)
    return np.divide(above, below, out=np.full(np.shape(above), np.nan), where=good)
