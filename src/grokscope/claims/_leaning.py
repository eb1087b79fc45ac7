r"""Which way an undecided claim leans, and how many seeds would decide it.

The number of seeds is an answer to: with n seeds like these, would the interval alone decide? "Like these"
means, for

- a share: the same share $\hat p$; Clopper and Pearson's interval of $k = n\hat p$, which need not be whole,
- a mean: the same mean and standard deviation; $\bar x \pm t_{n-1}\, s/\sqrt n$; a geometric mean: the same
  of the logarithms,
- a median: the same shares of seeds on each side of the region's ends; the sign test's binomial tail
  $P(X \le nq) = I_{1/2}(n - nq,\, nq + 1)$ for the share q that speaks against the verdict.

Each interval becomes narrower with n, so that the smallest such n is found by bisection. The control of
errors over a table of claims is left out: it depends on the other claims.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from grokscope.claims._claim import Claim
from grokscope.claims._evidence import Evidence
from grokscope.statistics import CensoredTimes, clopper_pearson_ends, median_interval

MOST_SEEDS = 10_000  # numbers of seeds beyond are given as "more than 10,000"

Side = Literal["holds", "fails"]
# number of seeds -> whether the interval alone decides
Decided = Callable[[int], bool]


@dataclass(frozen=True)
class Leaning:
    """The leaning of an undecided claim.

    Attributes:
        to: "holds" if the estimate lies in the region, else "fails".
        agree: Number of seeds whose own value lies on the same side; None for a share where no single seed
            can (a region of neither 0 nor 1).
        n: Number of seeds.
        seeds: Smallest number of seeds with which the interval alone would decide, if they are like these;
            None if it is more than 10,000.
        withheld: True if the interval of these seeds decides already, and the verdict is withheld by the
            control of errors over the table. `seeds` is then `n`.

    Example:
        >>> print(Leaning("holds", 5, 5, 17))
        leans to holds: 5 of 5 seeds; about 17 would decide
        >>> print(Leaning("holds", None, 50, None))
        leans to holds: more than 10,000 would decide
    """

    to: Side
    agree: int | None
    n: int
    seeds: int | None
    withheld: bool = False

    def __str__(self) -> str:
        parts = [] if self.agree is None else [f"{self.agree} of {self.n} seeds"]
        if self.withheld:
            parts.append("decided by its interval alone, but withheld by the error control of the table")
        elif self.seeds is None:
            parts.append(f"more than {MOST_SEEDS:,} would decide")
        else:
            parts.append(f"about {_rounded(self.seeds):,} would decide")
        return f"leans to {self.to}: {'; '.join(parts)}"


def leaning(claim: Claim, evidence: Evidence, withheld: Side | None = None) -> Leaning | None:
    """Return the leaning of an undecided claim; None if its estimate tells nothing.

    That is so where times are known only as intervals and the median may lie on either side.

    Args:
        claim: The claim; not a deterministic one.
        evidence: As it was judged, with at least two seeds measured.
        withheld: The verdict of the interval alone; None if that is undecided, too.
    """
    lower, upper = _bounds(evidence)
    low, high = _estimate(claim, lower, upper)
    region = claim.region
    to: Side
    if region.contains(low, high):
        to = "holds"
    elif region.excludes(low, high):
        to = "fails"
    else:
        return None
    n = len(lower)
    agree = None
    if claim.kind != "share" or region.contains(0.0) or region.contains(1.0):
        side = region.contains if to == "holds" else region.excludes
        agree = sum(side(float(a), float(b)) for a, b in zip(lower, upper, strict=True))
    if withheld is not None:
        return Leaning(to, agree, n, n, withheld=True)
    return Leaning(to, agree, n, _smallest(_decided(claim, lower, upper, to), n + 1))


def least_seeds(claim: Claim) -> int | None:
    """Return the fewest seeds with which a claim can come out as "holds" by its interval alone.

    For a share all seeds then have to agree; for a mean their spread has to be small enough. 0 for a
    deterministic claim; None if it is more than 10,000.

    Example:
        >>> from grokscope.claims import Effect, Region
        >>> share = Claim(id="C1", sentence="It groks.", estimand="share that groks", kind="share",
        ...               region=Region.at_least(0.8), smallest_effect=Effect(0.1, "one in ten"),
        ...               experiment="standard", evidence=lambda measures: measures["grokked"])
        >>> least_seeds(share)
        17
    """
    if claim.kind == "deterministic":
        return 0
    if claim.kind == "median":
        return _smallest(lambda n: _sign_test(0.0, n, claim.confidence), 2)
    if claim.kind == "share":
        region = claim.region
        # the counts that lie in the region; its end is the best of them if it is 0 or 1
        for n in range(2, MOST_SEEDS + 1):
            counts = [n] if region.contains(1.0) else [0] if region.contains(0.0) else range(n + 1)
            if any(region.contains(*clopper_pearson_ends(k, n, claim.confidence)) for k in counts):
                return n
        return None
    return 2


def _bounds(evidence: Evidence) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper ends of the measured values."""
    if isinstance(evidence, CensoredTimes):
        return evidence.bounds()
    values = evidence[~np.isnan(evidence)]
    return values, values


