"""Tasks: the data and labels to learn. One file per task.

A task makes labelled samples from random keys; ``training/sources.py`` serves them in batches. To add one,
copy ``sparse_parity.py`` and run `check_task` of ``check.py``. Bases for several tasks: ``_boolean.py``
(functions of random signs) and ``pairs.py`` (binary operators).
"""

from grokscope.tasks._task import Task, TaskField

__all__ = ["Task", "TaskField"]
