"""Bounds over subcubes and the choice of a bit, against formulas and all inputs of small cubes."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from grokscope.circuits.relu_network import ReluNetwork
from grokscope.circuits.verification import relaxation as module
from grokscope.circuits.verification.certificate import SLOPES
from grokscope.circuits.verification.problem import VerificationProblem
from grokscope.circuits.verification.relaxation import Bounds, Relaxation, precision
from verification_oracles import bound_of, inputs_of, least, lines

HIGH = 1e9  # a goal that is not reached: nothing ends early


def problem_of(seed: int, n: int = 7, width: int = 8) -> VerificationProblem:
    """Normal weights, so that many pre-activations take both signs."""
    rng = np.random.default_rng(seed)
    W, b, u = (rng.standard_normal(shape) for shape in ((n, width), (width,), (width,)))
    return VerificationProblem.of(ReluNetwork(W, b, u), (0, 3), rng.choice([-1.0, 1.0], 4))


def subcubes(
    problem: VerificationProblem, seed: int, rows: int = 12
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Settings, fixed bits, and slopes of some subcubes; one has all bits fixed, one none."""
    rng = np.random.default_rng(seed)
    fixed = rng.choice([-1, 0, 0, 1], (rows, len(problem.others)))
    fixed[0], fixed[1] = rng.choice([-1, 1], len(problem.others)), 0
    shares = rng.integers(0, SLOPES + 1, (rows, problem.v.shape[1])).astype(np.uint8)
    return rng.integers(0, 4, rows), fixed, shares


@pytest.mark.parametrize("few", [True, False])
@pytest.mark.parametrize("seed", range(5))
def test_the_bound_of_given_slopes_is_that_of_the_formula(monkeypatch, seed, few):
    monkeypatch.setattr(module, "_MORE", 0)
    if not few:  # more products than are kept: no parabolas
        monkeypatch.setattr(module, "_MOST_PRODUCTS", 8 * 10 - 1)
    problem = problem_of(seed)
    setting, fixed, shares = subcubes(problem, seed)
    found = Relaxation.of(problem).bounds(setting, fixed, shares, HIGH)
    gained = 0.0
    for row in range(len(setting)):
        share = shares[row] / SLOPES
        line, more = bound_of(problem, int(setting[row]), fixed[row], share, curved=few)
        assert found.bound[row] == pytest.approx(line + more, abs=1e-9)
        gained += more
        assert found.center[row] == pytest.approx(problem.B[setting[row]] + fixed[row] @ problem.A)
        assert found.reach[row] == pytest.approx(np.abs(problem.A[fixed[row] == 0]).sum(axis=0))
        q, t = lines(found.center[row], found.reach[row], problem.v[setting[row]], share)
        assert found.q[row] == pytest.approx(np.array(q))
        assert found.t[row] == pytest.approx(np.array(t))
        slope = np.where(fixed[row] == 0, problem.A @ np.array(q), 0.0)
        assert found.slope[row] == pytest.approx(slope)
        # where the summed line is lowest
        ends = [x for x in itertools.product((1, -1), repeat=5) if all(f in (0, s) for f, s in zip(fixed[row], x, strict=True))]  # fmt: skip # noqa: E501
        corner = found.corner[row]
        assert tuple(corner) in ends
        assert slope @ corner == pytest.approx(min(slope @ np.array(x) for x in ends))
    assert (gained > 0) == few
    np.testing.assert_array_equal(found.setting, setting)
    np.testing.assert_array_equal(found.fixed, fixed)
    np.testing.assert_array_equal(found.shares, shares)


def test_as_many_products_as_may_be_are_kept(monkeypatch):
    monkeypatch.setattr(module, "_MOST_PRODUCTS", 8 * 10)  # 8 neurons, 10 pairs of 5 bits
    assert Relaxation.of(problem_of(0)).products is not None


