"""The base of all models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import SerializeAsAny

from grokscope.errors import InputError
from grokscope.spec.parts import Kind, Part, resolver

if TYPE_CHECKING:
    import jax

__all__ = [
    "Model",
    "ModelField",
    "check_one_output",
    "check_tokens",
    "draw_normal",
    "draw_signs",
    "draw_uniform",
]


class Model(Part):
    """A spec of a network."""

    group = "model"

    kind: Kind

    @property
    def has_one_hidden_layer(self) -> bool:
        """Whether its networks are `grokscope.models.networks.one_hidden_layer.OneHiddenLayer`."""
        return False

    @property
    def has_training_mode(self) -> bool:
        """Whether its networks act otherwise in training (`in_training`), or have a state."""
        return False

    @property
    def n_neurons(self) -> int:
        """The number of hidden neurons, for measures by neuron; 0 if measures of neurons do not apply."""
        return 0

    def axes(self, input_shape: tuple[int, ...], n_outputs: int) -> dict[str, tuple[Any, ...]]:
        """Labels of further axes that measures of its networks can have, by axis name."""
        del input_shape, n_outputs
        return {}

    def check_inputs(self, input_shape: tuple[int, ...], n_outputs: int) -> None:
        """Check that networks can take inputs of this shape and have this number of outputs.

        Raises:
            InputError: if they cannot; the message says what is allowed.
        """

    def network(self, key: jax.Array, input_shape: tuple[int, ...], n_outputs: int) -> Any:
        """Draw a new network (an equinox module). Called inside jit.

        Returns:
            A module with ``network(x)``: [sample, *input] -> [sample] if ``n_outputs`` is 1, else
            [sample, output].
        """
        raise NotImplementedError

    def in_training(self, network: Any, batch: Any, key: jax.Array) -> Any:
        """The network as it acts on the batch of an update: by default as in evaluation. Called inside jit.

        A model that overrides this says so by ``has_training_mode``.

        Args:
            network: the network in evaluation mode.
            batch: the samples of the update (`grokscope.learners.Batch`).
            key: random key of the update.

        Returns:
            A network of the same type, for dropout, say.
        """
        del batch, key
        return network

    def next_state(self, network: Any, batch: Any, key: jax.Array) -> Any:
        """The state of a network after an update; only for networks with a method ``split``.

        Args:
            network: the network before the update, in evaluation mode.
            batch: as for `in_training`.
            key: as for `in_training`.

        Returns:
            As the second value of the network's ``split``.
        """
        raise NotImplementedError

    def n_parameters(self, input_shape: tuple[int, ...], n_outputs: int) -> int:
        """Number of parameters, with those of the state (for predictions of memory and time)."""
        raise NotImplementedError

    def flops_per_sample(self, input_shape: tuple[int, ...], n_outputs: int) -> float:
        """Floating-point operations per sample of one forward and backward pass (for predictions of time)."""
        return 6.0 * self.n_parameters(input_shape, n_outputs)


ModelField = Annotated[SerializeAsAny[Model], resolver(Model)]


def draw_uniform(key: jax.Array, shape: tuple[int, ...], bound: float, scale: Any) -> jax.Array:
    """Draw initial weights from U(-bound, bound), times a scale that may be traced. Called inside jit."""
    import jax
    import jax.numpy as jnp

    # drawn as float32 in both precisions, which then start from the same numbers
    drawn = jax.random.uniform(key, shape, jnp.float32, minval=-1.0, maxval=1.0)
    # two factors, in this order: the scale is a traced value and must not change the bits
    return drawn.astype(jnp.result_type(float)) * bound * scale


def draw_normal(key: jax.Array, shape: tuple[int, ...], std: float, scale: Any) -> jax.Array:
    """Draw initial weights from N(0, std^2), times a scale that may be traced. Called inside jit."""
    import jax
    import jax.numpy as jnp

    drawn = jax.random.normal(key, shape, jnp.float32)
    return drawn.astype(jnp.result_type(float)) * std * scale


def draw_signs(key: jax.Array, shape: tuple[int, ...], size: float, scale: Any) -> jax.Array:
    """Draw initial weights that are ``size`` or ``-size``, times a scale that may be traced. In jit."""
    import jax
    import jax.numpy as jnp

    drawn = jax.random.rademacher(key, shape, jnp.float32)
    return drawn.astype(jnp.result_type(float)) * size * scale


def check_one_output(kind: str, n_outputs: int) -> None:
    """Check that there is one output.

    Raises:
        InputError: if there are several.
    """
    if n_outputs != 1:
        raise InputError(f"model '{kind}' has one output; this task needs {n_outputs}.")


def check_tokens(kind: str, input_shape: tuple[int, ...]) -> None:
    """Check that inputs are sequences of one-hot tokens.

    Raises:
        InputError: if they are not.
    """
    if len(input_shape) != 2:
        raise InputError(
            f"model '{kind}' reads sequences of one-hot tokens [position, token]; the inputs of this task "
            f"have shape {input_shape}."
        )
