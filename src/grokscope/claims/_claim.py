"""`Claim`: a sentence, a parameter, and the region of the parameter that means "holds"."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

from grokscope.errors import InputError
from grokscope.statistics import format_number

LONGEST_NAME = 36  # characters; with id, number, interval and verdict it fits into a line of 100

Kind = Literal["share", "mean", "geometric_mean", "median", "deterministic"]
Setting = Literal["same", "small", "own"]


@dataclass(frozen=True)
class Region:
    """The values of a parameter that mean "holds": an interval whose ends may be infinite.

    Attributes:
        low: Lower end; -inf if there is none.
        high: Upper end; inf if there is none.
        low_open: True if `low` itself is outside.
        high_open: True if `high` itself is outside.

    Raises:
        InputError: if an end is NaN, the region is empty, or it is the whole line (a claim that
            cannot fail).

    Example:
        >>> print(Region.at_least(0.9), Region.below(10), Region.around(8, 0.5))
        >= 0.9 < 10 [7.5, 8.5]
    """

    low: float = -math.inf
    high: float = math.inf
    low_open: bool = False
    high_open: bool = False

    def __post_init__(self) -> None:
        open_point = self.low == self.high and (self.low_open or self.high_open)
        if not self.low <= self.high or open_point or math.inf in (self.low, -self.high):
            raise InputError(f"region from {self.low} to {self.high}: is empty")
        if math.isinf(self.low) and math.isinf(self.high):
            raise InputError("region without ends: such a claim cannot fail")

    @classmethod
    def at_least(cls, low: float) -> Region:
        """All values from `low` on."""
        return cls(low=low)

    @classmethod
    def at_most(cls, high: float) -> Region:
        """All values up to `high`."""
        return cls(high=high)

    @classmethod
    def above(cls, low: float) -> Region:
        """All values greater than `low`."""
        return cls(low=low, low_open=True)

    @classmethod
    def below(cls, high: float) -> Region:
        """All values less than `high`."""
        return cls(high=high, high_open=True)

    @classmethod
    def between(cls, low: float, high: float) -> Region:
        """All values from `low` to `high`, both included."""
        return cls(low=low, high=high)

    @classmethod
    def around(cls, target: float, tolerance: float) -> Region:
        """All values within `tolerance` of `target`."""
        return cls(low=target - tolerance, high=target + tolerance)

    def contains(self, low: float, high: float | None = None) -> bool:
        """Whether the value `low`, or all of the interval from `low` to `high`, lies inside."""
        top = low if high is None else high
        from_low = low > self.low if self.low_open else low >= self.low
        to_high = top < self.high if self.high_open else top <= self.high
        return from_low and to_high

    def excludes(self, low: float, high: float) -> bool:
        """Whether all of the interval from `low` to `high` lies outside, on one side."""
        below = high <= self.low if self.low_open else high < self.low
        above = low >= self.high if self.high_open else low > self.high
        return below or above

    def distance(self, value: float) -> float:
        """Return how far `value` lies outside; 0 inside, NaN for NaN."""
        return value - min(max(value, self.low), self.high) if not math.isnan(value) else math.nan

    def __str__(self) -> str:
        low, high = format_number(self.low), format_number(self.high)
        if math.isinf(self.low):
            return f"{'<' if self.high_open else '<='} {high}"
        if math.isinf(self.high):
            return f"{'>' if self.low_open else '>='} {low}"
        return f"{'(' if self.low_open else '['}{low}, {high}{')' if self.high_open else ']'}"


@dataclass(frozen=True)
class Effect:
    """The smallest effect that matters: the distance from the region at which a parameter matters.

    Attributes:
        size: In the claim's unit.
        meaning: The size in words, as "one seed in ten".
    """

    size: float
    meaning: str

    def __str__(self) -> str:
        return f"{format_number(self.size)} ({self.meaning})"


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A sentence of a paper as a statement about one parameter, which evidence confirms or refutes.

    The parameter (`estimand`) is a property of the population of seeds, not of the seeds that were
    run. Its `kind` determines how the interval is computed:

    - `"share"`: the share of seeds for which the sentence is true; Clopper-Pearson. Evidence: true or
      false per seed. A claim about every seed has a region such as `Region.at_least(0.9)`. Five of
      five seeds are then undecided, because the exact interval reaches down to 0.48. If all seeds
      are true, 36 show a share of 0.9; among 100, up to 4 may be false.
    - `"mean"`: the mean over seeds; Student's t.
    - `"geometric_mean"`: the geometric mean over seeds; Student's t of the logarithms. For ratios, which
      are positive and vary by factors. Finite ends of the region must be positive.
    - `"median"`: the median over seeds; distribution-free. Evidence may be `CensoredTimes`.
    - `"deterministic"`: numbers without sampling (constructions, exhaustive checks). All must lie
      in the region, which is then a tolerance: `Region.around(target, tolerance)`.

    What several claims share is bound with `functools.partial`.

    Attributes:
        id: Unique in its table, as "C3".
        name: Short name for tables with one line a claim, at most 36 characters; where it is empty, they show
            the beginning of the sentence.
        sentence: What is claimed.
        source: Where the paper says so, as "Fig. 2 right".
        paper_value: The paper's number or word; None if it gives none.
        unit: Unit of the parameter; empty for a pure number.
        estimand: The parameter, in words precise enough to compute it another way.
        region: Values of the parameter that mean "holds".
        smallest_effect: The smallest effect that matters; None only for deterministic claims.
        kind: See above.
        experiment: Name of the experiment whose measures are the evidence.
        beside: Names of further experiments, whose measures `evidence` gets as further arguments.
        setting: Whether it is judged in the setting of the paper: `"same"`; `"small"`, a reduced one;
            `"own"`, a control or correction that the paper lacks.
        reduced: How a small setting differs from the paper's, as "p = 53 instead of 97". Empty for `"same"`.
        evidence: Function from the experiment's measures to one entry per seed (NaN = not measured);
            to `CensoredTimes` for a median of times; to one number or more for a deterministic claim.
            It raises `NotTestable` with the reason where the measures do not have what it needs.
        confidence: Coverage of the interval.
        fixed_on: Seeds on which the region was fixed; begins with "none" if it was fixed beforehand.
        confirmed_on: Seeds that are kept to confirm it.

    Raises:
        InputError: for an unknown kind or setting, a small setting without `reduced`, an empty id, a name of
            more than 36 characters, a confidence outside (0, 1), a share region that contains no share, a
            geometric mean's region with an end that is not positive, or a missing smallest effect.

    Example:
        >>> from functools import partial
        >>> share = partial(Claim, kind="share", region=Region.at_least(0.9), experiment="standard")
        >>> claim = share(
        ...     id="C1",
        ...     sentence="Test accuracy stays at chance long after the training set is learned.",
        ...     source="Fig. 2 left",
        ...     estimand="share of seeds whose grokking step is twice their memorization step",
        ...     smallest_effect=Effect(0.1, "one seed in ten behaves differently"),
        ...     evidence=lambda measures: measures["delayed"],
        ... )
        >>> print(claim.region)
        >= 0.9
    """

    id: str
    name: str = ""
    sentence: str
    source: str = ""
    paper_value: float | str | None = None
    unit: str = ""
    estimand: str
    region: Region
    smallest_effect: Effect | None = None
    kind: Kind = "mean"
    experiment: str
    evidence: Callable[..., Any]
    confidence: float = 0.95
    fixed_on: str = "0-4"
    confirmed_on: str = "100-199"
    beside: tuple[str, ...] = ()
    setting: Setting = "same"
    reduced: str = ""

    @property
    def fixed(self) -> str:
        """How the region was fixed, as text: "beforehand" or "on seeds ..."."""
        return "beforehand" if self.fixed_on.startswith("none") else f"on seeds {self.fixed_on}"

    @property
    def experiments(self) -> tuple[str, ...]:
        """Names of all experiments whose measures are evidence, in the order of `evidence`'s arguments."""
        return self.experiment, *self.beside

    def under(self, *reduced: str) -> Claim:
        """The claim judged on experiments that are reduced in these ways; empty texts are left out.

        A claim in the paper's setting becomes one in a small setting; one of our own stays so.
        """
        texts = dict.fromkeys(text for text in (self.reduced, *reduced) if text)
        if not any(reduced):
            return self
        return replace(self, setting="own" if self.setting == "own" else "small", reduced="; ".join(texts))

    def __post_init__(self) -> None:
        if not self.id:
            raise InputError("claim: id must not be empty")
        if len(self.name) > LONGEST_NAME:
            raise InputError(
                f"claim {self.id}: name = {self.name!r} has {len(self.name)} characters, "
                f"at most {LONGEST_NAME} are allowed"
            )
        if self.kind not in get_args(Kind):
            raise InputError(
                f"claim {self.id}: kind = {self.kind!r}, must be one of {', '.join(get_args(Kind))}"
            )
        if self.setting not in get_args(Setting):
            raise InputError(
                f"claim {self.id}: setting = {self.setting!r}, must be one of {', '.join(get_args(Setting))}"
            )
        if self.setting == "small" and not self.reduced:
            raise InputError(f"claim {self.id}: setting = 'small' needs reduced, which says what is smaller")
        if self.setting == "same" and self.reduced:
            raise InputError(
                f"claim {self.id}: reduced = {self.reduced!r}, must be empty for setting = 'same'"
            )
        if not 0 < self.confidence < 1:
            raise InputError(f"claim {self.id}: confidence = {self.confidence}, must be in (0, 1)")
        if self.kind == "share" and self.region.excludes(0.0, 1.0):
            raise InputError(f"claim {self.id}: region {self.region} contains no share from 0 to 1")
        ends = [end for end in (self.region.low, self.region.high) if math.isfinite(end)]
        if self.kind == "geometric_mean" and min(ends) <= 0:
            raise InputError(
                f"claim {self.id}: region {self.region}: a geometric mean's region must have positive ends"
            )
        if self.smallest_effect is None and self.kind != "deterministic":
            raise InputError(f"claim {self.id}: smallest_effect is missing")
