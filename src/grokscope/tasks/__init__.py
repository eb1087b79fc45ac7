"""Tasks: what is to be learned. One file per task; copy ``sparse_parity.py`` when adding one.

A task makes labelled samples from random keys. How they are served in batches is ``training/sources.py``.
``check.py`` says whether a task keeps to what it must; ``_boolean.py`` is what functions of signs share.
"""

from grokscope.tasks._task import Task, TaskField

__all__ = ["Task", "TaskField"]
