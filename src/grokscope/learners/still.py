"""The learner that learns nothing: the network stays as it was made."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

from grokscope.learners._learner import Batch, Learner, State

if TYPE_CHECKING:
    import jax

    from grokscope.experiment import Experiment

__all__ = ["Still"]


class Still(Learner):
    r"""$\theta \leftarrow \theta$: the model's network as it is made, whatever optimizer the spec names.

    For networks that are constructed, not trained, so that they can be stored, measured and read like any
    run; and as a null: what a measure says of networks that have learned nothing.

    Example:
        >>> Still().kind
        'still'
    """

    kind: Literal["still"] = "still"

    def init(self, experiment: Experiment, key: jax.Array, data: dict[str, jax.Array]) -> State:
        """The network, and nothing else."""
        del data
        task = experiment.task
        return State(network=experiment.model.network(key, task.input_shape, task.n_outputs))

    def update(
        self,
        experiment: Experiment,
        state: State,
        batch: Batch,
        key: jax.Array,
        step: jax.Array,
        losses: Callable[[Any, Batch], jax.Array] | None = None,
    ) -> tuple[State, jax.Array]:
        """The same state, and the batch's mean loss."""
        import jax.numpy as jnp

        del key, step, losses
        each = experiment.loss.per_sample(state.network(batch.x), batch.y)
        weight = jnp.ones_like(each) if batch.weight is None else batch.weight
        return state, jnp.sum(each * weight) / jnp.sum(weight)

    def predictor(self, state: State) -> Any:
        """The network."""
        return state.network
