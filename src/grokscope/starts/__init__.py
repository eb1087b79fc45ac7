"""Initial states of members: a fresh network, or a state of another run. One file per kind."""

from grokscope.starts._init import Init, InitField
from grokscope.starts.fresh import Fresh
from grokscope.starts.from_run import FromRun

__all__ = ["Fresh", "FromRun", "Init", "InitField"]
