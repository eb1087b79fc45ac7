"""The gradient learner: a model trained on a loss by an optimizer."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

from grokscope.learners._learner import Batch, Learner, State
from grokscope.losses import NoPenalty

if TYPE_CHECKING:
    import jax

    from grokscope.spec.training_spec import TrainingSpec

__all__ = ["Gradient"]


class Gradient(Learner):
    r"""Gradient-based training: minimize the mean loss of each batch, plus the penalty.

    $\theta \leftarrow \theta + \mathrm{optimizer}(\nabla_\theta (\bar L + R))$.

    The model, the loss, the penalty R (none by default) and the optimizer are the experiment's.

    Example:
        >>> Gradient().kind
        'gradient'
    """

    kind: Literal["gradient"] = "gradient"
    uses_training_mode = True
    uses_penalty = True

    def init(self, spec: TrainingSpec, key: jax.Array, data: dict[str, jax.Array]) -> State:
        """A new network and optimizer state."""
        from grokscope.models.networks.training import split

        del data
        task = spec.task
        network, model_state = split(spec.model.network(key, task.input_shape, task.n_outputs))
        optimizer = spec.optimizer.whole_transform(spec.n_steps)
        return State(network, model_state, optimizer.init(network))

    def update(
        self,
        spec: TrainingSpec,
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

        del step  # the optimizer counts its own steps

        def mean_loss(network: Any) -> jax.Array:
            predictor = self.predictor(state._replace(network=network))
            predictor = spec.model.in_training(predictor, batch, key)
            if losses is not None:
                each = losses(predictor, batch)
            else:
                each = spec.loss.per_sample(predictor(batch.x), batch.y)
            if batch.weight is None:
                return jnp.mean(each)
            return jnp.sum(each * batch.weight) / jnp.sum(batch.weight)

        def objective(network: Any) -> tuple[jax.Array, jax.Array]:
            loss = mean_loss(network)
            parameters = self.predictor(state._replace(network=network, model_state=()))
            return loss + spec.penalty(parameters), loss

        if spec.penalty is None or isinstance(spec.penalty, NoPenalty):
            loss, gradient = jax.value_and_grad(mean_loss)(state.network)
        else:
            (_, loss), gradient = jax.value_and_grad(objective, has_aux=True)(state.network)
        optimizer = spec.optimizer.whole_transform(spec.n_steps)
        updates, optimizer_state = optimizer.update(gradient, state.optimizer_state, state.network)
        network = optax.apply_updates(state.network, updates)
        model_state = state.model_state
        if not isinstance(model_state, tuple):  # () without one
            model_state = spec.model.next_state(self.predictor(state), batch, key)
        return state._replace(network=network, model_state=model_state, optimizer_state=optimizer_state), loss

    def predictor(self, state: State) -> Any:
        """The network times its masks, with its state."""
        import jax

        from grokscope.models.networks.training import joined

        network = state.network
        if state.masks is not None:
            network = jax.tree.map(lambda leaf, mask: leaf * mask, network, state.masks)
        return joined(network, state.model_state)
