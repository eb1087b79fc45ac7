"""Evidence from sweeps: times and phases of single cells, and how a time scales over all of them.

A sweep's measures are over its axes, seed and step; claims about it still have one entry per seed. A seed
draws the same data and start in every cell of one shape, so that what is compared within a seed is paired.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from grokscope.claims import NotTestable, need
from grokscope.errors import InputError
from grokscope.spec.events import GROKKING, MEMORIZATION
from grokscope.statistics import CensoredTimes, censored_regression
from grokscope.sweeps import phases

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["axes_of", "exponents", "part_of", "phase_of", "pseudovalues", "times_in"]

_MEMBERS = ("seed", "step")


def axes_of(measures: xr.Dataset) -> list[str]:
    """The names of a sweep's axes."""
    need(measures, "train_accuracy", "test_accuracy")
    return [str(dim) for dim in measures["test_accuracy"].dims if dim not in _MEMBERS]


def times_in(measures: xr.Dataset, what: str, **settings: Any) -> CensoredTimes:
    """When ``memorization`` or ``grokking`` happened in one cell, or their ``delay``, one entry per seed.

    Args:
        measures: of a sweep, or of a part of one.
        what: which.
        settings: the cell, by the names of axes that are left.

    Raises:
        NotTestable: if there is no such cell, or it was not measured for every seed.
    """
    if what == "delay":
        return times_in(measures, "grokking", **settings) - times_in(measures, "memorization", **settings)
    event = {one.name: one for one in (MEMORIZATION, GROKKING)}[what]
    need(measures, event.measure)
    cell = part_of(measures[[event.measure]], **settings)  # with the coordinate that says who diverged
    if not np.isfinite(cell[event.measure].to_numpy()).any(axis=-1).all():
        where = ", ".join(f"{name} {value}" for name, value in settings.items())
        raise NotTestable(f"{event.measure} was not measured for every seed ({where})")
    return event.times(cell)


def phase_of(measures: xr.Dataset, **settings: Any) -> np.ndarray:
    """The phase of each seed in one cell, as its number in `grokscope.sweeps.PHASES`."""
    return phases({what: times_in(measures, what, **settings) for what in ("memorization", "grokking")})


def exponents(
    measures: xr.Dataset, what: str, over: Sequence[str], where: Callable[..., bool] = lambda **_: True
) -> np.ndarray:
    r"""How a time scales with what was varied: $T \propto \prod_a a^{b_a}$, as pseudo-values, [axis, seed].

    The exponents are those of one censored regression of log T on the logarithms of the axes over all cells
    and seeds (`grokscope.statistics.censored_regression`); each seed's entry is how much the fit depends on
    it (see `pseudovalues`), so that cells of one seed need not be independent.

    Args:
        measures: of a sweep.
        what: ``memorization``, ``grokking`` or ``delay``.
        over: its axes, with positive numbers.
        where: of the values on these axes, whether the cell is taken.

    Raises:
        NotTestable: if the cells do not determine the exponents.
    """
    need(measures, "train_accuracy", "test_accuracy")
    places = [
        values
        for values in np.ndindex(*(measures.sizes[name] for name in over))
        if where(**{name: float(measures[name][i]) for name, i in zip(over, values, strict=True)})
    ]
    curves = measures[["train_accuracy", "test_accuracy"]]
    logs, lows, highs, lost = [], [], [], []
    for place in places:
        times = times_in(curves.isel(dict(zip(over, place, strict=True))), what)
        logs.append([np.log(float(measures[name][i])) for name, i in zip(over, place, strict=True)])
        # a delay may be none: it is then some time up to the first step
        lows.append(np.maximum(times.lower, 0.0))
        highs.append(np.maximum(times.upper, 1.0))
        lost.append(times.diverged)
    if not places:
        raise NotTestable("the sweep has no such cell")
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
    r"""The jackknife's pseudo-values $n \hat\theta - (n - 1)\,\hat\theta_{-i}$, [parameter, i].

    Their mean is nearly the estimate, and Student's interval of them that of the jackknife.

    Args:
        fit: from indices to estimates.
        n: how many there are to leave out.

    Raises:
        NotTestable: if there are fewer than three.

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


def part_of(measures: xr.Dataset, **settings: Any) -> xr.Dataset:
    """The measures of the cells with these values on these axes, which are gone from the result.

    Raises:
        NotTestable: if there is no such axis or value.
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
