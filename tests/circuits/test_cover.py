"""Cutting the cube: what is left at the end covers all inputs, and it ends when it should."""

from __future__ import annotations

import time
from types import SimpleNamespace

import numpy as np
import pytest

from grokscope.circuits.relu_network import ReluNetwork
from grokscope.circuits.verification import search as module
from grokscope.circuits.verification.certificate import Rounded, exact_lowers
from grokscope.circuits.verification.problem import VerificationProblem
from grokscope.circuits.verification.relaxation import Relaxation
from grokscope.circuits.verification.search import (
    Cover,
    LowestPoints,
    _keep_lowest,
    _Tree,
    cover,
    evaluate,
    search,
)
from verification_oracles import exact_value, least

NEVER, LEAST = float("inf"), 3.0


def problem_of(seed: int, n: int = 9, width: int = 8, shift: float = 0.0) -> VerificationProblem:
    """Normal weights, and a neuron that is always on and adds a constant."""
    rng = np.random.default_rng(seed)
    W, b, u = (rng.standard_normal(shape) for shape in ((n, width), (width,), (width,)))
    W[:, 0], b[0], u[0] = 0.0, 1.0, shift
    return VerificationProblem.of(ReluNetwork(W, b, u), (0, 3), np.ones(4))


def found_by(problem: VerificationProblem, seed: int = 0) -> LowestPoints:
    return search(problem, seed)


def covered(problem: VerificationProblem, found: LowestPoints | None = None, **options: float) -> Cover:
    usual = {"enough": 1e-6, "zero": -NEVER, "gap": 0.1, "most_nodes": 10_000, "deadline": NEVER}
    return cover(problem, found or found_by(problem), **(usual | options))


def margin(problem: VerificationProblem) -> float:
    return float(min(least(problem, setting) for setting in range(4)))


def leaves_of(certificate) -> np.ndarray:
    return certificate.bit < 0


def holds_everywhere(seed: int) -> VerificationProblem:
    """With a constant just large enough that the smallest output is `LEAST`.

    The exact check takes a little off again: parabolas are computed from lengths of ten bits.
    """
    return problem_of(seed, shift=LEAST - margin(problem_of(seed)))


@pytest.mark.parametrize("seed", range(6))
def test_a_network_that_is_right_is_proved_and_its_margin_known_within_the_gap(seed):
    problem = holds_everywhere(seed)
    for gap in (0.5, 0.1, 0.01):
        made = covered(problem, gap=gap)
        lowers = exact_lowers(made.certificate, problem, Rounded.of(problem))
        assert 0.99 * (1 - gap) * LEAST <= float(min(lowers)) <= LEAST + 1e-9
        assert made.found.value.min() == pytest.approx(LEAST)


def test_a_smaller_gap_takes_more_subcubes():
    problem = holds_everywhere(0)
    sizes = [covered(problem, gap=gap).certificate.n_leaves for gap in (0.9, 0.3, 0.01)]
    assert sizes[0] < sizes[1] < sizes[2]


@pytest.mark.parametrize("most", [4, 40, 100])
def test_what_is_decided_is_sharpened_up_to_so_many_nodes(most):
    """The cuts of one batch may go beyond."""
    problem = holds_everywhere(0)
    decided = covered(problem, gap=1e-9, most_nodes=0, enough=1e-6).certificate
    assert float(min(exact_lowers(decided, problem, Rounded.of(problem)))) > 0
    made = covered(problem, gap=1e-9, most_nodes=most).certificate
    assert len(made.bit) >= min(most, len(covered(problem, gap=1e-9).certificate.bit))
    assert len(made.bit) <= max(most, len(decided.bit)) + 2 * module._BATCH


@pytest.mark.parametrize("seed", range(4))
def test_every_subcube_is_decided_before_the_nodes_are_counted(monkeypatch, seed):
    """One at a time, so that a single one is left at the end: it is cut too, whatever the number of nodes."""
    monkeypatch.setattr(module, "_BATCH", 1)
    problem = holds_everywhere(seed)
    made = covered(problem, gap=1e-9, most_nodes=0, enough=0.95 * LEAST).certificate
    lowers = exact_lowers(made, problem, Rounded.of(problem))
    # the exact check takes a little off
    assert float(min(lowers)) > 0.94 * LEAST


@pytest.mark.parametrize("seed", range(3))
def test_of_a_network_that_is_wrong_the_least_output_is_found(seed):
    """From bad points; and no bound is above it."""
    problem = problem_of(seed)
    bad = np.ones((4, 7))
    start = LowestPoints(evaluate(problem, np.arange(4), bad), bad)
    made = covered(problem, start)
    lowest = margin(problem)
    assert lowest < 0
    assert made.found.value.min() == pytest.approx(lowest)
    for setting, (value, x) in enumerate(zip(*made.found, strict=True)):
        whole = problem.input(setting, x)
        assert value == pytest.approx(float(exact_value(problem.weights, whole)))
        assert value <= start.value[setting]
    np.testing.assert_array_equal(start.x, np.ones((4, 7)))  # what was given is left alone
    lowers = exact_lowers(made.certificate, problem, Rounded.of(problem))
    assert all(lower <= least(problem, setting) for setting, lower in enumerate(lowers))


