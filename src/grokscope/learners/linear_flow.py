"""Gradient flow of linear regression, exactly, in the eigenbasis of the data."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

from grokscope.learners._learner import Batch, Learner, State
from grokscope.learners._linear import first_missing, inputs_and_start
from grokscope.optimizers.rate_schedules import Constant
from grokscope.optimizers.sgd import SGD

if TYPE_CHECKING:
    import jax

    from grokscope.spec.training_spec import TrainingSpec

__all__ = ["LinearFlow"]


class LinearFlow(Learner):
    r"""Linear regression by gradient flow, in closed form: a step is a time $\eta$ of the flow.

    For the squared loss of the whole training split (N samples, m outputs) and weight decay $\lambda$ (the
    optimizer's), each coordinate in the eigenbasis of $\Sigma = X^\top X / N$ moves on its own. With
    $r = 2 \eta / m$ and $\kappa_k = \nu_k + m \lambda / 2$ one step is

    $$s_k \leftarrow f_k s_k + g_k b_k, \qquad f_k = e^{-r \kappa_k}, \quad g_k = (1 - f_k) / \kappa_k$$

    (continuous), or $f_k = 1 - r \kappa_k$, $g_k = r$ (discrete): one step of full-batch gradient descent,
    the same numbers as the learner ``gradient`` with ``sgd`` up to rounding. A step costs some d m operations
    in place of the N d m of a gradient; the basis is computed once for each member.

    It is for the model ``linear`` with one matrix, the loss ``squared``, the full batch, and ``sgd`` with a
    constant rate and without momentum; there is no penalty and there are no interventions. The state holds
    the basis, d by d numbers. Eigenvalues and losses span many decades: use ``precision = "float64"``.

    Attributes:
        time: ``continuous``: gradient flow; ``discrete``: gradient descent.

    Source: Levi, Beck, Bar-Sinai 2023 (arXiv 2310.16441), equations 3 to 8.

    Example:
        >>> from grokscope import Experiment
        >>> spec = Experiment(task="gaussian_teacher", model="linear", loss="squared", batch_size="full",
        ...                   optimizer="sgd", learner="linear_flow", steps=1000)
        >>> spec.learner.time
        'continuous'
    """

    kind: Literal["linear_flow"] = "linear_flow"

    time: Literal["continuous", "discrete"] = "continuous"

    def missing(self, spec: TrainingSpec) -> str | None:
        """Everything but linear regression by plain full-batch descent is refused."""
        optimizer = spec.optimizer
        return first_missing(
            spec,
            {
                "loss 'squared'": spec.loss.kind == "squared",
                "real labels or labels +-1": spec.task.label_kind != "class",
                "optimizer 'sgd' without momentum, at a constant rate": isinstance(optimizer, SGD)
                and optimizer.momentum is None
                and optimizer.schedule == Constant(),
            },
        )

    def update_flops(self, spec: TrainingSpec) -> float:
        """Some twenty operations for each coordinate; they are bound by memory, not by arithmetic."""
        return 20.0 * spec.model.n_parameters(spec.task.input_shape, spec.task.n_outputs)

    def init(self, spec: TrainingSpec, key: jax.Array, data: dict[str, jax.Array]) -> State:
        """A new network of the model, in the eigenbasis of the training inputs."""
        import jax.numpy as jnp

        from grokscope.models.networks.linear_network import EigenModes

        x, weight = inputs_and_start(spec, key, data)
        y = data["train_y"].reshape(len(x), -1).astype(weight.dtype)
        values, basis = jnp.linalg.eigh(x.T @ x / len(x))
        least = len(values) * jnp.finfo(values.dtype).eps * values[-1]
        is_seen = values > least
        values = jnp.where(is_seen, values, 0.0)
        target = jnp.where(is_seen[:, None], basis.T @ (x.T @ y) / len(x), 0.0)
        solved = jnp.where(is_seen[:, None], target / jnp.where(is_seen, values, 1.0)[:, None], 0.0)
        least_loss = jnp.mean(jnp.square(x @ (basis @ solved) - y))
        return State(EigenModes(basis, values, basis.T @ weight, target, least_loss, spec.model.bias))

    def update(
        self,
        spec: TrainingSpec,
        state: State,
        batch: Batch,
        key: jax.Array,
        step: jax.Array,
        losses: Callable[[Any, Batch], jax.Array] | None = None,
    ) -> tuple[State, jax.Array]:
        """One step of all coordinates; the loss is that of the training split."""
        import equinox as eqx
        import jax.numpy as jnp

        del batch, key, step, losses  # the basis is that of the whole split; interventions are refused
        modes = state.network
        values, s, target = modes.eigenvalues, modes.coordinates, modes.target
        n_outputs = s.shape[-1]
        gap = jnp.square(values[:, None] * s - target) / jnp.where(values > 0, values, 1.0)[:, None]
        loss = modes.least_loss + jnp.sum(gap) / n_outputs
        rate = jnp.asarray(2.0 * spec.optimizer.learning_rate / n_outputs, s.dtype)
        pull = (values + 0.5 * n_outputs * spec.optimizer.weight_decay).astype(s.dtype)
        if self.time == "continuous":
            drop = -jnp.expm1(-rate * pull)
            gain = jnp.where(pull > 0, drop / jnp.where(pull > 0, pull, 1.0), rate)
        else:
            drop, gain = rate * pull, jnp.broadcast_to(rate, pull.shape)
        moved = s - drop[:, None] * s + gain[:, None] * target
        return state._replace(network=eqx.tree_at(lambda m: m.coordinates, modes, moved)), loss

    def predictor(self, state: State) -> Any:
        """The network of the model."""
        return state.network.network
