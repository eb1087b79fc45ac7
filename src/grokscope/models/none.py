"""The model of learners that bring their own predictor."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal

from grokscope.models._model import Model

if TYPE_CHECKING:
    import jax

__all__ = ["NoModel"]


class NoModel(Model):
    """No network: the model of a learner that does not use one, such as a kernel machine.

    An experiment with such a learner has this model, whatever its spec says. Measures of neurons and
    parameters do not apply to it.

    Example:
        >>> NoModel().n_neurons, NoModel().n_parameters((40,), 1)
        (0, 0)
    """

    kind: Literal["none"] = "none"

    def network(self, key: jax.Array, input_shape: tuple[int, ...], n_outputs: int) -> Any:
        """There is none."""
        raise NotImplementedError

    def n_parameters(self, input_shape: tuple[int, ...], n_outputs: int) -> int:
        """None."""
        return 0

    def flops_per_sample(self, input_shape: tuple[int, ...], n_outputs: int) -> float:
        """A guess: what a network of 1,000 neurons would take."""
        return 6.0 * 1000 * (math.prod(input_shape) + n_outputs)
