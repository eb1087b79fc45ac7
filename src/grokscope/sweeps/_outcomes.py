"""Outcomes of a sweep: event times, final values and phase of every member; their summary for every cell."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from grokscope.errors import StoreError
from grokscope.files import atomic_write
from grokscope.spec.events import Event
from grokscope.spec.streams import Seeds
from grokscope.statistics import CensoredTimes, Estimate, kaplan_meier, mean_interval, median_interval, wilson
from grokscope.store.labeled import MemberAxes
from grokscope.sweeps._dataset import Grid, axis_coordinates

if TYPE_CHECKING:
    import xarray as xr

    from grokscope.store.run_store import RunStore

__all__ = [
    "PHASES",
    "KeptOutcomes",
    "cell_estimates",
    "cell_outcomes",
    "outcomes_dataset",
    "phases",
    "summary_dataset",
    "times_of",
]

PHASES = ("comprehension", "grokking", "memorization", "confusion", "diverged")
PROMPT_STEPS = 1000.0  # the largest delay of comprehension: Liu et al. 2022, Table 1
_TIMES = {"memorization": "memorized", "grokking": "grokked"}  # event -> the word for its share
_MEANS = ("train_accuracy", "test_accuracy", "test_accuracy_large")
_MEDIANS = ("effective_sparsity",)


def outcomes_dataset(grid: Grid, kept: Callable[[str], KeptOutcomes | None] | None = None) -> xr.Dataset:
    """The outcome of every member, over (*axes, seed or streams); NaN for absent members.

    Variables: ``memorization_lower`` and ``_upper``, ``grokking_lower`` and ``_upper`` (the event lies after
    the first and by the second step; inf if it was not seen), and the same of other events of the runs;
    ``delay_lower`` and ``_upper`` (from memorization to grokking); ``diverged`` (the step of divergence; inf
    for none); ``final_NAME`` (the last measured value); ``phase`` (an index into `PHASES`).

    Args:
        grid: the cells of the sweep.
        kept: gives the outcomes of a cell of which nothing else was kept; None: outcomes are read from the
            cells' stores.
    """
    import xarray as xr

    cohort = MemberAxes.of(grid.members)
    shape = (*grid.shape, len(grid.members))
    columns: dict[str, np.ndarray] = {}
    for index, cell in grid.cells.items():
        if kept is not None:
            found = kept(cell)
            if found is None:
                continue
            known = {seeds: i for i, seeds in enumerate(found.seeds)}
            positions = np.array([known.get(seeds, -1) for seeds in grid.members])
            own = {name: np.append(values, np.nan)[positions] for name, values in found.columns.items()}
        else:
            store = grid.open(cell)
            if store is None:
                continue
            positions = grid.positions(store)
            own = cell_outcomes(store, positions)
        present = positions >= 0
        for name, values in own.items():
            columns.setdefault(name, np.full(shape, np.nan))[index][present] = values[present]

    def on_member_axes(values: np.ndarray) -> np.ndarray:
        padded = np.concatenate([values, np.full((*grid.shape, 1), np.nan)], axis=-1)
        return padded[..., cohort.member]

    coords: dict[str, Any] = axis_coordinates(grid.names, grid.axes) | dict(cohort.coords)
    dims = (*grid.names, *cohort.dims)
    return xr.Dataset({name: (dims, on_member_axes(values)) for name, values in columns.items()}, coords)


def cell_outcomes(store: RunStore, positions: np.ndarray) -> dict[str, np.ndarray]:
    """The variables of `outcomes_dataset` for members of one cell, each [member].

    Args:
        store: of the cell.
        positions: of the members in it; -1 for an absent one, whose values have no meaning.
    """
    diverged = _diverged_steps(store, positions)
    columns = {"diverged": diverged}
    times: dict[str, CensoredTimes] = {}
    for event in store.events.values():
        found = _event_times(store, positions, event, diverged)
        if found is not None:
            times[event.name] = found
    if times.keys() >= _TIMES.keys():
        times["delay"] = times["grokking"] - times["memorization"]
        columns["phase"] = phases(times)
    for name, each in times.items():
        columns[f"{name}_lower"], columns[f"{name}_upper"] = each.lower, each.upper
    for measure in (*_MEANS, *_MEDIANS):
        if (last := _last_values(store, positions, measure)) is not None:
            columns[f"final_{measure}"] = last
    return columns


@dataclass(frozen=True, eq=False)
class KeptOutcomes:
    """The outcomes of a cell's members, of which nothing else was kept.

    Attributes:
        seeds: of the members.
        columns: the variables of `outcomes_dataset`, each float64 [member].
    """

    seeds: tuple[Seeds, ...]
    columns: dict[str, np.ndarray]

    @classmethod
    def of(cls, store: RunStore) -> KeptOutcomes:
        """Of all members of a cell."""
        return cls(tuple(store.seeds), cell_outcomes(store, np.arange(len(store.seeds))))

    def joined(self, before: KeptOutcomes) -> KeptOutcomes:
        """With those members of earlier outcomes that are not here."""
        here = set(self.seeds)
        rows = [i for i, seeds in enumerate(before.seeds) if seeds not in here]
        absent = np.full(len(rows), np.nan)
        columns = {
            name: np.append(values, before.columns[name][rows] if name in before.columns else absent)
            for name, values in self.columns.items()
        }
        return KeptOutcomes((*self.seeds, *(before.seeds[i] for i in rows)), columns)

    def write(self, file: Path) -> None:
        """Write a compressed file of arrays (.npz), atomically.

        Raises:
            StoreError: if it cannot be written.
        """
        packed = io.BytesIO()
        np.savez_compressed(
            packed,
            seeds=np.array(self.seeds, np.int64),
            names=np.array(list(self.columns)),
            values=np.stack(list(self.columns.values())),
        )
        atomic_write(file, packed.getvalue(), parents=True)

    @classmethod
    def read(cls, file: Path) -> KeptOutcomes:
        """Read the file; the checksum of every array is compared.

        Raises:
            StoreError: if it is missing or damaged.
        """
        try:
            with np.load(file, allow_pickle=False) as arrays:
                names, values = arrays["names"].tolist(), arrays["values"]
                seeds = tuple(Seeds(*map(int, one)) for one in arrays["seeds"])
            columns = dict(zip(map(str, names), values, strict=True))
        except FileNotFoundError:
            raise StoreError(f"{file}: is missing.") from None
        except (
            OSError,
            ValueError,
            KeyError,
            TypeError,
            EOFError,
            NotImplementedError,
            zipfile.BadZipFile,
            zlib.error,
        ):
            raise StoreError(f"{file}: is damaged.") from None
        return cls(seeds, columns)


def times_of(outcomes: xr.Dataset, event: str) -> CensoredTimes:
    """The times of an event, or of ``delay``, in a part of `outcomes_dataset`; absent members are dropped.

    Example:
        >>> import xarray as xr
        >>> outcomes = xr.Dataset({"grokking_lower": ("seed", [64.0]), "grokking_upper": ("seed", [96.0])})
        >>> times_of(outcomes, "grokking").upper.tolist()
        [96.0]
    """
    lower, upper = (outcomes[f"{event}_{end}"].to_numpy().ravel() for end in ("lower", "upper"))
    diverged = (
        outcomes["diverged"].to_numpy().ravel() if "diverged" in outcomes else np.full(lower.shape, np.inf)
    )
    present = ~np.isnan(lower)
    return CensoredTimes(lower[present], upper[present], diverged[present])


def phases(times: dict[str, CensoredTimes]) -> np.ndarray:
    r"""The phase of each member, as an index into `PHASES`.

    Comprehension: generalizes at most 1,000 steps after memorization, or without it. Grokking:
    generalizes later than that. Memorization: memorizes, and does not generalize within the run. Confusion:
    neither. Diverged: diverges before it generalizes.

    Source: Liu et al. 2022 (arXiv 2205.10343), Table 1; the phase diverged is ours.
    """
    memorized, grokked = times["memorization"], times["grokking"]
    with np.errstate(invalid="ignore"):
        delay = np.where(memorized.observed, grokked.upper - memorized.upper, 0.0)
    phase = np.where(
        grokked.observed, np.where(delay > PROMPT_STEPS, 1, 0), np.where(memorized.observed, 2, 3)
    )
    return np.where(np.isfinite(grokked.diverged) & ~grokked.observed, 4, phase).astype(np.float64)


def summary_dataset(
    outcomes: xr.Dataset, names: tuple[str, ...], estimates: Mapping[tuple[int, ...], Mapping[str, Estimate]]
) -> xr.Dataset:
    """The summary of every cell, over the axes.

    Every estimate gives three variables, such as ``share_grokked``, ``share_grokked_low`` and
    ``share_grokked_high``: the value and its 95 % interval. ``share_memorized``, ``share_grokked`` and
    ``share_diverged`` have Wilson intervals. ``memorization_step``, ``grokking_step`` and ``delay`` are
    Kaplan-Meier medians with Brookmeyer-Crowley intervals; a diverged member never has the event. Another
    event, ``half`` say, gives ``share_half`` and ``half_step``. ``final_NAME`` are means with Student's t,
    ``final_effective_sparsity`` a median. Further variables: ``phase``, the most frequent one, as an index
    into ``PHASES``; ``phase_share``, its share of the members; ``n``, the number of members.

    Args:
        outcomes: see `outcomes_dataset`.
        names: of the axes.
        estimates: by index along the axes, see `cell_estimates`.
    """
    import xarray as xr

    shape = tuple(outcomes.sizes[name] for name in names)
    columns: dict[str, np.ndarray] = {}

    def put(name: str, index: tuple[int, ...], value: float) -> None:
        columns.setdefault(name, np.full(shape, np.nan))[index] = value

    for index, found in estimates.items():
        for name, estimate in found.items():
            put(name, index, estimate.value)
            put(f"{name}_low", index, estimate.low)
            put(f"{name}_high", index, estimate.high)
        part = outcomes.isel(dict(zip(names, index, strict=True)))
        put("n", index, float(np.count_nonzero(~np.isnan(part["diverged"].to_numpy()))))
        if "phase" in part:
            codes = part["phase"].to_numpy().ravel()
            codes = codes[~np.isnan(codes)].astype(int)
            counts = np.bincount(codes, minlength=len(PHASES))
            put("phase", index, float(np.argmax(counts)) if len(codes) else np.nan)
            put("phase_share", index, counts.max() / len(codes) if len(codes) else np.nan)
    coords = {name: outcomes.coords[name] for name in names}
    result = xr.Dataset({name: (names, values) for name, values in columns.items()}, coords)
    result.attrs["phases"] = list(PHASES)
    return result


def cell_estimates(outcomes: xr.Dataset) -> dict[str, Estimate]:
    """Estimates from the outcomes of one cell (or of any part of the sweep), by name."""
    found: dict[str, Estimate] = {}
    timed = [str(name).removesuffix("_upper") for name in outcomes if str(name).endswith("_upper")]
    for event in sorted(timed, key=lambda event: [*_TIMES, "delay", event].index(event)):
        times = times_of(outcomes, event)
        if event == "delay":
            found[event] = kaplan_meier(times).median("steps")
        elif times.n or event in _TIMES:  # other events may be of other cells
            found[f"share_{_TIMES.get(event, event)}"] = times.share()
            found[f"{event}_step"] = kaplan_meier(times).median("steps")
    diverged = outcomes["diverged"].to_numpy().ravel()
    diverged = diverged[~np.isnan(diverged)]
    found["share_diverged"] = wilson(int(np.isfinite(diverged).sum()), len(diverged))
    for measure in (*_MEANS, *_MEDIANS):
        if (name := f"final_{measure}") in outcomes:
            values = outcomes[name].to_numpy().ravel()
            found[name] = _clipped(mean_interval(values)) if measure in _MEANS else median_interval(values)
    return found


def _clipped(estimate: Estimate) -> Estimate:
    """Clip the interval of a mean accuracy to [0, 1]."""
    return replace(estimate, low=max(estimate.low, 0.0), high=min(estimate.high, 1.0))


def _event_times(
    store: RunStore, positions: np.ndarray, event: Event, diverged: np.ndarray
) -> CensoredTimes | None:
    """The times of an event in members of a cell; None if its measure was not taken."""
    import xarray as xr

    curves = _curves(store, positions, event.measure)
    if curves is None:
        return None
    steps, values = curves
    measures = xr.Dataset(
        {event.measure: (("seed", "step"), values)},
        {"step": steps, "diverged_step": ("seed", np.where(np.isfinite(diverged), diverged, -1.0))},
    )
    return event.times(measures)


def _curves(store: RunStore, positions: np.ndarray, name: str) -> tuple[np.ndarray, np.ndarray] | None:
    """The steps of a measure, and its values [member, step]; None if it was not taken."""
    sources = store.sources().get(name)
    if sources is None:
        return None
    steps = np.unique(np.concatenate([source.steps for source in sources]))
    steps = steps[steps <= store.steps_done.max(initial=0)]
    if not len(steps):
        return None
    values = store.read_block(name, positions, steps, (slice(None), slice(None)))
    assert values is not None
    return steps, values.astype(np.float64)


def _last_values(store: RunStore, positions: np.ndarray, name: str) -> np.ndarray | None:
    """The last finite value of a measure for each member; None if it was not taken."""
    curves = _curves(store, positions, name)
    if curves is None or curves[1].ndim != 2:
        return None
    values = curves[1]
    known = np.isfinite(values)
    last = values.shape[1] - 1 - np.argmax(known[:, ::-1], axis=1)
    return np.where(known.any(axis=1), values[np.arange(len(values)), last], np.nan)


def _diverged_steps(store: RunStore, positions: np.ndarray) -> np.ndarray:
    """The step at which each member diverged; inf for none."""
    recorded = np.append(store.diverged_step.astype(np.float64), -1.0)[positions]
    return np.where(recorded >= 0, recorded, np.inf)