def _estimate(claim: Claim, lower: np.ndarray, upper: np.ndarray) -> tuple[float, float]:
    """Between which values the estimate lies; for censored times the medians of both ends."""
    if claim.kind == "median":
        return median_interval(lower).value, median_interval(upper).value
    value = math.exp(np.log(lower).mean()) if claim.kind == "geometric_mean" else float(lower.mean())
    return value, value


def _decided(claim: Claim, lower: np.ndarray, upper: np.ndarray, to: Side) -> Decided:
    """By number of seeds like these: whether the interval lies inside the region, or outside of it."""
    region, confidence = claim.region, claim.confidence
    inside = region.contains if to == "holds" else region.excludes
    if claim.kind == "share":
        share = float(lower.mean())
        return lambda n: inside(*clopper_pearson_ends(share * n, n, confidence))
    if claim.kind == "median":
        if to == "holds":
            against = max(
                np.mean(lower <= region.low if region.low_open else lower < region.low),
                np.mean(upper >= region.high if region.high_open else upper > region.high),
            )
        else:
            against = min(
                np.mean(upper > region.low if region.low_open else upper >= region.low),
                np.mean(lower < region.high if region.high_open else lower <= region.high),
            )
        return lambda n: _sign_test(float(against), n, confidence)
    from scipy.special import stdtrit

    logs = claim.kind == "geometric_mean"
    values = np.log(lower) if logs else lower
    mean, spread = float(values.mean()), float(values.std(ddof=1))

    def decided(n: int) -> bool:
        half = float(stdtrit(n - 1, (1 + confidence) / 2)) * spread / math.sqrt(n)
        low, high = mean - half, mean + half
        return inside(*(_exp(low), _exp(high)) if logs else (low, high))

    return decided


def _sign_test(against: float, n: int, confidence: float) -> bool:
    """Whether the sign test decides if the share `against` of n seeds speaks against it."""
    from scipy.special import betainc

    if against >= 0.5:
        return False
    # As in the interval: a tail of exactly (1 - confidence) / 2 must count despite rounding.
    tail = (1 - confidence) / 2 * (1 + 1e-12)
    return float(betainc(n - against * n, against * n + 1, 0.5)) <= tail


def _smallest(decided: Decided, first: int) -> int | None:
    """The smallest number of seeds from `first` on that decides; None if it is more than 10,000."""
    candidates = range(first, MOST_SEEDS + 1)
    at = bisect_left(candidates, True, key=decided)
    return candidates[at] if at < len(candidates) else None


def _exp(value: float) -> float:
    return math.exp(value) if value < 700 else math.inf


def _rounded(count: int) -> int:
    """A count with two significant digits, rounded up."""
    unit = 10 ** max(0, len(str(count)) - 2)
    return -(-count // unit) * unit
