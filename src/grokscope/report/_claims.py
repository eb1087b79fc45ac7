"""The claims on the page: the tally, the table, the small plots of evidence, and links to the curves."""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from grokscope.claims import SETTINGS, Evidence, Judged, NotTestable
from grokscope.report._curves import Curves
from grokscope.spec.events import events_of
from grokscope.statistics import CensoredTimes, format_number

if TYPE_CHECKING:
    from grokscope.claims import Claim

__all__ = [
    "claims_section",
    "evidence_svg",
    "figures_of_claims",
    "measures_read",
    "panels_of_claims",
]

_MEANINGS = {
    "holds": "the interval lies inside the region that means so",
    "fails": "the interval lies outside of it",
    "undecided": "the interval reaches across its edge, or the table is too long to be sure of this row; it "
    "leans to the side of the edge on which our number lies, and so many seeds would decide by the interval "
    "alone if all were like these",
    "not testable": "there is no evidence to judge by",
}
_WIDTH, _HEIGHT, _PAD = 168, 46, 8  # of a small plot
_SEEDS_Y, _BAR_Y, _AXIS_Y = 11, 26, 34
_MOST_SQUARES = 30


def claims_section(
    judged: Sequence[Judged],
    evidence: Mapping[str, Evidence | NotTestable | None],
    panels: Mapping[str, Sequence[str]],
    figures: Mapping[str, str],
) -> dict[str, Any]:
    """The table of claims, for ``claims.html``.

    Args:
        judged: the rows.
        evidence: by id of the claim, for the small plots.
        panels: by id of the claim, the plots over time of its evidence.
        figures: by id of the claim, the anchor that its link leads to where no script runs.
    """
    rows = [
        {
            "claim": one.claim,
            "verdict": one.verdict,
            "leaning": "" if one.leaning is None else str(one.leaning),
            "note": one.note,
            "detail": _criterion(one),
            "paper": _number(one.claim.paper_value, one.claim.unit),
            "ours": _number(one.value, one.claim.unit),
            "level": format_number(100 * one.claim.confidence),
            "interval": _interval(one),
            "seeds": one.n,
            "plot": evidence_svg(one, evidence.get(one.claim.id)),
            "panels": panels.get(one.claim.id, ()),
            "figure": figures.get(one.claim.id, "curves"),
        }
        for one in judged
    ]
    splits = sorted({(one.claim.fixed, one.claim.confirmed_on) for one in judged})
    found = {one.claim.setting for one in judged}
    settings = {word: meaning for word, meaning in SETTINGS.items() if word in found}
    return {"rows": rows, "meanings": _MEANINGS, "settings": settings, "splits": splits}


def _criterion(one: Judged) -> str:
    claim = one.claim
    text = f"Holds if {claim.estimand} is {claim.region}{' ' + claim.unit if claim.unit else ''}."
    if claim.smallest_effect is not None:
        text += f" Smallest effect that matters: {claim.smallest_effect}."
    return text + (f" Interval: {one.method}." if one.method else "")


def _interval(one: Judged) -> str:
    if one.interval is None or not any(map(math.isfinite, one.interval)):
        return ""
    return "{} to {}".format(*map(format_number, one.interval))


def _number(value: float | str | None, unit: str) -> str:
    if value is None:
        return "-"
    if isinstance(value, str):
        return value
    return "not reached" if value == float("inf") else f"{format_number(value)} {unit}".strip()


def panels_of_claims(judged: Sequence[Judged], curves: Iterable[Curves]) -> dict[str, list[str]]:
    """By id of the claim: the plots of the measures that its evidence reads.

    Accuracies come last: most evidence reads them only for the times of memorization and grokking. So does
    the training loss, which shows divergence where a run does not record it.
    """
    by_name = {one.name: one for one in curves}
    found: dict[str, list[str]] = {}
    for one in judged:
        own = by_name.get(one.claim.experiment)
        if own is None:
            continue
        panels: list[str] = []
        timing = {"train_loss", *(event.measure for event in events_of(own.measures).values())}
        for name in sorted(measures_read(one.claim, own.measures), key=lambda name: name in timing):
            if "neuron" in own.measures[name].dims:
                panels.append("competition")
            panels += [panel.id for panel in own.panels if name in panel.measures]
        found[one.claim.id] = list(dict.fromkeys(panels))
    return found


def figures_of_claims(judged: Sequence[Judged], figures: Iterable[str]) -> dict[str, str]:
    """By id of the claim: the figure that its source names ("Fig. 3 left" is ``figure-3``)."""
    known = set(figures)
    numbers = {one.claim.id: re.search(r"Fig(?:ure)?\.? (\d+)", one.claim.source) for one in judged}
    named = {name: f"figure-{number[1]}" for name, number in numbers.items() if number}
    return {name: figure for name, figure in named.items() if figure in known}


