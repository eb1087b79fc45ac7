"""Grokfast: Adam on gradients whose slowly varying part is amplified."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from pydantic import Field, model_validator

from grokscope.optimizers._optimizer import with_decay
from grokscope.optimizers.adam import AdaptiveMoments

if TYPE_CHECKING:
    from typing import Self

    import jax
    import optax

__all__ = ["Grokfast", "amplify_slow_gradients", "amplify_window_mean"]


class Grokfast(AdaptiveMoments):
    r"""Adam on $\hat g = g + \lambda_f \mu$, where $\mu$ is a moving average of the gradient.

    The average is exponential, $\mu \leftarrow \alpha\mu + (1-\alpha) g$, and initially the first gradient;
    or, with ``window`` = w, it is the mean of the last w gradients, the present one included, and
    $\hat g = g$ until there are w of them. A constant gradient is multiplied by $1 + \lambda_f$; a rapidly
    varying one is hardly changed. With ``lamb = 0`` this is Adam (AdamW with ``decay = "decoupled"``).

    With a window the state holds w gradients, each as large as the network, and so does every checkpoint.

    Attributes:
        alpha: $\alpha$, decay rate of the exponential average, which is over about $1/(1-\alpha)$ steps.
        window: w. Not given: the average is exponential.
        lamb: $\lambda_f$, the factor on the moving average.
        decay: ``coupled``: weight decay is added to the filtered gradient, before the moments (as in the
            official code); ``decoupled``: it is added after the moments.

    Raises:
        InputError: if both ``alpha`` and ``window`` are given.

    Source: Lee et al. 2024 (arXiv 2405.20233), Grokfast-EMA, as in the official code (in Algorithm 2 the
        average starts at another value); with ``window`` Grokfast-MA, Algorithm 1, where w = 100 and
        $\lambda_f$ = 5.

    Example:
        >>> Grokfast().alpha, Grokfast().lamb
        (0.98, 2.0)
        >>> Grokfast(window=100, lamb=5.0).window
        100
    """

    kind: Literal["grokfast"] = "grokfast"
    traced = (*AdaptiveMoments.traced, "alpha", "lamb")
    younger = (*AdaptiveMoments.younger, "window")

    alpha: float = Field(default=0.98, ge=0.0, lt=1.0)
    window: int | None = Field(default=None, ge=1, le=100_000)
    lamb: float = Field(default=2.0, ge=0.0, le=1e6)
    decay: Literal["coupled", "decoupled"] = "coupled"

    @model_validator(mode="after")
    def _one_average(self) -> Self:
        if self.window is not None and self.alpha != type(self).model_fields["alpha"].default:
            raise ValueError("alpha is for the exponential average; with a window leave it out")
        return self

    def transform(self, n_steps: int) -> optax.GradientTransformation:
        """Chain the filter with Adam or AdamW."""
        import optax

        adam = with_decay(
            self.moments(), self.scheduled_rate(n_steps), self.weight_decay, coupled=self.decay == "coupled"
        )
        if self.window is not None:
            return optax.chain(amplify_window_mean(self.window, self.lamb), adam)
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


class _LastGradients(NamedTuple):
    """The last w gradients, leaves [w, ...] in a ring, and their sum in two parts.

    ``leaving`` is the gradient that is overwritten next. A turn is w steps. ``now`` is the sum of the
    gradients of this turn, ``before`` that of those of the turn before that are still in the window;
    ``count`` is the number of gradients so far, less a multiple of w if it is 2 w or more.
    """

    count: Any
    rows: Any
    leaving: Any
    now: Any
    before: Any


def amplify_window_mean(window: int, lamb: Any) -> optax.GradientTransformation:
    r"""The filter of `Grokfast` with a window: $g \mapsto g + \lambda_f \mu$ once there are w gradients.

    The sum of the window is updated by the gradients that enter and leave, so that a step costs some passes
    over a gradient, not w. It starts from 0 every w steps, so that rounding errors do not pile up.

    Args:
        window: w.
        lamb: $\lambda_f$.

    Example:
        >>> import jax.numpy as jnp
        >>> filtered = amplify_window_mean(window=2, lamb=2.0)
        >>> state = filtered.init(jnp.array(0.0))
        >>> for g in (1.0, 3.0, 5.0):  # the means of two: 2, then 4
        ...     found, state = filtered.update(jnp.array(g), state)
        ...     print(float(found))
        1.0
        7.0
        13.0
    """
    import jax
    import jax.numpy as jnp
    import optax
    from jax import lax

    def init(params: Any) -> _LastGradients:
        rows = jax.tree.map(lambda leaf: jnp.zeros((window, *jnp.shape(leaf)), leaf.dtype), params)
        nothing = jax.tree.map(jnp.zeros_like, params)
        return _LastGradients(jnp.zeros([], jnp.int32), rows, nothing, nothing, nothing)

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, _LastGradients]:
        del params
        at = state.count % window
        ends = at == window - 1  # then all gradients of the window are of this turn
        now = jax.tree.map(jnp.add, state.now, updates)

        before = jax.tree.map(
            lambda sum_, gone: jnp.where(ends, jnp.zeros_like(sum_), sum_ - gone), state.before, state.leaving
        )
        rows = jax.tree.map(
            lambda kept, g: lax.dynamic_update_index_in_dim(kept, g, at, 0), state.rows, updates
        )
        # read after the write, for the next step: XLA would copy the ring to read what is overwritten
        leaving = jax.tree.map(
            lambda kept: lax.dynamic_index_in_dim(kept, (at + 1) % window, keepdims=False), rows
        )
        # not the number of steps, which may overflow
        count = jnp.where(state.count + 1 < 2 * window, state.count + 1, window)
        factor = jnp.where(count >= window, lamb, 0.0) / window

        def filtered(g: jax.Array, now: jax.Array, before: jax.Array) -> jax.Array:
            return (g + factor * (now + before)).astype(g.dtype)

        found = jax.tree.map(filtered, updates, now, before)
        before = jax.tree.map(lambda now, before: jnp.where(ends, now, before), now, before)
        now = jax.tree.map(lambda sum_: jnp.where(ends, jnp.zeros_like(sum_), sum_), now)
        return found, _LastGradients(count, rows, leaving, now, before)

    return optax.GradientTransformation(init, update)
