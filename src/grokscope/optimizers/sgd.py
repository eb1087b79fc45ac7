"""Stochastic gradient descent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from grokscope.optimizers._optimizer import Optimizer, with_decay

if TYPE_CHECKING:
    import optax

__all__ = ["SGD"]


class SGD(Optimizer):
    r"""Stochastic gradient descent: $\theta \leftarrow \theta - \eta\,(g + \lambda\theta)$.

    With momentum $m$: $v \leftarrow m v + (g + \lambda\theta)$, $\theta \leftarrow \theta - \eta v$
    (PyTorch's form, no dampening).

    Attributes:
        momentum: momentum coefficient $m$; no momentum if not given.
        decay: ``coupled``: $\lambda\theta$ is added to the gradient, before the momentum; ``decoupled``:
            after it.

    Source: PyTorch ``torch.optim.SGD``; the official code of arXiv 2303.11873 uses it with its defaults.

    Example:
        >>> import jax.numpy as jnp
        >>> step = SGD(learning_rate=0.1, weight_decay=0.5).transform(10)
        >>> theta = jnp.array(2.0)
        >>> update, _ = step.update(jnp.array(1.0), step.init(theta), theta)
        >>> round(float(update), 6)
        -0.2
    """

    kind: Literal["sgd"] = "sgd"
    traced = (*Optimizer.traced, "momentum")

    momentum: float | None = Field(default=None, ge=0.0, lt=1.0)
    decay: Literal["coupled", "decoupled"] = "coupled"

    def transform(self, n_steps: int) -> optax.GradientTransformation:
        """Chain weight decay, momentum and learning rate."""
        import optax

        inner = optax.identity() if self.momentum is None else optax.trace(self.momentum)
        return with_decay(
            inner, self.scheduled_rate(n_steps), self.weight_decay, coupled=self.decay == "coupled"
        )
