"""A product of linear functions: the network of the model ``polynet``."""

from __future__ import annotations

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

__all__ = ["LinearProduct"]


class LinearProduct(eqx.Module):
    r"""$f(x) = \prod_j \langle w_j, x \rangle$, with inputs in rows.

    Attributes:
        hidden_weight: the $w_j$, [bit, factor] (a column per factor).
    """

    hidden_weight: Float[Array, "*member bit factor"]

    def __call__(self, x: Float[Array, "sample ..."]) -> Float[Array, " sample"]:
        """The outputs f(x)."""
        return jnp.prod(x.reshape(x.shape[0], -1) @ self.hidden_weight, axis=1)
