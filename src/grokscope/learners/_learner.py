"""The base of all learners, and their state."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, NamedTuple

from pydantic import SerializeAsAny

from grokscope.spec.parts import Kind, MissingPart, Part, resolver

if TYPE_CHECKING:
    import jax

    from grokscope.spec.training_spec import TrainingSpec

__all__ = ["Batch", "Learner", "LearnerField", "State", "abstract_predictor"]


class State(NamedTuple):
    """The state of a learner between updates; a pytree.

    A checkpoint holds all of it; a snapshot holds what `Learner.predictor` returns. Random keys are
    not part of it: they are functions of stream seed and step.

    Attributes:
        network: the predictor, a pytree of arrays (an equinox module for gradient learners), or what
            `Learner.predictor` makes one from.
        model_state: state of the network besides its parameters (running means), a pytree like ``network``
            with None for the parameters; or ().
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
        y: labels [sample], or real vectors [sample, output].
        weight: None, or [sample]: 1 for a sample, 0 for padding (in the last, smaller batch of an epoch).
    """

    x: Any
    y: Any
    weight: Any = None


class Learner(Part):
    """How a state is initialized, updated and used to predict. Pure functions, called inside jit.

    Attributes:
        trains: whether it trains; if not, its networks come from elsewhere and a run cannot be replayed.
        uses_model: whether its predictor is a network of the experiment's model. If not, the predictor may be
            any function that is a pytree of arrays (a kernel machine with its training samples, say); the
            experiment's model is then ``none``.
        uses_optimizer: whether it uses the experiment's optimizer. If not, a spec need not have one.
        uses_training_mode: whether it trains networks by `Model.in_training`, keeps their state
            (`Model.next_state`), and calls `Optimizer.whole_transform`. If not, a spec with dropout, batch
            normalization, ``no_decay``, ``clip_norm`` or ``perpendicular`` is refused.
        uses_penalty: whether it adds the experiment's penalty to the loss. If not, a spec with one is
            refused.
    """

    group = "learner"
    trains: ClassVar[bool] = True
    uses_model: ClassVar[bool] = True
    uses_optimizer: ClassVar[bool] = True
    uses_training_mode: ClassVar[bool] = False
    uses_penalty: ClassVar[bool] = False

    kind: Kind

    def missing(self, spec: TrainingSpec) -> str | None:
        """The reason why the learner cannot learn an experiment, such as ``needs loss 'squared'``, or None.

        A spec with such an experiment is refused with it. The experiment is the only argument: nothing else
        of it may be read than `TrainingSpec` has, but for fields that a check may lack.
        """
        del spec
        return None

    def update_flops(self, spec: TrainingSpec) -> float | None:
        """Floating-point operations of one update, for predictions of time.

        None: those of a forward and backward pass of the model over the batch.
        """
        del spec
        return None

    def init(self, spec: TrainingSpec, key: jax.Array, data: dict[str, jax.Array]) -> State:
        """The state before the first update.

        Args:
            spec: the experiment.
            key: random key of the member's init stream.
            data: the member's and the shared arrays: ``train_x``, ``train_y`` and so on.
        """
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
        """The network with masks applied, as a function from inputs [sample, *input] to outputs.

        It is a pytree of arrays, and must be made under ``jax.vmap``, too.
        """
        raise NotImplementedError


def abstract_predictor(spec: TrainingSpec) -> Any:
    """The predictor of an experiment with shapes in place of arrays; nothing is computed."""
    import jax

    task = spec.task

    def predictor(key: jax.Array) -> Any:
        # stored networks can also be read without the plug-in that defines the optimizer
        if not spec.learner.trains or isinstance(spec.optimizer, MissingPart):
            return spec.model.network(key, task.input_shape, task.n_outputs)
        data = {**task.shared_data(), **task.member_data(key, key)}
        return spec.learner.predictor(spec.learner.init(spec, key, data))

    return jax.eval_shape(predictor, jax.eval_shape(lambda: jax.random.key(0)))


LearnerField = Annotated[SerializeAsAny[Learner], resolver(Learner)]
