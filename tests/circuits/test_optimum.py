"""The least path norm of a parity, against a search over all weights and against constructed networks."""

from __future__ import annotations

import itertools
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from scipy.optimize import linprog, minimize, nnls

from grokscope.circuits import check_least_norm, least_norm, proposition_1, proposition_2, proposition_3
from grokscope.circuits.constructions import least_path_norm
from grokscope.circuits.optimum import Bound, Cases, Implied
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


# ---------------------------------------------------------------- any Boolean function, certified

SETTINGS_3 = settings_of(3)
FUNCTIONS = {
    "parity": SETTINGS_3.prod(axis=1),
    "majority": np.sign(SETTINGS_3.sum(axis=1)),
    "and": np.where(SETTINGS_3.sum(axis=1) == 3, 1, -1),
    "staircase": np.sign(np.cumprod(SETTINGS_3, axis=1).sum(axis=1)),
    "random": np.array([1, -1, 1, 1, -1, -1, -1, 1]),  # no symmetry
    "one bit": SETTINGS_3[:, 1],
}


@pytest.fixture(scope="module")
def certified():
    return {name: least_norm(labels) for name, labels in FUNCTIONS.items()}


@pytest.mark.parametrize("k", range(1, 7))
def test_both_bounds_of_a_parity_are_its_least_path_norm(k):
    found = least_norm(settings_of(k).prod(axis=1))
    assert found.lower <= found.upper
    assert float(found.lower) == pytest.approx(least_path_norm(k), rel=1e-6)
    assert float(found.upper) == pytest.approx(least_path_norm(k), rel=1e-6)
    assert check_least_norm(found) == (found.lower, found.upper)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_no_network_of_many_other_neurons_is_below_the_bound(certified, name):
    """The same program over all neurons with small whole weights: never below, and near with many of them."""
    v = np.array(list(itertools.product(range(-4, 5), repeat=4)))
    v = v[v.any(axis=1)] / np.linalg.norm(v[v.any(axis=1)], axis=1, keepdims=True)
    rows = FUNCTIONS[name][:, None] * np.maximum(np.c_[SETTINGS_3, np.ones(8)] @ v.T, 0.0)
    least = linprog(np.ones(2 * len(v)), -np.c_[rows, -rows], -np.ones(8)).fun
    assert float(certified[name].lower) <= least * (1 + 1e-9)  # the solver's tolerance
    assert least <= 1.01 * float(certified[name].upper)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_no_neuron_breaks_the_dual(certified, name):
    """Every cell of the 104 threshold functions, by projection, without the tree of the proof."""
    functions, _ = threshold_functions(3, 2)
    place = {tuple(row): i for i, row in enumerate(SETTINGS_3.tolist())}
    every = {
        tuple(row[[place[tuple(x)] for x in (SETTINGS_3[:, order] * flips).tolist()]].tolist())
        for row in functions
        for order in map(list, itertools.permutations(range(3)))
        for flips in itertools.product((1, -1), repeat=3)
    }
    assert len(every) == 104
    settings = np.c_[SETTINGS_3, np.ones(8)]
    p = np.array(certified[name].weights) / 2**40
    greatest = 0.0
    for fires in map(np.array, every):
        g = (p * FUNCTIONS[name] * fires) @ settings
        cone = settings * np.where(fires, 1, -1)[:, None]
        greatest = max(greatest, *(nnls(cone.T, -sign * g)[1] for sign in (1, -1)))
    assert p.sum() / greatest == pytest.approx(float(certified[name].lower), rel=1e-6)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_network_that_is_written_down_has_the_upper_bound(certified, name):
    (w, b, u) = (np.array(part, np.float64) for part in zip(*certified[name].network, strict=True))
    network = ReluNetwork(w.T, b, u)
    margin = (network.outputs(SETTINGS_3) * FUNCTIONS[name]).min()
    assert network.path_norm.sum() / margin == pytest.approx(float(certified[name].upper), rel=1e-12)


def test_known_values_of_other_functions(certified):
    """Majority: relu(s/2 + 1/2) - relu(-s/2 + 1/2) with s the sum; one bit: the parity of one."""
    assert float(certified["majority"].upper) == pytest.approx(2.0)
    assert float(certified["one bit"].upper) == pytest.approx(np.sqrt(2))


def changed(node, kind, **fields):
    """The proof with its first node of a kind changed; None if there is none."""
    if isinstance(node, kind):
        return replace(node, **{name: change(getattr(node, name)) for name, change in fields.items()})
    for child in ("then", "fires", "silent"):
        below = getattr(node, child, None)
        if below is not None and not isinstance(below, bool):
            found = changed(below, kind, **fields)
            if found is not None:
                return replace(node, **{child: found})
    return None


def with_proof(found, kind, **fields):
    forged = changed(found.proofs[1], kind, **fields)  # of the seven settings with label -1
    assert forged is not None
    return replace(found, proofs=(found.proofs[0], forged))


FORGED = {
    "a higher bound": lambda f: replace(f, lower=f.lower + Fraction(1, 1000)),
    "a lower bound": lambda f: replace(f, upper=f.upper - Fraction(1, 1000)),
    "other weights": lambda f: replace(f, weights=(2 * f.weights[0], *f.weights[1:])),
    "a negative weight": lambda f: replace(f, weights=(-1, *f.weights[1:])),
    "other labels": lambda f: replace(f, labels=(-f.labels[0], *f.labels[1:])),
    "half a network": lambda f: replace(f, network=f.network[:1]),
    "a case left out": lambda f: with_proof(f, Cases, setting=lambda i: i + 1),
    "a case that is not implied": lambda f: with_proof(f, Implied, fires=lambda fires: not fires),
    "implied by a negative sum": lambda f: with_proof(f, Implied, multipliers=lambda m: (-1, *m[1:])),
    "no denominator": lambda f: with_proof(
        f, Implied, denominator=lambda d: 0, multipliers=lambda m: (0,) * len(m)
    ),
    "a share above 1": lambda f: with_proof(f, Bound, shares=lambda s: tuple(4 * e for e in s)),
    "no shares": lambda f: with_proof(f, Bound, shares=lambda s: (0,) * len(s)),
    "a negative multiplier": lambda f: with_proof(f, Bound, multipliers=lambda m: (-1, *m[1:])),
}


@pytest.mark.parametrize("forged", FORGED)
def test_the_checker_refuses(certified, forged):
    with pytest.raises(InputError, match="least_norm: ") as refused:
        check_least_norm(FORGED[forged](certified["and"]))
    assert len(str(refused.value).splitlines()) == 1


@pytest.mark.parametrize("labels", [[1], [1, -1, 1], [1, 2], [[1, -1]], np.ones(128), ["a", "b"]])
def test_labels_that_are_no_table_are_refused(labels):
    with pytest.raises(InputError, match="labels must be 1 or -1 at each of the"):
        least_norm(labels)
