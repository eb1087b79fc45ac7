"""Turnbull's curve: the nonparametric maximum-likelihood estimate for interval-censored times."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from grokscope.errors import InputError
from grokscope.statistics._estimate import Estimate, FloatArray, check_confidence
from grokscope.statistics._events import CensoredTimes, Divergence

_MAX_ROUNDS = 200
# What may be left to gain in log-likelihood: a difference of 0.01 changes no inference.
_TOLERANCE = 1e-6
_TOLERANCE_RESAMPLED = 0.01


@dataclass(frozen=True, eq=False)
class TurnbullCurve:
    """Where the times' probability lies: on disjoint intervals, within which nothing is known.

    Attributes:
        lower: Left ends of the intervals that can carry probability, increasing.
        upper: Right ends; equal to the left end for an exact time.
        mass: Probability of each, summing to 1; that of an infinite right end is "not reached".
        n: Number of members.
        log_likelihood: Of the members' intervals under this estimate.
        gap: Upper bound on how much a better estimate could add to `log_likelihood`.
    """

    lower: FloatArray
    upper: FloatArray
    mass: FloatArray
    n: int
    log_likelihood: float
    gap: float
    _covers: FloatArray
    _group: FloatArray

    def survival(self, time: float) -> tuple[float, float]:
        """Return the least and the greatest share without the event just after `time`.

        They differ where `time` falls inside an interval that carries probability.
        """
        if self.n == 0:
            return 0.0, 1.0
        later = (self.lower >= time) & (self.upper > time)
        return float(self.mass[later].sum()), float(self.mass[self.upper > time].sum())

    def median(
        self,
        *,
        confidence: float = 0.95,
        resamples: int = 400,
        seed: int = 0,
        unit: str = "",
    ) -> Estimate:
        """Median time with a bootstrap interval over members.

        The value is the middle of the interval in which the cumulative probability reaches 1/2
        (its right end where the left is -inf; inf if the median is not reached). The interval's low
        end is a quantile of the resampled medians' left ends, its high end one of their right ends,
        so that it covers what lies between measured points. An end that n members cannot bound
        (fewer than 6 at 95 %) is infinite.

        Args:
            confidence: Nominal coverage.
            resamples: Number of bootstrap samples of members.
            seed: Seed of the generator.
            unit: Unit of the times.

        Raises:
            InputError: for fewer than 100 resamples.
        """
        check_confidence(confidence)
        if resamples < 100:
            raise InputError(f"resamples = {resamples}: must be at least 100")
        method = "Turnbull, bootstrap"
        if self.n == 0:
            return Estimate(math.nan, -math.inf, math.inf, 0, confidence, unit, method)
        left, right = self._median_interval(self.mass[None])
        value = float(right[0])
        if math.isfinite(left[0]) and math.isfinite(value):
            value = float(left[0] + right[0]) / 2
        tail = (1 - confidence) / 2
        if 0.5**self.n > tail:
            return Estimate(value, -math.inf, math.inf, self.n, confidence, unit, method)
        draws = np.random.default_rng(seed).multinomial(
            self.n, self._group / self.n, size=resamples
        )
        # The start must give every interval of the sample some probability.
        start = (self.mass + 1 / len(self.mass)) / 2
        masses = np.stack(
            [
                _maximize(self._covers, draw.astype(float), start, _TOLERANCE_RESAMPLED)
                for draw in draws
            ]
        )
        left, right = self._median_interval(masses)
        # Order statistics, not interpolated quantiles, because ends may be infinite.
        k = int(tail * resamples)
        low, high = np.sort(left)[k], np.sort(right)[resamples - 1 - k]
        return Estimate(value, float(low), float(high), self.n, confidence, unit, method)

    def _median_interval(self, masses: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return, per row of `masses`, the ends of the interval in which half is reached."""
        at = np.argmax(np.cumsum(masses, axis=1) >= 0.5 - 1e-9, axis=1)
        return self.lower[at], self.upper[at]


