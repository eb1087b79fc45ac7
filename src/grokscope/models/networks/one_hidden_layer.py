"""The networks of `FullyConnected` and `MLP`: one hidden layer, or several."""

from __future__ import annotations

from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from grokscope.models.networks.neurons import ones_like
from grokscope.models.networks.training import BatchNorm, TrainingMode, without_running_means

__all__ = ["ACTIVATIONS", "DEGREES", "Layers", "OneHiddenLayer"]


def _power(z: jax.Array, exponent: int) -> jax.Array:
    return jax.lax.integer_pow(z, exponent)


ACTIVATIONS = {
    "relu": jax.nn.relu,
    "quadratic": jnp.square,
    "cubic": partial(_power, exponent=3),
    "quartic": partial(_power, exponent=4),
    "gelu": jax.nn.gelu,
    "gelu_exact": partial(jax.nn.gelu, approximate=False),
    "tanh": jnp.tanh,
    "sine": jnp.sin,
}
#: Degrees of the homogeneous activations.
DEGREES = {"relu": 1, "quadratic": 2, "cubic": 3, "quartic": 4}


class OneHiddenLayer(eqx.Module):
    r"""$f(x) = \sigma(x W + b)\, u + c$, with inputs in rows.

    Attributes:
        hidden_weight: W, [bit, neuron] (a column per neuron, which is the faster layout on a CPU).
        hidden_bias: b, [neuron].
        output_weight: u, [neuron], or [neuron, output] if there are several outputs.
        activation: name of $\sigma$.
        output_bias: c, a number or [output]; or None. It belongs to no neuron, so subnetworks keep it.
        mode: None in evaluation.
    """

    hidden_weight: Float[Array, "*member bit neuron"]
    hidden_bias: Float[Array, "*member neuron"]
    output_weight: Float[Array, "*member neuron ..."]
    activation: str = eqx.field(static=True, default="relu")
    output_bias: Float[Array, "*output"] | None = None
    mode: TrainingMode | None = None

    def preactivations(self, x: Float[Array, "sample ..."]) -> Float[Array, "sample neuron"]:
        """The pre-activations z = x W + b."""
        return x.reshape(x.shape[0], -1) @ self.hidden_weight + self.hidden_bias

    def hidden(self, x: Float[Array, "sample ..."]) -> Float[Array, "sample neuron"]:
        r"""The activations $\sigma(z)$."""
        values = ACTIVATIONS[self.activation](self.preactivations(x))
        return values if self.mode is None else self.mode.dropped(values, 0)

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

    @property
    def homogeneity(self) -> int | None:
        r"""$\nu$ in $f_{c \theta} = c^\nu f_\theta$: degree of the activation, plus 1; None without one."""
        degree = DEGREES.get(self.activation)
        return None if degree is None or self.output_bias is not None else degree + 1

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
        scales, shifts, means, variances: batch normalization of the pre-activations of each hidden layer
            (`BatchNorm`), each [neuron]; empty without it.
        mode: None in evaluation.
    """

    weights: tuple[Float[Array, "*member _ _"], ...]
    biases: tuple[Float[Array, "*member _"], ...]
    output_weight: Float[Array, "*member neuron ..."]
    output_bias: Float[Array, "*output"] | None = None
    activation: str = eqx.field(static=True, default="relu")
    scales: tuple[Any, ...] = ()
    shifts: tuple[Any, ...] = ()
    means: tuple[Any, ...] = ()
    variances: tuple[Any, ...] = ()
    mode: TrainingMode | None = None

    def __call__(self, x: Float[Array, "sample ..."]) -> Float[Array, "sample ..."]:
        """The outputs f(x)."""
        values, _ = self._hidden(x)
        sums = values @ self.output_weight
        return sums if self.output_bias is None else sums + self.output_bias

    def _hidden(self, x: jax.Array) -> tuple[jax.Array, list[jax.Array]]:
        """The activations of the last hidden layer, and all pre-activations."""
        activation = ACTIVATIONS[self.activation]
        values = x.reshape(x.shape[0], -1)
        sums: list[jax.Array] = []
        for i, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            sums.append(values @ weight + bias)
            values = activation(self._norm(i)(sums[i], self.mode) if self.scales else sums[i])
            if self.mode is not None:
                values = self.mode.dropped(values, i)
        return values, sums

    def _norm(self, i: int) -> BatchNorm:
        return BatchNorm(self.scales[i], self.shifts[i], self.means[i], self.variances[i])

    def split(self) -> tuple[Any, Any]:
        """The parameters, and the running means of batch normalization."""
        return without_running_means(self)

    def state_after(self, x: Float[Array, "sample ..."]) -> Any:
        """The running means after an update with inputs x; in training mode, with batch normalization."""
        assert self.mode is not None
        mode, (_, sums) = self.mode, self._hidden(x)
        norms = [self._norm(i).after(z, mode) for i, z in enumerate(sums)]
        means, variances = tuple(norm.mean for norm in norms), tuple(norm.variance for norm in norms)
        return eqx.tree_at(lambda n: (n.means, n.variances, n.mode), self, (means, variances, None)).split()[
            1
        ]
