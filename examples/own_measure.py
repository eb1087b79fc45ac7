"""A measure in a file of its own: a quantile of the normalized margins of the training set.

    grokscope measure RUN margin_quantile --plugin examples/own_measure.py

adds it to a finished run. Run the file itself to check it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from grokscope.measures import Measure, Point
from grokscope.measures.needs import PARAMETERS, SIGNS

if TYPE_CHECKING:
    import jax


class MarginQuantile(Measure):
    r"""A quantile of the margins $y_i f(x_i)$, over $\lVert \theta \rVert^L$, which makes them comparable.

    Attributes:
        quantile: of the margins over the training set; 0 is the smallest margin.
        degree: L, the number of layers: if all parameters are multiplied by c, outputs are by $c^L$.

    Source: Lyu and Li 2020 (arXiv 1906.05890), Definition 3.
    """

    kind: Literal["margin_quantile"] = "margin_quantile"
    needs = (SIGNS, PARAMETERS)
    default: ClassVar[bool] = False

    quantile: float = Field(default=0.0, ge=0.0, le=1.0)
    degree: int = Field(default=2, ge=1)

    def __call__(self, point: Point) -> jax.Array:
        """The quantile, a scalar."""
        import jax
        import jax.numpy as jnp

        margins = point.split("train").y * point.outputs("train")
        norm = jnp.sqrt(sum(jnp.sum(jnp.square(leaf)) for leaf in jax.tree.leaves(point.network)))
        return jnp.quantile(margins, self.quantile) / norm**self.degree


if __name__ == "__main__":
    from grokscope.measures.check import check_measure

    check_measure(MarginQuantile(quantile=0.1))
    print("margin_quantile is a valid measure.")
