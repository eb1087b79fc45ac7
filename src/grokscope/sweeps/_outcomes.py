"""What became of every member of a sweep: when it memorized and grokked, how it ended, in which phase."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from grokscope.spec.events import GROKKING, MEMORIZATION, Event
from grokscope.statistics import CensoredTimes
from grokscope.store.labeled import MemberAxes

if TYPE_CHECKING:
    import xarray as xr

    from grokscope.store.run_store import RunStore
    from grokscope.sweeps._dataset import Grid

__all__ = ["FINALS", "PHASES", "PROMPT_STEPS", "cell_times", "outcomes_dataset", "phases", "times_of"]

PHASES = ("comprehension", "grokking", "memorization", "confusion", "diverged")
PROMPT_STEPS = 1000.0  # a delay up to this is none: Liu et al. 2022, Table 1
FINALS = ("train_accuracy", "test_accuracy", "test_accuracy_large", "effective_sparsity")
_EVENTS = (MEMORIZATION, GROKKING)


def outcomes_dataset(grid: Grid, prompt_steps: float = PROMPT_STEPS) -> xr.Dataset:
    """One value per member for each of the following, over (*axes, seed or streams); NaN without a member.

    ``memorization_lower`` and ``_upper``, ``grokking_lower`` and ``_upper``: the event lies after the one
    and by the other step; inf where it was not seen. ``delay_lower`` and ``_upper``: from the first to the
    second. ``diverged``: the step of divergence, inf for none. ``final_NAME``: the last measured value.
    ``phase``: its number in `PHASES`.

    Args:
        grid: of the sweep.
        prompt_steps: up to this delay a member comprehends rather than groks.
    """
    import xarray as xr

    from grokscope.sweeps._dataset import axis_coordinates

    cohort = MemberAxes.of(grid.members)
    shape = (*grid.shape, len(grid.members))
    columns: dict[str, np.ndarray] = {}

    def put(name: str, place: tuple[int, ...], there: np.ndarray, values: np.ndarray) -> None:
        if name not in columns:
            columns[name] = np.full(shape, np.nan)
        columns[name][place][there] = values[there]

    for place, name in grid.cells.items():
        store = grid.open(name)
        if store is None:
            continue
        positions = member_positions(grid, store)
        there = positions >= 0
        lost = _diverged(store, positions)
        put("diverged", place, there, lost)
        times: dict[str, CensoredTimes] = {}
        for event in _EVENTS:
            found = cell_times(store, positions, event)
            if found is not None:
                times[event.name] = found
        if len(times) == len(_EVENTS):
            times["delay"] = times[GROKKING.name] - times[MEMORIZATION.name]
            put("phase", place, there, phases(times, prompt_steps))
        for what, one in times.items():
            put(f"{what}_lower", place, there, one.lower)
            put(f"{what}_upper", place, there, one.upper)
        for measure in FINALS:
            if (last := _last(store, positions, measure)) is not None:
                put(f"final_{measure}", place, there, last)

    def laid(values: np.ndarray) -> np.ndarray:
        padded = np.concatenate([values, np.full((*grid.shape, 1), np.nan)], axis=-1)
        return padded[..., cohort.member]

    coords: dict[str, Any] = axis_coordinates(grid.names, grid.axes) | dict(cohort.coords)
    dims = (*grid.names, *cohort.dims)
    return xr.Dataset({name: (dims, laid(values)) for name, values in columns.items()}, coords)


def times_of(outcomes: xr.Dataset, what: str) -> CensoredTimes:
    """The times of an event (or ``delay``) in a part of `outcomes_dataset`, without the absent members.

    Example:
        >>> import xarray as xr
        >>> outcomes = xr.Dataset({"grokking_lower": ("seed", [64.0]), "grokking_upper": ("seed", [96.0])})
        >>> times_of(outcomes, "grokking").upper.tolist()
        [96.0]
    """
    lower, upper = (outcomes[f"{what}_{end}"].to_numpy().ravel() for end in ("lower", "upper"))
    lost = outcomes["diverged"].to_numpy().ravel() if "diverged" in outcomes else np.full(len(lower), np.inf)
    there = ~np.isnan(lower)
    return CensoredTimes(lower[there], upper[there], lost[there])


def phases(times: dict[str, CensoredTimes], prompt_steps: float = PROMPT_STEPS) -> np.ndarray:
    r"""The phase of each member, as its number in `PHASES`.

    Comprehension: it generalizes, at most ``prompt_steps`` after it memorized (or without). Grokking: it
    generalizes later than that. Memorization: it memorizes and does not generalize within the run. Confusion:
    neither. Diverged: it was lost before it generalized.

    Source: Liu et al. 2022 (arXiv 2205.10343), Table 1; divergence is ours.
    """
    memorized, grokked = times[MEMORIZATION.name], times[GROKKING.name]
    with np.errstate(invalid="ignore"):
        delay = np.where(memorized.observed, grokked.upper - memorized.upper, 0.0)
    phase = np.where(
        grokked.observed, np.where(delay > prompt_steps, 1, 0), np.where(memorized.observed, 2, 3)
    )
    return np.where(np.isfinite(grokked.diverged) & ~grokked.observed, 4, phase).astype(np.float64)


def cell_times(store: RunStore, positions: np.ndarray, event: Event) -> CensoredTimes | None:
    """When an event happened to members of a cell; None if its measure was not taken."""
    import xarray as xr

    found = _curves(store, positions, event.measure)
    if found is None:
        return None
    steps, values = found
    lost = _diverged(store, positions)
    measures = xr.Dataset(
        {event.measure: (("seed", "step"), values)},
        {"step": steps, "diverged_step": ("seed", np.where(np.isfinite(lost), lost, -1.0))},
    )
    return event.times(measures)


def member_positions(grid: Grid, store: RunStore) -> np.ndarray:
    """The position of each of the sweep's members in a cell's store; -1 where it has none."""
    known = {seeds: i for i, seeds in enumerate(store.seeds)}
    return np.array([known.get(seeds, -1) for seeds in grid.members])


def _curves(store: RunStore, positions: np.ndarray, name: str) -> tuple[np.ndarray, np.ndarray] | None:
    """A measure of members at its steps: steps, values [member, step]; None if it was not taken."""
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


def _last(store: RunStore, positions: np.ndarray, name: str) -> np.ndarray | None:
    """The last measured value of each member."""
    found = _curves(store, positions, name)
    if found is None:
        return None
    values = found[1]
    if values.ndim != 2:
        return None
    known = np.isfinite(values)
    last = values.shape[1] - 1 - np.argmax(known[:, ::-1], axis=1)
    return np.where(known.any(axis=1), values[np.arange(len(values)), last], np.nan)


def _diverged(store: RunStore, positions: np.ndarray) -> np.ndarray:
    recorded = np.append(store.diverged_step.astype(np.float64), -1.0)[positions]
    return np.where(recorded >= 0, recorded, np.inf)
