"""A network read as a circuit: its support and its active neurons as gates; and a circuit as a network."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from grokscope.circuits.formula import arithmetic, logic
from grokscope.circuits.gates import TOLERANCE, Gate, opposites, read_gates
from grokscope.circuits.relu_network import ReluNetwork, as_relu_network, width_of
from grokscope.circuits.support import MOST_BITS, Support, find_support, settings_of

if TYPE_CHECKING:
    from grokscope.measures import Order

__all__ = ["Circuit", "active_neurons", "merged_network", "read_network"]

_N_INPUTS = 10_000
_MOST_CELLS = 20_000_000  # prefix sums at a time


@dataclass(frozen=True, eq=False)
class Circuit:
    """A network read as a sum of gates over its support.

    Attributes:
        support: the bits that the network uses; if empty, there are no gates.
        active: the active neurons, rising; the gates are made of these.
        gates: the strongest first, opposites next to each other.
        silent: active neurons that are silent at every setting of the support.
        n_neurons: of the whole network.
        output_bias: of the whole network; 0 if it has none.
    """

    support: Support
    active: tuple[int, ...]
    gates: tuple[Gate, ...]
    silent: tuple[int, ...]
    n_neurons: int
    output_bias: float = 0.0

    @property
    def pairs(self) -> list[tuple[int, int]]:
        """Positions of adjacent gates that are opposites."""
        found: list[tuple[int, int]] = []
        for i in range(len(self.gates) - 1):
            taken = bool(found) and found[-1][1] == i
            if not taken and opposites(self.gates[i], self.gates[i + 1]):
                found.append((i, i + 1))
        return found

    @property
    def values(self) -> np.ndarray:
        """The sum of the gates and the output bias at each setting of the support, as in `settings_of`."""
        start = np.full(2 ** len(self.support.bits), self.output_bias)
        return sum((gate.levels for gate in self.gates), start)

    @property
    def n_parity(self) -> int:
        """The number of settings at which the sign of `values` is the parity of the support."""
        if not self.gates:
            return 0
        return int((np.sign(self.values) == settings_of(len(self.support.bits)).prod(axis=1)).sum())

    @property
    def formula(self) -> str:
        """The circuit as the sign of a sum of gates without weights; empty without gates.

        Example:
            >>> from grokscope.circuits import proposition_3
            >>> read_network(proposition_3(n=3)).formula
            'sign(AND(x0, x1, x2) - AND(¬x0, ¬x1, ¬x2) - ATLEAST2(x0, x1, x2) + 1)'
        """
        return logic(self.gates, self.support.bits, self.output_bias)

    @property
    def arithmetic(self) -> str:
        """The function that the gates compute of the support bits, with other bits at their mean, 0.

        Example:
            >>> from grokscope.circuits import proposition_3
            >>> read_network(proposition_3(n=3)).arithmetic
            'f(x) = 2 relu(x0 + x1 + x2 - 1) - relu(-x0 - x1 - x2 - 1) - relu(x0 + x1 + x2 + 1) + 1'
        """
        return arithmetic(self.gates, self.support.bits, self.output_bias)


def read_network(
    network: Any,
    *,
    x: np.ndarray | None = None,
    neurons: Iterable[int] | None = None,
    order: Order = "path_norm",
    tolerance: float = TOLERANCE,
) -> Circuit:
    """Read a network as a circuit, from its weights alone.

    Args:
        network: one hidden layer of relu, one output, inputs +-1.
        x: inputs [sample, bit] on which the active neurons must predict what all neurons do. None: 10,000
            random inputs, or all inputs of a network with at most 12 bits.
        neurons: to read as gates, instead of the active ones.
        order: the norm by which neurons are kept (see `active_neurons`).
        tolerance: share of its largest activation below which a neuron counts as silent (see `read_gates`).

    Raises:
        InputError: if the network is not one hidden layer of relu with one output.

    Example:
        >>> from grokscope.circuits import proposition_1
        >>> circuit = read_network(proposition_1(n=20, bits=(3, 11)))
        >>> circuit.support.bits, len(circuit.gates), circuit.n_parity
        ((3, 11), 4, 4)
    """
    weights = as_relu_network(network)
    support = find_support(weights)
    n, p = len(weights.W), width_of(network)
    if not weights.are_finite:
        return Circuit(support, (), (), (), p)
    if neurons is not None:
        active = tuple(sorted(set(neurons)))
    else:
        inputs = _inputs(n) if x is None else x
        active = active_neurons(network, inputs, order)
    gates, silent = read_gates(weights, support.bits, active, tolerance) if support.bits else ((), ())
    return Circuit(support, active, gates, silent, p, float(weights.u[p:].sum()))


def active_neurons(network: Any, x: np.ndarray, order: Order = "path_norm") -> tuple[int, ...]:
    r"""The active subnetwork on some inputs: the fewest neurons of largest norm that predict what all do.

    The neurons that the measure `effective_sparsity` counts, computed in float64 without compiling, and by
    default in the order of the path norm $|u_j|\, \lVert (W_j, b_j) \rVert$. In trained networks both orders
    mostly agree once a circuit has settled. The path norm does not change if a neuron is rescaled, and it is
    positive for a constant neuron, whose incoming norm is 0 (Proposition 3).

    Args:
        network: one hidden layer, one output.
        x: inputs, [sample, bit].
        order: ``path_norm`` or ``incoming_norm``.

    Example:
        >>> from grokscope.circuits import proposition_3
        >>> active_neurons(proposition_3(n=3, width=50), settings_of(3))
        (0, 1, 2, 3)
    """
    weights, p = as_relu_network(network), width_of(network)
    norm = weights.path_norm if order == "path_norm" else np.linalg.norm(weights.W, axis=0)
    rank = np.argsort(-norm[:p], kind="stable")
    ordered, always = weights.only(rank), float(weights.u[p:].sum())
    x = np.asarray(x, dtype=np.float64).reshape(len(x), -1)
    agree = np.ones(p, dtype=bool)
    rows = max(1, _MOST_CELLS // p)
    for low in range(0, len(x), rows):
        parts = np.maximum(x[low : low + rows] @ ordered.W + ordered.b, 0.0) * ordered.u
        sums = np.cumsum(parts, axis=1) + always
        f = np.sign(sums[:, -1])
        agree &= (np.sign(sums[f != 0]) == f[f != 0, None]).all(axis=0)
    agree[-1] = True
    return tuple(sorted(rank[: int(np.argmax(agree)) + 1].tolist()))


def merged_network(network: Any, circuit: Circuit) -> ReluNetwork:
    r"""The network with one neuron for each gate of a circuit.

    A gate's neuron has the weights $\sum_j |u_j| W_j$ and the bias $\sum_j |u_j| b_j$ over the gate's neurons
    j, and the gate's output sign as output weight. Where the gate's neurons all fire or are all silent, it
    computes their sum. An output bias is kept.

    Args:
        network: the circuit was read from it.
        circuit: see `grokscope.circuits.read_network`.

    Returns:
        W [bit, gate], b and u [gate]; `grokscope.circuits.verification.verify` takes it.

    Example:
        >>> import numpy as np
        >>> from grokscope.circuits import proposition_3, read_network
        >>> network = proposition_3(n=6)
        >>> merged = merged_network(network, read_network(network))
        >>> merged.outputs(np.array([[1.0, 1, -1, 1, 1, 1]])).tolist(), len(merged.u)
        ([-1.0], 4)
    """
    weights, p = as_relu_network(network), width_of(network)
    n = len(weights.W)
    size = np.abs(weights.u)
    sets = [list(gate.neurons) for gate in circuit.gates]
    W = np.array([weights.W[:, j] @ size[j] for j in sets]).reshape(-1, n).T
    b = np.array([weights.b[j] @ size[j] for j in sets])
    u = np.array([float(gate.output_sign) for gate in circuit.gates])
    # an output bias is the last neuron
    rest = weights.only(slice(p, None))
    return ReluNetwork(
        np.concatenate([W, rest.W], axis=1), np.concatenate([b, rest.b]), np.concatenate([u, rest.u])
    )


def _inputs(n: int) -> np.ndarray:
    if n <= MOST_BITS:
        return settings_of(n)
    return 1.0 - 2.0 * np.random.default_rng(0).integers(0, 2, (_N_INPUTS, n))
