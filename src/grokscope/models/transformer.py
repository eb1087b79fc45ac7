"""Decoder-only transformers on short sequences; the output is taken at the last position."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, model_validator

from grokscope.errors import InputError
from grokscope.models._model import Model, check_tokens, draw_normal, draw_uniform

if TYPE_CHECKING:
    from typing import Self

    import jax

    from grokscope.models.networks.transformer import LayerNorm, TransformerBlock, TransformerNetwork

__all__ = ["NandaTransformer", "PowerTransformer", "Transformer"]


class Transformer(Model):
    r"""A decoder-only transformer on one-hot tokens [position, token]; its output is at the last position.

    Each layer: $x \leftarrow x + \mathrm{attention}(x)$, then
    $x \leftarrow x + \sigma(x W_{in} + b) W_{out}$; logits are $x W_U$. The weights of a head's attention are
    $s\, \mathrm{softmax}(Q K^T / \sqrt{d_{head}}) + 1 - s$ at the positions that it sees.

    Attributes:
        layers: number of layers.
        width: number of features d of the residual stream.
        heads: number of attention heads per layer.
        head_width: number of features $d_{head}$ of a head; default width / heads.
        mlp_width: number of hidden neurons of each layer's perceptron.
        activation: $\sigma$: ``relu``, ``quadratic`` ($z^2$), ``gelu`` (by tanh), ``gelu_exact`` or ``tanh``.
        norm: layer norm: ``none``, ``post`` (after each residual sum) or ``pre`` (before attention, before
            the perceptron, and before the unembedding).
        positions: position embedding: ``learned``, ``sinusoidal`` (fixed) or ``none``.
        tied: whether the unembedding $W_U$ is the transposed embedding.
        mlp_bias: whether the perceptrons have biases.
        attention_bias: whether queries, keys, values and the output of attention have biases.
        output_bias: whether the logits have a bias. It belongs to no neuron, so subnetworks keep it.
        causal: whether a position attends to none after it. It makes no difference in the last layer.
        softmax_weight: s. With 0 every weight of the attention is 1, and queries and keys have no effect.
        vocabulary: ``shared`` (one embedding for all positions) or ``by_position`` (each has its own).
        norm_epsilon: the number that is added to the variance in a layer norm.
        init: initial weights: ``normal`` ($N(0, 1/d)$; the unembedding $N(0, 1/\mathrm{tokens})$; biases 0)
            or ``torch`` (PyTorch's defaults: linear maps $U(\pm 1/\sqrt{\mathrm{inputs}})$, embeddings
            $N(0, 1)$).
        init_scale: factor on all initial weights except those of the layer norms.

    Raises:
        InputError: if ``heads`` does not divide ``width`` and there is no ``head_width``, or ``tied`` is
            given with ``by_position``; in an experiment, if inputs are not sequences of tokens, or a tied
            unembedding would have more outputs than there are tokens.

    Source: Nanda et al. 2023 (arXiv 2301.05217); ``softmax_weight``: the attention rate of Zhong et al. 2023
        (arXiv 2306.17844).

    Example:
        >>> Transformer(layers=1, width=128, heads=4, mlp_width=512).n_parameters((3, 114), 113)
        226688
    """

    kind: Literal["transformer"] = "transformer"
    traced = ("init_scale",)
    younger = (
        *("head_width", "attention_bias", "output_bias", "causal", "softmax_weight", "vocabulary"),
        "norm_epsilon",
    )

    layers: int = Field(default=1, ge=1, le=100)
    width: int = Field(default=128, ge=1, le=100_000)
    heads: int = Field(default=4, ge=1, le=10_000)
    head_width: int | None = Field(default=None, ge=1, le=100_000)
    mlp_width: int = Field(default=512, ge=1, le=10**7)
    activation: Literal["relu", "quadratic", "gelu", "gelu_exact", "tanh"] = "relu"
    norm: Literal["none", "post", "pre"] = "none"
    positions: Literal["learned", "sinusoidal", "none"] = "learned"
    tied: bool = False
    mlp_bias: bool = True
    attention_bias: bool = False
    output_bias: bool = False
    causal: bool = True
    softmax_weight: float = Field(default=1.0, ge=0.0, le=1.0)
    vocabulary: Literal["shared", "by_position"] = "shared"
    norm_epsilon: float = Field(default=1e-5, ge=0.0, le=1.0)
    init: Literal["normal", "torch"] = "normal"
    init_scale: float = Field(default=1.0, gt=0.0, le=1e6)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.head_width is None and self.width % self.heads:
            raise ValueError(
                f"heads must divide width = {self.width}, but heads = {self.heads}; or give head_width"
            )
        if self.tied and self.vocabulary == "by_position":
            raise ValueError("tied = true needs one embedding, but vocabulary = 'by_position'")
        return self

    @property
    def attention_width(self) -> int:
        """Features of all heads together."""
        return self.heads * (self.head_width or self.width // self.heads)

    @property
    def n_neurons(self) -> int:
        """Hidden neurons of all layers."""
        return self.layers * self.mlp_width

    def check_inputs(self, input_shape: tuple[int, ...], n_outputs: int) -> None:
        """Inputs must be sequences of one-hot tokens.

        Raises:
            InputError: if they are not, or there are fewer tokens than tied outputs.
        """
        check_tokens(self.kind, input_shape)
        if self.tied and n_outputs > input_shape[1]:
            raise InputError(
                f"model.tied: {n_outputs} outputs cannot be tied to an embedding of {input_shape[1]} tokens."
            )

    def axes(self, input_shape: tuple[int, ...], n_outputs: int) -> dict[str, tuple[Any, ...]]:
        """Axes ``layer``, ``head``, ``position`` and ``matrix`` (names of the weight matrices)."""
        matrices = ["embedding", *(["position"] if self.positions == "learned" else [])]
        for i in range(self.layers):
            names = ("query", "key", "value", "attention_out", "mlp_in", "mlp_out")
            matrices += [f"blocks.{i}.{name}" for name in names]
        return {
            "layer": tuple(range(self.layers)),
            "head": tuple(range(self.heads)),
            "position": tuple(range(input_shape[0])),
            "matrix": (*matrices, *([] if self.tied else ["unembedding"])),
        }

    def network(self, key: jax.Array, input_shape: tuple[int, ...], n_outputs: int) -> TransformerNetwork:
        """Draw all weights."""
        from grokscope.models.networks.transformer import TransformerNetwork

        draw = _Draw(self, key)
        positions, tokens = input_shape
        tables = (positions,) if self.vocabulary == "by_position" else ()
        # init 'normal', as in Nanda et al.: N(0, 1/d); the unembedding N(0, 1/tokens)
        return TransformerNetwork(
            embedding=draw.embedding((*tables, tokens, self.width)),
            position=draw.embedding((positions, self.width)) if self.positions == "learned" else None,
            blocks=tuple(self._block(draw) for _ in range(self.layers)),
            final_norm=draw.norm() if self.norm == "pre" else None,
            unembedding=None if self.tied else draw.linear((self.width, n_outputs), normal_by=tokens),
            output_bias=draw.bias(n_outputs, self.width) if self.output_bias else None,
            n_outputs=n_outputs,
            sinusoidal=self.positions == "sinusoidal",
        )

    def _block(self, draw: _Draw) -> TransformerBlock:
        from grokscope.models.networks.transformer import TransformerBlock

        d, h, a = self.width, self.mlp_width, self.attention_width
        return TransformerBlock(
            query=draw.linear((d, a)),
            key=draw.linear((d, a)),
            value=draw.linear((d, a)),
            attention_out=draw.linear((a, d)),
            mlp_in=draw.linear((d, h)),
            mlp_bias=draw.bias(h, d) if self.mlp_bias else None,
            mlp_out=draw.linear((h, d)),
            mlp_out_bias=draw.bias(d, h) if self.mlp_bias else None,
            attention_norm=None if self.norm == "none" else draw.norm(),
            mlp_norm=None if self.norm == "none" else draw.norm(),
            **(self._attention_biases(draw) if self.attention_bias else {}),
            heads=self.heads,
            activation=self.activation,
            norm=self.norm,
            causal=self.causal,
            softmax_weight=self.softmax_weight,
        )

    def _attention_biases(self, draw: _Draw) -> dict[str, jax.Array]:
        d, a = self.width, self.attention_width
        biases = {f"{name}_bias": draw.bias(a, d) for name in ("query", "key", "value")}
        return {**biases, "attention_out_bias": draw.bias(d, a)}

    def n_parameters(self, input_shape: tuple[int, ...], n_outputs: int) -> int:
        """Number of weights, biases and layer-norm parameters."""
        positions, tokens = input_shape
        d, h = self.width, self.mlp_width
        norms = 0 if self.norm == "none" else 2
        a = self.attention_width
        layer = 4 * d * a + 2 * d * h + (h + d) * self.mlp_bias + norms * 2 * d
        layer += (3 * a + d) * self.attention_bias
        tables = positions if self.vocabulary == "by_position" else 1
        around = tables * tokens * d + positions * d * (self.positions == "learned")
        around += (
            d * n_outputs * (not self.tied) + 2 * d * (self.norm == "pre") + n_outputs * self.output_bias
        )
        return around + self.layers * layer

    def flops_per_sample(self, input_shape: tuple[int, ...], n_outputs: int) -> float:
        """Operations of the matrix products; the last layer is computed only at the last position."""
        positions, tokens = input_shape
        d, h, a = self.width, self.mlp_width, self.attention_width
        inner = positions * (4 * d * a + 2 * d * h + 2 * positions * a)
        last = 2 * positions * d * a + 2 * d * a + 2 * d * h + 2 * positions * a
        # no gradient with respect to the tokens is needed
        return 4.0 * positions * tokens * d + 6.0 * ((self.layers - 1) * inner + last + d * n_outputs)


class NandaTransformer(Transformer):
    """The one-layer transformer of Nanda et al.: no layer norm, learned positions, ReLU.

    The same as ``transformer``, under the paper's name.

    Source: Nanda et al. 2023 (arXiv 2301.05217), Section 3; initialization as in the official code.

    Example:
        >>> NandaTransformer().n_parameters((3, 114), 113)
        226688
    """

    kind: Literal["nanda_transformer"] = "nanda_transformer"


class PowerTransformer(Transformer):
    """The two-layer transformer of Power et al.: layer norm after each sum, sinusoidal positions, no biases.

    A ``transformer`` with other defaults, used in Figure 4 of the two-circuits paper.

    Source: Power et al. 2022 (arXiv 2201.02177), Appendix A.1.2; details that the paper does not give are
        those of the official code.

    Example:
        >>> PowerTransformer().n_parameters((4, 99), 97) - 2 * 128 * 98  # without the embeddings
        394240
    """

    kind: Literal["power_transformer"] = "power_transformer"

    layers: int = Field(default=2, ge=1, le=100)
    norm: Literal["none", "post", "pre"] = "post"
    positions: Literal["learned", "sinusoidal", "none"] = "sinusoidal"
    mlp_bias: bool = False
    init: Literal["normal", "torch"] = "torch"


class _Draw:
    """Draws weights one after another, each with its own key."""

    def __init__(self, model: Transformer, key: jax.Array) -> None:
        self._model, self._key, self._count = model, key, 0

    def embedding(self, shape: tuple[int, ...]) -> jax.Array:
        std = 1.0 if self._model.init == "torch" else 1.0 / math.sqrt(self._model.width)
        return self._normal(shape, std)

    def linear(self, shape: tuple[int, int], normal_by: int | None = None) -> jax.Array:
        if self._model.init == "torch":
            return self._uniform(shape, 1.0 / math.sqrt(shape[0]))
        return self._normal(shape, 1.0 / math.sqrt(normal_by or self._model.width))

    def bias(self, size: int, fan_in: int) -> jax.Array:
        bound = 1.0 / math.sqrt(fan_in) if self._model.init == "torch" else 0.0
        return self._uniform((size,), bound)

    def norm(self) -> LayerNorm:
        import jax.numpy as jnp

        from grokscope.models.networks.transformer import LayerNorm

        size = self._model.width
        return LayerNorm(scale=jnp.ones(size), shift=jnp.zeros(size), epsilon=self._model.norm_epsilon)

    def _normal(self, shape: tuple[int, ...], std: float) -> jax.Array:
        return draw_normal(self._next(), shape, std, self._model.init_scale)

    def _uniform(self, shape: tuple[int, ...], bound: float) -> jax.Array:
        return draw_uniform(self._next(), shape, bound, self._model.init_scale)

    def _next(self) -> jax.Array:
        import jax

        self._count += 1
        return jax.random.fold_in(self._key, self._count)
