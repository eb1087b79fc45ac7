r"""Exact verification: is sign f(x) a given Boolean function of a few bits, for all $2^n$ inputs?

What is here, in the order of a proof: ``problem.py`` (what is asked), ``search.py`` (looking for a
counterexample), ``relaxation.py`` (a lower bound over a subcube), ``branching.py`` (cutting the cube into
subcubes until all bounds are positive), ``certificate.py`` (that cover, checked again in exact arithmetic:
the only part that has to be trusted), ``verify.py`` (all of it), ``over_training.py`` (for every network of a
run; what the run's labels are a function of: ``target.py``).

Networks: one hidden layer of relu, one output. How it works and what it can do: ``docs/circuits.md``.
"""

from grokscope.circuits.verification.certificate import Certificate, check_certificate
from grokscope.circuits.verification.over_training import CERTIFIED, FIRST_PROVED, certify
from grokscope.circuits.verification.verdict import Verdict
from grokscope.circuits.verification.verify import verify

__all__ = [
    "CERTIFIED",
    "FIRST_PROVED",
    "Certificate",
    "Verdict",
    "certify",
    "check_certificate",
    "verify",
]
