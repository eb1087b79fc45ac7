"""The base of all learners, and their state."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, NamedTuple

from pydantic import SerializeAsAny

from grokscope.spec.parts import Kind, Part, resolver

if TYPE_CHECKING:
    import jax

    from grokscope.spec.training_spec import TrainingSpec

__all__ = ["Batch", "Learner", "LearnerField", "State"]


class State(NamedTuple):
    """The state of a learner between updates; a pytree.

    A checkpoint holds all of it; a snapshot holds the part that `Learner.predictor` needs. Random keys are
    not part of it: they are functions of stream seed and step.

    Attributes:
        network: the predictor, a pytree of arrays (an equinox module for gradient learners).
        model_state: state of the model besides its parameters (running statistics), or ().
        optimizer_state: the optimizer's state, or ().
        masks: None, or a pytree like ``network`` of 0/1 factors; parameters with factor 0 act and train as 0.
    """

    network: Any
    model_state: Any = ()
    optimizer_state: Any = ()
    masks: Any = None


class Batch(NamedTuple):
    """The samples of one update.

    Attributes:
        x: inputs [sample, *input].
        y: labels [sample].
        weight: None, or [sample]: 1 for a sample, 0 for padding (in the last, smaller batch of an epoch).
    """

    x: Any
    y: Any
    weight: Any = None


class Learner(Part):
    """How a state is initialized, updated and used to predict. Pure functions, called inside jit.

    Attributes:
        trains: whether it trains; if not, its networks come from elsewhere and a run cannot be replayed.
    """

    group = "learner"
    trains: ClassVar[bool] = True

    kind: Kind

    def init(self, spec: TrainingSpec, key: jax.Array, data: dict[str, jax.Array]) -> State:
        """The state before the first update."""
        raise NotImplementedError

    def update(
        self,
        spec: TrainingSpec,
        state: State,
        batch: Batch,
        key: jax.Array,
        step: jax.Array,
        losses: Callable[[Any, Batch], jax.Array] | None = None,
    ) -> tuple[State, jax.Array]:
        """The state after one update with a batch, and the batch's loss before the update (a scalar).

        Args:
            spec: the experiment.
            state: the state before the update.
            batch: the samples.
            key: random key of this update.
            step: number of updates done before.
            losses: replaces the experiment's loss: the losses [sample] of a predictor on a batch.
        """
        raise NotImplementedError

    def predictor(self, state: State) -> Any:
        """The network with masks applied, as a function from inputs [sample, *input] to outputs."""
        raise NotImplementedError


LearnerField = Annotated[SerializeAsAny[Learner], resolver(Learner)]
