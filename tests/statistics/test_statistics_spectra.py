"""The Marchenko-Pastur law and linear separability, against samples, sets by hand and each other."""

import numpy as np
import pytest

from grokscope.errors import InputError
from grokscope.statistics import (
    hard_margin,
    linearly_separable,
    marchenko_pastur,
    separable_probability,
)


@pytest.mark.parametrize("ratio", [0.05, 0.5, 1.0, 1.5, 3.0])
def test_moments_of_the_law(ratio):
    """1, 1, 1 + r, 1 + 3 r + r^2, and of 1 / nu below 1: 1 / (1 - r)."""
    law = marchenko_pastur(ratio)
    found = [law.mean(lambda nu, k=k: nu**k) for k in range(4)]
    np.testing.assert_allclose(found, [1, 1, 1 + ratio, 1 + 3 * ratio + ratio**2], rtol=1e-9)
    assert law.atom == pytest.approx(max(0.0, 1 - 1 / ratio))
    if ratio < 1:
        assert law.mean(lambda nu: 1 / nu) == pytest.approx(1 / (1 - ratio), rel=1e-9)


def test_the_law_is_that_of_random_matrices():
    d, n = 300, 400
    x = np.random.default_rng(0).normal(size=(n, d))
    nu, law = np.linalg.eigvalsh(x.T @ x / n), marchenko_pastur(d / n)
    for rate in (0.3, 3.0):
        assert np.exp(-rate * nu).mean() == pytest.approx(
            law.mean(lambda v, r=rate: np.exp(-r * v)), abs=0.005
        )
    low, high = law.edges
    assert nu[0] == pytest.approx(low, abs=0.01)
    assert nu[-1] == pytest.approx(high, rel=0.03)


def test_the_density_is_that_of_the_nodes():
    law = marchenko_pastur(0.4)
    grid = np.linspace(*law.edges, 200_001)
    mass = np.trapezoid(law.density(grid) * (grid > 1.0), grid)
    assert mass == pytest.approx(law.weights[law.nodes > 1.0].sum(), abs=1e-3)
    assert law.density(np.array([5.0])).tolist() == [0.0]


def test_sets_by_hand():
    simplex = np.vstack([np.eye(3), -np.ones((1, 3))])  # around the origin
    assert not linearly_separable(simplex)
    assert hard_margin(simplex) == 0.0
    shifted = simplex + 2.0
    assert linearly_separable(shifted)
    # the nearest point of the hull to the origin is the corner (1, 1, 1)
    assert hard_margin(shifted) == pytest.approx(3**0.5, rel=1e-6)
    assert hard_margin([[3.0, 4.0]]) == pytest.approx(5.0)
    assert hard_margin([[0.0]]) == 0.0
    assert linearly_separable([[1.0], [2.0]])
    assert not linearly_separable([[1.0], [-2.0]])


def test_the_program_and_the_margin_agree_on_random_sets_near_the_threshold():
    rng = np.random.default_rng(1)
    found = [(linearly_separable(x), hard_margin(x)) for x in rng.normal(size=(40, 40, 20))]
    assert all(one == (margin > 0) for one, margin in found)
    assert 0 < sum(one for one, _ in found) < 40


def test_the_margin_is_reached_and_no_direction_has_a_larger_one():
    x = np.random.default_rng(2).normal(size=(10, 8)) + 1.0
    margin = hard_margin(x)
    directions = np.random.default_rng(3).normal(size=(4000, 8)) + 1.0
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    best = (directions @ x.T).min(axis=1).max()
    assert 0 < best <= margin * (1 + 1e-9)
    assert hard_margin(3 * x) == pytest.approx(3 * margin, rel=1e-6)


def test_wendels_probability():
    """By hand: 3 points on a line are on one side in 2 of 8 cases; in as many dimensions as points always."""
    assert separable_probability(3, 1) == 0.25
    assert separable_probability(5, 5) == separable_probability(5, 9) == 1.0
    assert separable_probability(200, 60) < 1e-8


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: marchenko_pastur(0.0), "ratio = 0.0: must be positive"),
        (lambda: linearly_separable([1.0, 2.0]), "must be a finite matrix"),
        (lambda: hard_margin([[np.nan]]), "must be a finite matrix"),
        (lambda: separable_probability(0, 3), "must be at least 1"),
    ],
)
def test_bad_input_is_one_line(call, words):
    with pytest.raises(InputError, match=words) as caught:
        call()
    assert "\n" not in str(caught.value)
