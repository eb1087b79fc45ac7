"""Power laws: least squares of logarithms in a range that progress decides."""

import numpy as np
import pytest

from grokscope.errors import InputError
from grokscope.statistics import fit_power_law

RNG = np.random.default_rng(0)
X = np.geomspace(1, 1000, 30)
SHARE = np.linspace(0, 1, 30)


def test_a_power_law_is_found_whatever_is_outside_the_range():
    y = np.where((SHARE < 0.2) | (SHARE > 0.8), RNG.random(30), 3 * X**-0.7)
    fit = fit_power_law(X, y, SHARE)
    assert fit.exponent == pytest.approx(-0.7, abs=1e-12)
    assert fit.factor == pytest.approx(3, rel=1e-12)
    assert fit.n == int(((SHARE >= 0.2) & (SHARE <= 0.8)).sum())
    np.testing.assert_allclose(fit(X), 3 * X**-0.7)


def test_noisy_points_are_fitted_as_numpy_fits_their_logarithms():
    y = X**0.4 * np.exp(0.3 * RNG.standard_normal(30))
    y[7] = np.nan
    used = (SHARE >= 0.1) & (SHARE <= 0.9) & ~np.isnan(y)
    slope, height = np.polyfit(np.log(X[used]), np.log(y[used]), 1)
    fit = fit_power_law(X, y, SHARE, between=(0.1, 0.9))
    assert (fit.exponent, fit.factor) == pytest.approx((slope, np.exp(height)))
    assert fit.x == (X[used][0], X[used][-1])


@pytest.mark.parametrize(
    ("x", "y", "progress", "words"),
    [
        ([1, 2, 3], [1, 2, 3], [0.1, 0.5, 0.9], "1 points have a progress from 0.2 to 0.8; it needs 3"),
        ([1, 2, 3], [1, 0, 3], [0.5, 0.5, 0.5], "a point in the range is not positive"),
        ([2, 2, 2], [1, 2, 3], [0.5, 0.5, 0.5], "all points in the range have x = 2"),
        ([1, 2], [1, 2, 3], [0.5, 0.5, 0.5], "must be"),
    ],
)
def test_too_little_to_fit_is_said(x, y, progress, words):
    with pytest.raises(InputError, match=words):
        fit_power_law(x, y, progress)
