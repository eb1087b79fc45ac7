"""The network that `EmbeddingMLP` makes: embeddings, one hidden layer, logits."""

from __future__ import annotations

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from grokscope.models.networks.neurons import ones_like
from grokscope.models.networks.one_hidden_layer import ACTIVATIONS

__all__ = ["EmbeddingMLPNetwork"]


class EmbeddingMLPNetwork(eqx.Module):
    r"""$f(x) = \sigma\big(\sum_t x_t W_E V_t + b\big) U + c$ for one-hot tokens $x_t$.

    Attributes:
        embedding: $W_E$ [token, feature], the same at every position.
        hidden_weight: $V$ [position, feature, neuron]; one position if embeddings are added.
        hidden_bias: b [neuron], or None.
        output_weight: U [neuron, output].
        activation: name of $\sigma$.
        adds: whether the embeddings of all positions are added.
        output_bias: c [output], or None. It belongs to no neuron, so subnetworks keep it.
    """

    embedding: Float[Array, "*member token feature"]
    hidden_weight: Float[Array, "*member position feature neuron"]
    hidden_bias: Float[Array, "*member neuron"] | None
    output_weight: Float[Array, "*member neuron output"]
    activation: str = eqx.field(static=True)
    adds: bool = eqx.field(static=True)
    output_bias: Float[Array, "*member output"] | None = None

    def __call__(self, x: Float[Array, "sample position token"]) -> Float[Array, "sample ..."]:
        """The logits; [sample] if there is one output."""
        logits = self.hidden(x) @ self.output_weight
        if self.output_bias is not None:
            logits = logits + self.output_bias
        return logits[:, 0] if logits.shape[-1] == 1 else logits

    def hidden(self, x: Float[Array, "sample position token"]) -> Float[Array, "sample neuron"]:
        """The hidden activations."""
        # the hidden layer of each token is computed once, and used for all samples
        if self.adds:
            z = jnp.sum(x, axis=1) @ (self.embedding @ self.hidden_weight[0])
        else:
            z = jnp.reshape(x, (len(x), -1)) @ jnp.reshape(self.per_token, (-1, self.output_weight.shape[-2]))
        return ACTIVATIONS[self.activation](z if self.hidden_bias is None else z + self.hidden_bias)

    @property
    def per_token(self) -> Float[Array, "*member position token neuron"]:
        """The contribution of each token at each position to the pre-activations."""
        return self.embedding[..., None, :, :] @ self.hidden_weight

    @property
    def output_map(self) -> Float[Array, "*member neuron output"]:
        """Weights from each neuron to the logits."""
        return self.output_weight

    @property
    def incoming(self) -> Float[Array, "*member feature neuron"]:
        """Weights into each neuron, position after position."""
        shape = self.hidden_weight.shape
        return self.hidden_weight.reshape(*shape[:-3], shape[-3] * shape[-2], shape[-1])

    @property
    def incoming_bias(self) -> Float[Array, "*member neuron"]:
        """Bias of each neuron; zeros if there are no biases."""
        if self.hidden_bias is None:
            return jnp.zeros_like(self.output_weight[..., 0])
        return self.hidden_bias

    @property
    def outgoing(self) -> Float[Array, "*member neuron feature"]:
        """Weights out of each neuron."""
        return self.output_weight

    def keeping(self, keep: Bool[Array, " neuron"] | Float[Array, " neuron"]) -> EmbeddingMLPNetwork:
        """The network with all other neurons set to 0."""
        return eqx.tree_at(lambda n: n.output_weight, self, self.output_weight * keep[:, None])

    def neuron_masks(self, keep: Bool[Array, " neuron"] | Float[Array, " neuron"]) -> EmbeddingMLPNetwork:
        """Factors for `State.masks`: 0 for every parameter of the other neurons, else 1."""
        masks, keep = ones_like(self), keep.astype(self.output_weight.dtype)
        masks = eqx.tree_at(
            lambda n: (n.hidden_weight, n.output_weight),
            masks,
            (masks.hidden_weight * keep, masks.output_weight * keep[:, None]),
        )
        return masks if self.hidden_bias is None else eqx.tree_at(lambda n: n.hidden_bias, masks, keep)
