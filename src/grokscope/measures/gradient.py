"""The gradient of the training loss: its direction relative to the weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from grokscope.measures._measure import Measure
from grokscope.measures.needs import NAMED_MATRICES, TRAIN_SPLIT

if TYPE_CHECKING:
    import jax

    from grokscope.measures._point import Point

__all__ = ["WeightAlignment"]


class WeightAlignment(Measure):
    r"""Cosine between the descent direction and the weights, of each matrix; [matrix].

    $-\frac{\langle G, W \rangle}{\lVert G \rVert \lVert W \rVert}$ with $G = \nabla_W \bar L$, the gradient
    of the mean loss of all training samples (no decay or penalty). 1: a step of gradient descent only scales
    the matrix up. 0: it leaves the norm as it is, to first order. NaN if the gradient or the matrix is 0.

    In a network that is homogeneous in each matrix (relu, no biases) $\langle G, W \rangle$ is the same for
    all: $\frac1N \sum_i \langle \nabla_f \ell_i, f_i \rangle$, what the loss gains by larger logits.

    Source: Prieto et al. 2025 (arXiv 2501.04697), Figure 5 (naive loss minimization).

    Example:
        >>> import jax.numpy as jnp
        >>> from grokscope.losses import Squared
        >>> from grokscope.measures import Point
        >>> from grokscope.models.networks.linear_network import LinearNetwork
        >>> network = LinearNetwork((jnp.array([[3.0, 0.0], [0.0, 3.0]]), jnp.array([[1.0], [0.0]])))
        >>> data = {"train_x": jnp.array([[1.0, 1.0]]), "train_y": jnp.array([[4.0]])}
        >>> [round(float(cosine), 3) for cosine in WeightAlignment()(Point(network, data, Squared()))]
        [0.5, 0.707]
    """

    kind: Literal["weight_alignment"] = "weight_alignment"
    dims = ("matrix",)
    pace = "slow"
    default = False
    needs = (NAMED_MATRICES, TRAIN_SPLIT)

    def __call__(self, point: Point) -> jax.Array:
        """The cosine of every matrix, in the order of the model's axis."""
        import equinox as eqx
        import jax
        import jax.numpy as jnp

        x, y = point.split("train")

        def loss(network: Any) -> jax.Array:
            return jnp.mean(point.loss.per_sample(network(x), y))

        gradient = eqx.filter_grad(loss)(point.network)
        pairs = zip(
            *(jax.tree.leaves(eqx.filter(tree, eqx.is_inexact_array)) for tree in (gradient, point.network)),
            strict=True,
        )
        return jnp.stack([-_cosine(g.ravel(), w.ravel()) for g, w in pairs if w.ndim > 1])


def _cosine(a: jax.Array, b: jax.Array) -> jax.Array:
    import jax.numpy as jnp

    # each by its largest entry: squares of small gradients would be 0 in float32
    a, b = a / jnp.max(jnp.abs(a)), b / jnp.max(jnp.abs(b))
    return jnp.sum(a * b) / jnp.sqrt(jnp.sum(a * a) * jnp.sum(b * b))
