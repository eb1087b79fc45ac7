"""Predictions from outputs: a sign or a class; and their margins."""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import Array, Bool, Num

__all__ = ["has_prediction", "margins", "predictions"]


def predictions(outputs: Num[Array, ...], n_outputs: int) -> Num[Array, ...]:
    """The sign of one output; of several the class with the largest, the lowest of equal ones.

    Outputs with NaN have no prediction: NaN, or class -1.

    Args:
        outputs: [...] for one output, [..., output] for several.
        n_outputs: number of outputs.
    """
    if n_outputs == 1:
        return jnp.sign(outputs)
    return jnp.where(jnp.isnan(outputs).any(axis=-1), -1, jnp.argmax(outputs, axis=-1))


def has_prediction(predicted: Num[Array, ...], n_outputs: int) -> Bool[Array, ...]:
    """Whether there is a prediction: false for the signs 0 and NaN and the class -1."""
    return jnp.abs(predicted) == 1 if n_outputs == 1 else predicted >= 0


def margins(outputs: Num[Array, "sample ..."], n_outputs: int) -> Num[Array, " sample"]:
    """The margin of each prediction: |f|, or the largest output minus the second largest."""
    if n_outputs == 1:
        return jnp.abs(outputs)
    largest = jnp.sort(outputs, axis=-1)[:, -2:]
    return largest[:, 1] - largest[:, 0]
