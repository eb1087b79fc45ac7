"""The base of all interventions, and of those on some parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, NamedTuple

from pydantic import SerializeAsAny, field_validator

from grokscope.errors import InputError
from grokscope.interventions.neurons import All, NeuronsField
from grokscope.spec.moments import check_moment, parse_moment
from grokscope.spec.parts import Part, resolver

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

    import jax
    import numpy as np

    from grokscope.interventions._members import MemberView
    from grokscope.learners import Batch
    from grokscope.models.networks.one_hidden_layer import OneHiddenLayer
    from grokscope.spec.training_spec import TrainingSpec

__all__ = ["Bits", "Intervention", "InterventionField", "ParameterIntervention", "Selection", "Target"]

Bits = Literal["all", "support", "others"]
Parameter = Literal["hidden_weight", "hidden_bias", "output_weight"]
_PARAMETERS: tuple[Parameter, ...] = ("hidden_weight", "hidden_bias", "output_weight")


class Selection(NamedTuple):
    """The neurons and bits that an intervention acts on in each member, found before training.

    Attributes:
        mask: the neurons, bool [member, neuron].
        bits: the input bits whose weights are changed, bool [member, bit].
        more: further arrays [member, ...] by name (partners, groups).
    """

    mask: np.ndarray
    bits: np.ndarray
    more: dict[str, np.ndarray]


class Target(NamedTuple):
    """The neurons, bits and steps of an intervention in one member: traced values of the compiled program.

    Attributes:
        mask: the neurons, bool [neuron].
        bits: the input bits whose weights are changed, bool [bit].
        at, until: steps (updates done). The intervention acts once on the state at ``at``, and on each update
            from there to ``until``.
        more: further arrays by name (partners, groups).
    """

    mask: Any
    bits: Any
    at: Any
    until: Any
    more: Any


class Intervention(Part):
    """A change to some neurons over a range of steps, as pure functions that are called inside jit.

    `begin` changes the state at step ``at``, once. `before_update` and `after_update` change the network
    around each update from there to ``until``; `sample_losses` replaces the loss of these updates. What
    `record` returns at ``at`` is kept and given to `after_update`.

    Attributes:
        name: a label; the kind if not given.
        at: when it begins: a step, ``start`` (the first step of the run or branch), or an event of the source
            run.
        until: when it ends, in the same form; the end of the run if not given, or if the event is not seen.
        neurons: the set of neurons to act on.
        per_member: names of the fields that are resolved to a `Target` for each member, and therefore not
            part of the compiled program.
    """

    group = "intervention"
    per_member: ClassVar[tuple[str, ...]] = ("name", "at", "until", "neurons")
    not_identifying = ("name",)

    kind: str
    name: str = ""
    at: int | str = "start"
    until: int | str | None = None
    neurons: NeuronsField = All()

    @field_validator("at", "until", mode="after")
    @classmethod
    def _moment(cls, value: Any) -> Any:
        if value is not None:
            check_moment(value, "interventions.at")
        return value

    @property
    def label(self) -> str:
        """The name, or the kind if it has none."""
        return self.name or self.kind

    @property
    def stages(self) -> frozenset[str]:
        """The methods that it overrides, of `begin`, `before_update`, `after_update` and `sample_losses`."""
        return frozenset(
            name
            for name in ("begin", "before_update", "after_update", "sample_losses")
            if getattr(type(self), name) is not getattr(Intervention, name)
        )

    def missing(self, spec: TrainingSpec) -> str | None:
        """The reason why the intervention does not apply to an experiment (one line), or None."""
        if not spec.model.has_one_hidden_layer:
            return f"{self.label} needs a one-hidden-layer network, not '{spec.model.kind}'"
        return None

    def select(self, members: MemberView) -> Selection:
        """Find the neurons and the bits to act on in each member."""
        import numpy as np

        mask = self.neurons.find(members)
        n_bits = members.weights(parse_moment("start")).hidden_weight.shape[1]
        return Selection(mask, np.ones((len(mask), n_bits), bool), {})

    def without_member_values(self) -> Self:
        """Strip the values that differ from member to member; used as the compile key."""
        reset = {name: type(self).model_fields[name].default for name in self.per_member}
        return self.model_copy(update=reset | dict.fromkeys(self.traced, 1.0))

    # --- inside jit, for one member ---

    def begin(self, network: OneHiddenLayer, target: Target, data: dict[str, jax.Array]) -> OneHiddenLayer:
        """Change the network once, at step ``at``."""
        del target, data
        return network

    def record(self, network: OneHiddenLayer, target: Target) -> Any:
        """Values of the network at step ``at`` that `after_update` needs: an array, or ()."""
        del network, target
        return ()

    def before_update(self, network: OneHiddenLayer, target: Target) -> OneHiddenLayer:
        """Transform the network before the update; `after_update` transforms it back."""
        del target
        return network

    def after_update(
        self, before: OneHiddenLayer, network: OneHiddenLayer, target: Target, recorded: Any
    ) -> OneHiddenLayer:
        """Change the network after an update.

        Args:
            before: the network before the update.
            network: the network after it.
            target: neurons, bits and steps.
            recorded: what `record` returned.
        """
        del before, target, recorded
        return network

    def sample_losses(
        self,
        per_sample: Callable[[jax.Array, jax.Array], jax.Array],
        network: OneHiddenLayer,
        batch: Batch,
        target: Target,
    ) -> jax.Array:
        """The loss of each sample that the update minimizes, [sample].

        Args:
            per_sample: the experiment's loss, of outputs and labels.
            network: the network.
            batch: its samples.
            target: neurons, bits and steps.
        """
        del target
        return per_sample(network(batch.x), batch.y)


if TYPE_CHECKING:
    InterventionField = Any  # names and tables are converted, which type checkers do not know
else:
    InterventionField = Annotated[SerializeAsAny[Intervention], resolver(Intervention)]


class ParameterIntervention(Intervention):
    """An intervention on some parameters of the neurons.

    Attributes:
        bits: the input bits whose weights are changed: ``all``, ``support`` (the hidden bits of the task),
            ``others`` (all but the support), or a list.
        parameters: the parameters to change; by default all, or only ``hidden_weight`` if ``bits`` is not
            ``all``.
    """

    per_member = (*Intervention.per_member, "bits")

    bits: Bits | tuple[int, ...] = "all"
    parameters: tuple[Parameter, ...] | None = None

    @field_validator("parameters", mode="after")
    @classmethod
    def _some(cls, value: Any) -> Any:
        if value is not None and (not value or len(set(value)) != len(value)):
            raise ValueError(f"name each of {', '.join(_PARAMETERS)} at most once, and at least one")
        return value

    def without_member_values(self) -> Self:
        """As in the base; the changed parameters stay part of the compile key."""
        return super().without_member_values().model_copy(update={"parameters": self.changed})

    @property
    def changed(self) -> tuple[Parameter, ...]:
        """The parameters that are changed."""
        if self.parameters is not None:
            return self.parameters
        return _PARAMETERS if self.bits == "all" else ("hidden_weight",)

    def select(self, members: MemberView) -> Selection:
        """Find the neurons and the bits."""
        selection = super().select(members)
        return selection._replace(bits=chosen_bits(self.bits, selection.bits, members))

    def parameter_mask(self, network: OneHiddenLayer, target: Target) -> OneHiddenLayer:
        """A network of booleans, true for each number that is changed. Inside jit."""
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
        unchanged = jax.tree.map(lambda leaf: none, network)  # an output bias belongs to no neuron
        return replace_arrays(unchanged, **{name: chosen[name] for name in self.changed})


def chosen_bits(bits: Bits | tuple[int, ...], every: np.ndarray, members: MemberView) -> np.ndarray:
    """The chosen input bits, bool [member, bit].

    Args:
        bits: the value of the spec.
        every: an array of that shape.
        members: the members.

    Raises:
        InputError: if a bit does not exist, or the task does not know its hidden bits.
    """
    if bits == "all":
        return every
    if bits == "support":
        return members.support()
    if bits == "others":
        return ~members.support()
    count = every.shape[1]
    if wrong := [bit for bit in bits if not 0 <= bit < count]:
        raise InputError(f"interventions.bits: {wrong[0]} is not one of the {count} bits 0..{count - 1}.")
    chosen = every & False
    chosen[:, list(bits)] = True
    return chosen


def replace_arrays(network: OneHiddenLayer, **arrays: Any) -> OneHiddenLayer:
    """A copy of the network with some arrays replaced; they may have any type, also bool."""
    import jax

    # through the tree: the class checks that its fields hold numbers of the right shape
    paths, structure = jax.tree_util.tree_flatten_with_path(network)
    names = [path[-1].name for path, _ in paths]
    return jax.tree_util.tree_unflatten(
        structure, [arrays.get(name, leaf) for name, (_, leaf) in zip(names, paths, strict=True)]
    )


def where_masked(mask: OneHiddenLayer, inside: OneHiddenLayer, outside: OneHiddenLayer) -> OneHiddenLayer:
    """Select each number from the first network where the mask is true, else from the second."""
    import jax
    import jax.numpy as jnp

    return jax.tree.map(jnp.where, mask, inside, outside)
