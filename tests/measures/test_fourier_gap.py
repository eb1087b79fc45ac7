"""Population values of a parity: against closed forms, the Walsh transform, and sums over all inputs."""

from __future__ import annotations

import itertools
from math import comb

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from grokscope.losses import Hinge
from grokscope.measures import Point
from grokscope.measures._parity_gradient import (
    hidden_gradient,
    parity_coefficient,
    population_gradient,
)
from grokscope.measures.fourier_gap import FourierGap, ParityCoefficient, RelevantOrder
from grokscope.measures.movement import MovementAlignment, WeightMovement
from grokscope.models.fully_connected import FullyConnected
from grokscope.models.networks.one_hidden_layer import OneHiddenLayer
from grokscope.tasks.boolean_function import BooleanFunction
from grokscope.tasks.sparse_parity import SparseParity

SUPPORT = jnp.array([1, 4, 5])


def drawn(n=7, width=4, **fields):
    return FullyConnected(width=width, **fields).network(jax.random.key(0), (n,), 1)


def all_inputs(n):
    return np.array(list(itertools.product((1.0, -1.0), repeat=n)))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("activation", "slope"),
    [("relu", lambda z: z > 0), ("sine", np.cos), ("cubic", lambda z: 3 * z**2)],
)
def test_the_exact_gradient_is_the_mean_over_all_inputs(activation, slope):
    with jax.enable_x64(True):
        network = drawn(activation=activation)
        w, b, u = map(np.asarray, (network.hidden_weight, network.hidden_bias, network.output_weight))
        x = all_inputs(7)
        y = x[:, SUPPORT].prod(axis=1)
        wanted = x.T @ (y[:, None] * slope(x @ w + b)) / len(x)
        np.testing.assert_allclose(population_gradient(network, SUPPORT), wanted, atol=1e-14)
        np.testing.assert_allclose(hidden_gradient(network, SUPPORT), wanted[SUPPORT], atol=1e-14)
        output = np.mean(y * np.asarray(network(jnp.asarray(x))))
        assert float(parity_coefficient(network, SUPPORT)) == pytest.approx(output, abs=1e-14)
        # it is the gradient of the correlation loss, over the output weight
        minus = jax.grad(lambda n: -parity_coefficient(n, SUPPORT))(network).hidden_weight
        np.testing.assert_allclose(-np.asarray(minus), u * wanted, atol=1e-14)


@pytest.mark.parametrize(("exact", "tolerance"), [(True, 1e-12), (False, 3e-3)])
def test_a_sine_neuron_has_a_product_for_a_gradient(exact, tolerance):
    r"""$E \chi_T(x) \cos(w x + b) = \mathrm{Re}(e^{ib} i^{|T|} \prod_T \sin w_i \prod_{T^c} \cos w_i)$.

    With the Gaussian in place of the other bits, $\cos w$ is $e^{-w^2/2}$, which differs by $w^4/12$.
    """
    with jax.enable_x64(True):
        network = drawn(n=15, width=5, activation="sine")
        w, b = np.asarray(network.hidden_weight), np.asarray(network.hidden_bias)
        found = np.asarray(population_gradient(network, SUPPORT, exact=exact))
    support = set(np.asarray(SUPPORT).tolist())
    for bit in range(15):
        inside = [i in support ^ {bit} for i in range(15)]
        parts = np.where(np.array(inside)[:, None], np.sin(w), np.cos(w)).prod(axis=0)
        wanted = np.real(np.exp(1j * b) * 1j ** sum(inside)) * parts
        np.testing.assert_allclose(found[bit], wanted, rtol=tolerance, atol=1e-15)


def test_with_many_bits_the_gaussian_is_near_a_mean_over_samples():
    """300,000 samples of a relu network of 24 bits; the gradient is 8 standard errors of that mean."""
    network = drawn(n=24, width=3)
    network = OneHiddenLayer(
        network.hidden_weight.at[SUPPORT].mul(2), network.hidden_bias * 3, network.output_weight
    )
    rng = np.random.default_rng(0)
    w, b, u = map(np.asarray, (network.hidden_weight, network.hidden_bias, network.output_weight))
    total, value, count = np.zeros((3, 3)), 0.0, 0
    for _ in range(6):
        x = (1 - 2 * rng.integers(0, 2, size=(50_000, 24))).astype(np.float32)
        y, z = x[:, SUPPORT].prod(axis=1), x @ w + b
        total += (x[:, SUPPORT] * y[:, None]).T @ (z > 0)
        value, count = value + float(y @ (np.maximum(z, 0) @ u)), count + len(x)
    error = 0.5 / count**0.5
    found = np.asarray(hidden_gradient(network, SUPPORT))
    assert np.linalg.norm(found) > 8 * error
    np.testing.assert_allclose(found, total / count, atol=4 * error + 0.06 * np.abs(found).max())
    assert float(parity_coefficient(network, SUPPORT)) == pytest.approx(value / count, abs=4 * error * 0.3)


