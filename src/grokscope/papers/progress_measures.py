r"""Progress measures for grokking via mechanistic interpretability (arXiv 2301.05217).

A one-layer transformer learns addition mod 113. The trained network computes with a few frequencies: it maps
a and b to waves $\cos w_k a$, $\sin w_k a$, combines them into waves of a + b, and reads off the c for which
they agree. Two losses built from these key frequencies change smoothly while accuracy on held-out pairs does
not: the restricted loss (logits with the key frequencies only) falls before the test loss does, and the
excluded loss (logits without the key frequencies) rises.

This file: the experiments, the evidence, the claims, the figures. Claims about the grokked network are about
the seeds that grok within the run. Claims about times are about all seeds: a loss that has not passed its
level by the end is right-censored, and no step is put in for it.

Profile ``quick``: a smaller table (p = 47, half of it for training) and a narrower network (64 instead of
128, 256 neurons instead of 512). The algorithm does not depend on p, so claims about frequencies, about
losses relative to chance and about which event comes first stand. No claim says that the delay is thousands
of updates long.
"""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Literal

import numpy as np

from grokscope.claims import Claim, Effect, NotTestable, Region, need
from grokscope.experiment import Experiment
from grokscope.losses import CrossEntropy
from grokscope.models.transformer import NandaTransformer
from grokscope.optimizers import AdamW, Constant
from grokscope.papers import Figure, Paper, Profile, RunExperiment
from grokscope.papers.evidence import (
    ONE_SEED_IN_TEN,
    crossing_times,
    curve,
    final_value,
    grokked,
    grokking_times,
    last,
    memorization_times,
    ratio,
    ratio_of_splits,
    steps_of,
    truth_values,
    value_at,
)
from grokscope.papers.figures import accuracies_of
from grokscope.plots.operators import progress_figure, spectra_figure
from grokscope.statistics import CensoredTimes, paired_ratios
from grokscope.tasks.modular_operator import ModularOperator

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["ProgressMeasures"]

# ---------------------------------------------------------------- experiments (Sections 3-5, Appendices C, D)

_MEASURES = (
    *("train_accuracy", "test_accuracy", "train_loss", "test_loss", "weight_norm", "matrix_norm"),
    *("embedding_fourier", "embedding_gini", "output_fourier", "output_gini", "attention_pattern"),
    *("logit_fourier", "logit_cosines", "key_frequencies", "one_frequency_neurons"),
    *("restricted_loss", "excluded_loss", "excluded_loss_by_frequency"),
)
_MAINLINE = Experiment(
    name="mainline",
    steps=40_000,
    batch_size="full",
    task=ModularOperator(operator="addition", p=113, train_fraction=0.3, operator_token=False),
    model=NandaTransformer(),
    loss=CrossEntropy(precision="float64"),
    optimizer=AdamW(
        learning_rate=1e-3,
        weight_decay=1.0,
        beta2=0.98,
        schedule=Constant(warmup=10, warmup_from_zero=True),  # as in the official code
    ),
    measures=_MEASURES,
).with_(
    "schedule.measures=['every 100 steps']",
    "schedule.slow_measures=['every 200 steps']",
    "schedule.follow=['every 200 steps']",
)
_SMALL = ("task.p=47", "model.width=64", "model.mlp_width=256")
_SMALLER = "p = 47 instead of 113, half the width"
_ACCURACY = "measures=['train_accuracy', 'test_accuracy', 'train_loss', 'test_loss', 'weight_norm']"

_EXPERIMENTS = (
    RunExperiment(
        "mainline",
        "Addition mod 113 from 30 % of the table, weight decay 1 (Sections 3 to 5, Figures 2, 3 and 7).",
        _MAINLINE,
        {
            "paper": Profile(seeds=5),
            "quick": Profile(
                seeds=8,
                overrides=(
                    *_SMALL,
                    "steps=10000",
                    "task.train_fraction=0.5",
                    "schedule.measures=['every 50 steps']",
                    "schedule.slow_measures=['every 100 steps']",
                    "schedule.follow=['every 100 steps']",
                ),
                reduced=f"{_SMALLER}, 50 % of the table, 10,000 updates",
            ),
        },
    ),
    RunExperiment(
        "no-decay",
        "The same without weight decay (Appendix D.1).",
        _MAINLINE.with_("name='no-decay'", "optimizer.weight_decay=0.0", _ACCURACY),
        {
            "paper": Profile(seeds=3),
            "quick": Profile(
                seeds=8,
                overrides=(*_SMALL, "steps=5000", "task.train_fraction=0.5"),
                reduced=f"{_SMALLER}, 50 % of the table, 5,000 updates",
            ),
        },
    ),
    RunExperiment(
        "much-data",
        "The same from 70 % of the table (Figure 20).",
        _MAINLINE.with_("name='much-data'", "steps=10000", "task.train_fraction=0.7", _ACCURACY),
        {
            "paper": Profile(seeds=3, overrides=("schedule.measures=['every 10 steps']",)),
            "quick": Profile(
                seeds=8,
                overrides=(*_SMALL, "steps=1500", "schedule.measures=['every 10 steps']"),
                reduced=f"{_SMALLER}, 1,500 updates",
            ),
        },
    ),
)

