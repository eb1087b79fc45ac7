"""Exact loss (and its terms), accuracy and moments of the output over all of a task's inputs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from grokscope.measures._measure import Measure
from grokscope.measures.needs import ERROR_TERMS, OUTPUT_MOMENTS, POPULATION_ACCURACY, POPULATION_LOSS

if TYPE_CHECKING:
    import jax

    from grokscope.measures._point import Point
    from grokscope.spec.training_spec import TrainingSpec

__all__ = [
    "MomentError",
    "PopulationAccuracy",
    "PopulationLoss",
    "PopulationOutputMean",
    "PopulationOutputStd",
]


class PopulationLoss(Measure):
    r"""Exact expected loss $E_x\, \ell(f(x), y(x))$ over the task's inputs, with their true labels.

    For uniform bits the mean over all $2^n$ inputs (n at most 16); for affine networks on Gaussian inputs a
    closed form or an integral over one dimension.

    Example:
        >>> import jax.numpy as jnp
        >>> from grokscope.losses import Hinge
        >>> from grokscope.measures import Point
        >>> from grokscope.tasks.sparse_parity import SparseParity
        >>> point = Point(lambda x: 2 * x[:, 0], {}, Hinge(), task=SparseParity(n=2, k=2))
        >>> float(PopulationLoss()(point)), float(PopulationAccuracy()(point))  # wrong where x_2 = -1
        (1.5, 0.5)
    """

    kind: Literal["population_loss"] = "population_loss"
    pace = "slow"
    default = False
    needs = (POPULATION_LOSS,)

    def __call__(self, point: Point) -> jax.Array:
        """The expectation that the task gives."""
        return point.population("loss")


class PopulationAccuracy(Measure):
    """Exact expected accuracy over the task's inputs, with their true labels, defined as `TestAccuracy`.

    NaN if all outputs are 0.
    """

    kind: Literal["population_accuracy"] = "population_accuracy"
    pace = "slow"
    default = False
    needs = (POPULATION_ACCURACY,)

    def __call__(self, point: Point) -> jax.Array:
        """The expectation that the task gives."""
        return point.population("accuracy")


class PopulationOutputMean(Measure):
    r"""Exact mean $E_x f(x)$ of the output over the task's inputs; the bias of a linear model.

    Example:
        >>> import jax.numpy as jnp
        >>> from grokscope.losses import Logistic
        >>> from grokscope.measures import Point
        >>> from grokscope.models.networks.linear_network import LinearNetwork
        >>> from grokscope.tasks.constant_label import ConstantLabel
        >>> network = LinearNetwork((jnp.array([3.0, 4.0]),), jnp.array(-1.0))
        >>> point = Point(network, {}, Logistic(), task=ConstantLabel(d=2, sigma=2.0))
        >>> float(PopulationOutputMean()(point)), float(PopulationOutputStd()(point))
        (-1.0, 10.0)
    """

    kind: Literal["population_output_mean"] = "population_output_mean"
    default = False
    needs = (OUTPUT_MOMENTS,)

    def __call__(self, point: Point) -> jax.Array:
        """The expectation that the task gives."""
        return point.population("output_mean")


class PopulationOutputStd(Measure):
    r"""Exact standard deviation of the output over the task's inputs: $\lVert S \rVert$ times their scale."""

    kind: Literal["population_output_std"] = "population_output_std"
    default = False
    needs = (OUTPUT_MOMENTS,)

    def __call__(self, point: Point) -> jax.Array:
        """The number that the task gives."""
        return point.population("output_std")


class MomentError(Measure):
    r"""The three terms of the squared error of a quadratic function against a quadratic teacher; [term].

    Over $x \sim N(0, I)$ the error of $f(x) = c + b \cdot x + x^T A x$ against $y = (t \cdot x)^2$ is the sum
    of ``variance`` $(c + \mathrm{tr} E)^2$, ``misalignment`` $2 \lVert E \rVert_F^2$ and ``linear``
    $\lVert b \rVert^2$, with $E = A - t t^T$: `population_loss`. For a committee machine with output scale
    $\alpha$, $A = \alpha \epsilon M / 2 d$ and $b = \alpha \bar w / \sqrt d$.

    Source: Kumar et al. 2023 (arXiv 2310.06110), equation 6.

    Example:
        >>> import jax.numpy as jnp
        >>> from grokscope.losses import Squared
        >>> from grokscope.measures import Point
        >>> from grokscope.models.networks.linear_network import LinearNetwork
        >>> from grokscope.tasks.gaussian_teacher import GaussianTeacher
        >>> task, data = GaussianTeacher(d=2, teacher="quadratic"), {"teacher": jnp.array([[1.0], [0.0]])}
        >>> point = Point(LinearNetwork((jnp.array([3.0, 4.0]),)), data, Squared(), task=task)
        >>> MomentError()(point).tolist(), float(PopulationLoss()(point))
        ([1.0, 2.0, 25.0], 28.0)
    """

    kind: Literal["moment_error"] = "moment_error"
    dims = ("term",)
    default = False
    needs = (ERROR_TERMS,)

    def __call__(self, point: Point) -> jax.Array:
        """The terms that the task gives."""
        return point.population("error_terms")

    def shape(self, spec: TrainingSpec) -> tuple[int, ...]:
        """The three terms."""
        return (len(spec.axes["term"]),)
