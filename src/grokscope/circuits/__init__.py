"""Circuits: subnetworks, how they are found, followed, read, constructed and proved.

A network is read in this order: ``support.py`` (which bits it uses), ``gates.py`` (its active neurons as
gates), ``circuit.py`` (both together), ``formula.py`` and ``diagram.py`` (for people); ``reading.py`` does it
for a run. ``constructions.py`` has networks whose circuit is known; ``merging.py`` makes a network of a
circuit, one neuron for each gate; ``optimum.py`` says how small a network can be. Of all members of a run:
``counting.py`` (gates), ``foresight.py`` (how early the circuit can be told). Measures of subnetworks are in
``measures/``.
"""

from grokscope.circuits.arity import arity
from grokscope.circuits.circuit import Circuit, active_neurons, read_network
from grokscope.circuits.constructions import (
    construction_experiment,
    proposition_1,
    proposition_2,
    proposition_3,
)
from grokscope.circuits.counting import count_gates
from grokscope.circuits.diagram import draw
from grokscope.circuits.foresight import foresee
from grokscope.circuits.gates import Gate
from grokscope.circuits.lottery import lottery_ticket
from grokscope.circuits.merging import merged_network
from grokscope.circuits.optimum import least_path_norm
from grokscope.circuits.reading import Reading, read_circuit
from grokscope.circuits.subnetwork import Subnetwork
from grokscope.circuits.support import Support, find_support
from grokscope.measures import active_subnetwork, find_subnetworks, norm_matched

__all__ = [
    "Circuit",
    "Gate",
    "Reading",
    "Subnetwork",
    "Support",
    "active_neurons",
    "active_subnetwork",
    "arity",
    "construction_experiment",
    "count_gates",
    "draw",
    "find_subnetworks",
    "find_support",
    "foresee",
    "least_path_norm",
    "lottery_ticket",
    "merged_network",
    "norm_matched",
    "proposition_1",
    "proposition_2",
    "proposition_3",
    "read_circuit",
    "read_network",
]
