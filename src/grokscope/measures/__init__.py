"""Measures: pure functions of (state, data), in evaluation mode. One file per family.

Copy ``accuracy.py`` when adding one, and run `check_measure` of ``check.py`` on it. A measure sees a `Point`
and returns an array; the compiled loop, a replay and a folder of imported checkpoints all call the same
function.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from grokscope.measures._measure import Measure

if TYPE_CHECKING:
    from grokscope.measures._point import Order, Point, Split
    from grokscope.measures._subnetworks import Flavor, active_subnetwork, find_subnetworks, norm_matched

__all__ = [
    "Flavor",
    "Measure",
    "Order",
    "Point",
    "Split",
    "active_subnetwork",
    "find_subnetworks",
    "norm_matched",
]

_HOMES = {
    "Flavor": "_subnetworks",
    "Order": "_point",
    "Point": "_point",
    "Split": "_point",
    "active_subnetwork": "_subnetworks",
    "find_subnetworks": "_subnetworks",
    "norm_matched": "_subnetworks",
}


def __getattr__(name: str) -> Any:
    # specs list measures without importing jax, which these need
    if name in _HOMES:
        return getattr(importlib.import_module(f"grokscope.measures.{_HOMES[name]}"), name)
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
