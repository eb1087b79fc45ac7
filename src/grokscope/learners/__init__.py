"""Learners: what turns data into a predictor. One file per learner; copy ``gradient.py`` when adding one.

The gradient learner (a model, a loss and an optimizer) is one; closed forms and Gaussian processes are
others, and the learner of imported runs, which trains nothing.
"""

from grokscope.learners._learner import Batch, Learner, LearnerField, State

__all__ = ["Batch", "Learner", "LearnerField", "State"]
