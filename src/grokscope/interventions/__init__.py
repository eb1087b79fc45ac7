"""Interventions: changes to neurons while a member trains. One file per family.

An intervention names the neurons it acts on (``neurons.py``), the moments at which it begins and ends, and
the change to the network. Values that differ from member to member (neurons, steps, factors) are resolved
before the training and passed to the compiled loop as traced values (``training/intervening.py``). To add
one, copy ``scaling.py``.
"""

from grokscope.interventions._intervention import Intervention, InterventionField, Selection, Target
from grokscope.interventions._members import MemberView, NetworkArrays
from grokscope.interventions.neurons import Neurons, NeuronsField

__all__ = [
    "Intervention",
    "InterventionField",
    "MemberView",
    "NetworkArrays",
    "Neurons",
    "NeuronsField",
    "Selection",
    "Target",
]
