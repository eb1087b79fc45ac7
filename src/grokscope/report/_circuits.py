"""The circuit of a member on the page: its last network read as gates, and what is proved for all inputs."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from grokscope.errors import GrokscopeError

if TYPE_CHECKING:
    from grokscope.circuits.gates import Gate
    from grokscope.circuits.relu_network import ReluNetwork
    from grokscope.report._networks import MemberNetworks

__all__ = ["CircuitView", "NetworkVerdict", "Proofs", "circuit_of", "proofs_of", "support_of"]

_MOST_GATES = 16
_SECONDS = 1.5  # of this process, for the proofs of one run's networks besides the last ones
_BUDGET, _LAST_BUDGET = 2.0, 10.0  # of one proof; of that of a member's last network, which is always tried
_INPUTS = 256  # drawn once; a network that is wrong at one of them is refuted by it
_CLEAR = 1e-6  # of the largest possible output: a wrong output below that may be due to rounding


@dataclass(frozen=True)
class CircuitView:
    """One member's circuit.

    Attributes:
        support: the bits that the last network uses; empty if none was found.
        why: one line on how the support was found.
        formula, arithmetic: of the last network's circuit.
        neurons: its active ones.
        n_neurons: of the whole network.
        snapshots: positions in the competition's steps.
        gates: the neurons read as gates on the support, by snapshot.
        right: by snapshot, the number of settings of the support at which the gates' sum has the sign of the
            parity.
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
        """The circuit for the page's script."""
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

    The neurons and bits are those of the last network; the other snapshots show when they become its gates.

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
    """The hidden bits of a member's task; empty if it has none, or they are not known."""
    from grokscope.circuits.target import hidden_bits

    try:
        return hidden_bits(run, position) or ()
    except GrokscopeError:
        return ()


def _gate(gate: Gate, bits: tuple[int, ...]) -> dict[str, Any]:
    from grokscope.circuits.formula import gate_formula

    return {**gate.as_json(), "formula": gate_formula(gate, bits)}


@dataclass(frozen=True)
class NetworkVerdict:
    """A verdict on one network.

    Attributes:
        verdict: ``proved``, ``counterexample`` or ``undecided``.
        margin: proved: lower bound of $y f(x)$ over all x; counterexample: its value at the input (or at
            some input, where that was not kept).
        input: the counterexample, [bit].
    """

    verdict: str
    margin: float | None = None
    input: tuple[int, ...] | None = None


@dataclass(frozen=True, eq=False)
class Proofs:
    """The verdicts on one member's networks.

    Attributes:
        bits: on which the task's labels depend.
        is_parity: whether the labels are the parity of these bits.
        n: number of bits of the input.
        verdicts: by position in the competition's steps.
    """

    bits: tuple[int, ...]
    is_parity: bool
    n: int
    verdicts: dict[int, NetworkVerdict] = field(default_factory=dict[int, NetworkVerdict])

    def data(self) -> dict[str, Any]:
        """The verdicts for the page's script; inputs as texts of + and -."""
        return {
            "bits": list(self.bits),
            "parity": self.is_parity,
            "n": self.n,
            "found": {str(k): _verdict(one) for k, one in sorted(self.verdicts.items())},
        }


