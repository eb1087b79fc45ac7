r"""Population values on a sparse parity: the gradient of each neuron, the parity's coefficient in the output.

$g_{ij} = E_x\, y(x)\, x_i\, \sigma'(z_j(x))$ and $\hat f(S) = E_x\, y(x) f(x)$.

Symbols: x uniform on $\{-1, 1\}^n$; S the k hidden bits, $y = \prod_{i \in S} x_i$;
$z_j = W_j \cdot x + b_j$. Exact up to 16 bits. Beyond, the sum of the bits that are not listed is replaced
by a Gaussian of its variance, over which $\sigma$ or $\sigma'$ is averaged: in closed form for relu, by Gauss
and Hermite's rule for smooth activations.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from grokscope.models.networks.one_hidden_layer import ACTIVATIONS, OneHiddenLayer

__all__ = ["MOST_EXACT_BITS", "hidden_gradient", "parity_coefficient", "population_gradient"]

MOST_EXACT_BITS = 16
_CHUNK_BITS = 11
_NODES = 32  # of the Gauss-Hermite rule


def population_gradient(
    network: OneHiddenLayer, support: Int[Array, " k"], *, exact: bool | None = None
) -> Float[Array, "bit neuron"]:
    """The population gradient at every bit and neuron.

    Args:
        network: with one hidden layer.
        support: the hidden bits.
        exact: over all inputs, or with the Gaussian; by default exact up to 16 bits.
    """
    n = len(network.incoming)
    if n <= MOST_EXACT_BITS if exact is None else exact:
        return _enumerated(network, support)
    hidden = hidden_gradient(network, support, exact=False)
    weight, bias = network.incoming, network.incoming_bias
    settings = _settings(len(support), weight.dtype)
    y = settings.prod(axis=1)
    known = settings @ weight[support] + bias  # [setting, neuron]
    square = jnp.sum(jnp.square(weight), axis=0) - jnp.sum(jnp.square(weight[support]), axis=0)

    def at(row: jax.Array) -> jax.Array:  # of one bit that is not hidden
        spread = jnp.sqrt(jnp.maximum(square - jnp.square(row), 0))
        up, down = (_mean_slope(network.activation, known + s * row, spread) for s in (1, -1))
        return y @ (up - down) / (2 * len(y))

    return jax.vmap(at)(weight).at[support].set(hidden)


def hidden_gradient(
    network: OneHiddenLayer, support: Int[Array, " k"], *, exact: bool | None = None
) -> Float[Array, "k neuron"]:
    """`population_gradient` at the hidden bits only."""
    weight = network.incoming
    if len(weight) <= MOST_EXACT_BITS if exact is None else exact:
        return _enumerated(network, support)[support]
    settings = _settings(len(support), weight.dtype)
    known = settings @ weight[support] + network.incoming_bias
    square = jnp.sum(jnp.square(weight), axis=0) - jnp.sum(jnp.square(weight[support]), axis=0)
    slopes = _mean_slope(network.activation, known, jnp.sqrt(jnp.maximum(square, 0)))
    return (settings * settings.prod(axis=1)[:, None]).T @ slopes / len(settings)


def parity_coefficient(
    network: OneHiddenLayer, support: Int[Array, " k"], *, exact: bool | None = None
) -> Float[Array, ""]:
    r"""$\hat f(S) = E_x\, y(x) f(x)$ of a network with one output."""
    weight, bias, output = network.incoming, network.incoming_bias, network.output_weight
    if len(weight) <= MOST_EXACT_BITS if exact is None else exact:

        def of_chunk(total: jax.Array, first: jax.Array) -> tuple[jax.Array, None]:
            x = _inputs(first, len(weight), weight.dtype)
            y = x[:, support].prod(axis=1)
            return total + y @ (network.hidden(x) @ output), None

        size = 1 << min(len(weight), _CHUNK_BITS)
        firsts = jnp.arange(0, 1 << len(weight), size)
        total, _ = jax.lax.scan(of_chunk, jnp.zeros((), weight.dtype), firsts)
        return total / (1 << len(weight))
    settings = _settings(len(support), weight.dtype)
    known = settings @ weight[support] + bias
    square = jnp.sum(jnp.square(weight), axis=0) - jnp.sum(jnp.square(weight[support]), axis=0)
    means = _mean_value(network.activation, known, jnp.sqrt(jnp.maximum(square, 0)))
    return settings.prod(axis=1) @ (means @ output) / len(settings)


def _settings(k: int, dtype: jnp.dtype) -> jax.Array:
    """All settings of k bits, [setting, bit]."""
    if k > 12:
        raise ValueError(f"the population gradient lists the settings of at most 12 hidden bits, not {k}")
    return 1 - 2 * (jnp.arange(1 << k)[:, None] >> jnp.arange(k) & 1).astype(dtype)


def _enumerated(network: OneHiddenLayer, support: jax.Array) -> jax.Array:
    weight = network.incoming
    n = len(weight)

    def of_chunk(total: jax.Array, first: jax.Array) -> tuple[jax.Array, None]:
        x = _inputs(first, n, weight.dtype)
        slopes = _slope(network.activation, x @ weight + network.incoming_bias)
        y = x[:, support].prod(axis=1)
        return total + (x * y[:, None]).T @ slopes, None

    total, _ = jax.lax.scan(of_chunk, jnp.zeros_like(weight), jnp.arange(0, 1 << n, 1 << min(n, _CHUNK_BITS)))
    return total / (1 << n)


def _inputs(first: jax.Array, n: int, dtype: jnp.dtype) -> jax.Array:
    """A chunk of all inputs of n bits, from a number on: [input, bit]."""
    numbers = first + jnp.arange(1 << min(n, _CHUNK_BITS))
    return 1 - 2 * (numbers[:, None] >> jnp.arange(n) & 1).astype(dtype)


def _slope(activation: str, z: jax.Array) -> jax.Array:
    return jax.jvp(ACTIVATIONS[activation], (z,), (jnp.ones_like(z),))[1]


def _mean_value(activation: str, center: jax.Array, spread: jax.Array) -> jax.Array:
    r"""$E\, \sigma(a + s \zeta)$, $\zeta$ standard normal, for a = center and s = spread."""
    if activation == "relu":
        a = center / _positive(spread)
        return center * jax.scipy.special.ndtr(a) + spread * jax.scipy.stats.norm.pdf(a)
    return _gauss_hermite(ACTIVATIONS[activation], center, spread)


def _mean_slope(activation: str, center: jax.Array, spread: jax.Array) -> jax.Array:
    r"""$E\, \sigma'(a + s \zeta)$."""
    if activation == "relu":
        return jax.scipy.special.ndtr(center / _positive(spread))
    return _gauss_hermite(lambda z: _slope(activation, z), center, spread)


def _positive(spread: jax.Array) -> jax.Array:
    return jnp.maximum(spread, jnp.finfo(spread.dtype).tiny)


def _gauss_hermite(
    function: Callable[[jax.Array], jax.Array], center: jax.Array, spread: jax.Array
) -> jax.Array:
    nodes, weights = np.polynomial.hermite_e.hermegauss(_NODES)

    def add(total: jax.Array, one: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, None]:
        return total + one[1] * function(center + one[0] * spread), None

    points = (jnp.asarray(nodes, center.dtype), jnp.asarray(weights / weights.sum(), center.dtype))
    return jax.lax.scan(add, jnp.zeros_like(center + spread), points)[0]