def test_it_ends_at_a_counterexample():
    problem = problem_of(0)
    found = found_by(problem)
    whole = covered(problem, found)
    ended = covered(problem, found, zero=0.0)
    assert ended.found.value.min() <= 0
    assert len(ended.certificate.bit) < len(whole.certificate.bit)
    # a point exactly at the limit is one
    assert len(covered(problem, found, zero=float(found.value.min())).certificate.bit) == 4


def test_it_ends_when_time_is_up_with_what_it_has():
    problem = holds_everywhere(0)
    made = covered(problem, gap=1e-9, deadline=time.perf_counter() - 1.0).certificate
    assert made.bit.tolist() == [-1] * 4
    assert made.shares.shape == (4, 8)
    lowers = exact_lowers(made, problem, Rounded.of(problem))
    assert all(lower <= least(problem, setting) for setting, lower in enumerate(lowers))


def test_at_the_deadline_nothing_is_cut_any_more(monkeypatch):
    problem = holds_everywhere(0)
    monkeypatch.setattr(module, "time", SimpleNamespace(perf_counter=lambda: 5.0))
    assert len(covered(problem, gap=1e-9, deadline=5.0).certificate.bit) == 4
    assert len(covered(problem, gap=1e-9, deadline=5.1).certificate.bit) > 4


def test_no_subcube_is_cut_that_is_good_enough():
    """Of the bounds of the cut ones, as of all of them, none was within the gap of the least output."""
    problem = holds_everywhere(1)
    relaxation = Relaxation.of(problem)
    goal = 0.5 * LEAST
    roots = relaxation.whole(goal)
    made = covered(problem, gap=0.5).certificate
    for setting in range(4):
        if roots.bound[setting] >= goal:
            assert made.bit[setting] == -1
    assert (made.bit[:4] >= 0).any()


def test_it_ends_when_memory_is_full(monkeypatch):
    problem = holds_everywhere(0)
    monkeypatch.setattr(module, "_BATCH", 1)
    whole = len(covered(problem, gap=1e-9).certificate.bit)
    for full in (4, 8, 10):
        monkeypatch.setattr(module, "_MOST_SLOPES", 8 * full + 7)
        assert len(covered(problem, gap=1e-9).certificate.bit) == full < whole


@pytest.mark.parametrize("batch", [1, 3])
def test_subcubes_one_by_one_prove_the_same(monkeypatch, batch):
    monkeypatch.setattr(module, "_BATCH", batch)
    for seed in range(3):
        problem = holds_everywhere(seed)
        lowers = exact_lowers(covered(problem).certificate, problem, Rounded.of(problem))
        assert 0.9 * 0.99 * LEAST <= float(min(lowers)) <= LEAST + 1e-9


def test_parabolas_are_used_where_there_are_products(monkeypatch):
    problem = holds_everywhere(0)
    assert covered(problem).certificate.curved
    monkeypatch.setattr("grokscope.circuits.verification.relaxation._MOST_PRODUCTS", 0)
    assert not covered(problem).certificate.curved


def test_the_cut_halves_have_what_the_whole_had():
    problem = problem_of(0)
    roots = Relaxation.of(problem).whole(0.0)
    tree = _Tree(roots)
    first = tree.split(np.array([1, 2]), np.array([5, 0]))
    assert first.tolist() == [[4, 5], [6, 7]]
    assert tree.size == 8
    second = tree.split(np.array([4]), np.array([6]))
    assert second.tolist() == [[8, 9]]
    assert tree.setting[:10].tolist() == [0, 1, 2, 3, 1, 1, 2, 2, 1, 1]
    fixed = np.zeros((10, 7), int)
    fixed[4, 5], fixed[5, 5], fixed[6, 0], fixed[7, 0] = 1, -1, 1, -1
    fixed[[8, 9], 5], fixed[8, 6], fixed[9, 6] = 1, 1, -1
    np.testing.assert_array_equal(tree.fixed[:10], fixed)
    for child, parent in ((4, 1), (5, 1), (6, 2), (7, 2), (8, 1), (9, 1)):
        np.testing.assert_array_equal(tree.shares[child], roots.shares[parent])
    made = tree.certificate(curved=True)
    assert made.bit.tolist() == [-1, 5, 0, -1, 6, -1, -1, -1, -1, -1]
    assert made.child.tolist()[1] == [4, 5]
    assert made.child.tolist()[4] == [8, 9]
    assert all(row == [-1, -1] for row, bit in zip(made.child.tolist(), made.bit, strict=True) if bit < 0)
    np.testing.assert_array_equal(made.shares, tree.shares[[0, 3, 5, 6, 7, 8, 9]])
    tree.bit[0] = 3  # what was made does not change with the tree
    assert made.bit[0] == -1


def test_of_points_of_one_setting_the_lowest_is_kept():
    values, points = np.array([1.0, 2.0, 3.0]), np.zeros((3, 2))
    setting = np.array([1, 1, 0, 1, 2])
    value = np.array([1.5, 0.5, 1.0, 0.7, 9.0])
    x = np.arange(10.0).reshape(5, 2)
    _keep_lowest(values, points, setting, value, x)
    assert values.tolist() == [1.0, 0.5, 3.0]
    assert points.tolist() == [[0.0, 0.0], [2.0, 3.0], [0.0, 0.0]]
