"""The least path norm of a parity, against a search over all weights and against constructed networks."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.optimize import minimize, nnls

from grokscope.circuits import proposition_1, proposition_2, proposition_3
from grokscope.circuits.constructions import least_path_norm
from grokscope.circuits.relu_network import ReluNetwork, as_relu_network
from grokscope.circuits.support import settings_of
from grokscope.errors import InputError


@pytest.mark.parametrize("k", range(1, 7))
def test_no_other_neuron_does_better(k):
    """Random restarts over all of (w, b), not only weights of one size."""
    settings = settings_of(k)
    parity = settings.prod(axis=1)
    rng = np.random.default_rng(k)

    def loss(v):
        v = v / np.linalg.norm(v)
        fires = settings @ v[:k] + v[k] > 0
        slope = (np.c_[settings, np.ones(len(settings))] * (parity * fires)[:, None]).mean(axis=0)
        return -abs(v @ slope)

    best = min(
        minimize(loss, rng.standard_normal(k + 1), method="Nelder-Mead", options={"maxiter": 800}).fun
        for _ in range(12)
    )
    assert -1 / best >= least_path_norm(k) * (1 - 1e-9)
    if k <= 4:
        assert -1 / best == pytest.approx(least_path_norm(k), rel=0.02)


def threshold_functions(k: int, most: int) -> tuple[np.ndarray, int]:
    """Threshold functions of k bits up to permutations and flips of bits, and the number of all of them.

    Those with whole weights most >= w_1 >= ... >= w_k >= 0, as booleans [function, setting].
    """
    settings = settings_of(k).astype(int)
    found: set[tuple[bool, ...]] = set()
    for w in itertools.combinations_with_replacement(range(most, -1, -1), k):
        sums = settings @ np.array(w)
        found |= {tuple((sums >= level).tolist()) for level in (*sums, sums.max() + 1)}
    functions = np.array(sorted(found))
    place = {tuple(row): i for i, row in enumerate(settings.tolist())}
    same: set[bytes] = set()
    for order in itertools.permutations(range(k)):
        for flips in itertools.product((1, -1), repeat=k):
            moved = [place[tuple(row)] for row in (settings[:, list(order)] * flips).tolist()]
            same.update(row.tobytes() for row in functions[:, moved])
    return functions, len(same)


@pytest.mark.parametrize(("k", "most", "number"), [(2, 1, 14), (3, 2, 104), (4, 3, 1882), (5, 5, 94572)])
def test_no_weights_at_all_do_better(k, most, number):
    """Exactly: the maximum over all (w, b), one cone of them for each threshold function.

    Where the neuron fires at a set F of settings, the expectation is g . v with v = (w, b) and g fixed. The
    maximum of g . v over the unit vectors of the cone is the length of g projected onto it. The numbers of
    threshold functions are known (OEIS A000609), so none is missing. Permutations and flips of bits change
    the expectation by a sign.
    """
    settings = np.c_[settings_of(k), np.ones(2**k)]
    parity = settings[:, :k].prod(axis=1)
    functions, count = threshold_functions(k, most)
    assert count == number
    best = 0.0
    for fires in functions:
        g = (parity * fires) @ settings / 2**k
        cone = settings * np.where(fires, 1, -1)[:, None]  # cone @ v >= 0
        # with c >= 0: g . v <= (g + cone^T c) . v on the cone, so the length is an upper bound
        best = max(best, *(nnls(cone.T, -sign * g)[1] for sign in (1, -1)))
    assert 1 / best == pytest.approx(least_path_norm(k), rel=1e-9)


def test_known_values():
    """k = 2: relu(x0 + x1); k = 3: relu(x0 + x1 + x2 - 1), the sign of whose sum the parity is."""
    assert least_path_norm(1) == pytest.approx(np.sqrt(2))
    assert least_path_norm(2) == pytest.approx(2 * np.sqrt(2))
    assert least_path_norm(3) == pytest.approx(8)
    assert least_path_norm(4) == pytest.approx(8)


def test_four_gates_reach_it():
    """1.5 relu(X - 1) - 0.5 relu(X + 1) + 0.5 relu(-X + 1) - 1.5 relu(-X - 1), X the sum of three bits."""
    W = np.outer(np.ones(3), [1.0, 1.0, -1.0, -1.0])
    network = ReluNetwork(W, np.array([-1.0, 1.0, 1.0, -1.0]), np.array([1.5, -0.5, 0.5, -1.5]))
    settings = settings_of(3)
    assert (network.outputs(settings) * settings.prod(axis=1)).tolist() == [1.0] * 8
    assert network.path_norm.sum() == pytest.approx(least_path_norm(3))


@pytest.mark.parametrize("network", [proposition_1(n=3), proposition_2(n=3), proposition_3(n=3)])
def test_no_construction_goes_below(network):
    weights, settings = as_relu_network(network), settings_of(3)
    margin = (weights.outputs(settings) * settings.prod(axis=1)).min()
    assert weights.path_norm.sum() / margin >= least_path_norm(3)


@pytest.mark.parametrize("k", [0, 41])
def test_other_numbers_of_bits_are_refused(k):
    with pytest.raises(InputError, match="k must be from 1 to 40"):
        least_path_norm(k)
