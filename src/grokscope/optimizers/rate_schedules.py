"""Rate schedules: factors on the learning rate as functions of the step."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, SerializeAsAny

from grokscope.spec.parts import Kind, Part, resolver

__all__ = ["Constant", "Cosine", "Linear", "RateSchedule", "RateScheduleField"]


class RateSchedule(Part):
    """A factor on the learning rate as a function of the step.

    Attributes:
        warmup: number of first steps over which the rate rises linearly from 0; 0 for no warm-up.
        depends_on_length: whether the factor depends on the length of the run; then the length is part of the
            identity.
    """

    group = "rate_schedule"
    depends_on_length: ClassVar[bool] = False

    kind: Kind
    warmup: int = Field(default=0, ge=0)

    def factor(self, step: Any, n_steps: int) -> Any:
        """The factor at a step (0: the first update) of a run of ``n_steps``, without warm-up."""
        raise NotImplementedError

    def __call__(self, step: Any, n_steps: int) -> Any:
        """The factor at a step, with warm-up: min(1, (step + 1) / warmup) times `factor`."""
        import jax.numpy as jnp

        value = self.factor(step, n_steps)
        return value * jnp.minimum(1.0, (step + 1) / float(self.warmup)) if self.warmup else value


RateScheduleField = Annotated[SerializeAsAny[RateSchedule], resolver(RateSchedule)]


class Constant(RateSchedule):
    """A constant learning rate, after warm-up.

    Example:
        >>> float(Constant()(step=7, n_steps=10))
        1.0
    """

    kind: Literal["constant"] = "constant"

    def factor(self, step: Any, n_steps: int) -> Any:
        """The factor 1."""
        del step, n_steps
        return 1.0


class Linear(RateSchedule):
    """A learning rate that falls linearly to 0 over the last part of the run.

    Attributes:
        last: fraction of the run over which the rate falls.

    Example:
        >>> [round(float(Linear(last=0.5)(step, 10)), 1) for step in (0, 5, 6, 9)]
        [1.0, 1.0, 0.8, 0.2]
    """

    kind: Literal["linear"] = "linear"
    depends_on_length = True

    last: float = Field(default=1.0, gt=0.0, le=1.0)

    def factor(self, step: Any, n_steps: int) -> Any:
        """min(1, (1 - step / n_steps) / last)."""
        import jax.numpy as jnp

        return jnp.clip((1.0 - step / float(n_steps)) / self.last, 0.0, 1.0)


class Cosine(RateSchedule):
    """A learning rate that falls to 0 along half a period of a cosine.

    Example:
        >>> [round(float(Cosine()(step, 10)), 2) for step in (0, 5, 10)]
        [1.0, 0.5, 0.0]
    """

    kind: Literal["cosine"] = "cosine"
    depends_on_length = True

    def factor(self, step: Any, n_steps: int) -> Any:
        """(1 + cos(pi step / n_steps)) / 2."""
        import jax.numpy as jnp

        return 0.5 * (1.0 + jnp.cos(jnp.pi * (step / float(n_steps))))
