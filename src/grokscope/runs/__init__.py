"""Runs: members of one experiment, trained into a folder, and what can be asked of them later.

`Run` and `train` (run.py) are what users see. Below them: ``trainer`` brings members to their end in blocks
(``block``), ``replay`` makes states and networks of any step again, ``prepare`` resolves where the members of
a branch start, ``measure`` adds measures, ``imported`` writes runs of networks that were trained elsewhere.
The files of a run are in `grokscope.store`.
"""

from grokscope.runs.branch import branch_members
from grokscope.runs.folders import RunSummary, list_runs, open_run, verify
from grokscope.runs.run import Run, default_folder, train
from grokscope.store.checksums import Problem

__all__ = [
    "Problem",
    "Run",
    "RunSummary",
    "branch_members",
    "default_folder",
    "list_runs",
    "open_run",
    "train",
    "verify",
]
