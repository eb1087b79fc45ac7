"""Figures that are pictures: embedded whole, so that no two figures' ids can meet."""

from __future__ import annotations

import base64
import re
import struct
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
    size = _size(data)
    # With its size a picture has its place before it is drawn, and what a link leads to stays where it is.
    sized = f' width="{size[0]}" height="{size[1]}"' if size else ""
    return (
        f'<figure class="picture" id="{escape(name)}"><div><img loading="lazy"{sized} '
        f'alt="{escape(title)}" src="{source}"></div>'
        f"<figcaption>{escape(title)}</figcaption></figure>"
    )


def _size(data: bytes) -> tuple[int, int] | None:
    """Width and height of a picture; None if it does not tell."""
    if data.startswith(b"\x89PNG") and len(data) >= 24:
        width, height = struct.unpack(">II", data[16:24])
        return width, height
    box = re.search(rb'<svg[^>]*?\sviewBox="[\d.-]+ [\d.-]+ ([\d.]+) ([\d.]+)"', data[:4000])
    return (round(float(box[1])), round(float(box[2]))) if box else None
