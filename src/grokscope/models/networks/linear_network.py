"""The network of the model ``linear``: a product of matrices; and one matrix in the eigenbasis of data."""

from __future__ import annotations

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

__all__ = ["EigenModes", "LinearNetwork"]


class LinearNetwork(eqx.Module):
    r"""$f(x) = x W_1 \cdots W_L + b$, with inputs in rows.

    Attributes:
        weights: $W_i$, each [input, output]; the last one is [input] if there is one output.
        bias: b, a number or [output]; or None.
    """

    weights: tuple[Float[Array, "*_"], ...]
    bias: Float[Array, "*output"] | None = None

    def __call__(self, x: Float[Array, "sample ..."]) -> Float[Array, "sample ..."]:
        """The outputs f(x)."""
        values = x.reshape(x.shape[0], -1)
        for weight in self.weights:
            values = values @ weight
        return values if self.bias is None else values + self.bias

    @property
    def affine(self) -> tuple[Float[Array, "input output"], Float[Array, " output"]]:
        r"""$W_1 \cdots W_L$ as one matrix, and b as a vector: 0 without a bias.

        A network that has this property is an affine function, of which tasks may know exact expectations.
        """
        product = self.weights[0]
        for weight in self.weights[1:]:
            product = product @ weight
        matrix = product.reshape(len(product), -1)
        if self.bias is None:
            return matrix, jnp.zeros(matrix.shape[1], matrix.dtype)
        return matrix, self.bias.reshape(-1)


class EigenModes(eqx.Module):
    r"""A linear model in the eigenbasis of its data.

    Attributes:
        basis: V, [input, mode]: eigenvectors of $\Sigma = X^\top X / N$ in columns. A bias is a further input
            that is always 1, the last one.
        eigenvalues: $\nu$, [mode]; those that are 0 up to rounding are 0.
        coordinates: $s = V^\top W$, [mode, output].
        target: $b = V^\top X^\top Y / N$, [mode, output].
        least_loss: the loss of the least-squares solution.
        has_bias: whether the last input is that of a bias.
    """

    basis: Float[Array, "*member input mode"]
    eigenvalues: Float[Array, "*member mode"]
    coordinates: Float[Array, "*member mode output"]
    target: Float[Array, "*member mode output"]
    least_loss: Float[Array, "*member"]
    has_bias: bool = eqx.field(static=True, default=False)

    @property
    def network(self) -> LinearNetwork:
        """The model: V s."""
        whole = self.basis @ self.coordinates
        whole = whole[:, 0] if whole.shape[1] == 1 else whole
        return LinearNetwork((whole[:-1],), whole[-1]) if self.has_bias else LinearNetwork((whole,))
