"""Cross-entropy, in the run's precision or in float64."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from grokscope.losses._loss import Loss

if TYPE_CHECKING:
    import jax

__all__ = ["CrossEntropy"]


class CrossEntropy(Loss):
    r"""Cross-entropy $-\log \mathrm{softmax}(f(x))_y$ for class labels.

    In float32 the loss of a sample and its gradient round to 0 once the wrong classes together have less than
    $6 \cdot 10^{-8}$ of the probability; this matters in long runs at small loss. With ``float64`` the loss
    and its gradient with respect to the logits are computed in double precision from the network's float32
    logits, then rounded to float32.

    Attributes:
        precision: ``as_run`` (the precision of the run) or ``float64``.

    Source: float64 as in Nanda et al. 2023 (arXiv 2301.05217), Appendix D.2.

    Example:
        >>> import jax.numpy as jnp
        >>> loss = CrossEntropy().per_sample(jnp.zeros((1, 4)), jnp.array([2]))
        >>> round(float(loss[0]), 4)
        1.3863
        >>> certain = jnp.array([[0.0, 30.0]])
        >>> [float(CrossEntropy(precision=p).per_sample(certain, jnp.array([1]))[0]) > 0
        ...  for p in ("as_run", "float64")]
        [False, True]
    """

    kind: Literal["cross_entropy"] = "cross_entropy"
    labels = "class"

    precision: Literal["as_run", "float64"] = "as_run"

    def per_sample(self, outputs: jax.Array, y: jax.Array) -> jax.Array:
        """-log softmax(f)[y]."""
        import jax
        import jax.numpy as jnp

        if self.precision == "float64":
            from grokscope.losses._float64 import cross_entropy

            return cross_entropy(outputs, y.astype(jnp.int32))
        log_p = jax.nn.log_softmax(outputs, axis=-1)
        return -jnp.take_along_axis(log_p, y[:, None].astype(jnp.int32), axis=-1)[:, 0]
