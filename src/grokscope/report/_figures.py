"""Figures that are pictures: embedded whole, so that no two figures' ids can meet."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from html import escape
from urllib.parse import quote

__all__ = ["ReportFigure", "figure_html"]

# What may stand in an address between double quotes as it is.
_PLAIN = " !$'()*+,-./:;=?@[]_~"


@dataclass(frozen=True)
class ReportFigure:
    """A figure for the page.

    Attributes:
        id: its anchor.
        title: its caption and what is read out for those who cannot see it.
        data: SVG or PNG.
    """

    id: str
    title: str
    data: bytes


def figure_html(name: str, title: str, data: bytes) -> str:
    """A figure (SVG or PNG) embedded as an image of its own."""
    if data.startswith(b"\x89PNG"):
        source = f"data:image/png;base64,{base64.b64encode(data).decode()}"
    else:
        # An SVG is mostly digits: escaped it is a quarter smaller than in base 64.
        source = f"data:image/svg+xml,{quote(data, safe=_PLAIN)}"
    return (
        f'<figure class="picture" id="{escape(name)}"><div><img loading="lazy" '
        f'alt="{escape(title)}" src="{source}"></div>'
        f"<figcaption>{escape(title)}</figcaption></figure>"
    )
