"""Grokfast: Adam on gradients whose slowly varying part is amplified."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from pydantic import Field

from grokscope.optimizers._optimizer import with_decay
from grokscope.optimizers.adam import AdaptiveMoments

if TYPE_CHECKING:
    import optax

__all__ = ["Grokfast", "amplify_slow_gradients"]


class Grokfast(AdaptiveMoments):
    r"""Adam on $\hat g = g + \lambda_f \mu$, where $\mu$ is a moving average of the gradient.

    $\mu \leftarrow \alpha\mu + (1-\alpha) g$, and $\mu$ is initially the first gradient. A constant gradient
    is multiplied by $1 + \lambda_f$; a rapidly varying one is hardly changed. With ``lamb = 0`` this is Adam
    (AdamW with ``decay = "decoupled"``).

    Attributes:
        alpha: $\alpha$, decay rate of the moving average; its window is about $1/(1-\alpha)$ steps.
        lamb: $\lambda_f$, the factor on the moving average.
        decay: ``coupled``: weight decay is added to the filtered gradient, before the moments (as in the
            official code); ``decoupled``: it is added after the moments.

    Source: Lee et al. 2024 (arXiv 2405.20233), Grokfast-EMA, as in the official code (in Algorithm 2 the
        average starts at another value).

    Example:
        >>> Grokfast().alpha, Grokfast().lamb
        (0.98, 2.0)
    """

    kind: Literal["grokfast"] = "grokfast"
    traced = (*AdaptiveMoments.traced, "alpha", "lamb")

    alpha: float = Field(default=0.98, ge=0.0, lt=1.0)
    lamb: float = Field(default=2.0, ge=0.0, le=1e6)
    decay: Literal["coupled", "decoupled"] = "coupled"

    def transform(self, n_steps: int) -> optax.GradientTransformation:
        """Chain the filter with Adam or AdamW."""
        import optax

        adam = with_decay(
            self.moments(), self.scheduled_rate(n_steps), self.weight_decay, coupled=self.decay == "coupled"
        )
        return optax.chain(amplify_slow_gradients(self.alpha, self.lamb), adam)


class _SlowGradient(NamedTuple):
    """The moving average of the gradient; count is 0 before the first gradient, then 1."""

    count: Any
    mean: Any


def amplify_slow_gradients(alpha: Any, lamb: Any) -> optax.GradientTransformation:
    r"""The filter of `Grokfast` as an optax transformation: $g \mapsto g + \lambda_f \mu$.

    Args:
        alpha: $\alpha$.
        lamb: $\lambda_f$.

    Example:
        >>> import jax.numpy as jnp
        >>> filtered = amplify_slow_gradients(alpha=0.5, lamb=2.0)
        >>> g = jnp.array(1.0)
        >>> first, state = filtered.update(g, filtered.init(g))
        >>> second, state = filtered.update(-g, state)
        >>> float(first), float(second)  # the average is 1, then 0
        (3.0, -1.0)
    """
    import jax
    import jax.numpy as jnp
    import optax

    def init(params: Any) -> _SlowGradient:
        return _SlowGradient(jnp.zeros([], jnp.int32), jax.tree.map(jnp.zeros_like, params))

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, _SlowGradient]:
        del params
        kept = jnp.where(state.count > 0, alpha, 0.0)  # the average starts as the first gradient
        mean = jax.tree.map(lambda m, g: (kept * m + (1 - kept) * g).astype(g.dtype), state.mean, updates)
        filtered = jax.tree.map(lambda g, m: (g + lamb * m).astype(g.dtype), updates, mean)
        return filtered, _SlowGradient(jnp.minimum(state.count + 1, 1), mean)

    return optax.GradientTransformation(init, update)
