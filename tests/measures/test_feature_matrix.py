"""Circulant structure, feature matrices and gradients by the input, against closed forms and definitions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from grokscope.losses import Squared
from grokscope.measures import Point
from grokscope.measures.feature_matrix import (
    AGOPAlignment,
    CirculantDeviation,
    NeuralFeatureMatrix,
    average_gradient_outer_product,
    circulant_deviation,
)
from grokscope.models.networks.one_hot_mlp import OneHotNeurons
from grokscope.tasks.modular_operator import ModularOperator

RNG = np.random.default_rng(0)
INDEX = np.arange(31)
ENTRIES = RNG.normal(size=31)
CIRCULANT, HANKEL = ENTRIES[(INDEX[:, None] - INDEX) % 31], ENTRIES[(INDEX[:, None] + INDEX) % 31]


def test_the_deviation_of_circulant_matrices_and_of_noise():
    with jax.enable_x64(True):
        assert circulant_deviation(jnp.asarray(CIRCULANT), 1) == pytest.approx(0, abs=1e-25)
        assert circulant_deviation(jnp.asarray(HANKEL), -1) == pytest.approx(0, abs=1e-25)
        assert circulant_deviation(jnp.asarray(CIRCULANT), -1) > 0.5
        noise = RNG.normal(size=(200, 31, 31))
        found = jax.vmap(lambda block: circulant_deviation(block, 1))(jnp.asarray(noise))
        both = float(circulant_deviation(jnp.asarray(CIRCULANT + 0.5 * noise[0]), 1))
    # of 31 squares along a diagonal the mean takes one: 1 - 1/31
    assert np.mean(np.asarray(found)) == pytest.approx(1 - 1 / 31, abs=0.002)
    expected = sum(  # by the definition, diagonal by diagonal
        31 * np.var([(CIRCULANT + 0.5 * noise[0])[i, (i - d) % 31] for i in range(31)]) for d in range(31)
    )
    assert both == pytest.approx(expected / np.sum((CIRCULANT + 0.5 * noise[0]) ** 2), rel=1e-10)


@pytest.mark.parametrize(("operator", "sign"), [("multiplication", 1), ("division", -1)])
def test_the_discrete_logarithm_turns_the_table_into_that_of_addition(operator, sign):
    task = ModularOperator(operator=operator, p=31)
    order = task.cyclic_order
    assert order.sign == sign
    np.testing.assert_array_equal(np.sort(order.residues), np.arange(1, 31))
    answers = {(a, b): c for a, b, c in task.table.rows.tolist()}
    logarithm = {residue: i for i, residue in enumerate(order.residues.tolist())}
    for a in range(1, 31):
        for b in range(1, 31):
            assert logarithm[answers[a, b]] == (logarithm[a] + sign * logarithm[b]) % 30


def test_no_order_for_other_operators_and_composite_moduli():
    assert ModularOperator(operator="addition", p=6).cyclic_order.residues.tolist() == list(range(6))
    assert ModularOperator(operator="multiplication", p=6).cyclic_order is None
    assert ModularOperator(operator="cubic_plus_xy", p=7).cyclic_order is None


def test_the_block_is_found_between_the_operands_where_there_are_more_tokens():
    """With a token between the operands, and residues in another order; the block of multiplication mod 7."""
    task = ModularOperator(operator="multiplication", p=7)
    logarithm = {1: 0, 3: 1, 2: 2, 6: 3, 4: 4, 5: 5}  # 3^k mod 7
    weights = RNG.normal(size=(4, 9, 60))
    for a, i in logarithm.items():  # each neuron a wave over the logarithms, the same of both operands
        for neuron in range(60):
            wave = np.cos(2 * np.pi * (neuron % 3 + 1) * i / 6 + neuron)
            weights[0, a, neuron], weights[2, a, neuron] = wave, wave
    network = OneHotNeurons(jnp.asarray(weights), jnp.ones((60, 7)), "power", 2, 1.0)
    point = Point(network, {}, Squared(), task=task)
    matrix = np.asarray(NeuralFeatureMatrix()(point))
    flat = weights.reshape(36, 60)
    np.testing.assert_allclose(matrix, flat @ flat.T, rtol=1e-4, atol=1e-4)
    ordered = matrix[18:27, :9][np.ix_(list(logarithm), list(logarithm))]
    by_hand = {
        sign: sum(6 * np.var([ordered[i, (sign * (i - d)) % 6] for i in range(6)]) for d in range(6))
        for sign in (1, -1)
    }
    names = {1: "diagonals", -1: "anti_diagonals"}
    for sign, along in names.items():
        found = float(CirculantDeviation(along=along)(point))
        assert found == pytest.approx(by_hand[sign] / np.sum(ordered**2), rel=1e-4)
    assert float(CirculantDeviation()(point)) == pytest.approx(
        min(by_hand.values()) / np.sum(ordered**2), rel=1e-4
    )


def test_gradients_of_a_network_that_looks_rows_up():
    """A look-up has no derivative by the input; the same function by products has 2 c W diag(z) U."""
    with jax.enable_x64(True):
        w, u = RNG.normal(size=(2, 5, 6)), RNG.normal(size=(6, 5))
        network = OneHotNeurons(jnp.asarray(w), jnp.asarray(u), "power", 2, 0.3)
        x = jnp.eye(5)[jnp.array([[0, 1], [4, 4], [2, 3]])]
        np.testing.assert_allclose(network.on_vectors(x), network(x), rtol=1e-12)
        flat = w.reshape(10, 6)
        rows = np.asarray(x).reshape(3, 10)
        gradients = [0.3 * 2 * flat @ np.diag(row @ flat) @ u for row in rows]
        outer = np.mean([one @ one.T for one in gradients], axis=0)
        found = average_gradient_outer_product(network.on_vectors, x)
        np.testing.assert_allclose(found, outer, rtol=1e-10)
        values, vectors = np.linalg.eigh(outer)
        root = vectors * np.sqrt(np.maximum(values, 0)) @ vectors.T
        cosine = np.sum(root * (flat @ flat.T)) / (np.linalg.norm(root) * np.linalg.norm(flat @ flat.T))
        point = Point(network, {"train_x": x, "train_y": jnp.zeros(3, int)}, Squared())
        assert float(AGOPAlignment()(point)) == pytest.approx(cosine, rel=1e-6)


def test_the_final_network_is_there_only_for_measures_that_follow():
    with pytest.raises(LookupError, match=r"point\.final: a measure that uses it must have the pace follow"):
        _ = Point(None, {}, Squared()).final
