"""Shares of success over a grid: monotone shares, probit regression, and the size at which half succeed."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from grokscope.errors import InputError
from grokscope.statistics._estimate import Estimate, FloatArray, check_confidence

__all__ = ["ProbitRegression", "monotone_shares", "probit_regression", "success_frontier"]

_MOST_ITERATIONS = 100
_CLOSE = 1e-12  # gain in log likelihood below which a fit has converged
_STEEPEST = 1e4  # standard deviations per unit of x; from there on shares count as a step from 0 to 1
_POINTS = 201  # values of log m_50 at which the likelihood is computed
_METHOD = "probit, profile likelihood"


def monotone_shares(successes: ArrayLike, trials: ArrayLike) -> FloatArray:
    r"""The shares of highest likelihood that do not fall from one cell to the next.

    $\hat p = \arg\max_{p_1 \le p_2 \le \dots} \sum_c \log \mathrm{Bin}(k_c; n_c, p_c)$, which is the isotonic
    regression of $k_c / n_c$ with weights $n_c$.

    Args:
        successes: k [cell], in the order in which shares rise.
        trials: n [cell].

    Raises:
        InputError: unless 0 <= k <= n and n > 0 in every cell.

    Source: Barlow, Bartholomew, Bremner, Brunk 1972; `scipy.optimize.isotonic_regression`.

    Example:
        >>> monotone_shares([0, 6, 2, 10], [10, 10, 10, 10]).tolist()
        [0.0, 0.4, 0.4, 1.0]
    """
    from scipy.optimize import isotonic_regression

    k, n = _cells(successes, trials)
    return np.asarray(isotonic_regression(k / n, weights=n).x, np.float64)


@dataclass(frozen=True)
class ProbitRegression:
    r"""$P(\text{success}) = \Phi(b_0 + b \cdot x)$, fitted by `probit_regression`.

    Attributes:
        coefficients: $(b_0, b)$.
        covariance: of the coefficients, by the information.
        log_likelihood: at the maximum, without the binomial coefficients.
        n: number of trials in all cells.
    """

    coefficients: FloatArray
    covariance: FloatArray
    log_likelihood: float
    n: int


def probit_regression(x: ArrayLike, successes: ArrayLike, trials: ArrayLike) -> ProbitRegression:
    r"""Fit $P(\text{success}) = \Phi(b_0 + b \cdot x)$ to successes in cells, by maximum likelihood.

    Of two covariates $x = (\log r, \log m)$ the frontier, at which half of the trials succeed, is the line
    $\log m_{50} = -(b_0 + b_1 \log r) / b_2$, of slope $-b_1 / b_2$.

    Args:
        x: covariates, [cell] or [cell, covariate].
        successes: k [cell].
        trials: n [cell].

    Raises:
        InputError: unless 0 <= k <= n and n > 0 in every cell; or if the cells do not determine the
            coefficients: too few, or all successes on one side of a plane (the slope is then infinite).

    Source: Bliss 1934; Finney 1947, Probit Analysis.

    Example:
        >>> fit = probit_regression(np.log([300, 600, 1200]), [2, 10, 18], [20, 20, 20])
        >>> b = fit.coefficients
        >>> round(float(np.exp(-b[0] / b[1])))  # half succeed at
        600
    """
    k, n = _cells(successes, trials)
    design = _design(x, len(k))
    if np.linalg.matrix_rank(design) < design.shape[1]:
        raise InputError(f"probit regression: {len(k)} cells do not determine {design.shape[1]} numbers.")
    b = np.zeros(design.shape[1])
    value, gradient, information = _likelihood(b, design, k, n)
    for _ in range(_MOST_ITERATIONS):
        step = np.linalg.lstsq(information, gradient, rcond=None)[0]
        gain, size = float(gradient @ step), 1.0
        while size > 1e-10 and _likelihood(b + size * step, design, k, n)[0] < value:
            size /= 2  # the log likelihood is concave: a shorter step gains
        b = b + size * step
        value, gradient, information = _likelihood(b, design, k, n)
        if value > -1e-6 or np.abs(b).max() > _STEEPEST:
            raise InputError(
                "probit regression: all successes lie on one side of a plane, so that the slope is infinite."
            )
        if gain < _CLOSE * max(1.0, abs(value)):
            break
    else:
        raise InputError("probit regression: the fit does not converge.")
    covariance = np.asarray(np.linalg.inv(information), np.float64)
    return ProbitRegression(b, covariance, value, int(n.sum()))


def success_frontier(
    sizes: ArrayLike, successes: ArrayLike, trials: ArrayLike, confidence: float = 0.95, unit: str = ""
) -> Estimate:
    r"""The size $m_{50}$ at which half of the trials succeed, where success gets likelier with size.

    $P(\text{success} \mid m) = \Phi(\beta (\log m - \log m_{50}))$ with $\beta \ge 0$, by maximum likelihood;
    the interval is that of the profile likelihood,
    $2 (\ell_{\max} - \max_\beta \ell(\beta, m_{50})) \le \chi^2_1(\text{confidence})$. It has an infinite (or
    zero) end where the trials do not bound $m_{50}$: where all succeed, it has no lower end but 0.
    Where no trial fails above the smallest size at which one succeeds, the likelihood is highest on an
    interval of $m_{50}$, whose geometric middle is the value (to the grid of 201 values of $\log m_{50}$ on
    which it is found, 10 % apart for sizes over a factor of 17; a single maximum is refined).

    Args:
        sizes: m [cell], positive.
        successes: k [cell].
        trials: n [cell].
        confidence: nominal coverage.
        unit: of the sizes.

    Returns:
        The value is 0 where all trials succeed, inf where none does, and NaN where success does not get
        likelier with size; `n` counts trials.

    Raises:
        InputError: unless 0 <= k <= n and n > 0 in every cell and sizes are positive.

    Source: Bliss 1934; the profile likelihood: Venzon and Moolgavkar 1988.

    Example:
        >>> print(success_frontier([300, 600, 1200], [2, 10, 18], [20, 20, 20]))
        600 [482.6, 746] (95 %, n = 60)
    """
    from scipy.optimize import root_scalar
    from scipy.special import ndtri

    check_confidence(confidence)
    k, n = _cells(successes, trials)
    m = np.asarray(sizes, np.float64).ravel()
    if len(m) != len(k) or not (np.isfinite(m) & (m > 0)).all():
        raise InputError("success frontier: sizes must be positive numbers, one for each cell.")
    x = np.log(m)
    reach = 3 * max(float(np.ptp(x)), math.log(2))  # how far beyond the cells m_50 is looked for
    at = np.linspace(x.min() - reach, x.max() + reach, _POINTS)
    profile = _profile(at, x, k, n)
    top = float(profile.max())
    best = np.flatnonzero(profile >= top - 1e-6)
    bounded = best[0] > 0, best[-1] < len(at) - 1
    value = {
        (True, True): math.exp((at[best[0]] + at[best[-1]]) / 2),
        (True, False): math.inf,
        (False, True): 0.0,
        (False, False): math.nan,
    }[bounded]
    if len(best) <= 3 and all(bounded):  # a single maximum: to more digits than those of the grid
        fine = np.linspace(at[best[0] - 1], at[best[-1] + 1], _POINTS)
        finer = _profile(fine, x, k, n)
        value, top = math.exp(fine[int(np.argmax(finer))]), float(finer.max())
    floor = top - float(ndtri(0.5 + confidence / 2)) ** 2 / 2
    inside = np.flatnonzero(profile >= floor)

    def end(out: int, into: int) -> float:
        above = lambda one: float(_profile(np.array([one]), x, k, n)[0]) - floor  # noqa: E731
        return math.exp(root_scalar(above, bracket=(at[out], at[into])).root)

    low = end(inside[0] - 1, inside[0]) if inside[0] > 0 else 0.0
    high = end(inside[-1] + 1, inside[-1]) if inside[-1] < len(at) - 1 else math.inf
    return Estimate(value, low, high, int(n.sum()), confidence, unit, _METHOD)


def _profile(at: FloatArray, x: FloatArray, k: FloatArray, n: FloatArray) -> FloatArray:
    """The log likelihood of values of log m_50, each with the slope from 0 to `_STEEPEST` that fits best."""
    from scipy.special import log_ndtr

    distance = x - at[:, None]  # [value, cell]

    def rises(slope: FloatArray) -> FloatArray:
        z = slope[:, None] * distance
        return (distance * (k * _mills(z) - (n - k) * _mills(-z))).sum(axis=1)

    # concave in the slope: bisection, on a logarithmic scale, of where the derivative is 0
    low, high = np.full(len(at), math.log(1e-6)), np.full(len(at), math.log(_STEEPEST))
    for _ in range(34):
        middle = (low + high) / 2
        up = rises(np.exp(middle)) > 0
        low, high = np.where(up, middle, low), np.where(up, high, middle)
    slope = np.where(rises(np.zeros(len(at))) > 0, np.exp(low), 0.0)
    z = slope[:, None] * distance
    return (k * log_ndtr(z) + (n - k) * log_ndtr(-z)).sum(axis=1)


def _mills(z: FloatArray) -> FloatArray:
    """The normal density over the normal distribution function."""
    from scipy.special import log_ndtr

    return np.exp(-0.5 * z**2 - log_ndtr(z)) / math.sqrt(2 * math.pi)


def _likelihood(
    b: FloatArray, design: FloatArray, k: FloatArray, n: FloatArray
) -> tuple[float, FloatArray, FloatArray]:
    """Log likelihood of probit coefficients, its gradient, and the observed information."""
    from scipy.special import log_ndtr

    z = design @ b
    up, down = _mills(z), _mills(-z)
    value = float((k * log_ndtr(z) + (n - k) * log_ndtr(-z)).sum())
    curvature = k * up * (up + z) + (n - k) * down * (down - z)
    return value, design.T @ (k * up - (n - k) * down), (design * curvature[:, None]).T @ design


def _cells(successes: ArrayLike, trials: ArrayLike) -> tuple[FloatArray, FloatArray]:
    k, n = (np.asarray(one, np.float64).ravel() for one in (successes, trials))
    if len(k) != len(n) or not len(k) or not ((k >= 0) & (k <= n) & (n > 0) & np.isfinite(n)).all():
        raise InputError("shares of success: each cell needs 0 <= successes <= trials, and a trial.")
    return k, n


def _design(x: ArrayLike, n: int) -> FloatArray:
    columns = np.asarray(x, dtype=np.float64)
    columns = columns[:, None] if columns.ndim == 1 else columns
    if columns.ndim != 2 or len(columns) != n or not np.isfinite(columns).all():
        raise InputError(f"probit regression: x of shape {columns.shape} must be finite, one row per cell.")
    return np.column_stack([np.ones(n), columns])