def evidence_svg(one: Judged, evidence: Evidence | NotTestable | None) -> str:
    """The small plot beside a claim as SVG; empty where there is no number to show.

    Shaded: the region that means "holds". Dots: seeds (squares where each says yes or no). Bar and large
    dot: our number with its interval. Diamond: the paper's number, if it gives one.
    """
    if one.value is None or not math.isfinite(one.value) or isinstance(evidence, NotTestable):
        return ""
    seeds = _numbers(evidence)
    low, high = _domain(one, seeds)

    def x(value: float) -> float:
        clipped = min(max(value, low), high)
        return _PAD + (clipped - low) / (high - low) * (_WIDTH - 2 * _PAD)

    region = one.claim.region
    left = 0.0 if math.isinf(region.low) else x(region.low)
    right = float(_WIDTH) if math.isinf(region.high) else x(region.high)
    # A region of one point must be seen too.
    parts = [
        f'<rect class="ev-region" x="{left:.1f}" y="2" width="{max(right - left, 2):.1f}" '
        f'height="{_AXIS_Y - 2}"/>'
    ]
    parts.append(f'<path class="ev-axis" d="M0 {_AXIS_Y}H{_WIDTH}"/>')
    parts += _squares(seeds) if one.claim.kind == "share" else _dots(seeds, x)
    if one.interval is not None:
        a = 0.0 if math.isinf(one.interval[0]) else x(one.interval[0])
        b = float(_WIDTH) if math.isinf(one.interval[1]) else x(one.interval[1])
        parts.append(f'<path class="ev-bar" d="M{a:.1f} {_BAR_Y}H{b:.1f}"/>')
    parts.append(f'<circle class="ev-value" cx="{x(one.value):.1f}" cy="{_BAR_Y}" r="4"/>')
    paper = one.claim.paper_value
    if isinstance(paper, int | float) and low <= paper <= high:
        at = x(float(paper))
        parts.append(f'<path class="ev-paper" d="M{at:.1f} {_BAR_Y - 6}l5 6l-5 6l-5 -6z"/>')
    parts += [
        f'<text class="ev-text" x="{at}" y="{_HEIGHT - 1}" text-anchor="{anchor}">{_short(end)}</text>'
        for at, anchor, end in ((_PAD - 6, "start", low), (_WIDTH - _PAD + 6, "end", high))
    ]
    words = f"{one.claim.id}: {format_number(one.value)}; holds if {one.claim.region}"
    return (
        f'<svg class="evidence" viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" height="{_HEIGHT}" '
        f'role="img" aria-label="{escape(words)}">{"".join(parts)}</svg>'
    )


def _numbers(evidence: Evidence | None) -> np.ndarray:
    if evidence is None:
        return np.empty(0)
    values = evidence.midpoint if isinstance(evidence, CensoredTimes) else np.atleast_1d(evidence)
    return values[np.isfinite(values)].astype(np.float64)


def _domain(one: Judged, seeds: np.ndarray) -> tuple[float, float]:
    """The range of the axis: the region's ends, the interval and the seeds, with some room."""
    if one.claim.kind == "share":
        return 0.0, 1.0
    ends = [one.value, one.claim.region.low, one.claim.region.high, *(one.interval or ()), *seeds]
    if isinstance(one.claim.paper_value, int | float):
        ends.append(float(one.claim.paper_value))
    finite = [float(end) for end in ends if end is not None and math.isfinite(end)]
    low, high = min(finite), max(finite)
    room = 0.08 * (high - low) or 0.1 * abs(high) or 1.0
    return low - room, high + room


def _dots(seeds: np.ndarray, x: Any) -> list[str]:
    # Three rows, so that seeds of like values can be told apart.
    return [
        f'<circle class="ev-seed" cx="{x(float(value)):.1f}" cy="{_SEEDS_Y + 5 * (i % 3 - 1)}" r="2.2"/>'
        for i, value in enumerate(np.sort(seeds))
    ]


def _squares(seeds: np.ndarray) -> list[str]:
    if not len(seeds) or len(seeds) > _MOST_SQUARES:
        return []
    size = min(9.0, (_WIDTH - 2 * _PAD) / len(seeds) - 1)
    return [
        f'<rect class="ev-seed {"yes" if value else "no"}" x="{_PAD + i * (size + 1):.1f}" '
        f'y="{_SEEDS_Y - 5}" width="{size:.1f}" height="{size:.1f}"/>'
        for i, value in enumerate(sorted(seeds, reverse=True))
    ]


def _short(value: float) -> str:
    return f"{value:.3g}" if value else "0"


def measures_read(claim: Claim, measures: Any) -> list[str]:
    """Names of the measures that a claim's evidence reads, in order, each once.

    Computes the evidence once more, from a dataset that records the names.
    """
    recorder = _Recorder(measures)
    # Where it fails, the names read up to there are returned.
    with contextlib.suppress(Exception):
        claim.evidence(recorder, *(recorder for _ in claim.beside))
    return list(dict.fromkeys(recorder.names))


class _Recorder:
    """A dataset that records which of its variables are read."""

    def __init__(self, dataset: Any) -> None:
        self._dataset = dataset
        self.names: list[str] = []

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, str) and key in self._dataset.data_vars:
            self.names.append(key)
        return self._dataset[key]

    def __getattr__(self, name: str) -> Any:
        if name in self._dataset.data_vars:
            self.names.append(name)
        return getattr(self._dataset, name)

    def __contains__(self, key: object) -> bool:
        return key in self._dataset

    def __iter__(self) -> Iterator[Any]:
        return iter(self._dataset)
