"""Learners: how a state is initialized, updated with a batch, and turned into predictions. One file per kind.

``gradient`` minimizes a loss by an optimizer, ``still`` keeps the initial network, ``imported`` holds
networks that were trained elsewhere. To add one, copy ``gradient.py`` and check it with
`check_learner` of ``check.py``.
"""

from grokscope.learners._learner import Batch, Learner, LearnerField, State, abstract_predictor

__all__ = ["Batch", "Learner", "LearnerField", "State", "abstract_predictor"]
