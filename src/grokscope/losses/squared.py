"""The squared error."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from grokscope.losses._loss import Loss

if TYPE_CHECKING:
    import jax

__all__ = ["Squared"]


class Squared(Loss):
    r"""Squared error: $\frac1d \sum_{i=1}^d (f_i(x) - y_i)^2$, the mean over the d outputs.

    Labels of any kind: a sign or a real number (d = 1), a real vector of length d, or one of d classes, whose
    y is one-hot.

    Example:
        >>> import jax.numpy as jnp
        >>> Squared().per_sample(jnp.array([0.5]), jnp.array([1.0])).tolist()
        [0.25]
        >>> Squared().per_sample(jnp.array([[1.0, 2.0]]), jnp.array([[0.0, 5.0]])).tolist()
        [5.0]
    """

    kind: Literal["squared"] = "squared"

    def per_sample(self, outputs: jax.Array, y: jax.Array) -> jax.Array:
        """mean((f - y)^2) over outputs."""
        import jax
        import jax.numpy as jnp

        if outputs.ndim == 1:
            return jnp.square(outputs - y)
        is_vector = y.ndim == outputs.ndim
        target = y if is_vector else jax.nn.one_hot(y, outputs.shape[-1], dtype=outputs.dtype)
        return jnp.mean(jnp.square(outputs - target), axis=-1)
