"""Multilayer perceptrons without biases on one-hot tokens."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, field_validator, model_validator

from grokscope.models._model import Model, check_tokens, draw_normal

if TYPE_CHECKING:
    from typing import Self

    import jax

__all__ = ["BLOCK_LABELS", "OneHotMLP", "one_hot_axes"]

#: A neuron's weights from the first and the second token, and to the outputs.
BLOCK_LABELS = ("first", "second", "output")


class OneHotMLP(Model):
    r"""A perceptron without biases on one-hot tokens: $f(x) = c\, \sigma(\dots \sigma(\sum_t W^t[x_t])) U$.

    The input is a sequence of one-hot tokens [position, token], $W^t$ [token, neuron] the table of position
    t: the first layer looks a row up for each token. (If an input is not one-hot, its outputs are NaN.)
    Weights are drawn from $N(0, s^2)$, with a standard deviation s for each layer.

    Attributes:
        widths: number of neurons of each hidden layer, one to three. Measures of neurons apply if there is
            one.
        activation: $\sigma$: ``power`` ($z^k$), ``relu``, ``gelu`` (its tanh approximation) or ``tanh``.
        power: the exponent k of ``power``.
        stds: s of each layer, from the first to the output; a single number is that of all layers.
        output_factor: the factor c on the outputs: a number, or ``mean_field``, $1 / (D N)$ with D the number
            of inputs (positions times tokens) and N the width of the last hidden layer. It is no parameter,
            and learning rates depend on it.
        init_scale: factor on all initial weights.
        dropout: in training, each hidden neuron is 0 with this probability, as in `MLP`.
        batch_norm: whether the *activations* are normalized over the batch, as by PyTorch's ``BatchNorm1d``
            after each activation (`grokscope.models.networks.training.BatchNorm`). Measures are taken in
            evaluation mode, with the running means; the value of a neuron is then its normalized activation.
            Its parameters are ``scales.I`` and ``shifts.I`` of layer I, its running means ``means.I`` and
            ``variances.I``.

    Raises:
        InputError: in an experiment, if inputs are not sequences of tokens; for other numbers of layers or
            standard deviations.

    Source: Gromov 2023 (arXiv 2301.02679), Section 2: one layer, $z^2$, ``mean_field``; dropout and batch
    normalization: Doshi et al. 2023 (arXiv 2310.13061), Figures 3b and 5.

    Example:
        >>> OneHotMLP(widths=[100]).n_parameters((2, 23), 23)
        6900
        >>> OneHotMLP(widths=[8, 4], activation="relu", stds=[1.0, 0.3, 0.5]).n_neurons
        0
    """

    kind: Literal["one_hot_mlp"] = "one_hot_mlp"
    traced = ("init_scale", "dropout")
    younger = ("dropout", "batch_norm")

    widths: tuple[int, ...] = (500,)
    activation: Literal["power", "relu", "gelu", "tanh"] = "power"
    power: int = Field(default=2, ge=1, le=16)
    stds: tuple[float, ...] = (1.0,)
    output_factor: float | Literal["mean_field"] = "mean_field"
    init_scale: float = Field(default=1.0, gt=0.0, le=1e6)
    dropout: float | None = Field(default=None, ge=0.0, lt=1.0)
    batch_norm: bool = False

    @field_validator("widths", mode="after")
    @classmethod
    def _some(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if not 1 <= len(value) <= 3 or not all(1 <= width <= 10**7 for width in value):
            raise ValueError("must have one to three widths, each from 1 to 10,000,000")
        return value

    @field_validator("stds", mode="after")
    @classmethod
    def _positive(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        if not value or not all(0 < std <= 1e6 for std in value):
            raise ValueError("must have numbers above 0, at most 1,000,000")
        return value

    @field_validator("output_factor", mode="after")
    @classmethod
    def _finite(cls, value: float | str) -> float | str:
        if isinstance(value, float) and not 0 < abs(value) < math.inf:
            raise ValueError("must be 'mean_field' or a number other than 0")
        return value

    @model_validator(mode="after")
    def _check(self) -> Self:
        layers = len(self.widths) + 1
        if len(self.stds) not in (1, layers):
            raise ValueError(
                f"stds: {len(self.stds)} standard deviations for {layers} layers (with the output layer); "
                f"give one or {layers}"
            )
        if self.activation != "power" and self.power != 2:
            raise ValueError(
                f"power is the exponent of activation = 'power'; leave it out (got {self.power})"
            )
        return self

    @property
    def has_training_mode(self) -> bool:
        """Whether there is dropout or batch normalization."""
        return self.dropout is not None or self.batch_norm

    @property
    def n_neurons(self) -> int:
        """The number of hidden neurons; 0 if there are several layers."""
        return self.widths[0] if len(self.widths) == 1 else 0

    def check_inputs(self, input_shape: tuple[int, ...], n_outputs: int) -> None:
        """Inputs must be sequences of one-hot tokens.

        Raises:
            InputError: if they are not.
        """
        del n_outputs
        check_tokens(self.kind, input_shape)

    def axes(self, input_shape: tuple[int, ...], n_outputs: int) -> dict[str, tuple[Any, ...]]:
        """Axis ``matrix`` (names of the weights) and, for one hidden layer on pairs of tokens, ``block``."""
        between = tuple(f"weights.{i}" for i in range(len(self.widths) - 1))
        matrices = {"matrix": ("hidden_weight", *between, "output_weight")}
        return matrices | (one_hot_axes(input_shape, n_outputs) if self.n_neurons else {})

    def network(self, key: jax.Array, input_shape: tuple[int, ...], n_outputs: int) -> Any:
        """Draw all weights."""
        import jax

        from grokscope.models.networks.one_hot_mlp import OneHotLayers, OneHotNeurons
        from grokscope.models.networks.training import batch_norms

        shapes = ((*input_shape, self.widths[0]), *itertools.pairwise((*self.widths, n_outputs)))
        stds = self.stds if len(self.stds) > 1 else self.stds * len(shapes)
        first, *between, last = (
            draw_normal(key, shape, std, self.init_scale)
            for key, shape, std in zip(jax.random.split(key, len(shapes)), shapes, stds, strict=True)
        )
        how = (self.activation, self.power, self._factor(input_shape))
        norms = batch_norms(self.widths) if self.batch_norm else {}
        if between:
            return OneHotLayers(first, tuple(between), last, *how, **norms)
        return OneHotNeurons(first, last, *how, **norms)

    def in_training(self, network: Any, batch: Any, key: jax.Array) -> Any:
        """With dropout, and normalized over the batch."""
        from grokscope.models.networks.training import TrainingMode

        return (
            TrainingMode(key, self.dropout, batch.weight).of(network) if self.has_training_mode else network
        )

    def next_state(self, network: Any, batch: Any, key: jax.Array) -> Any:
        """The running means of batch normalization."""
        return self.in_training(network, batch, key).state_after(batch.x)

    def _factor(self, input_shape: tuple[int, ...]) -> float:
        if self.output_factor == "mean_field":
            return 1 / (math.prod(input_shape) * self.widths[-1])
        return float(self.output_factor)

    def n_parameters(self, input_shape: tuple[int, ...], n_outputs: int) -> int:
        """Number of weights of all layers, and 4 for each normalized neuron."""
        sizes = (math.prod(input_shape), *self.widths, n_outputs)
        norms = 4 * sum(self.widths) if self.batch_norm else 0
        return sum(m * n for m, n in itertools.pairwise(sizes)) + norms

    def flops_per_sample(self, input_shape: tuple[int, ...], n_outputs: int) -> float:
        """Operations of the matrix products, and of adding a row per position forward and backward."""
        products = sum(m * n for m, n in itertools.pairwise((*self.widths, n_outputs)))
        return 6.0 * (products + input_shape[0] * self.widths[0])


def one_hot_axes(input_shape: tuple[int, ...], n_outputs: int) -> dict[str, tuple[Any, ...]]:
    """Axis ``block`` of networks with one hidden layer, if inputs are pairs of what the outputs are."""
    return {"block": BLOCK_LABELS} if input_shape == (2, n_outputs) else {}
