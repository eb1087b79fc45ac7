"""The base of all learners, and the state they carry."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, NamedTuple

from pydantic import SerializeAsAny

from grokscope.spec.parts import Part, resolver

if TYPE_CHECKING:
    import jax

    from grokscope.experiment import Experiment

__all__ = ["Batch", "Learner", "LearnerField", "State"]


class State(NamedTuple):
    """What a learner carries from step to step; a pytree.

    A checkpoint holds all of it; a snapshot holds what `Learner.predict` needs: ``network`` and ``masks``.
    Randomness is not in it: keys are functions of (stream seed, step), so nothing can fall out of step.

    Attributes:
        network: the predictor, a pytree of arrays (an equinox module for gradient learners).
        model_state: what a model carries besides parameters (running statistics), or ().
        optimizer_state: the optimizer's state, or ().
        masks: None, or a pytree like ``network`` of 0/1 factors; masked parameters act and train as zero.
    """

    network: Any
    model_state: Any = ()
    optimizer_state: Any = ()
    masks: Any = None


class Batch(NamedTuple):
    """Samples of one update.

    Attributes:
        x: inputs [sample, *input].
        y: labels [sample].
        weight: None, or [sample]: 1 for a sample, 0 for padding (an epoch's last, smaller batch).
    """

    x: Any
    y: Any
    weight: Any = None


class Learner(Part):
    """How a state starts, moves with a batch, and predicts. Pure functions, called inside jit."""

    group: ClassVar[str] = "learner"
    trains: ClassVar[bool] = True  # False: its networks come from elsewhere, and cannot be made again

    kind: str

    def init(self, experiment: Experiment, key: jax.Array, data: dict[str, jax.Array]) -> State:
        """The state before the first update."""
        raise NotImplementedError

    def update(
        self,
        experiment: Experiment,
        state: State,
        batch: Batch,
        key: jax.Array,
        step: jax.Array,
        losses: Callable[[Any, Batch], jax.Array] | None = None,
    ) -> tuple[State, jax.Array]:
        """The state after one update with a batch, and the batch's loss before it (a scalar).

        Args:
            experiment: what is trained.
            state: before the update.
            batch: its samples.
            key: for what is drawn.
            step: updates done before.
            losses: instead of the experiment's loss: the loss of each sample, of a predictor and a batch.
        """
        raise NotImplementedError

    def predictor(self, state: State) -> Any:
        """The network as it predicts (masks applied): a callable [sample, *input] -> outputs."""
        raise NotImplementedError


LearnerField = Annotated[SerializeAsAny[Learner], resolver(Learner)]
