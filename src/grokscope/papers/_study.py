"""The common spec, author and citation of the project's own studies. A study is a sweep or a contest.

Only the times of memorization and grokking are evidence in a study, so that accuracy is all it measures.
"""

from __future__ import annotations

from typing import Any

from grokscope.experiment import Experiment
from grokscope.papers import Paper

__all__ = ["Study", "bibtex_of", "timed"]


def timed(points: str, **spec: Any) -> Experiment:
    """A spec that measures train and test accuracy at these points, and nothing else.

    Args:
        points: a schedule, as ``log 64`` or ``every 96 steps``.
        spec: the other fields.
    """
    base = Experiment(measures=("train_accuracy", "test_accuracy"), **spec)
    return base.with_(
        f"schedule.measures='{points}'", "schedule.slow_measures='ends'", "schedule.follow='ends'"
    )


def bibtex_of(key: str, title: str, study: str) -> str:
    """The BibTeX entry of a study.

    Args:
        key: what follows ``grokscope2026`` in the key of the entry.
        title: of the study.
        study: its kind, as on the command line.
    """
    return f"""@misc{{grokscope2026{key},
  title = {{{title}}},
  author = {{{{The grokscope authors}}}},
  year = {{2026}},
  note = {{grokscope reproduce {study}}}
}}"""


class Study(Paper):
    """A study by this project: a paper that is not published."""

    authors = "the grokscope authors"
    year = 2026
