"""Linear models, with or without a bias, and products of matrices (deep linear networks)."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Literal

from pydantic import Field, field_validator

from grokscope.models._model import Model, draw_normal

if TYPE_CHECKING:
    import jax

    from grokscope.models.networks.linear_network import LinearNetwork

__all__ = ["LinearModel"]


class LinearModel(Model):
    r"""A linear function $f(x) = x W + b$, or a deep linear network $f(x) = x W_1 \cdots W_L + b$.

    Initially the entries of a matrix with m inputs and n outputs are $\sim N(0, s^2/(m n))$, with s =
    ``init_scale``, so that $E \lVert W_i \rVert_F^2 = s^2$; the bias is 0. There are no neurons: measures of
    neurons do not apply.

    Attributes:
        widths: sizes of the layers between input and output; empty: one matrix.
        bias: whether there is a bias b.
        init_scale: s; 0 starts at zero.

    Source: Levi, Beck, Bar-Sinai 2023 (arXiv 2310.16441), Sections 2 and 5, with $s = 1/\sqrt 2$.

    Example:
        >>> LinearModel(bias=True).n_parameters((40,), 1), LinearModel(widths=[20]).n_parameters((40,), 3)
        (41, 860)
    """

    kind: Literal["linear"] = "linear"
    traced = ("init_scale",)

    widths: tuple[int, ...] = ()
    bias: bool = False
    init_scale: float = Field(default=1.0, ge=0.0, le=1e6)

    @field_validator("widths", mode="after")
    @classmethod
    def _positive(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if not all(1 <= width <= 10**12 for width in value):
            raise ValueError("must be sizes from 1 to 1,000,000,000,000")
        return value

    def network(self, key: jax.Array, input_shape: tuple[int, ...], n_outputs: int) -> LinearNetwork:
        """Draw the matrices; the bias is 0."""
        import jax
        import jax.numpy as jnp

        from grokscope.models.networks.linear_network import LinearNetwork

        sizes = (math.prod(input_shape), *self.widths, n_outputs)
        keys = jax.random.split(key, len(sizes) - 1)
        outside = () if n_outputs == 1 else (n_outputs,)
        weights = [
            draw_normal(key, (m, n), 1 / math.sqrt(m * n), self.init_scale)
            for key, (m, n) in zip(keys, itertools.pairwise(sizes), strict=True)
        ]
        weights[-1] = weights[-1].reshape(sizes[-2], *outside)
        return LinearNetwork(tuple(weights), jnp.zeros(outside) if self.bias else None)

    def n_parameters(self, input_shape: tuple[int, ...], n_outputs: int) -> int:
        """Number of entries of all matrices, and of the bias."""
        sizes = (math.prod(input_shape), *self.widths, n_outputs)
        return sum(m * n for m, n in itertools.pairwise(sizes)) + (n_outputs if self.bias else 0)
