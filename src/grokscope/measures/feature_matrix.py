r"""What a predictor looks at: its feature matrix M, the average gradient outer product, circulant structure.

M is $W_1 W_1^T$ of a network with first-layer weights $W_1$ [input, neuron] (the neural feature matrix), and
the matrix in the kernel of a kernel machine that learns features, where it takes that part.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from grokscope.measures._matrices import matrix_cosine
from grokscope.measures._measure import Measure
from grokscope.measures.needs import CYCLIC, FEATURE_MATRIX, FINAL_NETWORK, KERNEL, TRAIN_SPLIT

if TYPE_CHECKING:
    import jax

    from grokscope.measures._point import Point
    from grokscope.spec.training_spec import TrainingSpec

__all__ = [
    "AGOPAlignment",
    "CirculantDeviation",
    "FeatureAlignment",
    "KernelCondition",
    "NeuralFeatureMatrix",
    "average_gradient_outer_product",
    "circulant_deviation",
]


def circulant_deviation(block: jax.Array, sign: Literal[1, -1]) -> jax.Array:
    r"""How far a square matrix A is from circulant; 0 to 1.

    $\sum_d \sum_{ij \in d} (A_{ij} - \bar A_d)^2 / \lVert A \rVert_F^2$ with d the wrapped diagonals and
    $\bar A_d$ the mean along one. 0 for a circulant matrix, about 1 - 1/m for an m x m matrix of independent
    noise of mean 0, NaN for zeros.

    Args:
        block: A.
        sign: 1: diagonals, $i - j \equiv d \pmod m$. -1: anti-diagonals, $i + j \equiv d$.

    Example:
        >>> import jax.numpy as jnp
        >>> float(circulant_deviation(jnp.array([[1.0, 2.0], [2.0, 1.0]]), 1))
        0.0
        >>> float(circulant_deviation(jnp.array([[1.0, 0.0], [0.0, -1.0]]), 1))  # the diagonal has mean 0
        1.0
    """
    import jax.numpy as jnp

    m = len(block)
    rows = jnp.arange(m)
    lined = block[rows[:, None], (sign * (rows[:, None] - rows[None, :])) % m]  # a column for each d
    spread = jnp.sum(jnp.square(lined - jnp.mean(lined, axis=0)))
    return spread / jnp.sum(jnp.square(block))


def average_gradient_outer_product(network: Any, x: jax.Array) -> jax.Array:
    r"""$G = \frac1n \sum_j J_j J_j^T$ [d, d], $J_j$ [d, output] the gradients of the outputs at inputs $x_j$.

    Inputs of any shape are flattened to d numbers.

    Args:
        network: a function of inputs [sample, *input] that can be differentiated, each sample by itself.
        x: inputs [sample, *input].

    Source: Radhakrishnan et al. 2022 (arXiv 2212.13881); Mallinar et al. 2024 (arXiv 2407.20199), equation 2.

    Example:
        >>> import jax.numpy as jnp
        >>> average_gradient_outer_product(lambda x: x @ jnp.array([1.0, 2.0]), jnp.ones((3, 2))).tolist()
        [[1.0, 2.0], [2.0, 4.0]]
    """
    import jax
    import jax.numpy as jnp

    outputs, pulled = jax.vjp(network, x)
    rows = outputs.reshape(len(x), -1)

    def add(total: jax.Array, output: jax.Array) -> tuple[jax.Array, None]:
        # samples do not act on each other, so one pull-back has the gradients of an output at all of them
        chosen = jnp.zeros_like(rows).at[:, output].set(1).reshape(outputs.shape)
        gradients = pulled(chosen)[0].reshape(len(x), -1)
        return total + gradients.T @ gradients, None

    zeros = jnp.zeros((x[0].size, x[0].size), x.dtype)
    return jax.lax.scan(add, zeros, jnp.arange(rows.shape[1]))[0] / len(x)


def _matrix(network: Any) -> jax.Array:
    if hasattr(network, "feature_matrix"):
        return network.feature_matrix
    return network.incoming @ network.incoming.T


class NeuralFeatureMatrix(Measure):
    r"""The feature matrix: $M = W_1 W_1^T$ of a network, M of a kernel machine; [feature, other_feature].

    Features are the coordinates of the input: for pairs of one-hot tokens those of the first, then those of
    the second operand.

    Source: Mallinar et al. 2024 (arXiv 2407.20199), Section 4 and Figure 3.
    """

    kind: Literal["neural_feature_matrix"] = "neural_feature_matrix"
    dims = ("feature", "other_feature")
    pace = "slow"
    default = False
    needs = (FEATURE_MATRIX,)

    def __call__(self, point: Point) -> jax.Array:
        """M."""
        return _matrix(point.network)

    def shape(self, spec: TrainingSpec) -> tuple[int, ...]:
        """Input coordinates, twice."""
        import math

        return (math.prod(spec.task.input_shape),) * 2


class CirculantDeviation(Measure):
    r"""How far the block of the feature matrix between the two operands is from circulant.

    `circulant_deviation` of the rows of M of the second operand and the columns of the first. Residues are in
    the order in which the operator is addition or subtraction (`CyclicOrder`: for multiplication and division
    that of the discrete logarithm, without 0). NaN if the block is 0, as at the start of a recursive feature
    machine.

    Attributes:
        along: ``diagonals``; ``anti_diagonals``, along which the block is constant that learned subtraction;
            or ``best``, the smaller of the two. The name of the stored result ends with it, but for ``best``.

    Source: Mallinar et al. 2024 (arXiv 2407.20199), Section 3 (where all such blocks are called circulant).
    """

    kind: Literal["circulant_deviation"] = "circulant_deviation"
    default = False
    needs = (FEATURE_MATRIX, CYCLIC)

    along: Literal["best", "diagonals", "anti_diagonals"] = "best"

    @property
    def name(self) -> str:
        """The kind, and the direction if it is not ``best``."""
        return self.kind if self.along == "best" else f"{self.kind}_{self.along}"

    def __call__(self, point: Point) -> jax.Array:
        """The deviation."""
        import jax.numpy as jnp

        task: Any = point.task
        first, second = task.cyclic_order.places
        block = _matrix(point.network)[second[:, None], first[None, :]]
        diagonals, anti = circulant_deviation(block, 1), circulant_deviation(block, -1)
        if self.along == "best":
            return jnp.minimum(diagonals, anti)
        return diagonals if self.along == "diagonals" else anti


class FeatureAlignment(Measure):
    r"""Cosine between the feature matrix now and at the end of the run.

    $\langle M_t, M_T \rangle / (\lVert M_t \rVert_F \lVert M_T \rVert_F)$. 1 at the end by definition;
    computed after the run.

    Source: Mallinar et al. 2024 (arXiv 2407.20199), Section 3 ("AGOP alignment").
    """

    kind: Literal["feature_alignment"] = "feature_alignment"
    pace = "follow"
    default = False
    needs = (FEATURE_MATRIX, FINAL_NETWORK)

    def __call__(self, point: Point) -> jax.Array:
        """The cosine."""
        return matrix_cosine(_matrix(point.network), _matrix(point.final))


class AGOPAlignment(Measure):
    r"""Cosine between the feature matrix M and $G^{1/2}$.

    G is the average gradient outer product on the training inputs. The neural feature ansatz says that M and
    $G^{1/2}$ are proportional in a trained network. In a recursive feature machine with power 1/2 the measure
    is the cosine of M with the next M.

    Source: Mallinar et al. 2024 (arXiv 2407.20199), Section 4.
    """

    kind: Literal["agop_alignment"] = "agop_alignment"
    pace = "slow"
    default = False
    needs = (FEATURE_MATRIX, TRAIN_SPLIT)

    def __call__(self, point: Point) -> jax.Array:
        """The cosine."""
        from grokscope.models.networks.kernel_machine import KernelMachine, psd_power

        network = point.network
        if isinstance(network, KernelMachine):
            outer = network.average_gradient_outer_product()
        else:
            f = getattr(network, "on_vectors", network)
            outer = average_gradient_outer_product(f, point.split("train").x)
        return matrix_cosine(_matrix(network), psd_power(outer, 0.5))


class KernelCondition(Measure):
    r"""Condition number of a kernel machine's matrix K of the kernel of its centers, without ridge.

    $\max_i |\lambda_i| / \min_i |\lambda_i|$ over the eigenvalues of K. The relative error of the dual
    variables is at most about this number times the rounding error.
    """

    kind: Literal["kernel_condition"] = "kernel_condition"
    pace = "slow"
    default = False
    needs = (KERNEL,)

    def __call__(self, point: Point) -> jax.Array:
        """The condition number."""
        import jax.numpy as jnp

        machine = point.network
        sizes = jnp.abs(jnp.linalg.eigvalsh(machine.gram(machine.centers)))
        return jnp.max(sizes) / jnp.min(sizes)
