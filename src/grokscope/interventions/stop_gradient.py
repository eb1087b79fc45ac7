"""The intervention that trains groups of neurons on losses of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import model_validator

from grokscope.errors import InputError
from grokscope.interventions._intervention import NeuronIntervention, Selection, Target
from grokscope.interventions.neurons import All, NeuronsField

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

    import jax
    import numpy as np

    from grokscope.interventions._members import MemberView
    from grokscope.learners import Batch
    from grokscope.models.networks.one_hidden_layer import OneHiddenLayer

__all__ = ["StopGradient"]


class StopGradient(NeuronIntervention):
    r"""Train each group of neurons on its own loss, from which the outputs of other groups can be left out.

    The groups are numbered $0 \dots G-1$; group G is the rest, all neurons in no group. The parameters of
    group g follow the gradient of $L(\sum_h F_{gh} f_h)$, where $f_h$ is the contribution of group h to the
    output. If $F_{gh} = 0$, group h does not affect the training of group g. Ordinary training has $F = 1$
    everywhere. Predictions and measures are those of the whole network.

    Attributes:
        groups: disjoint sets of neurons.
        feels: the matrix F: one row for each group, then one for the rest. The diagonal is 1; other entries
            are from 0 to 1. By default, entries between two groups are 0 and all others are 1; with a single
            group, the entries between it and the rest are 0, too.

    Example:
        >>> StopGradient(groups=[[0, 1], [2, 3]]).matrix
        ((1.0, 0.0, 1.0), (0.0, 1.0, 1.0), (1.0, 1.0, 1.0))
        >>> StopGradient(groups=["generalizing"]).matrix
        ((1.0, 0.0), (0.0, 1.0))
    """

    kind: Literal["stop_gradient"] = "stop_gradient"
    groups: tuple[NeuronsField, ...]
    feels: tuple[tuple[float, ...], ...] | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not self.groups:
            raise ValueError("groups needs at least one group")
        if not isinstance(self.neurons, All):
            raise ValueError("the neurons are given by groups; leave neurons out")
        size = len(self.groups) + 1
        if self.feels is not None:
            if len(self.feels) != size or any(len(row) != size for row in self.feels):
                raise ValueError(f"feels has {size} rows of {size} numbers: one per group, and the rest")
            if any(not 0 <= value <= 1 for row in self.feels for value in row):
                raise ValueError("feels holds numbers from 0 to 1")
            if any(self.feels[g][g] != 1 for g in range(size)):
                raise ValueError("the diagonal of feels must be 1")
        return self

    def without_member_values(self) -> Self:
        """As the base does; the number of groups stays part of the compile key."""
        return (
            super()
            .without_member_values()
            .model_copy(update={"groups": (All(),) * len(self.groups), "feels": None})
        )

    @property
    def matrix(self) -> tuple[tuple[float, ...], ...]:
        """The matrix F, or its default."""
        if self.feels is not None:
            return self.feels
        last = len(self.groups)
        if last == 1:
            return (1.0, 0.0), (0.0, 1.0)
        return tuple(
            tuple(1.0 if g == h or last in (g, h) else 0.0 for h in range(last + 1)) for g in range(last + 1)
        )

    def select(self, members: MemberView) -> Selection:
        """As in the base, plus ``own`` (neurons of groups) and ``seen`` (F), both [member, group, neuron]."""
        import numpy as np

        every, bits, more = super().select(members)
        own = np.stack([group.find(members) for group in self.groups], axis=1)
        if (own.sum(axis=1) > 1).any():
            row, j = np.argwhere(own.sum(axis=1) > 1)[0]
            raise InputError(f"interventions.groups: neuron {j} is in two groups (member {row}).")
        # a member with an empty group is left alone
        complete: np.ndarray = own.any(axis=2).sum(axis=1) == len(self.groups)
        own = np.concatenate([own, ~own.any(axis=1, keepdims=True)], axis=1)
        seen = np.einsum("gh,mhp->mgp", np.array(self.matrix), own)
        mask = every & own[:, :-1].any(axis=1) & complete[:, None]
        return Selection(mask, bits, {**more, "own": own, "seen": seen})

    def sample_losses(
        self,
        per_sample: Callable[[jax.Array, jax.Array], jax.Array],
        network: OneHiddenLayer,
        batch: Batch,
        target: Target,
    ) -> jax.Array:
        """The sum of the groups' losses, each with a gradient for its own neurons only."""
        import jax
        import jax.numpy as jnp

        hidden, u = network.hidden(batch.x), network.output_weight
        own, seen = target.more["own"], target.more["seen"].astype(u.dtype)

        def group_loss(g: int) -> jax.Array:
            weight = seen[g] if u.ndim == 1 else seen[g][:, None]
            mine = own[g] if u.ndim == 1 else own[g][:, None]
            own_part = hidden @ jnp.where(mine, weight * u, 0)
            others = hidden @ jnp.where(mine, 0, weight * u)
            if network.output_bias is None:
                return per_sample(own_part + jax.lax.stop_gradient(others), batch.y)
            if g < len(self.groups):  # the output bias belongs to the rest
                return per_sample(own_part + jax.lax.stop_gradient(network.shifted(others)), batch.y)
            return per_sample(network.shifted(own_part + jax.lax.stop_gradient(others)), batch.y)

        total = group_loss(0)
        for g in range(1, len(self.groups) + 1):
            total = total + group_loss(g)
        return total
