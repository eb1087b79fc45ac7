"""Comparison of two runs, paired on members: how much later does one grok, and in what share of members?

What goes elsewhere: events (`grokscope.events`), the statistics themselves (`grokscope.statistics`), and
what is claimed of a run (`grokscope.claims`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from grokscope.errors import InputError
from grokscope.events import GROKKING, Event
from grokscope.statistics import CensoredTimes, Estimate, ratio_of_times
from grokscope.streams import on_members

if TYPE_CHECKING:
    from grokscope.runs import Run

__all__ = ["Comparison", "compare"]


@dataclass(frozen=True)
class Comparison:
    """Two runs side by side, on the members that both have.

    Attributes:
        event: what is timed, in words.
        n: number of paired members.
        unpaired: number of members that only a, only b has.
        share_a, share_b: share of the paired members in which the event was seen.
        ratio: time in a over time in b, the median over members.
        members: the paired members, seeds of (init, data, order, noise).
        times_a, times_b: the times in steps, in the order of ``members``.
    """

    event: str
    n: int
    unpaired: tuple[int, int]
    share_a: Estimate
    share_b: Estimate
    ratio: Estimate
    members: tuple[tuple[int, int, int, int], ...]
    times_a: CensoredTimes
    times_b: CensoredTimes


def compare(a: Run, b: Run, event: Event = GROKKING) -> Comparison:
    """Compare when an event happens in two runs, member by member (the same seeds in all four streams).

    Args:
        a: the first run; a ratio above 1 says that it is the slower one.
        b: the second run.
        event: what is timed.

    Raises:
        InputError: if the event's measure is missing, or the runs have no member in common.

    Example:
        >>> print(compare(run_a, run_b).ratio)  # doctest: +SKIP
        2.1 [1.9, 2.4] (95 %, n = 5)
    """
    in_b = set(b.members)
    shared = tuple(member for member in a.members if member in in_b)
    if not shared:
        raise InputError(
            f"compare: no member in common, so nothing can be paired: {a.path} has {_seeds(a)}, "
            f"{b.path} has {_seeds(b)}."
        )
    for run in (a, b):
        if event.measure not in run.measures:
            raise InputError(
                f"compare: {run.path} has no measure '{event.measure}', by which {event.name} is timed."
            )
    times_a, times_b = (event.times(on_members(run.measures, shared)) for run in (a, b))
    return Comparison(
        event=str(event),
        n=len(shared),
        unpaired=(len(a.members) - len(shared), len(in_b) - len(shared)),
        share_a=times_a.share(),
        share_b=times_b.share(),
        ratio=ratio_of_times(times_a, times_b),
        members=shared,
        times_a=times_a,
        times_b=times_b,
    )


def _seeds(run: Run) -> str:
    seeds = [str(member[0] if run.members.is_plain else member) for member in run.members]
    return f"seeds {', '.join(seeds[:5])}" + (", ..." if len(seeds) > 5 else "")
