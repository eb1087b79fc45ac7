"""The contribution of each neuron to the output."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from grokscope.measures._measure import Measure
from grokscope.measures.needs import ONE_HIDDEN_LAYER, TEST_SPLIT

if TYPE_CHECKING:
    import jax

    from grokscope.measures._point import Point

__all__ = ["OutputShare"]


class OutputShare(Measure):
    r"""Each neuron's share of the output on the test inputs; [neuron]. The shares sum to 1.

    With $h_j(x)$ the activation of neuron j and bars for means over the test inputs:
    $s_j = \overline{|u_j h_j(x)|} \,/\, \sum_i \overline{|u_i h_i(x)|}$. With several outputs $|u_j|$ is
    $\lVert u_j \rVert_2$. Absolute values keep the shares of neurons whose contributions cancel.
    NaN if every activation is 0 on every test input.

    Source: our own; the report shows it as the competition of circuits.

    Example:
        >>> import jax.numpy as jnp
        >>> from grokscope.losses import Hinge
        >>> from grokscope.measures import Point
        >>> from grokscope.models.networks.one_hidden_layer import OneHiddenLayer
        >>> network = OneHiddenLayer(jnp.array([[1.0, 3.0]]), jnp.zeros(2), jnp.array([1.0, -1.0]))
        >>> point = Point(network, {"test_x": jnp.array([[1.0], [-1.0]]), "test_y": jnp.ones(2)}, Hinge())
        >>> OutputShare()(point).tolist()
        [0.25, 0.75]
    """

    kind: Literal["output_share"] = "output_share"
    dims = ("neuron",)
    pace = "slow"
    needs = (ONE_HIDDEN_LAYER, TEST_SPLIT)

    def __call__(self, point: Point) -> jax.Array:
        """The shares."""
        import jax.numpy as jnp

        u = point.layer.output_weight
        strength = jnp.abs(u) if u.ndim == 1 else jnp.linalg.norm(u, axis=1)
        contribution = jnp.mean(jnp.abs(point.hidden("test")), axis=0) * strength
        return contribution / jnp.sum(contribution)
