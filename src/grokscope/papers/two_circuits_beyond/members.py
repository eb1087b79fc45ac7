"""The members of a run, and how members of a branch compare with the members that they start from.

A circuit is described by the path norms of all neurons, which rescaling a neuron does not change. The
similarity of two circuits is the cosine of their vectors of path norms: 1 for the same neurons in the same
proportions, near 0 for circuits of different neurons.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from grokscope.claims import Claim, Effect, NotTestable, Region, need
from grokscope.papers.evidence import finished_seeds, grokking_times, steps_of
from grokscope.spec.events import diverged_steps, member_curves
from grokscope.spec.streams import MEMBER_DIMS, STREAMS, Seeds
from grokscope.statistics import CensoredTimes

if TYPE_CHECKING:
    import xarray as xr


class MemberTable:
    """The finished members of a run as rows, along ``seed`` or along crossed streams.

    Members that were neither trained to their end nor diverged are left out.

    Attributes:
        measures: the run's.
        seeds: the four seeds of each row.

    Raises:
        NotTestable: if train or test accuracy was not measured, or no member is finished.
    """

    def __init__(self, measures: xr.Dataset) -> None:
        need(measures, "train_accuracy", "test_accuracy")
        self.measures = measures
        self._dims = [str(dim) for dim in measures["train_accuracy"].dims if dim in MEMBER_DIMS]
        if self._dims == ["seed"]:
            table = np.repeat(measures["seed"].to_numpy()[:, None], len(STREAMS), axis=1)
        else:
            like = measures["train_accuracy"].isel(step=0, drop=True)
            columns = [
                (measures["seed"] if "seed" in self._dims else measures[f"{stream}_seed"]).broadcast_like(
                    like
                )
                for stream in STREAMS
            ]
            table = np.stack([c.transpose(*self._dims).to_numpy().ravel() for c in columns], axis=1)
        self._rows = finished_seeds(measures)
        self.seeds = [Seeds(*row) for row in table[self._rows].astype(int).tolist()]
        if not self.seeds:
            raise NotTestable("no member was trained to its end")

    @property
    def diverged(self) -> np.ndarray:
        """Booleans [member]: whether it diverged."""
        return np.isfinite(diverged_steps(self.measures))[self._rows]

    @property
    def grokking(self) -> CensoredTimes:
        """When each member grokked."""
        return grokking_times(self.measures)[self._rows]

    @property
    def steps(self) -> np.ndarray:
        """The measured steps."""
        return steps_of(self.measures)

    def final(self, measure: str) -> np.ndarray:
        """A measure at the last step, [member] or [member, neuron]; NaN for members that diverged.

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
            NotTestable: if the run does not have it.
        """
        need(self.measures, measure)
        return member_curves(self.measures[measure].transpose(*self._dims, "step"))[self._rows]

    def rows_in(self, source: MemberTable) -> np.ndarray:
        """For each member the row in ``source`` with the same init and data seeds; -1 if there is none."""
        rows = {seeds[:2]: i for i, seeds in enumerate(source.seeds)}
        return np.array([rows.get(seeds[:2], -1) for seeds in self.seeds])


# ---------------------------------------------------------------- grokking of a branch and of its source


def share_that_groks(branch: xr.Dataset, source: xr.Dataset) -> np.ndarray:
    """Truth values [member]: whether it groks; NaN if the member that it starts from does not."""
    own, other = MemberTable(branch), MemberTable(source)
    rows = own.rows_in(other)
    fair = (rows >= 0) & other.grokking.observed[rows]
    return np.where(fair, own.grokking.observed & ~own.diverged, np.nan)


def ratios_of_grokking(branch: xr.Dataset, source: xr.Dataset) -> CensoredTimes:
    """The grokking step of each member over that of the member that it starts from; censored.

    Pairs whose source member does not grok have no ratio and are left out.
    """
    own, other = MemberTable(branch), MemberTable(source)
    rows = own.rows_in(other)
    upper = other.grokking.upper[rows]
    kept = (rows >= 0) & np.isfinite(upper) & (upper > 0)
    if not kept.any():
        raise NotTestable("no source's member grokked")
    a, b = own.grokking[kept], other.grokking[rows[kept]]
    low_a, _ = a.bounds()
    low = np.maximum(low_a, 0.0) / b.upper
    high = np.divide(a.upper, b.lower, out=np.full(len(low), np.inf), where=b.lower > 0)
    return CensoredTimes(low, np.where(a.observed, np.maximum(high, low), np.inf))


_SOONER = 0.9  # a ratio of grokking steps below it: the pair speeds up


def speeds_up(branch: xr.Dataset, source: xr.Dataset) -> np.ndarray:
    """Truth values [pair]: whether the ratio of `ratios_of_grokking` is below 0.9.

    A pair is NaN if its branch ends, without having grokked, so early that the ratio may still be below.
    """
    ratios = ratios_of_grokking(branch, source)
    unknown = ~ratios.observed & (ratios.lower < _SOONER)
    return np.where(unknown, np.nan, ratios.midpoint < _SOONER)


# ---------------------------------------------------------------- similarity of circuits


def similarity(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The cosine of vectors of path norms, along the last axis; NaN where one is 0 or not finite."""
    size = np.linalg.norm(a, axis=-1) * np.linalg.norm(b, axis=-1)
    good = np.isfinite(size) & (size > 0)
    return np.divide((a * b).sum(axis=-1), size, out=np.full(np.shape(size), np.nan), where=good)


def similarity_to_source(branch: xr.Dataset, source: xr.Dataset) -> tuple[list[Seeds], np.ndarray]:
    """Seeds and similarity of final circuits, of each member and the member that it starts from."""
    own, other = MemberTable(branch), MemberTable(source)
    rows = own.rows_in(other)
    kept = rows >= 0
    found = similarity(own.final("path_norm")[kept], other.final("path_norm")[rows[kept]])
    return [seeds for seeds, has_source in zip(own.seeds, kept, strict=True) if has_source], found


def mean_by_init(seeds: list[Seeds], values: Any) -> np.ndarray:
    """One entry per initialization: the mean over its members that have a value."""
    each: dict[int, list[float]] = {}
    for (init, *_), value in zip(seeds, values, strict=True):
        each.setdefault(init, []).append(value)
    return np.array([np.nanmean(v) if not np.isnan(v).all() else np.nan for v in each.values()])


# ---------------------------------------------------------------- claims of the same shape

# About every seed.
share_claim = partial(
    Claim,
    kind="share",
    region=Region.at_least(0.8),
    smallest_effect=Effect(0.1, "one seed in ten behaves otherwise"),
)

# About the grokking step with an intervention over that without.
A_TENTH_OF_THE_TIME = Effect(0.1, "a tenth of the time to grokking")
ratio_claim = partial(
    Claim,
    kind="median",
    estimand="the median over pairs of the grokking step with the intervention over that without",
    smallest_effect=A_TENTH_OF_THE_TIME,
    evidence=ratios_of_grokking,
    beside=("standard",),
)

speed_share_claim = partial(
    Claim,
    kind="share",
    estimand="the share of pairs whose grokking step with the intervention is less than 0.9 of that without",
    smallest_effect=Effect(0.1, "one seed in ten"),
    evidence=speeds_up,
    beside=("standard",),
)

# About whether seeds grok in spite of an intervention.
grokking_share_claim = partial(
    Claim,
    kind="share",
    estimand="the share of seeds that grok, of those that grok without the intervention",
    smallest_effect=Effect(0.1, "one seed in ten"),
    evidence=share_that_groks,
    beside=("standard",),
)
