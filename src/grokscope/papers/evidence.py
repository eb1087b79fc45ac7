"""Evidence for claims about grokking: from a run's measures to one number, or one truth value, per seed.

A claim's evidence is a function of the measures of its experiment (see `grokscope.claims.Claim`). These are
the parts that such functions are made of. Conventions:

- ``measures`` is an `xarray.Dataset` over ``seed`` and ``step`` with train_accuracy and test_accuracy. The
  members may also lie along crossed streams; results have one row per member.
- A curve is an array [seed, step] of floats. NaN means not measured, or measured after divergence.
- A truth value is 1.0, 0.0, or NaN where a seed was not measured.
- Measures of a sweep are over its axes too. A seed draws the same data and start in every cell of one shape,
  so cells are compared within a seed.
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

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from grokscope.claims import Effect, NotTestable, need
from grokscope.errors import InputError
from grokscope.spec.events import Event, diverged_steps, event_of, member_curves
from grokscope.statistics import CensoredTimes, censored_regression, event_times, paired_ratios

if TYPE_CHECKING:
    import xarray as xr

__all__ = [
    "EARLY_LEVEL",
    "ONE_SEED_IN_TEN",
    "all_of",
    "crossing_times",
    "curve",
    "difference",
    "exponents",
    "final_value",
    "finished_seeds",
    "first_below",
    "first_crossing",
    "first_of_both",
    "grokked",
    "grokking_times",
    "happened_in",
    "largest_value",
    "last",
    "late_median",
    "memorization_times",
    "need_axis",
    "neuron_curves",
    "part_of",
    "phase_of",
    "pseudovalues",
    "ratio",
    "ratio_of_splits",
    "steps_of",
    "steps_to",
    "times_in",
    "truth_values",
    "value_at",
    "within",
]

ONE_SEED_IN_TEN = Effect(0.1, "one seed in ten behaves otherwise")  # the usual effect of claims about a share
#: Training accuracy of the earlier anchor of memorization. The last percents are partly the work of
#: generalization: claims R4 to R6 of `two_circuits` say when random labels are fitted as far.
EARLY_LEVEL = 0.95
_LAST_EPOCHS = 50

# ---------------------------------------------------------------- seeds and events


def finished_seeds(measures: xr.Dataset) -> np.ndarray:
    """Booleans [seed]: trained to the end, or diverged. Other seeds are no evidence for or against a claim.

    Raises:
        NotTestable: if the measures of memorization or grokking (train and test accuracy) are missing.
    """
    first = _needed_events(measures)["memorization"].measure
    finished = np.asarray(~np.isnan(member_curves(measures[first])).all(axis=1))
    if "complete" in measures.variables:
        complete = measures.variables["complete"].to_numpy().astype(bool).ravel()
        finished &= complete | np.isfinite(diverged_steps(measures))
    return finished


def _needed_events(measures: xr.Dataset) -> dict[str, Event]:
    """Memorization and grokking as the run defines them; their measures must be there."""
    events = {name: event_of(measures, name) for name in ("memorization", "grokking")}
    need(measures, *(event.measure for event in events.values()))
    return events


def memorization_times(measures: xr.Dataset, level: float | None = None) -> CensoredTimes:
    """When each seed memorized, in steps; interval-censored by the schedule, right-censored at the end.

    Args:
        measures: the run's.
        level: training accuracy in place of the event's own (0.98), as `EARLY_LEVEL`.

    Raises:
        NotTestable: if the measures of memorization or grokking (train and test accuracy) are missing.

    Example:
        >>> import xarray as xr
        >>> accuracy = [np.minimum(np.arange(20) / 15, 1)]
        >>> data = {name: (("seed", "step"), accuracy) for name in ("train_accuracy", "test_accuracy")}
        >>> measures = xr.Dataset(data, {"step": np.arange(20)})
        >>> [memorization_times(measures, level).upper.tolist() for level in (None, 0.9)]
        [[15.0], [14.0]]
    """
    event = _needed_events(measures)["memorization"]
    return (event if level is None else replace(event, threshold=level)).times(measures)


def grokking_times(measures: xr.Dataset) -> CensoredTimes:
    """When each seed grokked, in steps; interval-censored by the schedule, right-censored at the end.

    Raises:
        NotTestable: if the measures of memorization or grokking (train and test accuracy) are missing.
    """
    return _needed_events(measures)["grokking"].times(measures)


def grokked(measures: xr.Dataset) -> np.ndarray:
    """Truth values [seed]: whether the seed grokked; NaN for seeds that were not trained to the end.

    Raises:
        NotTestable: if the measures of memorization or grokking (train and test accuracy) are missing.
    """
    return np.where(finished_seeds(measures), grokking_times(measures).observed, np.nan)


# ---------------------------------------------------------------- curves


def steps_of(measures: xr.Dataset) -> np.ndarray:
    """The measured steps [step], as floats."""
    return measures.variables["step"].to_numpy().astype(np.float64)


def curve(measures: xr.Dataset, name: str, **labels: str | int) -> np.ndarray:
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


def last(measures: xr.Dataset, name: str, **labels: str | int) -> np.ndarray:
    """A measure of the last network of each seed [seed]; NaN if not measured there, or diverged.

    Args:
        measures: the run's.
        name: of the measure.
        labels: where on the measure's other axes, as ``subnetwork="generalizing", split="test"``.

    Raises:
        NotTestable: if it was not measured for any finished seed.

    Example:
        >>> import xarray as xr
        >>> data = {name: (("seed", "step"), [[0.5, 1.0]]) for name in ("train_accuracy", "test_accuracy")}
        >>> last(xr.Dataset(data, {"step": [0, 10]}), "test_accuracy").tolist()
        [1.0]
    """
    return final_value(curve(measures, name, **labels))


def largest_value(values: np.ndarray) -> np.ndarray:
    """Each seed's largest value [seed] in a curve [seed, step]; NaN if nothing was measured.

    Example:
        >>> largest_value(np.array([[0.2, np.nan, 0.1], [np.nan] * 3])).tolist()
        [0.2, nan]
    """
    largest = np.max(values, axis=1, initial=-np.inf, where=~np.isnan(values))
    return np.where(np.isfinite(largest), largest, np.nan)


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


def crossing_times(
    measures: xr.Dataset, values: np.ndarray, threshold: float | np.ndarray, comparison: Literal[">", "<"]
) -> CensoredTimes:
    """When a curve is across its threshold, from then on at 5 measured points; right-censored if it is not.

    Args:
        measures: the run's, for the steps of the points and of divergence.
        values: the curve [seed, step].
        threshold: one, or one for each seed; a seed with NaN has no crossing.
        comparison: of the curve with the threshold.

    Example:
        >>> import xarray as xr
        >>> measures = xr.Dataset(coords={"seed": [0, 1], "step": range(0, 80, 10)})
        >>> rising = np.array([[0, 0, 1, 1, 1, 1, 1, 1], [0, 0, 0, 0, 0, 0, 0, 1]])
        >>> times = crossing_times(measures, rising, 0.5, ">")
        >>> times.lower.tolist(), times.upper.tolist()
        ([10.0, 60.0], [20.0, inf])
    """
    shifted = values - np.broadcast_to(np.asarray(threshold, dtype=np.float64), len(values))[:, None]
    return event_times(steps_of(measures), shifted, 0.0, comparison, 5, diverged=diverged_steps(measures))


def first_crossing(
    measures: xr.Dataset, values: np.ndarray, threshold: float | np.ndarray, comparison: Literal[">", "<"]
) -> np.ndarray:
    """The step [seed] at which `crossing_times` sees the crossing; inf if never.

    Example:
        >>> import xarray as xr
        >>> measures = xr.Dataset(coords={"seed": [0, 1], "step": range(0, 80, 10)})
        >>> rising = np.array([[0, 0, 1, 1, 1, 1, 1, 1], [0, 0, 0, 0, 0, 0, 0, 1]])
        >>> first_crossing(measures, rising, 0.5, ">").tolist()
        [20.0, inf]
    """
    return crossing_times(measures, values, threshold, comparison).upper


def first_below(steps: np.ndarray, loss: np.ndarray, level: float) -> np.ndarray:
    """When each curve [seed, step] is first down at a level [seed]: log loss is linear between points.

    0 where it starts there; NaN where it never is.

    Example:
        >>> first_below(np.array([0.0, 10, 20]), np.array([[1.0, 1e-2, 1e-4], [1.0, 1, 1]]), 1e-3).tolist()
        [15.0, nan]
    """
    result = np.full(len(loss), np.nan)
    for i, values in enumerate(loss):
        known = np.isfinite(values)
        t, v = steps[known], values[known]
        below = np.flatnonzero(v <= level)
        if not len(below):
            continue
        k = int(below[0])
        if k == 0 or v[k] <= 0:
            result[i] = t[k]
            continue
        share = math.log(v[k - 1] / level) / math.log(v[k - 1] / v[k])
        result[i] = t[k - 1] + share * (t[k] - t[k - 1])
    return result


def ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """``above / below``; NaN where one is not finite, or ``below`` is not positive.

    Example:
        >>> ratio(np.array([1.0, 1.0, np.inf]), np.array([2.0, 0.0, 1.0])).tolist()
        [0.5, nan, nan]
    """
    good = np.isfinite(above) & np.isfinite(below) & (below > 0)
    return np.divide(above, below, out=np.full(np.shape(above), np.nan), where=good)


def first_of_both(one: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of two runs, [seed] or [seed, ...], of the seeds that both have: the first of the longer list.

    Example:
        >>> one, other = first_of_both(np.array([3.0, 5.0]), np.array([1.0]))
        >>> one.tolist(), other.tolist()
        ([3.0], [1.0])
    """
    n = min(len(one), len(other))
    return one[:n], other[:n]


