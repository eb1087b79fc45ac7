"""The network that `MLP` makes where there are several hidden layers."""

from __future__ import annotations

import equinox as eqx
from jaxtyping import Array, Float

from grokscope.models.networks.one_hidden_layer import ACTIVATIONS

__all__ = ["Layers"]


class Layers(eqx.Module):
    r"""$f(x) = \sigma(\dots \sigma(x W_1 + b_1) \dots W_L + b_L)\, U + c$, with inputs in rows.

    Attributes:
        weights: $W_i$, each [input, neuron].
        biases: $b_i$, each [neuron].
        output_weight: U, [neuron], or [neuron, output] where there are several outputs.
        output_bias: c, a number, or [output]; None: there is none.
        activation: name of $\sigma$.
    """

    weights: tuple[Float[Array, "*member _ _"], ...]
    biases: tuple[Float[Array, "*member _"], ...]
    output_weight: Float[Array, "*member neuron ..."]
    output_bias: Float[Array, "*output"] | None = None
    activation: str = eqx.field(static=True, default="relu")

    def __call__(self, x: Float[Array, "sample ..."]) -> Float[Array, "sample ..."]:
        """The outputs f(x)."""
        activation = ACTIVATIONS[self.activation]
        values = x.reshape(x.shape[0], -1)
        for weight, bias in zip(self.weights, self.biases, strict=True):
            values = activation(values @ weight + bias)
        sums = values @ self.output_weight
        return sums if self.output_bias is None else sums + self.output_bias
