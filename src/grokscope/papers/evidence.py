"""Evidence for claims about grokking: from a run's measures to one number, or one truth value, per seed.

A claim's evidence is a function of the measures of its experiment (see `grokscope.claims.Claim`). These are
the parts that such functions are made of. Conventions:

- ``measures`` is an `xarray.Dataset` over ``seed`` and ``step`` with train_accuracy and test_accuracy. The
  members may also lie along crossed streams; results have one row per member.
- A curve is an array [seed, step] of floats. NaN means not measured, or measured after divergence.
- A truth value is 1.0, 0.0, or NaN where a seed was not measured.
- A function raises `NotTestable` where a whole measure is missing. The claim is then "not testable", and the
  message is the reason.

Example:
    How much a measure falls between the two events, as evidence for a mean over seeds:

    >>> def fall_of_norm(measures):
    ...     norm = curve(measures, "weight_norm")
    ...     at_memorization = value_at(measures, norm, memorization_times(measures).upper)
    ...     return at_memorization - value_at(measures, norm, grokking_times(measures).upper)
    >>> import xarray as xr
    >>> step = np.arange(0, 100, 10)
    >>> measures = xr.Dataset(
    ...     {
    ...         "train_accuracy": (("seed", "step"), [np.where(step < 20, 0.5, 1.0)] * 2),
    ...         "test_accuracy": (("seed", "step"), [np.where(step < 50, 0.5, 1.0), np.full(10, 0.5)]),
    ...         "weight_norm": (("seed", "step"), [100.0 - step, 200.0 - step]),
    ...     },
    ...     {"seed": [0, 1], "step": step, "epoch": ("step", step / 10)},
    ... )
    >>> fall_of_norm(measures).tolist()  # the second seed does not grok
    [30.0, nan]
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

import numpy as np

from grokscope.claims import NotTestable, need
from grokscope.spec.events import GROKKING, MEMORIZATION, diverged_steps, member_curves
from grokscope.statistics import CensoredTimes, event_times

if TYPE_CHECKING:
    import xarray as xr

__all__ = [
    "all_of",
    "curve",
    "final_value",
    "finished_seeds",
    "first_crossing",
    "grokked",
    "grokking_times",
    "late_median",
    "memorization_times",
    "neuron_curves",
    "ratio",
    "steps_of",
    "truth_values",
    "value_at",
    "within",
]

_LAST_EPOCHS = 50

# ---------------------------------------------------------------- seeds and events


def finished_seeds(measures: xr.Dataset) -> np.ndarray:
    """Booleans [seed]: trained to the end, or diverged. Other seeds are no evidence for or against a claim.

    Raises:
        NotTestable: if train or test accuracy was not measured.
    """
    need(measures, "train_accuracy", "test_accuracy")
    finished = np.asarray(~np.isnan(member_curves(measures["train_accuracy"])).all(axis=1))
    if "complete" in measures.coords:
        complete = measures["complete"].to_numpy().astype(bool).ravel()
        finished &= complete | np.isfinite(diverged_steps(measures))
    return finished


def memorization_times(measures: xr.Dataset) -> CensoredTimes:
    """When each seed memorized, in steps; interval-censored by the schedule, right-censored at the end.

    Raises:
        NotTestable: if train or test accuracy was not measured.
    """
    need(measures, "train_accuracy", "test_accuracy")
    return MEMORIZATION.times(measures)


def grokking_times(measures: xr.Dataset) -> CensoredTimes:
    """When each seed grokked, in steps; interval-censored by the schedule, right-censored at the end.

    Raises:
        NotTestable: if train or test accuracy was not measured.
    """
    need(measures, "train_accuracy", "test_accuracy")
    return GROKKING.times(measures)


def grokked(measures: xr.Dataset) -> np.ndarray:
    """Truth values [seed]: whether the seed grokked; NaN for seeds that were not trained to the end.

    Raises:
        NotTestable: if train or test accuracy was not measured.
    """
    return np.where(finished_seeds(measures), grokking_times(measures).observed, np.nan)


# ---------------------------------------------------------------- curves


def steps_of(measures: xr.Dataset) -> np.ndarray:
    """The measured steps [step], as floats."""
    return measures["step"].to_numpy().astype(np.float64)


def curve(measures: xr.Dataset, name: str, **labels: str) -> np.ndarray:
    """A measure as a curve [seed, step]; NaN from the step on at which a seed diverged.

    Args:
        measures: the run's.
        name: of the measure.
        labels: where on the measure's other axes, as ``subnetwork="generalizing", split="test"``.

    Raises:
        NotTestable: if it was not measured for any finished seed.
    """
    finished = finished_seeds(measures)
    need(measures, name)
    values = member_curves(measures[name].sel(labels))
    if np.isnan(values[finished]).all():
        raise NotTestable(f"{name} was measured for no seed")
    return np.where(steps_of(measures) < diverged_steps(measures)[:, None], values, np.nan)


def neuron_curves(measures: xr.Dataset, name: str) -> tuple[np.ndarray, np.ndarray]:
    """A measure of each neuron, at the points at which it was taken.

    Args:
        measures: the run's.
        name: of the measure, which has an axis ``neuron``.

    Returns:
        The values [seed, neuron, point], NaN from divergence on, and the steps of the points [point].

    Raises:
        NotTestable: if it was taken at fewer than two points.
    """
    need(measures, "train_accuracy", "test_accuracy", name)
    values = measures[name].transpose(..., "neuron", "step")
    # The first neuron shows which points were taken: the array is large, and mostly NaN.
    taken = ~np.isnan(member_curves(values.isel(neuron=0))).all(axis=0)
    if taken.sum() < 2:
        raise NotTestable(f"{name} was measured at {taken.sum()} steps; it needs 2")
    array = values.isel(step=np.flatnonzero(taken)).to_numpy()
    array = array.reshape(-1, *array.shape[-2:])
    steps = steps_of(measures)[taken]
    return np.where(steps >= diverged_steps(measures)[:, None, None], np.nan, array), steps


# ---------------------------------------------------------------- numbers from curves


def value_at(measures: xr.Dataset, values: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """Each seed's value [seed] at its last measured point up to its own step.

    Args:
        measures: the run's, for the steps of the points.
        values: the curve [seed, step].
        steps: one for each seed [seed]; where it is infinite, the result is NaN.

    Example:
        >>> import xarray as xr
        >>> measures = xr.Dataset(coords={"step": [0, 10, 20]})
        >>> value_at(measures, np.array([[1.0, 2.0, 3.0]] * 2), np.array([15, np.inf])).tolist()
        [2.0, nan]
    """
    points = steps_of(measures)
    result = np.full(len(values), np.nan)
    for i, step in enumerate(steps):
        taken = ~np.isnan(values[i]) & (points <= step)
        if np.isfinite(step) and taken.any():
            result[i] = values[i, np.flatnonzero(taken)[-1]]
    return result


def final_value(values: np.ndarray) -> np.ndarray:
    """Each seed's value [seed] at the last point of a curve [seed, step]; NaN if not measured there."""
    return values[:, -1].copy()


