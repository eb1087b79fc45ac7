"""The search for a counterexample, against all inputs."""

from __future__ import annotations

import numpy as np
import pytest

from grokscope.circuits.verification import search as module
from grokscope.circuits.verification.problem import VerificationProblem
from grokscope.circuits.verification.search import LowestPoints, evaluate, search
from verification_oracles import any_numbers, exact_value, least, whole_numbers


def problem_of(seed: int, n: int = 7, width: int = 6) -> VerificationProblem:
    rng = np.random.default_rng(seed)
    return VerificationProblem.of(any_numbers(rng, n, width), (1, 4), rng.choice([-1.0, 1.0], 4))


def test_a_value_is_that_of_the_whole_network():
    problem = problem_of(0)
    rng = np.random.default_rng(1)
    setting, x = rng.integers(0, 4, 20), rng.choice([-1.0, 1.0], (20, 5))
    for row, value in enumerate(evaluate(problem, setting, x)):
        y = int(problem.target[setting[row]])
        whole = problem.input(int(setting[row]), x[row])
        assert value == pytest.approx(y * float(exact_value(problem.weights, whole)), rel=1e-12)


def is_lowest_among_neighbors(problem: VerificationProblem, found: LowestPoints) -> bool:
    """No single flip of another bit gives less."""
    for setting, x in enumerate(found.x):
        flipped = x * (1 - 2 * np.eye(len(x)))
        values = evaluate(problem, np.full(len(x), setting), flipped)
        if values.min(initial=np.inf) < found.value[setting] - 1e-9 * abs(found.value[setting]):
            return False
    return True


@pytest.mark.parametrize("seed", range(10))
def test_the_lowest_point_of_a_small_cube_is_found(seed):
    problem = problem_of(seed)
    found = search(problem)
    assert set(np.unique(found.x)) == {-1.0, 1.0}
    np.testing.assert_array_equal(found.value, evaluate(problem, np.arange(4), found.x))
    size = np.abs(found.value).max()
    assert found.value == pytest.approx([float(least(problem, s)) for s in range(4)], abs=1e-9 * size)


def test_in_a_large_cube_no_single_flip_leads_lower():
    rng = np.random.default_rng(0)
    for _ in range(5):
        problem = VerificationProblem.of(any_numbers(rng, 40, 12), (0, 1, 2))
        found = search(problem)
        np.testing.assert_array_equal(found.value, evaluate(problem, np.arange(8), found.x))
        assert is_lowest_among_neighbors(problem, found)


def test_the_seed_alone_decides():
    problem = problem_of(0, n=60, width=40)  # with many hollows
    first, again, other = (search(problem, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.x, again.x)
    assert (first.x != other.x).any()
    np.testing.assert_array_equal(search(problem).x, search(problem, 0).x)


@pytest.mark.parametrize("cells", [1, 32 * 6 * 3])
def test_settings_in_pieces_find_the_lowest_too(monkeypatch, cells):
    monkeypatch.setattr(module, "_MOST_CELLS", cells)
    for seed in range(4):
        problem = problem_of(seed)
        found = search(problem)
        assert found.x.shape == (4, 5)
        size = np.abs(found.value).max()
        assert found.value == pytest.approx([float(least(problem, s)) for s in range(4)], abs=1e-9 * size)


def test_a_network_without_neurons_and_a_cube_without_other_bits():
    empty = VerificationProblem.of(any_numbers(np.random.default_rng(0), 3, 0), (0,))
    assert search(empty).value.tolist() == [0.0, 0.0]
    rng = np.random.default_rng(0)
    full = VerificationProblem.of(whole_numbers(rng, 2, 3), (0, 1))
    assert search(full).value.tolist() == [float(least(full, s)) for s in range(4)]
    assert search(full).x.shape == (4, 0)
