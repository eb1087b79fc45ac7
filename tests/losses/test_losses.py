"""Losses against their formulas in plain Python, and at the ends of the number line."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from grokscope.losses import CrossEntropy, Exponential, Hinge, Logistic, Squared, StableMax
from grokscope.spec.parts import kinds

RNG = np.random.default_rng(3)
OUTPUTS, SIGNS = 3 * RNG.normal(size=50), RNG.choice([-1.0, 1.0], size=50)
LOGITS, CLASSES = 3 * RNG.normal(size=(50, 4)), RNG.integers(0, 4, size=50)


def cross_entropy(row, label):
    return -math.log(math.exp(row[label]) / sum(math.exp(value) for value in row))


def distance(row, label):
    return sum((value - (i == label)) ** 2 for i, value in enumerate(row)) / len(row)


def s(z):
    return z + 1 if z >= 0 else 1 / (1 - z)


def stablemax(row, label):
    return -math.log(s(row[label]) / sum(s(value) for value in row))


def at_temperature(t, formula):
    return lambda row, label: formula([value / t for value in row], label)


FORMULAS = [
    (Hinge(), OUTPUTS, SIGNS, lambda f, y: max(0.0, 1 - y * f)),
    (Logistic(), OUTPUTS, SIGNS, lambda f, y: math.log(1 + math.exp(-y * f))),
    (Exponential(), OUTPUTS, SIGNS, lambda f, y: math.exp(-y * f)),
    (Squared(), OUTPUTS, SIGNS, lambda f, y: (f - y) ** 2),
    (Squared(), LOGITS, CLASSES, distance),
    (CrossEntropy(), LOGITS, CLASSES, cross_entropy),
    (CrossEntropy(precision="float64"), LOGITS, CLASSES, cross_entropy),
    (CrossEntropy(temperature=2.5), LOGITS, CLASSES, at_temperature(2.5, cross_entropy)),
    (CrossEntropy(precision="float64", temperature=0.3), LOGITS, CLASSES, at_temperature(0.3, cross_entropy)),
    (StableMax(), LOGITS, CLASSES, stablemax),
    (StableMax(precision="float64"), LOGITS, CLASSES, stablemax),
    (StableMax(temperature=2.5), LOGITS, CLASSES, at_temperature(2.5, stablemax)),
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


def both(loss, logits, y):
    """Loss and gradient of each sample, compiled, in the precision of the logits."""
    logits, y = jnp.asarray(logits), jnp.asarray(y)
    value = jax.jit(loss.per_sample)(logits, y)
    return value, jax.jit(jax.grad(lambda f: jnp.sum(loss.per_sample(f, y))))(logits)


def softmax_in_halves(row, label):
    """Cross-entropy and its gradient, each operation rounded to float16; the sum in pairs."""
    shifted = np.float16(row) - np.max(np.float16(row))
    powers = [np.float16(np.exp(np.float64(value))) for value in shifted]
    terms = list(powers)
    while len(terms) > 1:
        half = (len(terms) + 1) // 2
        second = terms[half:] + [np.float16(0)] * (2 * half - len(terms))
        terms = [a + b for a, b in zip(terms[:half], second, strict=True)]
    loss = np.float16(np.log(np.float64(terms[0]))) - shifted[label]
    return loss, [power / terms[0] - np.float16(i == label) for i, power in enumerate(powers)]


@pytest.mark.parametrize("n_classes", [2, 5, 8, 113])
@pytest.mark.parametrize("scale", [1, 6, 30])
def test_float16_rounds_every_operation(n_classes, scale):
    rng = np.random.default_rng(n_classes)
    logits = (scale * rng.normal(size=(60, n_classes))).astype(np.float32)
    y = np.where(rng.random(60) < 0.7, logits.argmax(axis=1), rng.integers(0, n_classes, 60)).astype(np.int32)
    found, gradient = both(CrossEntropy(precision="float16"), logits, y)
    assert found.dtype == gradient.dtype == np.float32
    wanted = [softmax_in_halves(row, label) for row, label in zip(logits, y, strict=True)]
    losses = np.float32([loss for loss, _ in wanted])
    np.testing.assert_array_equal(np.float16(found), found)  # they are numbers of float16
    np.testing.assert_array_equal(found == 0, losses == 0)
    # exp and log of other libraries may round to the neighbor
    np.testing.assert_allclose(found, losses, rtol=2**-9, atol=2**-9)
    np.testing.assert_allclose(gradient, np.float32([g for _, g in wanted]), rtol=2**-9, atol=2**-10)


# 112 wrong classes with the same logit; the right one is above them by a gap. Added to 1 one by one, each is
# lost from log(1 / e) on, all of them together from there + log(112) on (e: half of the gap after 1)
@pytest.mark.slow
@pytest.mark.parametrize(
    ("precision", "half_gap"), [("float16", 2.0**-11), ("as_run", 2.0**-24), ("float64", 2.0**-53)]
)
@pytest.mark.parametrize("label", [0, 50, 112])
def test_the_loss_collapses_where_the_sum_absorbs_the_wrong_classes(precision, half_gap, label):
    singly = math.log(1 / half_gap)
    assert singly == pytest.approx({"float16": 7.62, "as_run": 16.64, "float64": 36.74}[precision], abs=0.01)

    def of(gap):
        logits = jnp.zeros((1, 113)).at[0, label].set(gap)
        value, gradient = both(CrossEntropy(precision=precision), logits, jnp.array([label]))
        return float(value[0]), float(gradient[0, label])

    lost = of(singly + math.log(112) + 0.1)
    assert lost == (0.0, 0.0)
    value, gradient = of(singly - 0.1)
    assert value > 0
    assert gradient < 0
    if precision == "float16":  # in pairs: the last sum but one of the wrong classes has at most 64 of them
        assert of(math.log(64 / half_gap)) == (0.0, 0.0)
        assert of(math.log(32 / half_gap))[0] > 0
    stable, gradient = both(StableMax(), jnp.zeros((1, 113)).at[0, label].set(singly + 5), jnp.array([label]))
    assert float(stable[0]) > 1
    assert float(gradient[0, label]) < 0


@pytest.mark.parametrize("precision", ["as_run", "float64"])
def test_stablemax_is_a_softmax_of_logarithms(precision):
    logits = (5 * RNG.normal(size=(40, 6))).astype(np.float32)
    logits[:5] = 0.0  # where s changes its form
    logits[5:10, 2] = 0.0
    y = RNG.integers(0, 6, size=40).astype(np.int32)
    wide = np.float64(logits)
    log_s = np.sign(wide) * np.log1p(np.abs(wide))
    shares = np.exp(log_s) / np.exp(log_s).sum(axis=1, keepdims=True)
    value, gradient = both(StableMax(precision=precision), logits, y)
    np.testing.assert_allclose(value, -np.log(shares[np.arange(40), y]), rtol=1e-5)
    slope = (shares - np.eye(6)[y]) / (1 + np.abs(wide))  # s'/s = 1 / (1 + |z|)
    np.testing.assert_allclose(gradient, slope, rtol=1e-5, atol=1e-7)


def test_stablemax_in_float64_knows_shares_that_float32_rounds_to_one():
    logits = jnp.array([[1e5, -1e5]])  # s is 1e5 and 1e-5
    for precision, wanted in (("as_run", 0.0), ("float64", 1e-10)):
        loss = StableMax(precision=precision).per_sample(logits, jnp.array([0]))
        assert float(loss[0]) == pytest.approx(wanted, rel=1e-4, abs=0)
