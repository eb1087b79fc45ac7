"""The small plot beside a claim: where "holds" is, what each seed says, and our number with its interval."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from grokscope.claims import Evidence, Judged, NotTestable
from grokscope.errors import GrokscopeError
from grokscope.statistics import CensoredTimes, format_number

if TYPE_CHECKING:
    from grokscope.claims import Claim

__all__ = ["evidence_svg", "measures_read"]

_WIDTH, _HEIGHT, _PAD = 168, 46, 8
_SEEDS_Y, _BAR_Y, _AXIS_Y = 11, 26, 34
_MOST_SQUARES = 30


def evidence_svg(one: Judged, evidence: Evidence | NotTestable | None) -> str:
    """The plot as SVG, in colors of the page; empty where there is no number to show.

    Shaded: the region that means "holds". Dots: seeds (squares where each says yes or no). Bar and large
    dot: our number with its interval; the diamond is the paper's number, where it gives one.
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
    """What the axis must show: the region's ends, the interval and the seeds, with some room."""
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
    """The names of the measures that a claim's evidence looks at, in order; each once.

    Found by asking for the evidence once more, of something that takes notes.
    """
    noted = _Noted(measures)
    # Where it fails, what it has read up to there is what there is to show.
    with contextlib.suppress(GrokscopeError, TypeError, ValueError, LookupError, AttributeError):
        claim.evidence(noted, *(noted for _ in claim.beside))
    return list(dict.fromkeys(noted.names))


class _Noted:
    """A dataset that notes which of its variables are asked for, and is itself in all else."""

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
