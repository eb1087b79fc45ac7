"""A learner without a network: kernel ridge regression, whose predictor carries the training samples."""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp

from grokscope.learners import Batch, Learner, State


class KernelMachine(NamedTuple):
    """f(x) = sum_i alpha_i k(x_i, x) with the Gaussian kernel."""

    alpha: jax.Array
    x: jax.Array

    def kernel(self, x: jax.Array) -> jax.Array:
        distance = jnp.sum(jnp.square(x[:, None, :] - self.x[None, :, :]), axis=-1)
        return jnp.exp(-distance / x.shape[1])

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.kernel(x) @ self.alpha


class KernelRidge(Learner):
    """Gradient descent on the dual variables of kernel ridge regression."""

    kind: Literal["kernel_ridge"] = "kernel_ridge"
    uses_model = False
    uses_optimizer = False

    rate: float = 0.1
    ridge: float = 0.01

    def init(self, spec: Any, key: jax.Array, data: dict[str, jax.Array]) -> State:
        x = data["train_x"]
        y = data["train_y"]
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
        machine = state.network
        loss = jnp.mean(spec.loss.per_sample(machine(batch.x), batch.y))
        residual = machine(machine.x) + self.ridge * machine.alpha - state.model_state
        return state._replace(network=machine._replace(alpha=machine.alpha - self.rate * residual)), loss

    def predictor(self, state: State) -> KernelMachine:
        return state.network
