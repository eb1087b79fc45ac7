"""Intervals, censored times and comparisons: the numbers behind every claim and sweep.

What is here: `Estimate` (a value that never goes without its interval and n), intervals for shares,
means and medians, the bootstrap, interval-censored event times, their curves (Kaplan-Meier,
Turnbull) and regression, paired ratios of times, and control of the false-discovery rate.
What goes elsewhere: what is claimed and the verdict on it (`grokscope.claims`); what is measured
(`grokscope.measures`). Only numpy, and scipy.special inside functions: importing this is cheap.
"""

from grokscope.statistics._bootstrap import bootstrap_interval, paired_bootstrap_interval
from grokscope.statistics._comparison import ratio_of_times
from grokscope.statistics._discovery import Discoveries, DiscoveryMethod, false_discovery
from grokscope.statistics._estimate import Estimate, format_number
from grokscope.statistics._events import CensoredTimes, event_times
from grokscope.statistics._intervals import (
    clopper_pearson,
    geometric_mean_interval,
    mean_interval,
    median_interval,
    wilson,
)
from grokscope.statistics._kaplan_meier import SurvivalCurve, kaplan_meier
from grokscope.statistics._regression import CensoredRegression, censored_regression
from grokscope.statistics._turnbull import TurnbullCurve, turnbull

__all__ = [
    "CensoredRegression",
    "CensoredTimes",
    "Discoveries",
    "DiscoveryMethod",
    "Estimate",
    "SurvivalCurve",
    "TurnbullCurve",
    "bootstrap_interval",
    "censored_regression",
    "clopper_pearson",
    "event_times",
    "false_discovery",
    "format_number",
    "geometric_mean_interval",
    "kaplan_meier",
    "mean_interval",
    "median_interval",
    "paired_bootstrap_interval",
    "ratio_of_times",
    "turnbull",
    "wilson",
]
