"""The squared error."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from grokscope.losses._loss import Loss

if TYPE_CHECKING:
    import jax

__all__ = ["Squared"]


class Squared(Loss):
    r"""Squared error $(f(x) - y)^2$; with classes, the mean over outputs of the error to the one-hot label.

    Example:
        >>> import jax.numpy as jnp
        >>> Squared().per_sample(jnp.array([0.5]), jnp.array([1.0])).tolist()
        [0.25]
    """

    kind: Literal["squared"] = "squared"

    def per_sample(self, outputs: jax.Array, y: jax.Array) -> jax.Array:
        """(f - y)^2."""
        import jax
        import jax.numpy as jnp

        if outputs.ndim == 1:
            return jnp.square(outputs - y)
        target = jax.nn.one_hot(y, outputs.shape[-1], dtype=outputs.dtype)
        return jnp.mean(jnp.square(outputs - target), axis=-1)
