"""Optimizers, built from optax, and rate schedules."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field, SerializeAsAny

from grokscope.parts import Part, resolver

if TYPE_CHECKING:
    import optax

__all__ = [
    "SGD",
    "Adam",
    "AdamW",
    "Constant",
    "Cosine",
    "Linear",
    "Optimizer",
    "OptimizerField",
    "RateSchedule",
]


class RateSchedule(Part):
    """A factor on the learning rate as a function of the step."""

    group: ClassVar[str] = "rate_schedule"
    # whether the factor at a step depends on the length of the run (then the length is identifying)
    depends_on_length: ClassVar[bool] = False

    kind: str
    warmup: int = Field(default=0, ge=0, description="steps over which the rate rises linearly from 0")

    def factor(self, step: Any, n_steps: int) -> Any:
        """The factor after warm-up at a step (0 = the first update) of a run of ``n_steps``."""
        raise NotImplementedError

    def __call__(self, step: Any, n_steps: int) -> Any:
        """The factor at a step, warm-up included: min(1, (step + 1) / warmup) times `factor`."""
        import jax.numpy as jnp

        value = self.factor(step, n_steps)
        return value * jnp.minimum(1.0, (step + 1) / float(self.warmup)) if self.warmup else value


RateScheduleField = Annotated[SerializeAsAny[RateSchedule], resolver(RateSchedule)]


class Constant(RateSchedule):
    """The rate stays as it is.

    Example:
        >>> float(Constant()(step=7, n_steps=10))
        1.0
    """

    kind: Literal["constant"] = "constant"

    def factor(self, step: Any, n_steps: int) -> Any:
        """1."""
        del step, n_steps
        return 1.0


class Linear(RateSchedule):
    """The rate falls linearly to 0 over the last part of the run.

    Attributes:
        last: share of the run over which it falls.

    Example:
        >>> [round(float(Linear(last=0.5)(step, 10)), 1) for step in (0, 5, 6, 9)]
        [1.0, 1.0, 0.8, 0.2]
    """

    kind: Literal["linear"] = "linear"
    depends_on_length: ClassVar[bool] = True

    last: float = Field(default=1.0, gt=0.0, le=1.0)

    def factor(self, step: Any, n_steps: int) -> Any:
        """min(1, (1 - step / n_steps) / last)."""
        import jax.numpy as jnp

        return jnp.clip((1.0 - step / float(n_steps)) / self.last, 0.0, 1.0)


class Cosine(RateSchedule):
    """The rate falls to 0 along half a cosine.

    Example:
        >>> [round(float(Cosine()(step, 10)), 2) for step in (0, 5, 10)]
        [1.0, 0.5, 0.0]
    """

    kind: Literal["cosine"] = "cosine"
    depends_on_length: ClassVar[bool] = True

    def factor(self, step: Any, n_steps: int) -> Any:
        """(1 + cos(pi step / n_steps)) / 2."""
        import jax.numpy as jnp

        return 0.5 * (1.0 + jnp.cos(jnp.pi * (step / float(n_steps))))


class Optimizer(Part):
    """A gradient optimizer.

    Attributes:
        learning_rate: the rate at full height.
        weight_decay: strength of the pull to zero on all parameters.
        schedule: factor on the rate over the run.
    """

    group: ClassVar[str] = "optimizer"
    traced: ClassVar[tuple[str, ...]] = ("learning_rate", "weight_decay")

    kind: str
    learning_rate: float = Field(default=0.1, gt=0.0, le=1e6)
    weight_decay: float = Field(default=0.0, ge=0.0, le=1e6)
    schedule: RateScheduleField = Constant()

    def transform(self, n_steps: int) -> optax.GradientTransformation:
        """The optax transformation of a run of ``n_steps``. Called inside jit."""
        raise NotImplementedError

    def _rate(self, n_steps: int) -> Any:
        if isinstance(self.schedule, Constant) and not self.schedule.warmup:
            return self.learning_rate
        return lambda step: self.learning_rate * self.schedule(step, n_steps)


def _with_decay(
    inner: optax.GradientTransformation, rate: Any, weight_decay: Any, *, coupled: bool
) -> optax.GradientTransformation:
    """Add decay to the gradient (coupled) or to the update (decoupled), then multiply by minus the rate."""
    import optax

    decay = optax.add_decayed_weights(weight_decay)
    parts = (decay, inner) if coupled else (inner, decay)
    return optax.chain(*parts, optax.scale_by_learning_rate(rate))


OptimizerField = Annotated[SerializeAsAny[Optimizer], resolver(Optimizer)]


class SGD(Optimizer):
    r"""Stochastic gradient descent: $\theta \leftarrow \theta - \eta\,(g + \lambda\theta)$.

    With momentum $m$: $v \leftarrow m v + (g + \lambda\theta)$, $\theta \leftarrow \theta - \eta v$
    (PyTorch's form, no dampening). ``decay = "decoupled"`` leaves $\lambda\theta$ out of $v$.

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
    traced: ClassVar[tuple[str, ...]] = ("learning_rate", "weight_decay", "momentum")

    momentum: float | None = Field(default=None, ge=0.0, lt=1.0)
    decay: Literal["coupled", "decoupled"] = "coupled"

    def transform(self, n_steps: int) -> optax.GradientTransformation:
        """Decay, momentum, rate."""
        import optax

        inner = optax.identity() if self.momentum is None else optax.trace(self.momentum)
        return _with_decay(inner, self._rate(n_steps), self.weight_decay, coupled=self.decay == "coupled")


class _AdaptiveMoments(Optimizer):
    """What Adam and AdamW share."""

    traced: ClassVar[tuple[str, ...]] = ("learning_rate", "weight_decay", "beta1", "beta2", "epsilon")

    learning_rate: float = Field(default=1e-3, gt=0.0, le=1e6)
    beta1: float = Field(default=0.9, ge=0.0, lt=1.0)
    beta2: float = Field(default=0.999, ge=0.0, lt=1.0)
    epsilon: float = Field(default=1e-8, gt=0.0, le=1.0)

    def _moments(self) -> optax.GradientTransformation:
        import optax

        return optax.scale_by_adam(self.beta1, self.beta2, self.epsilon)


class Adam(_AdaptiveMoments):
    r"""Adam, with PyTorch's coupled weight decay: moments are taken of $g + \lambda\theta$.

    $\theta \leftarrow \theta - \eta\, \hat m/(\sqrt{\hat v}+\epsilon)$, with the bias-corrected means
    $\hat m$ of $g + \lambda\theta$ (rate ``beta1``) and $\hat v$ of its square (``beta2``).

    Source: Kingma and Ba 2015 (arXiv 1412.6980), Algorithm 1; PyTorch ``torch.optim.Adam``.

    Example:
        >>> Adam().learning_rate
        0.001
    """

    kind: Literal["adam"] = "adam"

    def transform(self, n_steps: int) -> optax.GradientTransformation:
        """Decay, moments, rate."""
        return _with_decay(self._moments(), self._rate(n_steps), self.weight_decay, coupled=True)


class AdamW(_AdaptiveMoments):
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
        """Moments, decay, rate."""
        return _with_decay(self._moments(), self._rate(n_steps), self.weight_decay, coupled=False)
