"""Control of the false-discovery rate over a table of tests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from grokscope.errors import InputError
from grokscope.statistics._estimate import FloatArray

DiscoveryMethod = Literal["bh", "by"]


@dataclass(frozen=True, eq=False)
class Discoveries:
    """The outcome of `false_discovery`.

    Attributes:
        adjusted: Adjusted p-values, in the order and shape of the p-values; NaN where no test was made.
        rejected: Where the adjusted p-value is at most `level`.
        level: The allowed false-discovery rate.
        method: `"bh"` or `"by"`.
    """

    adjusted: FloatArray
    rejected: NDArray[np.bool_]
    level: float
    method: DiscoveryMethod


def false_discovery(p_values: ArrayLike, level: float = 0.05, method: DiscoveryMethod = "bh") -> Discoveries:
    r"""Adjust p-values so that the expected share of false rejections is at most `level`.

    With m tests and $p_{(1)} \le \dots \le p_{(m)}$ the adjusted value of $p_{(i)}$ is
    $\min_{j \ge i} \min(1, c\, m\, p_{(j)} / j)$: the smallest level at which it is rejected.
    `"bh"` has c = 1 and holds for independent or positively dependent tests; `"by"` has
    $c = \sum_{i \le m} 1/i$ and holds under any dependence.

    scipy.stats.false_discovery_control has the same values to rounding (tested). It is not called because
    it differs from recorded claims in the last digit, and importing scipy.stats takes a second.

    Args:
        p_values: p-values between 0 and 1; NaN = no test, and not counted in m.
        level: The allowed false-discovery rate.
        method: `"bh"` or `"by"`.

    Raises:
        InputError: for a p-value outside [0, 1], a level outside (0, 1) or an unknown method.

    Source: Y. Benjamini, Y. Hochberg, J. R. Stat. Soc. B 57 (1995) 289;
        Y. Benjamini, D. Yekutieli, Ann. Stat. 29 (2001) 1165, theorem 1.3.

    Example:
        >>> found = false_discovery([0.01, 0.9, 0.02])
        >>> [round(float(p), 3) for p in found.adjusted], found.rejected.tolist()
        ([0.03, 0.9, 0.03], [True, False, True])
    """
    p = np.asarray(p_values, dtype=np.float64)
    tested = ~np.isnan(p)
    if ((p[tested] < 0) | (p[tested] > 1)).any():
        raise InputError("p_values: must lie between 0 and 1")
    if not 0 < level < 1:
        raise InputError(f"level = {level}: must lie strictly between 0 and 1")
    if method not in ("bh", "by"):
        raise InputError(f"method = {method!r}: must be 'bh' or 'by'")
    flat = p[tested]
    m = len(flat)
    rank = np.arange(1, m + 1)
    dependence = float(np.sum(1 / rank)) if method == "by" else 1.0
    order = np.argsort(flat, kind="stable")
    stepped = np.minimum(1.0, dependence * m * flat[order] / rank)
    adjusted_flat = np.empty(m)
    adjusted_flat[order] = np.minimum.accumulate(stepped[::-1])[::-1]
    adjusted = np.full(p.shape, np.nan)
    adjusted[tested] = adjusted_flat
    return Discoveries(adjusted, adjusted <= level, level, method)
