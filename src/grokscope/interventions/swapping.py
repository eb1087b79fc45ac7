"""The intervention that exchanges directions, sizes or output weights between neurons."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import field_validator

from grokscope.errors import InputError
from grokscope.interventions._intervention import NeuronIntervention, Selection, Target
from grokscope.interventions.neurons import NeuronsField

if TYPE_CHECKING:
    import jax

    from grokscope.interventions._members import MemberView
    from grokscope.models.networks.one_hidden_layer import OneHiddenLayer

__all__ = ["Swap"]


class Swap(NeuronIntervention):
    r"""Exchange directions, norms or output weights between pairs of neurons, once.

    With $v_j = (W_j, b_j)$: ``direction`` exchanges $v_j / \lVert v_j \rVert$ and keeps the norms, ``scale``
    exchanges $\lVert v_j \rVert$ and keeps the directions, ``output`` exchanges $u_j$. If a neuron of a pair
    has $v_j = 0$, it has no direction, and ``direction`` and ``scale`` leave the pair as it is.

    Attributes:
        neurons: the first neuron of each pair.
        partners: the second neuron of each pair: a disjoint set of the same size. Both sets are sorted by
            index, and the n-th neuron of one is paired with the n-th of the other.
        what: the quantity to exchange: ``direction``, ``scale`` or ``output``.

    Example:
        >>> Swap(neurons=[1, 2], partners=[8, 9], what="direction").what
        'direction'
    """

    kind: Literal["swap"] = "swap"
    per_member = (*NeuronIntervention.per_member, "partners")
    partners: NeuronsField
    what: Literal["direction", "scale", "output"]

    @field_validator("until", mode="after")
    @classmethod
    def _once(cls, value: Any) -> Any:
        if value is not None:
            raise ValueError("a swap acts once; leave until out")
        return value

    def select(self, members: MemberView) -> Selection:
        """As in the base, and ``partner`` [member, neuron]: the pairs as a permutation of the neurons."""
        import numpy as np

        mask, bits, more = super().select(members)
        others = self.partners.find(members)
        if (mask & others).any():
            raise InputError("interventions.partners: a neuron cannot be its own or another pair's partner.")
        partner = np.tile(np.arange(members.width, dtype=np.int32), (len(mask), 1))
        for row in range(len(mask)):
            one, other = np.flatnonzero(mask[row]), np.flatnonzero(others[row])
            if len(one) != len(other):
                raise InputError(
                    f"interventions.partners: {len(one)} neurons and {len(other)} partners; the numbers "
                    "must be equal."
                )
            partner[row, one], partner[row, other] = other, one
        return Selection(mask | others, bits, {**more, "partner": partner})

    def begin(self, network: OneHiddenLayer, target: Target, data: dict[str, jax.Array]) -> OneHiddenLayer:
        """Exchange the quantity between each neuron and its ``partner``."""
        import jax.numpy as jnp

        from grokscope.models.networks.parameters import replaced

        del data
        partner = target.more["partner"]
        if self.what == "output":
            return replaced(network, output_weight=network.output_weight[partner])
        w, b = network.hidden_weight, network.hidden_bias
        size = jnp.sqrt(jnp.sum(jnp.square(w), axis=0) + jnp.square(b))
        moved = (partner != jnp.arange(len(partner))) & (size > 0) & (size[partner] > 0)
        safe = jnp.where(size > 0, size, 1)
        if self.what == "direction":
            factor = size / safe[partner]
            new_w, new_b = w[:, partner] * factor, b[partner] * factor
        else:
            factor = size[partner] / safe
            new_w, new_b = w * factor, b * factor
        return replaced(
            network, hidden_weight=jnp.where(moved, new_w, w), hidden_bias=jnp.where(moved, new_b, b)
        )