def turnbull(times: CensoredTimes, *, divergence: Divergence = "never") -> TurnbullCurve:
    r"""Turnbull's estimate of the distribution of interval-censored times.

    Maximizes $\sum_i \log \sum_j A_{ij} p_j$ over probabilities $p_j$ of the innermost intervals
    (a left end directly followed by a right end, among all ends), where $A_{ij}$ = 1 if interval j
    lies within member i's, by the constrained Newton method. It ends when
    $\max_j \sum_i A_{ij} / (Ap)_i - n$, which bounds what is left to gain, is below $10^{-6}$.

    Args:
        times: The censored times. Ends mean lower < time <= upper; equal ends an exact time.
        divergence: See `CensoredTimes.bounds`.

    Raises:
        InputError: for an unknown `divergence`.

    Source: B. W. Turnbull, J. R. Stat. Soc. B 38 (1976) 290; Y. Wang, J. R. Stat. Soc. B 69 (2007)
        185 (the method).

    Example:
        >>> curve = turnbull(CensoredTimes([0, 2, 1, 6], [4, 6, 3, float("inf")]))
        >>> curve.lower.tolist(), curve.upper.tolist(), curve.mass.round(2).tolist()
        ([2.0, 6.0], [3.0, inf], [0.75, 0.25])
    """
    lower, upper = times.bounds(divergence)
    pairs, group = np.unique(np.stack([lower, upper]), axis=1, return_counts=True)
    low, high = pairs
    left, right = _innermost(low, high)
    exact = low == high
    # An open left end excludes an exact time there; only an exact member contains it.
    point = left == right
    starts_after = np.where(
        point & ~exact[:, None], low[:, None] < left, low[:, None] <= left
    ) & np.where(exact[:, None], point, True)
    covers = (starts_after & (right <= high[:, None])).astype(np.float64)
    counts = group.astype(np.float64)
    n = times.n
    if n == 0:
        empty = np.empty(0)
        return TurnbullCurve(empty, empty, empty, 0, 0.0, 0.0, covers, counts)
    uniform = np.full(len(left), 1 / len(left))
    mass = _maximize(covers, counts, uniform)
    fitted = covers @ mass
    gap = n * (float(np.max((counts / fitted) @ covers)) / n - 1)
    log_likelihood = float(counts @ np.log(fitted))
    return TurnbullCurve(left, right, mass, n, log_likelihood, max(gap, 0.0), covers, counts)


def _innermost(low: FloatArray, high: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the innermost intervals: every left end that the next end, a right one, follows."""
    exact = low == high
    ends = np.concatenate([low, high])
    # At one value: first the (closed) left ends of exact times, then right, then open left ends.
    kind = np.concatenate([np.where(exact, 0, 2), np.ones(len(high), dtype=np.int_)])
    order = np.lexsort((kind, ends))
    ends, is_right = ends[order], kind[order] == 1
    at = np.flatnonzero(~is_right[:-1] & is_right[1:])
    return ends[at], ends[at + 1]


def _maximize(
    covers: FloatArray, weights: FloatArray, start: FloatArray, tolerance: float = _TOLERANCE
) -> FloatArray:
    """Return the maximizing probabilities for `weights` members per interval.

    Each round solves the quadratic approximation of the log-likelihood on the current support and
    all places where more probability would help, exactly (non-negative least squares, scaled to
    sum to 1), and goes along that direction as far as the likelihood rises.
    """
    from scipy.optimize import nnls

    covers, weights = covers[weights > 0], weights[weights > 0]
    n, mass = weights.sum(), start
    for _ in range(_MAX_ROUNDS):
        fitted = covers @ mass
        gain = (weights / fitted) @ covers - n
        if gain.max() < tolerance:
            break
        support = np.flatnonzero((mass > 0) | (gain > 0))
        scaled = covers[:, support] / fitted[:, None]
        # Dax (1990): the sum-to-1 problem is this one with an extra row of ones, then normalized.
        system = np.vstack([np.sqrt(weights)[:, None] * (scaled - 2), np.ones(len(support))])
        target = np.zeros(len(system))
        target[-1] = 1
        solution, _ = nnls(system, target)
        step = np.zeros_like(mass)
        step[support] = solution / solution.sum()
        step -= mass
        # Half the step until the likelihood rises by a third of what its slope promises (Armijo).
        now, slope = weights @ np.log(fitted), gain @ step
        length = 1.0
        while length > 1e-10:
            tried = mass + length * step
            value = weights @ np.log(np.maximum(covers @ tried, 1e-300))
            if value >= now + length * slope / 3:
                break
            length /= 2
        mass = np.maximum(mass + length * step, 0.0)
    return mass / mass.sum()
