"""Adam, with coupled and with decoupled weight decay."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from grokscope.optimizers._optimizer import Optimizer, with_decay

if TYPE_CHECKING:
    import optax

__all__ = ["Adam", "AdamW", "AdaptiveMoments"]


class AdaptiveMoments(Optimizer):
    """The base of Adam, AdamW and Grokfast.

    Attributes:
        beta1: decay rate of the mean of the gradient.
        beta2: decay rate of the mean of its square.
        epsilon: added to the root of the mean square.
    """

    traced = (*Optimizer.traced, "beta1", "beta2", "epsilon")

    learning_rate: float = Field(default=1e-3, gt=0.0, le=1e6)
    beta1: float = Field(default=0.9, ge=0.0, lt=1.0)
    beta2: float = Field(default=0.999, ge=0.0, lt=1.0)
    epsilon: float = Field(default=1e-8, gt=0.0, le=1.0)

    def moments(self) -> optax.GradientTransformation:
        """The mean of the gradient over the root of its mean square, both bias-corrected."""
        import optax

        return optax.scale_by_adam(self.beta1, self.beta2, self.epsilon)


class Adam(AdaptiveMoments):
    r"""Adam with coupled weight decay, as in PyTorch: $\lambda\theta$ is added to the gradient g.

    $\theta \leftarrow \theta - \eta\, \hat m/(\sqrt{\hat v}+\epsilon)$, with the bias-corrected means
    $\hat m$ of $g + \lambda\theta$ and $\hat v$ of its square.

    Source: Kingma and Ba 2015 (arXiv 1412.6980), Algorithm 1; PyTorch ``torch.optim.Adam``.

    Example:
        >>> Adam().learning_rate
        0.001
    """

    kind: Literal["adam"] = "adam"

    def transform(self, n_steps: int) -> optax.GradientTransformation:
        """Chain weight decay, moments and learning rate, in this order."""
        return with_decay(self.moments(), self.scheduled_rate(n_steps), self.weight_decay, coupled=True)


class AdamW(AdaptiveMoments):
    r"""Adam with decoupled weight decay.

    $\theta \leftarrow \theta - \eta\,(\hat m/(\sqrt{\hat v}+\epsilon) + \lambda\theta)$.

    Source: Loshchilov and Hutter 2019 (arXiv 1711.05101), Algorithm 2; PyTorch ``torch.optim.AdamW``.

    Example:
        >>> AdamW().weight_decay
        0.01
    """

    kind: Literal["adamw"] = "adamw"

    weight_decay: float = Field(default=0.01, ge=0.0, le=1e6)

    def transform(self, n_steps: int) -> optax.GradientTransformation:
        """Chain moments, weight decay and learning rate, in this order."""
        return with_decay(self.moments(), self.scheduled_rate(n_steps), self.weight_decay, coupled=False)