@pytest.mark.parametrize("seed", range(6))
def test_better_slopes_are_found_and_no_bound_is_above_the_minimum(seed):
    """Of whole cubes and of subcubes, with slopes that give the bound that is said."""
    problem = problem_of(seed)
    relaxation = Relaxation.of(problem)
    whole = relaxation.whole(HIGH)
    assert whole.setting.tolist() == [0, 1, 2, 3]
    assert not whole.fixed.any()
    setting, fixed, shares = subcubes(problem, seed)
    some = relaxation.bounds(setting, fixed, shares, HIGH)
    for found in (whole, some):
        for row, one in enumerate(found.setting.tolist()):
            assert found.bound[row] <= float(least(problem, one, found.fixed[row])) + 1e-9
            line, more = bound_of(problem, one, found.fixed[row], found.shares[row] / SLOPES, curved=True)
            # parabolas are those of the first slopes, which they do not depend on
            assert found.bound[row] == pytest.approx(line + more, abs=1e-9)
            q, _ = lines(found.center[row], found.reach[row], problem.v[one], found.shares[row] / SLOPES)
            assert found.q[row] == pytest.approx(np.array(q))
            free = found.fixed[row] == 0
            assert found.slope[row] == pytest.approx(np.where(free, problem.A @ np.array(q), 0.0))
    started = [bound_of(problem, int(s), f, q / SLOPES, curved=True) for s, f, q in zip(setting, fixed, shares, strict=True)]  # fmt: skip # noqa: E501
    gain = some.bound - [line + more for line, more in started]
    assert (gain > -1e-9).all()
    assert (gain > 1e-3).sum() > 4


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_the_slopes_of_whole_cubes_are_nearly_the_best(seed):
    """With the minimum as the goal, against the best of random ones that were improved line by line."""
    problem = problem_of(seed, width=4)
    relaxation, rng = Relaxation.of(problem), np.random.default_rng(seed)
    for setting in range(4):
        found = relaxation.whole(float(least(problem, setting)))
        best = -np.inf
        for _ in range(20):
            share = rng.random(4)
            for _ in range(3):
                for j in range(4):
                    tried = [np.where(np.arange(4) == j, part, share) for part in np.linspace(0, 1, 18)]
                    values = [sum(bound_of(problem, setting, np.zeros(5), one, curved=True)) for one in tried]
                    share = tried[int(np.argmax(values))]
            best = max(best, *values)
        size = np.abs(problem.weights.u) @ np.abs(problem.weights.W).sum(axis=0)
        assert found.bound[setting] > best - 0.02 * size


def test_the_ascent_ends_at_the_goal():
    problem = problem_of(1)
    relaxation = Relaxation.of(problem)
    far, near = relaxation.whole(HIGH), relaxation.whole(-HIGH)
    assert (far.bound > near.bound + 1e-6).any()
    # the chords' slopes, with which it starts
    reach = np.abs(problem.A).sum(axis=0)
    chord = np.clip((problem.B + reach) / (2 * reach), 0, 1)
    np.testing.assert_array_equal(near.shares, np.rint(chord * SLOPES).astype(np.uint8))


# --- which bit to split ---


def halves(problem: VerificationProblem, parts: Bounds, row: int, bit: int) -> list[float]:
    """Bounds of the lines (no parabolas) of both halves, with the slopes of the whole."""
    found = []
    for sign in (1, -1):
        fixed = parts.fixed[row].copy()
        fixed[bit] = sign
        share = parts.shares[row] / SLOPES
        found.append(bound_of(problem, int(parts.setting[row]), fixed, share, curved=False)[0])
    return found


@pytest.mark.parametrize("seed", range(8))
def test_the_bit_with_the_largest_product_of_gains_is_split(seed):
    problem = problem_of(seed)
    relaxation = Relaxation.of(problem)
    setting, fixed, shares = subcubes(problem, seed, rows=16)
    parts = relaxation.bounds(setting, fixed, shares, HIGH)
    parts = parts.rows((parts.fixed == 0).any(axis=1))
    goal = float(np.quantile(parts.bound, 0.8)) + 1.0
    split = relaxation.split(parts, goal)
    for row, bit in enumerate(split.bit.tolist()):
        assert parts.fixed[row, bit] == 0
        before, _ = bound_of(
            problem, int(parts.setting[row]), parts.fixed[row], parts.shares[row] / SLOPES, curved=False
        )
        most = goal - parts.bound[row]
        gains = {
            other: np.prod(
                [max(min(bound - before, most), 1e-4) for bound in halves(problem, parts, row, other)]
            )
            for other in np.flatnonzero(parts.fixed[row] == 0).tolist()
        }
        assert gains[bit] == pytest.approx(max(gains.values()), rel=1e-6)
        expected = np.maximum(halves(problem, parts, row, bit), parts.bound[row])
        assert split.bound[row] == pytest.approx(expected, abs=1e-9)


