"""The networks of `FullyConnected` and `MLP`: one hidden layer, or several."""

from __future__ import annotations

from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from grokscope.models.networks.neurons import ones_like

__all__ = ["ACTIVATIONS", "Layers", "OneHiddenLayer"]

ACTIVATIONS = {
    "relu": jax.nn.relu,
    "quadratic": jnp.square,
    "gelu": jax.nn.gelu,
    "gelu_exact": partial(jax.nn.gelu, approximate=False),
    "tanh": jnp.tanh,
}


class OneHiddenLayer(eqx.Module):
    r"""$f(x) = \sigma(x W + b)\, u + c$, with inputs in rows.

    Attributes:
        hidden_weight: W, [bit, neuron] (a column per neuron, which is the faster layout on a CPU).
        hidden_bias: b, [neuron].
        output_weight: u, [neuron], or [neuron, output] if there are several outputs.
        activation: name of $\sigma$.
        output_bias: c, a number or [output]; or None. It belongs to no neuron, so subnetworks keep it.
    """

    hidden_weight: Float[Array, "*member bit neuron"]
    hidden_bias: Float[Array, "*member neuron"]
    output_weight: Float[Array, "*member neuron ..."]
    activation: str = eqx.field(static=True, default="relu")
    output_bias: Float[Array, "*output"] | None = None

    def preactivations(self, x: Float[Array, "sample ..."]) -> Float[Array, "sample neuron"]:
        """The pre-activations z = x W + b."""
        return x.reshape(x.shape[0], -1) @ self.hidden_weight + self.hidden_bias

    def hidden(self, x: Float[Array, "sample ..."]) -> Float[Array, "sample neuron"]:
        r"""The activations $\sigma(z)$."""
        return ACTIVATIONS[self.activation](self.preactivations(x))

    def __call__(self, x: Float[Array, "sample ..."]) -> Float[Array, "sample ..."]:
        """The outputs f(x)."""
        return self.shifted(self.hidden(x) @ self.output_weight)

    def shifted(self, sums: Float[Array, "*sum"]) -> Float[Array, "*sum"]:
        """Sums over neurons plus the output bias, if there is one."""
        return sums if self.output_bias is None else sums + self.output_bias

    @property
    def incoming(self) -> Float[Array, "*member bit neuron"]:
        """Incoming weights W of each neuron."""
        return self.hidden_weight

    @property
    def incoming_bias(self) -> Float[Array, "*member neuron"]:
        """Bias b of each neuron."""
        return self.hidden_bias

    @property
    def outgoing(self) -> Float[Array, "*member neuron output"]:
        """Output weights u of each neuron, as a matrix."""
        u = self.output_weight
        return u[..., None] if u.ndim == self.hidden_bias.ndim else u

    @property
    def output_map(self) -> Float[Array, "*member neuron output"]:
        """Weights from each neuron to the outputs: u, as a matrix."""
        return self.outgoing

    def keeping(self, keep: Bool[Array, " neuron"] | Float[Array, " neuron"]) -> OneHiddenLayer:
        """The network with all other neurons set to 0."""
        keep = keep.astype(self.output_weight.dtype)
        return eqx.tree_at(lambda n: n.output_weight, self, self._rows(keep) * self.output_weight)

    def neuron_masks(self, keep: Bool[Array, " neuron"] | Float[Array, " neuron"]) -> OneHiddenLayer:
        """Factors for `State.masks`: 0 for every parameter of the other neurons, else 1."""
        masks, keep = ones_like(self), keep.astype(self.output_weight.dtype)
        return eqx.tree_at(
            lambda n: (n.hidden_weight, n.hidden_bias, n.output_weight),
            masks,
            (masks.hidden_weight * keep, keep, masks.output_weight * self._rows(keep)),
        )

    def _rows(self, keep: jax.Array) -> jax.Array:
        return keep if self.output_weight.ndim == 1 else keep[:, None]


class Layers(eqx.Module):
    r"""$f(x) = \sigma(\dots \sigma(x W_1 + b_1) \dots W_L + b_L)\, U + c$, with several hidden layers.

    Attributes:
        weights: $W_i$, each [input, neuron].
        biases: $b_i$, each [neuron].
        output_weight: U, [neuron], or [neuron, output] if there are several outputs.
        output_bias: c, a number or [output]; or None.
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
