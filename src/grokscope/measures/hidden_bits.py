"""Where the incoming weights of neurons on bits are: on the hidden bits, and how evenly."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from grokscope.measures._measure import Measure
from grokscope.measures.needs import HIDDEN_BITS, ONE_HIDDEN_LAYER

if TYPE_CHECKING:
    import jax

    from grokscope.measures._point import Point

__all__ = ["HiddenBitShare", "HiddenBitSpread"]


class HiddenBitShare(Measure):
    r"""Share of a neuron's squared incoming weights that is on the hidden bits S; [neuron].

    $\sum_{i \in S} W_{ij}^2 / \sum_i W_{ij}^2$ over bits i. Biases are not counted. 0 if all incoming weights
    are 0. Its mean over neurons, weighted by the squares of ``neuron_norm``, is the share of the network.

    Source: Morwani et al. 2023 (arXiv 2311.07568), Theorem 8: 1 at the largest margin.

    Example:
        >>> import jax.numpy as jnp
        >>> from grokscope.losses import Hinge
        >>> from grokscope.measures import Point
        >>> from grokscope.models.networks.one_hidden_layer import OneHiddenLayer
        >>> from grokscope.tasks.sparse_parity import SparseParity
        >>> network = OneHiddenLayer(jnp.array([[3.0], [1.0], [0.0]]), jnp.zeros(1), jnp.ones(1))
        >>> point = Point(network, {}, Hinge(), task=SparseParity(n=3, k=2))
        >>> HiddenBitShare()(point).tolist(), HiddenBitSpread()(point).tolist()  # 2 +- 1
        ([1.0], [0.5])
    """

    kind: Literal["hidden_bit_share"] = "hidden_bit_share"
    dims = ("neuron",)
    pace = "slow"
    default = False
    needs = (ONE_HIDDEN_LAYER, HIDDEN_BITS)

    def __call__(self, point: Point) -> jax.Array:
        """The shares."""
        import jax.numpy as jnp

        squares = jnp.square(point.layer.incoming)
        total = jnp.sum(squares, axis=0)
        return jnp.sum(squares[point.facts["support"]], axis=0) / jnp.where(total > 0, total, 1)


class HiddenBitSpread(Measure):
    r"""How unequal a neuron's weights on the hidden bits S are: their coefficient of variation; [neuron].

    The standard deviation of $|W_{ij}|$ over $i \in S$ over its mean; 0 if all are equal.

    Source: Morwani et al. 2023 (arXiv 2311.07568), Theorem 8: 0 at the largest margin; the summary is ours.
    """

    kind: Literal["hidden_bit_spread"] = "hidden_bit_spread"
    dims = ("neuron",)
    pace = "slow"
    default = False
    needs = (ONE_HIDDEN_LAYER, HIDDEN_BITS)

    def __call__(self, point: Point) -> jax.Array:
        """The coefficients."""
        import jax.numpy as jnp

        weights = jnp.abs(point.layer.incoming[point.facts["support"]])
        mean = jnp.mean(weights, axis=0)
        return jnp.std(weights, axis=0) / jnp.where(mean > 0, mean, 1)
