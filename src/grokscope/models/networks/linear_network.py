"""The network of the model ``linear``: a product of matrices; one matrix in terms of the training inputs."""

from __future__ import annotations

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

__all__ = ["EigenModes", "LinearNetwork", "SpanOfInputs"]


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
        return _of_one_matrix(self.basis @ self.coordinates, self.has_bias)


class SpanOfInputs(eqx.Module):
    r"""A linear model $W = c W_0 + X^\top A$, in the span of its training inputs and of its start.

    Attributes:
        inputs: X, [sample, input]. A bias is a further input that is always 1, the last one.
        gram: $X X^\top$, [sample, sample].
        start: $W_0$, [input, output].
        start_outputs: $X W_0$, [sample, output].
        coefficients: A, [sample, output].
        factor: c.
        has_bias: whether the last input is that of a bias.
    """

    inputs: Float[Array, "*member sample input"]
    gram: Float[Array, "*member sample sample"]
    start: Float[Array, "*member input output"]
    start_outputs: Float[Array, "*member sample output"]
    coefficients: Float[Array, "*member sample output"]
    factor: Float[Array, "*member"]
    has_bias: bool = eqx.field(static=True, default=False)

    @property
    def network(self) -> LinearNetwork:
        """The model: W."""
        return _of_one_matrix(self.factor * self.start + self.inputs.T @ self.coefficients, self.has_bias)


def _of_one_matrix(whole: Float[Array, "input output"], has_bias: bool) -> LinearNetwork:
    """The network of a matrix, whose last row is the bias if there is one."""
    whole = whole[:, 0] if whole.shape[1] == 1 else whole
    return LinearNetwork((whole[:-1],), whole[-1]) if has_bias else LinearNetwork((whole,))