def test_the_likeliest_bits_and_the_loosest_neurons_are_tried(monkeypatch):
    """With few tried: bounds of halves stay below the minimum, and the bits are the ones that narrow most."""
    monkeypatch.setattr(module, "_CANDIDATES", 2)
    monkeypatch.setattr(module, "_LOOSEST", 3)
    for seed in range(8):
        problem = problem_of(seed)
        relaxation = Relaxation.of(problem)
        parts = relaxation.whole(HIGH)
        split = relaxation.split(parts, HIGH)
        for row in range(4):
            v = np.abs(problem.v[row])
            center, reach = parts.center[row], parts.reach[row]
            loose = np.abs(center) < reach
            # a triangle is highest at 0: v (reach^2 - center^2) / (2 reach); its derivative in the reach
            height = np.where(loose, v * (reach**2 - center**2) / (2 * reach), 0.0)
            falls = np.where(loose, v * (reach**2 + center**2) / (2 * reach**2), 0.0)
            score = np.abs(problem.A) @ falls
            bits, neurons = relaxation._candidates(parts)
            assert sorted(bits[row]) == sorted(np.argsort(-score)[:2])
            assert sorted(neurons[row]) == sorted(np.argsort(-height)[:3])
            assert split.bit[row] in bits[row]
            for half, sign in enumerate((1, -1)):
                fixed = np.zeros(5)
                fixed[split.bit[row]] = sign
                assert split.bound[row, half] <= float(least(problem, row, fixed)) + 1e-9


def test_a_bit_that_is_fixed_is_not_tried_before_one_that_is_free(monkeypatch):
    monkeypatch.setattr(module, "_CANDIDATES", 2)
    problem = problem_of(0)
    relaxation = Relaxation.of(problem)
    fixed = np.array([[1, -1, 1, 0, 0], [0, 1, -1, 1, 0]])
    parts = relaxation.bounds(np.array([0, 1]), fixed, np.zeros((2, 8), np.uint8), HIGH)
    bits, _ = relaxation._candidates(parts)
    assert sorted(bits[0]) == [3, 4]
    assert sorted(bits[1]) == [0, 4]


def test_the_largest_of_each_row():
    values = np.random.default_rng(0).permuted(np.tile(np.arange(50.0), (100, 1)), axis=1)
    for count in (1, 5, 49):
        chosen = np.take_along_axis(values, module._largest(values, count), axis=1)
        np.testing.assert_array_equal(np.sort(chosen, axis=1), np.tile(np.arange(50.0 - count, 50), (100, 1)))
    for count in (50, 60):
        assert module._largest(values, count)[0].tolist() == list(range(50))


# --- precision ---


def test_large_networks_are_bounded_in_float32():
    at, above = (problem_of(0, n=n + 2, width=64) for n in (64, 65))
    assert at.A.size == 4096
    assert precision(at) is np.float64
    assert precision(above) is np.float32
    found = Relaxation.of(above).whole(HIGH)
    assert found.bound.dtype == np.float32
    assert Relaxation.of(at).whole(HIGH).bound.dtype == np.float64


def test_a_network_whose_neurons_do_not_see_the_other_bits():
    """No reach at all: the bound is the value."""
    W = np.zeros((4, 3))
    W[0] = [1.0, -1.0, 2.0]
    problem = VerificationProblem.of(
        ReluNetwork(W, np.array([0.5, 0.5, -1.0]), np.array([1.0, -2.0, 3.0])), (0,)
    )
    found = Relaxation.of(problem).whole(HIGH)
    values = [float(least(problem, setting)) for setting in range(2)]
    assert found.bound == pytest.approx(values)
    assert len(inputs_of(problem, 0)) == 8
