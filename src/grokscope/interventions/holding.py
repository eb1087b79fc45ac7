"""Interventions that limit how parameters change: freeze, another rate, a bounded or a held norm."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, model_validator

from grokscope.interventions._intervention import (
    Bits,
    NeuronIntervention,
    NeuronParameterIntervention,
    ParameterIntervention,
    Selection,
    Target,
    chosen_bits,
    where_masked,
)
from grokscope.spec.moments import parse_moment

if TYPE_CHECKING:
    from typing import Self

    import jax

    from grokscope.interventions._members import MemberView
    from grokscope.models.networks.one_hidden_layer import OneHiddenLayer

__all__ = ["Clamp", "Freeze", "HoldNorm", "Rate"]


class Freeze(NeuronParameterIntervention):
    """Hold parameters at their values: neither gradients nor weight decay change them.

    Example:
        >>> Freeze(parameters=["embedding", "blocks.*.mlp_*"], at="memorization").parameters
        ('embedding', 'blocks.*.mlp_*')
    """

    kind: Literal["freeze"] = "freeze"

    def after_update(self, before: Any, network: Any, target: Target, recorded: Any) -> Any:
        """Undo the update of these parameters."""
        del recorded
        return where_masked(self.parameter_mask(network, target), before, network)


class Rate(NeuronParameterIntervention):
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

    def after_update(self, before: Any, network: Any, target: Target, recorded: Any) -> Any:
        """Return c * new + (1 - c) * old, which is exact for c = 0 and c = 1."""
        import jax

        del recorded
        c = self.factor
        moved = jax.tree.map(lambda old, new: c * new + (1.0 - c) * old, before, network)
        return where_masked(self.parameter_mask(network, target), moved, network)


class Clamp(NeuronIntervention):
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
    per_member = (*NeuronIntervention.per_member, "bits")
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

        from grokscope.models.networks.parameters import replaced

        norm = self._norm(network, target)
        limit = self.limit * recorded if self.of == "start" else self.limit
        off = (norm > 0) & (norm != limit) if self.exactly else norm > limit
        scaled = target.mask & off
        scale = jnp.where(scaled, limit / jnp.where(scaled, norm, 1), 1).astype(norm.dtype)
        if self.norm == "incoming_norm":
            weight = jnp.where(target.bits[:, None], network.hidden_weight * scale, network.hidden_weight)
            return replaced(network, hidden_weight=weight)
        scale = jnp.sqrt(scale)
        u = network.output_weight
        return replaced(
            network,
            hidden_weight=network.hidden_weight * scale,
            hidden_bias=network.hidden_bias * scale,
            output_weight=u * (scale if u.ndim == 1 else scale[:, None]),
        )


class HoldNorm(ParameterIntervention):
    r"""Hold the L2 norm of parameters: after each update they are scaled to it.

    $\theta \leftarrow \theta \, n / \lVert \theta \rVert$ over all chosen parameters together; the direction
    stays that of the update. The norm is that of the measure ``weight_norm`` if all parameters are chosen. A
    norm of 0 stays 0.

    Attributes:
        norm: the norm n, in the unit set by ``of``.
        of: unit of the norm: ``start`` (the norm when the hold begins), ``initial`` (the norm of the network
            in which the member starts), ``absolute``, or ``reference``.
        reference: the unit with ``of = "reference"``: a norm that is known from elsewhere, such as a number
            of another experiment. A sweep over ``norm`` is then one over its multiples.
        each: hold the norm of each chosen array on its own, in place of that of all of them together.

    Example:
        >>> HoldNorm(parameters=["embedding", "blocks.*.attention.*"], norm=0.5).of
        'start'
    """

    kind: Literal["hold_norm"] = "hold_norm"
    traced = ("norm", "reference")
    younger = ("reference",)
    norm: float = Field(default=1.0, ge=0.0, le=1e9)
    of: Literal["start", "initial", "absolute", "reference"] = "start"
    reference: float | None = Field(default=None, gt=0.0, le=1e9)
    each: bool = False

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.of == "reference") != (self.reference is not None):
            raise ValueError("of = 'reference' and a number as reference go together")
        return self

    def select(self, members: MemberView) -> Selection:
        """As in the base, and ``initial`` [member, norm], the norms in the members' first states."""
        import numpy as np

        selection = super().select(members)
        if self.of != "initial":
            return selection
        arrays = members.parameters(parse_moment("start"))
        squares = [
            np.square(arrays[name], dtype=np.float64).reshape(len(members.seeds), -1).sum(axis=1)
            for name in self.chosen(arrays)
        ]
        norms = np.sqrt(squares if self.each else [np.sum(squares, axis=0)]).T
        return selection._replace(more={**selection.more, "initial": norms})

    def begin(self, network: Any, target: Target, data: dict[str, jax.Array]) -> Any:
        """Scale to the norm."""
        del data
        return self._held(network, target, self.record(network, target))

    def record(self, network: Any, target: Target) -> Any:
        """The norms, if the hold is relative to them."""
        del target
        return self._norms(network) if self.of == "start" else ()

    def after_update(self, before: Any, network: Any, target: Target, recorded: Any) -> Any:
        """Scale to the norm."""
        del before
        return self._held(network, target, recorded)

    def _norms(self, network: Any) -> jax.Array:
        """The norm of each chosen array (``each``), or of all of them: [norm]."""
        import jax.numpy as jnp

        squares = jnp.stack([jnp.sum(jnp.square(leaf)) for leaf in self.chosen_leaves(network).values()])
        return jnp.sqrt(squares if self.each else jnp.sum(squares, keepdims=True))

    def _held(self, network: Any, target: Target, recorded: Any) -> Any:
        import jax.numpy as jnp

        from grokscope.models.networks.parameters import replaced

        norms = self._norms(network)
        unit: Any = {
            "start": recorded,
            "initial": target.more.get("initial"),
            "absolute": 1.0,
            "reference": self.reference,
        }[self.of]
        wanted = jnp.asarray(self.norm * unit, norms.dtype)
        off = (norms > 0) & (norms != wanted)
        scale = jnp.where(off, wanted / jnp.where(off, norms, 1), 1)
        leaves = self.chosen_leaves(network)
        scales = jnp.broadcast_to(scale, (len(leaves),))
        return replaced(
            network, **{name: leaf * one for (name, leaf), one in zip(leaves.items(), scales, strict=True)}
        )
