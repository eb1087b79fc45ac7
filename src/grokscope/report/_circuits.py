"""The circuit of a member as the page has it: its last network read as gates, and these neurons over time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from grokscope.errors import GrokscopeError

if TYPE_CHECKING:
    from grokscope.circuits.gates import Gate
    from grokscope.report._networks import MemberNetworks

__all__ = ["CircuitView", "circuit_of", "support_of"]

_MOST_GATES = 16


@dataclass(frozen=True)
class CircuitView:
    """One member's circuit.

    Attributes:
        support: the bits that the last network uses; empty if none was found.
        why: one line on what that stands on.
        formula, arithmetic: of the last network's circuit.
        neurons: its active ones.
        n_neurons: of the whole network.
        snapshots: positions in the competition's steps.
        gates: the neurons read as gates on the support, by snapshot.
        right: by snapshot, at how many settings of the support the gates' sum has the sign of its parity.
    """

    support: tuple[int, ...]
    why: str
    formula: str
    arithmetic: str
    neurons: tuple[int, ...]
    n_neurons: int
    snapshots: tuple[int, ...]
    gates: tuple[tuple[dict[str, Any], ...], ...]
    right: tuple[int, ...]

    def data(self) -> dict[str, Any]:
        """What the page's script is given."""
        return {
            "support": list(self.support),
            "why": self.why,
            "formula": self.formula,
            "arithmetic": self.arithmetic,
            "neurons": len(self.neurons),
            "of": self.n_neurons,
            "snapshots": list(self.snapshots),
            "gates": [list(gates) for gates in self.gates],
            "right": list(self.right),
            "settings": 2 ** len(self.support),
        }


def circuit_of(run: Any, position: int, networks: MemberNetworks) -> CircuitView | None:
    """Read a member's last network as a circuit, and its neurons as gates at every snapshot.

    Which neurons and which bits is found from the last network alone; the same ones are then read at the
    other snapshots, so that it can be seen when they become what they are.

    Returns:
        The circuit; None where circuits cannot be read (several layers or outputs, inputs that are no bits).
    """
    from grokscope.circuits import read_network
    from grokscope.circuits.gates import read_gates
    from grokscope.circuits.relu_network import as_relu_network
    from grokscope.circuits.support import settings_of
    from grokscope.circuits.target import check_readable, training_inputs
    from grokscope.runs.networks import network_of

    try:
        check_readable(run)
        last = network_of(run.experiment, {name: leaf[-1] for name, leaf in networks.leaves.items()})
        circuit = read_network(last, x=training_inputs(run, position))
    except GrokscopeError:
        return None
    bits = circuit.support.bits
    signs = settings_of(len(bits)).prod(axis=1) if bits else np.zeros(0)
    gates: list[tuple[dict[str, Any], ...]] = []
    right: list[int] = []
    for k in range(len(networks.snapshots)):
        if not bits:
            break
        then = network_of(run.experiment, {name: leaf[k] for name, leaf in networks.leaves.items()})
        found, _ = read_gates(as_relu_network(then), bits, circuit.active)
        total = sum((gate.levels for gate in found), np.zeros(len(signs)))
        right.append(int((np.sign(total) == signs).sum()))
        strongest = sorted(found, key=lambda gate: -gate.strength)[:_MOST_GATES]
        gates.append(tuple(_gate(gate, bits) for gate in strongest))
    return CircuitView(
        bits,
        circuit.support.why,
        circuit.formula,
        circuit.arithmetic,
        circuit.active,
        circuit.n_neurons,
        tuple(int(i) for i in networks.snapshots) if bits else (),
        tuple(gates),
        tuple(right),
    )


def support_of(run: Any, position: int) -> tuple[int, ...]:
    """The hidden bits of a member's task; empty if the task has none, or does not tell."""
    from grokscope.circuits.target import hidden_bits

    try:
        return hidden_bits(run, position) or ()
    except GrokscopeError:
        return ()


def _gate(gate: Gate, bits: tuple[int, ...]) -> dict[str, Any]:
    from grokscope.circuits.formula import gate_formula

    return {**gate.as_json(), "formula": gate_formula(gate, bits)}
