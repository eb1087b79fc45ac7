"""Gradient descent of a linear model in the span of its training inputs: for many inputs and few samples."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

from grokscope.learners._learner import Batch, Learner, State
from grokscope.learners._linear import first_missing, inputs_and_start
from grokscope.optimizers.sgd import SGD

if TYPE_CHECKING:
    import jax

    from grokscope.spec.training_spec import TrainingSpec

__all__ = ["LinearSpan"]


class LinearSpan(Learner):
    r"""Full-batch gradient descent of a linear model, by one coefficient for each training sample.

    A gradient of the training loss lies in the span of the N training inputs, so that at each step

    $$W = c\, W_0 + X^\top A, \qquad f(X) = c\, X W_0 + K A, \qquad K = X X^\top,$$

    and the optimizer moves A [sample, output] by the gradient $\partial \bar L / \partial f(X)$, and c, which
    is 1 at the start, by the gradient 0: weight decay, momentum and rate act on both. These are the same
    numbers as those of the learner ``gradient``, up to rounding. A step costs some $2 N^2 m$ operations for m
    outputs, in place of $4 N d m$ for d inputs: use it where d is larger than N. K is computed once for each
    member.

    It is for the model ``linear`` with one matrix, any loss, the full batch, and ``sgd``; there is no penalty
    and there are no interventions. The state holds X, K and $W_0$; measures and stored networks see W, which
    costs $2 N d m$ operations at each point of the schedule: give a sparse one, such as ``"log 16"``, for the
    slow measures, too.

    Source: the representer theorem, for the iterates of gradient descent in place of the minimum (Kimeldorf,
        Wahba 1971, J. Math. Anal. Appl. 33).

    Example:
        >>> from grokscope import Experiment
        >>> task = {"kind": "gaussian_teacher", "d": 5000, "n_train": 50}
        >>> spec = Experiment(task=task, model="linear", loss="squared", batch_size="full",
        ...                   optimizer="sgd", learner="linear_span", steps=1000)
        >>> spec.learner.update_flops(spec) < 4 * 50 * 5000
        True
    """

    kind: Literal["linear_span"] = "linear_span"

    def missing(self, spec: TrainingSpec) -> str | None:
        """Everything but a linear model by full-batch descent is refused."""
        return first_missing(spec, {"optimizer 'sgd'": isinstance(spec.optimizer, SGD)})

    def update_flops(self, spec: TrainingSpec) -> float:
        """Of the product of K and A."""
        return 2.0 * spec.task.n_train**2 * spec.task.n_outputs

    def init(self, spec: TrainingSpec, key: jax.Array, data: dict[str, jax.Array]) -> State:
        """A new network of the model, with A = 0 and c = 1; the labels are kept in the state."""
        import jax.numpy as jnp

        from grokscope.models.networks.linear_network import SpanOfInputs

        x, weight = inputs_and_start(spec, key, data)
        coefficients = jnp.zeros((len(x), weight.shape[1]), weight.dtype)
        factor = jnp.ones((), weight.dtype)
        network = SpanOfInputs(x, x @ x.T, weight, x @ weight, coefficients, factor, spec.model.bias)
        begun = spec.optimizer.whole_transform(spec.n_steps).init((coefficients, factor))
        return State(network, model_state=data["train_y"], optimizer_state=begun)

    def update(
        self,
        spec: TrainingSpec,
        state: State,
        batch: Batch,
        key: jax.Array,
        step: jax.Array,
        losses: Callable[[Any, Batch], jax.Array] | None = None,
    ) -> tuple[State, jax.Array]:
        """One step of A and c; the loss is that of the training split."""
        import equinox as eqx
        import jax
        import jax.numpy as jnp
        import optax

        del batch, key, step, losses  # K is that of the whole split; interventions are refused
        span, y = state.network, state.model_state

        def mean_loss(outputs: jax.Array) -> jax.Array:
            seen = outputs[:, 0] if spec.task.n_outputs == 1 else outputs
            return jnp.mean(spec.loss.per_sample(seen, y))

        outputs = span.factor * span.start_outputs + span.gram @ span.coefficients
        loss, gradient = jax.value_and_grad(mean_loss)(outputs)
        moving = (span.coefficients, span.factor)
        updates, optimizer_state = spec.optimizer.whole_transform(spec.n_steps).update(
            (gradient, jnp.zeros_like(span.factor)), state.optimizer_state, moving
        )
        moved = eqx.tree_at(lambda s: (s.coefficients, s.factor), span, optax.apply_updates(moving, updates))
        return state._replace(network=moved, optimizer_state=optimizer_state), loss

    def predictor(self, state: State) -> Any:
        """The network of the model."""
        return state.network.network
