"""Exact loss and accuracy over a task's whole distribution of inputs, where the task gives them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from grokscope.measures._measure import Measure
from grokscope.measures.needs import POPULATION_ACCURACY, POPULATION_LOSS

if TYPE_CHECKING:
    import jax

    from grokscope.measures._point import Point

__all__ = ["PopulationAccuracy", "PopulationLoss"]


class PopulationLoss(Measure):
    r"""Exact expected loss $E_x\, \ell(f(x), y(x))$ over the task's inputs, with their true labels.

    For uniform bits the mean over all $2^n$ inputs (n at most 16).

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