def proofs_of(run: Any, steps: np.ndarray, networks: dict[int, MemberNetworks]) -> dict[int, Proofs]:
    """Verdicts on the networks of a page, by member: those stored in the run, and new ones within seconds.

    Verdicts of `certify` are read from the run. Every other network is evaluated at some hundred random
    inputs, which refute it if it is wrong at one. The rest is verified: the last networks, then backward in
    time until the time is up.

    Args:
        run: as in `circuit_of`.
        steps: [snapshot].
        networks: by position of the member.

    Returns:
        Verdicts of the members whose networks can be read, and whose labels are a known function of some
        bits.
    """
    from grokscope.circuits.target import check_readable, target_of

    found: dict[int, Proofs] = {}
    todo: list[tuple[int, int]] = []  # snapshot, counted from the last, and member
    tables: dict[int, np.ndarray] = {}
    for position, member in networks.items():
        try:
            check_readable(run)
            bits, tables[position] = target_of(run, position)
        except GrokscopeError:
            continue
        one = Proofs(bits, _is_parity(tables[position]), int(member.leaves["hidden_weight"].shape[1]))
        one.verdicts.update(_certified(run, position, steps))
        x, labels = _random_inputs(one.n, bits, tables[position])
        for k, snapshot in enumerate(map(int, member.snapshots)):
            weights = _weights(run, member, k)
            if snapshot in one.verdicts or not weights.are_finite:
                continue
            if (refuted := _wrong(weights, x, labels)) is not None:
                one.verdicts[snapshot] = refuted
            else:
                todo.append((k - len(member.snapshots), position))
        found[position] = one
    deadline = time.process_time() + _SECONDS
    for back, position in sorted(todo, key=lambda item: (-item[0], item[1])):
        is_last = back == -1
        if not is_last and time.process_time() > deadline:
            break
        member, one = networks[position], found[position]
        one.verdicts[int(member.snapshots[back])] = _verified(
            _weights(run, member, back), one.bits, tables[position], _LAST_BUDGET if is_last else _BUDGET
        )
    return found


def _verdict(one: NetworkVerdict) -> dict[str, Any]:
    signs = None if one.input is None else "".join("+" if value > 0 else "-" for value in one.input)
    return {"verdict": one.verdict, "margin": one.margin, "input": signs}


def _is_parity(table: np.ndarray) -> bool:
    from grokscope.circuits.support import settings_of

    return bool((table == settings_of(len(table).bit_length() - 1).prod(axis=1)).all())


def _weights(run: Any, member: MemberNetworks, k: int) -> ReluNetwork:
    from grokscope.circuits.relu_network import as_relu_network
    from grokscope.runs.networks import network_of

    return as_relu_network(
        network_of(run.experiment, {name: leaf[k] for name, leaf in member.leaves.items()})
    )


def _certified(run: Any, position: int, steps: np.ndarray) -> dict[int, NetworkVerdict]:
    """Verdicts of `certify` on a member, where they are decided."""
    from grokscope.spec.streams import on_members

    names = ("proved", "refuted", "worst_margin_lower", "worst_margin_upper")
    if not set(names) <= set(run.measures_so_far):
        return {}
    measures = on_members(run.measures_so_far[list(names)], run.members).isel(seed=position)
    measures = measures.reindex(step=steps)
    proved, refuted, lower, upper = (measures[name].to_numpy() for name in names)
    return {
        int(k): NetworkVerdict("proved", float(lower[k]))
        if proved[k] > 0
        else NetworkVerdict("counterexample", float(upper[k]))
        for k in np.flatnonzero((proved > 0) | (refuted > 0))
    }


def _random_inputs(n: int, bits: tuple[int, ...], table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Random inputs, and their labels."""
    x = np.where(np.random.default_rng(0).random((_INPUTS, n)) < 0.5, -1.0, 1.0)
    powers = 2 ** np.arange(len(bits))[::-1]  # all +1 first, the last bit changing fastest
    return x, table[(x[:, list(bits)] < 0) @ powers]


def _wrong(weights: ReluNetwork, x: np.ndarray, labels: np.ndarray) -> NetworkVerdict | None:
    """The input at which a network is most wrong; None if it is right at all of them, up to rounding."""
    W, b, u = weights
    margins = labels * weights.outputs(x)
    worst = int(np.argmin(margins))
    largest = np.abs(u) @ (np.abs(W).sum(axis=0) + np.abs(b))
    if margins[worst] > -_CLEAR * largest:
        return None
    return NetworkVerdict("counterexample", float(margins[worst]), tuple(int(value) for value in x[worst]))


def _verified(
    weights: ReluNetwork, bits: tuple[int, ...], table: np.ndarray, budget: float
) -> NetworkVerdict:
    from grokscope.circuits.verification import verify

    verdict = verify(weights, bits, target=table, budget=budget)
    if verdict.verdict == "undecided":
        return NetworkVerdict("undecided")
    return NetworkVerdict(verdict.verdict, verdict.margin, tuple(verdict.input) if verdict.input else None)