def late_median(measures: xr.Dataset, values: np.ndarray, epochs: float = _LAST_EPOCHS) -> np.ndarray:
    """Each seed's median [seed] over the points of the last epochs; NaN if the last point is NaN.

    Args:
        measures: the run's, for the epochs of the points.
        values: the curve [seed, step].
        epochs: how many.

    Example:
        >>> import xarray as xr
        >>> measures = xr.Dataset(coords={"step": [0, 32, 64], "epoch": ("step", [0, 1, 2])})
        >>> late_median(measures, np.array([[9.0, 2.0, 3.0]]), epochs=2).tolist()
        [2.5]
    """
    at = measures["epoch"].to_numpy().astype(np.float64)
    late = values[:, at > at[-1] - epochs]
    result = np.full(len(values), np.nan)
    lasting = ~np.isnan(late[:, -1])
    if lasting.any():
        result[lasting] = np.nanmedian(late[lasting], axis=1)
    return result


def first_crossing(
    measures: xr.Dataset, values: np.ndarray, threshold: float | np.ndarray, comparison: Literal[">", "<"]
) -> np.ndarray:
    """The step [seed] from which on a curve is across its threshold at 5 measured points; inf if never.

    Args:
        measures: the run's, for the steps of the points and of divergence.
        values: the curve [seed, step].
        threshold: one, or one for each seed; a seed with NaN has no crossing.
        comparison: of the curve with the threshold.

    Example:
        >>> import xarray as xr
        >>> measures = xr.Dataset(coords={"seed": [0, 1], "step": range(0, 80, 10)})
        >>> rising = np.array([[0, 0, 1, 1, 1, 1, 1, 1], [0, 0, 0, 0, 0, 0, 0, 1]])
        >>> first_crossing(measures, rising, 0.5, ">").tolist()
        [20.0, inf]
    """
    shifted = values - np.broadcast_to(np.asarray(threshold, dtype=np.float64), len(values))[:, None]
    lost = diverged_steps(measures)
    return event_times(steps_of(measures), shifted, 0.0, comparison, 5, diverged=lost).upper


def ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """``above / below``; NaN where one is not finite, or ``below`` is not positive.

    Example:
        >>> ratio(np.array([1.0, 1.0, np.inf]), np.array([2.0, 0.0, 1.0])).tolist()
        [0.5, nan, nan]
    """
    good = np.isfinite(above) & np.isfinite(below) & (below > 0)
    return np.divide(above, below, out=np.full(np.shape(above), np.nan), where=good)


# ---------------------------------------------------------------- truth values


def truth_values(measures: xr.Dataset, condition: np.ndarray, *used: np.ndarray) -> np.ndarray:
    """Evidence for a share: 1 or 0 per seed [seed], NaN for seeds that were not trained to the end.

    A seed that diverged, or did not reach an event that the condition depends on, does not show what is
    claimed and counts as 0. A seed that memorized and grokked but lacks a value in ``used`` is NaN.

    Args:
        measures: the run's.
        condition: booleans [seed].
        used: numbers [seed] from which the condition was computed.

    Raises:
        NotTestable: if train or test accuracy was not measured.
    """
    result = np.where(finished_seeds(measures), np.asarray(condition, dtype=np.float64), np.nan)
    reached = grokking_times(measures).observed & memorization_times(measures).observed
    reached &= ~np.isfinite(diverged_steps(measures))
    for values in used:
        result = np.where(reached & np.isnan(values), np.nan, result)
    return result


def within(measures: xr.Dataset, values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Truth values [seed]: whether each seed's number lies from ``low`` to ``high``; 0 where it has none."""
    return truth_values(measures, (values >= low) & (values <= high))


def all_of(*parts: Callable[[xr.Dataset], np.ndarray]) -> Callable[[xr.Dataset], np.ndarray]:
    """Evidence that is true where every part is: 0 where one part is 0, else NaN where one is NaN, else 1.

    Example:
        >>> both = all_of(lambda m: np.array([1, 1, 0]), lambda m: np.array([1, np.nan, np.nan]))
        >>> both(None).tolist()
        [1.0, nan, 0.0]
    """

    def evidence(measures: xr.Dataset) -> np.ndarray:
        values = np.stack([part(measures) for part in parts])
        failed = (values == 0).any(axis=0)
        return np.where(failed, 0.0, np.where(np.isnan(values).any(axis=0), np.nan, 1.0))

    return evidence
