"""Losses against their formulas in plain Python, and at the ends of the number line."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from grokscope.losses import CrossEntropy, Exponential, Hinge, Logistic, Squared
from grokscope.spec.parts import kinds

RNG = np.random.default_rng(3)
OUTPUTS, SIGNS = 3 * RNG.normal(size=50), RNG.choice([-1.0, 1.0], size=50)
LOGITS, CLASSES = 3 * RNG.normal(size=(50, 4)), RNG.integers(0, 4, size=50)


def cross_entropy(row, label):
    return -math.log(math.exp(row[label]) / sum(math.exp(value) for value in row))


def distance(row, label):
    return sum((value - (i == label)) ** 2 for i, value in enumerate(row)) / len(row)


FORMULAS = [
    (Hinge(), OUTPUTS, SIGNS, lambda f, y: max(0.0, 1 - y * f)),
    (Logistic(), OUTPUTS, SIGNS, lambda f, y: math.log(1 + math.exp(-y * f))),
    (Exponential(), OUTPUTS, SIGNS, lambda f, y: math.exp(-y * f)),
    (Squared(), OUTPUTS, SIGNS, lambda f, y: (f - y) ** 2),
    (Squared(), LOGITS, CLASSES, distance),
    (CrossEntropy(), LOGITS, CLASSES, cross_entropy),
]


@pytest.mark.parametrize(("loss", "outputs", "y", "formula"), FORMULAS)
def test_per_sample_is_the_formula(loss, outputs, y, formula):
    with jax.enable_x64(True):
        found = loss.per_sample(jnp.asarray(outputs), jnp.asarray(y))
        assert found.shape == (50,)
        assert found.dtype == jnp.float64
        wanted = [formula(f, label) for f, label in zip(outputs, y.tolist(), strict=True)]
        np.testing.assert_allclose(found, wanted, rtol=1e-12)


@pytest.mark.usefixtures("registry")  # other files' tests define losses, too
def test_every_loss_is_tested_and_keeps_float32():
    assert {loss.kind for loss, *_ in FORMULAS} == kinds("loss").keys()
    for loss, outputs, y, _ in FORMULAS:
        labels = jnp.asarray(y, jnp.int32 if y.dtype.kind == "i" else jnp.float32)
        assert loss.per_sample(jnp.asarray(outputs, jnp.float32), labels).dtype == jnp.float32


@pytest.mark.parametrize("size", [1e4, 1e30])
def test_large_outputs_overflow_nowhere(size):
    right, wrong = jnp.array([size]), jnp.array([-size])
    one = jnp.array([1.0])
    for loss, outputs, wanted in [
        (Logistic(), right, 0.0),
        (Logistic(), wrong, size),
        (Hinge(), right, 0.0),
        (Hinge(), wrong, size),
    ]:
        np.testing.assert_allclose(loss.per_sample(outputs, one), wanted, rtol=1e-3)
        slope = jax.grad(lambda f, loss=loss: loss.per_sample(f, one)[0])(outputs)
        np.testing.assert_allclose(slope, 0.0 if wanted == 0.0 else -1.0)
    far = CrossEntropy().per_sample(jnp.array([[size, -size]]), jnp.array([1]))
    np.testing.assert_allclose(far, 2 * size, rtol=1e-3)


def test_the_squared_loss_of_vectors_is_the_mean_over_outputs():
    rng = np.random.default_rng(7)
    f, y = rng.normal(size=(9, 4)).astype(np.float32), rng.normal(size=(9, 4)).astype(np.float32)
    each = Squared().per_sample(jnp.asarray(f), jnp.asarray(y))
    np.testing.assert_allclose(each, ((f.astype(np.float64) - y) ** 2).mean(axis=1), rtol=1e-5)
