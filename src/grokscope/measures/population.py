"""Exact loss, accuracy and moments of the output over a task's whole distribution of inputs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from grokscope.measures._measure import Measure
from grokscope.measures.needs import OUTPUT_MOMENTS, POPULATION_ACCURACY, POPULATION_LOSS

if TYPE_CHECKING:
    import jax

    from grokscope.measures._point import Point

__all__ = ["PopulationAccuracy", "PopulationLoss", "PopulationOutputMean", "PopulationOutputStd"]


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
