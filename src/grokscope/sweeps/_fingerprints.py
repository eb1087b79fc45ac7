"""Numerics fingerprints of a sweep: one for all cells, but for what the cells themselves set."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from grokscope.runs.numerics import fingerprint_difference

__all__ = ["difference_but_precision"]

_OF_THE_CELL = ("precision",)


def difference_but_precision(there: Mapping[str, Any], here: Mapping[str, Any]) -> list[str]:
    """What differs between two fingerprints, leaving out the precision, which a cell may set.

    Example:
        >>> difference_but_precision({"jax": "1", "precision": "float32"}, {"jax": "2"})
        ['jax: 1 there, 2 here']
    """
    return fingerprint_difference(
        *({name: value for name, value in one.items() if name not in _OF_THE_CELL} for one in (there, here))
    )
