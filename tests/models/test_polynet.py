"""PolyNets: the product, its gradient by hand, and that learning one step follows it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from grokscope.errors import InputError
from grokscope.experiment import Experiment
from grokscope.models.polynet import PolyNet


def test_outputs_gradient_and_count():
    model = PolyNet(degree=3, init_scale=2.0)
    with jax.enable_x64(True):
        network = model.network(jax.random.key(0), (5,), 1)
        w = np.asarray(network.hidden_weight)
        x = np.sign(np.random.default_rng(0).normal(size=(7, 5)))
        found = np.asarray(network(jnp.asarray(x)))
        slope = np.asarray(jax.grad(lambda n: n(jnp.asarray(x)).sum())(network).hidden_weight)
    assert w.shape == (5, 3)
    assert w.size == model.n_parameters((5,), 1)
    assert np.abs(w).max() <= 2 / 5**0.5
    products = x @ w
    np.testing.assert_allclose(found, products[:, 0] * products[:, 1] * products[:, 2], rtol=1e-12)
    others = [(1, 2), (0, 2), (0, 1)]
    by_hand = np.stack([x.T @ (products[:, a] * products[:, b]) for a, b in others], axis=1)
    np.testing.assert_allclose(slope, by_hand, rtol=1e-10, atol=1e-12)


def test_factors_that_read_a_bit_each_are_the_parity():
    from grokscope.models.networks.linear_product import LinearProduct

    x = jnp.asarray(np.sign(np.random.default_rng(1).normal(size=(20, 6))))
    np.testing.assert_array_equal(LinearProduct(jnp.eye(6)[:, :3])(x), x[:, :3].prod(axis=1))


def test_several_outputs_are_refused():
    task = {"kind": "modular_operator", "p": 5}
    with pytest.raises(InputError, match="model 'polynet' has one output; this task needs 5"):
        Experiment(task=task, model="polynet", loss="cross_entropy", epochs=1)
