"""At a glance: when runs memorize and grok, how long that takes, and how small the circuit is."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np

from grokscope.report._views import RunView
from grokscope.spec.events import GROKKING, MEMORIZATION, Event
from grokscope.statistics import format_number, median_interval

__all__ = ["facts_of", "glance_html"]


def glance_html(views: Sequence[RunView]) -> str:
    """Tiles for one run, a table for several."""
    each = [(view.name, facts_of(view)) for view in views]
    if len(each) == 1:
        tiles = "".join(
            f'<li><span class="what">{escape(what)}</span><b>{escape(value)}</b>'
            f'<span class="soft">{escape(more)}</span></li>'
            for what, value, more in each[0][1]
        )
        return f'<ul class="tiles">{tiles}</ul>'
    names = list(dict.fromkeys(what for _, facts in each for what, _, _ in facts))
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in ("experiment", *names))
    rows: list[str] = []
    for name, facts in each:
        have = {what: (value, more) for what, value, more in facts}
        cells = "".join(
            f'<td data-label="{escape(what)}"><b>{escape(have[what][0])}</b> '
            f'<span class="soft">{escape(have[what][1])}</span></td>'
            if what in have
            else "<td>-</td>"
            for what in names
        )
        rows.append(f'<tr><th scope="row">{escape(name)}</th>{cells}</tr>')
    return f'<table class="glance"><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table>'


def facts_of(view: RunView) -> list[tuple[str, str, str]]:
    """What, value, and what else there is to say."""
    measures, curves = view.curves.measures, view.curves
    facts: list[tuple[str, str, str]] = []
    times = {
        event.name: event.times(measures) for event in (MEMORIZATION, GROKKING) if event.measure in measures
    }
    for event, verb in ((MEMORIZATION, "memorize"), (GROKKING, "grok")):
        if event.name in times:
            seen = times[event.name]
            count = f"{int(seen.observed.sum())} of {seen.n}"
            facts.append((verb, count, _median(seen.upper, curves.steps_per_epoch, event)))
    if len(times) == 2:
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
    """How many of the last networks on the page are right for all inputs."""
    competition = view.competition
    if competition is None or not competition.proofs:
        return None
    end = len(competition.steps) - 1
    verdicts = [one.found[end].verdict for one in competition.proofs.values() if end in one.found]
    if not verdicts:
        return None
    n = next(iter(competition.proofs.values())).n
    refuted = verdicts.count("counterexample")
    return (
        "right for all inputs",
        f"{verdicts.count('proved')} of {len(verdicts)}",
        f"proved at the end, for all 2^{n}; {refuted} refuted",
    )


def _half(steps: np.ndarray) -> float:
    """The median of times that are inf where nothing was seen: the lower of two middle ones."""
    return float(np.sort(steps)[(len(steps) - 1) // 2]) if len(steps) else np.inf


def _median(steps: np.ndarray, per_epoch: int, event: Event) -> str:
    half = _half(steps)
    if not np.isfinite(half):
        return "less than half of the seeds"
    return f"median: epoch {format_number(half / per_epoch)} (step {format_number(half)})"
