"""Shares over grids: monotone fits by brute force, probit fits against a general minimizer, known m_50."""

import itertools

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import log_ndtr, ndtr

from grokscope.errors import InputError
from grokscope.statistics import monotone_shares, probit_regression, success_frontier

SIZES = np.array([300, 600, 1000, 2000, 5000])


def minus_log_likelihood(b, design, k, n):
    z = design @ b
    return -(k * log_ndtr(z) + (n - k) * log_ndtr(-z)).sum()


def test_monotone_shares_are_the_likeliest_of_all_partitions():
    """Every monotone maximum is constant on blocks, with their pooled shares: try all 8 partitions."""
    k, n = np.array([3, 1, 9, 4]), np.array([10, 5, 12, 20])
    best, found = -np.inf, None
    for cuts in itertools.product([0, 1], repeat=3):
        block = np.cumsum([0, *cuts])
        pooled = np.array([k[block == b].sum() / n[block == b].sum() for b in block])
        if (np.diff(pooled) >= 0).all():
            value = (k * np.log(pooled) + (n - k) * np.log1p(-pooled)).sum()
            best, found = max((best, found), (value, pooled), key=lambda pair: pair[0])
    np.testing.assert_allclose(monotone_shares(k, n), found)


def test_probit_regression_is_the_maximum_that_a_general_minimizer_finds():
    rng = np.random.default_rng(0)
    x = np.array(list(itertools.product(np.log([10, 100, 1000]), np.log(SIZES))))
    n = np.full(len(x), 20)
    k = rng.binomial(n, ndtr(2 * (x[:, 1] - 8 + 0.2 * x[:, 0])))
    fit, design = probit_regression(x, k, n), np.column_stack([np.ones(len(x)), x])
    found = minimize(minus_log_likelihood, np.zeros(3), (design, k, n), "Nelder-Mead", tol=1e-12)
    found = minimize(minus_log_likelihood, found.x, (design, k, n), "BFGS", tol=1e-8)
    np.testing.assert_allclose(fit.coefficients, found.x, rtol=1e-4)
    assert fit.log_likelihood == pytest.approx(-found.fun, abs=1e-8)
    np.testing.assert_allclose(fit.covariance, np.linalg.inv(_hessian(fit, design, k, n)), rtol=1e-3)


def _hessian(fit, design, k, n, h=1e-4):
    """By finite differences."""
    at = lambda *moves: minus_log_likelihood(fit.coefficients + sum(moves), design, k, n)  # noqa: E731
    e = h * np.eye(3)
    return np.array(
        [
            [
                (at(e[i], e[j]) - at(e[i], -e[j]) - at(-e[i], e[j]) + at(-e[i], -e[j])) / (4 * h * h)
                for j in range(3)
            ]
            for i in range(3)
        ]
    )


def test_the_frontier_of_synthetic_grids_is_found_and_covered():
    """m_50 = 1,200 with slope 2 in log m, 12 trials a cell: covered in about 95 % of grids."""
    rng = np.random.default_rng(1)
    shares = ndtr(2 * np.log(SIZES / 1200))
    grids = [success_frontier(SIZES, rng.binomial(12, shares), [12] * 5) for _ in range(60)]
    covered = sum(one.low <= 1200 <= one.high for one in grids)
    assert covered >= 52  # 57 less 3 standard deviations of 1.7
    assert np.median([one.value for one in grids]) == pytest.approx(1200, rel=0.05)
    assert not any(one.low <= 2400 <= one.high for one in grids[:5])


def test_the_frontier_is_that_of_the_regression_and_its_interval_that_of_the_likelihood():
    k, n = np.array([1, 3, 6, 10, 12]), np.full(5, 12)
    b = probit_regression(np.log(SIZES), k, n).coefficients
    found = success_frontier(SIZES, k, n)
    # a maximum is found to the refined grid: log m_50 in steps of 7 ptp / 200 / 100, 0.001 here
    assert found.value == pytest.approx(np.exp(-b[0] / b[1]), rel=1e-3)
    best = -minus_log_likelihood(b, np.column_stack([np.ones(5), np.log(SIZES)]), k, n)
    for end in (found.low, found.high):
        design = np.log(SIZES / end)[:, None]
        here = -minimize(minus_log_likelihood, [1.0], (design, k, n), "Nelder-Mead", tol=1e-12).fun
        assert 2 * (best - here) == pytest.approx(1.959964**2, rel=1e-4)


def test_a_step_from_none_to_all_lies_in_the_gap():
    found = success_frontier(SIZES, [0, 0, 12, 12, 12], [12] * 5)
    # log m_50 is on a grid of step 7 ptp / 200, 0.1 here, so that the middle is known to half of that
    assert found.value == pytest.approx((600 * 1000) ** 0.5, rel=0.05)
    # an end at a size would mean that its twelve trials came out alike at a share of a half
    assert 600 <= found.low < 610
    assert 990 < found.high <= 1000


def test_what_the_trials_do_not_bound_is_open():
    never, always = (success_frontier(SIZES, [k] * 5, [12] * 5) for k in (0, 12))
    assert (never.value, never.high) == (np.inf, np.inf)
    assert never.low > 2000
    assert (always.value, always.low) == (0, 0)
    assert always.high < 600
    falling = success_frontier(SIZES, [12, 9, 6, 3, 0], [12] * 5)
    assert np.isnan(falling.value)
    assert (falling.low, falling.high) == (0, np.inf)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: monotone_shares([3], [2]), "0 <= successes <= trials"),
        (lambda: success_frontier([0, 1], [1, 1], [2, 2]), "positive numbers"),
        (lambda: probit_regression([1.0, 2.0], [0, 5], [5, 5]), "the slope is infinite"),
        (lambda: probit_regression([1.0, 1.0], [1, 2], [5, 5]), "do not determine"),
        (lambda: probit_regression([1.0], [1, 2], [5, 5]), "one row per cell"),
    ],
)
def test_bad_input_is_one_line(call, message):
    with pytest.raises(InputError, match=message):
        call()
