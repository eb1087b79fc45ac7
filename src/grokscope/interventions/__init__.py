"""Interventions: what is done to neurons while a member trains. Specs, with pure functions inside.

One file per family; copy ``scaling.py`` when adding one. An intervention says from when to when it acts,
on which neurons (``neurons.py``: how sets are chosen), and what it does to the network there. What of it
differs from member to member (sets, steps, strengths) is resolved before the training
(``runs/_prepare.py``) and enters the compiled loop as values (``training/intervening.py``).
"""

from grokscope.interventions._intervention import Intervention, Target
from grokscope.interventions._look import Look
from grokscope.interventions._moment import Moment, parse_moment
from grokscope.interventions._select import Neurons

__all__ = ["Intervention", "Look", "Moment", "Neurons", "Target", "parse_moment"]
