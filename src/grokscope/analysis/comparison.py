"""Comparison of two runs, paired on members: the ratio of their grokking times, and the shares that grok.

What goes elsewhere: events (`grokscope.spec.events`), the statistics (`grokscope.statistics`), claims about a
run (`grokscope.claims`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from grokscope.errors import InputError, option
from grokscope.spec.events import Event, events_of, parse_event
from grokscope.spec.streams import Seeds, on_members
from grokscope.starts import FromRun
from grokscope.statistics import CensoredTimes, Estimate, ratio_of_times

if TYPE_CHECKING:
    import xarray as xr

    from grokscope.runs import Run

__all__ = ["Comparison", "compare"]


@dataclass(frozen=True)
class Comparison:
    """Two runs side by side, on the members that both have.

    Attributes:
        event: what is timed, in words.
        pairing: which members form a pair, in words.
        n: number of pairs.
        unpaired: number of members that only a, only b has.
        share_a, share_b: share of the pairs in which the event was seen.
        ratio: time in a over time in b, the median over pairs.
        members: of each pair, seeds of (init, data, order, noise).
        times_a, times_b: the times in steps, in the order of ``members``.
    """

    event: str
    pairing: str
    n: int
    unpaired: tuple[int, int]
    share_a: Estimate
    share_b: Estimate
    ratio: Estimate
    members: tuple[Seeds, ...]
    times_a: CensoredTimes
    times_b: CensoredTimes


def compare(a: Run, b: Run, event: Event | str = "grokking") -> Comparison:
    """Compare the times of an event in two runs, pair by pair.

    A pair has the same seeds in all four streams; of a branch and its source, it is a member and the one that
    it branches from; of two branches of one source, members that branch from the same one. Several members of
    a run in one pair (twins with other seeds) count as one, with the median of their times, so pairs are
    independent. Before its first step a branch has the measures of its source.

    Args:
        a: the first run; a ratio above 1 means that it is the slower one.
        b: the second run.
        event: the event; or the name of an event of both runs, or a condition (``test_loss < 0.1 for 3``).

    Raises:
        InputError: if the event is not known or not the same in both runs, its measure is missing, or the
            runs have no member in common.

    Example:
        >>> print(compare(run_a, run_b).ratio)  # doctest: +SKIP
        2.1 [1.9, 2.4] (95 %, n = 5)
    """
    event = _common_event(a, b, event)
    for run in (a, b):
        if event.measure not in run.measures:
            raise InputError(
                f"compare: {run.path} has no measure '{event.measure}', by which {event.name} is timed."
            )
    keys_a, keys_b, pairing = _keys(a, b)
    shared = tuple(key for key in dict.fromkeys(keys_a) if key in set(keys_b))
    if not shared:
        raise InputError(
            f"compare: no member in common, so nothing can be paired: {a.path} has {_seeds(a)}, "
            f"{b.path} has {_seeds(b)}."
        )
    past_a, past_b = (b if _is_source(b, a) else None), (a if _is_source(a, b) else None)
    times_a = _paired(_times(a, event, past_a), keys_a, shared)
    times_b = _paired(_times(b, event, past_b), keys_b, shared)
    only_a, only_b = (sum(key not in shared for key in keys) for keys in (keys_a, keys_b))
    return Comparison(
        event=str(event),
        pairing=pairing,
        n=len(shared),
        unpaired=(only_a, only_b),
        share_a=times_a.share(),
        share_b=times_b.share(),
        ratio=ratio_of_times(times_a, times_b),
        members=shared,
        times_a=times_a,
        times_b=times_b,
    )


def _common_event(a: Run, b: Run, event: Event | str) -> Event:
    if isinstance(event, Event):
        return event
    one, other = (parse_event(event, events_of(run.measures)) for run in (a, b))
    if one != other:
        raise InputError(
            f"compare: {event} is '{one.condition}' in {a.path} and '{other.condition}' in {b.path}; give "
            f"one condition for both: {option('event')} 'MEASURE > NUMBER for N'."
        )
    return one


def _keys(a: Run, b: Run) -> tuple[Sequence[Seeds], Sequence[Seeds], str]:
    """The key of each member of either run (equal keys make a pair), and the pairing in words."""
    if _is_source(b, a):
        return _sources(a), b.members.seeds, "each member of A with the one of B that it branches from"
    if _is_source(a, b):
        return a.members.seeds, _sources(b), "each member of B with the one of A that it branches from"
    one, other = a.experiment.init, b.experiment.init
    if isinstance(one, FromRun) and isinstance(other, FromRun) and one.source == other.source:
        return _sources(a), _sources(b), "members that branch from the same member of one run"
    return a.members.seeds, b.members.seeds, "members with the same seeds"


def _is_source(source: Run, branch: Run) -> bool:
    init = branch.experiment.init
    return isinstance(init, FromRun) and init.source == source.identity


def _sources(run: Run) -> Sequence[Seeds]:
    return run.origins.source_members or ()


def _times(run: Run, event: Event, past: Run | None) -> CensoredTimes:
    """The times of the event in every member; before a branch begins, its source is searched."""
    measures = on_members(run.measures, run.members)
    init = run.experiment.init
    if past is None or not isinstance(init, FromRun) or init.clock == "zero" or not init.takes_all:
        return event.times(measures)
    return event.times(_with_past(measures, on_members(past.measures, _sources(run)), run, event.measure))


def _with_past(own: xr.Dataset, past: xr.Dataset, run: Run, name: str) -> xr.Dataset:
    """A measure of branches; at steps before they begin, that of their source members."""
    import xarray as xr

    steps = np.union1d(own["step"].to_numpy(), past["step"].to_numpy())

    def curves(data: xr.Dataset) -> np.ndarray:
        values = np.full((data.sizes["seed"], len(steps)), np.nan)
        values[:, np.searchsorted(steps, data["step"].to_numpy())] = data[name].transpose("seed", "step")
        return values

    joined = np.where(steps[None, :] < run.origins.steps[:, None], curves(past), curves(own))
    return xr.Dataset(
        {name: (("seed", "step"), joined)},
        {"step": steps, "diverged_step": ("seed", own["diverged_step"].to_numpy())},
    )


def _paired(times: CensoredTimes, keys: Sequence[Seeds], shared: tuple[Seeds, ...]) -> CensoredTimes:
    """One time per pair: the median over its members."""
    rows: dict[Seeds, list[int]] = {key: [] for key in shared}
    for i, key in enumerate(keys):
        if key in rows:
            rows[key].append(i)
    each = list(rows.values())
    if all(len(one) == 1 for one in each):
        return times[np.array([one[0] for one in each])]
    # the median is monotone: it lies between the medians of the lower and of the upper ends
    low, high = times.bounds()
    return CensoredTimes([_median(low[one]) for one in each], [_median(high[one]) for one in each])


def _median(values: np.ndarray) -> float:
    middle = np.sort(values)[[(len(values) - 1) // 2, len(values) // 2]]
    return float(middle.mean()) if np.isfinite(middle).all() else float(middle[1])


def _seeds(run: Run) -> str:
    seeds = [str(member[0] if run.members.is_plain else member) for member in run.members]
    return f"seeds {', '.join(seeds[:5])}" + (", ..." if len(seeds) > 5 else "")
