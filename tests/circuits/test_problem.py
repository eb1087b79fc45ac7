"""What is to be decided: how a network is split along the support, and what is refused."""

from __future__ import annotations

import itertools

import jax.numpy as jnp
import numpy as np
import pytest

from grokscope.circuits import Subnetwork
from grokscope.circuits.relu_network import ReluNetwork
from grokscope.circuits.support import MOST_BITS
from grokscope.circuits.verification.problem import VerificationProblem, kept_weights
from grokscope.errors import InputError
from grokscope.models.networks.one_hidden_layer import OneHiddenLayer
from verification_oracles import any_numbers, exact_value


def test_the_parts_add_up_to_the_network_at_every_input():
    """Bits of the support in any order: y f(x) is the sum of v relu(B + A x') over neurons."""
    weights = any_numbers(np.random.default_rng(0), 5, 4)
    for target in (None, [1, -1, -1, -1]):
        problem = VerificationProblem.of(weights, (3, 1), target)
        assert problem.support == (3, 1)
        assert problem.others.tolist() == [0, 2, 4]
        assert problem.weights is weights
        for setting, (first, second) in enumerate(itertools.product((1, -1), repeat=2)):
            y = first * second if target is None else target[setting]
            assert problem.target[setting] == y
            assert problem.settings[setting].tolist() == [first, second]
            for others in itertools.product((1, -1), repeat=3):
                x = problem.input(setting, np.array(others))
                assert x == [others[0], second, others[1], first, others[2]]
                assert all(type(bit) is int for bit in x)
                z = problem.B[setting] + np.array(others) @ problem.A
                value = (problem.v[setting] * np.maximum(z, 0)).sum()
                assert value == pytest.approx(y * float(exact_value(weights, x)), rel=1e-12)


def test_a_support_without_bits_has_one_setting():
    weights = any_numbers(np.random.default_rng(0), 3, 2)
    problem = VerificationProblem.of(weights, ())
    assert problem.settings.shape == (1, 0)
    assert problem.target.tolist() == [1.0]
    assert problem.B.tolist() == [weights.b.tolist()]


@pytest.mark.parametrize(
    ("support", "target", "message"),
    [
        ((0, 2, 0), None, r"\[0, 2, 0\] is named twice"),
        ((0, 14), None, r"\[0, 14\] must lie in bits 0 to 13"),
        ((-1, 2), None, r"\[-1, 2\] must lie in bits 0 to 13"),
        (range(MOST_BITS + 1), None, f"may have {MOST_BITS} bits at most, not {MOST_BITS + 1}"),
        ((0, 1), [1, -1, 1], "truth table of 4 values"),
        ((0, 1), [[1, -1, 1, 1]], "truth table of 4 values"),
        ((0, 1), [1, -1, 0, 1], r"values \+-1, one for each setting of the 2 bits"),
        ((0, 1), [1, -1, 2, 1], r"values \+-1"),
    ],
)
def test_a_support_or_a_target_that_does_not_fit_is_refused(support, target, message):
    with pytest.raises(InputError, match=message):
        VerificationProblem.of(any_numbers(np.random.default_rng(0), 14, 2), tuple(support), target)


def test_the_first_and_the_last_bit_and_the_most_bits_are_taken():
    weights = any_numbers(np.random.default_rng(0), 14, 2)
    assert VerificationProblem.of(weights, (0, 13)).others.tolist() == list(range(1, 13))
    assert len(VerificationProblem.of(weights, tuple(range(MOST_BITS))).settings) == 2**MOST_BITS


# --- some of the neurons ---


def network(*, bias: float | None = None) -> OneHiddenLayer:
    arrays = (jnp.arange(6.0).reshape(2, 3), jnp.array([1.0, 2.0, 3.0]), jnp.array([4.0, 5.0, 6.0]))
    return OneHiddenLayer(*arrays, "relu", None if bias is None else jnp.array(bias))


def columns(weights: ReluNetwork) -> list[list[float]]:
    return [[*weights.W[:, j], weights.b[j], weights.u[j]] for j in range(len(weights.u))]


ALL = [[0.0, 3.0, 1.0, 4.0], [1.0, 4.0, 2.0, 5.0], [2.0, 5.0, 3.0, 6.0]]


@pytest.mark.parametrize(
    ("neurons", "kept"),
    [
        (None, [0, 1, 2]),
        ([2, 0], [0, 2]),
        ([1, 1], [1]),
        (np.array([True, False, True]), [0, 2]),
        (Subnetwork(np.array([False, True, False]), found="by hand"), [1]),
        ([], []),
        (1, [1]),
    ],
)
def test_neurons_are_named_by_position_by_mask_or_as_a_subnetwork(neurons, kept):
    assert columns(kept_weights(network(), neurons)) == [ALL[j] for j in kept]
    arrays = (np.arange(6.0).reshape(2, 3), [1.0, 2.0, 3.0], [4.0, 5.0, 6.0])
    assert columns(kept_weights(arrays, neurons)) == [ALL[j] for j in kept]
    assert columns(kept_weights(list(arrays), neurons)) == [ALL[j] for j in kept]
    # an output bias is a neuron that is always 1, and stays whichever are chosen
    with_bias = kept_weights(network(bias=0.5), neurons)
    assert columns(with_bias) == [*(ALL[j] for j in kept), [0.0, 0.0, 1.0, 0.5]]


@pytest.mark.parametrize(
    ("neurons", "message"),
    [
        ([0, 3], "neuron 3 does not exist; the network has 0 to 2"),
        ([-1], "neuron -1 does not exist"),
        (np.array([True, False]), r"a mask of \(2,\) neurons; the network has 3"),
        (np.array([[True, False, True]]), r"a mask of \(1, 3\) neurons"),
        (Subnetwork(np.array([True] * 4), found=""), r"a mask of \(4,\) neurons"),
    ],
)
@pytest.mark.parametrize("bias", [None, 0.5])
def test_neurons_that_are_not_there_are_refused(neurons, message, bias):
    with pytest.raises(InputError, match=message):
        kept_weights(network(bias=bias), neurons)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ((np.zeros((2, 3)), np.zeros(3)), "three arrays W, b, u; these are 2"),
        ((np.zeros((2, 3)), np.zeros(3), np.zeros(3), 0.0), "these are 4"),
        ((np.zeros(3), np.zeros(3), np.zeros(3)), "do not fit"),
        ((np.zeros((2, 3)), np.zeros(2), np.zeros(2)), "do not fit"),
        ((np.zeros((2, 3)), np.zeros(3), np.zeros(2)), "do not fit"),
        ((np.zeros((2, 3)), np.zeros(3), np.array([0.0, np.nan, 0.0])), "not finite; its training diverged"),
        ((np.full((2, 3), np.inf), np.zeros(3), np.zeros(3)), "not finite"),
    ],
)
def test_arrays_that_are_no_network_are_refused(arrays, message):
    with pytest.raises(InputError, match=message):
        kept_weights(arrays)
