"""Numbers as the page's script and tables take them: packed arrays, JSON in a script element, tables."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

__all__ = ["LogCode", "Table", "embedded_json", "log_code", "log_spaced", "packed"]

_NONE = 65535  # the code of NaN
_ROWS = 14  # of a table over time


class Table(NamedTuple):
    """A table of texts.

    Attributes:
        title: its caption.
        head: names of the columns.
        rows: one text per column each.
        heading: printed above the table; empty for none.
    """

    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    heading: str = ""


def log_spaced(steps: np.ndarray, most: int = _ROWS) -> list[int]:
    """Positions of at most so many steps, log-spaced, the first and the last among them."""
    if len(steps) <= most:
        return list(range(len(steps)))
    targets = np.geomspace(max(steps[1], 1), steps[-1], most - 1)
    return sorted({0, *(int(np.argmin(np.abs(steps - target))) for target in targets)})


def packed(values: ArrayLike, kind: str) -> dict[str, Any]:
    """An array in base 64, as the page's script reads it.

    Args:
        values: of any shape.
        kind: ``f4``, ``f8``, ``i4``, ``i2``, ``u2`` or ``u1``; written in little-endian order.

    Example:
        >>> packed([1, 2], "u1")
        {'type': 'u1', 'shape': [2], 'data': 'AQI='}
    """
    array = np.ascontiguousarray(values, dtype=np.dtype(kind).newbyteorder("<"))
    return {
        "type": kind,
        "shape": list(array.shape),
        "data": base64.b64encode(array.tobytes()).decode("ascii"),
    }


class LogCode:
    """Positive numbers in 16 bits, evenly spaced in their logarithm.

    Attributes:
        low, high: the numbers of the codes 0 and 65534; numbers outside are clipped to them.
    """

    def __init__(self, low: float, high: float) -> None:
        self.low, self.high = low, high

    def codes(self, values: np.ndarray) -> np.ndarray:
        """The codes, uint16; 65535 for NaN."""
        span = math.log(self.high / self.low)
        with np.errstate(divide="ignore", invalid="ignore"):
            place = (np.log(np.maximum(values, 0)) - math.log(self.low)) / span * (_NONE - 1)
        known = np.isfinite(values)
        return np.where(known, np.clip(np.round(place), 0, _NONE - 1), _NONE).astype(np.uint16)

    @property
    def relative_error(self) -> float:
        """The largest relative error of a decoded number between `low` and `high`."""
        return math.expm1(math.log(self.high / self.low) / (_NONE - 1) / 2)

    def data(self, values: np.ndarray) -> dict[str, Any]:
        """The codes of some values, and the range, for the page's script."""
        return {"low": self.low, "high": self.high, "codes": packed(self.codes(values), "u2")}


def log_code(values: np.ndarray, decades: float) -> LogCode:
    """A code that covers the values, at most a number of decades down from the largest.

    Args:
        values: to be coded; NaN, 0 and negative numbers do not count.
        decades: of the range, at most.

    Example:
        >>> code = log_code(np.array([1e-9, 0.5, 2.0]), decades=4)
        >>> code.high, round(code.low, 6), code.codes(np.array([2.0, 0.0, np.nan])).tolist()
        (2.0, 0.0002, [65534, 0, 65535])
    """
    positive = values[np.isfinite(values) & (values > 0)]
    if not positive.size:
        return LogCode(0.1, 1.0)
    high = float(positive.max())
    low = max(float(positive.min()), high * 10.0**-decades)
    return LogCode(min(low, high / 2), high)


def embedded_json(value: Any) -> str:
    r"""JSON for a ``script`` element: no text in it can end the element or start a comment.

    Raises:
        ValueError: for a number that is not finite; JSON has none.

    Example:
        >>> embedded_json({"name": "</script><!--"})
        '{"name":"\\u003c/script>\\u003c!--"}'
    """
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c")
