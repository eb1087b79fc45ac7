"""Runs: train the members of an experiment into a folder, and read, replay, measure and branch them.

`Run` and `train` (run.py) are the interface for users. Below them: ``trainer`` trains members in blocks
(``block``), ``replay`` computes states and networks of any step, ``prepare`` finds the start states of a
branch's members, ``measure`` adds measures, ``imported`` writes runs of networks that were trained elsewhere,
and ``recorded`` those of networks that another program trains now.
The files of a run are described in `grokscope.store`.
"""

from grokscope.runs.branch import branch_members
from grokscope.runs.folders import RunSummary, open_run, run_summaries, verify
from grokscope.runs.given import GivenMeasures, add_measures
from grokscope.runs.run import Run, default_folder, seconds_to_train, train
from grokscope.store.checksums import Problem

__all__ = [
    "GivenMeasures",
    "Problem",
    "Run",
    "RunSummary",
    "add_measures",
    "branch_members",
    "default_folder",
    "open_run",
    "run_summaries",
    "seconds_to_train",
    "train",
    "verify",
]
