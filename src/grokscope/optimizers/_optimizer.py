"""The base of all optimizers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, SerializeAsAny

from grokscope.optimizers.rate_schedules import Constant, RateScheduleField
from grokscope.spec.parts import Kind, Part, resolver

if TYPE_CHECKING:
    import optax

__all__ = ["Optimizer", "OptimizerField", "with_decay"]


class Optimizer(Part):
    r"""A gradient optimizer.

    Attributes:
        learning_rate: learning rate $\eta$, before it is multiplied by the schedule.
        weight_decay: coefficient $\lambda$ of the weight decay, which applies to all parameters.
        schedule: factor on the learning rate as a function of the step.
    """

    group = "optimizer"
    traced = ("learning_rate", "weight_decay")

    kind: Kind
    learning_rate: float = Field(default=0.1, gt=0.0, le=1e6)
    weight_decay: float = Field(default=0.0, ge=0.0, le=1e6)
    schedule: RateScheduleField = Constant()

    def transform(self, n_steps: int) -> optax.GradientTransformation:
        """The optax transformation of a run of ``n_steps``. Called inside jit."""
        raise NotImplementedError

    def scheduled_rate(self, n_steps: int, full: Any = None) -> Any:
        """The learning rate with the schedule, for optax: a number, or a function of the step.

        Args:
            n_steps: length of the run.
            full: replaces ``learning_rate``, for optimizers with several.
        """
        height = self.learning_rate if full is None else full
        if isinstance(self.schedule, Constant) and not self.schedule.warmup:
            return height
        return lambda step: height * self.schedule(step, n_steps)


def with_decay(
    inner: optax.GradientTransformation, rate: Any, weight_decay: Any, *, coupled: bool
) -> optax.GradientTransformation:
    """Add decay to the gradient (coupled) or to the update (decoupled), then multiply by minus the rate.

    Args:
        inner: the transformation of the gradient, without rate and decay.
        rate: `Optimizer.scheduled_rate`.
        weight_decay: the coefficient.
        coupled: whether decay is added before ``inner``.

    Example:
        >>> import optax
        >>> step = with_decay(optax.identity(), 0.5, 0.25, coupled=False)
        >>> float(step.update(1.0, step.init(4.0), 4.0)[0])  # -0.5 * (1 + 0.25 * 4)
        -1.0
    """
    import optax

    decay = optax.add_decayed_weights(weight_decay)
    parts = (decay, inner) if coupled else (inner, decay)
    return optax.chain(*parts, optax.scale_by_learning_rate(rate))


OptimizerField = Annotated[SerializeAsAny[Optimizer], resolver(Optimizer)]
