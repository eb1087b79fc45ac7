"""The network of the model ``diagonal``: a linear function whose weights are differences of powers."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

__all__ = ["DiagonalNetwork"]


class DiagonalNetwork(eqx.Module):
    r"""$f(x) = x\,(u^D - v^D)$, powers by entry, with inputs in rows.

    Attributes:
        positive: u, [input], or [input, output] if there are several outputs.
        negative: v, likewise.
        depth: D.
    """

    positive: Float[Array, "*member input ..."]
    negative: Float[Array, "*member input ..."]
    depth: int = eqx.field(static=True, default=2)

    def __call__(self, x: Float[Array, "sample ..."]) -> Float[Array, "sample ..."]:
        """The outputs f(x)."""
        return x.reshape(x.shape[0], -1) @ self.weight

    @property
    def weight(self) -> Float[Array, "*member input ..."]:
        r"""$u^D - v^D$, the weights of the linear function."""
        return jax.lax.integer_pow(self.positive, self.depth) - jax.lax.integer_pow(self.negative, self.depth)

    @property
    def affine(self) -> tuple[Float[Array, "input output"], Float[Array, " output"]]:
        """The weights as a matrix, and a bias of 0 (see `LinearNetwork`)."""
        matrix = self.weight.reshape(len(self.positive), -1)
        return matrix, jnp.zeros(matrix.shape[1], matrix.dtype)
