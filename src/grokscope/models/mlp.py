"""Multilayer perceptrons with biases, as in PyTorch's ``nn.Sequential``."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, field_validator

from grokscope.models._model import Model, draw_uniform

if TYPE_CHECKING:
    import jax

__all__ = ["MLP"]


class MLP(Model):
    r"""A multilayer perceptron: $f(x) = \sigma(\dots \sigma(x W_1 + b_1) \dots W_L + b_L)\, U + c$.

    Initialization is PyTorch's default for ``nn.Linear``: weights and biases $\sim U(\pm 1/\sqrt{m})$ for a
    layer with m inputs, all multiplied by ``init_scale``. With one hidden layer it differs from
    ``fully_connected`` only by the output bias, which all subnetworks keep; measures of neurons apply to it.
    With several hidden layers they do not.

    Attributes:
        widths: number of neurons of each hidden layer, from the input to the output.
        activation: $\sigma$: ``relu``, ``quadratic`` ($z^2$), ``cubic``, ``quartic``, ``gelu`` (its tanh
            approximation), ``gelu_exact``, ``tanh`` or ``sine``.
        output_bias: whether the network has an output bias c.
        init_scale: factor on all initial parameters.
        dropout: in training, each neuron of the hidden layers is 0 with this probability p, and else
            multiplied by $1/(1-p)$, independently for each sample, as by PyTorch's ``Dropout`` after each
            activation. Not given: no dropout. The neurons are drawn from the member's noise stream.
        batch_norm: whether pre-activations are normalized over the batch, as by PyTorch's ``BatchNorm1d``
            before each activation (`grokscope.models.networks.training.BatchNorm`). Measures are taken in
            evaluation mode, with the running means; measures of neurons do not apply. Its parameters are
            ``scales.I`` and ``shifts.I`` of layer I, its running means ``means.I`` and ``variances.I``.

    Example:
        >>> MLP(widths=[100, 50]).n_parameters((40,), 1)
        9201
    """

    kind: Literal["mlp"] = "mlp"
    traced = ("init_scale", "dropout")
    younger = ("dropout", "batch_norm")

    widths: tuple[int, ...] = (1000,)
    activation: Literal["relu", "quadratic", "cubic", "quartic", "gelu", "gelu_exact", "tanh", "sine"] = (
        "relu"
    )
    output_bias: bool = True
    init_scale: float = Field(default=1.0, gt=0.0, le=1e6)
    dropout: float | None = Field(default=None, ge=0.0, lt=1.0)
    batch_norm: bool = False

    @field_validator("widths", mode="after")
    @classmethod
    def _some(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if not value or not all(1 <= width <= 10**12 for width in value):
            raise ValueError("must have one width from 1 to 1,000,000,000,000 for each hidden layer")
        return value

    @property
    def has_one_hidden_layer(self) -> bool:
        """True with exactly one hidden layer, without batch normalization."""
        return len(self.widths) == 1 and not self.batch_norm

    @property
    def has_training_mode(self) -> bool:
        """Whether there is dropout or batch normalization."""
        return self.dropout is not None or self.batch_norm

    @property
    def width(self) -> int | None:
        """Neurons of the hidden layer; None if there are several layers."""
        return self.widths[0] if self.has_one_hidden_layer else None

    @property
    def n_neurons(self) -> int:
        """Neurons of the hidden layer; 0 if there are several layers."""
        return self.width or 0

    def network(self, key: jax.Array, input_shape: tuple[int, ...], n_outputs: int) -> Any:
        """Draw all weights and biases."""
        import jax

        from grokscope.models.networks.one_hidden_layer import Layers, OneHiddenLayer
        from grokscope.models.networks.training import batch_norms

        def uniform(key: jax.Array, shape: tuple[int, ...], fan_in: int) -> jax.Array:
            return draw_uniform(key, shape, 1 / math.sqrt(fan_in), self.init_scale)

        sizes = (math.prod(input_shape), *self.widths)
        *hidden_keys, weight_key, bias_key = jax.random.split(key, 2 * len(self.widths) + 2)
        weights = tuple(
            uniform(hidden_keys[2 * i], pair, pair[0]) for i, pair in enumerate(itertools.pairwise(sizes))
        )
        biases = tuple(uniform(hidden_keys[2 * i + 1], (m,), sizes[i]) for i, m in enumerate(self.widths))
        outside = () if n_outputs == 1 else (n_outputs,)
        output_weight = uniform(weight_key, (sizes[-1], *outside), sizes[-1])
        output_bias = uniform(bias_key, outside, sizes[-1]) if self.output_bias else None
        if self.has_one_hidden_layer:
            return OneHiddenLayer(weights[0], biases[0], output_weight, self.activation, output_bias)
        norms = batch_norms(self.widths) if self.batch_norm else {}
        return Layers(weights, biases, output_weight, output_bias, self.activation, **norms)

    def in_training(self, network: Any, batch: Any, key: jax.Array) -> Any:
        """With dropout, and normalized over the batch."""
        from grokscope.models.networks.training import TrainingMode

        return (
            TrainingMode(key, self.dropout, batch.weight).of(network) if self.has_training_mode else network
        )

    def next_state(self, network: Any, batch: Any, key: jax.Array) -> Any:
        """The running means of batch normalization."""
        return self.in_training(network, batch, key).state_after(batch.x)

    def n_parameters(self, input_shape: tuple[int, ...], n_outputs: int) -> int:
        """Number of weights and biases of all layers, and 4 for each normalized neuron."""
        sizes = (math.prod(input_shape), *self.widths, n_outputs)
        biases = sum(self.widths) + (n_outputs if self.output_bias else 0)
        norms = 4 * sum(self.widths) if self.batch_norm else 0
        return sum(m * n for m, n in itertools.pairwise(sizes)) + biases + norms
