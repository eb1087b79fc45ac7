"""The committee machine: hidden neurons whose mean is the output, without output weights."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from grokscope.models._model import Model, check_one_output, draw_normal

if TYPE_CHECKING:
    import jax

    from grokscope.models.networks.committee import CommitteeNetwork

__all__ = ["Committee"]


class Committee(Model):
    r"""A committee machine $f(x) = \frac1N \sum_{i=1}^N \phi(w_i \cdot x / \sqrt d)$ for d inputs.

    The output weights are 1/N and are not trained. $\phi(h) = h + \frac\epsilon2 h^2$; initially
    $w_{ij} \sim N(0, \sigma^2)$. With $\bar w$ and M the means of $w_i$ and $w_i w_i^T$ it is the quadratic
    function $\bar w \cdot \tilde x + \frac\epsilon2 \tilde x^T M \tilde x$, $\tilde x = x / \sqrt d$, of
    which the task `gaussian_teacher` knows exact expectations. The model ``scaled`` multiplies it by an
    output scale. Gradients are of order 1/N, so that learning rates are in units of N. Its neurons have no
    output weights: measures of neurons do not apply.

    Attributes:
        width: number N of neurons.
        curvature: $\epsilon$; no parameter.
        init_scale: $\sigma$.

    Raises:
        InputError: in an experiment, if the task has several outputs.

    Source: Kumar et al. 2023 (arXiv 2310.06110), equation 3, with $\tilde x \sim N(0, I / d)$ there.

    Example:
        >>> Committee(width=200).n_parameters((50,), 1)  # the last one is the curvature
        10001
    """

    kind: Literal["committee"] = "committee"
    traced = ("curvature", "init_scale")

    width: int = Field(default=500, ge=1, le=10**9)
    curvature: float = Field(default=0.25, ge=0.0, le=1e6)
    init_scale: float = Field(default=1.0, ge=0.0, le=1e6)

    @property
    def has_training_mode(self) -> bool:
        """True: the curvature is in the network's state."""
        return True

    def check_inputs(self, input_shape: tuple[int, ...], n_outputs: int) -> None:
        """There must be one output.

        Raises:
            InputError: if there are several.
        """
        del input_shape
        check_one_output(self.kind, n_outputs)

    def network(self, key: jax.Array, input_shape: tuple[int, ...], n_outputs: int) -> CommitteeNetwork:
        """Draw the weights."""
        import jax.numpy as jnp

        from grokscope.models.networks.committee import CommitteeNetwork

        self.check_inputs(input_shape, n_outputs)
        weight = draw_normal(key, (math.prod(input_shape), self.width), 1.0, self.init_scale)
        return CommitteeNetwork(weight, jnp.asarray(self.curvature, weight.dtype))

    def next_state(self, network: Any, batch: Any, key: jax.Array) -> Any:
        """The curvature, unchanged."""
        del batch, key
        return network.split()[1]

    def n_parameters(self, input_shape: tuple[int, ...], n_outputs: int) -> int:
        """Number of weights, and 1 for the curvature."""
        del n_outputs
        return math.prod(input_shape) * self.width + 1
