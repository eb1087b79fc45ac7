"""Optimizers, built from optax, and rate schedules: one file each, found by discovery.

What is here: what turns a gradient into an update. What goes elsewhere: what the gradient is of
(`grokscope.losses`, `grokscope.learners`), and what is done to single neurons (`grokscope.interventions`).
Copy ``sgd.py`` when adding one; its fields in ``traced`` are values of the compiled program.
"""

from grokscope.optimizers._optimizer import Optimizer, OptimizerField
from grokscope.optimizers.adam import Adam, AdamW
from grokscope.optimizers.grokfast import Grokfast
from grokscope.optimizers.muon import Muon
from grokscope.optimizers.rate_schedules import Constant, Cosine, Linear, RateSchedule
from grokscope.optimizers.sgd import SGD

__all__ = [
    "SGD",
    "Adam",
    "AdamW",
    "Constant",
    "Cosine",
    "Grokfast",
    "Linear",
    "Muon",
    "Optimizer",
    "OptimizerField",
    "RateSchedule",
]
