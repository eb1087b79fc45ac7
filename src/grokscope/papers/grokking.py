r"""Grokking: Generalization Beyond Overfitting on Small Algorithmic Datasets (arXiv 2201.02177).

A small transformer learns a binary operator from part of its table. It fits the training equations within
some thousand updates, and generalizes much later, the later the less of the table it has seen.

Here: the experiments, the claims, the figures, in this order. `_operators_evidence` has what the claims are
judged by. Steps to 99 % are the first measured step with an accuracy of at least 0.99, as in the paper; a run
that does not get there counts with its last step, a lower bound. Claims that compare two runs pair their
seeds.

Under ``paper`` the network is the paper's (two layers, width 128), p = 97 and the permutations of 5 things, a
million updates for Figure 1 left and 1e5 for the rest: for a GPU. Under ``quick`` tables and networks are
small (p = 31, the permutations of 4 things; one layer of width 64 without layer norm, which trains without
spikes), batches are the whole training set, shares of the table are larger where a small table needs it, and
weight decay is 1 also in Figure 1. (Batches of 128 leave a last batch of one equation in 80 % of so small a
table, and with Adam one such update undoes many: training accuracy then stays at 0.3.) What is claimed are
comparisons of runs that differ in one thing only; numbers of the paper's own size (the factor of 1,000, the
slope at 25 to 30 %) are judged by regions wide enough for both. The 24 permutations of 4 things are hardly
generalized from 90 % of their table within 10,000 updates, whatever the decay (1 and 3 were tried, and 25,000
updates): G2a needs ``paper``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal

from grokscope.claims import Claim, Effect, Region
from grokscope.experiment import Experiment
from grokscope.losses import CrossEntropy
from grokscope.models.transformer import PowerTransformer
from grokscope.optimizers import AdamW, Constant
from grokscope.papers._operators_evidence import (
    best_accuracy,
    growth_per_percent,
    ratio_of_splits,
    ratio_of_steps,
)
from grokscope.papers._paper import Figure, Paper, PaperExperiment, Profile, RunLike
from grokscope.tasks.modular_operator import FORMULAS, ModularOperator

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

__all__ = ["Grokking"]

# ---------------------------------------------------------------- experiments (Sections 3.1-3.3, Appendix A)

_BASE = Experiment(
    steps=100_000,
    batch_size=512,
    task=ModularOperator(operator="addition", p=97, train_fraction=0.5),
    model=PowerTransformer(),
    loss=CrossEntropy(),
    optimizer=AdamW(learning_rate=1e-3, weight_decay=1.0, beta2=0.98, schedule=Constant(warmup=10)),
    measures=("train_accuracy", "test_accuracy", "train_loss", "test_loss", "weight_norm"),
).with_("schedule.measures=['every 100 steps']", "schedule.slow_measures='ends'", "schedule.follow='ends'")

_SMALL = (
    "steps=10000",
    "batch_size='full'",
    "model.kind='nanda_transformer'",
    "model.width=64",
    "model.mlp_width=256",
    "schedule.measures=['every 25 steps']",
)
_MODULAR, _PERMUTATIONS = (*_SMALL, "task.p=31"), (*_SMALL, "task.degree=4")


def _experiment(
    name: str, sentence: str, *overrides: str, quick: tuple[str, ...] = (), small: tuple[str, ...] = _MODULAR
) -> PaperExperiment:
    profiles = {"paper": Profile(seeds=3), "quick": Profile(seeds=4, overrides=(*small, *quick))}
    return PaperExperiment(name, sentence, _BASE.with_(f"name='{name}'", *overrides), profiles)


def _at(operator: str, percent: int) -> PaperExperiment:
    return _experiment(
        f"{operator}-{percent}",
        f"{FORMULAS[operator]} from {percent} % of the table (Figures 1 and 2).",
        f"task.operator='{operator}'",
        f"task.train_fraction={percent / 100}",
    )


_FRACTIONS = (40, 50, 60, 80)  # of addition
_OTHERS = {
    "subtraction": (60, 80),
    "division": (60, 80),
    "sum_of_squares": (60,),
    "cubic_plus_xy2_plus_y": (80,),
}

_EXPERIMENTS = (
    _experiment(
        "long-division",
        "Division from half of the table, Adam without weight decay, a million updates (Figure 1 left).",
        "task.operator='division'",
        "optimizer.weight_decay=0.0",
        "steps=1000000",
        "schedule.measures=['every 500 steps']",
        quick=("optimizer.weight_decay=1.0", "task.train_fraction=0.8"),
    ),
    *(_at("addition", percent) for percent in _FRACTIONS),
    *(_at(operator, percent) for operator, percents in _OTHERS.items() for percent in percents),
    _experiment(
        "addition-no-decay",
        "Addition from 60 % of the table without weight decay (Figure 2 left).",
        "task.train_fraction=0.6",
        "optimizer.weight_decay=0.0",
    ),
    *(
        _experiment(
            f"composition-{name}",
            f"The product in S5 from {percent} % of the table (Figure 1 center).",
            "task.kind='permutation_operator'",
            f"task.train_fraction={percent / 100}",
            quick=(f"task.train_fraction={small}", "optimizer.weight_decay=3.0"),
            small=_PERMUTATIONS,
        )
        for name, percent, small in (("less-data", 25, 0.85), ("more-data", 30, 0.9))
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
    experiment: str,
    *beside: str,
    unit: str = "",
    kind: Literal["mean", "geometric_mean"] = "mean",
) -> Claim:
    """A claim about a mean over seeds; the evidence is given the measures of all experiments named."""
    return Claim(
        id=id,
        sentence=sentence,
        source=source,
        paper_value=paper,
        unit=unit,
        estimand=f"the {kind.replace('_', ' ')} over seeds of {estimand}",
        region=region,
        smallest_effect=effect,
        kind=kind,
        experiment=experiment,
        evidence=evidence,
        beside=beside,
    )


_FACTOR = Effect(0.25, "a quarter of the steps")
_BOUND = " (a lower bound where they are not reached)"

_CLAIMS = (
    _claim(
        "G1",
        "Division is generalized long after its training equations are fitted.",
        "Fig. 1 left, Sec. 3.1",
        "100 (onset) to 1000 (completion)",
        f"steps to 99 % test accuracy{_BOUND} over steps to 99 % training accuracy",
        Region.at_least(10),
        Effect(2, "a factor of two"),
        ratio_of_splits,
        "long-division",
        unit="times",
        kind="geometric_mean",
    ),
    _claim(
        "G2a",
        "The less data, the longer it takes to generalize: the product of permutations.",
        "Fig. 1 center, Sec. 3.1.1",
        "0.4 to 0.5 (S5, 25 to 30 %)",
        f"the growth of steps to 99 % test accuracy{_BOUND} for each 1 % less data, over 5 %",
        Region.at_least(0.02),
        Effect(0.02, "a tenth over 5 %"),
        lambda less, more: growth_per_percent(less, more, 5),
        "composition-less-data",
        "composition-more-data",
        unit="per 1 %",
    ),
    _claim(
        "G2b",
        "The less data, the longer it takes to generalize: addition.",
        "Fig. 1 center, Sec. 3.1.1",
        "qualitatively",
        f"the growth of steps to 99 % test accuracy{_BOUND} for each 1 % less data, from 60 to 50 %",
        Region.at_least(0.02),
        Effect(0.02, "a fifth over 10 %"),
        lambda less, more: growth_per_percent(less, more, 10),
        "addition-50",
        "addition-60",
        unit="per 1 %",
    ),
    _claim(
        "G3",
        "The training equations are not learned later with less data.",
        "Sec. 3.1.1",
        "tends to fall",
        "steps to 99 % training accuracy on addition with 40 % of the table over those with 80 %",
        Region.at_most(1.25),
        _FACTOR,
        lambda less, more: ratio_of_steps(less, more, "train"),
        "addition-40",
        "addition-80",
        unit="times",
        kind="geometric_mean",
    ),
    _claim(
        "G4a",
        "A symmetric operator needs less data than a like one that is not: x + y and x - y.",
        "Fig. 2 right",
        "yes",
        f"steps to 99 % test accuracy{_BOUND} on subtraction over those on addition, both with 60 % of the "
        "table",
        Region.at_least(1.5),
        _FACTOR,
        ratio_of_steps,
        "subtraction-60",
        "addition-60",
        unit="times",
        kind="geometric_mean",
    ),
    _claim(
        "G4b",
        "The same for x^2 + y^2 and x - y.",
        "Fig. 2 right",
        "yes",
        f"steps to 99 % test accuracy{_BOUND} on x - y over those on x^2 + y^2, both with 60 % of the table",
        Region.at_least(1.5),
        _FACTOR,
        ratio_of_steps,
        "subtraction-60",
        "sum_of_squares-60",
        unit="times",
        kind="geometric_mean",
    ),
    _claim(
        "G5",
        "Subtraction and division need about the same data.",
        "Fig. 2 right",
        "yes",
        f"steps to 99 % test accuracy{_BOUND} on division over those on subtraction, both with 80 % of the "
        "table",
        Region.between(0.5, 2.0),
        _FACTOR,
        ratio_of_steps,
        "division-80",
        "subtraction-80",
        unit="times",
        kind="geometric_mean",
    ),
    _claim(
        "G6",
        "x^3 + x y^2 + y is not generalized, even with most of the table.",
        "Fig. 2 right",
        "not at 95 %",
        "best test accuracy within the run, with 80 % of the table",
        Region.at_most(0.25),
        Effect(0.1, "one held-out equation in ten"),
        best_accuracy,
        "cubic_plus_xy2_plus_y-80",
    ),
    _claim(
        "G7",
        "Weight decay makes it generalize from data that do not suffice without.",
        "Sec. 3.3, Fig. 2 left",
        "halves the data needed",
        f"steps to 99 % test accuracy{_BOUND} on addition with 60 % of the table, without weight decay over "
        "with it",
        Region.at_least(1.5),
        _FACTOR,
        ratio_of_steps,
        "addition-no-decay",
        "addition-60",
        unit="times",
        kind="geometric_mean",
    ),
)

# ---------------------------------------------------------------- figures


def _long_division(runs: Mapping[str, RunLike], command: str) -> Drawing:
    from grokscope.plots.operators import operators_figure

    without = "addition-no-decay"
    chosen = {"Division, half of the table or more": runs["long-division"].measures}
    chosen |= {"Addition, 60 %": runs["addition-60"].measures}
    chosen |= {"Addition, 60 %, no weight decay": runs[without].measures}
    return operators_figure(chosen, command)


def _fractions(runs: Mapping[str, RunLike], command: str) -> Drawing:
    from grokscope.plots.fractions import fractions_figure

    def fraction(run: RunLike) -> float:
        return float(getattr(run.experiment.task, "train_fraction", 0.0))

    additions = [runs[f"addition-{percent}"] for percent in _FRACTIONS]
    by_operator = {FORMULAS["addition"]: [(fraction(run), run.measures) for run in additions]}
    for operator, percents in _OTHERS.items():
        some = [runs[f"{operator}-{percent}"] for percent in percents]
        by_operator[FORMULAS[operator]] = [(fraction(run), run.measures) for run in some]
    return fractions_figure({fraction(run): run.measures for run in additions}, by_operator, command)


_ALL_FRACTIONS = tuple(
    f"{operator}-{percent}"
    for operator, percents in {"addition": _FRACTIONS, **_OTHERS}.items()
    for percent in percents
)

_FIGURES = (
    Figure(
        "figure-1-left",
        "Figure 1 left: division is generalized long after it is memorized; beside it addition with and "
        "without weight decay.",
        _long_division,
        ("long-division", "addition-60", "addition-no-decay"),
    ),
    Figure(
        "figure-1-2",
        "Figures 1 center and 2 right: steps to 99 % against the share of the table, and the best test "
        "accuracy by operator.",
        _fractions,
        _ALL_FRACTIONS,
    ),
)


class Grokking(Paper):
    """Power et al. 2022: binary operators are generalized long after they are memorized."""

    kind: Literal["grokking"] = "grokking"
    title = "Grokking: Generalization Beyond Overfitting on Small Algorithmic Datasets"
    authors = "Alethea Power, Yuri Burda, Harri Edwards, Igor Babuschkin, Vedant Misra"
    year = 2022
    arxiv = "2201.02177"
    bibtex = """@misc{power2022grokking,
  title = {Grokking: Generalization Beyond Overfitting on Small Algorithmic Datasets},
  author = {Alethea Power and Yuri Burda and Harri Edwards and Igor Babuschkin and Vedant Misra},
  year = {2022},
  eprint = {2201.02177},
  archivePrefix = {arXiv}
}"""
    experiments = _EXPERIMENTS
    claims = _CLAIMS
    figures = _FIGURES
