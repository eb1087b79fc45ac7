"""How much of a parity a network has, before its accuracy shows it: in its output, gradient and weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from grokscope.measures._measure import Measure
from grokscope.measures.needs import HIDDEN_BITS, ONE_HIDDEN_LAYER, PARITY, SIGNS

if TYPE_CHECKING:
    import jax

    from grokscope.measures._point import Point

__all__ = ["FourierGap", "ParityCoefficient", "RelevantOrder"]


class FourierGap(Measure):
    r"""How much the population gradient g of a neuron prefers the hidden bits S.

    $\min_{i \in S} |g_i| - \max_{i \notin S} |g_i|$, the mean over neurons.

    Of a neuron, $g_i = E_x\, y(x)\, x_i\, \sigma'(W \cdot x + b)$ over uniform inputs and the parity y: the
    negative gradient of the correlation loss $-y f(x)$ in $W_i$, over the neuron's output weight. For
    $i \in S$ it is the coefficient of $\sigma'$ at the k - 1 other hidden bits, for $i \notin S$ that at the
    k + 1 bits with i.

    Exact, over all $2^n$ inputs, for n up to 16. For more bits the hidden ones (and bit i) are listed and the
    sum of the others is taken to be Gaussian; the error is a few percent. (The mean over N samples would have
    an error of $1/\sqrt{2 N}$, which for relu and (50, 3) is larger than the gradient, 0.0014, unless N is
    above 250,000.)

    Source: Barak et al. 2022 (arXiv 2207.08799), Definition 1 and Figure 12 (n = 15, all inputs).

    Example:
        >>> import jax.numpy as jnp
        >>> from grokscope.losses import Hinge
        >>> from grokscope.measures import Point
        >>> from grokscope.models.networks.one_hidden_layer import OneHiddenLayer
        >>> from grokscope.tasks.sparse_parity import SparseParity
        >>> network = OneHiddenLayer(jnp.ones((3, 1)), jnp.zeros(1), jnp.ones(1))  # the majority of 3 bits
        >>> gap = FourierGap()(Point(network, {}, Hinge(), task=SparseParity(n=3, k=2)))
        >>> float(gap)  # (1 + majority) / 2 has coefficients 1/4 at one bit and -1/4 at all three
        0.0
    """

    kind: Literal["fourier_gap"] = "fourier_gap"
    default = False
    pace = "slow"
    needs = (ONE_HIDDEN_LAYER, PARITY, SIGNS)

    def __call__(self, point: Point) -> jax.Array:
        """The mean over neurons."""
        import jax.numpy as jnp

        from grokscope.measures._parity_gradient import population_gradient

        support = point.facts["support"]
        size = jnp.abs(population_gradient(point.layer, support))
        hidden = jnp.zeros(len(size), bool).at[support].set(True)[:, None]
        least = jnp.min(jnp.where(hidden, size, jnp.inf), axis=0)
        return jnp.mean(least - jnp.max(jnp.where(hidden, 0, size), axis=0))


class ParityCoefficient(Measure):
    r"""The coefficient of the parity in the output, $\hat f(S) = E_x\, y(x) f(x)$ over uniform inputs.

    While all margins are below 1, one less it is the expected hinge loss. Computed as in `fourier_gap`,
    without samples, so that it is seen where the accuracy on N samples, with an error of $1/(2 \sqrt N)$, is
    still at chance.

    Source: the correlation of Barak et al. 2022 (arXiv 2207.08799), Section 4.1.
    """

    kind: Literal["parity_coefficient"] = "parity_coefficient"
    default = False
    needs = (ONE_HIDDEN_LAYER, PARITY, SIGNS)

    def __call__(self, point: Point) -> jax.Array:
        """The expectation."""
        from grokscope.measures._parity_gradient import parity_coefficient

        return parity_coefficient(point.layer, point.facts["support"])


class RelevantOrder(Measure):
    r"""Share of neurons whose largest weights are those of the hidden bits S.

    The share of neurons j with $\min_{i \in S} |W_{ij}| > \max_{i \notin S} |W_{ij}|$.
    For random weights it is $1 / \binom n k$.

    Source: Barak et al. 2022 (arXiv 2207.08799), Figure 13 (of one neuron).

    Example:
        >>> import jax.numpy as jnp
        >>> from grokscope.losses import Hinge
        >>> from grokscope.measures import Point
        >>> from grokscope.models.networks.one_hidden_layer import OneHiddenLayer
        >>> from grokscope.tasks.sparse_parity import SparseParity
        >>> weight = jnp.array([[3.0, 3.0], [-2.0, 1.0], [1.0, 2.0]])
        >>> network = OneHiddenLayer(weight, jnp.zeros(2), jnp.ones(2))
        >>> float(RelevantOrder()(Point(network, {}, Hinge(), task=SparseParity(n=3, k=2))))
        0.5
    """

    kind: Literal["relevant_order"] = "relevant_order"
    default = False
    needs = (ONE_HIDDEN_LAYER, HIDDEN_BITS)

    def __call__(self, point: Point) -> jax.Array:
        """The share."""
        import jax.numpy as jnp

        size = jnp.abs(point.layer.incoming)
        hidden = jnp.zeros(len(size), bool).at[point.facts["support"]].set(True)[:, None]
        least = jnp.min(jnp.where(hidden, size, jnp.inf), axis=0)
        return jnp.mean(least > jnp.max(jnp.where(hidden, -1, size), axis=0), dtype=size.dtype)
