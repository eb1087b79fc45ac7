"""Functions of matrices that several measures share."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import jax

__all__ = ["matrix_cosine"]


def matrix_cosine(a: jax.Array, b: jax.Array) -> jax.Array:
    r"""The cosine of two matrices: $\langle A, B \rangle / (\lVert A \rVert_F \lVert B \rVert_F)$.

    NaN if one of them is 0.

    Args:
        a: A, [row, column].
        b: B, of the same shape.

    Example:
        >>> import jax.numpy as jnp
        >>> round(float(matrix_cosine(jnp.array([[3.0, 0.0]]), jnp.array([[3.0, 4.0]]))), 4)
        0.6
    """
    import jax.numpy as jnp

    return jnp.sum(a * b) / (jnp.linalg.norm(a) * jnp.linalg.norm(b))
