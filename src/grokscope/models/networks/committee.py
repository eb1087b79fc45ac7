"""The network of the model ``committee``: the mean of a quadratic function of each neuron."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

__all__ = ["CommitteeNetwork"]


class CommitteeNetwork(eqx.Module):
    r"""$f(x) = \frac1N \sum_i \phi(w_i \cdot x / \sqrt d)$, $\phi(h) = h + \epsilon h^2 / 2$; inputs in rows.

    Attributes:
        weight: $w_i$ in columns, [input, neuron].
        curvature: $\epsilon$, a number; it is not trained (None in the trained part of `split`).
    """

    weight: Float[Array, "*member input neuron"]
    curvature: Any

    def __call__(self, x: Float[Array, "sample ..."]) -> Float[Array, " sample"]:
        """The outputs f(x)."""
        h = x.reshape(x.shape[0], -1) @ self.weight / jnp.sqrt(1.0 * len(self.weight))
        return jnp.mean(h + self.curvature / 2 * jnp.square(h), axis=-1)

    @property
    def quadratic_form(self) -> tuple[jax.Array, jax.Array, jax.Array]:
        r"""c, b [input] and symmetric A [input, other_input] in $f(x) = c + b \cdot x + x^T A x$.

        $c = 0$, $b = \bar w / \sqrt d$ and $A = \epsilon M / 2 d$, with $\bar w$ and M the means of $w_i$ and
        $w_i w_i^T$. A network with this property is such a function, of which tasks may know exact
        expectations.
        """
        d, n = self.weight.shape
        mean = jnp.mean(self.weight, axis=1) / jnp.sqrt(1.0 * d)
        matrix = self.weight @ self.weight.T / (2 * d * n) * self.curvature
        return jnp.zeros((), mean.dtype), mean, matrix

    def split(self) -> tuple[Any, Any]:
        """The weights, and the curvature."""
        trained = jax.tree.map(lambda leaf: True, self)
        return eqx.partition(self, eqx.tree_at(lambda n: n.curvature, trained, replace=False))
