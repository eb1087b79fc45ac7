"""Interventions that limit how parameters change: freeze, another rate, a bound on a norm."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, model_validator

from grokscope.interventions._intervention import (
    Bits,
    Intervention,
    ParameterIntervention,
    Selection,
    Target,
    chosen_bits,
    replace_arrays,
    where_masked,
)

if TYPE_CHECKING:
    from typing import Self

    import jax

    from grokscope.interventions._members import MemberView
    from grokscope.models.networks.one_hidden_layer import OneHiddenLayer

__all__ = ["Clamp", "Freeze", "Rate"]


class Freeze(ParameterIntervention):
    """Hold parameters at their values: neither gradients nor weight decay change them.

    Example:
        >>> Freeze(neurons="all", bits="support", at="memorization").changed
        ('hidden_weight',)
    """

    kind: Literal["freeze"] = "freeze"

    def after_update(
        self, before: OneHiddenLayer, network: OneHiddenLayer, target: Target, recorded: Any
    ) -> OneHiddenLayer:
        """Undo the update of these parameters."""
        del recorded
        return where_masked(self.parameter_mask(network, target), before, network)


class Rate(ParameterIntervention):
    r"""Multiply the updates of parameters: $\theta + c\,\Delta\theta$ after an update by $\Delta\theta$.

    With SGD this is a learning rate of c times the usual one for these parameters. A factor of 1 changes no
    bit; a factor of 0 is ``freeze``.

    Attributes:
        factor: the factor c.

    Example:
        >>> Rate(factor=0.1, neurons=[0, 1]).factor
        0.1
    """

    kind: Literal["rate"] = "rate"
    traced = ("factor",)
    factor: float = Field(ge=0.0, le=1e6)

    def after_update(
        self, before: OneHiddenLayer, network: OneHiddenLayer, target: Target, recorded: Any
    ) -> OneHiddenLayer:
        """Return c * new + (1 - c) * old, which is exact for c = 0 and c = 1."""
        import jax

        del recorded
        c = self.factor
        moved = jax.tree.map(lambda old, new: c * new + (1.0 - c) * old, before, network)
        return where_masked(self.parameter_mask(network, target), moved, network)


class Clamp(Intervention):
    r"""Bound a norm of each neuron: after each update, a neuron above the limit is scaled down to it.

    ``incoming_norm`` is $\lVert W_j \rVert$ over the chosen bits; these weights are scaled. ``path_norm`` is
    $|u_j| \lVert (W_j, b_j) \rVert$; $W_j$, $b_j$ and $u_j$ are scaled by the same factor.

    Attributes:
        norm: ``incoming_norm`` or ``path_norm``.
        limit: the largest allowed norm, in the unit set by ``of``.
        of: unit of the limit: ``start`` (the neuron's norm when the clamp begins) or ``absolute``.
        exactly: scale neurons below the limit up to it, too (a norm of 0 stays 0).
        bits: the input bits of the incoming norm: ``all``, ``support`` (the hidden bits of the task),
            ``others`` (all but the support), or a list.

    Example:
        >>> Clamp(neurons="all", bits="support").limit
        1.0
    """

    kind: Literal["clamp"] = "clamp"
    traced = ("limit",)
    per_member = (*Intervention.per_member, "bits")
    norm: Literal["incoming_norm", "path_norm"] = "incoming_norm"
    limit: float = Field(default=1.0, ge=0.0, le=1e6)
    of: Literal["start", "absolute"] = "start"
    exactly: bool = False
    bits: Bits | tuple[int, ...] = "all"

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.norm == "path_norm" and self.bits != "all":
            raise ValueError("bits need norm = 'incoming_norm'")
        return self

    def select(self, members: MemberView) -> Selection:
        """Find the neurons and the bits."""
        selection = super().select(members)
        return selection._replace(bits=chosen_bits(self.bits, selection.bits, members))

    def begin(self, network: OneHiddenLayer, target: Target, data: dict[str, jax.Array]) -> OneHiddenLayer:
        """Apply the limit."""
        del data
        return self._bounded(network, target, self.record(network, target))

    def record(self, network: OneHiddenLayer, target: Target) -> Any:
        """The norm of each neuron, if the limit is relative to it."""
        return self._norm(network, target) if self.of == "start" else ()

    def after_update(
        self, before: OneHiddenLayer, network: OneHiddenLayer, target: Target, recorded: Any
    ) -> OneHiddenLayer:
        """Apply the limit."""
        del before
        return self._bounded(network, target, recorded)

    def _norm(self, network: OneHiddenLayer, target: Target) -> jax.Array:
        import jax.numpy as jnp

        square = jnp.square(network.hidden_weight)
        if self.norm == "incoming_norm":
            return jnp.sqrt(jnp.sum(jnp.where(target.bits[:, None], square, 0), axis=0))
        u = network.output_weight
        out = jnp.abs(u) if u.ndim == 1 else jnp.linalg.norm(u, axis=1)
        return out * jnp.sqrt(jnp.sum(square, axis=0) + jnp.square(network.hidden_bias))

    def _bounded(self, network: OneHiddenLayer, target: Target, recorded: Any) -> OneHiddenLayer:
        import jax.numpy as jnp

        norm = self._norm(network, target)
        limit = self.limit * recorded if self.of == "start" else self.limit
        off = (norm > 0) & (norm != limit) if self.exactly else norm > limit
        scaled = target.mask & off
        scale = jnp.where(scaled, limit / jnp.where(scaled, norm, 1), 1).astype(norm.dtype)
        if self.norm == "incoming_norm":
            weight = jnp.where(target.bits[:, None], network.hidden_weight * scale, network.hidden_weight)
            return replace_arrays(network, hidden_weight=weight)
        scale = jnp.sqrt(scale)
        u = network.output_weight
        return replace_arrays(
            network,
            hidden_weight=network.hidden_weight * scale,
            hidden_bias=network.hidden_bias * scale,
            output_weight=u * (scale if u.ndim == 1 else scale[:, None]),
        )
