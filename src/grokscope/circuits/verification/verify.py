"""Verify a network: find a counterexample, or a proof that is checked in exact arithmetic."""

from __future__ import annotations

import functools
import math
import threading
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Literal

import numpy as np

from grokscope.circuits.verification.certificate import Certificate, Rounded, exact_lowers, exact_output
from grokscope.circuits.verification.problem import VerificationProblem, kept_weights
from grokscope.circuits.verification.relaxation import precision
from grokscope.circuits.verification.search import Cover, LowestPoints, cover, search
from grokscope.errors import InputError

__all__ = ["BUDGET", "TRUSTED", "Verdict", "verify"]

BUDGET = 10.0  # seconds for one network
TRUSTED = {
    "proved": "the checker of the certificate (certificate.py) and float64 arithmetic on whole numbers below "
    "2^53, which is exact; neither the search, nor how the cube was cut, nor any rounding",
    "counterexample": "one evaluation of the network at the input, in whole numbers of any length",
    "undecided": "as for 'proved', for the lower bound; the upper bound is one evaluation in float64",
}
_GAP = 0.1  # the margin's bound is sharpened to within this share of the margin
_SHARPENING = 4000  # nodes up to which it is sharpened
_ZERO = 1e-12  # outputs below this share of the largest possible one may be 0 or negative in exact arithmetic
_FOR_CHECK = 0.3  # share of the budget that is kept for the check of the certificate


