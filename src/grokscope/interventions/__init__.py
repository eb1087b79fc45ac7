"""Interventions: changes to networks while a member trains. One file per family.

An intervention names what it acts on (parameters of any network by name, or neurons: ``neurons.py``), the
moments at which it begins and ends, and the change to the network. Values that differ from member to member
(neurons, steps, seeds, strengths) are resolved before the training and passed to the compiled loop as traced
values (``training/intervening.py``). To add one, copy ``noise.py`` (parameters) or ``swapping.py`` (neurons),
and check it with `check_intervention` of ``check.py``.
"""

from grokscope.interventions._intervention import (
    NEURON_PARAMETERS,
    Intervention,
    InterventionField,
    NeuronIntervention,
    NeuronParameterIntervention,
    ParameterIntervention,
    Selection,
    Target,
)
from grokscope.interventions._members import MemberView, NetworkArrays
from grokscope.interventions.neurons import Neurons, NeuronsField

__all__ = [
    "NEURON_PARAMETERS",
    "Intervention",
    "InterventionField",
    "MemberView",
    "NetworkArrays",
    "NeuronIntervention",
    "NeuronParameterIntervention",
    "Neurons",
    "NeuronsField",
    "ParameterIntervention",
    "Selection",
    "Target",
]
