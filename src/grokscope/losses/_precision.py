"""Losses of class labels in another precision than the run's, inside a program of the run's precision."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

__all__ = ["cross_entropy", "stablemax", "stablemax_logs"]

Value = Callable[[jax.Array, jax.Array], jax.Array]
ValueAndGradient = Callable[[jax.Array, jax.Array], tuple[jax.Array, jax.Array]]


def _rounded_to_run(precision: Literal["float16", "float64"], both: ValueAndGradient) -> Value:
    """A loss [sample] of logits [sample, class] and labels [sample], and its gradient, in a precision.

    The logits are converted, ``both`` gives loss and gradient, and these are rounded to the type of the
    logits.
    """

    def forward(logits: jax.Array, y: jax.Array) -> tuple[jax.Array, jax.Array]:
        # float64 is enabled in this block only: both results are rounded before it ends
        with jax.enable_x64(True) if precision == "float64" else contextlib.nullcontext():
            loss, gradient = both(logits.astype(precision), y)
            return loss.astype(logits.dtype), gradient.astype(logits.dtype)

    def backward(gradient: jax.Array, cotangent: jax.Array) -> tuple[jax.Array, Any]:
        # labels are integers, whose cotangent has the type float0
        nothing = np.zeros(cotangent.shape, dtype=jax.dtypes.float0)
        return gradient * cotangent[:, None], nothing

    loss = jax.custom_vjp(lambda logits, y: forward(logits, y)[0])
    loss.defvjp(forward, backward)
    return loss


def _is_answer(logits: jax.Array, y: jax.Array) -> jax.Array:
    return jnp.arange(logits.shape[-1], dtype=y.dtype) == y[:, None]


def _cross_entropy_64(logits: jax.Array, y: jax.Array) -> tuple[jax.Array, jax.Array]:
    wide = logits - jnp.max(logits, axis=-1, keepdims=True)
    total = jnp.sum(jnp.exp(wide), axis=-1, keepdims=True)
    is_answer = _is_answer(wide, y)
    loss = jnp.log(total[:, 0]) - jnp.sum(jnp.where(is_answer, wide, 0.0), axis=-1)
    return loss, jnp.exp(wide) / total - is_answer.astype(jnp.float64)


def _cross_entropy_16(logits: jax.Array, y: jax.Array) -> tuple[jax.Array, jax.Array]:
    # XLA computes float16 in float32 and may leave out roundings in between; not those behind a barrier
    rounded = lax.optimization_barrier
    shifted = rounded(rounded(logits) - jnp.max(logits, axis=-1, keepdims=True))
    powers = rounded(jnp.exp(shifted))
    total = powers
    while (n := total.shape[-1]) > 1:  # the second half is added to the first
        half = (n + 1) // 2
        padding = [(0, 0)] * (total.ndim - 1) + [(0, 2 * half - n)]
        total = rounded(total[..., :half] + jnp.pad(total[..., half:], padding))
    is_answer = _is_answer(logits, y)
    own = jnp.max(jnp.where(is_answer, shifted, -jnp.inf), axis=-1)
    loss = rounded(rounded(jnp.log(total[..., 0])) - own)
    return loss, rounded(powers / total) - is_answer.astype(jnp.float16)


def stablemax_logs(logits: jax.Array) -> jax.Array:
    """Log s(z), which is sign(z) log(1 + |z|); its derivative is 1 / (1 + |z|), also at 0."""
    above, below = jnp.where(logits >= 0, logits, 0), jnp.where(logits >= 0, 0, -logits)
    return jnp.log1p(above) - jnp.log1p(below)


def _stablemax_64(logits: jax.Array, y: jax.Array) -> tuple[jax.Array, jax.Array]:
    loss, gradient = _cross_entropy_64(stablemax_logs(logits), y)
    return loss, gradient / (1 + jnp.abs(logits))


cross_entropy: dict[str, Value] = {
    "float16": _rounded_to_run("float16", _cross_entropy_16),
    "float64": _rounded_to_run("float64", _cross_entropy_64),
}
stablemax: dict[str, Value] = {"float64": _rounded_to_run("float64", _stablemax_64)}
