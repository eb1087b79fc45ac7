"""Losses: functions of the outputs and the labels of each sample. The batch loss is their mean.

To add one, copy ``margin.py`` and check it with `check_loss` of ``check.py``.
"""

from grokscope.losses._loss import Loss, LossField
from grokscope.losses.cross_entropy import CrossEntropy
from grokscope.losses.margin import Hinge, Logistic
from grokscope.losses.squared import Squared

__all__ = ["CrossEntropy", "Hinge", "Logistic", "Loss", "LossField", "Squared"]
