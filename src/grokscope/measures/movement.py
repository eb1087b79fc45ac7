"""How far incoming weights have moved from the start: on the hidden bits, on the others, and which way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from grokscope.measures._measure import Measure
from grokscope.measures.needs import HIDDEN_BITS, INITIAL_NETWORK, ONE_HIDDEN_LAYER, PARITY, SIGNS

if TYPE_CHECKING:
    import jax

    from grokscope.measures._point import Point

__all__ = ["MovementAlignment", "WeightMovement"]


def _movement(point: Point) -> jax.Array:
    return point.layer.incoming - point.initial.incoming


class WeightMovement(Measure):
    r"""How far the incoming weights W have moved from the start.

    $\max |W_t - W_0|$ over bits and neurons, or the root mean square in place of the maximum. The maximum
    over many weights is the largest of as many noises: it sees a signal only where that exceeds the noise of
    one weight by a factor of about $\sqrt{2 \ln(n p)}$. With random labels all bits move alike, so that the
    ratio of ``rms`` on the hidden bits to ``rms`` on the others is 1.

    Attributes:
        bits: ``all``, the ``hidden`` ones, or the ``others``.
        size: ``max`` or ``rms``. Options other than the first ones are added to the name of the stored
            result: ``weight_movement_hidden_rms``.

    Source: ``all`` and ``max``: Barak et al. 2022 (arXiv 2207.08799), Figure 3; the rest ours.

    Example:
        >>> import jax.numpy as jnp
        >>> from grokscope.losses import Hinge
        >>> from grokscope.measures import Point
        >>> from grokscope.models.networks.one_hidden_layer import OneHiddenLayer
        >>> from grokscope.tasks.sparse_parity import SparseParity
        >>> start = OneHiddenLayer(jnp.zeros((3, 1)), jnp.zeros(1), jnp.ones(1))
        >>> now = OneHiddenLayer(jnp.array([[3.0], [4.0], [-5.0]]), jnp.zeros(1), jnp.ones(1))
        >>> point = Point(now, {}, Hinge(), task=SparseParity(n=3, k=2), initial=start)
        >>> float(WeightMovement()(point)), float(WeightMovement(bits="hidden")(point))
        (5.0, 4.0)
        >>> round(float(WeightMovement(bits="hidden", size="rms")(point)), 4)  # of 3 and 4
        3.5355
    """

    kind: Literal["weight_movement"] = "weight_movement"
    default = False
    needs = (ONE_HIDDEN_LAYER, HIDDEN_BITS, INITIAL_NETWORK)

    bits: Literal["all", "hidden", "others"] = "all"
    size: Literal["max", "rms"] = "max"

    @property
    def name(self) -> str:
        """The kind, with the options that are not the first ones."""
        bits = "" if self.bits == "all" else f"_{self.bits}"
        return self.kind + bits + ("" if self.size == "max" else f"_{self.size}")

    def __call__(self, point: Point) -> jax.Array:
        """The maximum or the root mean square over the chosen bits and all neurons."""
        import jax.numpy as jnp

        moved = _movement(point)
        support = point.facts["support"]
        chosen = jnp.ones(len(moved), bool)
        if self.bits != "all":
            hidden = jnp.zeros(len(moved), bool).at[support].set(True)
            chosen = hidden if self.bits == "hidden" else ~hidden
        rows = chosen[:, None]
        if self.size == "max":
            return jnp.max(jnp.where(rows, jnp.abs(moved), 0))
        count = jnp.sum(chosen) * moved.shape[1]
        return jnp.sqrt(jnp.sum(jnp.square(moved) * rows) / jnp.maximum(count, 1))


class MovementAlignment(Measure):
    r"""Whether the weights of the hidden bits move as the parity pulls them: a cosine, from -1 to 1.

    The cosine between $W_{ij}(t) - W_{ij}(0)$ and $u_j(0)\, g_{ij}(0)$ over the hidden bits i and all neurons
    j, where $g_{ij}$ is the population gradient of `fourier_gap`: the direction in which gradient descent on
    the correlation loss $-y f(x)$ moves them at the start. Noise is as often along as against it, so it is 0
    in expectation with random labels. NaN where nothing has moved, as at the start.

    Unlike the size of the movement it has no noise to exceed: over K weights its scatter is about
    $1/\sqrt K$, and what all neurons share (the sample mean of $y x_i$, times $u_j$) drops out, because the
    signs of $g_{ij}$ differ from neuron to neuron.

    Source: ours. The gradient: Barak et al. 2022 (arXiv 2207.08799), Section 4.1.
    """

    kind: Literal["movement_alignment"] = "movement_alignment"
    default = False
    needs = (ONE_HIDDEN_LAYER, PARITY, SIGNS, INITIAL_NETWORK)

    def __call__(self, point: Point) -> jax.Array:
        """The cosine."""
        import jax.numpy as jnp

        from grokscope.measures._parity_gradient import hidden_gradient

        support, start = point.facts["support"], point.initial
        moved = _movement(point)[support]
        pull = start.output_weight * hidden_gradient(start, support)
        lengths = jnp.linalg.norm(moved) * jnp.linalg.norm(pull)
        return jnp.sum(moved * pull) / lengths
