"""Recursive feature machines against numpy, automatic derivatives and finite differences; no networks."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import grokscope as gs
from grokscope.errors import InputError
from grokscope.learners.check import check_learner
from grokscope.learners.recursive_features import RecursiveFeatures
from grokscope.measures.feature_matrix import average_gradient_outer_product
from grokscope.models.networks.kernel_machine import KernelMachine

RNG = np.random.default_rng(0)
N, D, C = 20, 6, 3
X, ALPHA = RNG.normal(size=(N, D)), RNG.normal(size=(N, C))
ROOT = RNG.normal(size=(D, D))
M = ROOT @ ROOT.T / D
RATE = 0.3
PAIRS = {
    "kind": "modular_operator",
    "p": 7,
    "train_fraction": 0.6,
    "operator_token": False,
    "equals_token": False,
}


def machine(kernel):
    return KernelMachine(jnp.asarray(ALPHA), jnp.asarray(M), jnp.asarray(X), jnp.asarray(RATE), kernel)


def value(kernel, x):
    """The kernel machine, from its definition."""
    if kernel == "quadratic":
        return (X @ M @ x) ** 2 @ ALPHA
    return np.exp(-RATE * np.array([(x - z) @ M @ (x - z) for z in X])) @ ALPHA


def jacobians(kernel):
    """Gradients [sample, input, output] at the centers by central differences of `value`."""
    h = 1e-5
    steps = h * np.eye(D)
    return np.array([[(value(kernel, x + e) - value(kernel, x - e)) / (2 * h) for e in steps] for x in X])


def experiment(learner, task=PAIRS, **more):
    table = {"epochs": 3, "batch_size": "full", "loss": "squared", "precision": "float64"} | more
    return gs.Experiment(task=task, learner={"kind": "recursive_features", **learner}, **table)


@pytest.mark.slow
@pytest.mark.parametrize("kernel", ["quadratic", "gaussian"])
def test_the_average_gradient_outer_product_is_that_of_the_gradients(kernel):
    """Finite differences know nothing of the formula; automatic derivatives are exact to rounding."""
    gradients = jacobians(kernel)
    with jax.enable_x64(True):
        made = machine(kernel)
        np.testing.assert_allclose(made(jnp.asarray(X[:2])), [value(kernel, x) for x in X[:2]], rtol=1e-12)
        plain = np.asarray(made.average_gradient_outer_product())
        centered = np.asarray(made.average_gradient_outer_product(centered=True))
        automatic = np.asarray(average_gradient_outer_product(made, jnp.asarray(X)))
    np.testing.assert_allclose(plain, automatic, rtol=1e-10)
    scale = np.abs(plain).max()
    np.testing.assert_allclose(plain, np.einsum("jdc,jec->de", gradients, gradients) / N, atol=1e-7 * scale)
    less = gradients - gradients.mean(axis=0)
    np.testing.assert_allclose(centered, np.einsum("jdc,jec->de", less, less) / N, atol=1e-7 * scale)
    assert not np.allclose(plain, centered, rtol=0.01)


@pytest.mark.slow
def test_an_iteration_is_that_of_numpy(tmp_path):
    """Three iterations with a ridge and another power, gradients summed up class by class."""
    settings = {"kernel": "gaussian", "bandwidth": 0.9, "ridge": 0.1, "power": 0.7, "centered": True}
    named = ["test_loss", "feature_alignment", "circulant_deviation_diagonals", "agop_alignment"]
    measures = [*named[:2], {"kind": "circulant_deviation", "along": "diagonals"}, named[3]]
    spec = experiment(settings, measures=measures, schedule={"snapshots": "epochs"})
    run = gs.train(spec, seeds=1, out=tmp_path / "run")
    first, last = run.model(seed=0, step=0), run.model(seed=0)
    x = np.asarray(first.centers)
    labels = run.data(0)["train_y"]
    targets = np.eye(7)[np.asarray(labels)]
    g, matrix = 1 / (2 * 0.9**2), np.eye(14)
    for step in range(4):
        between = x[:, None] - x[None, :]
        kernel = np.exp(-g * np.einsum("ijd,de,ije->ij", between, matrix, between))
        alpha = np.linalg.solve(kernel + 0.1 * np.eye(len(x)), targets)
        if step == 3:
            break
        pulls = [np.einsum("i,ij,jid->jd", one, kernel, between) @ matrix for one in alpha.T]
        gradients = -2 * g * np.stack(pulls, axis=2)
        gradients -= gradients.mean(axis=0)
        outer = np.einsum("jdc,jec->de", gradients, gradients) / len(x)
        values, vectors = np.linalg.eigh(outer)
        matrix = vectors * np.maximum(values, 0) ** 0.7 @ vectors.T
    np.testing.assert_allclose(first.feature_matrix, np.eye(14))
    np.testing.assert_allclose(last.feature_matrix, matrix, rtol=1e-8, atol=1e-12)
    np.testing.assert_allclose(last.alpha, alpha, rtol=1e-8)
    # measures of features, from their formulas; those of the end are known for a learner without neurons, too
    values = {name: run.measures[name].sel(seed=0).to_numpy() for name in named}
    cosine = np.trace(matrix) / (np.sqrt(14) * np.linalg.norm(matrix))
    np.testing.assert_allclose(values["feature_alignment"][[0, -1]], [cosine, 1])
    block, rest = matrix[7:, :7], 0.0
    for shift in range(7):
        line = np.array([block[i, (i - shift) % 7] for i in range(7)])
        rest += np.sum((line - line.mean()) ** 2)
    np.testing.assert_allclose(values["circulant_deviation_diagonals"][-1], rest / np.sum(block**2))
    assert np.isnan(values["circulant_deviation_diagonals"][0])
    assert run.measures.sizes.get("subnetwork", 0) == 0


def test_the_two_readings_of_the_bandwidth():
    """exp(-d / (2 L^2)) and exp(-d / L): from the one-hot pairs alone, at distance 2 or 4 of each other."""
    task = {**PAIRS, "p": 3}
    for reading, rate in (("length", 1 / 32), ("scale", 1 / 4)):
        spec = experiment(
            {"kernel": "gaussian", "bandwidth": 4.0, "bandwidth_as": reading}, task, precision="float32"
        )
        data = spec.task.member_data(jax.random.key(0), jax.random.key(1))
        made = spec.learner.init(spec, jax.random.key(2), data).network
        kernel = np.asarray(made.gram(made.centers))
        assert set(np.round(-np.log(kernel) / rate).astype(int).ravel()) == {0, 2, 4}


@pytest.mark.slow
@pytest.mark.parametrize("operator", ["addition", "subtraction", "multiplication"])
def test_random_circulant_features_are_those_of_the_operator(operator):
    """They are without negative eigenvalues and block-circulant in the operator's order of the residues."""
    spec = experiment({"start": "random_circulant"}, {**PAIRS, "operator": operator}, precision="float32")
    data = spec.task.member_data(jax.random.key(0), jax.random.key(1))
    matrix = np.asarray(spec.learner.init(spec, jax.random.key(2), data).network.feature_matrix)
    order = {"multiplication": [1, 3, 2, 6, 4, 5]}.get(operator, list(range(7)))  # powers of 3 mod 7
    first, second = np.array(order), 7 + np.array(order)
    np.testing.assert_allclose(matrix, matrix.T, atol=1e-5)
    assert np.linalg.eigvalsh(matrix).min() > -1e-5
    block, m = matrix[np.ix_(second, first)], len(order)
    i = np.arange(m)
    lines = i[:, None] + i if operator == "subtraction" else i[:, None] - i
    for line in range(m):
        assert np.ptp(block[lines % m == line]) < 1e-5
    assert np.ptp(block) > 0.01
    if operator == "multiplication":  # 0 has no logarithm
        rest = [0, 7]
        np.testing.assert_allclose(matrix[rest], np.eye(14)[rest], atol=1e-6)


@pytest.mark.slow
def test_it_passes_the_conformance_suite_and_refuses_other_tasks():
    check_learner(RecursiveFeatures(ridge=0.1))
    with pytest.raises(
        InputError, match="needs addition, subtraction, or multiplication or division"
    ) as error:
        experiment({"start": "random_circulant"}, {**PAIRS, "operator": "cubic_plus_xy"})
    assert "\n" not in str(error.value)