@dataclass(frozen=True, eq=False)
class Verdict:
    r"""The verdict on whether $y(x) f(x) > 0$ for all inputs x, with y the target; f(x) = 0 is wrong.

    Attributes:
        verdict: ``proved``, ``counterexample`` or ``undecided``.
        margin: if proved or undecided, a certified lower bound of $\min_x y(x) f(x)$; for a counterexample,
            $y(x) f(x) \le 0$ at the input.
        input: the counterexample, n values +-1; None without one.
        seconds: wall time.
        lower: certified lower bound of $y(x) f(x)$ over all x; -inf if none was computed.
        upper: the smallest $y(x) f(x)$ that was found, an upper bound of the worst-case margin.
        worst_input: the input at which it was found.
        lowers, uppers: lower and upper for each setting of the support, in the order of `settings_of`.
        leaves: number of subcubes in the certificate.
        certificate: the proof, for `check_certificate`; None for a counterexample.

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
        """The gap of the bounds on the worst-case margin: upper - lower."""
        return self.upper - self.lower

    @property
    def trusted(self) -> str:
        """The parts of the program that the verdict relies on."""
        return TRUSTED[self.verdict]

    def as_json(self) -> dict[str, Any]:
        """Verdict, margin, input and seconds, for ``grokscope circuits --json``."""
        return {
            "verdict": self.verdict,
            "margin": self.margin,
            "input": self.input,
            "seconds": self.seconds,
        }


def verify(
    network: Any,
    support: Sequence[int],
    *,
    target: Any = None,
    neurons: Any = None,
    budget: float = BUDGET,
    seed: int = 0,
) -> Verdict:
    r"""Decide whether sign f(x) is the parity of some bits for ALL inputs $x \in \{-1, +1\}^n$.

    1. Search for x with $y(x) f(x) \le 0$ (a wrong sign; f(x) = 0 is wrong too).
    2. Cover the cube by subcubes with a positive lower bound on each, from the sum of one line below each
       neuron's contribution. The subcube with the lowest bound is split first.
    3. Check the result in exact arithmetic: the output at x, or the bound of every subcube.

    Args:
        network: one hidden layer of relu with one output; or its arrays (W [bit, neuron], b, u [neuron]).
        support: the bits, counted from 0.
        target: another Boolean function of these bits: its values +-1, [setting], all +1 first, the last bit
            changing fastest. None: the parity.
        neurons: verify the network of only these (a `Subnetwork`, a mask or positions); None: all.
        budget: seconds after which the verdict is ``undecided``.
        seed: of the search's starting points.

    Raises:
        InputError: if the network cannot be read, its weights are not finite, a bit or a neuron does not
            exist, or the target does not fit.

    Example:
        >>> from grokscope.circuits import proposition_3
        >>> network = proposition_3(n=40)
        >>> verify(network, (0, 1, 2)).verdict
        'proved'
        >>> refuted = verify(network, (0, 1, 2), neurons=[0, 1, 2])
        >>> refuted.verdict, refuted.margin, refuted.input[:3]
        ('counterexample', -1.0, [-1, -1, -1])
    """
    start = time.perf_counter()
    if not budget > 0:
        raise InputError(f"verify: the budget must be above 0 seconds, not {budget:g}.")
    problem = VerificationProblem.of(kept_weights(network, neurons), support, target)
    with _one_blas_thread():
        return _decide(problem, start, budget, seed)


def _decide(problem: VerificationProblem, start: float, budget: float, seed: int) -> Verdict:
    rounded = Rounded.of(problem)
    found = search(problem, seed)
    if (refuted := _refuted(problem, found)) is not None:
        return _verdict("counterexample", start, problem, found, margin=float(refuted))
    # a bound below this could be lost to the rounding of the weights or of the bounds
    rounding = 16.0 * float(np.finfo(precision(problem)).eps) * _size(problem)
    enough = 2.0 * float(rounded.error) + rounding
    covered = cover(
        problem,
        found,
        enough=enough,
        zero=_ZERO * _size(problem),
        gap=_GAP,
        most_nodes=_SHARPENING,
        deadline=start + (1.0 - _FOR_CHECK) * budget,
    )
    found = covered.found
    if (refuted := _refuted(problem, found)) is not None:
        return _verdict("counterexample", start, problem, found, margin=float(refuted))
    lowers = exact_lowers(covered.certificate, problem, rounded)
    decided = "proved" if min(lowers) > 0 else "undecided"
    return _verdict(decided, start, problem, found, lowers=lowers, covered=covered)


def _size(problem: VerificationProblem) -> float:
    """An upper bound of |f(x)| over all inputs."""
    W, b, u = problem.weights
    return float(np.abs(u) @ (np.abs(W).sum(axis=0) + np.abs(b)))


def _refuted(problem: VerificationProblem, found: LowestPoints) -> Fraction | None:
    """The exact value of y f(x) at its lowest known input if that is not positive, else None."""
    setting = int(found.value.argmin())
    if found.value[setting] > _ZERO * _size(problem):
        return None
    exact = exact_output(problem, setting, found.x[setting])
    return exact if exact <= 0 else None


def _verdict(
    verdict: Any,
    start: float,
    problem: VerificationProblem,
    found: LowestPoints,
    *,
    margin: float | None = None,
    lowers: list[Fraction] | None = None,
    covered: Cover | None = None,
) -> Verdict:
    setting = int(found.value.argmin())
    worst = problem.input(setting, found.x[setting])
    floors = np.array([-math.inf] * len(found.value) if lowers is None else [_below(one) for one in lowers])
    lower = float(floors.min())
    certificate = None if covered is None else covered.certificate
    return Verdict(
        verdict=verdict,
        margin=lower if margin is None else margin,
        input=worst if verdict == "counterexample" else None,
        seconds=time.perf_counter() - start,
        lower=lower,
        upper=float(found.value[setting]) if margin is None else margin,
        worst_input=worst,
        lowers=floors,
        uppers=found.value,
        leaves=0 if certificate is None else certificate.n_leaves,
        certificate=certificate,
    )


def _below(exact: Fraction) -> float:
    """The largest float that is not above a fraction."""
    rounded = float(exact)
    return rounded if Fraction(rounded) <= exact else math.nextafter(rounded, -math.inf)


_lock = threading.Lock()
_limits: list[Any] = []  # one entry for each caller inside; the first one is the limit


@functools.cache
def _blas_controller() -> Any:
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


@contextmanager
def _one_blas_thread() -> Generator[None]:
    """Limit numpy's matrix products to one thread each, until the last caller has left.

    The products of a verification are small. Split over two threads they are no faster, and on a busy machine
    the threads wait for each other: one verification took eight times as long. The limit belongs to the
    process, so callers in several threads share it.
    """
    with _lock:
        _limits.append(_blas_controller().limit(limits=1, user_api="blas") if not _limits else None)
    try:
        yield
    finally:
        with _lock:
            limit = _limits[0]
            if len(_limits) == 1:
                limit.restore_original_limits()
            _limits.pop()  # the last entry: the limit stays first, whoever leaves