def difference(above: xr.Dataset, below: xr.Dataset, of: Callable[[xr.Dataset], np.ndarray]) -> np.ndarray:
    """A number of each seed of one run less that of another run, over the first seeds of both [seed].

    Args:
        above: measures of the one run.
        below: those of the other, of the same seeds; it may have fewer or more.
        of: from measures to the number [seed].

    Example:
        >>> import xarray as xr
        >>> one, other = (xr.Dataset({"size": ("seed", sizes)}) for sizes in ([3.0, 5.0], [1.0]))
        >>> difference(one, other, of=lambda measures: measures["size"].to_numpy()).tolist()
        [2.0]
    """
    upper, lower = first_of_both(of(above), of(below))
    return upper - lower


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
        NotTestable: if the measures of memorization or grokking (train and test accuracy) are missing.
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


# ---------------------------------------------------------------- steps to an accuracy, of a run


def steps_to(measures: xr.Dataset, split: str, level: float = 0.99) -> CensoredTimes:
    """When accuracy is first at least a level, at one measured step; right-censored at the end of the run.

    Args:
        measures: of a run.
        split: ``train`` or ``test``.
        level: of the accuracy.

    Returns:
        One entry per seed. Nothing is known (0 to infinity) of a seed that was not measured.

    Raises:
        NotTestable: if the accuracy was measured for no seed.

    Example:
        >>> import xarray as xr
        >>> accuracy = [[0.2, 0.9, 1.0], [0.1, 0.1, 0.1]]
        >>> measures = xr.Dataset({"test_accuracy": (("seed", "step"), accuracy)}, {"step": [0, 50, 100]})
        >>> times = steps_to(measures, "test", level=0.9)
        >>> times.lower.tolist(), times.upper.tolist()
        ([0.0, 100.0], [50.0, inf])
    """
    name = f"{split}_accuracy"
    need(measures, name)
    if np.isnan(member_curves(measures[name])).all():
        raise NotTestable(f"{name} was measured for no seed")
    return Event(f"{level:g}", name, ">=", level, 1).times(measures)


