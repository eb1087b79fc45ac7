"""A network's weights as plain arrays, and which networks can be read."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from grokscope.errors import InputError

__all__ = ["Weights", "weights_of", "width_of"]


class Weights(NamedTuple):
    """The arrays of a one-hidden-layer relu network with one output, in float64.

    Attributes:
        W: [bit, neuron].
        b, u: [neuron].
    """

    W: np.ndarray
    b: np.ndarray
    u: np.ndarray

    def outputs(self, x: np.ndarray) -> np.ndarray:
        """f(x), [sample], of inputs [sample, bit]."""
        return np.maximum(x @ self.W + self.b, 0.0) @ self.u

    def only(self, neurons: Any) -> Weights:
        """The weights of some neurons (positions, a slice or a mask)."""
        return Weights(self.W[:, neurons], self.b[neurons], self.u[neurons])

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

    An output bias c becomes a last neuron that is always 1, with output weight c: the function is the same,
    and whatever is shown of it holds with the bias. `width_of` does not count it.

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
    weight, bias, output = (np.asarray(array, dtype=np.float64) for array in arrays)
    shift = getattr(network, "output_bias", None)
    if shift is None:
        return Weights(weight, bias, output)
    weight = np.concatenate([weight, np.zeros((len(weight), 1))], axis=1)
    return Weights(weight, np.append(bias, 1.0), np.append(output, float(shift)))


def width_of(network: Any) -> int:
    """How many neurons a network has; an output bias is none."""
    return len(network.u) if isinstance(network, Weights) else int(network.output_weight.shape[0])
