"""The base of all optimizers."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, SerializeAsAny

from grokscope.optimizers.rate_schedules import Constant, RateScheduleField
from grokscope.spec.parts import Kind, Part, resolver

if TYPE_CHECKING:
    import jax
    import optax

__all__ = ["Optimizer", "OptimizerField", "with_decay"]


class Optimizer(Part):
    r"""A gradient optimizer.

    Attributes:
        learning_rate: learning rate $\eta$, before it is multiplied by the schedule.
        weight_decay: coefficient $\lambda$ of the weight decay.
        schedule: factor on the learning rate as a function of the step.
        no_decay: names of parameters without weight decay, or patterns of names: ``["*bias*"]``. None given:
            it applies to all.
        clip_norm: c: before anything else, the gradient g of all parameters together is multiplied by
            $\min(1, c / (\lVert g \rVert_2 + 10^{-6}))$, as by PyTorch's ``clip_grad_norm_``. Not given: it
            is not.
        perpendicular: what is done, after clipping, with the gradient g of each parameter w (a matrix or a
            vector). ``none``: nothing. ``unscaled``: its component along w is removed,
            $g_\perp = g - \frac{w \cdot g}{w \cdot w}\, w$. ``rescaled``: the same, then
            $g_\perp\, \lVert g \rVert / \lVert g_\perp \rVert$. A parameter of one number keeps its gradient.
            (perp-Grad of Prieto et al. 2025, arXiv 2501.04697, Section 5; ``rescaled`` as in their code.)
    """

    group = "optimizer"
    traced = ("learning_rate", "weight_decay", "clip_norm")
    younger = ("no_decay", "clip_norm", "perpendicular")

    kind: Kind
    learning_rate: float = Field(default=0.1, gt=0.0, le=1e6)
    weight_decay: float = Field(default=0.0, ge=0.0, le=1e6)
    schedule: RateScheduleField = Constant()
    no_decay: tuple[str, ...] = ()
    clip_norm: float | None = Field(default=None, gt=0.0, le=1e12)
    perpendicular: Literal["none", "rescaled", "unscaled"] = "none"

    def transform(self, n_steps: int) -> optax.GradientTransformation:
        """The optax transformation of a run of ``n_steps``. Called inside jit.

        It applies weight decay to all parameters; `whole_transform` adds the fields that every optimizer has.
        """
        raise NotImplementedError

    def whole_transform(self, n_steps: int) -> optax.GradientTransformation:
        """`transform` after ``clip_norm`` and ``perpendicular``; no weight decay for ``no_decay``.

        Example:
            >>> from grokscope.optimizers import SGD
            >>> sgd = SGD(learning_rate=1.0, weight_decay=0.5, no_decay=["*bias"])
            >>> step, theta = sgd.whole_transform(1), {"weight": 2.0, "bias": 2.0}
            >>> update, _ = step.update({"weight": 1.0, "bias": 1.0}, step.init(theta), theta)
            >>> float(update["weight"]), float(update["bias"])
            (-2.0, -1.0)
        """
        import optax

        whole = self.transform(n_steps)
        if self.no_decay:
            without = self.model_copy(update={"weight_decay": 0.0}).transform(n_steps)
            whole = optax.partition({"decay": whole, "no_decay": without}, self._labels)
        if self.perpendicular != "none":
            whole = optax.chain(_perpendicular(rescale=self.perpendicular == "rescaled"), whole)
        if self.clip_norm is not None:
            whole = optax.chain(_clipped(self.clip_norm), whole)
        return whole

    def _labels(self, params: Any) -> Any:
        """For each parameter ``decay`` or ``no_decay``."""
        import jax

        from grokscope.models.networks.parameters import leaf_name

        def label(path: tuple[Any, ...], leaf: Any) -> str:
            del leaf
            name = leaf_name(path)
            is_listed = any(fnmatchcase(name, pattern) for pattern in self.no_decay)
            return "no_decay" if is_listed else "decay"

        return jax.tree_util.tree_map_with_path(label, params)

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


def _clipped(most: Any) -> optax.GradientTransformation:
    """Scale the gradient to a norm of at most ``most``."""
    import jax
    import jax.numpy as jnp
    import optax

    def clip(gradient: Any, params: Any) -> Any:
        del params
        norm = jnp.sqrt(sum(jnp.sum(jnp.square(leaf)) for leaf in jax.tree.leaves(gradient)))
        factor = jnp.minimum(1.0, most / (norm + 1e-6))
        return jax.tree.map(lambda leaf: (leaf * factor).astype(leaf.dtype), gradient)

    return optax.stateless(clip)


def _perpendicular(*, rescale: bool) -> optax.GradientTransformation:
    """Remove from the gradient of each parameter its component along the parameter."""
    import jax
    import jax.numpy as jnp
    import optax

    def turn(g: jax.Array, w: jax.Array) -> jax.Array:
        if g.size == 1:  # no direction is perpendicular to it
            return g
        rest = g - jnp.sum(w * g) / (jnp.sum(w * w) + 1e-30) * w
        if rescale:
            size = jnp.sqrt(jnp.sum(rest * rest))
            rest = rest * jnp.where(size > 0, jnp.sqrt(jnp.sum(g * g)) / jnp.where(size > 0, size, 1), 0)
        return rest

    return optax.stateless(lambda gradient, params: jax.tree.map(turn, gradient, params))


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