def ratio_of_splits(measures: xr.Dataset) -> CensoredTimes:
    """Steps to 99 % test accuracy over steps to 99 % training accuracy, as censored ratios [seed].

    Raises:
        NotTestable: if one of the accuracies was measured for no seed.

    Example:
        >>> import xarray as xr
        >>> curves = {"train_accuracy": [[0.2, 1.0, 1.0]], "test_accuracy": [[0.1, 0.2, 0.3]]}
        >>> data = {name: (("seed", "step"), curve) for name, curve in curves.items()}
        >>> found = ratio_of_splits(xr.Dataset(data, {"step": [0, 50, 100]}))
        >>> found.lower.tolist(), found.upper.tolist()  # not reached by step 100
        ([2.0], [inf])
    """
    return paired_ratios(steps_to(measures, "test"), steps_to(measures, "train"))


# ---------------------------------------------------------------- cells of a sweep


def need_axis(measures: xr.Dataset | xr.DataArray, name: str) -> None:
    """Check that measures of a sweep lie along an axis.

    Raises:
        NotTestable: if they do not.

    Example:
        >>> import xarray as xr
        >>> measures = xr.Dataset({"test_accuracy": (("width", "seed"), [[0.5], [1.0]])}, {"width": [8, 32]})
        >>> need_axis(measures, "width")
        >>> try:
        ...     need_axis(measures, "depth")
        ... except NotTestable as error:
        ...     print(error)
        the sweep has no axis 'depth'
    """
    if name not in measures.dims:
        raise NotTestable(f"the sweep has no axis {name!r}")


