r"""Beyond the two-circuits paper: claims of this project about how the sparse circuit comes to win.

The paper (arXiv 2303.11873) ends on guesses: the sparse subnetwork "may" be a DNF circuit of 6 or 8 neurons,
the growth of its norm is "likely" the cause of grokking, perfect accuracy means 100 test points. Here each is
a claim that can fail. One file per question, each with its experiments, evidence, claims and figure:

- ``propositions``: C10-C12, the paper's propositions: how few neurons suffice;
- ``sizes``: N1, numbers of gates at the end; does SGD find 4?
- ``proofs``: N2, what is proved on all $2^{40}$ inputs, and when;
- ``cause``: N3, norm growth as the cause of grokking;
- ``competition``: N4, circuits that compete;
- ``winner``: N5 and N6, when it is decided which neurons win, and by what;
- ``norms``: N7, final norms against the least possible;
- ``alone``: N8, what the circuit and its complement compute alone;
- ``lottery``: N9 and N10, the circuit's neurons at initialization, and how many weights they need.

``standard`` has the run that all questions start from, ``members`` what their evidence shares, ``drawing``
what their figures share. Regions are fixed on seeds 0-4; each claim says which seeds confirm it. Expensive
experiments take only the first of the requested seeds, and every row of the table says how many seeds it has.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from grokscope.papers import Paper
from grokscope.papers.two_circuits_beyond import (
    alone,
    cause,
    competition,
    lottery,
    norms,
    proofs,
    propositions,
    sizes,
    winner,
)
from grokscope.papers.two_circuits_beyond.standard import STANDARD_RUN

__all__ = ["TwoCircuitsBeyond"]


class TwoCircuitsBeyond(Paper):
    """Claims beyond Merrill, Tsilivis, Shukla 2023, by counting, proofs and interventions on circuits."""

    kind: Literal["two-circuits-beyond"] = "two-circuits-beyond"
    title = "Beyond A Tale of Two Circuits"
    authors = "grokscope developers"
    year = 2026
    bibtex = """@misc{grokscope2026beyond,
  title = {Beyond A Tale of Two Circuits: claims of the grokscope project},
  author = {{grokscope developers}},
  year = {2026},
  note = {On Merrill, Tsilivis, Shukla 2023, arXiv 2303.11873}
}"""
    experiments = (
        STANDARD_RUN,
        sizes.ANNEALED,
        *cause.EXPERIMENTS,
        *competition.EXPERIMENTS,
        *winner.EXPERIMENTS,
        *norms.EXPERIMENTS,
        *lottery.EXPERIMENTS,
        *propositions.EXPERIMENTS,
    )
    claims = (
        *propositions.CLAIMS,
        *sizes.CLAIMS,
        *proofs.CLAIMS,
        *cause.CLAIMS,
        *competition.CLAIMS,
        *winner.CLAIMS,
        *norms.CLAIMS,
        *alone.CLAIMS,
        *lottery.CLAIMS,
    )
    figures = (
        sizes.FIGURE,
        proofs.FIGURE,
        cause.FIGURE,
        competition.FIGURE,
        winner.FIGURE,
        *norms.FIGURES,
        alone.FIGURE,
        lottery.TICKET_FIGURE,
        lottery.ARITY_FIGURE,
    )
    reasons: ClassVar[Mapping[str, str]] = {
        "C12b": "Rarely, it does: a few networks end with four gates, and are proved on all 2^40 inputs.",
        "N1-constant-a": "A quarter of the circuits end with 4 or 7 gates (N1-constant-b).",
        "N1-annealed-a": "A quarter of the circuits end with 4 or 7 gates (N1-annealed-b).",
        "N2b": "10,000 points are few beside 2^40: one network in five that is right on all of them is "
        "wrong on inputs that the search finds.",
    }
