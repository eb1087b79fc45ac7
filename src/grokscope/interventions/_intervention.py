"""The base of all interventions, and what of one differs from member to member."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple

from pydantic import field_validator

from grokscope.errors import InputError
from grokscope.interventions._select import NeuronsField
from grokscope.interventions.neurons import All
from grokscope.spec.moments import parse_moment
from grokscope.spec.parts import Part

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

    import jax
    import numpy as np

    from grokscope.experiment import Experiment
    from grokscope.interventions._look import Look
    from grokscope.learners import Batch
    from grokscope.models.networks.one_hidden_layer import OneHiddenLayer

__all__ = ["Bits", "Intervention", "OnParameters", "Target"]

Bits = Literal["all", "support", "others"]
Parameter = Literal["hidden_weight", "hidden_bias", "output_weight"]
_PARAMETERS: tuple[Parameter, ...] = ("hidden_weight", "hidden_bias", "output_weight")


class Target(NamedTuple):
    """On what and when an intervention acts in one member: values of the compiled program.

    Attributes:
        mask: the neurons, bool [neuron].
        bits: the input bits whose weights are meant, bool [bit].
        at, until: steps (updates done): it acts on the state at ``at`` and on the updates from there to
            ``until``.
        more: what a kind needs besides (partners, groups), arrays by name.
    """

    mask: Any
    bits: Any
    at: Any
    until: Any
    more: Any


class Intervention(Part):
    """What is done to some neurons from a moment on: pure functions, called inside jit.

    `begin` changes the state at the step ``at``, once; `after` corrects the outcome of every update from
    there to ``until``. What is kept for later (norms at the start, say) is the memory.

    Attributes:
        name: a label; the kind if not given.
        at: from when: a step, ``start`` (of the run or branch), or an event of the source run.
        until: until when; left out: to the end. An event that does not come: to the end.
        neurons: on which neurons.
        per_member: names of the fields that are not part of the compiled program, because they are resolved
            to a `Target`.
    """

    group: ClassVar[str] = "intervention"
    per_member: ClassVar[tuple[str, ...]] = ("name", "at", "until", "neurons")
    not_identifying: ClassVar[tuple[str, ...]] = ("name",)

    kind: str
    name: str = ""
    at: int | str = "start"
    until: int | str | None = None
    neurons: NeuronsField = All()

    @field_validator("at", "until", mode="after")
    @classmethod
    def _moment(cls, value: Any) -> Any:
        if value is not None:
            parse_moment(value, "interventions.at")
        return value

    @property
    def label(self) -> str:
        """What to call it."""
        return self.name or self.kind

    @property
    def stages(self) -> frozenset[str]:
        """When it does something: of ``begin``, ``after``, ``enter`` and ``losses`` those it defines."""
        return frozenset(
            name
            for name in ("begin", "after", "enter", "losses")
            if getattr(type(self), name) is not getattr(Intervention, name)
        )

    def missing(self, experiment: Experiment) -> str | None:
        """What it needs and the experiment lacks (one line), or None."""
        if not experiment.model.has_one_hidden_layer:
            return f"{self.label} needs a one-hidden-layer network, not '{experiment.model.kind}'"
        return None

    def find(self, look: Look) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
        """Which neurons, which bits, and what else: bool [member, neuron], [member, bit], arrays by name."""
        import numpy as np

        mask = self.neurons.find(look)
        n_bits = look.weights(parse_moment("start")).hidden_weight.shape[1]
        return mask, np.ones((len(mask), n_bits), bool), {}

    def as_program(self) -> Self:
        """The intervention without what differs from member to member, as a key of compiled programs."""
        reset = {name: type(self).model_fields[name].default for name in self.per_member}
        return self.model_copy(update=reset | dict.fromkeys(self.traced, 1.0))

    # --- inside jit, for one member ---

    def begin(self, network: OneHiddenLayer, target: Target, data: dict[str, jax.Array]) -> OneHiddenLayer:
        """The network when the intervention begins."""
        del target, data
        return network

    def remember(self, network: OneHiddenLayer, target: Target) -> Any:
        """What is kept of the network as it is when the intervention begins: an array, or ()."""
        del network, target
        return ()

    def after(
        self, before: OneHiddenLayer, network: OneHiddenLayer, target: Target, memory: Any
    ) -> OneHiddenLayer:
        """The network after an update, from what it was before the update and what the update made of it."""
        del before, target, memory
        return network

    def enter(self, network: OneHiddenLayer, target: Target) -> OneHiddenLayer:
        """The network as the update is to see it (`after` leads back)."""
        del target
        return network

    def losses(
        self,
        per_sample: Callable[[jax.Array, jax.Array], jax.Array],
        network: OneHiddenLayer,
        batch: Batch,
        target: Target,
    ) -> jax.Array:
        """The loss of each sample as the update is to see it."""
        del target
        return per_sample(network(batch.x), batch.y)


class OnParameters(Intervention):
    """An intervention on some parameters of the neurons.

    Attributes:
        bits: which input bits' weights: ``all``, ``support`` (the hidden bits of the task), ``others``, or a
            list.
        parameters: which parameters; all of them if not given, but only the weights where bits are chosen.
    """

    per_member: ClassVar[tuple[str, ...]] = (*Intervention.per_member, "bits")

    bits: Bits | tuple[int, ...] = "all"
    parameters: tuple[Parameter, ...] | None = None

    @field_validator("parameters", mode="after")
    @classmethod
    def _some(cls, value: Any) -> Any:
        if value is not None and (not value or len(set(value)) != len(value)):
            raise ValueError(f"name each of {', '.join(_PARAMETERS)} at most once, and at least one")
        return value

    def as_program(self) -> Self:
        """What differs between members is left out; which parameters are changed is not."""
        return super().as_program().model_copy(update={"parameters": self.changed})

    @property
    def changed(self) -> tuple[Parameter, ...]:
        """The parameters that are changed."""
        if self.parameters is not None:
            return self.parameters
        return _PARAMETERS if self.bits == "all" else ("hidden_weight",)

    def find(self, look: Look) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
        """Neurons and bits."""
        mask, every, more = super().find(look)
        return mask, chosen_bits(self.bits, every, look), more

    def where(self, network: OneHiddenLayer, target: Target) -> OneHiddenLayer:
        """A network of booleans: which numbers are meant. Inside jit."""
        return selection(network, target, self.changed)


def chosen_bits(bits: Bits | tuple[int, ...], every: np.ndarray, look: Look) -> np.ndarray:
    """The bits that are meant, bool [member, bit].

    Raises:
        InputError: if a bit does not exist, or the task does not know its hidden bits.
    """
    if bits == "all":
        return every
    if bits == "support":
        return look.support()
    if bits == "others":
        return ~look.support()
    count = every.shape[1]
    if wrong := [bit for bit in bits if not 0 <= bit < count]:
        raise InputError(f"interventions.bits: {wrong[0]} is not one of the {count} bits 0..{count - 1}.")
    chosen = every & False
    chosen[:, list(bits)] = True
    return chosen


def selection(network: OneHiddenLayer, target: Target, parameters: tuple[Parameter, ...]) -> OneHiddenLayer:
    """Which numbers of a network the parameters of the target's neurons (and bits) are."""
    import jax
    import jax.numpy as jnp

    mask, bits = target.mask, target.bits
    several = network.output_weight.ndim > 1
    chosen: dict[str, jax.Array] = {
        "hidden_weight": bits[:, None] & mask[None, :],
        "hidden_bias": mask,
        "output_weight": mask[:, None] if several else mask,
    }
    none = jnp.zeros((), bool)
    nowhere = jax.tree.map(lambda leaf: none, network)  # an output bias belongs to no neuron
    return network_of(nowhere, **{name: chosen[name] for name in parameters})


def network_of(like: OneHiddenLayer, **arrays: Any) -> OneHiddenLayer:
    """A network like another with some other arrays (of any kind: also booleans)."""
    import jax

    # by way of the tree: the class checks that its fields hold numbers of the right shape
    paths, structure = jax.tree_util.tree_flatten_with_path(like)
    names = [path[-1].name for path, _ in paths]
    return jax.tree_util.tree_unflatten(
        structure, [arrays.get(name, leaf) for name, (_, leaf) in zip(names, paths, strict=True)]
    )


def chosen_of(where: OneHiddenLayer, there: OneHiddenLayer, elsewhere: OneHiddenLayer) -> OneHiddenLayer:
    """Numbers of one network where chosen, of the other elsewhere."""
    import jax
    import jax.numpy as jnp

    return jax.tree.map(jnp.where, where, there, elsewhere)
