"""Circuits: read a trained network as logic gates, and prove or refute it on all inputs.

The files, in the order in which a network is read:

- ``relu_network.py``: a one-hidden-layer network as plain arrays; ``subnetwork.py``: a set of its neurons;
- ``support.py``: the input bits that it uses; ``gates.py``: its neurons as gates; ``circuit.py``: both;
- ``formula.py``, ``diagram.py``: a circuit as text and as a picture;
- ``target.py``: which runs can be read, and the function that a run's labels are; ``reading.py``: read a run;
- ``counting.py``, ``foresight.py``, ``arity_over_training.py``: gates of all members, how early the circuit
  can be predicted, and how many weights neurons need, stored as measures of a run; ``lottery.py``: retrain a
  subnetwork alone;
- ``constructions.py``: networks with a known circuit, and the least path norm of a parity; ``optimum.py``:
  that of any Boolean function of few bits, with a proof;
- ``verification/``: proofs and counterexamples.

Measures of subnetworks are in ``grokscope.measures``.
"""

from grokscope.circuits.arity_over_training import measure_arity
from grokscope.circuits.circuit import Circuit, active_neurons, merged_network, read_network
from grokscope.circuits.constructions import (
    construction_experiment,
    least_path_norm,
    proposition_1,
    proposition_2,
    proposition_3,
)
from grokscope.circuits.counting import count_gates
from grokscope.circuits.diagram import draw
from grokscope.circuits.foresight import foresee
from grokscope.circuits.gates import Gate, arity
from grokscope.circuits.lottery import lottery_ticket
from grokscope.circuits.optimum import LeastNorm, check_least_norm, least_norm
from grokscope.circuits.reading import Reading, read_circuit
from grokscope.circuits.subnetwork import Subnetwork
from grokscope.circuits.support import Support, find_support
from grokscope.measures import active_subnetwork, find_subnetworks, norm_matched

__all__ = [
    "Circuit",
    "Gate",
    "LeastNorm",
    "Reading",
    "Subnetwork",
    "Support",
    "active_neurons",
    "active_subnetwork",
    "arity",
    "check_least_norm",
    "construction_experiment",
    "count_gates",
    "draw",
    "find_subnetworks",
    "find_support",
    "foresee",
    "least_norm",
    "least_path_norm",
    "lottery_ticket",
    "measure_arity",
    "merged_network",
    "norm_matched",
    "proposition_1",
    "proposition_2",
    "proposition_3",
    "read_circuit",
    "read_network",
]
