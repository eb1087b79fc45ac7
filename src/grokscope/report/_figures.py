"""Figures on the page: each embedded as an image, so that ids inside of two SVGs cannot clash."""

from __future__ import annotations

import base64
import re
import struct
from dataclasses import dataclass
from urllib.parse import quote

__all__ = ["ReportFigure"]

# Characters that may stand in an address between double quotes as they are.
_PLAIN = " !$'()*+,-./:;=?@[]_~"


@dataclass(frozen=True)
class ReportFigure:
    """A figure for the page.

    Attributes:
        id: its anchor.
        title: its caption, and its text for readers who cannot see it.
        data: SVG or PNG; empty if it could not be drawn.
        failure: why it could not be drawn.
    """

    id: str
    title: str
    data: bytes
    failure: str = ""

    @property
    def source(self) -> str:
        """The picture as a data address, safe between double quotes."""
        if self._is_png:
            return f"data:image/png;base64,{base64.b64encode(self.data).decode()}"
        # An SVG is mostly digits: escaped it is a quarter smaller than in base 64.
        return f"data:image/svg+xml,{quote(self.data, safe=_PLAIN)}"

    @property
    def size(self) -> tuple[int, int] | None:
        """Width and height; None if the picture does not state them."""
        if self._is_png and len(self.data) >= 24:
            width, height = struct.unpack(">II", self.data[16:24])
            return width, height
        box = re.search(rb'<svg[^>]*?\sviewBox="[\d.-]+ [\d.-]+ ([\d.]+) ([\d.]+)"', self.data[:4000])
        return (round(float(box[1])), round(float(box[2]))) if box else None

    @property
    def _is_png(self) -> bool:
        return self.data.startswith(b"\x89PNG")
