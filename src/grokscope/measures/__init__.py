"""Measures: pure functions of (state, data), in evaluation mode. One file per family.

Copy ``accuracy.py`` when adding one. A measure sees a `Point` and returns an array; the compiled loop, a
replay and a folder of imported checkpoints all call the same function.
"""

from grokscope.measures._measure import Measure
from grokscope.measures._point import Point, Split

__all__ = ["Measure", "Point", "Split"]
