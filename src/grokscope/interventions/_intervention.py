"""The bases of all interventions: on networks, on neurons, on parameters by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, NamedTuple

from pydantic import SerializeAsAny, field_validator

from grokscope.errors import InputError
from grokscope.interventions.neurons import All, NeuronsField
from grokscope.spec.moments import check_moment
from grokscope.spec.parts import Kind, Part, resolver

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Self

    import jax
    import numpy as np

    from grokscope.interventions._members import MemberView
    from grokscope.learners import Batch
    from grokscope.spec.training_spec import TrainingSpec

__all__ = [
    "NEURON_PARAMETERS",
    "Bits",
    "Intervention",
    "InterventionField",
    "NeuronIntervention",
    "NeuronParameterIntervention",
    "ParameterIntervention",
    "Selection",
    "Target",
    "chosen_bits",
    "where_masked",
]

Bits = Literal["all", "support", "others"]
# the parameters of a one-hidden-layer network that belong to neurons; an output bias does not
NEURON_PARAMETERS = ("hidden_weight", "hidden_bias", "output_weight")


class Selection(NamedTuple):
    """The neurons and bits that an intervention acts on in each member, found before training.

    Attributes:
        mask: the neurons, bool [member, neuron]; no neurons if the network has more than one hidden layer.
        bits: the input bits whose weights are changed, bool [member, bit].
        more: further arrays [member, ...] by name (partners, groups, seeds).
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
        more: further arrays by name (partners, groups, seeds).
        step: the updates done; around an update, those done before it.
    """

    mask: Any
    bits: Any
    at: Any
    until: Any
    more: Any
    step: Any = None


class Intervention(Part):
    """A change to the network over a range of steps, as pure functions that are called inside jit.

    `begin` changes the state at step ``at``, once. `before_update` and `after_update` change the network
    around each update from there to ``until``; `sample_losses` replaces the loss of these updates. What
    `record` returns at ``at`` is kept and given to `after_update`.

    Attributes:
        name: a label; the kind if not given.
        at: when it begins: a step, ``start`` (the first step of the run or branch), or an event of the source
            run.
        until: when it ends, in the same form; the end of the run if not given, or if the event is not seen.
        per_member: names of the fields that are resolved to a `Target` for each member, and therefore not
            part of the compiled program.
    """

    group = "intervention"
    per_member: ClassVar[tuple[str, ...]] = ("name", "at", "until")
    not_identifying = ("name",)

    kind: Kind
    name: str = ""
    at: int | str = "start"
    until: int | str | None = None

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
        del spec
        return None

    def select(self, members: MemberView) -> Selection:
        """Find what to act on in each member: here all neurons and bits, if there are any."""
        import numpy as np

        count = len(members.seeds)
        return Selection(np.ones((count, members.width), bool), np.ones((count, members.n_bits), bool), {})

    def without_member_values(self) -> Self:
        """Strip the values that differ from member to member; used as the compile key."""
        reset = {name: type(self).model_fields[name].default for name in self.per_member}
        numbers = [name for name in self.traced if getattr(self, name) is not None]
        return self.model_copy(update=reset | dict.fromkeys(numbers, 1.0))

    # --- inside jit, for one member ---

    def begin(self, network: Any, target: Target, data: dict[str, jax.Array]) -> Any:
        """Change the network once, at step ``at``."""
        del target, data
        return network

    def record(self, network: Any, target: Target) -> Any:
        """Values of the network at step ``at`` that `after_update` needs: an array, or ()."""
        del network, target
        return ()

    def before_update(self, network: Any, target: Target) -> Any:
        """Transform the network before the update; `after_update` transforms it back."""
        del target
        return network

    def after_update(self, before: Any, network: Any, target: Target, recorded: Any) -> Any:
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
        network: Any,
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


class NeuronIntervention(Intervention):
    """An intervention on some neurons of a one-hidden-layer network.

    Attributes:
        neurons: the set of neurons to act on.
    """

    per_member = (*Intervention.per_member, "neurons")

    neurons: NeuronsField = All()

    def missing(self, spec: TrainingSpec) -> str | None:
        """As in the base; the network must also have exactly one hidden layer."""
        if not spec.model.has_one_hidden_layer:
            return f"{self.label} needs a one-hidden-layer network, not '{spec.model.kind}'"
        return super().missing(spec)

    def select(self, members: MemberView) -> Selection:
        """Find the neurons."""
        return super().select(members)._replace(mask=self.neurons.find(members))


class ParameterIntervention(Intervention):
    """An intervention on some parameters of any network, by name.

    Attributes:
        parameters: names of parameters, as in ``Run.networks``, or patterns such as ``blocks.*``; by default
            all.
    """

    parameters: tuple[str, ...] | None = None

    @field_validator("parameters", mode="after")
    @classmethod
    def _some(cls, value: Any) -> Any:
        if value is not None and (not value or len(set(value)) != len(value)):
            raise ValueError("name at least one parameter, and none twice")
        return value

    def missing(self, spec: TrainingSpec) -> str | None:
        """As in the base; the named parameters must also exist."""
        if self.parameters is not None:
            from grokscope.models.networks.parameters import parameter_shapes

            try:
                self.chosen(parameter_shapes(spec.model, spec.task.input_shape, spec.task.n_outputs))
            except InputError as error:
                return f"{self.label}: parameters: {str(error).removesuffix('.')}"
        return super().missing(spec)

    def chosen(self, names: Iterable[str]) -> list[str]:
        """The chosen ones of a network's parameters.

        Raises:
            InputError: if a name or pattern matches none; the message lists the network's parameters.
        """
        from grokscope.models.networks.parameters import matching_names

        return list(names) if self.parameters is None else matching_names(self.parameters, names)

    def chosen_leaves(self, network: Any) -> dict[str, jax.Array]:
        """The chosen parameters of a network by name. Inside jit."""
        from grokscope.models.networks.parameters import named_leaves

        leaves = named_leaves(network)
        return {name: leaves[name] for name in self.chosen(leaves)}


class NeuronParameterIntervention(NeuronIntervention, ParameterIntervention):
    """An intervention on parameters of any network, or of some neurons of a one-hidden-layer network.

    Attributes:
        neurons: the set of neurons to act on; another set than ``all`` needs a one-hidden-layer network.
        bits: the input bits whose weights are changed: ``all``, ``support`` (the hidden bits of the task),
            ``others`` (all but the support), or a list.
        parameters: names of parameters, as in ``Run.networks``, or patterns such as ``blocks.*``. By default
            all; of a one-hidden-layer network all of the neurons, or only ``hidden_weight`` if ``bits`` is
            not ``all``.
        usual: the parameters of a one-hidden-layer network that are changed by default.
    """

    per_member = (*NeuronIntervention.per_member, "bits")
    usual: ClassVar[tuple[str, ...]] = NEURON_PARAMETERS

    bits: Bits | tuple[int, ...] = "all"

    def missing(self, spec: TrainingSpec) -> str | None:
        """As for parameters; neurons and bits also need a network with exactly one hidden layer."""
        some = self.bits != "all" or not isinstance(self.neurons, All)
        if some and not spec.model.has_one_hidden_layer:
            return (
                f"{self.label}: neurons and bits need a one-hidden-layer network, not '{spec.model.kind}'; "
                "name parameters instead"
            )
        if (lack := ParameterIntervention.missing(self, spec)) is not None:
            return lack
        if (
            some
            and self.parameters is not None
            and self.chosen([*NEURON_PARAMETERS, "output_bias"]) == ["output_bias"]
        ):
            return f"{self.label}: output_bias belongs to no neuron; leave neurons and bits out"
        return None

    def without_member_values(self) -> Self:
        """As in the base; the parameters that ``bits`` stands for by default stay part of the compile key."""
        changed = self.parameters if self.bits == "all" else self.parameters or ("hidden_weight",)
        return super().without_member_values().model_copy(update={"parameters": changed})

    def chosen(self, names: Iterable[str]) -> list[str]:
        """The chosen parameters."""
        listed = list(names)
        if self.parameters is None and set(listed) - {"output_bias"} == set(NEURON_PARAMETERS):
            return ["hidden_weight"] if self.bits != "all" else list(self.usual)
        return super().chosen(listed)

    def select(self, members: MemberView) -> Selection:
        """Find the neurons and the bits."""
        selection = super().select(members)
        return selection._replace(bits=chosen_bits(self.bits, selection.bits, members))

    def parameter_mask(self, network: Any, target: Target) -> Any:
        """A pytree like the network of booleans, true for each number that is changed. Inside jit."""
        import jax
        import jax.numpy as jnp

        from grokscope.models.networks.parameters import replaced

        chosen: dict[str, Any] = dict.fromkeys(self.chosen_leaves(network), jnp.ones((), bool))
        mask, bits = target.mask, target.bits
        if len(mask):  # a one-hidden-layer network
            several = network.output_weight.ndim > 1
            of_neurons: dict[str, jax.Array] = {
                "hidden_weight": bits[:, None] & mask[None, :],
                "hidden_bias": mask,
                "output_weight": mask[:, None] if several else mask,
            }
            # an output bias belongs to no neuron: it is changed with all of them
            whole = jnp.all(mask) & jnp.all(bits)
            chosen = {name: of_neurons.get(name, whole) for name in chosen}
        none = jnp.zeros((), bool)
        return replaced(jax.tree.map(lambda leaf: none, network), **chosen)


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


def where_masked(mask: Any, inside: Any, outside: Any) -> Any:
    """Select each number from the first network where the mask is true, else from the second."""
    import jax
    import jax.numpy as jnp

    return jax.tree.map(jnp.where, mask, inside, outside)
