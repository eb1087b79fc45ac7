"""Verification: a counterexample, or a proof that is checked in exact arithmetic, or neither in time."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from grokscope.circuits.verification.branching import Cover, cover
from grokscope.circuits.verification.certificate import Rounded, exact_lowers, exact_output
from grokscope.circuits.verification.problem import Problem, kept_weights
from grokscope.circuits.verification.relaxation import precision
from grokscope.circuits.verification.search import Found, search
from grokscope.circuits.verification.threads import one_blas_thread
from grokscope.circuits.verification.verdict import Verdict
from grokscope.errors import InputError

__all__ = ["BUDGET", "verify"]

BUDGET = 10.0
_GAP = 0.1  # a margin is known well enough within this share of it
_SHARPENING = 4000  # nodes that may be spent on it once it is decided
_ZERO = 1e-12  # outputs within this share of the largest possible one may be 0: float64 cannot tell
_FOR_CHECK = 0.3  # share of the budget that is kept for the check of the certificate


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

    1. A search for x with $y(x) f(x) \le 0$ (a wrong sign; the sign of 0 is wrong too).
    2. A cover of the cube by subcubes with a positive lower bound on each: the sum of one line
       below each neuron's contribution. The subcube with the lowest bound is cut first.
    3. What is found is checked in exact arithmetic: x itself, or the bound of every subcube.

    Args:
        network: one hidden layer of relu with one output; or its arrays (W [bit, neuron], b, u [neuron]).
        support: the bits, counted from 0.
        target: another Boolean function of them: its value +-1 at each setting, all +1 first, the last
            bit changing fastest. None: the parity.
        neurons: only these (a `Subnetwork`, a mask or positions); None: all.
        budget: seconds after which it is undecided.
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
    problem = Problem.of(kept_weights(network, neurons), support, target)
    with one_blas_thread():
        return _decide(problem, start, budget, seed)


def _decide(problem: Problem, start: float, budget: float, seed: int) -> Verdict:
    rounded = Rounded.of(problem)
    found = search(problem, seed)
    if (refuted := _refuted(problem, found)) is not None:
        return _verdict("counterexample", start, problem, found, margin=float(refuted))
    # below, the rounding of weights could undo a proof, or that of the bounds
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


def _size(problem: Problem) -> float:
    """The largest output that any input could have."""
    W, b, u = problem.weights
    return float(np.abs(u) @ (np.abs(W).sum(axis=0) + np.abs(b)))


def _refuted(problem: Problem, found: Found) -> Fraction | None:
    """The exact y f(x) of the lowest point, if that is not positive."""
    setting = int(found.value.argmin())
    if found.value[setting] > _ZERO * _size(problem):
        return None
    exact = exact_output(problem, setting, found.x[setting])
    return exact if exact <= 0 else None


def _verdict(
    verdict: Any,
    start: float,
    problem: Problem,
    found: Found,
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
    """The largest float that is not above."""
    rounded = float(exact)
    return rounded if Fraction(rounded) <= exact else math.nextafter(rounded, -math.inf)
