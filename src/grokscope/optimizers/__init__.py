"""Optimizers, made from optax transformations, and rate schedules. One file per optimizer.

To add one, copy ``sgd.py``; fields listed in ``traced`` are traced values of the compiled program. Check it
with `check_optimizer` or `check_rate_schedule` of ``check.py``.
"""

from grokscope.optimizers._optimizer import Optimizer, OptimizerField, with_decay
from grokscope.optimizers.adam import Adam, AdamW
from grokscope.optimizers.grokfast import Grokfast
from grokscope.optimizers.muon import Muon
from grokscope.optimizers.rate_schedules import Constant, Cosine, Linear, RateSchedule, Steps
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
    "Steps",
    "with_decay",
]
