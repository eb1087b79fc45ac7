"""Measures: pure functions of (state, data), in evaluation mode. One file per family.

Copy ``accuracy.py`` when adding one, and run `check_measure` of ``check.py`` on it. A measure sees a `Point`
and returns an array; the compiled loop, a replay and a folder of imported checkpoints all call the same
function.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from grokscope.measures._measure import Measure

if TYPE_CHECKING:
    from grokscope.measures._point import Point, Split

__all__ = ["Measure", "Point", "Split"]


def __getattr__(name: str) -> Any:
    # specs list measures without importing jax, which `Point` needs
    if name in ("Point", "Split"):
        from grokscope.measures import _point

        return getattr(_point, name)
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
