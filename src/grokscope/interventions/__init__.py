"""Interventions: what is done to neurons while a member trains. Specs, with pure functions inside.

One file per family; copy ``scaling.py`` when adding one. An intervention says from when to when it acts,
on which neurons (``neurons.py``: how sets are chosen), and what it does to the network there. What of it
differs from member to member (sets, steps, strengths) is resolved before the training
(``runs/prepare.py``) and enters the compiled loop as values (``training/intervening.py``).
"""

from grokscope.interventions._intervention import Intervention, Target
from grokscope.interventions._look import Look, Weights
from grokscope.interventions._select import Neurons, NeuronsField

__all__ = ["Intervention", "Look", "Neurons", "NeuronsField", "Target", "Weights"]
