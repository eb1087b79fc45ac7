"""Merging: a circuit as a network of its own, with one neuron for each gate."""

from __future__ import annotations

from typing import Any

import numpy as np

from grokscope.circuits.circuit import Circuit
from grokscope.circuits.weights import Weights, weights_of, width_of

__all__ = ["merged_network"]


def merged_network(network: Any, circuit: Circuit) -> Weights:
    r"""The network with one neuron for each gate of a circuit, read from a network.

    A gate's neuron has the weights $\sum_j |u_j| W_j$ and the bias $\sum_j |u_j| b_j$ over the gate's neurons
    j, and its output sign as output weight. That is the function of these neurons wherever they fire or are
    silent together. An output bias is kept, and is no neuron.

    Args:
        network: that the circuit was read from.
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
    weights, p = weights_of(network), width_of(network)
    n = len(weights.W)
    size = np.abs(weights.u)
    sets = [list(gate.neurons) for gate in circuit.gates]
    W = np.array([weights.W[:, j] @ size[j] for j in sets]).reshape(-1, n).T
    b = np.array([weights.b[j] @ size[j] for j in sets])
    u = np.array([float(gate.output_sign) for gate in circuit.gates])
    # behind the neurons stands the output bias, if there is one
    rest = weights.only(slice(p, None))
    return Weights(
        np.concatenate([W, rest.W], axis=1), np.concatenate([b, rest.b]), np.concatenate([u, rest.u])
    )
