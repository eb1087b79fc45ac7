"""What a network predicts: a sign or a class; and in how far two networks predict the same."""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import Array, Bool, Num

__all__ = ["has_prediction", "margins", "predictions"]


def predictions(outputs: Num[Array, ...], n_outputs: int) -> Num[Array, ...]:
    """The sign of an output; the class of the largest of several, the lowest of equal ones.

    Outputs that hold NaN predict NaN, or class -1: nothing.

    Args:
        outputs: [...] for one output, [..., output] for several.
        n_outputs: how many.
    """
    if n_outputs == 1:
        return jnp.sign(outputs)
    return jnp.where(jnp.isnan(outputs).any(axis=-1), -1, jnp.argmax(outputs, axis=-1))


def has_prediction(predicted: Num[Array, ...], n_outputs: int) -> Bool[Array, ...]:
    """Where something is predicted: a sign of 0 (or NaN) and a class of NaNs are nothing."""
    return jnp.abs(predicted) == 1 if n_outputs == 1 else predicted >= 0


def margins(outputs: Num[Array, "sample ..."], n_outputs: int) -> Num[Array, " sample"]:
    """How far each prediction is from another one: |f|, or the largest output less the second largest."""
    if n_outputs == 1:
        return jnp.abs(outputs)
    largest = jnp.sort(outputs, axis=-1)[:, -2:]
    return largest[:, 1] - largest[:, 0]
