"""Saving figures as SVG, PDF and PNG: the same data give the same bytes, and no half file is left."""

from __future__ import annotations

import io
import re
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grokscope.files import atomic_write

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["FORMATS", "render", "save_figure"]

FORMATS = ("svg", "pdf", "png")
# What would differ from one day, machine or process to the next is left out or fixed.
_METADATA: dict[str, dict[str, Any]] = {
    "svg": {"Date": None, "Creator": "grokscope"},
    "pdf": {"CreationDate": None, "Creator": "grokscope", "Producer": None},
    "png": {"Software": "grokscope"},
}
_SETTINGS: dict[Any, Any] = {
    "svg.hashsalt": "grokscope",
    "svg.fonttype": "path",
    "pdf.fonttype": 42,
    "path.simplify": True,
}
_PNG_DPI, _RASTER_DPI = 200, 220
# Coordinates are written to a millionth of a point; a hundredth is what can be seen, and half the size.
_PATH, _EXCESS = re.compile(rb' d="[^"]*"'), re.compile(rb"(\.\d\d)\d+(?![\de])")
_lock = threading.Lock()  # matplotlib takes these settings from one global table


def render(figure: Figure, formats: tuple[str, ...] = FORMATS) -> dict[str, bytes]:
    """The bytes of a figure in each format."""
    import matplotlib

    files: dict[str, bytes] = {}
    with _lock, matplotlib.rc_context(_SETTINGS):
        for kind in formats:
            buffer = io.BytesIO()
            dpi = _PNG_DPI if kind == "png" else _RASTER_DPI
            figure.savefig(buffer, format=kind, dpi=dpi, metadata=_METADATA[kind])
            files[kind] = buffer.getvalue()
    if "svg" in files:
        files["svg"] = _PATH.sub(lambda path: _EXCESS.sub(rb"\1", path[0]), files["svg"])
    return files


def save_figure(figure: Figure, folder: str | Path, name: str) -> dict[str, bytes]:
    """Write ``folder/name.{svg,pdf,png}``; returns their bytes.

    Raises:
        StoreError: if a file cannot be written.
    """
    files = render(figure)
    for kind, data in files.items():
        atomic_write(Path(folder) / f"{name}.{kind}", data, parents=True)
    return files