def part_of(measures: xr.Dataset, **settings: Any) -> xr.Dataset:
    """The measures of the cells that have these values on these axes; the axes are dropped.

    Raises:
        NotTestable: if the sweep has no such axis or value.

    Example:
        >>> import xarray as xr
        >>> measures = xr.Dataset({"test_accuracy": (("width", "seed"), [[0.5], [1.0]])}, {"width": [8, 32]})
        >>> part_of(measures, width=32)["test_accuracy"].values.tolist()
        [1.0]
    """
    for name, value in settings.items():
        need_axis(measures, name)
        labels = measures[name].to_numpy()
        same = np.isclose(labels, value, rtol=1e-6, atol=0) if labels.dtype.kind in "fiu" else labels == value
        if not same.any():
            raise NotTestable(f"the sweep has no cell with {name} {value}")
        measures = measures.isel({name: int(np.argmax(same))})
    return measures


def times_in(measures: xr.Dataset, what: str, **settings: Any) -> CensoredTimes:
    """Times of an event in one cell, in steps; one entry per seed.

    Args:
        measures: of a sweep, or of a part of one.
        what: ``memorization``, ``grokking``, ``delay`` (from the former to the latter), or another event.
        settings: the cell, by the names of the axes that are left.

    Raises:
        NotTestable: if there is no such cell, or it was not measured for every seed.

    Example:
        >>> import xarray as xr
        >>> curves = np.where(np.arange(0, 100, 10) < [[[30]], [[60]]], 0.5, 1.0)  # [width, seed, step]
        >>> coords = {"width": [8, 32], "step": range(0, 100, 10)}
        >>> measures = xr.Dataset({"test_accuracy": (("width", "seed", "step"), curves)}, coords)
        >>> times_in(measures, "grokking", width=8).upper.tolist()
        [30.0]
    """
    if what == "delay":
        return times_in(measures, "grokking", **settings) - times_in(measures, "memorization", **settings)
    event = event_of(measures, what)
    need(measures, event.measure)
    cell = part_of(measures[[event.measure]], **settings)  # with the coordinate `diverged_step`
    if not np.isfinite(cell[event.measure].to_numpy()).any(axis=-1).all():
        where = ", ".join(f"{name} {value}" for name, value in settings.items())
        raise NotTestable(f"{event.measure} was not measured for every seed ({where})")
    return event.times(cell)


def happened_in(measures: xr.Dataset, what: str, along: str, **settings: Any) -> np.ndarray:
    """Booleans [cell, seed]: whether an event happened within the run, in each cell along an axis.

    Args:
        measures: of a sweep.
        what: ``memorization``, ``grokking`` or another event.
        along: the axis.
        settings: values on the sweep's other axes.

    Raises:
        NotTestable: if there is no such cell, or one was not measured for every seed.

    Example:
        >>> import xarray as xr
        >>> curves = np.where(np.arange(0, 100, 10) < [[[30]], [[90]]], 0.5, 1.0)  # [width, seed, step]
        >>> coords = {"width": [8, 32], "step": range(0, 100, 10)}
        >>> measures = xr.Dataset({"test_accuracy": (("width", "seed", "step"), curves)}, coords)
        >>> happened_in(measures, "grokking", "width").tolist()
        [[True], [False]]
    """
    need_axis(measures, along)
    cells = [{along: value, **settings} for value in measures[along].to_numpy()]
    return np.array([times_in(measures, what, **cell).observed for cell in cells])


def phase_of(measures: xr.Dataset, **settings: Any) -> np.ndarray:
    """The phase of each seed in one cell, as text [seed]: one of `grokscope.sweeps.PHASES`.

    Raises:
        NotTestable: if there is no such cell, or it was not measured for every seed.

    Example:
        >>> import xarray as xr
        >>> train, test = (np.where(np.arange(0, 9000, 500) < step, 0.5, 1.0) for step in (1000, 4000))
        >>> dims, coords = ("seed", "step"), {"step": range(0, 9000, 500)}
        >>> data = {"train_accuracy": (dims, [train]), "test_accuracy": (dims, [test])}
        >>> phase_of(xr.Dataset(data, coords)).tolist()
        ['grokking']
    """
    from grokscope.sweeps import PHASES, phases

    codes = phases({what: times_in(measures, what, **settings) for what in ("memorization", "grokking")})
    return np.array(PHASES)[codes.astype(np.int64)]


