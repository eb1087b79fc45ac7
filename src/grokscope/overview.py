"""Overview of a run: what it is, how far it is, when its events happened, and how its curves go.

What goes elsewhere: how it is shown (``cli/_show.py``, and the report), events (`grokscope.events`).
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from grokscope.events import GROKKING, MEMORIZATION, Event
from grokscope.statistics import Estimate, median_interval
from grokscope.streams import on_members

if TYPE_CHECKING:
    from grokscope.runs import Run

__all__ = ["EventSeen", "Overview", "overview_of"]


@dataclass(frozen=True)
class EventSeen:
    """An event over the members of a run.

    Attributes:
        name: ``memorization`` or ``grokking``.
        definition: the event in words.
        share: share of members in which it was seen.
        step: median step over members; members in which it was not seen count as later than all others.
    """

    name: str
    definition: str
    share: Estimate
    step: Estimate


@dataclass(frozen=True)
class Overview:
    """What there is to know of a run at a glance.

    Attributes:
        path, identity: where and what it is.
        kinds: part of the experiment -> its kind; an imported run may not know its optimizer.
        seeds: of the members; for crossed streams one (init, data, order, noise) each.
        steps_done: updates done, by the member that is least far.
        n_steps: updates asked for.
        complete: whether all that was asked for is there.
        events: those whose measure is in the run.
        curves: scalar measure -> its mean over members at each measured step, [step].
        measures: names of all measures.
        provenance: as recorded.
    """

    path: str
    identity: str
    kinds: dict[str, str]
    seeds: list[Any]
    steps_done: int
    n_steps: int
    complete: bool
    measures: list[str]
    events: list[EventSeen] = field(default_factory=list[EventSeen])
    curves: dict[str, list[float]] = field(default_factory=dict[str, list[float]])
    provenance: dict[str, Any] = field(default_factory=dict[str, Any])


def overview_of(run: Run) -> Overview:
    """Collect what there is to know of a run at a glance.

    Example:
        >>> overview_of(run).events[0].share  # doctest: +SKIP
        Estimate(value=1.0, low=0.5655, high=1.0, n=5, ...)
    """
    experiment, measures = run.experiment, on_members(run.measures, run.members)
    parts = {name: getattr(experiment, name) for name in ("task", "model", "loss", "optimizer", "learner")}
    kinds = {name: str(part.kind) for name, part in parts.items()}
    if not experiment.states_optimizer:
        kinds["optimizer"] = "unknown"
    return Overview(
        path=str(run.path),
        identity=run.identity,
        kinds=kinds,
        seeds=[member[0] if run.members.is_plain else list(member) for member in run.members],
        steps_done=int(min(run.steps_done, default=0)),
        n_steps=experiment.n_steps,
        complete=run.is_complete,
        measures=[str(name) for name in measures.data_vars],
        events=[_seen(event, measures) for event in (MEMORIZATION, GROKKING) if event.measure in measures],
        curves=dict(_curves(measures)),
        provenance=run.provenance,
    )


def _seen(event: Event, measures: Any) -> EventSeen:
    times = event.times(measures)
    step = median_interval(times.lower, upper=times.upper, unit="steps")
    return EventSeen(event.name, str(event), times.share(), step)


def _curves(measures: Any) -> list[tuple[str, list[float]]]:
    """The mean over members of every measure of one number per member and step, where it was taken."""
    found: list[tuple[str, list[float]]] = []
    for name in map(str, measures.data_vars):
        if set(measures[name].dims) != {"seed", "step"}:
            continue
        values = np.asarray(measures[name].transpose("seed", "step").values, np.float64)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # a step at which nothing was measured
            mean = np.nanmean(np.where(np.isfinite(values), values, np.nan), axis=0)
        found.append((name, mean[~np.isnan(mean)].tolist()))
    return found
