"""A loss in a file of its own: cross-entropy of StableMax, which cannot round to zero as softmax does.

    grokscope train SPEC.toml --plugin examples/own_loss.py --seeds 5

with a SPEC.toml for a task with classes that says ``loss = "stablemax"``. Run the file itself to check it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from grokscope.losses import Loss

if TYPE_CHECKING:
    import jax


class StableMax(Loss):
    r"""$-\log(s(f_y) / \sum_i s(f_i))$ with $s(z) = z + 1$ for $z \ge 0$ and $1 / (1 - z)$ for $z < 0$.

    Source: Prieto et al. 2025 (arXiv 2501.04697), Section 4.
    """

    kind: Literal["stablemax"] = "stablemax"
    labels = "class"

    def per_sample(self, outputs: jax.Array, y: jax.Array) -> jax.Array:
        """The loss of each sample, from the logarithms of s."""
        import jax.numpy as jnp
        from jax.scipy.special import logsumexp

        log_s = jnp.sign(outputs) * jnp.log1p(jnp.abs(outputs))
        return logsumexp(log_s, axis=-1) - jnp.take_along_axis(log_s, y[:, None], axis=-1)[:, 0]


if __name__ == "__main__":
    from grokscope.losses.check import check_loss

    check_loss(StableMax())
    print("stablemax is a valid loss.")