# ---------------------------------------------------------------- evidence: one entry per seed


def loss_of_guess(measures: xr.Dataset) -> float:
    """The loss of a uniform guess, log p; an odd p has (p - 1) / 2 frequencies."""
    if "frequency" not in measures.sizes:
        raise NotTestable("the run has no measure of frequencies")
    return math.log(2 * measures.sizes["frequency"] + 1)


def of_grokked(measures: xr.Dataset, values: np.ndarray) -> np.ndarray:
    """Values [seed]; NaN for seeds that do not grok."""
    return np.where(grokking_times(measures).observed, values, np.nan)


def final(measures: xr.Dataset, name: str) -> np.ndarray:
    """A measure of the last network [seed]; NaN for seeds that do not grok."""
    return of_grokked(measures, last(measures, name))


def few_keys(measures: xr.Dataset, least: int, most: int) -> np.ndarray:
    """Truth values [seed]: groks, and the last network has ``least`` to ``most`` key frequencies."""
    need(measures, "train_accuracy", "test_accuracy", "key_frequencies")
    values = measures["key_frequencies"].transpose(..., "frequency", "step").to_numpy()
    counts = values.reshape(-1, *values.shape[-2:])[:, :, -1].sum(axis=1)
    if np.isnan(counts).all():
        raise NotTestable("key_frequencies was measured for no seed")
    few = (counts >= least) & (counts <= most)
    return truth_values(measures, grokking_times(measures).observed & few, counts)


def excluded_over_chance(measures: xr.Dataset) -> np.ndarray:
    """Excluded loss of the last network over log p [seed]; NaN for seeds that do not grok."""
    return final(measures, "excluded_loss") / loss_of_guess(measures)


def restricted_over_test(measures: xr.Dataset) -> np.ndarray:
    """log10 of restricted loss (test pairs) over test loss, of the last network [seed]."""
    restricted = last(measures, "restricted_loss", split="test")
    found = ratio(restricted, last(measures, "test_loss"))
    usable = grokking_times(measures).observed & (found > 0)
    return np.log10(found, out=np.full(len(found), np.nan), where=usable)


def time_of_restricted(measures: xr.Dataset) -> CensoredTimes:
    """Step at which restricted loss (test pairs) falls below half of log p, over that of test loss [seed]."""
    level = loss_of_guess(measures) / 2
    restricted = crossing_times(measures, curve(measures, "restricted_loss", split="test"), level, "<")
    return paired_ratios(restricted, _test_falls(measures, level))


def time_of_excluded(measures: xr.Dataset) -> CensoredTimes:
    """Step after memorization at which excluded loss exceeds half of log p, over that of test loss [seed]."""
    level, memorized = loss_of_guess(measures) / 2, memorization_times(measures)
    # Before memorization the excluded loss is high because nothing is learned yet.
    after = steps_of(measures) >= memorized.upper[:, None]
    excluded = np.where(after, curve(measures, "excluded_loss"), np.nan)
    rises = crossing_times(measures, excluded, level, ">")
    rises = CensoredTimes(np.maximum(rises.lower, memorized.lower), rises.upper, rises.diverged)
    return paired_ratios(rises, _test_falls(measures, level))


def _test_falls(measures: xr.Dataset, level: float) -> CensoredTimes:
    """Step at which test loss falls below a level [seed]."""
    return crossing_times(measures, curve(measures, "test_loss"), level, "<")


