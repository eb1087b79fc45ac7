"""Evidence that several papers share: steps to an accuracy, times in cells of a sweep, exponents of a fit.

Each function takes the measures of a run (over ``seed`` and ``step``) or of a sweep (over its axes too) and
returns one entry per seed. NaN means that a seed was not measured, or has no such number. A seed draws the
same data and start in every cell of one shape, so cells are compared within a seed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from grokscope.claims import Effect, NotTestable, need
from grokscope.errors import InputError
from grokscope.papers._transition import ratio
from grokscope.spec.events import GROKKING, MEMORIZATION, Event, member_curves
from grokscope.statistics import CensoredTimes, censored_regression

if TYPE_CHECKING:
    import xarray as xr

__all__ = [
    "ONE_SEED_IN_TEN",
    "exponents",
    "happened_in",
    "part_of",
    "phase_of",
    "pseudovalues",
    "ratio_of_splits",
    "steps_to",
    "times_in",
]

ONE_SEED_IN_TEN = Effect(0.1, "one seed in ten behaves otherwise")  # the usual effect of claims about a share

# ---------------------------------------------------------------- steps to an accuracy, of a run


def steps_to(measures: xr.Dataset, split: str, level: float = 0.99) -> tuple[np.ndarray, np.ndarray]:
    """The first measured step at which accuracy is at least a level.

    Args:
        measures: of a run.
        split: ``train`` or ``test``.
        level: of the accuracy.

    Returns:
        The step [seed], which is the run's last step (a lower bound) for seeds that do not reach the level,
        and whether the seed reaches it [seed].

    Raises:
        NotTestable: if the accuracy was measured for no seed.

    Example:
        >>> import xarray as xr
        >>> accuracy = [[0.2, 0.9, 1.0], [0.1, 0.1, 0.1]]
        >>> measures = xr.Dataset({"test_accuracy": (("seed", "step"), accuracy)}, {"step": [0, 50, 100]})
        >>> [found.tolist() for found in steps_to(measures, "test", level=0.9)]
        [[50.0, 100.0], [True, False]]
    """
    name = f"{split}_accuracy"
    need(measures, name)
    unknown = np.isnan(member_curves(measures[name])).all(axis=1)
    if unknown.all():
        raise NotTestable(f"{name} was measured for no seed")
    steps = Event(f"{level:g}", name, ">=", level, 1).times(measures).upper
    last = float(measures["step"].max())
    found = np.where(np.isfinite(steps), np.maximum(steps, 1.0), last)
    return np.where(unknown, np.nan, found), np.isfinite(steps)


def ratio_of_splits(measures: xr.Dataset) -> np.ndarray:
    """Steps to 99 % test accuracy over steps to 99 % training accuracy [seed].

    A lower bound for seeds that do not reach the former; NaN for seeds that do not reach the latter.

    Raises:
        NotTestable: if one of the accuracies was measured for no seed.

    Example:
        >>> import xarray as xr
        >>> curves = {"train_accuracy": [[0.2, 1.0, 1.0]], "test_accuracy": [[0.1, 0.2, 1.0]]}
        >>> data = {name: (("seed", "step"), curve) for name, curve in curves.items()}
        >>> ratio_of_splits(xr.Dataset(data, {"step": [0, 50, 100]})).tolist()
        [2.0]
    """
    test, _ = steps_to(measures, "test")
    train, learned = steps_to(measures, "train")
    return np.where(learned, ratio(test, train), np.nan)


# ---------------------------------------------------------------- cells of a sweep


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
        if name not in measures.dims:
            raise NotTestable(f"the sweep has no axis {name!r}")
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
        what: ``memorization``, ``grokking``, or ``delay`` (from the former to the latter).
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
    event = {one.name: one for one in (MEMORIZATION, GROKKING)}[what]
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
        what: ``memorization`` or ``grokking``.
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
    if along not in measures.dims:
        raise NotTestable(f"the sweep has no axis {along!r}")
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
        what: ``memorization``, ``grokking`` or ``delay``.
        over: the sweep's axes, with positive numbers.
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
    need(measures, "train_accuracy", "test_accuracy")
    cells = [
        cell
        for cell in np.ndindex(*(measures.sizes[name] for name in over))
        if where(**{name: float(measures[name][i]) for name, i in zip(over, cell, strict=True)})
    ]
    if not cells:
        raise NotTestable("the sweep has no such cell")
    curves = measures[["train_accuracy", "test_accuracy"]]
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
