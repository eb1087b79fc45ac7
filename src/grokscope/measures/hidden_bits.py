"""Where the incoming weights of a network on bits are: on the hidden bits, and how evenly."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from grokscope.measures._measure import Measure
from grokscope.measures.needs import HIDDEN_BITS, ONE_HIDDEN_LAYER

if TYPE_CHECKING:
    import jax

    from grokscope.measures._point import Point

__all__ = ["HiddenBitShare", "HiddenBitSpread"]

_ALIVE = 0.01  # incoming norm of a neuron that counts, as a share of the largest


class HiddenBitShare(Measure):
    r"""Share of the squared incoming weights that is on the hidden bits S.

    $\sum_{i \in S, j} W_{ij}^2 / \sum_{ij} W_{ij}^2$ over bits i and neurons j. Biases are not
    counted. NaN if all incoming weights are 0.

    Source: Morwani et al. 2023 (arXiv 2311.07568), Theorem 8: 1 at the largest margin.

    Example:
        >>> import jax.numpy as jnp
        >>> from grokscope.losses import Hinge
        >>> from grokscope.measures import Point
        >>> from grokscope.models.networks.one_hidden_layer import OneHiddenLayer
        >>> from grokscope.tasks.sparse_parity import SparseParity
        >>> network = OneHiddenLayer(jnp.array([[3.0], [1.0], [0.0]]), jnp.zeros(1), jnp.ones(1))
        >>> point = Point(network, {}, Hinge(), task=SparseParity(n=3, k=2))
        >>> float(HiddenBitShare()(point)), float(HiddenBitSpread()(point))  # 3 and 1: mean 2, deviation 1
        (1.0, 0.5)
    """

    kind: Literal["hidden_bit_share"] = "hidden_bit_share"
    default = False
    needs = (ONE_HIDDEN_LAYER, HIDDEN_BITS)

    def __call__(self, point: Point) -> jax.Array:
        """The share."""
        import jax.numpy as jnp

        squares = jnp.sum(jnp.square(point.layer.incoming), axis=1)
        return jnp.sum(squares[point.facts["support"]]) / jnp.sum(squares)


class HiddenBitSpread(Measure):
    r"""How unequal a neuron's weights on the hidden bits S are: coefficient of variation, mean over neurons.

    The standard deviation of $|W_{ij}|$ over $i \in S$ over its mean; the mean is over neurons j whose
    incoming norm is at least 1 % of the largest. 0 if all are equal.

    Source: Morwani et al. 2023 (arXiv 2311.07568), Theorem 8: 0 at the largest margin; the summary is ours.
    """

    kind: Literal["hidden_bit_spread"] = "hidden_bit_spread"
    default = False
    needs = (ONE_HIDDEN_LAYER, HIDDEN_BITS)

    def __call__(self, point: Point) -> jax.Array:
        """The mean over neurons."""
        import jax.numpy as jnp

        weights = jnp.abs(point.layer.incoming[point.facts["support"]])
        mean = jnp.mean(weights, axis=0)
        spread = jnp.std(weights, axis=0) / jnp.where(mean > 0, mean, 1)
        counts = point.neuron_norm >= _ALIVE * jnp.max(point.neuron_norm)
        return jnp.sum(spread * counts) / jnp.sum(counts)
