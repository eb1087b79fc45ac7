"""The verdict of a verification."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

if TYPE_CHECKING:
    from grokscope.circuits.verification.certificate import Certificate

__all__ = ["TRUSTED", "Verdict"]

TRUSTED = {
    "proved": "the checker of the certificate (certificate.py) and float64 arithmetic on whole numbers below "
    "2^53, which is exact; neither the search, nor how the cube was cut, nor any rounding",
    "counterexample": "one evaluation of the network at the input, in whole numbers of any length",
    "undecided": "as for 'proved', for the lower bound; the upper bound is one evaluation in float64",
}


@dataclass(frozen=True, eq=False)
class Verdict:
    r"""Whether $y(x) f(x) > 0$ for all inputs x, y the wanted sign; f(x) = 0 is wrong.

    Attributes:
        verdict: ``proved``, ``counterexample`` or ``undecided``.
        margin: proved or undecided: a certified lower bound of $\min_x y(x) f(x)$; counterexample:
            $y(x) f(x) \le 0$ at the input. In the second case None if there was no time for a bound.
        input: the counterexample, n values +-1; else None.
        seconds: that it took.
        lower: certified: $y f(x) \ge$ lower for all x; -inf where none was computed.
        upper: the smallest $y f(x)$ that was found; an upper bound of the worst-case margin.
        worst_input: where it was found.
        lowers, uppers: the same for each setting of the support (in the order of `settings_of`).
        leaves: subcubes in the certificate.
        certificate: the proof, which `check_certificate` checks again; None for a counterexample.

    Example:
        >>> from grokscope.circuits import proposition_2
        >>> from grokscope.circuits.verification import verify
        >>> verdict = verify(proposition_2(n=40), (0, 1, 2))
        >>> verdict.verdict, round(verdict.margin, 3), verdict.gap < 0.001
        ('proved', 1.0, True)
    """

    verdict: Literal["proved", "counterexample", "undecided"]
    margin: float | None
    input: list[int] | None
    seconds: float
    lower: float
    upper: float
    worst_input: list[int]
    lowers: np.ndarray
    uppers: np.ndarray
    leaves: int = 0
    certificate: Certificate | None = field(default=None, repr=False)

    @property
    def gap(self) -> float:
        """How far the bounds of the worst-case margin are apart: upper - lower."""
        return self.upper - self.lower

    @property
    def trusted(self) -> str:
        """What the verdict stands on."""
        return TRUSTED[self.verdict]

    def as_json(self) -> dict[str, Any]:
        """Verdict, margin, input and seconds, as ``grokscope circuits --json`` prints them."""
        return {
            "verdict": self.verdict,
            "margin": self.margin,
            "input": self.input,
            "seconds": self.seconds,
        }