# ---------------------------------------------------------------- fits over cells and seeds


def exponents(
    measures: xr.Dataset, what: str, over: Sequence[str], where: Callable[..., bool] = lambda **_: True
) -> np.ndarray:
    r"""Exponents $b_a$ of a power law $T \propto \prod_a a^{b_a}$ of a time, as pseudo-values [axis, seed].

    One censored regression of log T on the logarithms of the axes over all cells and seeds
    (`grokscope.statistics.censored_regression`). A seed's pseudo-value says how much the fit depends on that
    seed (see `pseudovalues`); the cells of one seed need not be independent.

    Args:
        measures: of a sweep.
        what: ``memorization``, ``grokking``, ``delay``, or another event of the run.
        over: the sweep's axes, with positive numbers where they are used.
        where: from a cell's values on these axes (as keywords) to whether the cell is used.

    Raises:
        NotTestable: if the cells do not determine the exponents.

    Example:
        >>> import xarray as xr
        >>> groks = np.array([[[30]], [[120]]]) + np.array([[0], [10], [20]])  # [width, seed, 1]
        >>> curves = np.where(np.arange(0, 300, 10) < groks, 0.5, 1.0)
        >>> dims, coords = ("width", "seed", "step"), {"width": [10.0, 100.0], "step": range(0, 300, 10)}
        >>> data = {"train_accuracy": (dims, np.ones_like(curves)), "test_accuracy": (dims, curves)}
        >>> exponents(xr.Dataset(data, coords), "grokking", ["width"]).shape
        (1, 3)
    """
    named = {"memorization", "grokking", what} - {"delay"}
    names = sorted({event_of(measures, name).measure for name in named})
    need(measures, *names)
    cells = [
        cell
        for cell in np.ndindex(*(measures.sizes[name] for name in over))
        if where(**{name: float(measures[name][i]) for name, i in zip(over, cell, strict=True)})
    ]
    if not cells:
        raise NotTestable("the sweep has no such cell")
    curves = measures[names]
    logs, lows, highs, lost = [], [], [], []
    for cell in cells:
        times = times_in(curves.isel(dict(zip(over, cell, strict=True))), what)
        logs.append([np.log(float(measures[name][i])) for name, i in zip(over, cell, strict=True)])
        # A delay may be 0, which has no logarithm: it then lies between 0 and 1.
        lows.append(np.maximum(times.lower, 0.0))
        highs.append(np.maximum(times.upper, 1.0))
        lost.append(times.diverged)
    low, high, diverged = (np.stack(one) for one in (lows, highs, lost))  # [cell, seed]
    design = np.array(logs)

    def fitted(seeds: np.ndarray) -> np.ndarray:
        times = CensoredTimes(*(one[:, seeds].ravel() for one in (low, high, diverged)))
        try:
            return censored_regression(times, np.repeat(design, len(seeds), axis=0)).coefficients[1:]
        except InputError as error:
            raise NotTestable(str(error)) from None

    return pseudovalues(fitted, low.shape[1])


def pseudovalues(fit: Callable[[np.ndarray], np.ndarray], n: int) -> np.ndarray:
    r"""The jackknife's pseudo-values $n \hat\theta - (n - 1)\,\hat\theta_{-i}$ [parameter, i].

    Their mean is close to the estimate, and Student's interval of them is that of the jackknife.

    Args:
        fit: from indices of units (seeds) to estimates [parameter].
        n: the number of units.

    Raises:
        NotTestable: if there are fewer than three units.

    Source: Tukey 1958; Efron and Tibshirani 1993, Section 11.5.

    Example:
        >>> values = np.array([1.0, 2.0, 6.0])
        >>> pseudovalues(lambda chosen: values[chosen].mean(keepdims=True), 3).tolist()
        [[1.0, 2.0, 6.0]]
    """
    if n < 3:
        raise NotTestable(f"{n} seeds; leaving each out in turn needs 3")
    every = np.arange(n)
    whole = fit(every)
    return np.stack([n * whole - (n - 1) * fit(np.delete(every, i)) for i in every], axis=1)
