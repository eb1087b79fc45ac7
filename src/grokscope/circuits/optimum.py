"""The least path norm of a parity: how small a network with margin 1 can be."""

from __future__ import annotations

import math

import numpy as np

from grokscope.errors import InputError

__all__ = ["least_path_norm"]

_MOST_BITS = 40
_ANGLES = 20_001


def least_path_norm(k: int) -> float:
    r"""The least $\sum_j |u_j| \lVert (W_j, b_j) \rVert$ with margin 1 on the parity of k bits, all inputs.

    $\nu_k = 1 / \max_{\lVert (w, b) \rVert = 1} |E[\chi_S(x)\, \mathrm{relu}(w \cdot x + b)]|$ with x uniform
    on $\{-1, 1\}^k$. That no network has less: with $y f \ge 1$ everywhere,
    $1 \le E[\chi_S f] = \sum_j u_j E[\chi_S\, \mathrm{relu}(W_j \cdot x + b_j)] \le \sum_j |u_j|
    \lVert (W_j, b_j) \rVert / \nu_k$. The maximum is sought over weights of one size, $w = a s$ with signs s
    (which only change the sign), so over the one angle between a and b; that other weights do no better is
    checked numerically for k up to 6 (``tests/circuits/test_optimum.py``).

    Args:
        k: bits of the parity, 1 to 40.

    Raises:
        InputError: for another k.

    Example:
        >>> [round(least_path_norm(k), 2) for k in (2, 3, 4, 5, 6)]
        [2.83, 8.0, 8.0, 13.06, 13.06]
    """
    if not 1 <= k <= _MOST_BITS:
        raise InputError(f"least_path_norm: k must be from 1 to {_MOST_BITS}, not {k}.")
    minus = np.arange(k + 1)
    # E over x by the number of -1 among the bits: binomial weights, and the parity's sign
    weight = np.array([math.comb(k, int(m)) for m in minus]) * (-1.0) ** minus / 2.0**k

    def gain(angle: np.ndarray) -> np.ndarray:
        a, b = np.cos(angle) / math.sqrt(k), np.sin(angle)
        return np.abs(np.maximum(np.outer(a, k - 2 * minus) + b[:, None], 0.0) @ weight)

    low, high, best = -math.pi / 2, math.pi / 2, 0.0
    for _ in range(6):  # finer and finer around the best
        angles = np.linspace(low, high, _ANGLES)
        best = float(angles[int(np.argmax(gain(angles)))])
        step = (high - low) / (_ANGLES - 1)
        low, high = best - step, best + step
    return 1.0 / float(gain(np.array([best])).max())
