"""Interventions that hold parameters: freeze them, let them move slower or faster, or bound a norm."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, model_validator

from grokscope.interventions._intervention import (
    Bits,
    Intervention,
    OnParameters,
    Target,
    chosen_bits,
    chosen_of,
    network_of,
)

if TYPE_CHECKING:
    from typing import Self

    import jax
    import numpy as np

    from grokscope.interventions._look import Look
    from grokscope.models.networks.one_hidden_layer import OneHiddenLayer

__all__ = ["Clamp", "Freeze", "Rate"]


class Freeze(OnParameters):
    """Keep parameters at the values that they have: neither gradients nor weight decay move them.

    Example:
        >>> Freeze(neurons="all", bits="support", at="memorization").changed
        ('hidden_weight',)
    """

    kind: Literal["freeze"] = "freeze"

    def after(
        self, before: OneHiddenLayer, network: OneHiddenLayer, target: Target, memory: Any
    ) -> OneHiddenLayer:
        """What was there before the update."""
        del memory
        return chosen_of(self.where(network, target), before, network)


class Rate(OnParameters):
    r"""Let parameters move at another rate: $\theta + c\,\Delta\theta$ after an update by $\Delta\theta$.

    With SGD it is a learning rate of their own. A factor of 1 changes no bit, 0 is `Freeze`.

    Attributes:
        factor: c.

    Example:
        >>> Rate(factor=0.1, neurons=[0, 1]).factor
        0.1
    """

    kind: Literal["rate"] = "rate"
    traced: ClassVar[tuple[str, ...]] = ("factor",)
    factor: float = Field(ge=0.0, le=1e6)

    def after(
        self, before: OneHiddenLayer, network: OneHiddenLayer, target: Target, memory: Any
    ) -> OneHiddenLayer:
        """C times the new value and 1 - c times the old: exact at 0 and at 1."""
        import jax

        del memory
        c = self.factor
        moved = jax.tree.map(lambda old, new: c * new + (1.0 - c) * old, before, network)
        return chosen_of(self.where(network, target), moved, network)


class Clamp(Intervention):
    r"""Bound a norm of each neuron: where it exceeds its limit after an update, it is scaled back to it.

    ``incoming_norm`` is $\lVert W_j \rVert$, over the chosen bits where bits are chosen; these weights are
    scaled. ``path_norm`` is $|u_j| \lVert (W_j, b_j) \rVert$; $W_j$, $b_j$ and $u_j$ are scaled alike.

    Attributes:
        norm: which.
        limit: the largest allowed value, in units of `of`.
        of: ``start`` (of each neuron's value when the clamp begins) or ``absolute``.
        exactly: also scale up what is below the limit (a norm of 0 stays).
        bits: see the incoming norm: ``all``, ``support`` (the hidden bits of the task), ``others``, or a
            list.

    Example:
        >>> Clamp(neurons="all", bits="support").limit
        1.0
    """

    kind: Literal["clamp"] = "clamp"
    traced: ClassVar[tuple[str, ...]] = ("limit",)
    per_member: ClassVar[tuple[str, ...]] = (*Intervention.per_member, "bits")
    norm: Literal["incoming_norm", "path_norm"] = "incoming_norm"
    limit: float = Field(default=1.0, ge=0.0, le=1e6)
    of: Literal["start", "absolute"] = "start"
    exactly: bool = False
    bits: Bits | tuple[int, ...] = "all"

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.norm == "path_norm" and self.bits != "all":
            raise ValueError("bits go with norm = 'incoming_norm'")
        return self

    def find(self, look: Look) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
        """Neurons and bits."""
        mask, every, more = super().find(look)
        return mask, chosen_bits(self.bits, every, look), more

    def begin(self, network: OneHiddenLayer, target: Target, data: dict[str, jax.Array]) -> OneHiddenLayer:
        """The limit holds at once."""
        del data
        return self._bounded(network, target, self.remember(network, target))

    def remember(self, network: OneHiddenLayer, target: Target) -> Any:
        """Each neuron's norm."""
        return self._norm(network, target) if self.of == "start" else ()

    def after(
        self, before: OneHiddenLayer, network: OneHiddenLayer, target: Target, memory: Any
    ) -> OneHiddenLayer:
        """Scaled back to the limit."""
        del before
        return self._bounded(network, target, memory)

    def _norm(self, network: OneHiddenLayer, target: Target) -> jax.Array:
        import jax.numpy as jnp

        square = jnp.square(network.hidden_weight)
        if self.norm == "incoming_norm":
            return jnp.sqrt(jnp.sum(jnp.where(target.bits[:, None], square, 0), axis=0))
        u = network.output_weight
        out = jnp.abs(u) if u.ndim == 1 else jnp.linalg.norm(u, axis=1)
        return out * jnp.sqrt(jnp.sum(square, axis=0) + jnp.square(network.hidden_bias))

    def _bounded(self, network: OneHiddenLayer, target: Target, memory: Any) -> OneHiddenLayer:
        import jax.numpy as jnp

        norm = self._norm(network, target)
        limit = self.limit * memory if self.of == "start" else self.limit
        off = (norm > 0) & (norm != limit) if self.exactly else norm > limit
        scaled = target.mask & off
        scale = jnp.where(scaled, limit / jnp.where(scaled, norm, 1), 1).astype(norm.dtype)
        if self.norm == "incoming_norm":
            weight = jnp.where(target.bits[:, None], network.hidden_weight * scale, network.hidden_weight)
            return network_of(network, hidden_weight=weight)
        scale = jnp.sqrt(scale)
        u = network.output_weight
        return network_of(
            network,
            hidden_weight=network.hidden_weight * scale,
            hidden_bias=network.hidden_bias * scale,
            output_weight=u * (scale if u.ndim == 1 else scale[:, None]),
        )
