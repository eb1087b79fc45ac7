r"""Progress measures for grokking via mechanistic interpretability (arXiv 2301.05217).

A one-layer transformer learns addition mod 113. The network that it ends as computes with a few frequencies:
it maps a and b to waves $\cos w_k a$, $\sin w_k a$, combines them to waves of a + b, and reads off the c for
which they agree. Two losses that are built from these key frequencies move smoothly while accuracy on
held-out pairs does not: the restricted loss (only key frequencies are left) falls before the test loss does,
and the excluded loss (key frequencies are taken out) rises.

Here: the experiments, the claims, the figures, in this order. `_progress_evidence` has what the claims are
judged by. Claims about the grokked network are judged on the seeds that grok.

Under ``quick`` the table is smaller (p = 47, half of it for training) and the network narrower (64 instead of
128, 256 neurons instead of 512). The algorithm does not depend on p: what is claimed of frequencies, of
losses over chance and of which comes first is the same. That the delay is thousands of updates long is not
claimed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal

from grokscope.claims import Claim, Effect, Region
from grokscope.experiment import Experiment
from grokscope.losses import CrossEntropy
from grokscope.models.transformer import NandaTransformer
from grokscope.optimizers import AdamW, Constant
from grokscope.papers._operators_evidence import ratio_of_splits
from grokscope.papers._paper import Figure, Paper, PaperExperiment, Profile, RunLike
from grokscope.papers._progress_evidence import (
    excluded_over_chance,
    few_keys,
    final,
    fraction_of_norm,
    restricted_over_test,
    rise_of_gini,
    time_of_excluded,
    time_of_restricted,
)
from grokscope.papers.evidence import grokked
from grokscope.tasks.modular_operator import ModularOperator

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

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
    optimizer=AdamW(learning_rate=1e-3, weight_decay=1.0, beta2=0.98, schedule=Constant(warmup=10)),
    measures=_MEASURES,
).with_(
    "schedule.measures=['every 100 steps']",
    "schedule.slow_measures=['every 200 steps']",
    "schedule.follow=['every 200 steps']",
)
_SMALL = ("task.p=47", "model.width=64", "model.mlp_width=256")
_ACCURACY = "measures=['train_accuracy', 'test_accuracy', 'train_loss', 'test_loss', 'weight_norm']"

_EXPERIMENTS = (
    PaperExperiment(
        "mainline",
        "Addition mod 113 from 30 % of the table, weight decay 1 (Sections 3 to 5, Figures 2, 3 and 7).",
        _MAINLINE,
        {
            "paper": Profile(seeds=5),
            "quick": Profile(
                seeds=4,
                overrides=(
                    *_SMALL,
                    "steps=10000",
                    "task.train_fraction=0.5",
                    "schedule.measures=['every 50 steps']",
                    "schedule.slow_measures=['every 100 steps']",
                    "schedule.follow=['every 100 steps']",
                ),
            ),
        },
    ),
    PaperExperiment(
        "no-decay",
        "The same without weight decay (Appendix D.1).",
        _MAINLINE.with_("name='no-decay'", "optimizer.weight_decay=0.0", _ACCURACY),
        {
            "paper": Profile(seeds=3),
            "quick": Profile(seeds=4, overrides=(*_SMALL, "steps=5000", "task.train_fraction=0.5")),
        },
    ),
    PaperExperiment(
        "much-data",
        "The same from 70 % of the table (Figure 20).",
        _MAINLINE.with_("name='much-data'", "steps=10000", "task.train_fraction=0.7", _ACCURACY),
        {
            "paper": Profile(seeds=3, overrides=("schedule.measures=['every 10 steps']",)),
            "quick": Profile(
                seeds=4, overrides=(*_SMALL, "steps=1500", "schedule.measures=['every 10 steps']")
            ),
        },
    ),
)

# ---------------------------------------------------------------- claims


def _claim(
    id: str,
    sentence: str,
    source: str,
    paper: float | str | None,
    estimand: str,
    region: Region,
    effect: Effect,
    evidence: Callable[..., Any],
    *,
    unit: str = "",
    experiment: str = "mainline",
    kind: Literal["mean", "geometric_mean", "share"] = "mean",
) -> Claim:
    what = "the share of seeds that" if kind == "share" else f"the {kind.replace('_', ' ')} over seeds of"
    return Claim(
        id=id,
        sentence=sentence,
        source=source,
        paper_value=paper,
        unit=unit,
        estimand=f"{what} {estimand}",
        region=region,
        smallest_effect=effect,
        kind=kind,
        experiment=experiment,
        evidence=evidence,
    )


_TENTH = Effect(0.1, "a tenth of the time")
_HALF = "falls below half of chance (log p / 2), over the step at which the test loss does"

_CLAIMS = (
    _claim(
        "P1",
        "Addition is grokked.",
        "Fig. 2",
        "5 of 5",
        "grok",
        Region.at_least(0.8),
        Effect(0.1, "one seed in ten behaves otherwise"),
        grokked,
        kind="share",
    ),
    _claim(
        "P2",
        "The grokked network uses a few key frequencies.",
        "Sec. 4.1, App. C.2.1",
        "3 to 5",
        "grok, and end with 2 to 8 key frequencies (those with 5 % or more of the power of the logits as "
        "functions of the answer)",
        Region.at_least(0.8),
        Effect(0.1, "one seed in ten behaves otherwise"),
        lambda m: few_keys(m, 2, 8),
        kind="share",
    ),
    _claim(
        "P3",
        "Its logits are a sum of cosines of w_k (a + b - c).",
        "Sec. 4.2",
        0.95,
        "the share of the variance of the final logits that such a sum explains",
        Region.at_least(0.85),
        Effect(0.05, "a twentieth of the variance"),
        lambda m: final(m, "logit_cosines"),
    ),
    _claim(
        "P4",
        "Most neurons compute with one frequency.",
        "Sec. 4.3",
        0.846,
        "the share of final neurons of which one frequency explains more than 85 % of the variance",
        Region.at_least(0.6),
        Effect(0.1, "one neuron in ten"),
        lambda m: final(m, "one_frequency_neurons"),
    ),
    _claim(
        "P5",
        "Without the key frequencies the network is worse than chance.",
        "Sec. 4.4, Table 5",
        "5.27 (1.11 of log 113)",
        "the excluded loss of the final network, over log p",
        Region.at_least(1.0),
        Effect(0.1, "a tenth of the loss of a guess"),
        excluded_over_chance,
        kind="geometric_mean",
        unit="log p",
    ),
    _claim(
        "P6",
        "With nothing but the key frequencies it is better than with all.",
        "Sec. 4.4",
        -0.64,
        "log10 of the restricted loss (test pairs) over the test loss, of the final network",
        Region.at_most(0.0),
        Effect(0.1, "a quarter of the loss"),
        restricted_over_test,
        unit="orders of magnitude",
    ),
    _claim(
        "P7",
        "The restricted loss falls well before the test loss does.",
        "Sec. 5.1, Fig. 7",
        "yes",
        f"the step at which the restricted loss (test pairs) {_HALF}",
        Region.at_most(0.8),
        _TENTH,
        time_of_restricted,
        kind="geometric_mean",
    ),
    _claim(
        "P8",
        "The excluded loss rises before the test loss falls.",
        "Sec. 5.1, Fig. 7",
        "yes",
        "the step at which the excluded loss exceeds half of chance after memorization, over the step at "
        "which the test loss falls below it",
        Region.at_most(0.9),
        _TENTH,
        time_of_excluded,
        kind="geometric_mean",
    ),
    _claim(
        "P9",
        "The spectrum of the embedding becomes sparse.",
        "Sec. 5.1, Fig. 7",
        "yes",
        "the Gini coefficient of the norms of its Fourier components at the end, less that at memorization",
        Region.at_least(0.1),
        Effect(0.05, "a twentieth of its range"),
        rise_of_gini,
    ),
    _claim(
        "P10",
        "The sum of squared weights falls in the end.",
        "Sec. 5.1, Fig. 7",
        "yes",
        "the sum of squared weights of the final network over that at memorization",
        Region.at_most(0.9),
        Effect(0.1, "a tenth of the sum"),
        fraction_of_norm,
        kind="geometric_mean",
    ),
    _claim(
        "P11",
        "Without weight decay nothing is grokked within the run.",
        "App. D.1",
        "never",
        "grok",
        Region.at_most(0.2),
        Effect(0.1, "one seed in ten behaves otherwise"),
        grokked,
        experiment="no-decay",
        kind="share",
    ),
    _claim(
        "P12",
        "From much data the network generalizes at once.",
        "App. Fig. 20",
        "at 60 % and more",
        "steps to 99 % test accuracy over steps to 99 % training accuracy",
        Region.at_most(5),
        Effect(1, "as long as memorization takes"),
        ratio_of_splits,
        unit="times",
        experiment="much-data",
        kind="geometric_mean",
    ),
)

# ---------------------------------------------------------------- figures


def _progress(runs: Mapping[str, RunLike], command: str) -> Drawing:
    from grokscope.plots.fourier import progress_figure

    return progress_figure(runs["mainline"].measures, command)


def _spectra(runs: Mapping[str, RunLike], command: str) -> Drawing:
    from grokscope.plots.fourier import spectra_figure

    return spectra_figure(runs["mainline"].measures, command=command)


def _data_and_decay(runs: Mapping[str, RunLike], command: str) -> Drawing:
    from grokscope.plots.operators import operators_figure

    titles = {
        "mainline": "Mainline",
        "no-decay": "Without weight decay",
        "much-data": "From 70 % of the table",
    }
    return operators_figure({title: runs[name].measures for name, title in titles.items()}, command)


_FIGURES = (
    Figure("figure-7", "Figure 7: progress measures over training.", _progress, ("mainline",)),
    Figure(
        "figure-3",
        "Figures 3 and 6: spectra of one grokked network, and what it loses without each frequency.",
        _spectra,
        ("mainline",),
    ),
    Figure(
        "figure-2-20",
        "Figures 2 and 20: accuracy with and without weight decay, and from much data.",
        _data_and_decay,
        ("mainline", "no-decay", "much-data"),
    ),
)


class ProgressMeasures(Paper):
    """Nanda et al. 2023: what a grokked network computes, and measures of how it comes to that."""

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
