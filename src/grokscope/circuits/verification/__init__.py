r"""Exact verification: is sign f(x) a given Boolean function of a few bits, for all $2^n$ inputs?

The files, in the order of a proof:

- ``problem.py``: the network, the bits and the function to be verified;
- ``relaxation.py``: lower bounds of the output over subcubes;
- ``search.py``: search for a counterexample, and for a cover of the cube by subcubes with positive bounds;
- ``certificate.py``: that cover, checked again in exact arithmetic; only this file has to be trusted;
- ``verify.py``: all steps together, and the verdict;
- ``over_training.py``: verify many networks of a run.

Networks have one hidden layer of relu and one output. Method and limits: ``docs/circuits.md``.
"""

from grokscope.circuits.verification.certificate import Certificate, check_certificate
from grokscope.circuits.verification.over_training import CERTIFIED, FIRST_PROVED, certify
from grokscope.circuits.verification.verify import Verdict, verify

__all__ = [
    "CERTIFIED",
    "FIRST_PROVED",
    "Certificate",
    "Verdict",
    "certify",
    "check_certificate",
    "verify",
]