def rise_of_gini(measures: xr.Dataset) -> np.ndarray:
    """Gini coefficient of the embedding's spectrum at the end, less that at memorization [seed]."""
    values = curve(measures, "embedding_gini")
    start = value_at(measures, values, memorization_times(measures).upper)
    return of_grokked(measures, final_value(values) - start)


def fraction_of_norm(measures: xr.Dataset) -> np.ndarray:
    """Squared norm of all weights at the end over that at memorization [seed]; NaN without grokking."""
    squared = curve(measures, "weight_norm") ** 2
    start = value_at(measures, squared, memorization_times(measures).upper)
    return of_grokked(measures, ratio(final_value(squared), start))


# ---------------------------------------------------------------- claims

# No network was trained on the seeds of `confirmed_on` before medians took the place of means.
_any = partial(Claim, confirmed_on="200-299")
_claim = partial(_any, experiment="mainline")
_GROKKED = "over the seeds that grok within the run"
_TENTH = Effect(0.1, "a tenth of the time")
_HALF = "falls below half of chance (log p / 2), over the step at which the test loss does"

_CLAIMS = (
    _claim(
        id="P1",
        name="addition is grokked",
        sentence="Addition is grokked.",
        source="Fig. 2",
        paper_value="5 of 5",
        estimand="the share of seeds that grok within the run",
        region=Region.at_least(0.8),
        smallest_effect=ONE_SEED_IN_TEN,
        kind="share",
        evidence=grokked,
    ),
    _claim(
        id="P2",
        name="two to eight key frequencies",
        sentence="The grokked network uses a few key frequencies.",
        source="Sec. 4.1, App. C.2.1",
        paper_value="3 to 5",
        estimand="the share of seeds that grok within the run, and end with 2 to 8 key frequencies (of the "
        "sorted shares of the power of the logits as functions of the answer, those up to the last that is 5 "
        "times the next)",
        region=Region.at_least(0.8),
        smallest_effect=ONE_SEED_IN_TEN,
        kind="share",
        evidence=lambda m: few_keys(m, 2, 8),
    ),
    _claim(
        id="P3",
        name="logits are cosines of a + b - c",
        sentence="Its logits are a sum of cosines of w_k (a + b - c).",
        source="Sec. 4.2",
        paper_value=0.95,
        estimand=f"the median, {_GROKKED}, of the share of the variance of the final logits that such a sum "
        "explains",
        region=Region.at_least(0.85),
        kind="median",
        smallest_effect=Effect(0.05, "a twentieth of the variance"),
        evidence=lambda m: final(m, "logit_cosines"),
    ),
    _claim(
        id="P4",
        name="most neurons have one frequency",
        sentence="Most neurons compute with one frequency.",
        source="Sec. 4.3",
        paper_value=0.846,
        estimand=f"the median, {_GROKKED}, of the share of final neurons of which one frequency explains "
        "more than 85 % of the variance",
        region=Region.at_least(0.6),
        kind="median",
        smallest_effect=Effect(0.1, "one neuron in ten"),
        evidence=lambda m: final(m, "one_frequency_neurons"),
    ),
    _claim(
        id="P5",
        name="no key frequencies: below chance",
        sentence="Without the key frequencies the network is worse than chance.",
        source="Sec. 4.4, Table 5",
        paper_value="5.27 (1.11 of log 113)",
        estimand=f"the geometric mean, {_GROKKED}, of the excluded loss of the final network, over log p",
        region=Region.at_least(1.0),
        smallest_effect=Effect(0.1, "a tenth of the loss of a guess"),
        unit="log p",
        kind="geometric_mean",
        evidence=excluded_over_chance,
    ),
    _claim(
        id="P6",
        name="key frequencies alone are better",
        sentence="With nothing but the key frequencies it is better than with all.",
        source="Sec. 4.4",
        paper_value=-0.64,
        estimand=f"the mean, {_GROKKED}, of log10 of the restricted loss (test pairs) over the test loss, of "
        "the final network",
        region=Region.at_most(0.0),
        smallest_effect=Effect(0.1, "a quarter of the loss"),
        unit="orders of magnitude",
        evidence=restricted_over_test,
    ),
    _claim(
        id="P7",
        name="restricted loss falls first",
        sentence="The restricted loss falls well before the test loss does.",
        source="Sec. 5.1, Fig. 7",
        paper_value="yes",
        estimand=f"the median over seeds of the step at which the restricted loss (test pairs) {_HALF}",
        region=Region.at_most(0.8),
        smallest_effect=_TENTH,
        kind="median",
        evidence=time_of_restricted,
    ),
    _claim(
        id="P8",
        name="excluded loss rises first",
        sentence="The excluded loss rises before the test loss falls.",
        source="Sec. 5.1, Fig. 7",
        paper_value="yes",
        estimand="the median over seeds of the step at which the excluded loss exceeds half of "
        "chance after memorization, over the step at which the test loss falls below it",
        region=Region.at_most(0.9),
        smallest_effect=_TENTH,
        kind="median",
        evidence=time_of_excluded,
    ),
    _claim(
        id="P9",
        name="embedding's spectrum gets sparse",
        sentence="The spectrum of the embedding becomes sparse.",
        source="Sec. 5.1, Fig. 7",
        paper_value="yes",
        estimand=f"the mean, {_GROKKED}, of the Gini coefficient of the norms of its Fourier components at "
        "the end, less that at memorization",
        region=Region.at_least(0.1),
        smallest_effect=Effect(0.05, "a twentieth of its range"),
        evidence=rise_of_gini,
    ),
    _claim(
        id="P10",
        name="sum of squared weights falls",
        sentence="The sum of squared weights falls in the end.",
        source="Sec. 5.1, Fig. 7",
        paper_value="yes",
        estimand=f"the geometric mean, {_GROKKED}, of the sum of squared weights of the final network over "
        "that at memorization",
        region=Region.at_most(0.9),
        smallest_effect=Effect(0.1, "a tenth of the sum"),
        kind="geometric_mean",
        evidence=fraction_of_norm,
    ),
    _any(
        id="P11",
        name="no decay, no grokking in the run",
        sentence="Without weight decay nothing is grokked within the run.",
        source="App. D.1",
        paper_value="never",
        estimand="the share of seeds that grok within the run",
        region=Region.at_most(0.2),
        smallest_effect=ONE_SEED_IN_TEN,
        kind="share",
        experiment="no-decay",
        evidence=grokked,
    ),
    _any(
        id="P12",
        name="much data: test soon after train",
        sentence="From much data the network generalizes at once.",
        source="App. Fig. 20",
        paper_value="at 60 % and more",
        estimand="the median over seeds of steps to 99 % test accuracy (right-censored where they are not "
        "reached) over steps to 99 % training accuracy",
        region=Region.at_most(5),
        smallest_effect=Effect(1, "as long as memorization takes"),
        unit="times",
        kind="median",
        experiment="much-data",
        evidence=ratio_of_splits,
    ),
)

