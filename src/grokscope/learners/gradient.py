"""The gradient learner: a model trained on a loss by an optimizer."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

from grokscope.learners._learner import Batch, Learner, State

if TYPE_CHECKING:
    import jax

    from grokscope.experiment import Experiment

__all__ = ["Gradient"]


class Gradient(Learner):
    r"""Minimize the mean loss of a batch.

    $\theta \leftarrow \theta + \mathrm{optimizer}(\nabla_\theta \bar L)$.

    The experiment's tables ``model``, ``loss`` and ``optimizer`` say of what.

    Example:
        >>> Gradient().kind
        'gradient'
    """

    kind: Literal["gradient"] = "gradient"

    def init(self, experiment: Experiment, key: jax.Array, data: dict[str, jax.Array]) -> State:
        """A fresh network and optimizer state."""
        del data
        task = experiment.task
        network = experiment.model.network(key, task.input_shape, task.n_outputs)
        optimizer = experiment.optimizer.transform(experiment.n_steps)
        return State(network=network, optimizer_state=optimizer.init(network))

    def update(
        self,
        experiment: Experiment,
        state: State,
        batch: Batch,
        key: jax.Array,
        step: jax.Array,
        losses: Callable[[Any, Batch], jax.Array] | None = None,
    ) -> tuple[State, jax.Array]:
        """One optimizer step on the mean loss over the batch's (unpadded) samples."""
        import jax
        import jax.numpy as jnp
        import optax

        del key, step  # this learner draws nothing; the optimizer counts its own steps

        def mean_loss(network: Any) -> jax.Array:
            predictor = self.predictor(state._replace(network=network))
            if losses is not None:
                each = losses(predictor, batch)
            else:
                each = experiment.loss.per_sample(predictor(batch.x), batch.y)
            if batch.weight is None:
                return jnp.mean(each)
            return jnp.sum(each * batch.weight) / jnp.sum(batch.weight)

        loss, gradient = jax.value_and_grad(mean_loss)(state.network)
        optimizer = experiment.optimizer.transform(experiment.n_steps)
        updates, optimizer_state = optimizer.update(gradient, state.optimizer_state, state.network)
        network = optax.apply_updates(state.network, updates)
        return state._replace(network=network, optimizer_state=optimizer_state), loss

    def predictor(self, state: State) -> Any:
        """The network with its masks multiplied in."""
        import jax

        if state.masks is None:
            return state.network
        return jax.tree.map(lambda leaf, mask: leaf * mask, state.network, state.masks)
