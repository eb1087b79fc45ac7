"""The one-hidden-layer network of the paper: f(x) = u . relu(W x + b)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

from pydantic import Field, model_validator

from grokscope.errors import InputError
from grokscope.models._model import Model, draw_normal, draw_signs, draw_uniform

if TYPE_CHECKING:
    from typing import Self

    import jax

    from grokscope.models.networks.one_hidden_layer import OneHiddenLayer

__all__ = ["FullyConnected"]

_ACTIVE = 0x616374  # folded into the key of the weights, to draw which inputs of a neuron are active


class FullyConnected(Model):
    r"""One hidden layer: $f(x) = \sum_j u_j\, \sigma(W_j \cdot x + b_j)$, without output bias.

    By default initialization is PyTorch's for ``nn.Linear``: $W_{ji}, b_j \sim U(\pm 1/\sqrt n)$ and
    $u_j \sim U(\pm 1/\sqrt p)$, all multiplied by ``init_scale``.

    Attributes:
        width: number p of hidden neurons.
        activation: $\sigma$: ``relu``, ``quadratic`` ($z^2$), ``cubic``, ``quartic``, ``gelu`` (its tanh
            approximation), ``gelu_exact``, ``tanh`` or ``sine``.
        init: initial weights of a layer with m inputs: ``torch`` ($U(\pm 1/\sqrt m)$, PyTorch's default),
            ``kaiming`` ($N(0, 2/m)$), ``sign`` ($\pm 1/\sqrt m$, uniform) or ``sparse``: each neuron has
            weights $\pm 1/\sqrt s$ from s random inputs and 0 from the others, and output weights are
            those of ``torch``. Biases are $U(\pm 1/\sqrt n)$ in each case.
        active_inputs: of ``sparse``, the number s of inputs of each neuron; at most n. With s = n its hidden
            weights are those of ``sign``.
        init_scale: factor on all initial parameters.

    Source: Merrill, Tsilivis, Shukla 2023, Section 2; initialization as in the official code. ``kaiming``:
        He et al. 2015 (arXiv 1502.01852); ``sign``: Barak et al. 2022 (arXiv 2207.08799), Section 3.1;
        ``sparse``: Edelman et al. 2023 (arXiv 2309.03800), Section 4, whose scale is not in the text read.

    Example:
        >>> FullyConnected(width=1000).n_parameters((40,), 1)
        42000
    """

    kind: Literal["fully_connected"] = "fully_connected"
    traced = ("init_scale",)
    younger = ("init", "active_inputs")

    width: int = Field(default=1000, ge=1, le=10**12)
    activation: Literal["relu", "quadratic", "cubic", "quartic", "gelu", "gelu_exact", "tanh", "sine"] = (
        "relu"
    )
    init: Literal["torch", "kaiming", "sign", "sparse"] = "torch"
    active_inputs: int | None = Field(default=None, ge=1)
    init_scale: float = Field(default=1.0, gt=0.0, le=1e6)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.init == "sparse") != (self.active_inputs is not None):
            raise ValueError("active_inputs goes with init = 'sparse': give both, or neither")
        return self

    def check_inputs(self, input_shape: tuple[int, ...], n_outputs: int) -> None:
        """A sparse start needs as many inputs as a neuron has active ones.

        Raises:
            InputError: if there are fewer.
        """
        del n_outputs
        if (self.active_inputs or 0) > (n := math.prod(input_shape)):
            raise InputError(f"model.active_inputs = {self.active_inputs}: must be at most the {n} inputs.")

    @property
    def has_one_hidden_layer(self) -> bool:
        """True: this model has one hidden layer."""
        return True

    @property
    def n_neurons(self) -> int:
        """The number of hidden neurons, ``width``."""
        return self.width

    def network(self, key: jax.Array, input_shape: tuple[int, ...], n_outputs: int) -> OneHiddenLayer:
        """Draw W, b and u."""
        import jax
        import jax.numpy as jnp

        from grokscope.models.networks.one_hidden_layer import OneHiddenLayer

        n = math.prod(input_shape)
        weight_key, bias_key, output_key = jax.random.split(key, 3)

        def uniform(key: jax.Array, shape: tuple[int, ...], fan_in: float) -> jax.Array:
            return draw_uniform(key, shape, 1 / math.sqrt(fan_in), self.init_scale)

        def weights(key: jax.Array, shape: tuple[int, ...], fan_in: float) -> jax.Array:
            if self.init == "kaiming":
                return draw_normal(key, shape, math.sqrt(2 / fan_in), self.init_scale)
            if self.init == "sign":
                return draw_signs(key, shape, 1 / math.sqrt(fan_in), self.init_scale)
            return uniform(key, shape, fan_in)

        def hidden_weights(key: jax.Array, shape: tuple[int, int], fan_in: float) -> jax.Array:
            if self.active_inputs is None:
                return weights(key, shape, fan_in)
            # inputs in a random order for each neuron, by the ranks of uniform numbers
            order = jax.random.uniform(jax.random.fold_in(key, _ACTIVE), shape).argsort(axis=0)
            signs = draw_signs(key, shape, 1 / math.sqrt(self.active_inputs), self.init_scale)
            return jnp.where(order.argsort(axis=0) < self.active_inputs, signs, 0)

        hidden = self._hidden_fan_in(n)
        output_shape = (self.width,) if n_outputs == 1 else (self.width, n_outputs)
        return OneHiddenLayer(
            hidden_weight=hidden_weights(weight_key, (n, self.width), hidden),
            hidden_bias=uniform(bias_key, (self.width,), hidden),
            output_weight=weights(output_key, output_shape, self.width),
            activation=self.activation,
        )

    def _hidden_fan_in(self, n_inputs: int) -> float:
        """Fan-in m of the hidden layer: W and b are drawn from U(-1/sqrt(m), 1/sqrt(m))."""
        return n_inputs

    def n_parameters(self, input_shape: tuple[int, ...], n_outputs: int) -> int:
        """Number of parameters: (n + 1 + outputs) p."""
        return (math.prod(input_shape) + 1 + n_outputs) * self.width

    def flops_per_sample(self, input_shape: tuple[int, ...], n_outputs: int) -> float:
        """Operations forward and backward, without the gradient of the inputs: 4 n p + 4 p per output."""
        return 4.0 * (math.prod(input_shape) + n_outputs) * self.width
