"""Tasks: what is to be learned. One file per task; copy ``sparse_parity.py`` when adding one.

``check.py`` says whether a task of yours keeps to what a task must be; ``_boolean.py`` is what functions of
sign inputs share. A task makes labelled samples from random keys. How they are served in batches is ``training/sources.py``.
"""

from grokscope.tasks._task import Task

__all__ = ["Task"]
