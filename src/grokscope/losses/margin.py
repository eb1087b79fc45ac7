"""Losses of the margin y f(x), for labels +-1: hinge, logistic and exponential."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from grokscope.losses._loss import Loss

if TYPE_CHECKING:
    import jax

__all__ = ["Exponential", "Hinge", "Logistic"]

_LINEAR_BELOW = -50.0  # margin, from which on the exponential loss is continued by its tangent


class Hinge(Loss):
    r"""Hinge loss $\max(0,\, 1 - y f(x))$ for labels $\pm 1$ (the paper's loss, Section 2).

    Example:
        >>> import jax.numpy as jnp
        >>> Hinge().per_sample(jnp.array([2.0, 0.5]), jnp.array([1.0, -1.0])).tolist()
        [0.0, 1.5]
    """

    kind: Literal["hinge"] = "hinge"
    labels = "sign"

    def per_sample(self, outputs: jax.Array, y: jax.Array) -> jax.Array:
        """max(0, 1 - y f)."""
        import jax.numpy as jnp

        return jnp.maximum(0.0, 1.0 - y * outputs)


class Logistic(Loss):
    r"""Logistic loss $\log(1 + e^{-y f(x)})$ for labels $\pm 1$.

    Example:
        >>> import jax.numpy as jnp
        >>> round(float(Logistic().per_sample(jnp.zeros(1), jnp.ones(1))[0]), 4)
        0.6931
    """

    kind: Literal["logistic"] = "logistic"
    labels = "sign"

    def per_sample(self, outputs: jax.Array, y: jax.Array) -> jax.Array:
        """log(1 + exp(-y f)), computed without overflow."""
        import jax.numpy as jnp

        return jnp.logaddexp(0.0, -y * outputs)


class Exponential(Loss):
    r"""Exponential loss $e^{-y f(x)}$ for labels $\pm 1$.

    Below margin -50, where the loss is $5 \cdot 10^{21}$, it goes on along its tangent, so that it stays
    finite.

    Example:
        >>> import jax.numpy as jnp
        >>> Exponential().per_sample(jnp.zeros(1), jnp.ones(1)).tolist()
        [1.0]
    """

    kind: Literal["exponential"] = "exponential"
    labels = "sign"

    def per_sample(self, outputs: jax.Array, y: jax.Array) -> jax.Array:
        """exp(-y f)."""
        import jax.numpy as jnp

        margin = y * outputs
        kept = jnp.maximum(margin, _LINEAR_BELOW)
        return jnp.exp(-kept) * (1.0 - (margin - kept))
