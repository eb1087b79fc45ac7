"""The learner that keeps the initial network."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

from grokscope.learners._learner import Batch, Learner, State

if TYPE_CHECKING:
    import jax

    from grokscope.spec.training_spec import TrainingSpec

__all__ = ["Still"]


class Still(Learner):
    r"""No training: every update keeps the initial network, and the optimizer is not used.

    Use it for networks that are constructed instead of trained, so that they can be stored and measured like
    those of any run, or as a null model: measures of untrained networks.

    Example:
        >>> Still().kind
        'still'
    """

    kind: Literal["still"] = "still"
    uses_training_mode = True  # nothing is trained

    def init(self, spec: TrainingSpec, key: jax.Array, data: dict[str, jax.Array]) -> State:
        """The model's network."""
        del data
        task = spec.task
        return State(network=spec.model.network(key, task.input_shape, task.n_outputs))

    def update(
        self,
        spec: TrainingSpec,
        state: State,
        batch: Batch,
        key: jax.Array,
        step: jax.Array,
        losses: Callable[[Any, Batch], jax.Array] | None = None,
    ) -> tuple[State, jax.Array]:
        """The unchanged state, and the batch's mean loss."""
        import jax.numpy as jnp

        del key, step, losses
        each = spec.loss.per_sample(state.network(batch.x), batch.y)
        weight = jnp.ones_like(each) if batch.weight is None else batch.weight
        return state, jnp.sum(each * weight) / jnp.sum(weight)

    def predictor(self, state: State) -> Any:
        """The network."""
        return state.network
