"""What the claims of the two-circuits paper are judged by: from a run's measures to one entry per seed.

Each function returns a number per seed, NaN where it was not measured or does not exist for that seed; or
1, 0 or NaN where it answers a question. The claims themselves are in `two_circuits`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from grokscope.papers._claims import Evidence
from grokscope.papers._transition import Transition, ratio
from grokscope.statistics import CensoredTimes

if TYPE_CHECKING:
    import xarray as xr

__all__ = [
    "all_of",
    "delay_in_epochs",
    "fall_of_complement",
    "fall_of_loss_gap",
    "fall_of_sparsity",
    "groks",
    "inside",
    "is_six_or_eight",
    "kappa_of",
    "late_grokking",
    "norm_ratio",
    "rise_and_die",
    "share_at_zero",
    "sleep_and_explode",
    "time_of_faithfulness",
    "time_of_norms",
    "time_of_sparsity",
]


def _start(t: Transition) -> np.ndarray:
    """The step from which on held-out accuracy has left chance: test_accuracy > 0.65 at 5 points in a row.

    With 100 test points chance alone has a standard deviation of 0.05: 0.65 is three of them away.
    """
    return t.crossing(t.series("test_accuracy"), 0.65, ">")


def late_grokking(measures: xr.Dataset, highest: float) -> np.ndarray:
    """C1: memorizes with held-out accuracy up to ``highest``, and groks a quarter later or more."""
    t = Transition(measures)
    learned = t.memorization.upper
    held_out = t.at(t.series("test_accuracy_large"), learned)
    late = t.grokking.observed & (t.grokking.lower >= 1.25 * learned)
    return t.condition(late & (held_out <= highest), held_out)


def delay_in_epochs(measures: xr.Dataset) -> CensoredTimes:
    """C1: epochs from memorization to grokking, of the seeds known that memorize; right-censored."""
    t = Transition(measures)
    per_epoch = float(t.steps[-1] / t.epochs[-1])
    return (t.grokking - t.memorization)[t.known & t.memorization.observed] * (1 / per_epoch)


def fall_of_loss_gap(measures: xr.Dataset) -> np.ndarray:
    """C2: test minus training loss at memorization, less the same over the last 50 epochs (median)."""
    t = Transition(measures)
    gap = t.series("test_loss") - t.series("train_loss")
    return t.at(gap, t.memorization.upper) - t.median_of_last(gap)


def fall_of_sparsity(measures: xr.Dataset) -> np.ndarray:
    """C3: log10 of effective sparsity before memorization (median), over that of the last 50 epochs."""
    t = Transition(measures)
    before, after = _sizes(t)
    fall = ratio(before, after)
    return np.log10(np.where(fall > 0, fall, np.nan))


def time_of_sparsity(measures: xr.Dataset) -> np.ndarray:
    """C3: when effective sparsity passes the geometric middle of both, over the grokking step."""
    t = Transition(measures)
    before, after = _sizes(t)
    middle = np.sqrt(before * after)
    return ratio(t.crossing(t.series("effective_sparsity"), middle, "<"), t.grokking.upper)


def _sizes(t: Transition) -> tuple[np.ndarray, np.ndarray]:
    size = t.series("effective_sparsity")
    learned = t.memorization.upper
    early = np.where(t.steps <= np.where(np.isfinite(learned), learned, -1)[:, None], size, np.nan)
    before = np.array([np.nanmedian(row) if not np.isnan(row).all() else np.nan for row in early])
    return before, t.median_of_last(size)


def norm_ratio(measures: xr.Dataset, control: str) -> np.ndarray:
    """C4: norm of the generalizing set over a control's, half-way (in epochs) to the start of the jump."""
    t = Transition(measures)
    return t.at(_ratio(t, control), _start(t) / 2)


def time_of_norms(measures: xr.Dataset, control: str) -> np.ndarray:
    """C4: when the generalizing set's norm exceeds 1.5 times a control's, over the start of the jump."""
    t = Transition(measures)
    return ratio(t.crossing(_ratio(t, control), 1.5, ">"), _start(t))


def _ratio(t: Transition, control: str) -> np.ndarray:
    own = t.series("subnetwork_norm", subnetwork="generalizing")
    return ratio(own, t.series("subnetwork_norm", subnetwork=control))


