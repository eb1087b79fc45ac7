"""Import what comes after the training (figures, statistics, reading) while compiled programs run.

Imports hold Python's lock, compiled programs do not: on a machine whose last round of members leaves a core
idle this takes some two seconds off a reproduction.
"""

from __future__ import annotations

import importlib
import threading

from grokscope.progress import Progress, SilentProgress

__all__ = ["preloading"]

_LATER = (
    "xarray",
    "scipy.special",
    "scipy.stats",
    "matplotlib.backends.backend_agg",
    "matplotlib.backends.backend_pdf",
    "matplotlib.backends.backend_svg",
    "grokscope.plots.save",
    "grokscope.report",
)


def preloading(progress: Progress | None) -> Progress:
    """A progress that passes everything on, and starts the imports when the first work is done."""
    return _Preloading(progress or SilentProgress())


class _Preloading:
    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._started = False

    def plan(self, text: str) -> None:
        self._progress.plan(text)

    def start(self, total_steps: int, label: str) -> None:
        self._progress.start(total_steps, label)

    def advance(self, steps: int, note: str = "") -> None:
        self._progress.advance(steps, note)
        if not self._started:
            self._started = True
            threading.Thread(target=_import_later, daemon=True).start()

    def finish(self) -> None:
        self._progress.finish()


def _import_later() -> None:
    for name in _LATER:
        importlib.import_module(name)
