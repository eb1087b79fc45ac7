"""One number with its interval per cell: shares, censored medians, final values, phases."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from grokscope.statistics import Estimate, kaplan_meier, mean_interval, median_interval, wilson
from grokscope.sweeps._outcomes import PHASES, times_of

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["cell_estimates", "summary_dataset"]

_MEANS = ("final_train_accuracy", "final_test_accuracy", "final_test_accuracy_large")
_MEDIANS = ("final_effective_sparsity",)


def summary_dataset(
    outcomes: xr.Dataset, names: tuple[str, ...], estimates: Mapping[tuple[int, ...], Mapping[str, Estimate]]
) -> xr.Dataset:
    """A summary of every cell, over the axes.

    For each quantity there are three variables, as ``share_grokked``, ``share_grokked_low`` and
    ``share_grokked_high``: the value and its 95 % interval. ``share_memorized``, ``share_grokked``,
    ``share_diverged`` (Wilson); ``memorization_step``, ``grokking_step``, ``delay`` (Kaplan-Meier's median,
    Brookmeyer and Crowley's interval; a member that diverged never gets there); ``final_...`` (the mean with
    Student's t; of ``final_effective_sparsity`` the median). ``phase``: the commonest, as its number in
    ``PHASES``, ``phase_share`` how common it is, and ``n`` the number of members.

    Args:
        outcomes: see `outcomes_dataset`.
        names: of the axes.
        estimates: by place, see `cell_estimates`.
    """
    import xarray as xr

    shape = tuple(outcomes.sizes[name] for name in names)
    columns: dict[str, np.ndarray] = {}

    def put(name: str, place: tuple[int, ...], value: float) -> None:
        columns.setdefault(name, np.full(shape, np.nan))[place] = value

    for place, found in estimates.items():
        for name, one in found.items():
            put(name, place, one.value)
            put(f"{name}_low", place, one.low)
            put(f"{name}_high", place, one.high)
        part = outcomes.isel(dict(zip(names, place, strict=True)))
        put("n", place, float(np.count_nonzero(~np.isnan(part["diverged"].to_numpy()))))
        if "phase" in part:
            codes = part["phase"].to_numpy().ravel()
            codes = codes[~np.isnan(codes)].astype(int)
            counts = np.bincount(codes, minlength=len(PHASES))
            put("phase", place, float(np.argmax(counts)) if len(codes) else np.nan)
            put("phase_share", place, counts.max() / len(codes) if len(codes) else np.nan)
    coords = {name: outcomes.coords[name] for name in names}
    result = xr.Dataset({name: (names, values) for name, values in columns.items()}, coords)
    result.attrs["phases"] = list(PHASES)
    return result


def cell_estimates(outcomes: xr.Dataset) -> dict[str, Estimate]:
    """The estimates of one cell (or of any part of the outcomes), by name."""
    found: dict[str, Estimate] = {}
    for event, share, step in (
        ("memorization", "share_memorized", "memorization_step"),
        ("grokking", "share_grokked", "grokking_step"),
        ("delay", None, "delay"),
    ):
        if f"{event}_upper" not in outcomes:
            continue
        times = times_of(outcomes, event)
        if share is not None:
            found[share] = times.share()
        found[step] = kaplan_meier(times).median("steps")
    lost = outcomes["diverged"].to_numpy().ravel()
    lost = lost[~np.isnan(lost)]
    found["share_diverged"] = wilson(int(np.isfinite(lost).sum()), len(lost))
    for name in (*_MEANS, *_MEDIANS):
        if name in outcomes:
            values = outcomes[name].to_numpy().ravel()
            found[name] = _share(mean_interval(values)) if name in _MEANS else median_interval(values)
    return found


def _share(estimate: Estimate) -> Estimate:
    """A mean of shares, which lies between 0 and 1; so does what of its interval can be."""
    return replace(estimate, low=max(estimate.low, 0.0), high=min(estimate.high, 1.0))
