"""Rate schedules: factors on the learning rate as functions of the step."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, SerializeAsAny, field_validator

from grokscope.spec.parts import Kind, Part, resolver

__all__ = ["Constant", "Cosine", "Linear", "RateSchedule", "RateScheduleField", "Steps"]


class RateSchedule(Part):
    r"""A factor on the learning rate as a function of the step: warm-up times the schedule's own factor.

    Warm-up over w steps: the update after s updates has $\min(1, (s + 1) / w)$; with ``warmup_from_zero``
    $\min(1, s / w)$, so that the first update has rate 0.

    Attributes:
        warmup: number w of steps over which the rate rises linearly; 0 for no warm-up.
        warmup_from_zero: whether the rate rises as $s / w$, as in PyTorch's ``LambdaLR(min(s / w, 1))``,
            instead of $(s + 1) / w$. It changes nothing without warm-up.
        depends_on_length: whether the factor depends on the length of the run; then the length is part of the
            identity.
    """

    group = "rate_schedule"
    depends_on_length: ClassVar[bool] = False
    younger = ("warmup_from_zero",)

    kind: Kind
    warmup: int = Field(default=0, ge=0)
    warmup_from_zero: bool = False

    def factor(self, step: Any, n_steps: int) -> Any:
        """The factor at a step (0: the first update) of a run of ``n_steps``, without warm-up."""
        raise NotImplementedError

    def __call__(self, step: Any, n_steps: int) -> Any:
        """The factor at a step, with warm-up."""
        import jax.numpy as jnp

        value = self.factor(step, n_steps)
        if not self.warmup:
            return value
        risen = step if self.warmup_from_zero else step + 1
        return value * jnp.minimum(1.0, risen / float(self.warmup))


RateScheduleField = Annotated[SerializeAsAny[RateSchedule], resolver(RateSchedule)]


class Constant(RateSchedule):
    r"""A constant learning rate, after warm-up.

    The factor of the update after s updates: $m(s)$, the warm-up $\min(1, (s + 1) / w)$, or $\min(1, s / w)$
    with ``warmup_from_zero``.

    Example:
        >>> float(Constant()(step=7, n_steps=10))
        1.0
        >>> [float(Constant(warmup=4, warmup_from_zero=zero)(0, 10)) for zero in (False, True)]
        [0.25, 0.0]
    """

    kind: Literal["constant"] = "constant"

    def factor(self, step: Any, n_steps: int) -> Any:
        """The factor 1."""
        del step, n_steps
        return 1.0


class Linear(RateSchedule):
    r"""A learning rate that falls linearly to 0 over the last part of the run.

    The factor of the update after s of n updates: $m(s) \min(1, (1 - s / n) / last)$, with the warm-up $m(s)$
    of ``constant``.

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
    r"""A learning rate that falls to 0 along half a period of a cosine.

    The factor of the update after s of n updates: $m(s)\, (1 + \cos(\pi s / n)) / 2$, with the warm-up $m(s)$
    of ``constant``.

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


class Steps(RateSchedule):
    r"""A learning rate that is multiplied by a number at each of a list of steps.

    Attributes:
        at: the steps: the first update with the new rate is that after so many updates.
        by: the number, by which the rate is multiplied once for each step in the list.

    Example:
        >>> [float(Steps(at=[2, 4], by=2.0)(step, 10)) for step in (1, 2, 3, 4)]
        [1.0, 2.0, 2.0, 4.0]
    """

    kind: Literal["steps"] = "steps"

    at: tuple[int, ...] = ()
    by: float = Field(default=2.0, gt=0.0, le=1e6)

    @field_validator("at", mode="after")
    @classmethod
    def _rising(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if any(step < 1 or step >= 2**31 for step in value) or list(value) != sorted(set(value)):
            raise ValueError(f"must have steps from 1 on, each later than the one before (got {list(value)})")
        return value

    def factor(self, step: Any, n_steps: int) -> Any:
        """``by`` to the power of the number of steps in the list that are not later."""
        import jax.numpy as jnp

        del n_steps
        if not self.at:
            return 1.0
        # a table of powers: exact for the powers of two
        powers = jnp.asarray([self.by**i for i in range(len(self.at) + 1)])
        return powers[jnp.sum(step >= jnp.asarray(self.at))]
