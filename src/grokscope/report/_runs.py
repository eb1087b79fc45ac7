"""A run on the page: its curves, neurons and provenance, and the facts at a glance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from grokscope.plots.curves import EVENT_VERBS, median_step
from grokscope.report._competition import Competition, competition_of
from grokscope.report._curves import Curves
from grokscope.report._provenance import RunInfo, run_info
from grokscope.spec.events import events_of
from grokscope.statistics import format_number, median_interval

__all__ = ["RunView", "facts_of", "view_of"]


@dataclass(frozen=True, eq=False)
class RunView:
    """One run on a page.

    Attributes:
        name: of the experiment.
        info: its provenance.
        curves: its measures over time.
        competition: its neurons over time; None if they were not measured.
        width: hidden neurons; None if the model has no such number.
        sizes: neurons of the generalizing subnetwork, one per member; empty if none was found.
    """

    name: str
    info: RunInfo
    curves: Curves
    competition: Competition | None
    width: int | None
    sizes: tuple[int, ...]


def view_of(run: Any, name: str, sentence: str = "", *, with_networks: bool = True) -> RunView:
    """Read the data of a run that the page shows.

    Args:
        run: anything with ``experiment``, ``measures``, ``members``, ``subnetworks`` and ``provenance``.
        name: of the experiment.
        sentence: what the experiment is.
        with_networks: whether to read the networks themselves, by replay where that is quick.
    """
    return RunView(
        name,
        run_info(name, run, sentence),
        Curves(run, name),
        competition_of(run, name, with_networks=with_networks),
        run.experiment.model.n_neurons or None,
        _sizes(run),
    )


def _sizes(run: Any) -> tuple[int, ...]:
    from grokscope.errors import GrokscopeError

    try:
        found = run.subnetworks.sel(subnetwork="generalizing").sum("neuron").to_numpy().ravel()
    except (GrokscopeError, KeyError):
        return ()
    return tuple(int(size) for size in found if size > 0)


def facts_of(view: RunView) -> list[tuple[str, str, str]]:
    """Facts at a glance: name, value, remark."""
    measures, curves = view.curves.measures, view.curves
    facts: list[tuple[str, str, str]] = []
    times = {
        name: event.times(measures)
        for name, event in events_of(measures).items()
        if event.measure in measures
    }
    for name, seen in times.items():
        count = f"{int(seen.observed.sum())} of {seen.n}"
        verb = EVENT_VERBS.get(name, name.replace("_", " "))
        facts.append((verb, count, _median(seen.upper, curves.steps_per_epoch)))
    if {"memorization", "grokking"} <= times.keys():
        # as claim C1b of the paper counts it: of seeds that memorize, between the ends of the intervals
        delay = (times["grokking"] - times["memorization"])[times["memorization"].observed]
        half = median_interval(delay.lower, upper=delay.upper).value
        if np.isfinite(half):
            number = format_number(half / curves.steps_per_epoch)
            facts.append(("delay", f"{number} epoch{'s' * (number != '1')}", "median over seeds"))
    if view.sizes:
        low, high = min(view.sizes), max(view.sizes)
        of = f" of {view.width} neurons" if view.width else " neurons"
        size = str(low) if low == high else f"{low} to {high}"
        facts.append(("generalizing circuit", size, f"{of.strip()}, at the end"))
    if (proofs := _proofs(view)) is not None:
        facts.append(proofs)
    last = next((name for name in ("test_accuracy_large", "test_accuracy") if name in measures), None)
    if last is not None:
        values = measures[last].transpose("seed", "step").to_numpy()
        taken = np.isfinite(values).any(axis=0)
        if taken.any():
            at = values[:, np.flatnonzero(taken)[-1]]
            mean = float(np.nanmean(at))
            facts.append(("held-out accuracy", format_number(mean), "mean at the end"))
    return facts


def _proofs(view: RunView) -> tuple[str, str, str] | None:
    """Number of final networks on the page that are proved right on all inputs."""
    competition = view.competition
    if competition is None or not competition.proofs:
        return None
    end = len(competition.steps) - 1
    verdicts = [one.verdicts[end].verdict for one in competition.proofs.values() if end in one.verdicts]
    if not verdicts:
        return None
    n = next(iter(competition.proofs.values())).n
    refuted = verdicts.count("counterexample")
    return (
        "right for all inputs",
        f"{verdicts.count('proved')} of {len(verdicts)}",
        f"proved at the end, for all 2^{n}; {refuted} refuted",
    )


def _median(steps: np.ndarray, per_epoch: int) -> str:
    half = median_step(steps)
    if not np.isfinite(half):
        return "less than half of the seeds"
    return f"median: epoch {format_number(half / per_epoch)} (step {format_number(half)})"
