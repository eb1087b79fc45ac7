"""The cross-entropy in double precision, inside a float32 program."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

__all__ = ["cross_entropy"]


@jax.custom_vjp
def cross_entropy(logits: Float[Array, "sample output"], y: Int[Array, " sample"]) -> Float[Array, " sample"]:
    """-log softmax(logits)[y] and its gradient, computed in float64, rounded to the type of the logits."""
    return _value_and_gradient(logits, y)[0]


def _value_and_gradient(logits: jax.Array, y: jax.Array) -> tuple[jax.Array, jax.Array]:
    # float64 is enabled in this block only: both results are rounded before it ends
    with jax.enable_x64(True):
        wide = logits.astype(jnp.float64)
        wide = wide - jnp.max(wide, axis=-1, keepdims=True)
        total = jnp.sum(jnp.exp(wide), axis=-1, keepdims=True)
        is_answer = jnp.arange(wide.shape[-1], dtype=y.dtype) == y[:, None]
        loss = jnp.log(total[:, 0]) - jnp.sum(jnp.where(is_answer, wide, 0.0), axis=-1)
        gradient = jnp.exp(wide) / total - is_answer.astype(jnp.float64)
        return loss.astype(logits.dtype), gradient.astype(logits.dtype)


def _forward(logits: jax.Array, y: jax.Array) -> tuple[jax.Array, jax.Array]:
    return _value_and_gradient(logits, y)


def _backward(gradient: jax.Array, cotangent: jax.Array) -> tuple[jax.Array, Any]:
    # labels are integers, whose cotangent has the type float0
    nothing = np.zeros(cotangent.shape, dtype=jax.dtypes.float0)
    return gradient * cotangent[:, None], nothing


cross_entropy.defvjp(_forward, _backward)
