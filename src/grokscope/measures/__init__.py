"""Measures: pure functions of (state, data), in evaluation mode. One file per family.

A measure maps a `Point` (a network and its data) to an array. The compiled loop, a replay and an import of
checkpoints call the same function. To add one, copy ``accuracy.py`` and run `check_measure` of ``check.py``.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from grokscope.measures._measure import Measure, MeasureField

if TYPE_CHECKING:
    from grokscope.measures._function import FunctionMeasure, MeasureLike
    from grokscope.measures._point import Order, Point, Split
    from grokscope.measures._subnetworks import Flavor, active_subnetwork, find_subnetworks, norm_matched

__all__ = [
    "Flavor",
    "FunctionMeasure",
    "Measure",
    "MeasureField",
    "MeasureLike",
    "Order",
    "Point",
    "Split",
    "active_subnetwork",
    "find_subnetworks",
    "norm_matched",
]

_HOMES = {
    "Flavor": "_subnetworks",
    "FunctionMeasure": "_function",
    "MeasureLike": "_function",
    "Order": "_point",
    "Point": "_point",
    "Split": "_point",
    "active_subnetwork": "_subnetworks",
    "find_subnetworks": "_subnetworks",
    "norm_matched": "_subnetworks",
}


def __getattr__(name: str) -> Any:
    # imported when used: they import jax, which specs must not
    if name in _HOMES:
        return getattr(importlib.import_module(f"grokscope.measures.{_HOMES[name]}"), name)
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
