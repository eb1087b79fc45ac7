"""Statistics: intervals, censored times, regression, false-discovery control; spectra, separability.

- `_estimate.py`: `Estimate`, a value with its interval and number of members.
- `_intervals.py`: intervals for a share, a mean, a geometric mean and a median; the bootstrap.
- `_times.py`: censored times of events, how they are found in curves, ratios of two runs' times.
- `_kaplan_meier.py`: survival curves and their medians.
- `_regression.py`: regression of censored times on covariates.
- `_power_law.py`: exponents, fitted over a range that a rule chooses.
- `_frontier.py`: shares of success over a grid, and the size at which half succeed.
- `_discovery.py`: adjusted p-values of a table of tests.
- `_spectra.py`: the Marchenko-Pastur law of eigenvalues.
- `_separability.py`: whether points can be separated from the origin, and by which margin.

Claims and verdicts are in `grokscope.claims`. scipy is imported inside functions, so importing this package
loads only numpy.
"""

from grokscope.statistics._discovery import Discoveries, DiscoveryMethod, false_discovery
from grokscope.statistics._estimate import Estimate, format_number
from grokscope.statistics._frontier import (
    ProbitRegression,
    monotone_shares,
    probit_regression,
    success_frontier,
)
from grokscope.statistics._intervals import (
    bootstrap_interval,
    clopper_pearson,
    clopper_pearson_ends,
    geometric_mean_interval,
    mean_interval,
    median_interval,
    paired_bootstrap_interval,
    wilson,
)
from grokscope.statistics._kaplan_meier import SurvivalCurve, kaplan_meier
from grokscope.statistics._power_law import PowerLaw, fit_power_law
from grokscope.statistics._regression import CensoredRegression, censored_regression
from grokscope.statistics._separability import hard_margin, linearly_separable, separable_probability
from grokscope.statistics._spectra import MarchenkoPastur, marchenko_pastur
from grokscope.statistics._times import CensoredTimes, event_times, paired_ratios, ratio_of_times

__all__ = [
    "CensoredRegression",
    "CensoredTimes",
    "Discoveries",
    "DiscoveryMethod",
    "Estimate",
    "MarchenkoPastur",
    "PowerLaw",
    "ProbitRegression",
    "SurvivalCurve",
    "bootstrap_interval",
    "censored_regression",
    "clopper_pearson",
    "clopper_pearson_ends",
    "event_times",
    "false_discovery",
    "fit_power_law",
    "format_number",
    "geometric_mean_interval",
    "hard_margin",
    "kaplan_meier",
    "linearly_separable",
    "marchenko_pastur",
    "mean_interval",
    "median_interval",
    "monotone_shares",
    "paired_bootstrap_interval",
    "paired_ratios",
    "probit_regression",
    "ratio_of_times",
    "separable_probability",
    "success_frontier",
    "wilson",
]
