"""The network of `Transformer`: decoder-only, with the output at the last position."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from grokscope.models.networks.neurons import ones_like
from grokscope.models.networks.one_hidden_layer import ACTIVATIONS

__all__ = ["LayerNorm", "TransformerBlock", "TransformerNetwork", "sinusoids"]


class LayerNorm(eqx.Module):
    r"""$(x - \bar x) / \sqrt{\mathrm{var}(x) + \epsilon} \cdot$ scale + shift, over the last axis."""

    scale: Float[Array, "*member feature"]
    shift: Float[Array, "*member feature"]
    epsilon: float = eqx.field(static=True, default=1e-5)  # PyTorch's

    def __call__(self, x: Float[Array, "... feature"]) -> Float[Array, "... feature"]:
        """The normalized features."""
        centered = x - jnp.mean(x, axis=-1, keepdims=True)
        variance = jnp.mean(jnp.square(centered), axis=-1, keepdims=True)
        return centered * jax.lax.rsqrt(variance + self.epsilon) * self.scale + self.shift


class EmbeddedTokens(NamedTuple):
    """The residual stream before the first layer, as a table of embeddings and the tokens.

    A function of each row is applied to the table, and the results are looked up by token. This is exact, and
    saves products over all samples (and their gradients) for keys and values of the first layer.

    Attributes:
        table: the embedding of each token at each position [position, token, feature].
        tokens: the token numbers [sample, position].
    """

    table: Float[Array, "position token feature"]
    tokens: Int[Array, "sample position"]


Stream = EmbeddedTokens | Float[Array, "sample position feature"]


def _mapped(
    x: Stream, last_only: bool = False, function: Callable[[jax.Array], jax.Array] = lambda rows: rows
) -> jax.Array:
    """A function of each row of a stream, [sample, position, ...], at all positions or at the last one."""
    if not isinstance(x, EmbeddedTokens):
        return function(x[:, -1:] if last_only else x)
    first = x.table.shape[0] - 1 if last_only else 0
    found = function(x.table[first:])
    places = jnp.arange(len(found))
    return found[places, x.tokens[:, first:]]


class TransformerBlock(eqx.Module):
    """One layer: attention, then a perceptron, each added to its input.

    The heads are blocks of columns of ``query``, ``key`` and ``value``, and blocks of rows of
    ``attention_out``.

    Attributes:
        query, key, value: [width, features of all heads].
        attention_out: [features of all heads, width].
        mlp_in, mlp_bias, mlp_out, mlp_out_bias: the perceptron; biases may be None.
        attention_norm, mlp_norm: layer norms, or None.
        query_bias, key_bias, value_bias, attention_out_bias: biases of the four, or None.
        heads, activation, norm, causal, softmax_weight: see `Transformer`.
    """

    query: Float[Array, "*member feature head_feature"]
    key: Float[Array, "*member feature head_feature"]
    value: Float[Array, "*member feature head_feature"]
    attention_out: Float[Array, "*member head_feature feature"]
    mlp_in: Float[Array, "*member feature neuron"]
    mlp_bias: Float[Array, "*member neuron"] | None
    mlp_out: Float[Array, "*member neuron feature"]
    mlp_out_bias: Float[Array, "*member feature"] | None
    attention_norm: LayerNorm | None
    mlp_norm: LayerNorm | None
    heads: int = eqx.field(static=True)
    activation: str = eqx.field(static=True)
    norm: str = eqx.field(static=True)
    query_bias: Float[Array, "*member head_feature"] | None = None
    key_bias: Float[Array, "*member head_feature"] | None = None
    value_bias: Float[Array, "*member head_feature"] | None = None
    attention_out_bias: Float[Array, "*member feature"] | None = None
    causal: bool = eqx.field(static=True, default=True)
    softmax_weight: float = eqx.field(static=True, default=1.0)

    def __call__(
        self, x: Stream, last_only: bool
    ) -> tuple[Float[Array, "sample query feature"], Float[Array, "sample neuron"]]:
        """The output at every position (or at the last one only), and the neurons at the last position."""
        given = _mapped(x, last_only)
        attended = self._mix(x, self.pattern(x, last_only)) @ self.attention_out
        attended = attended if self.attention_out_bias is None else attended + self.attention_out_bias
        middle = self._added(given, attended, self.attention_norm)
        h = self._neurons(middle)
        out = h @ self.mlp_out
        out = out if self.mlp_out_bias is None else out + self.mlp_out_bias
        return self._added(middle, out, self.mlp_norm), h[:, -1]

    def pattern(self, x: Stream, last_only: bool) -> Float[Array, "sample query position head"]:
        """The attention weights: a softmax over positions, times s, plus 1 - s (`Transformer`)."""
        q = self._split(self._projected(x, self.query, self.query_bias, last_only))
        k = self._split(self._projected(x, self.key, self.key_bias))
        scores = jnp.einsum("bqhd,bkhd->bqkh", q, k) / math.sqrt(q.shape[-1])
        seen = None
        if self.causal and not last_only:
            n = k.shape[1]
            seen = jnp.tril(jnp.ones((n, n), bool))[:, :, None]
            scores = jnp.where(seen, scores, -jnp.inf)
        weights = jax.nn.softmax(scores, axis=2)
        if self.softmax_weight == 1.0:
            return weights
        mixed = self.softmax_weight * weights + (1.0 - self.softmax_weight)
        return mixed if seen is None else jnp.where(seen, mixed, 0.0)

    def _projected(
        self, x: Stream, weight: jax.Array, bias: jax.Array | None, last_only: bool = False
    ) -> jax.Array:
        def projected(rows: jax.Array) -> jax.Array:
            found = self._normed(rows, self.attention_norm) @ weight
            return found if bias is None else found + bias

        return _mapped(x, last_only, projected)

    def _mix(self, x: Stream, pattern: jax.Array) -> jax.Array:
        v = self._split(self._projected(x, self.value, self.value_bias))
        mixed = jnp.einsum("bqkh,bkhd->bqhd", pattern, v)
        return mixed.reshape(*mixed.shape[:2], -1)

    def _neurons(self, middle: jax.Array) -> jax.Array:
        z = self._normed(middle, self.mlp_norm) @ self.mlp_in
        return ACTIVATIONS[self.activation](z if self.mlp_bias is None else z + self.mlp_bias)

    def _split(self, x: jax.Array) -> jax.Array:
        return x.reshape(*x.shape[:2], self.heads, -1)

    def _normed(self, x: jax.Array, norm: LayerNorm | None) -> jax.Array:
        return x if norm is None or self.norm == "post" else norm(x)

    def _added(self, x: jax.Array, change: jax.Array, norm: LayerNorm | None) -> jax.Array:
        return x + change if norm is None or self.norm == "pre" else norm(x + change)


class TransformerNetwork(eqx.Module):
    r"""Logits at the last position of a sequence of one-hot tokens.

    $x_0 = $ embedding + position; each block adds attention and a perceptron; logits $= x_L W_U$.

    Attributes:
        embedding: $W_E$ [token, feature], or [position, token, feature] with one for each position.
        position: learned $W_{pos}$ [position, feature]; None with fixed or no positions.
        blocks: the layers.
        final_norm: a layer norm before the logits (with ``norm = "pre"``), or None.
        unembedding: $W_U$ [feature, output]; None if it is tied to the embedding of the first tokens.
        n_outputs: number of outputs.
        sinusoidal: whether there are fixed positions.
        output_bias: [output], or None.
    """

    embedding: Float[Array, "*tables token feature"]
    position: Float[Array, "*member position feature"] | None
    blocks: tuple[TransformerBlock, ...]
    final_norm: LayerNorm | None
    unembedding: Float[Array, "*member feature output"] | None
    n_outputs: int = eqx.field(static=True)
    sinusoidal: bool = eqx.field(static=True, default=False)
    output_bias: Float[Array, "*member output"] | None = None

    def __call__(self, x: Float[Array, "sample position token"]) -> Float[Array, "sample ..."]:
        """The logits; [sample] if there is one output."""
        out = self._run(x)[0]
        out = out if self.final_norm is None else self.final_norm(out)
        logits = out @ self.readout
        logits = logits if self.output_bias is None else logits + self.output_bias
        return logits[:, 0] if self.n_outputs == 1 else logits

    @property
    def readout(self) -> Float[Array, "*member feature output"]:
        """$W_U$, tied or not."""
        if self.unembedding is not None:
            return self.unembedding
        return jnp.swapaxes(self.embedding, -1, -2)[..., : self.n_outputs]

    @property
    def output_map(self) -> Float[Array, "*member neuron output"]:
        """$W_L = W_{out} W_U$ of the last layer: weights from neurons to logits, without layer norm."""
        return self.blocks[-1].mlp_out @ self.readout

    def hidden(self, x: Float[Array, "sample position token"]) -> Float[Array, "sample neuron"]:
        """The perceptrons' activations at the last position, layer after layer."""
        return jnp.concatenate(self._run(x)[1], axis=-1)

    def attention(
        self, x: Float[Array, "sample position token"]
    ) -> Float[Array, "sample layer head position"]:
        """The attention weights of the last position."""
        patterns: list[jax.Array] = []
        at: Stream = self._embedded(x)
        for i, block in enumerate(self.blocks):
            patterns.append(jnp.swapaxes(block.pattern(at, last_only=True)[:, 0], 1, 2))
            if i + 1 < len(self.blocks):
                at = block(at, last_only=False)[0]
        return jnp.stack(patterns, axis=1)

    @property
    def incoming(self) -> Float[Array, "*member feature neuron"]:
        """Weights into each neuron, layer after layer."""
        return jnp.concatenate([block.mlp_in for block in self.blocks], axis=-1)

    @property
    def incoming_bias(self) -> Float[Array, "*member neuron"]:
        """Bias of each neuron; zeros if there are no biases."""
        parts = [b.mlp_in[..., 0, :] * 0 if b.mlp_bias is None else b.mlp_bias for b in self.blocks]
        return jnp.concatenate(parts, axis=-1)

    @property
    def outgoing(self) -> Float[Array, "*member neuron feature"]:
        """Weights out of each neuron, layer after layer."""
        return jnp.concatenate([block.mlp_out for block in self.blocks], axis=-2)

    def keeping(self, keep: Bool[Array, " neuron"] | Float[Array, " neuron"]) -> TransformerNetwork:
        """The network with all other neurons set to 0."""
        kept = [block.mlp_out * part[:, None] for block, part in self._by_layer(keep)]
        return eqx.tree_at(lambda n: [block.mlp_out for block in n.blocks], self, kept)

    def keeping_heads(
        self, keep: Bool[Array, "layer head"] | Float[Array, "layer head"]
    ) -> TransformerNetwork:
        """The network with the output of all other heads set to 0."""
        kept = [
            block.attention_out * self._rows_of(block, heads)[:, None]
            for block, heads in zip(self.blocks, keep, strict=True)
        ]
        return eqx.tree_at(lambda n: [block.attention_out for block in n.blocks], self, kept)

    def neuron_masks(self, keep: Bool[Array, " neuron"] | Float[Array, " neuron"]) -> TransformerNetwork:
        """Factors for `State.masks`: 0 for every parameter of the other neurons, else 1."""
        masks = ones_like(self)
        for i, (block, part) in enumerate(self._by_layer(keep)):
            part = part.astype(block.mlp_in.dtype)
            masks = eqx.tree_at(
                lambda n, i=i: (n.blocks[i].mlp_in, n.blocks[i].mlp_out),
                masks,
                (masks.blocks[i].mlp_in * part, masks.blocks[i].mlp_out * part[:, None]),
            )
            if block.mlp_bias is not None:
                masks = eqx.tree_at(lambda n, i=i: n.blocks[i].mlp_bias, masks, part)
        return masks

    def _run(self, x: jax.Array) -> tuple[jax.Array, list[jax.Array]]:
        """The stream at the last position after all layers, and the neurons of each layer there."""
        at: Stream = self._embedded(x)
        neurons: list[jax.Array] = []
        for i, block in enumerate(self.blocks):
            # the last layer is needed at the last position only
            at, h = block(at, last_only=i + 1 == len(self.blocks))
            neurons.append(h)
        return _mapped(at)[:, -1], neurons

    def _embedded(self, x: jax.Array) -> EmbeddedTokens:
        positions, width = x.shape[-2], self.embedding.shape[-1]
        added = jnp.zeros((positions, width), self.embedding.dtype)
        if self.position is not None:
            added = self.position
        elif self.sinusoidal:
            added = sinusoids(positions, width).astype(added.dtype)
        return EmbeddedTokens(self.embedding + added[:, None], jnp.argmax(x, axis=-1))

    def _by_layer(self, keep: jax.Array) -> list[tuple[TransformerBlock, jax.Array]]:
        parts = jnp.split(keep, len(self.blocks))
        return list(zip(self.blocks, parts, strict=True))

    @staticmethod
    def _rows_of(block: TransformerBlock, heads: jax.Array) -> jax.Array:
        return jnp.repeat(heads, block.attention_out.shape[0] // block.heads)


def sinusoids(positions: int, width: int) -> Float[Array, "position feature"]:
    r"""Fixed positions: $\sin(t / 10000^{i / d})$ at even i, $\cos(t / 10000^{(i - 1) / d})$ at odd i.

    Source: Vaswani et al. 2017 (arXiv 1706.03762), Section 3.5.
    """
    i = jnp.arange(width)
    angle = jnp.arange(positions)[:, None] / 10000.0 ** ((i - i % 2) / width)
    return jnp.where(i % 2 == 0, jnp.sin(angle), jnp.cos(angle))
