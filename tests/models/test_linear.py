"""Linear and deep linear models: outputs and starts against numpy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from grokscope.errors import InputError
from grokscope.models.linear import LinearModel
from grokscope.models.networks.linear_network import LinearNetwork


def test_a_deep_network_is_the_product_of_its_matrices():
    rng = np.random.default_rng(0)
    one, two, bias = rng.normal(size=(4, 3)), rng.normal(size=(3, 2)), rng.normal(size=2)
    x = rng.normal(size=(5, 4))
    network = LinearNetwork((jnp.asarray(one), jnp.asarray(two)), jnp.asarray(bias))
    np.testing.assert_allclose(network(jnp.asarray(x)), x @ one @ two + bias, rtol=1e-5)
    matrix, shift = network.affine
    np.testing.assert_allclose(matrix, one @ two, rtol=1e-5)
    np.testing.assert_allclose(shift, bias, rtol=1e-6)


def test_one_output_has_a_vector_of_weights():
    network = LinearModel(bias=True).network(jax.random.key(0), (4,), 1)
    assert network.weights[0].shape == (4,)
    assert network.bias.shape == ()
    assert network(jnp.ones((3, 4))).shape == (3,)
    matrix, shift = network.affine
    assert matrix.shape == (4, 1)
    assert shift.tolist() == [0.0]


def test_matrices_have_the_norm_that_is_said():
    """Entries of variance s^2 / (m n): the paper's 1 / (2 m n) at s = 1 / sqrt 2."""
    network = LinearModel(widths=[300], init_scale=0.5**0.5).network(jax.random.key(0), (400,), 20)
    for weight in network.weights:
        assert float(jnp.var(weight)) == pytest.approx(1 / (2 * weight.size), rel=0.05)


def test_a_scale_of_0_starts_at_zero():
    network = LinearModel(bias=True, init_scale=0.0).network(jax.random.key(0), (4,), 1)
    assert float(jnp.abs(network.weights[0]).max()) == 0.0


def test_bad_sizes_are_refused():
    with pytest.raises(InputError, match="sizes from 1"):
        LinearModel(widths=[0])
