"""An optimizer and a rate schedule in one file: Grokfast with a window of gradients, and a rate that drops.

    grokscope train SPEC.toml --plugin examples/own_optimizer.py --seeds 5

with a SPEC.toml that says ``epochs = 300``, ``task = "sparse_parity"`` and

    [optimizer]
    kind = "grokfast_window"
    schedule = {kind = "drop", at = 4000}

Run the file itself to check both.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from pydantic import Field

from grokscope.optimizers import Optimizer, RateSchedule, with_decay

if TYPE_CHECKING:
    import jax
    import optax


class GrokfastWindow(Optimizer):
    r"""Adam on $g + \lambda_f \mu$, where $\mu$ is the mean of the last w gradients, once there are w.

    Weight decay is decoupled.

    Attributes:
        learning_rate: learning rate.
        window: w; the state holds so many gradients.
        lamb: $\lambda_f$.

    Source: Lee et al. 2024 (arXiv 2405.20233), Algorithm 1 (Grokfast-MA). The optimizer ``grokfast`` with a
        ``window`` is the same, faster; this one is written to be read.
    """

    kind: Literal["grokfast_window"] = "grokfast_window"
    traced = ("learning_rate", "weight_decay", "lamb")

    learning_rate: float = Field(default=1e-3, gt=0.0)
    window: int = Field(default=100, ge=1)
    lamb: float = Field(default=5.0, ge=0.0)

    def transform(self, n_steps: int) -> optax.GradientTransformation:
        """The filter, then Adam."""
        import optax

        filtered = optax.chain(mean_of_window(self.window, self.lamb), optax.scale_by_adam())
        return with_decay(filtered, self.scheduled_rate(n_steps), self.weight_decay, coupled=False)


class WindowState(NamedTuple):
    """The gradients of the last steps, leaves [window, ...], and the number of steps."""

    last: Any
    count: Any


def mean_of_window(window: int, lamb: Any) -> optax.GradientTransformation:
    """The filter of `GrokfastWindow` as an optax transformation."""
    import jax
    import jax.numpy as jnp
    import optax

    def init(params: Any) -> WindowState:
        last = jax.tree.map(lambda leaf: jnp.zeros((window, *jnp.shape(leaf)), leaf.dtype), params)
        return WindowState(last, jnp.zeros((), jnp.int32))

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, WindowState]:
        del params
        row = state.count % window
        last = jax.tree.map(lambda rows, g: rows.at[row].set(g), state.last, updates)
        is_full = state.count + 1 >= window

        def filtered(g: jax.Array, rows: jax.Array) -> jax.Array:
            return (g + jnp.where(is_full, lamb, 0.0) * jnp.mean(rows, axis=0)).astype(g.dtype)

        return jax.tree.map(filtered, updates, last), WindowState(last, state.count + 1)

    return optax.GradientTransformation(init, update)


class Drop(RateSchedule):
    """A rate that drops at a step.

    Attributes:
        at: the step.
        to: the factor from there on.
    """

    kind: Literal["drop"] = "drop"

    at: int = Field(default=1000, ge=0)
    to: float = Field(default=0.1, ge=0.0)

    def factor(self, step: Any, n_steps: int) -> Any:
        """1, then ``to``."""
        import jax.numpy as jnp

        del n_steps
        return jnp.where(step < self.at, 1.0, self.to)


if __name__ == "__main__":
    from grokscope.optimizers.check import check_optimizer, check_rate_schedule

    check_optimizer(GrokfastWindow(window=10))
    check_rate_schedule(Drop(at=20))
    print("grokfast_window is a valid optimizer, and drop a valid rate schedule.")
