"""`ReluNetwork`: a one-hidden-layer relu network as plain numpy arrays."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np

from grokscope.errors import InputError

__all__ = ["ReluNetwork", "as_relu_network", "relu_network_at", "width_of"]


class ReluNetwork(NamedTuple):
    r"""$f(x) = \sum_j u_j\, \mathrm{relu}(W_j \cdot x + b_j)$, in float64.

    Attributes:
        W: incoming weights, [bit, neuron].
        b: biases, [neuron].
        u: output weights, [neuron].
    """

    W: np.ndarray
    b: np.ndarray
    u: np.ndarray

    def outputs(self, x: np.ndarray) -> np.ndarray:
        """f(x), [sample], of inputs [sample, bit]."""
        return np.maximum(x @ self.W + self.b, 0.0) @ self.u

    def only(self, neurons: Any) -> ReluNetwork:
        """The network of some of the neurons (positions, a slice or a mask)."""
        return ReluNetwork(self.W[:, neurons], self.b[neurons], self.u[neurons])

    @property
    def are_finite(self) -> bool:
        """Whether all weights are finite; after divergence they are not."""
        return all(bool(np.isfinite(array).all()) for array in self)

    @property
    def path_norm(self) -> np.ndarray:
        r"""$|u_j|\, \lVert (W_j, b_j) \rVert$, [neuron]."""
        return np.abs(self.u) * np.sqrt((self.W**2).sum(axis=0) + self.b**2)


def as_relu_network(network: Any) -> ReluNetwork:
    """The arrays of a network; a `ReluNetwork` is returned unchanged.

    An output bias c becomes a last neuron that is always 1, with output weight c. The function is the same,
    so every statement on the arrays holds for the network with its bias. `width_of` does not count this
    neuron.

    Raises:
        InputError: if the network is not a one-hidden-layer relu network with one output.
    """
    if isinstance(network, ReluNetwork):
        return network
    if not all(hasattr(network, name) for name in ("hidden_weight", "hidden_bias", "output_weight")):
        raise InputError(
            f"circuits are read from one-hidden-layer networks, not from {type(network).__name__}."
        )
    if network.activation != "relu":
        raise InputError(
            f"circuits are read from relu networks: a neuron of '{network.activation}' is never silent, so "
            "it is no gate."
        )
    if network.output_weight.ndim != 1:
        raise InputError(
            f"circuits are read from networks with one output, not {network.output_weight.shape[-1]}."
        )
    arrays = (network.hidden_weight, network.hidden_bias, network.output_weight)
    weight, bias, output = (np.asarray(array, dtype=np.float64) for array in arrays)
    output_bias = getattr(network, "output_bias", None)
    if output_bias is None:
        return ReluNetwork(weight, bias, output)
    weight = np.concatenate([weight, np.zeros((len(weight), 1))], axis=1)
    return ReluNetwork(weight, np.append(bias, 1.0), np.append(output, float(output_bias)))


def relu_network_at(leaves: Mapping[str, np.ndarray], member: int, step: int) -> ReluNetwork:
    """One network of the arrays that `Run.networks` returns, each [member, step, ...].

    Args:
        leaves: by name of the leaf.
        member: position in the first axis.
        step: position in the second axis.
    """
    one = {name: leaf[member, step] for name, leaf in leaves.items()}
    return as_relu_network(SimpleNamespace(**one, activation="relu"))


def width_of(network: Any) -> int:
    """The number of neurons, not counting the constant neuron that represents an output bias."""
    return len(network.u) if isinstance(network, ReluNetwork) else int(network.output_weight.shape[0])