# ---------------------------------------------------------------- figures


_DATA_AND_DECAY = {
    "mainline": "Mainline",
    "no-decay": "Without weight decay",
    "much-data": "From 70 % of the table",
}
_FIGURES = (
    Figure(
        "figure-7",
        "Figure 7: progress measures over training.",
        lambda runs, command: progress_figure(runs["mainline"].measures, command),
        ("mainline",),
    ),
    Figure(
        "figure-3",
        "Figures 3 and 6: spectra of one grokked network, and what it loses without each frequency.",
        lambda runs, command: spectra_figure(runs["mainline"].measures, command=command),
        ("mainline",),
    ),
    Figure(
        "figure-2-20",
        "Figures 2 and 20: accuracy with and without weight decay, and from much data.",
        accuracies_of(_DATA_AND_DECAY),
        tuple(_DATA_AND_DECAY),
    ),
)


class ProgressMeasures(Paper):
    """Nanda et al. 2023: the algorithm of a grokked network, and measures of its progress in training."""

    kind: Literal["progress-measures"] = "progress-measures"
    title = "Progress Measures for Grokking via Mechanistic Interpretability"
    authors = "Neel Nanda, Lawrence Chan, Tom Lieberum, Jess Smith, Jacob Steinhardt"
    year = 2023
    arxiv = "2301.05217"
    bibtex = """@misc{nanda2023progress,
  title = {Progress Measures for Grokking via Mechanistic Interpretability},
  author = {Neel Nanda and Lawrence Chan and Tom Lieberum and Jess Smith and Jacob Steinhardt},
  year = {2023},
  eprint = {2301.05217},
  archivePrefix = {arXiv}
}"""
    experiments = _EXPERIMENTS
    claims = _CLAIMS
    figures = _FIGURES
