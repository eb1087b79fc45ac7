"""The intervention on who feels whose loss: groups of neurons that are trained without seeing each other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import model_validator

from grokscope.errors import InputError
from grokscope.interventions._intervention import Intervention, Target
from grokscope.interventions._select import NeuronsField
from grokscope.interventions.neurons import All

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

    import jax
    import numpy as np

    from grokscope.interventions._look import Look
    from grokscope.learners import Batch
    from grokscope.models.networks.one_hidden_layer import OneHiddenLayer

__all__ = ["StopGradient"]


class StopGradient(Intervention):
    r"""Train groups of neurons each on its own loss: the loss of what the group is told of the output.

    With groups $0 \dots G-1$ and, last, the rest (all neurons in no group), the parameters of group g follow
    the gradient of $L(\sum_h F_{gh} f_h)$ with $f_h$ the contribution of group h; where $F_{gh} = 0$ group g
    does not feel what group h has learned. Plain training has $F = 1$ everywhere. The network, its
    predictions and all measures are those of the whole.

    Attributes:
        groups: sets of neurons that have none in common.
        feels: F, one row per group and then one for the rest; every diagonal entry is 1, others may lie
            between 0 and 1. Left out: groups do not feel each other, all feel the rest, and the rest feels
            all; one group alone and the rest do not feel each other.

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
            raise ValueError("name at least one group")
        if not isinstance(self.neurons, All):
            raise ValueError("name the neurons in groups; leave neurons out")
        size = len(self.groups) + 1
        if self.feels is not None:
            if len(self.feels) != size or any(len(row) != size for row in self.feels):
                raise ValueError(f"feels has {size} rows of {size} numbers: one per group, and the rest")
            if any(not 0 <= value <= 1 for row in self.feels for value in row):
                raise ValueError("feels holds numbers from 0 to 1")
            if any(self.feels[g][g] != 1 for g in range(size)):
                raise ValueError("a group feels itself: the diagonal of feels is 1")
        return self

    def as_program(self) -> Self:
        """How many groups there are is part of the program; who they are and what they feel is not."""
        return super().as_program().model_copy(update={"groups": (All(),) * len(self.groups), "feels": None})

    @property
    def matrix(self) -> tuple[tuple[float, ...], ...]:
        """F."""
        if self.feels is not None:
            return self.feels
        last = len(self.groups)
        if last == 1:
            return (1.0, 0.0), (0.0, 1.0)
        return tuple(
            tuple(1.0 if g == h or last in (g, h) else 0.0 for h in range(last + 1)) for g in range(last + 1)
        )

    def find(self, look: Look) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
        """``own`` [member, group, neuron]: who is in which group; ``seen``: what each is told of a neuron."""
        import numpy as np

        every, bits, more = super().find(look)
        own = np.stack([group.find(look) for group in self.groups], axis=1)
        if (own.sum(axis=1) > 1).any():
            row, j = np.argwhere(own.sum(axis=1) > 1)[0]
            raise InputError(f"interventions.groups: neuron {j} is in two groups (member {row}).")
        whole: np.ndarray = own.any(axis=2).sum(axis=1) == len(
            self.groups
        )  # a member that lacks a group has nobody to act on
        own = np.concatenate([own, ~own.any(axis=1, keepdims=True)], axis=1)
        seen = np.einsum("gh,mhp->mgp", np.array(self.matrix), own)
        return every & own[:, :-1].any(axis=1) & whole[:, None], bits, {**more, "own": own, "seen": seen}

    def losses(
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

        def told(g: int) -> jax.Array:
            weight = seen[g] if u.ndim == 1 else seen[g][:, None]
            mine = own[g] if u.ndim == 1 else own[g][:, None]
            own_part = hidden @ jnp.where(mine, weight * u, 0)
            others = hidden @ jnp.where(mine, 0, weight * u)
            if network.output_bias is None:
                return per_sample(own_part + jax.lax.stop_gradient(others), batch.y)
            if g < len(self.groups):  # the output bias is the rest's
                return per_sample(own_part + jax.lax.stop_gradient(network.shifted(others)), batch.y)
            return per_sample(network.shifted(own_part + jax.lax.stop_gradient(others)), batch.y)

        total = told(0)
        for g in range(1, len(self.groups) + 1):
            total = total + told(g)
        return total
