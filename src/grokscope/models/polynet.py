"""PolyNets: products of linear functions."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from grokscope.models._model import Model, check_one_output, draw_uniform

if TYPE_CHECKING:
    import jax

    from grokscope.models.networks.linear_product import LinearProduct

__all__ = ["PolyNet"]


class PolyNet(Model):
    r"""A product of linear functions, $f(x) = \prod_{j=1}^k \langle w_j, x \rangle$, without biases.

    With factors that each read one hidden bit it is a parity of k bits. Initially
    $w_{ji} \sim U(\pm 1/\sqrt n)$ for n inputs, times ``init_scale``. It has no neurons that could be left
    out, so measures of neurons do not apply.

    Attributes:
        degree: the number k of factors.
        init_scale: factor on all initial weights.

    Raises:
        InputError: in an experiment, if the task has several outputs.

    Source: Barak et al. 2022 (arXiv 2207.08799), Section 3.1, architecture (xv), and Section 4.2.

    Example:
        >>> PolyNet(degree=3).n_parameters((30,), 1)
        90
    """

    kind: Literal["polynet"] = "polynet"
    traced = ("init_scale",)

    degree: int = Field(default=3, ge=1, le=1000)
    init_scale: float = Field(default=1.0, gt=0.0, le=1e6)

    def check_inputs(self, input_shape: tuple[int, ...], n_outputs: int) -> None:
        """There must be one output.

        Raises:
            InputError: if there are several.
        """
        del input_shape
        check_one_output(self.kind, n_outputs)

    def network(self, key: jax.Array, input_shape: tuple[int, ...], n_outputs: int) -> LinearProduct:
        """Draw the weights of all factors."""
        from grokscope.models.networks.linear_product import LinearProduct

        self.check_inputs(input_shape, n_outputs)
        n = math.prod(input_shape)
        return LinearProduct(draw_uniform(key, (n, self.degree), 1 / math.sqrt(n), self.init_scale))

    def n_parameters(self, input_shape: tuple[int, ...], n_outputs: int) -> int:
        """Number of weights: n k."""
        del n_outputs
        return math.prod(input_shape) * self.degree
