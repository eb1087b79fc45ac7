"""Regression of censored times on covariates: how does a delay scale with a setting?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from grokscope.errors import InputError
from grokscope.statistics._estimate import Estimate, FloatArray
from grokscope.statistics._times import CensoredTimes

__all__ = ["CensoredRegression", "censored_regression"]

_MOST_ITERATIONS = 200
_CLOSE = 1e-12  # relative gain in log likelihood below which the fit has converged
_STEEPEST = 1e6  # 1 / sigma above which all times count as lying on a plane


@dataclass(frozen=True)
class CensoredRegression:
    r"""$\log T = b_0 + b \cdot x + \sigma \varepsilon$, fitted by `censored_regression`.

    Attributes:
        coefficients: $(b_0, b)$.
        sigma: $\sigma$, the scatter of log times.
        covariance: of $(b_0, b, \sigma)$, by the observed information.
        log_likelihood: at the maximum.
        n: number of times.
        observed: how many of them are not right-censored.
    """

    coefficients: FloatArray
    sigma: float
    covariance: FloatArray
    log_likelihood: float
    n: int
    observed: int

    def coefficient(self, number: int, confidence: float = 0.95) -> Estimate:
        """A coefficient with Wald's interval; 0 is the intercept."""
        from scipy.special import ndtri

        value, error = float(self.coefficients[number]), float(self.covariance[number, number]) ** 0.5
        half = float(ndtri(0.5 + confidence / 2)) * error
        method = "log-normal regression, Wald interval"
        return Estimate(value, value - half, value + half, self.n, confidence, method=method)


def censored_regression(times: CensoredTimes, x: ArrayLike) -> CensoredRegression:
    r"""Fit an accelerated-failure-time model with log-normal scatter to interval-censored times.

    $\log T_i = b_0 + b \cdot x_i + \sigma \varepsilon_i$ with $\varepsilon_i \sim N(0, 1)$. A time known to
    lie in $(l_i, u_i]$ adds $\log(\Phi(z(u_i)) - \Phi(z(l_i)))$ to the log likelihood, with
    $z(t) = (\log t - b_0 - b \cdot x_i) / \sigma$; an exact time adds the log density; a right-censored time
    has $u_i = \infty$; a lower end of 0 or less is no bound. The log likelihood is concave in $1/\sigma$ and
    $b/\sigma$, and Newton's method finds its maximum. If x is a logarithm, $x = \log \lambda$, its
    coefficient is an exponent: $T \propto \lambda^b$.

    Args:
        times: [time]; a member that diverged counts as censored at its last step.
        x: covariates, [time] or [time, covariate].

    Raises:
        InputError: if shapes differ, a covariate is not finite, a time is not positive, or the times do not
            determine the coefficients (fewer seen than there are coefficients, or all on a plane).

    Source: Tobin 1958 with intervals; the parametrization is Olsen 1978 (Econometrica 46, 1211).

    Example:
        >>> import numpy as np
        >>> decay = np.array([0.1, 0.1, 0.1, 0.01, 0.01, 0.01])
        >>> seen = np.array([90.0, 110.0, 100.0, 900.0, 1100.0, 1000.0])
        >>> fit = censored_regression(CensoredTimes(seen, seen), np.log(decay))
        >>> [round(float(b), 3) for b in fit.coefficients]
        [2.299, -1.0]
    """
    low, high = times.bounds("censored")
    design = _design(x, len(low))
    if (high <= 0).any():
        raise InputError("censored regression: a time is not positive, so it has no logarithm.")
    with np.errstate(divide="ignore"):
        a, b = np.log(np.maximum(low, 0.0)), np.log(high)
    seen, width = int(np.isfinite(b).sum()), design.shape[1]
    if seen <= width or np.linalg.matrix_rank(design[np.isfinite(b)]) < width:
        raise InputError(
            f"censored regression: {seen} of {len(b)} times were seen; that does not determine {width} "
            "coefficients."
        )
    theta, value = _start(design, a, b), -np.inf
    for _ in range(_MOST_ITERATIONS):
        value, gradient, hessian = _likelihood(theta, design, a, b)
        # the likelihood of the intervals is 1, or the density of exact times grows without bound
        if theta[-1] > _STEEPEST or (value > -1e-3 and not (a == b).any()):
            raise InputError(
                "censored regression: within their intervals all times lie on a plane, so their scatter, "
                "and with it the intervals, are not determined."
            )
        try:
            step: FloatArray = np.linalg.solve(hessian, -gradient).astype(np.float64)
        except np.linalg.LinAlgError:
            raise InputError("censored regression: the times do not determine the coefficients.") from None
        if float(-step @ hessian @ step) < _CLOSE * max(1.0, abs(value)):
            theta = theta + step  # one more Newton step doubles the digits
            value, _, hessian = _likelihood(theta, design, a, b)
            break
        theta = _line_search(theta, step, value, design, a, b)
    else:
        raise InputError("censored regression: the fit does not converge.")
    steep = theta[-1]
    # to (b, sigma) from (b / sigma, 1 / sigma)
    jacobian = np.zeros((len(theta), len(theta)))
    jacobian[:-1, :-1] = np.eye(width) / steep
    jacobian[:-1, -1] = -theta[:-1] / steep**2
    jacobian[-1, -1] = -1 / steep**2
    try:
        covariance = jacobian @ np.linalg.inv(-hessian) @ jacobian.T
    except np.linalg.LinAlgError:  # the likelihood is flat where the steps have become small
        raise InputError("censored regression: the times do not determine the coefficients.") from None
    exact = a == b  # the density of a time is that of its logarithm, divided by the time
    return CensoredRegression(
        theta[:-1] / steep, 1 / steep, covariance, value - float(b[exact].sum()), len(b), seen
    )


