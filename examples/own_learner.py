"""A learner without a network, in a file of its own: kernel ridge regression by gradient descent.

    grokscope train SPEC.toml --plugin examples/own_learner.py --seeds 5

with a SPEC.toml that says ``epochs = 300``, ``batch_size = "full"``, ``task = "sparse_parity"``,
``loss = "squared"`` and ``learner = "kernel_ridge"``. The predictor carries the training samples of its
member. Run the file itself to check it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
from pydantic import Field

from grokscope.learners import Batch, Learner, State


class KernelMachine(NamedTuple):
    """f(x) = sum_i alpha_i k(x_i, x) with the Gaussian kernel k.

    Attributes:
        alpha: dual variables, [training sample], or [training sample, output].
        x: training inputs, [training sample, *input].
    """

    alpha: jax.Array
    x: jax.Array

    def __call__(self, x: jax.Array) -> jax.Array:
        """Outputs of inputs [sample, *input]."""
        rows, ours = x.reshape(len(x), -1), self.x.reshape(len(self.x), -1)
        distance = jnp.sum(jnp.square(rows[:, None, :] - ours[None, :, :]), axis=-1)
        return jnp.exp(-distance / rows.shape[1]) @ self.alpha


class KernelRidge(Learner):
    r"""Gradient descent on the dual variables.

    $\alpha \leftarrow \alpha - \eta\,(K\alpha + \lambda\alpha - y)$.

    Every update uses the whole training set; its batch is only used for the loss.

    Attributes:
        rate: $\eta$.
        ridge: $\lambda$.
    """

    kind: Literal["kernel_ridge"] = "kernel_ridge"
    uses_model = False
    uses_optimizer = False

    rate: float = Field(default=0.1, gt=0.0)
    ridge: float = Field(default=0.01, ge=0.0)

    def init(self, spec: Any, key: jax.Array, data: dict[str, jax.Array]) -> State:
        """All dual variables 0; the labels are kept in the state."""
        del spec, key
        x, y = data["train_x"], data["train_y"]
        return State(network=KernelMachine(jnp.zeros(y.shape, x.dtype), x), model_state=y)

    def update(
        self,
        spec: Any,
        state: State,
        batch: Batch,
        key: jax.Array,
        step: jax.Array,
        losses: Callable[[Any, Batch], jax.Array] | None = None,
    ) -> tuple[State, jax.Array]:
        """One step of gradient descent, and the mean loss of the batch before it."""
        del key, step, losses
        machine = state.network
        each = spec.loss.per_sample(machine(batch.x), batch.y)
        weight = jnp.ones_like(each) if batch.weight is None else batch.weight
        residual = machine(machine.x) + self.ridge * machine.alpha - state.model_state
        moved = machine._replace(alpha=machine.alpha - self.rate * residual)
        return state._replace(network=moved), jnp.sum(each * weight) / jnp.sum(weight)

    def predictor(self, state: State) -> KernelMachine:
        """The kernel machine."""
        return state.network


if __name__ == "__main__":
    from grokscope.learners.check import check_learner

    check_learner(KernelRidge())
    print("kernel_ridge is a valid learner.")
