"""What several claims of `two_circuits_beyond` share: members by their seeds, times and circuits of two runs.

The circuit's neurons are told by path norm, which a rescaling of a neuron does not change. How alike two
networks' circuits are is the cosine of their vectors of path norms: 1 for the same neurons in the same
proportions, near 0 for circuits of other neurons.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from grokscope.claims import NotTestable, need
from grokscope.spec.events import GROKKING, diverged_steps, member_curves
from grokscope.spec.streams import STREAMS, Seeds
from grokscope.statistics import CensoredTimes

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Cohort", "overlap", "overlaps_with_source", "ratios_of_grokking", "share_that_groks"]

_MEMBER_DIMS = ("seed", "member", *(f"{stream}_seed" for stream in STREAMS))


class Cohort:
    """A run's members as rows, whether they lie along ``seed`` or along crossed streams.

    Attributes:
        measures: the run's.
        seeds: (init, data, order, noise) of each row.
    """

    def __init__(self, measures: xr.Dataset) -> None:
        need(measures, "train_accuracy", "test_accuracy")
        self.measures = measures
        self._dims = [str(dim) for dim in measures["train_accuracy"].dims if dim in _MEMBER_DIMS]
        like = measures["train_accuracy"].isel(step=0, drop=True)
        columns = [
            (measures["seed"] if "seed" in self._dims else measures[f"{stream}_seed"]).broadcast_like(like)
            for stream in STREAMS
        ]
        table = np.stack([c.transpose(*self._dims).to_numpy().ravel() for c in columns], axis=1)
        self._rows = ~np.isnan(member_curves(measures["train_accuracy"])).all(axis=1)
        if "complete" in measures.coords:
            complete = measures["complete"].to_numpy().astype(bool).ravel()
            self._rows &= complete | np.isfinite(diverged_steps(measures))
        self.seeds = [Seeds(*row) for row in table[self._rows].astype(int).tolist()]
        if not self.seeds:
            raise NotTestable("no member was trained to its end")

    @property
    def diverged(self) -> np.ndarray:
        """Whether each member diverged."""
        return np.isfinite(diverged_steps(self.measures))[self._rows]

    @property
    def grokking(self) -> CensoredTimes:
        """When each member grokked."""
        return GROKKING.times(self.measures)[self._rows]

    def last(self, measure: str) -> np.ndarray:
        """A measure at the last step at which it was taken, [member] or [member, neuron]; NaN if lost.

        Raises:
            NotTestable: if it was measured for no member.
        """
        need(self.measures, measure)
        values = self.measures[measure]
        more = [dim for dim in values.dims if dim not in (*self._dims, "step")]
        array = values.isel(step=-1).transpose(*self._dims, *more).to_numpy()
        found = array.reshape(-1, *array.shape[len(self._dims) :])[self._rows].astype(np.float64)
        if np.isnan(found).all():
            raise NotTestable(f"{measure} was measured for no member at the last step")
        lost = self.diverged.reshape(-1, *(1 for _ in found.shape[1:]))
        return np.where(lost, np.nan, found)

    def curves(self, measure: str) -> np.ndarray:
        """A measure [member, step].

        Raises:
            NotTestable: if the run has none.
        """
        need(self.measures, measure)
        values = self.measures[measure].transpose(*self._dims, "step")
        return member_curves(values)[self._rows]

    @property
    def steps(self) -> np.ndarray:
        """The measured steps."""
        return self.measures["step"].to_numpy().astype(np.float64)

    def source_rows(self, source: Cohort) -> np.ndarray:
        """For each member the row of the source's member with its initialization and data; -1: none."""
        rows = {seeds[:2]: i for i, seeds in enumerate(source.seeds)}
        return np.array([rows.get(seeds[:2], -1) for seeds in self.seeds])


def share_that_groks(branch: xr.Dataset, source: xr.Dataset) -> np.ndarray:
    """Whether each member groks; of branches only those whose source's member does."""
    own, other = Cohort(branch), Cohort(source)
    rows = own.source_rows(other)
    fair = (rows >= 0) & other.grokking.observed[rows]
    return np.where(fair, own.grokking.observed & ~own.diverged, np.nan)


def ratios_of_grokking(branch: xr.Dataset, source: xr.Dataset) -> CensoredTimes:
    """The grokking step of each member over that of the source's member it comes from; censored.

    Pairs whose source's member does not grok have no ratio, and are left out.
    """
    own, other = Cohort(branch), Cohort(source)
    rows = own.source_rows(other)
    upper = other.grokking.upper[rows]
    kept = (rows >= 0) & np.isfinite(upper) & (upper > 0)
    if not kept.any():
        raise NotTestable("no source's member grokked")
    a, b = own.grokking[kept], other.grokking[rows[kept]]
    low_a, _ = a.bounds()
    low = np.maximum(low_a, 0.0) / b.upper
    high = np.divide(a.upper, b.lower, out=np.full(len(low), np.inf), where=b.lower > 0)
    return CensoredTimes(low, np.where(a.observed, np.maximum(high, low), np.inf))


def overlap(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The cosine of vectors of path norms, along the last axis; NaN where one is 0 or not finite."""
    size = np.linalg.norm(a, axis=-1) * np.linalg.norm(b, axis=-1)
    good = np.isfinite(size) & (size > 0)
    return np.divide((a * b).sum(axis=-1), size, out=np.full(np.shape(size), np.nan), where=good)


def overlaps_with_source(branch: xr.Dataset, source: xr.Dataset) -> tuple[list[Seeds], np.ndarray]:
    """How alike each member's final circuit is to that of the source's member it comes from."""
    own, other = Cohort(branch), Cohort(source)
    rows = own.source_rows(other)
    kept = rows >= 0
    found = overlap(own.last("path_norm")[kept], other.last("path_norm")[rows[kept]])
    return [seeds for seeds, there in zip(own.seeds, kept, strict=True) if there], found


def mean_by_init(seeds: list[Seeds], values: Any) -> np.ndarray:
    """One entry per initialization: the mean over its members that have a value."""
    each: dict[int, list[float]] = {}
    for (init, *_), value in zip(seeds, values, strict=True):
        each.setdefault(init, []).append(value)
    return np.array([np.nanmean(v) if not np.isnan(v).all() else np.nan for v in each.values()])