def _kappa(t: Transition, subnetwork: str) -> np.ndarray:
    return t.series("faithfulness_kappa", subnetwork=subnetwork, split="test")


def time_of_faithfulness(measures: xr.Dataset) -> np.ndarray:
    """C5: when the generalizing set's kappa on the test set exceeds 0.9, over the grokking step."""
    t = Transition(measures)
    return ratio(t.crossing(_kappa(t, "generalizing"), 0.9, ">"), t.grokking.upper)


def fall_of_complement(measures: xr.Dataset) -> np.ndarray:
    """C5: the complement's kappa on the test set at memorization, less that at grokking."""
    t = Transition(measures)
    kappa = _kappa(t, "complementary")
    return t.at(kappa, t.memorization.upper) - t.at(kappa, t.grokking.upper)


def kappa_of(measures: xr.Dataset, control: str) -> np.ndarray:
    """C5: a control's kappa on the test set, mean over all measured epochs."""
    t = Transition(measures)
    kappa = _kappa(t, control)
    kept = ~np.isnan(kappa).all(axis=1) & ~np.isfinite(t.diverged)
    result = np.full(len(kappa), np.nan)
    result[kept] = np.nanmean(kappa[kept], axis=1)
    return result


def is_six_or_eight(measures: xr.Dataset, when: Literal["final", "last 50"]) -> np.ndarray:
    """C6: whether effective sparsity is 6 or 8, at the final epoch or in the median of the last 50."""
    t = Transition(measures)
    size = t.series("effective_sparsity")
    value = t.last(size) if when == "final" else t.median_of_last(size)
    return t.condition(np.isin(value, (6, 8)), value)


def share_at_zero(measures: xr.Dataset) -> np.ndarray:
    """C7: share of neurons whose final norm is below a tenth of the initial one."""
    t = Transition(measures)
    norms, _ = t.neurons("neuron_norm")
    first, final = norms[:, :, 0], norms[:, :, -1]
    dead = np.where(np.isnan(final), np.nan, final < 0.1 * first)
    return dead.mean(axis=1)


def rise_and_die(measures: xr.Dataset) -> np.ndarray:
    """C7: whether 6 neurons or more grow by 5 % at some time before grokking, and yet end at zero."""
    t = Transition(measures)
    norms, taken = t.neurons("neuron_norm")
    count = np.zeros(len(norms))
    for i, own in enumerate(norms):
        before = own[:, taken <= t.grokking.upper[i]]
        grown = np.nanmax(ratio(before, np.fmin.accumulate(before, axis=1)), axis=1, initial=0) >= 1.05
        count[i] = np.count_nonzero(grown & (own[:, -1] < 0.1 * own[:, 0]))
    return t.condition(t.grokking.observed & (count >= 6), norms[:, 0, 0])


def sleep_and_explode(measures: xr.Dataset) -> np.ndarray:
    """C7: whether the generalizing norm still falls half-way to the jump, and later doubles."""
    t = Transition(measures)
    norm = t.series("subnetwork_norm", subnetwork="generalizing")
    half = _start(t) / 2
    least_so_far = np.fmin.accumulate(norm, axis=1)
    asleep = t.at(ratio(norm, least_so_far), half) <= 1.1
    exploded = t.last(norm) >= 2 * t.last(least_so_far)
    return t.condition(asleep & exploded & t.grokking.observed, t.at(norm, half))


def groks(measures: xr.Dataset) -> np.ndarray:
    """Whether a seed groks."""
    t = Transition(measures)
    return np.where(t.known, t.grokking.observed, np.nan)


def inside(values: np.ndarray, low: float, high: float, measures: xr.Dataset) -> np.ndarray:
    """Whether each seed's number lies from low to high; a seed that has none, does not show it."""
    t = Transition(measures)
    return t.condition((values >= low) & (values <= high))


def all_of(*parts: Evidence) -> Evidence:
    """Whether a seed shows every part; unknown if one is unknown and none is missing."""

    def evidence(measures: xr.Dataset) -> np.ndarray:
        values = np.stack([part(measures) for part in parts])
        failed = (values == 0).any(axis=0)
        return np.where(failed, 0.0, np.where(np.isnan(values).any(axis=0), np.nan, 1.0))

    return evidence
