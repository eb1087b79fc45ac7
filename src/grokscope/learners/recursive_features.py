"""Recursive feature machines: kernel regression whose kernel learns features from its own gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from grokscope.errors import InputError
from grokscope.learners._learner import Batch, Learner, State

if TYPE_CHECKING:
    import jax

    from grokscope.spec.training_spec import TrainingSpec

__all__ = ["RecursiveFeatures"]


class RecursiveFeatures(Learner):
    r"""Recursive feature machine: solve kernel regression, then learn the kernel's matrix M from it.

    $f(z) = \sum_i \alpha_i k_M(x_i, z)$ with $\alpha = (K + \lambda I)^{-1} Y$ and $K_{ij} = k_M(x_i, x_j)$.
    One
    update is one iteration on the whole training set: $M \leftarrow G^s$ with the average gradient outer
    product $G = \frac1n \sum_j J_j J_j^T$, $J_j$ [input, output] the gradients of the outputs at $x_j$, and
    then
    $\alpha$ for the new M. At step 0 it is kernel regression with the first M. No network is trained, and no
    loss is descended; if $\lambda = 0$ the training set is interpolated at every step.

    | kernel | $k_M(x, z)$ |
    |---|---|
    | ``quadratic`` | $(x^T M z)^2$ |
    | ``gaussian``, ``bandwidth_as = "length"`` | $\exp(-(x-z)^T M (x-z) / (2 L^2))$ |
    | ``gaussian``, ``bandwidth_as = "scale"`` | $\exp(-(x-z)^T M (x-z) / L)$ |

    The batch of an update is used only for its loss, so ``batch_size`` does not change what is learned: give
    ``"full"``, so that an epoch is an iteration. Give ``precision = "float64"``: the linear system may be
    badly conditioned (measure ``kernel_condition``).

    Attributes:
        kernel: ``gaussian`` or ``quadratic``.
        bandwidth: L.
        bandwidth_as: how L enters the Gaussian kernel.
        power: s.
        centered: whether the mean over j is subtracted from the $J_j$ before G. The paper's equation has no
            mean; its code subtracts it, and the Gaussian kernel learns much less without that.
        ridge: $\lambda$; the system is solved by an LU factorization. Without a ridge training inputs must be
            different: two equal ones make K singular, and the member diverges.
        start: M at step 0. ``identity``; or ``random_circulant``: features for an operator that is addition
            or subtraction in some order of the residues (`grokscope.tasks.modular_operator.CyclicOrder`),
            drawn from the init stream: the square root of
            $\begin{pmatrix} A & C^T \\ C & A \end{pmatrix}$, $A = I - \frac1m 11^T$, C circulant with m
            entries uniform in [0, 1] (of subtraction: constant along anti-diagonals), negative eigenvalues
            set to 0. Fixed features of this kind are those of step 0.

    Raises:
        InputError: for ``random_circulant``, if the task has no such order.

    Source: Mallinar et al. 2024 (arXiv 2407.20199), Section 2, equations 3 and 4; ``random_circulant``:
        Section 3, Figure 4 (a map of the inputs by the fourth root; the kernel has it twice).

    Example:
        >>> from grokscope import Experiment
        >>> task = {"kind": "modular_operator", "p": 31, "operator_token": False, "equals_token": False}
        >>> experiment = Experiment(
        ...     task=task, learner="recursive_features", loss="squared", batch_size="full", epochs=30,
        ...     precision="float64",
        ... )
        >>> experiment.model.kind, experiment.n_steps
        ('none', 30)
    """

    kind: Literal["recursive_features"] = "recursive_features"
    uses_model = False
    uses_optimizer = False
    traced = ("bandwidth", "power", "ridge")

    kernel: Literal["gaussian", "quadratic"] = "gaussian"
    bandwidth: float = Field(default=2.5, gt=0.0)
    bandwidth_as: Literal["length", "scale"] = "length"
    power: float = Field(default=0.5, gt=0.0, le=2.0)
    centered: bool = True
    ridge: float = Field(default=0.0, ge=0.0)
    start: Literal["identity", "random_circulant"] = "identity"

    def missing(self, spec: TrainingSpec) -> str | None:
        """The reason why an experiment cannot have this learner (one line), or None."""
        if self.start == "random_circulant" and getattr(spec.task, "cyclic_order", None) is None:
            return (
                "needs addition, subtraction, or multiplication or division modulo a prime for "
                f"start = 'random_circulant'; task '{spec.task.kind}' is none of these"
            )
        return None

    def init(self, spec: TrainingSpec, key: jax.Array, data: dict[str, jax.Array]) -> State:
        """Kernel regression with the first M; the labels are kept in the state."""
        import jax.numpy as jnp

        from grokscope.models.networks.kernel_machine import KernelMachine

        x, y = data["train_x"], data["train_y"]
        rows = x.reshape(len(x), -1)
        targets = _targets(y, spec.task.n_outputs, rows.dtype)
        if (lack := self.missing(spec)) is not None:
            raise InputError(f"learner '{self.kind}' {lack}.")
        if self.start == "identity":
            matrix = jnp.eye(rows.shape[1], dtype=rows.dtype)
        else:
            matrix = _random_circulant(spec.task, key, rows.shape[1], rows.dtype)
        squared = 2 * self.bandwidth**2 if self.bandwidth_as == "length" else self.bandwidth
        rate = jnp.asarray(1 / squared, rows.dtype)
        machine = KernelMachine(jnp.zeros_like(targets), matrix, rows, rate, self.kernel)
        return State(machine.solved(targets, self.ridge), model_state=y)

    def update(
        self,
        spec: TrainingSpec,
        state: State,
        batch: Batch,
        key: jax.Array,
        step: jax.Array,
        losses: Callable[[Any, Batch], jax.Array] | None = None,
    ) -> tuple[State, jax.Array]:
        """One iteration, and the mean loss of the batch before it."""
        import equinox as eqx
        import jax.numpy as jnp

        from grokscope.models.networks.kernel_machine import psd_power

        del key, step
        machine = state.network
        if losses is not None:
            each = losses(machine, batch)
        else:
            each = spec.loss.per_sample(machine(batch.x), batch.y)
        weight = jnp.ones_like(each) if batch.weight is None else batch.weight
        matrix = psd_power(machine.average_gradient_outer_product(centered=self.centered), self.power)
        learned = eqx.tree_at(lambda m: m.feature_matrix, machine, matrix)
        targets = _targets(state.model_state, spec.task.n_outputs, matrix.dtype)
        solved = learned.solved(targets, self.ridge)
        return state._replace(network=solved), jnp.sum(each * weight) / jnp.sum(weight)

    def predictor(self, state: State) -> Any:
        """The kernel machine, with its training inputs."""
        return state.network


def _targets(y: jax.Array, n_outputs: int, dtype: Any) -> jax.Array:
    """Labels as real vectors [sample, output]: classes one-hot, signs as they are."""
    import jax

    if y.ndim == 1 and n_outputs > 1:
        return jax.nn.one_hot(y, n_outputs, dtype=dtype)
    return y.reshape(len(y), -1).astype(dtype)


def _random_circulant(task: Any, key: jax.Array, size: int, dtype: Any) -> jax.Array:
    import jax
    import jax.numpy as jnp
    import numpy as np

    from grokscope.models.networks.kernel_machine import psd_power

    order = task.cyclic_order
    first, second = order.places
    m = len(first)
    i = np.arange(m)
    entries = jax.random.uniform(key, (m,), dtype)
    block = entries[(i[:, None] - order.sign * i[None, :]) % m]
    own = jnp.eye(m, dtype=dtype) - 1 / m
    at = np.concatenate([first, second])
    matrix = psd_power(jnp.block([[own, block.T], [block, own]]), 0.5)
    # features of residues that are in no such order (0 of a product) are the identity
    return jnp.eye(size, dtype=dtype).at[np.ix_(at, at)].set(matrix)
