"""A network's weights as plain arrays, and which networks can be read."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from grokscope.errors import InputError

__all__ = ["Weights", "weights_of"]


class Weights(NamedTuple):
    """The arrays of a one-hidden-layer relu network with one output, in float64.

    Attributes:
        W: [bit, neuron].
        b, u: [neuron].
        c: the output bias, which is no neuron's; 0 where there is none.
    """

    W: np.ndarray
    b: np.ndarray
    u: np.ndarray
    c: float = 0.0

    def outputs(self, x: np.ndarray) -> np.ndarray:
        """f(x), [sample], of inputs [sample, bit]."""
        return np.maximum(x @ self.W + self.b, 0.0) @ self.u + self.c

    def only(self, neurons: Any) -> Weights:
        """The weights of some neurons (positions or a mask), and the output bias."""
        return Weights(self.W[:, neurons], self.b[neurons], self.u[neurons], self.c)

    @property
    def are_finite(self) -> bool:
        """Whether all are numbers; they are not after a training that diverged."""
        return all(bool(np.isfinite(array).all()) for array in self)

    @property
    def path_norm(self) -> np.ndarray:
        r"""$|u_j|\, \lVert (W_j, b_j) \rVert$, [neuron]."""
        return np.abs(self.u) * np.sqrt((self.W**2).sum(axis=0) + self.b**2)


def weights_of(network: Any) -> Weights:
    """The weights of a network (or `Weights` as they are).

    Raises:
        InputError: if it is not a one-hidden-layer relu network with one output.
    """
    if isinstance(network, Weights):
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
    bias = getattr(network, "output_bias", None)
    W, b, u = (np.asarray(array, dtype=np.float64) for array in arrays)
    return Weights(W, b, u, 0.0 if bias is None else float(bias))
