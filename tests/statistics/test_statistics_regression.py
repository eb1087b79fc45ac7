"""Regression of censored times, against least squares, lifelines, and made-up laws."""

import warnings

import numpy as np
import pytest

from grokscope.errors import InputError
from grokscope.statistics import CensoredTimes, censored_regression


def made(n=400, sigma=0.4, seed=0):
    """Times of a known law in two covariates, and the covariates."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 2))
    return np.exp(2.0 - 1.0 * x[:, 0] + 0.5 * x[:, 1] + sigma * rng.normal(size=n)), x


def seen_at(times, points):
    """Between which points each lies; the last one ends the record."""
    edges = np.concatenate([[0.0], points, [np.inf]])
    place = np.searchsorted(edges, times, side="left")
    return CensoredTimes(edges[place - 1], edges[place])


def test_without_censoring_it_is_least_squares():
    times, x = made(60)
    fit = censored_regression(CensoredTimes(times, times), x)
    design = np.column_stack([np.ones(60), x])
    slopes, rest, *_ = np.linalg.lstsq(design, np.log(times), rcond=None)
    np.testing.assert_allclose(fit.coefficients, slopes, rtol=1e-9)
    assert fit.sigma == pytest.approx(np.sqrt(rest[0] / 60), rel=1e-9)
    information = design.T @ design / fit.sigma**2
    np.testing.assert_allclose(fit.covariance[:3, :3], np.linalg.inv(information), rtol=1e-8, atol=1e-14)


@pytest.mark.slow
@pytest.mark.parametrize(
    "points", [np.geomspace(0.5, 60, 12), np.array([5.0, 9.0]), np.geomspace(0.1, 500, 90)]
)
def test_agrees_with_lifelines(points):
    import pandas as pd

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from lifelines import LogNormalAFTFitter

        times, x = made(150)
        known = seen_at(times, points)
        table = pd.DataFrame({"a": x[:, 0], "b": x[:, 1], "low": known.lower + 1e-9, "high": known.upper})
        theirs = LogNormalAFTFitter()
        theirs.fit_interval_censoring(table, "low", "high")
    ours = censored_regression(known, x)
    wanted = theirs.params_["mu_"]
    np.testing.assert_allclose(ours.coefficients, wanted[["Intercept", "a", "b"]], rtol=2e-4)
    assert ours.sigma == pytest.approx(np.exp(theirs.params_["sigma_"].iloc[0]), rel=1e-3)
    assert ours.log_likelihood == pytest.approx(theirs.log_likelihood_, rel=1e-6)
    errors = theirs.standard_errors_["mu_"][["Intercept", "a", "b"]]
    np.testing.assert_allclose(np.sqrt(np.diag(ours.covariance)[:3]), errors, rtol=5e-3)


def test_late_times_that_were_not_seen_do_not_flatten_the_law():
    rng = np.random.default_rng(1)
    decay = np.repeat(np.geomspace(1e-4, 1e-1, 7), 20)
    times = np.exp(-np.log(decay) + 0.3 * rng.normal(size=140))
    known = seen_at(times, np.geomspace(1, 1000, 60))  # the slowest decade is hardly ever seen
    assert not known.observed[:20].any()
    fit = censored_regression(known, np.log(decay))
    slope = fit.coefficient(1)
    assert slope.low < -1 < slope.high
    assert slope.high - slope.low < 0.15
    assert (fit.n, fit.observed) == (140, int(known.observed.sum()))
    # with the end of the record in place of what was not seen it comes out flat
    ended = np.where(known.observed, known.midpoint, 1000.0)
    flat = np.polyfit(np.log(decay), np.log(ended), 1)[0]
    assert flat > slope.high


def test_intervals_cover_the_law():
    inside = 0
    for seed in range(60):
        times, x = made(60, sigma=0.5, seed=seed)
        slope = censored_regression(seen_at(times, np.geomspace(1, 20, 8)), x).coefficient(1)
        inside += slope.low < -1 < slope.high
    assert 50 <= inside <= 60  # 57 expected; outside with a probability of 0.003


def test_diverged_members_are_censored_where_they_were_lost():
    times, x = made(60)
    cut = CensoredTimes(
        np.minimum(times, 8.0), np.where(times > 8, np.inf, times), np.where(times > 8, 8.0, np.inf)
    )
    same = CensoredTimes(cut.lower, cut.upper)
    np.testing.assert_array_equal(
        censored_regression(cut, x).coefficients, censored_regression(same, x).coefficients
    )


@pytest.mark.parametrize(
    ("low", "high", "x", "said"),
    [
        ([1.0, 2.0], [1.0, 2.0], [1.0], "one row per time"),
        ([1.0, 2.0], [1.0, 2.0], [1.0, np.nan], "must be finite"),
        ([-2.0, 2.0, 3.0], [0.0, 2.0, 3.0], [1.0, 2.0, 3.0], "not positive"),
        ([1.0, 2.0, 3.0], [np.inf, np.inf, 3.0], [1.0, 2.0, 3.0], "1 of 3 times were seen"),
        ([1.0, 2.0, 3.0], [1.0, 2.0, 3.0], [4.0, 4.0, 4.0], "does not determine"),
        ([1.0, 2.0, 4.0, 8.0], [3.0, 5.0, 9.0, 17.0], [0.0, 1.0, 2.0, 3.0], "on a plane"),
    ],
)
def test_what_cannot_be_fitted(low, high, x, said):
    with pytest.raises(InputError, match=said):
        censored_regression(CensoredTimes(low, high), x)


def test_the_variance_of_the_scatter_is_that_of_the_curvature():
    """Exact times, no covariates but the mean: log times are normal, and var(sigma) is sigma^2 / 2n."""
    rng = np.random.default_rng(0)
    times = np.exp(rng.normal(2.0, 0.7, 400))
    fit = censored_regression(CensoredTimes(times, times), np.empty((400, 0)))
    sigma = np.log(times).std()
    assert fit.sigma == pytest.approx(sigma, rel=1e-6)
    assert fit.covariance[-1, -1] == pytest.approx(sigma**2 / 800, rel=1e-6)
    mean = fit.coefficient(0)
    assert (mean.unit, mean.method) == ("", "log-normal regression, Wald interval")
    assert (mean.high - mean.low) / 2 == pytest.approx(1.959964 * sigma / 20, rel=1e-6)
    assert fit.covariance[0, 0] == pytest.approx(sigma**2 / 400, rel=1e-6)
