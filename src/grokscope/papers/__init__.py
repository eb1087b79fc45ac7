"""Papers: one file each, with its experiments, claims and figures, readable top to bottom like the paper.

What is here: the papers, what a paper is (`Paper`), what a reproduction would run (`plan`), and the checks
that every paper must pass (`check_paper`, for papers outside the package too). What goes elsewhere: what a
claim is (`grokscope.claims`), figures that any run can have (`grokscope.plots`), reproducing a paper and its
page (`grokscope.report`).

Copy ``two_circuits.py`` when adding one: a file in this folder, or anywhere with ``--plugin FILE``.
"""

from grokscope.papers._paper import (
    Analysis,
    Figure,
    Paper,
    PaperExperiment,
    Profile,
    RunLike,
    find_paper,
    papers,
)
from grokscope.papers._plan import Plan, PlanRow, plan, plan_row
from grokscope.papers.check import check_paper

__all__ = [
    "Analysis",
    "Figure",
    "Paper",
    "PaperExperiment",
    "Plan",
    "PlanRow",
    "Profile",
    "RunLike",
    "check_paper",
    "find_paper",
    "papers",
    "plan",
    "plan_row",
]
