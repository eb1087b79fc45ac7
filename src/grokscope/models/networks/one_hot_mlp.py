"""The networks of `OneHotMLP` and `ModularWaves`: a table look-up, powers, no biases."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from grokscope.models.networks.neurons import ones_like
from grokscope.models.networks.one_hidden_layer import ACTIVATIONS, DEGREES
from grokscope.models.networks.training import BatchNorm, TrainingMode, without_running_means

__all__ = ["OneHotLayers", "OneHotNeurons", "looked_up"]


def looked_up(
    table: Float[Array, "position token neuron"], x: Float[Array, "sample position token"]
) -> Float[Array, "sample neuron"]:
    r"""The product $\sum_t x_t W^t$ of one-hot tokens with a table, by look-up; else NaN."""
    index = jnp.argmax(x, axis=-1)
    one_hot = jnp.all((jnp.max(x, axis=-1) == 1) & (jnp.sum(jnp.abs(x), axis=-1) == 1), axis=1)
    rows = [table[t].at[index[:, t]].get(mode="promise_in_bounds") for t in range(len(table))]
    return jnp.where(one_hot[:, None], sum(rows[1:], rows[0]), jnp.nan)


def _activated(z: jax.Array, activation: str, power: int) -> jax.Array:
    return jax.lax.integer_pow(z, power) if activation == "power" else ACTIVATIONS[activation](z)


class _Hidden(eqx.Module):
    """What both networks do after each activation: batch normalization, then dropout.

    Attributes:
        scales, shifts, means, variances: batch normalization of the activations of each hidden layer
            (`BatchNorm`), each [neuron]; empty without it.
        mode: None in evaluation.
    """

    scales: tuple[Any, ...] = eqx.field(default=(), kw_only=True)
    shifts: tuple[Any, ...] = eqx.field(default=(), kw_only=True)
    means: tuple[Any, ...] = eqx.field(default=(), kw_only=True)
    variances: tuple[Any, ...] = eqx.field(default=(), kw_only=True)
    mode: TrainingMode | None = eqx.field(default=None, kw_only=True)

    def _norm(self, i: int) -> BatchNorm:
        return BatchNorm(self.scales[i], self.shifts[i], self.means[i], self.variances[i])

    def _passed_on(self, activations: jax.Array, i: int) -> jax.Array:
        """The activations of layer i, normalized and dropped."""
        values = self._norm(i)(activations, self.mode) if self.scales else activations
        return values if self.mode is None else self.mode.dropped(values, i)

    def split(self) -> tuple[Any, Any]:
        """The parameters, and the running means of batch normalization."""
        return without_running_means(self)

    def activations(self, x: jax.Array) -> list[jax.Array]:
        """The activations of each layer, before normalization."""
        raise NotImplementedError

    def state_after(self, x: jax.Array) -> Any:
        """The running means after an update with inputs x; in training mode, with batch normalization."""
        assert self.mode is not None
        norms = [self._norm(i).after(a, self.mode) for i, a in enumerate(self.activations(x))]
        means, variances = tuple(norm.mean for norm in norms), tuple(norm.variance for norm in norms)
        after = eqx.tree_at(lambda n: (n.means, n.variances, n.mode), self, (means, variances, None))
        return after.split()[1]


class OneHotNeurons(_Hidden):
    r"""$f(x) = c\, \sigma\big(\sum_t x_t W^t\big) U$ for one-hot tokens $x_t$.

    With batch normalization the value of a neuron is its normalized activation.

    Attributes:
        hidden_weight: W [position, token, neuron].
        output_weight: U [neuron, output].
        activation: ``power``, or the name of $\sigma$.
        power: exponent k of $\sigma(z) = z^k$, with ``power``.
        factor: c.
    """

    hidden_weight: Float[Array, "*member position token neuron"]
    output_weight: Float[Array, "*member neuron output"]
    activation: str = eqx.field(static=True)
    power: int = eqx.field(static=True)
    factor: float = eqx.field(static=True)

    def __call__(self, x: Float[Array, "sample position token"]) -> Float[Array, "sample ..."]:
        """The outputs; [sample] if there is one."""
        outputs = self.factor * (self.hidden(x) @ self.output_weight)
        return outputs[:, 0] if outputs.shape[-1] == 1 else outputs

    def activations(self, x: Float[Array, "sample position token"]) -> list[jax.Array]:
        """The activations, before normalization."""
        return [_activated(looked_up(self.hidden_weight, x), self.activation, self.power)]

    def hidden(self, x: Float[Array, "sample position token"]) -> Float[Array, "sample neuron"]:
        """The hidden activations, normalized if there is batch normalization."""
        return self._passed_on(self.activations(x)[0], 0)

    def on_vectors(self, x: Float[Array, "sample position token"]) -> Float[Array, "sample output"]:
        """The outputs for any real inputs, by products; a look-up has no derivative by the input."""
        hidden = _activated(x.reshape(len(x), -1) @ self.incoming, self.activation, self.power)
        return self.factor * (hidden @ self.output_weight)

    @property
    def output_map(self) -> Float[Array, "*member neuron output"]:
        """Weights from each neuron to the outputs: c U."""
        return self.factor * self.output_weight

    @property
    def homogeneity(self) -> int | None:
        """As of `grokscope.models.networks.one_hidden_layer.OneHiddenLayer`."""
        degree = self.power if self.activation == "power" else DEGREES.get(self.activation)
        return None if degree is None or self.scales else degree + 1

    @property
    def incoming(self) -> Float[Array, "*member feature neuron"]:
        """Weights into each neuron, position after position."""
        shape = self.hidden_weight.shape
        return self.hidden_weight.reshape(*shape[:-3], shape[-3] * shape[-2], shape[-1])

    @property
    def incoming_bias(self) -> Float[Array, "*member neuron"]:
        """Zeros: there are no biases."""
        return jnp.zeros_like(self.output_weight[..., 0])

    @property
    def outgoing(self) -> Float[Array, "*member neuron output"]:
        """Weights out of each neuron, without the factor."""
        return self.output_weight

    def keeping(self, keep: Bool[Array, " neuron"] | Float[Array, " neuron"]) -> OneHotNeurons:
        """The network with all other neurons set to 0."""
        return eqx.tree_at(lambda n: n.output_weight, self, self.output_weight * keep[:, None])

    def neuron_masks(self, keep: Bool[Array, " neuron"] | Float[Array, " neuron"]) -> OneHotNeurons:
        """Factors for `State.masks`: 0 for every parameter of the other neurons, else 1."""
        masks, keep = ones_like(self.split()[0]), keep.astype(self.output_weight.dtype)
        norms = (keep,) * len(self.scales)
        return eqx.tree_at(
            lambda n: (n.hidden_weight, n.output_weight, n.scales, n.shifts),
            masks,
            (masks.hidden_weight * keep, masks.output_weight * keep[:, None], norms, norms),
        )


class OneHotLayers(_Hidden):
    r"""$f(x) = c\, \sigma(\dots \sigma\big(\sum_t x_t W^t\big) V_2 \dots V_L) U$, with several hidden layers.

    Attributes:
        hidden_weight: W [position, token, neuron], the first layer.
        weights: $V_i$, each [neuron, neuron].
        output_weight: U [last neuron, output].
        activation: as in `OneHotNeurons`.
        power: as there.
        factor: c.
    """

    hidden_weight: Float[Array, "*member position token neuron"]
    weights: tuple[Float[Array, "*member _ _"], ...]
    output_weight: Float[Array, "*member last output"]
    activation: str = eqx.field(static=True)
    power: int = eqx.field(static=True)
    factor: float = eqx.field(static=True)

    def __call__(self, x: Float[Array, "sample position token"]) -> Float[Array, "sample ..."]:
        """The outputs; [sample] if there is one."""
        last = self._passed_on(self.activations(x)[-1], len(self.weights))
        outputs = self.factor * (last @ self.output_weight)
        return outputs[:, 0] if outputs.shape[-1] == 1 else outputs

    def activations(self, x: Float[Array, "sample position token"]) -> list[jax.Array]:
        """The activations of each layer, before normalization."""
        found = [_activated(looked_up(self.hidden_weight, x), self.activation, self.power)]
        for i, weight in enumerate(self.weights):
            found.append(_activated(self._passed_on(found[i], i) @ weight, self.activation, self.power))
        return found
