"""Cross-entropy of softmax and of StableMax, in the run's precision or in another one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from grokscope.losses._loss import Loss

if TYPE_CHECKING:
    import jax

__all__ = ["CrossEntropy", "StableMax"]


class _OfLogits(Loss):
    """The base of losses of class labels whose logits have a temperature."""

    labels = "class"
    traced = ("temperature",)
    younger = ("temperature",)

    temperature: float | None = Field(default=None, gt=0.0, le=1e6)

    def _scaled(self, outputs: jax.Array) -> jax.Array:
        """The logits f / T, in the precision of the run."""
        import jax.numpy as jnp

        if self.temperature is None:
            return outputs
        return outputs / jnp.asarray(self.temperature, outputs.dtype)


class CrossEntropy(_OfLogits):
    r"""Cross-entropy $-\log \mathrm{softmax}(f(x) / T)_y$ for class labels.

    In float32 the loss of a sample rounds to 0, and with it the gradient of the right class's logit, once the
    wrong classes together have less than $6 \cdot 10^{-8}$ of the probability ($5 \cdot 10^{-4}$ in float16,
    $10^{-16}$ in float64): each $e^{f_k - \max f}$ is lost when it is added to the 1 of the right class. How
    early depends on the order of summation. In float32 it is XLA's.

    Attributes:
        precision: ``as_run`` (the precision of the run), ``float16`` or ``float64``. In the last two, logits
            are converted; the loss and its gradient with respect to the logits are computed in that
            precision, then rounded to the run's. The mean over samples is in the run's precision. In
            ``float16`` every operation is rounded; $\sum_k e^{f_k - \max f}$ is summed in pairs: the second
            half of the terms is added to the first until one is left. Logits above 65,504 are infinite there.
        temperature: T, by which the logits are divided in the precision of the run. Not given: 1.

    Source: float64 as in Nanda et al. 2023 (arXiv 2301.05217), Appendix D.2; float16 as in Prieto et al. 2025
        (arXiv 2501.04697), Figure 2.

    Example:
        >>> import jax.numpy as jnp
        >>> loss = CrossEntropy().per_sample(jnp.zeros((1, 4)), jnp.array([2]))
        >>> round(float(loss[0]), 4)
        1.3863
        >>> certain = jnp.array([[0.0, 10.0], [0.0, 30.0]])
        >>> for precision in ("float16", "as_run", "float64"):
        ...     loss = CrossEntropy(precision=precision)
        ...     print((loss.per_sample(certain, jnp.array([1, 1])) > 0).tolist())
        [False, False]
        [True, False]
        [True, True]
    """

    kind: Literal["cross_entropy"] = "cross_entropy"

    precision: Literal["as_run", "float16", "float64"] = "as_run"

    def per_sample(self, outputs: jax.Array, y: jax.Array) -> jax.Array:
        """-log softmax(f / T)[y]."""
        import jax
        import jax.numpy as jnp

        outputs = self._scaled(outputs)
        if self.precision != "as_run":
            from grokscope.losses._precision import cross_entropy

            return cross_entropy[self.precision](outputs, y.astype(jnp.int32))
        log_p = jax.nn.log_softmax(outputs, axis=-1)
        return -jnp.take_along_axis(log_p, y[:, None].astype(jnp.int32), axis=-1)[:, 0]


class StableMax(_OfLogits):
    r"""Cross-entropy of StableMax, $-\log \big(s(z_y) / \sum_k s(z_k)\big)$ with $z = f(x) / T$.

    $s(z) = z + 1$ for $z \ge 0$ and $1 / (1 - z)$ for $z < 0$. It is the softmax of
    $\mathrm{sign}(z) \log(1 + |z|)$, so the share of the wrong classes falls as a power of the logits, and
    the loss does not round to 0 at logits that are reached in training.

    Attributes:
        precision: ``as_run`` (the precision of the run) or ``float64`` (as for `CrossEntropy`).
        temperature: T, by which the logits are divided in the precision of the run. Not given: 1.

    Source: Prieto et al. 2025 (arXiv 2501.04697), Section 4.

    Example:
        >>> import jax.numpy as jnp
        >>> loss = StableMax().per_sample(jnp.array([[2.0, -2.0]]), jnp.array([0]))  # s = 3 and 1/3
        >>> round(float(jnp.exp(-loss[0])), 4)
        0.9
    """

    kind: Literal["stablemax"] = "stablemax"

    precision: Literal["as_run", "float64"] = "as_run"

    def per_sample(self, outputs: jax.Array, y: jax.Array) -> jax.Array:
        """-log(s(z)[y] / sum s(z))."""
        import jax.numpy as jnp

        from grokscope.losses._precision import stablemax, stablemax_logs

        outputs = self._scaled(outputs)
        if self.precision != "as_run":
            return stablemax[self.precision](outputs, y.astype(jnp.int32))
        return CrossEntropy().per_sample(stablemax_logs(outputs), y)