def _design(x: ArrayLike, n: int) -> FloatArray:
    columns = np.asarray(x, dtype=np.float64)
    columns = columns[:, None] if columns.ndim == 1 else columns
    if columns.ndim != 2 or len(columns) != n or not np.isfinite(columns).all():
        raise InputError(f"censored regression: x of shape {columns.shape} must be finite, one row per time.")
    return np.column_stack([np.ones(n), columns])


def _start(design: FloatArray, a: FloatArray, b: FloatArray) -> FloatArray:
    """Starting values: least squares through the times that were seen."""
    seen = np.isfinite(b)
    y = np.where(np.isfinite(a), (np.where(seen, a, 0) + np.where(seen, b, 0)) / 2, b - 0.5)[seen]
    slopes, *_ = np.linalg.lstsq(design[seen], y, rcond=None)
    steep = 1 / max(float(np.std(y - design[seen] @ slopes)), 0.05)
    return np.append(slopes * steep, steep)


def _line_search(
    theta: FloatArray, step: FloatArray, value: float, design: FloatArray, a: FloatArray, b: FloatArray
) -> FloatArray:
    """Take a Newton step, halved until the likelihood does not fall."""
    for halvings in range(60):
        tried = theta + step / 2**halvings
        if tried[-1] > 0 and _likelihood(tried, design, a, b)[0] >= value:
            return tried
    return theta + step / 2**60


def _likelihood(
    theta: FloatArray, design: FloatArray, a: FloatArray, b: FloatArray
) -> tuple[float, FloatArray, FloatArray]:
    """Log likelihood (of log times), its gradient and Hessian in (b / sigma, 1 / sigma)."""
    from scipy.special import log_ndtr

    linear, steep = design @ theta[:-1], theta[-1]
    exact = a == b
    # intervals: r is the density at an end divided by the probability of the interval
    rows, low, high = design[~exact], a[~exact], b[~exact]
    has_low, has_high = np.isfinite(low), np.isfinite(high)
    low, high = np.where(has_low, low, 0.0), np.where(has_high, high, 0.0)
    z_low = np.where(has_low, steep * low - linear[~exact], -np.inf)
    z_high = np.where(has_high, steep * high - linear[~exact], np.inf)
    turn = z_low > 0  # here the upper tail is small: compute in the mirrored, lower tail
    log_high, log_low = log_ndtr(np.where(turn, -z_low, z_high)), log_ndtr(np.where(turn, -z_high, z_low))
    log_p = log_high + np.log1p(-np.exp(np.minimum(log_low - log_high, -1e-300)))
    z_low, z_high = np.where(has_low, z_low, 0.0), np.where(has_high, z_high, 0.0)
    r_low = np.where(has_low, np.exp(-0.5 * z_low**2 - log_p), 0.0) / np.sqrt(2 * np.pi)
    r_high = np.where(has_high, np.exp(-0.5 * z_high**2 - log_p), 0.0) / np.sqrt(2 * np.pi)
    to_low, to_high = np.column_stack([-rows, low]), np.column_stack([-rows, high])
    gradient = to_high.T @ r_high - to_low.T @ r_low
    cross = (to_high * (r_high * r_low)[:, None]).T @ to_low
    hessian = cross + cross.T
    hessian -= (to_high * (r_high * (z_high + r_high))[:, None]).T @ to_high
    hessian += (to_low * (r_low * (z_low - r_low))[:, None]).T @ to_low
    value = float(log_p.sum())
    if exact.any():
        y, count = b[exact], int(exact.sum())
        z = steep * y - linear[exact]
        to_z = np.column_stack([-design[exact], y])
        value += count * (np.log(steep) - 0.5 * np.log(2 * np.pi)) - 0.5 * float(z @ z)
        gradient = gradient - to_z.T @ z
        gradient[-1] += count / steep
        hessian = hessian - to_z.T @ to_z
        hessian[-1, -1] -= count / steep**2
    return value, gradient, hessian
