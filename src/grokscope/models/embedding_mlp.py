"""Token embeddings and one hidden layer; a small network for modular arithmetic."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from grokscope.errors import InputError
from grokscope.models._model import Model, check_tokens, draw_normal

if TYPE_CHECKING:
    import jax

    from grokscope.models.networks.embedding_mlp import EmbeddingMLPNetwork

__all__ = ["EmbeddingMLP"]

_DISTINCT_BITS = 16  # of a binary code, by which tokens differ; more bits are drawn freely


class EmbeddingMLP(Model):
    r"""Token embeddings and one hidden layer: $f(x) = \sigma\big(\sum_t W_E[x_t] V_t + b\big) U + c$.

    The input is a sequence of one-hot tokens [position, token]. With ``combine = "add"`` all positions share
    $V$, so the network computes the same for (a, b) as for (b, a). Initially $V$ and $U$ are drawn from
    $N(0, 1/m)$ for m inputs of the layer, the embedding from $N(0, 1)$ times ``embedding_scale``; biases are
    0.

    Attributes:
        embedding: features per token.
        width: number of hidden neurons.
        activation: $\sigma$: ``relu``, ``quadratic`` ($z^2$), ``gelu`` or ``tanh``.
        combine: ``concatenate`` (its own $V_t$ for each position) or ``add`` (one $V$ for all).
        bias: whether hidden neurons have a bias b.
        output_bias: whether the outputs have a bias c.
        embedding_init: ``normal``, or ``binary``: each token's embedding is a code of zeros and ones; which
            token has which code is drawn, and no two have the same. (The intervention ``freeze`` holds it.)
        embedding_scale: factor on the initial embedding.
        init_scale: factor on all other initial weights.

    Raises:
        InputError: in an experiment, if inputs are not sequences of tokens, or there are more tokens than
            codes.

    Source: with ``relu`` and ``add`` as in Liu et al. 2022 (arXiv 2205.10343); with ``quadratic`` as in
        Gromov 2023 (arXiv 2301.02679), there with one-hot inputs instead of embeddings.

    Example:
        >>> EmbeddingMLP(embedding=8, width=16, bias=False).n_parameters((2, 5), 5)
        376
    """

    kind: Literal["embedding_mlp"] = "embedding_mlp"
    traced = ("embedding_scale", "init_scale")
    younger = ("output_bias", "embedding_init")

    embedding: int = Field(default=64, ge=1, le=100_000)
    width: int = Field(default=256, ge=1, le=10**7)
    activation: Literal["relu", "quadratic", "gelu", "tanh"] = "relu"
    combine: Literal["concatenate", "add"] = "concatenate"
    bias: bool = True
    output_bias: bool = False
    embedding_init: Literal["normal", "binary"] = "normal"
    embedding_scale: float = Field(default=1.0, gt=0.0, le=1e6)
    init_scale: float = Field(default=1.0, gt=0.0, le=1e6)

    @property
    def n_neurons(self) -> int:
        """The number of hidden neurons, ``width``."""
        return self.width

    def check_inputs(self, input_shape: tuple[int, ...], n_outputs: int) -> None:
        """Inputs must be sequences of one-hot tokens, with a code for each token.

        Raises:
            InputError: if they are not.
        """
        del n_outputs
        check_tokens(self.kind, input_shape)
        tokens = input_shape[1]
        if self.embedding_init == "binary" and tokens > 2 ** min(self.embedding, _DISTINCT_BITS):
            raise InputError(
                f"model.embedding: {self.embedding} bits are too few for {tokens} different codes; give at "
                f"least {math.ceil(math.log2(tokens))}."
            )

    def axes(self, input_shape: tuple[int, ...], n_outputs: int) -> dict[str, tuple[Any, ...]]:
        """Axis ``matrix`` (names of the weight matrices) and axis ``position``."""
        del n_outputs
        return {
            "matrix": ("embedding", "hidden_weight", "output_weight"),
            "position": tuple(range(input_shape[0])),
        }

    def network(self, key: jax.Array, input_shape: tuple[int, ...], n_outputs: int) -> EmbeddingMLPNetwork:
        """Draw all weights."""
        import jax
        import jax.numpy as jnp

        from grokscope.models.networks.embedding_mlp import EmbeddingMLPNetwork

        positions, tokens = input_shape
        slots = self._slots(positions)
        shapes = ((tokens, self.embedding), (slots, self.embedding, self.width), (self.width, n_outputs))
        scales = (
            (1.0, self.embedding_scale),
            (1 / math.sqrt(slots * self.embedding), self.init_scale),
            (1 / math.sqrt(self.width), self.init_scale),
        )
        embedding, hidden, output = (
            draw_normal(key, shape, std, scale)
            for key, shape, (std, scale) in zip(jax.random.split(key, 3), shapes, scales, strict=True)
        )
        if self.embedding_init == "binary":
            embedding = self._codes(jax.random.split(key, 3)[0], tokens)
        return EmbeddingMLPNetwork(
            embedding=embedding,
            hidden_weight=hidden,
            hidden_bias=jnp.zeros(self.width) if self.bias else None,
            output_weight=output,
            activation=self.activation,
            adds=self.combine == "add",
            output_bias=jnp.zeros(n_outputs) if self.output_bias else None,
        )

    def n_parameters(self, input_shape: tuple[int, ...], n_outputs: int) -> int:
        """Number of parameters of embedding, hidden layer and output layer."""
        positions, tokens = input_shape
        inputs = self._slots(positions) * self.embedding
        neurons = (inputs + self.bias + n_outputs) * self.width
        return tokens * self.embedding + neurons + self.output_bias * n_outputs

    def flops_per_sample(self, input_shape: tuple[int, ...], n_outputs: int) -> float:
        """Operations of the matrix products; the hidden layer of each token is computed once per batch."""
        positions, tokens = input_shape
        return (4.0 * tokens * self._slots(positions) + 6.0 * n_outputs) * self.width

    def _codes(self, key: jax.Array, tokens: int) -> jax.Array:
        """A different code of zeros and ones for each token, times ``embedding_scale``; [token, feature]."""
        import jax
        import jax.numpy as jnp

        drawn, others = jax.random.split(key)
        places = jnp.arange(min(self.embedding, _DISTINCT_BITS))
        numbers = jax.random.choice(drawn, 2 ** len(places), (tokens,), replace=False)
        more = jax.random.bernoulli(others, 0.5, (tokens, self.embedding - len(places)))
        bits = jnp.concatenate([(numbers[:, None] >> places) & 1, more.astype(numbers.dtype)], axis=1)
        return bits.astype(jnp.result_type(float)) * self.embedding_scale

    def _slots(self, positions: int) -> int:
        return positions if self.combine == "concatenate" else 1
