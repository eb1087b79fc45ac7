"""Direction of the gradient relative to the weights, and zeros of the loss, against their definitions."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from grokscope.losses import CrossEntropy, Hinge, Squared, StableMax
from grokscope.measures import Point
from grokscope.measures.gradient import WeightAlignment
from grokscope.measures.loss import ZeroLossShare
from grokscope.models.one_hot_mlp import OneHotMLP


def relu_network(p=5, widths=(7, 6)):
    """A bias-free relu network on pairs, as matrices and as the model's network; and all pairs."""
    model = OneHotMLP(widths=widths, activation="relu", stds=(0.8,), output_factor=1.0)
    network = model.network(jax.random.key(3), (2, p), p)
    pairs = np.array(list(itertools.product(range(p), repeat=2)))
    data = {
        "train_x": jnp.asarray(np.eye(p)[pairs]),
        "train_y": jnp.asarray(pairs.sum(axis=1) % p, jnp.int32),
    }
    return network, data


@pytest.mark.slow
@pytest.mark.parametrize("loss", [CrossEntropy(), CrossEntropy(precision="float64"), StableMax(), Squared()])
def test_the_alignment_is_that_of_finite_differences(loss):
    with jax.enable_x64(True):
        network, data = relu_network()
        matrices, shape = jax.tree.flatten(network)

        @jax.jit
        def value(matrices):
            outputs = jax.tree.unflatten(shape, matrices)(data["train_x"])
            return jnp.mean(loss.per_sample(outputs, data["train_y"]))

        found = np.asarray(WeightAlignment()(Point(network, data, loss)))
        assert found.shape == (3,)
        for at, matrix in enumerate(matrices):
            slopes = np.zeros(matrix.shape)
            for index in np.ndindex(*matrix.shape):
                ends = [
                    value([m.at[index].add(d) if i == at else m for i, m in enumerate(matrices)])
                    for d in (1e-5, -1e-5)
                ]
                slopes[index] = (ends[0] - ends[1]) / 2e-5
            cosine = -float((slopes * matrix).sum() / np.linalg.norm(slopes) / np.linalg.norm(matrix))
            assert found[at] == pytest.approx(cosine, abs=1e-5)


def test_all_matrices_of_a_relu_network_scale_the_logits_alike():
    # Euler: sum of W df/dW over each matrix is f, so <W, dL/dW> is the mean of <dl/df, f> for every matrix
    with jax.enable_x64(True):
        network, data = relu_network()
        loss, y = CrossEntropy(), data["train_y"]
        f = network(data["train_x"])
        p = jax.nn.softmax(f) - jax.nn.one_hot(y, 5)
        along = float(jnp.mean(jnp.sum(p * f, axis=1)))
        gradient = jax.grad(lambda n: jnp.mean(loss.per_sample(n(data["train_x"]), y)))(network)
        found = WeightAlignment()(Point(network, data, loss))
        pairs = zip(jax.tree.leaves(gradient), jax.tree.leaves(network), strict=True)
        sizes = np.array([float(jnp.linalg.norm(g) * jnp.linalg.norm(w)) for g, w in pairs])
        np.testing.assert_allclose(-np.asarray(found) * sizes, along, rtol=1e-10)


@pytest.mark.slow
def test_the_alignment_of_tiny_gradients_is_not_lost():
    network, data = relu_network()
    scaled = jax.tree.map(
        lambda leaf: 4 * leaf, network
    )  # logits 64 times as large: losses of 1e-20 and less
    right = {**data, "train_y": jnp.argmax(scaled(data["train_x"]), axis=1)}
    found = WeightAlignment()(Point(scaled, right, CrossEntropy(precision="float64")))
    assert np.isfinite(found).all()
    assert (np.asarray(found) > 0).all()
    still = jax.tree.map(jnp.zeros_like, network)
    assert np.isnan(WeightAlignment()(Point(still, data, Squared()))).all()


@pytest.mark.parametrize("precision", ["float16", "as_run", "float64"])
def test_the_share_of_zero_losses_counts_sums_that_are_rounded_to_one(precision):
    rng = np.random.default_rng(2)
    logits = rng.normal(size=(400, 9)).astype(np.float32)
    logits[:, 0] += rng.uniform(0, 60, size=400).astype(np.float32)
    y = (rng.random(400) < 0.2).astype(np.int32)  # 1: a wrong class for most
    powers = np.exp(np.float64(logits) - logits.max(axis=1, keepdims=True))
    wrong = powers.sum(axis=1) - powers.max(axis=1)
    half = {"float16": 2.0**-11, "as_run": 2.0**-24, "float64": 2.0**-53}[precision]
    fits = logits.argmax(axis=1) == y
    least, most = ((wrong < bound) & fits for bound in (half / 4, half * 9))
    data = {"train_x": jnp.asarray(logits), "train_y": jnp.asarray(y)}
    found = float(ZeroLossShare()(Point(lambda x: x, data, CrossEntropy(precision=precision))))
    assert 0.1 < least.mean() <= found + 1e-6
    assert found <= most.mean() + 1e-6 < 0.85
    assert float(ZeroLossShare()(Point(lambda x: x, data, StableMax(precision="float64")))) == 0.0


def test_the_share_of_zero_losses_with_the_hinge_loss_is_that_of_margins():
    data = {"train_x": jnp.array([0.5, 1.0, 3.0, -2.0]), "train_y": jnp.array([1.0, 1.0, 1.0, -1.0])}
    assert float(ZeroLossShare()(Point(lambda x: x, data, Hinge()))) == 0.75
