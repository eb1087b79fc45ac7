"""Cards: an object at a glance, as a few lines of text or, in notebooks, as a small piece of HTML.

The HTML is complete in itself (no script, no style sheet, nothing loaded), takes its colors from the page
around it, so that it fits light and dark notebooks, and escapes all text.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

__all__ = ["BARS", "Curve", "Fact", "html_card", "html_table", "plain_table", "sparkline", "text_card"]

Fact = tuple[str, str]
# The horizontal positions and the values of the points of a curve.
Curve = tuple[Sequence[float], Sequence[float]]

BARS = "▁▂▃▄▅▆▇█"
# Okabe and Ito's palette, as in the figures; both colors can be seen on white and on black.
_COLORS = ("#D55E00", "#0072B2", "#009E73", "#CC79A7")
_WIDTH, _HEIGHT, _MOST_POINTS = 240, 64, 120


def text_card(title: str, facts: Sequence[Fact]) -> str:
    """A title and lines of facts below it.

    Example:
        >>> print(text_card("Run runs/parity", [("members", "5"), ("at", "step 64")]))
        Run runs/parity
          members  5
          at       step 64
    """
    width = max((len(name) for name, _ in facts), default=0)
    return "\n".join([title, *(f"  {name:{width}}  {text}" for name, text in facts)])


def html_card(title: str, facts: Sequence[Fact], curves: Mapping[str, Curve] | None = None) -> str:
    """The same as HTML, with curves of values from 0 to 1 as one small picture.

    Example:
        >>> html_card("a < b", []).count("a &lt; b")
        1
    """
    rows = "".join(
        '<tr style="background:none"><td style="text-align:left;padding:0 1em 0 0;opacity:.65;border:none">'
        f'{escape(name)}</td><td style="text-align:left;padding:0;border:none">{escape(text)}</td></tr>'
        for name, text in facts
    )
    drawn = _picture({name: curve for name, curve in (curves or {}).items() if _points(curve)})
    return (
        '<div style="display:inline-block;border:1px solid rgba(128,128,128,.4);border-radius:6px;'
        'padding:.6em .9em;font-size:90%">'
        f'<div style="font-weight:600;margin-bottom:.3em">{escape(title)}</div>'
        f'<table style="border:none;border-collapse:collapse;margin:0">{rows}</table>{drawn}</div>'
    )


def html_table(headers: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A table as HTML, with all text escaped.

    Example:
        >>> html_table(["a"], [["<b>"]]).count("&lt;b&gt;")
        1
    """

    def row(cells: Sequence[object], tag: str) -> str:
        style = 'style="text-align:left;padding:0 1em 0 0"'
        return f"<tr>{''.join(f'<{tag} {style}>{escape(str(cell))}</{tag}>' for cell in cells)}</tr>"

    return f"<table>{row(headers, 'th')}{''.join(row(cells, 'td') for cells in rows)}</table>"


def sparkline(values: Sequence[float], width: int = 40, bars: str = BARS) -> str:
    """Draw a curve in one line of at most ``width`` characters, scaled to its own range.

    Example:
        >>> sparkline([0.0, 0.5, 1.0], bars="_-#")
        '_-#'
    """
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        return ""
    count = min(width, len(finite))
    cells = [finite[i * len(finite) // count : (i + 1) * len(finite) // count] for i in range(count)]
    means = [sum(cell) / len(cell) for cell in cells]
    low, span = min(means), max(means) - min(means)
    top = len(bars) - 1
    return "".join(bars[round(top * (mean - low) / span) if span > 0 else 0] for mean in means)


def plain_table(headers: Sequence[str], rows: Sequence[Sequence[object]]) -> list[str]:
    """The lines of a table with aligned columns.

    Example:
        >>> plain_table(["seed", "step"], [[10, 96]])
        ['seed  step', '10    96']
    """
    grid = [list(headers), *(["" if cell is None else str(cell) for cell in row] for row in rows)]
    widths = [max(len(row[i]) for row in grid) for i in range(len(headers))]
    return ["  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in grid]


def _points(curve: Curve) -> list[tuple[float, float]]:
    """The points that can be drawn, thinned out; the last one stays."""
    known = [
        (float(x), float(y)) for x, y in zip(*curve, strict=True) if math.isfinite(x) and math.isfinite(y)
    ]
    every = max(1, math.ceil(len(known) / _MOST_POINTS))
    return known[::-every][::-1]


def _picture(curves: Mapping[str, Curve]) -> str:
    """Curves against the logarithm of 1 + x; empty without curves."""
    if not curves:
        return ""
    lines: list[str] = []
    last = max(math.log1p(max(0.0, x)) for curve in curves.values() for x, _ in _points(curve)) or 1.0
    for i, (name, curve) in enumerate(curves.items()):
        places = " ".join(
            f"{_WIDTH * math.log1p(max(0.0, x)) / last:.1f},{(_HEIGHT - 4) * (1 - min(max(y, 0), 1)) + 2:.1f}"
            for x, y in _points(curve)
        )
        color = _COLORS[i % len(_COLORS)]
        lines.append(
            f'<polyline points="{places}" fill="none" stroke="{color}" stroke-width="1.5"/>'
            f'<text x="{_WIDTH + 6}" y="{14 + 15 * i}" font-size="11" fill="{color}">{escape(name)}</text>'
        )
    return (
        f'<svg width="{_WIDTH + 90}" height="{_HEIGHT}" viewBox="0 0 {_WIDTH + 90} {_HEIGHT}" '
        'style="display:block;margin-top:.4em" role="img" aria-label="accuracy over steps">'
        f'<path d="M0 {_HEIGHT - 1}H{_WIDTH}" stroke="currentColor" stroke-opacity=".35"/>'
        f"{''.join(lines)}</svg>"
    )
