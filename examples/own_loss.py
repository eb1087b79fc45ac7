"""A loss in a file of its own: cross-entropy with smoothed labels.

    grokscope train SPEC.toml --plugin examples/own_loss.py --seeds 5

with a SPEC.toml for a task with classes that says ``loss = "smoothed_cross_entropy"``. Run the file itself to
check it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from grokscope.losses import Loss

if TYPE_CHECKING:
    import jax


class SmoothedCrossEntropy(Loss):
    r"""$-\sum_k q_k \log \mathrm{softmax}(f)_k$ with $q_k = (1 - a) [k = y] + a / n$ for n classes.

    Attributes:
        smoothing: a; 0 is the cross-entropy.

    Source: Szegedy et al. 2016 (arXiv 1512.00567), Section 7.
    """

    kind: Literal["smoothed_cross_entropy"] = "smoothed_cross_entropy"
    labels = "class"
    traced = ("smoothing",)

    smoothing: float = Field(default=0.1, ge=0.0, le=1.0)

    def per_sample(self, outputs: jax.Array, y: jax.Array) -> jax.Array:
        """The loss of each sample."""
        import jax
        import jax.numpy as jnp

        log_p = jax.nn.log_softmax(outputs, axis=-1)
        right = jnp.take_along_axis(log_p, y[:, None], axis=-1)[:, 0]
        return -(1 - self.smoothing) * right - self.smoothing * jnp.mean(log_p, axis=-1)


if __name__ == "__main__":
    from grokscope.losses.check import check_loss

    check_loss(SmoothedCrossEntropy())
    print("smoothed_cross_entropy is a valid loss.")
