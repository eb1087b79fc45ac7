"""The base of all models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import SerializeAsAny

from grokscope.parts import Part, resolver

if TYPE_CHECKING:
    import jax

__all__ = ["Model", "ModelField"]


class Model(Part):
    """A spec of a network."""

    group: ClassVar[str] = "model"

    kind: str

    @property
    def has_one_hidden_layer(self) -> bool:
        """Whether its networks are one-hidden-layer networks, into whose neurons measures can look."""
        return False

    def network(self, key: jax.Array, input_shape: tuple[int, ...], n_outputs: int) -> Any:
        """Draw a freshly initialized network (an equinox module). Called inside jit.

        Returns:
            A module with ``network(x)``: [sample, *input] -> [sample] if ``n_outputs`` is 1, else
            [sample, output].
        """
        raise NotImplementedError

    def n_parameters(self, input_shape: tuple[int, ...], n_outputs: int) -> int:
        """How many parameters the network has (to predict memory and time before anything is allocated)."""
        raise NotImplementedError

    def flops_per_sample(self, input_shape: tuple[int, ...], n_outputs: int) -> float:
        """Floating-point operations of one forward and backward pass per sample (a prediction of time)."""
        return 6.0 * self.n_parameters(input_shape, n_outputs)


ModelField = Annotated[SerializeAsAny[Model], resolver(Model)]