def point_of(network, k, start=None):
    task = SparseParity(n=len(network.hidden_weight), k=k)
    return Point(network, {}, Hinge(), task=task, initial=start)


def majority_coefficient(n, size):
    """O'Donnell 2014, Theorem 5.19: the coefficient of the majority of n bits at ``size`` (odd) bits."""
    sign = (-1) ** ((size - 1) // 2)
    middle = comb((n - 1) // 2, (size - 1) // 2) / comb(n - 1, size - 1)
    return sign * middle * 2 / 2**n * comb(n - 1, (n - 1) // 2)


@pytest.mark.parametrize(("n", "k"), [(9, 4), (15, 4), (7, 2)])
def test_the_gap_of_the_majority(n, k):
    """A neuron of equal weights: relu' is (1 + majority) / 2, so the gap is half that of the majority."""
    network = OneHiddenLayer(jnp.full((n, 2), 0.3), jnp.zeros(2), jnp.ones(2))
    low, high = (abs(majority_coefficient(n, size)) for size in (k - 1, k + 1))
    assert low == pytest.approx((n - k) / (k - 1) * high)  # the paper's identity
    assert float(FourierGap()(point_of(network, k))) == pytest.approx((low - high) / 2, rel=1e-5)
    assert low - high >= 0.03 * (n - 1) ** (-(k - 1) / 2)  # its bound
    spectrum = (
        {
            term.bits: term.coefficient
            for term in BooleanFunction(n=n, preset="majority", k=n).walsh_spectrum()
        }
        if n < 10
        else {}
    )
    for size in (k - 1, k + 1) if spectrum else ():
        assert spectrum[tuple(range(size))] == pytest.approx(majority_coefficient(n, size))


def test_signs_are_a_majority_whatever_their_biases():
    """Biases are below the smallest sum of an odd number of equal weights, so relu' does not change."""
    network = drawn(n=9, width=3, init="sign")
    gap = (abs(majority_coefficient(9, 3)) - abs(majority_coefficient(9, 5))) / 2
    assert float(FourierGap()(point_of(network, 4))) == pytest.approx(gap, rel=1e-5)


def test_movement_by_hand():
    start = OneHiddenLayer(jnp.zeros((4, 2)), jnp.zeros(2), jnp.ones(2))
    now = OneHiddenLayer(jnp.array([[1.0, -2], [0, 2], [-5, 0], [3, 4]]), jnp.zeros(2), jnp.ones(2))
    point = point_of(now, 2, start)
    for bits, largest, squares in (("all", 5, 59 / 8), ("hidden", 2, 9 / 4), ("others", 5, 50 / 4)):
        assert float(WeightMovement(bits=bits)(point)) == largest
        assert float(WeightMovement(bits=bits, size="rms")(point)) == pytest.approx(squares**0.5)
    assert WeightMovement(bits="others", size="rms").name == "weight_movement_others_rms"
    everything = SparseParity(n=4, k=4)
    assert float(WeightMovement(bits="others")(Point(now, {}, Hinge(), task=everything, initial=start))) == 0


def test_alignment_is_1_along_the_gradient_and_0_across_it():
    start = drawn(n=8, width=3)
    support = jnp.arange(3)
    pull = start.output_weight * population_gradient(start, support)
    across = jnp.zeros_like(pull).at[0, 0].set(pull[1, 0]).at[1, 0].set(-pull[0, 0])
    for step, wanted in ((pull, 1.0), (-2 * pull, -1.0), (100 * across, 0.0)):
        now = OneHiddenLayer(start.hidden_weight + step, start.hidden_bias, start.output_weight)
        assert float(MovementAlignment()(point_of(now, 3, start))) == pytest.approx(wanted, abs=1e-3)
    assert np.isnan(MovementAlignment()(point_of(start, 3, start)))


def test_order_and_coefficient_of_a_network_that_knows_the_bits():
    from grokscope.models.construction import Construction

    network = Construction(k=3).network(jax.random.key(0), (6,), 1)
    point = point_of(network, 3)
    assert float(RelevantOrder()(point)) == 1.0
    assert float(ParityCoefficient()(point)) == pytest.approx(1.0)


def test_too_many_hidden_bits_are_refused():
    with pytest.raises(ValueError, match="at most 12 hidden bits, not 13"):
        hidden_gradient(drawn(n=20), jnp.arange(13))
