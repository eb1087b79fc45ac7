"""Numbers on their way into the page: typed arrays in base 64, and JSON that cannot end its own tag."""

from __future__ import annotations

import base64
import json
import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

__all__ = ["LogCode", "embedded_json", "log_code", "packed"]

_NONE = 65535  # the code of what is not a number


def packed(values: ArrayLike, kind: str) -> dict[str, Any]:
    """An array as the page's script reads it.

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
        low, high: the numbers of the codes 0 and 65534; smaller and larger ones get these.
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
        """How far a decoded number between `low` and `high` may be off, relative to it."""
        return math.expm1(math.log(self.high / self.low) / (_NONE - 1) / 2)


def log_code(values: np.ndarray, decades: float) -> LogCode:
    """A code that reaches from the largest number down by some decades, at most.

    Args:
        values: what is to be coded; NaN, 0 and below do not count.
        decades: how many decades at most; what is smaller is drawn at the lower end.

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
    r"""JSON to stand inside a ``script`` element: no text in it can end the element or start a comment.

    Raises:
        ValueError: for a number that is not finite; JSON has none.

    Example:
        >>> embedded_json({"name": "</script><!--"})
        '{"name":"\\u003c/script>\\u003c!--"}'
    """
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c")
