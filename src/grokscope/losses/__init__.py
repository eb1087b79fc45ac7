"""Losses: functions of the outputs and the labels of each sample. The batch loss is their mean.

To add one, copy ``margin.py`` and check it with `check_loss` of ``check.py``. Penalties, which are added to
the batch loss, are in ``penalties.py``.
"""

from grokscope.losses._loss import Loss, LossField
from grokscope.losses.cross_entropy import CrossEntropy, StableMax
from grokscope.losses.margin import Exponential, Hinge, Logistic
from grokscope.losses.penalties import (
    NeuronNormPenalty,
    NoPenalty,
    ParameterNormPenalty,
    Penalty,
    PenaltyField,
    neuron_norms,
)
from grokscope.losses.squared import Squared

__all__ = [
    "CrossEntropy",
    "Exponential",
    "Hinge",
    "Logistic",
    "Loss",
    "LossField",
    "NeuronNormPenalty",
    "NoPenalty",
    "ParameterNormPenalty",
    "Penalty",
    "PenaltyField",
    "Squared",
    "StableMax",
    "neuron_norms",
]
