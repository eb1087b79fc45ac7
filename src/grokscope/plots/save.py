"""Saving figures as SVG, PDF and PNG: the same data give the same bytes, and no half file is left."""

from __future__ import annotations

import io
import os
import re
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from grokscope.errors import StoreError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["FORMATS", "render", "save_figure", "write_atomically"]

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
        write_atomically(Path(folder) / f"{name}.{kind}", data)
    return files


def write_atomically(path: str | Path, data: bytes | str) -> None:
    """Write a file as a whole or not at all: to a temporary name beside it, synced, then renamed.

    Raises:
        StoreError: if it cannot be written; the old file is then still there.
    """
    file = Path(path)
    temporary = file.with_name(f".{file.name}.{os.getpid()}-{uuid4().hex[:8]}.tmp")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as stream:
            # a path that is not UTF-8 (names of folders are bytes) is shown with its bytes escaped
            stream.write(data.encode("utf-8", "backslashreplace") if isinstance(data, str) else data)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(file)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise StoreError(f"{file}: cannot be written: {error.strerror or error}.") from error
