r"""An intervention in a file of its own: neurons are set back to what they were earlier (rewinding).

    grokscope branch RUN --at grokking --plugin examples/own_intervention.py \
        --set 'interventions=[{kind = "rewind", neurons = "generalizing", to = 0}]'

trains on with the generalizing neurons as they were at step 0 of RUN. Run the file itself to check it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import field_validator

from grokscope.interventions import NEURON_PARAMETERS, MemberView, NeuronIntervention, Selection, Target
from grokscope.spec.moments import parse_moment

if TYPE_CHECKING:
    import jax


class Rewind(NeuronIntervention):
    """Set the parameters of neurons back to what they were at another moment, once.

    Attributes:
        to: the moment: a step or an event of the source run, or ``start`` (of this run).
    """

    kind: Literal["rewind"] = "rewind"
    # Differs from member to member, and is resolved by `select`; so it is not part of the compiled program.
    per_member = (*NeuronIntervention.per_member, "to")

    to: int | str = "start"

    @field_validator("to", mode="after")
    @classmethod
    def _moment(cls, value: Any) -> Any:
        parse_moment(value, "interventions.to")
        return value

    def select(self, members: MemberView) -> Selection:
        """As in the base, and the parameters of that moment, arrays [member, ...] by name."""
        selection = super().select(members)
        then = members.parameters(parse_moment(self.to))
        return selection._replace(more={name: then[name] for name in NEURON_PARAMETERS})

    def begin(self, network: Any, target: Target, data: dict[str, jax.Array]) -> Any:
        """Set them back; ``target`` holds what `select` found for the member."""
        import jax.numpy as jnp

        from grokscope.models.networks.parameters import named_leaves, replaced

        del data
        now = named_leaves(network)
        masks = dict.fromkeys(NEURON_PARAMETERS, target.mask)
        if now["output_weight"].ndim > 1:  # [neuron, output]
            masks["output_weight"] = target.mask[:, None]
        back = {name: jnp.where(mask, target.more[name], now[name]) for name, mask in masks.items()}
        return replaced(network, **back)


if __name__ == "__main__":
    from grokscope.interventions.check import check_intervention

    check_intervention(Rewind(neurons=[0, 3], to=0))
    print("rewind is a valid intervention.")
