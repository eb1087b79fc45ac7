"""The intervention that puts neurons of the source run into a network while it trains."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, Field, field_validator

from grokscope.errors import InputError
from grokscope.interventions._intervention import NeuronIntervention, Selection, Target
from grokscope.spec.moments import check_moment, parse_moment

if TYPE_CHECKING:
    import jax
    import numpy as np

    from grokscope.interventions._members import MemberView, NetworkArrays
    from grokscope.models.networks.one_hidden_layer import OneHiddenLayer
    from grokscope.spec.moments import Moment

__all__ = ["Transplant"]


def _checked(at: int | str) -> int | str:
    if check_moment(at, "interventions.source_at") == "start":
        raise ValueError("must be a step or an event of the source run, or its end")
    return at


class Transplant(NeuronIntervention):
    r"""Put neurons of the source run in the places of as many neurons of least path norm, once.

    The network after it is $f = a \sum_{j \in \text{rest}} u_j\, \mathrm{relu}(W_j \cdot x + b_j) +
    c \sum_{i \in \text{taken}} u'_i\, \mathrm{relu}(W'_i \cdot x + b'_i)$ with $u', W', b'$ of the source;
    with $a = c = 1/2$ it is the mean of the two networks, if both sets hold all that matters: a duel of
    circuits. An output bias is not changed. With ``init.parameters = []`` members have networks of their own,
    also of another width, and the source run gives only these neurons.

    Attributes:
        neurons: the neurons of the source run that are taken. Where a set is chosen by the networks at
            ``start``, it is by those at ``source_at``.
        source_at: when the weights are taken: a step or event of the source run, or its ``end``.
        factor: the factor c of the output weights of the neurons taken.
        others: the factor a of the output weights of all other neurons.

    Example:
        >>> Transplant(neurons={"kind": "largest", "count": 16, "by": "path_norm"}, at=5000).source_at
        'end'
    """

    kind: Literal["transplant"] = "transplant"
    per_member = (*NeuronIntervention.per_member, "source_at")
    traced = ("factor", "others")

    source_at: Annotated[int | str, AfterValidator(_checked)] = "end"
    factor: float = Field(default=1.0, ge=0.0, le=1e6)
    others: float = Field(default=1.0, ge=0.0, le=1e6)

    @field_validator("until", mode="after")
    @classmethod
    def _once(cls, value: Any) -> Any:
        if value is not None:
            raise ValueError("a transplant acts once; leave until out")
        return value

    def select(self, members: MemberView) -> Selection:
        """All neurons and bits; and what is taken: ``weight`` [member, bit, neuron], ``bias``, ``output``.

        Members may take different numbers of neurons: ``taken`` [member, neuron] marks those that there are.
        """
        import numpy as np

        taken_at = parse_moment(self.source_at)
        arrays = members.weights(taken_at)
        bits, width = arrays.hidden_weight.shape[1:]
        if bits != members.n_bits:
            raise InputError(
                f"interventions: {self.label}: the source's neurons have {bits} inputs, not {members.n_bits}."
            )
        view: Any = _SourceView(members, taken_at, width)
        mask = self.neurons.find(view)
        counts = mask.sum(axis=1)
        if counts.max(initial=0) > members.width:
            raise InputError(
                f"interventions: {self.label}: {counts.max()} neurons are taken, and the network has "
                f"{members.width}."
            )
        own = members.weights(parse_moment("start")).output_weight
        if own.shape[2:] != arrays.output_weight.shape[2:]:
            raise InputError(f"interventions: {self.label}: the source's network has other outputs.")
        # the taken ones first, in their order
        order = np.argsort(~mask, axis=1, kind="stable")[:, : max(1, counts.max(initial=0))]
        rows = np.arange(len(order))[:, None]
        more = {
            "weight": np.take_along_axis(arrays.hidden_weight, order[:, None, :], axis=2),
            "bias": arrays.hidden_bias[rows, order],
            "output": arrays.output_weight[rows, order],
            "taken": mask[rows, order],
        }
        everywhere = np.ones((len(mask), members.width), bool) & (counts > 0)[:, None]
        return Selection(everywhere, np.ones((len(mask), members.n_bits), bool), more)

    def begin(self, network: OneHiddenLayer, target: Target, data: dict[str, jax.Array]) -> OneHiddenLayer:
        """Put the neurons in, and scale output weights."""
        import jax.numpy as jnp

        from grokscope.models.networks.parameters import replaced

        del data
        w, b, u = network.hidden_weight, network.hidden_bias, network.output_weight
        weight, bias, output, taken = (target.more[name] for name in ("weight", "bias", "output", "taken"))
        size = jnp.abs(u) if u.ndim == 1 else jnp.linalg.norm(u, axis=1)
        norm = size * jnp.sqrt(jnp.sum(jnp.square(w), axis=0) + jnp.square(b))
        places = jnp.argsort(norm, stable=True)[: len(taken)]
        scaled = u * jnp.asarray(self.others, u.dtype)
        kept = taken if u.ndim == 1 else taken[:, None]
        put = jnp.where(kept, output * jnp.asarray(self.factor, u.dtype), scaled[places])
        return replaced(
            network,
            hidden_weight=w.at[:, places].set(jnp.where(taken, weight, w[:, places])),
            hidden_bias=b.at[places].set(jnp.where(taken, bias, b[places])),
            output_weight=scaled.at[places].set(put),
        )


class _SourceView:
    """A `MemberView` in which the source's networks at one moment stand in for those at the start.

    Args:
        members: the members.
        taken_at: the moment.
        width: of the source's networks.
    """

    def __init__(self, members: MemberView, taken_at: Moment, width: int) -> None:
        self._members, self._taken_at, self.width = members, taken_at, width

    def weights(self, at: Moment) -> NetworkArrays:
        return self._members.weights(self._moment(at))

    def parameters(self, at: Moment) -> dict[str, np.ndarray]:
        return self._members.parameters(self._moment(at))

    def active(self, at: Moment, flavor: Literal["predictions", "accuracy"], order: str) -> np.ndarray:
        return self._members.active(self._moment(at), flavor, order)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._members, name)

    def _moment(self, at: Moment) -> Moment:
        return self._taken_at if at == parse_moment("start") else at
