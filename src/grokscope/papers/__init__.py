"""Papers: one file each, with its experiments, claims and figures, in the order of the paper.

What is here: the papers, what a paper is (`Paper`), its experiments (`RunExperiment`, `SweepExperiment`,
`ContestExperiment`), and the check that every paper must pass (`check_paper`, for papers outside the package
too; `made_up_run` gives it examples). What goes elsewhere: what a claim is (`grokscope.claims`), figures that
any run can have (`grokscope.plots`), planning and reproducing a paper (`grokscope.reproduction`), its page
(`grokscope.report`).

Copy ``two_circuits.py`` when adding one: a file in this folder, or anywhere with ``--plugin FILE``.
"""

import sys
from types import ModuleType

from grokscope.papers._experiments import (
    Analysis,
    ContestExperiment,
    ContestProfile,
    Cost,
    Failed,
    Job,
    PaperExperiment,
    Profile,
    RunExperiment,
    SweepExperiment,
    SweepProfile,
    recorded_every,
)
from grokscope.papers._paper import Figure, Paper, Papers, RunLike, find_paper, papers
from grokscope.papers._values import (
    FromExperiment,
    NotTakenYetError,
    TakenValue,
    from_experiment,
    keep_values,
)
from grokscope.papers.check import check_paper
from grokscope.papers.made_up import MadeUpRun, jump, made_up_run

__all__ = [
    "Analysis",
    "ContestExperiment",
    "ContestProfile",
    "Cost",
    "Failed",
    "Figure",
    "FromExperiment",
    "Job",
    "MadeUpRun",
    "NotTakenYetError",
    "Paper",
    "PaperExperiment",
    "Papers",
    "Profile",
    "RunExperiment",
    "RunLike",
    "SweepExperiment",
    "SweepProfile",
    "TakenValue",
    "check_paper",
    "find_paper",
    "from_experiment",
    "jump",
    "keep_values",
    "made_up_run",
    "papers",
    "recorded_every",
]


class _Callable(ModuleType):
    """Make ``grokscope.papers()`` the function `papers`: once imported, this module is the name's value."""

    def __call__(self) -> Papers:
        return papers()


sys.modules[__name__].__class__ = _Callable
