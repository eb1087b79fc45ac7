"""Whose speed-up of grokking survives equal tuning, on sparse parity and on modular addition?

Papers report that a method groks several times as fast as a baseline, which often was not tuned, or had no
weight decay where the method had one. Here AdamW with tuned weight decay is the baseline, and seven others
are tuned over the same number of settings on the same seeds, with the same steps: SGD, Grokfast (Lee et al.
2024, arXiv 2405.20233) with its exponential and its moving average, Muon (Tveit et al. 2025, arXiv
2504.16041), the perpendicular gradient and StableMax (Prieto et al. 2025, arXiv 2501.04697), and a smaller
start (Liu et al. 2022, arXiv 2210.01117). The best setting of each is compared with AdamW's on fresh seeds,
paired; steps that are not reached are censored. A speed-up of a quarter has to be left. AdamW without weight
decay, the baseline of the first Grokfast paper, has its rate tuned beside them: how much of a reported
speed-up is that of weight decay is judged, too.

All but SGD and Muon are AdamW with one change: the filter, the gradient, the loss, or the scale of the start.
On parity StableMax also needs two outputs in place of one, and replaces the hinge loss; on modular addition
it replaces cross-entropy. Networks and tasks are not those of the papers, so the claims are not about their
numbers.

This file: the contests, the evidence, the claims, the figures. The grids were chosen on seed 0, so that the
best setting is not at an end of them where that could be had. A filter has four numbers to tune (alpha or the
window stays as it is), a smaller start and Muon three, the others two, all within the same number of
settings.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple

import numpy as np

from grokscope.claims import Claim, Effect, Region
from grokscope.losses import CrossEntropy
from grokscope.models.embedding_mlp import EmbeddingMLP
from grokscope.papers import ContestExperiment, ContestProfile, Figure
from grokscope.papers._study import Study, bibtex_of, timed
from grokscope.papers.evidence import times_in
from grokscope.plots.sweeps import contest_figure
from grokscope.statistics import CensoredTimes, paired_ratios
from grokscope.sweeps import Contender
from grokscope.tasks.modular_operator import ModularOperator
from grokscope.tasks.sparse_parity import SparseParity

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure as Drawing

__all__ = ["Optimizers"]

# ---------------------------------------------------------------- the contests


def _over(**values: str) -> tuple[str, ...]:
    return tuple(
        f"{'model' if name == 'init_scale' else 'optimizer'}.{name}={listed}"
        for name, listed in values.items()
    )


_FIRST, _FILTER = ("optimizer.kind=adamw",), ("optimizer.kind=grokfast", "optimizer.decay=decoupled")
_SETTINGS = {
    "adamw": _FIRST,
    "no-decay": (*_FIRST, "optimizer.weight_decay=0.0"),
    "sgd": ("optimizer.kind=sgd",),
    "grokfast": (*_FILTER, "optimizer.alpha=0.9"),
    "grokfast-window": (*_FILTER, "optimizer.window=10"),
    "muon": ("optimizer.kind=muon",),
    "perpendicular": (*_FIRST, "optimizer.perpendicular=rescaled"),
    "stablemax": (*_FIRST, "loss.kind=stablemax"),
    "small-start": _FIRST,
}


def _contenders(grids: Mapping[str, Mapping[str, str]], **more: tuple[str, ...]) -> tuple[Contender, ...]:
    return tuple(
        Contender(name, _over(**grids[name]), settings + more.get(name, ()))
        for name, settings in _SETTINGS.items()
    )


# 27 settings of each: nine rates and three decays, or three values of three numbers, or 27 rates
_RATES = ",".join(f"{10 ** (step / 8 - 3.25):.2g}" for step in range(27))  # 0.00056 to 1
_PARITY_RATES = "0.002,0.003,0.005,0.007,0.01,0.014,0.02,0.03,0.05"
_PARITY_TUNED = {"learning_rate": "0.005,0.01,0.02", "weight_decay": "0.3,1.0,3.0"}
_PARITY_GRIDS: Mapping[str, Mapping[str, str]] = {
    "adamw": {"learning_rate": _PARITY_RATES, "weight_decay": "0.3,1.0,3.0"},
    "no-decay": {"learning_rate": _RATES},
    "sgd": {"learning_rate": "0.1,0.2,0.3,0.5,0.7,1.0,1.4,2.0,3.0", "weight_decay": "0.0005,0.0017,0.005"},
    "grokfast": {**_PARITY_TUNED, "lamb": "0.3,1.0,3.0"},
    "grokfast-window": {**_PARITY_TUNED, "lamb": "0.3,1.0,3.0"},
    "muon": {**_PARITY_TUNED, "adam_learning_rate": "0.003,0.01,0.03"},
    "perpendicular": {
        "learning_rate": "0.001,0.002,0.005,0.01,0.02,0.05,0.1,0.2,0.5",
        "weight_decay": "0.0,0.03,0.1",
    },
    "stablemax": {"learning_rate": _PARITY_RATES, "weight_decay": "0.3,1.0,3.0"},
    "small-start": {
        "learning_rate": "0.007,0.015,0.03",
        "weight_decay": "0.1,0.3,1.0",
        "init_scale": "0.03,0.1,0.3",
    },
}
_SUM_TUNED = {"learning_rate": "0.03,0.06,0.12", "weight_decay": "0.5,1.5,5.0"}
_SUM_GRIDS: Mapping[str, Mapping[str, str]] = {
    "adamw": {"learning_rate": "0.01,0.02,0.03,0.05,0.07,0.1,0.15,0.25,0.4", "weight_decay": "0.5,1.5,5.0"},
    "no-decay": {"learning_rate": _RATES},
    "sgd": {
        "learning_rate": "2.0,3.0,5.0,7.0,10.0,14.0,20.0,28.0,40.0",
        "weight_decay": "0.0005,0.001,0.002",
    },
    "grokfast": {**_SUM_TUNED, "lamb": "0.3,1.0,3.0"},
    "grokfast-window": {**_SUM_TUNED, "lamb": "0.3,1.0,3.0"},
    "muon": {
        "learning_rate": "0.03,0.1,0.3",
        "weight_decay": "0.3,0.7,1.5",
        "adam_learning_rate": "0.03,0.1,0.3",
    },
    "perpendicular": {
        "learning_rate": "0.003,0.006,0.01,0.015,0.02,0.03,0.045,0.07,0.1",
        "weight_decay": "0.03,0.1,0.3",
    },
    "stablemax": {
        "learning_rate": "0.01,0.02,0.03,0.05,0.07,0.1,0.15,0.2,0.3",
        "weight_decay": "0.1,0.3,1.0",
    },
    "small-start": {**_SUM_TUNED, "init_scale": "0.03,0.1,0.3"},
}
# in the quick profile four
_QUICK_PARITY: Mapping[str, Mapping[str, str]] = {
    "adamw": {"learning_rate": "0.007,0.01", "weight_decay": "0.3,1.0"},
    "no-decay": {"learning_rate": "0.1,0.2,0.3,0.5"},
    "sgd": {"learning_rate": "0.7,1.0", "weight_decay": "0.0017,0.005"},
    "grokfast": {"learning_rate": "0.007,0.01", "lamb": "0.3,1.0", "weight_decay": "1.0"},
    "grokfast-window": {"learning_rate": "0.007,0.01", "lamb": "0.3,1.0", "weight_decay": "1.0"},
    "muon": {"learning_rate": "0.005,0.01", "adam_learning_rate": "0.01,0.02", "weight_decay": "1.0"},
    "perpendicular": {"learning_rate": "0.02,0.05", "weight_decay": "0.0,0.03"},
    "stablemax": {"learning_rate": "0.007,0.01", "weight_decay": "0.3,1.0"},
    "small-start": {"learning_rate": "0.01,0.02", "init_scale": "0.1,0.3", "weight_decay": "0.3"},
}
_QUICK_SUM: Mapping[str, Mapping[str, str]] = {
    "adamw": {"learning_rate": "0.05,0.1", "weight_decay": "1.5,3.0"},
    "no-decay": {"learning_rate": "0.01,0.03,0.1,0.3"},
    "sgd": {"learning_rate": "7.0,10.0", "weight_decay": "0.001,0.002"},
    "grokfast": {"learning_rate": "0.06,0.1", "lamb": "0.3,1.0", "weight_decay": "3.0"},
    "grokfast-window": {"learning_rate": "0.06,0.1", "lamb": "0.3,1.0", "weight_decay": "3.0"},
    "muon": {"learning_rate": "0.1,0.3", "adam_learning_rate": "0.1,0.2", "weight_decay": "0.7"},
    "perpendicular": {"learning_rate": "0.02,0.03", "weight_decay": "0.05,0.1"},
    "stablemax": {"learning_rate": "0.07,0.1", "weight_decay": "0.3,0.5"},
    "small-start": {"learning_rate": "0.06,0.1", "init_scale": "0.1,0.3", "weight_decay": "1.0"},
}
_STOP = ("stop.grokked_for=1", "stop.diverged=true")  # what follows grokking is not evidence
_CLASSES = ("task.output=class",)  # a loss of classes needs two outputs

_PARITY = ContestExperiment(
    "parity",
    "Nine contenders on the standard parity task.",
    timed("every 16 steps", name="optimizers", steps=4800, task=SparseParity()).with_(*_STOP),
    {
        "paper": ContestProfile(seeds="300:325", tuning=3),
        "quick": ContestProfile(
            seeds="300:308", tuning=2, contenders=_contenders(_QUICK_PARITY, stablemax=_CLASSES)
        ),
    },
    contenders=_contenders(_PARITY_GRIDS, stablemax=_CLASSES),
)
_SUM = ContestExperiment(
    "sum",
    "Nine contenders on addition modulo 31.",
    timed(
        "every 5 steps",
        name="optimizers-sum",
        steps=2000,
        task=ModularOperator(p=31, train_fraction=0.5, operator_token=False, equals_token=False),
        model=EmbeddingMLP(embedding=32, width=128),
        loss=CrossEntropy(),
        batch_size="full",
    ).with_(*_STOP),
    {
        "paper": ContestProfile(seeds="300:325", tuning=3),
        "quick": ContestProfile(seeds="300:308", tuning=2, contenders=_contenders(_QUICK_SUM)),
    },
    contenders=_contenders(_SUM_GRIDS),
)

# ---------------------------------------------------------------- evidence: one entry per seed


def _speedup(name: str, over: str = "adamw") -> Callable[[xr.Dataset], CensoredTimes]:
    """Grokking steps of one contender over those of another [seed]; a censored step bounds the ratio."""

    def ratio(measures: xr.Dataset) -> CensoredTimes:
        return paired_ratios(*(times_in(measures, "grokking", contender=one) for one in (over, name)))

    return ratio


def _smaller(name: str, over: str = "adamw") -> Callable[[xr.Dataset, xr.Dataset], CensoredTimes]:
    """The smaller one of a seed's speed-ups on the two tasks [seed]."""

    def smaller(*measures: xr.Dataset) -> CensoredTimes:
        one, other = (_speedup(name, over)(each) for each in measures)
        return CensoredTimes(np.minimum(one.lower, other.lower), np.minimum(one.upper, other.upper))

    return smaller


# ---------------------------------------------------------------- claims


class _Rival(NamedTuple):
    """A contender: its name in sentences, where a speed-up is said, and the number there."""

    said: str
    source: str
    paper_value: float | None = None


_RIVALS = {
    "adamw": _Rival("AdamW with weight decay", "asked here"),
    "no-decay": _Rival("AdamW without weight decay", "asked here"),
    "grokfast": _Rival(
        "Grokfast",
        "Lee et al. 2024 (arXiv 2405.20233), Table 1: modular multiplication, Adam without decay",
        43.84,
    ),
    "grokfast-window": _Rival(
        "Grokfast-MA",
        "Lee et al. 2024 (arXiv 2405.20233), Table 1: modular multiplication, Adam without decay",
        50.49,
    ),
    "muon": _Rival("Muon", "Tveit et al. 2025 (arXiv 2504.16041), Fig. 4: other tasks, transformers", 1.49),
    "perpendicular": _Rival(
        "The perpendicular gradient", "Prieto et al. 2025 (arXiv 2501.04697), Fig. 15: faster than decay"
    ),
    "stablemax": _Rival(
        "StableMax", "Prieto et al. 2025 (arXiv 2501.04697), Fig. 4: groks without regularization"
    ),
    "small-start": _Rival(
        "A smaller start", "Liu et al. 2022 (arXiv 2210.01117), Fig. 1: a small start does not grok late"
    ),
    "sgd": _Rival("SGD", "asked here"),
}
_WHERE = {"parity": "on sparse parity", "sum": "on modular addition", "both": "on both tasks"}


def _claim(id: str, name: str, where: str, over: str = "adamw") -> Claim:
    rival, is_both = _RIVALS[name], where == "both"
    each = f"the grokking step of {over} over that of {name}, each at its tuned setting"
    over_both = f"the median over seeds of the smaller one of two ratios, one on each task: {each}"
    than = "than without" if name == "adamw" else f"than {'AdamW' if over == 'adamw' else _RIVALS[over].said}"
    return Claim(
        id=id,
        name=f"{name}, {where}" if over == "adamw" else f"{name} over {over}, {where}",
        sentence=f"{rival.said} groks a quarter faster {than} {_WHERE[where]}, both tuned.",
        source=rival.source,
        paper_value=rival.paper_value if where == "sum" else None,
        unit="times",
        estimand=over_both if is_both else f"the median over seeds of {each}",
        region=Region.at_least(1.25),
        smallest_effect=Effect(0.25, "a quarter of the steps"),
        kind="median",
        experiment="parity" if is_both else where,
        beside=("sum",) if is_both else (),
        evidence=_smaller(name, over) if is_both else _speedup(name, over),
        setting="own",
        # the region is that of all claims; what "no-decay" does on seed 0 was seen before
        fixed_on="none (fixed beforehand)" if over == "adamw" else "0",
        confirmed_on="300-324",
    )


_OVER_ADAMW = [name for name in _RIVALS if name not in ("adamw", "no-decay")]  # O1 to O7, in this order
_CLAIMS = (
    *(
        _claim(f"O{number}-{where}", name, where)
        for number, name in enumerate(_OVER_ADAMW, start=1)
        for where in _WHERE
    ),
    *(_claim(f"O8-{where}", "adamw", where, over="no-decay") for where in _WHERE),
    _claim("O1-sum-plain", "grokfast", "sum", over="no-decay"),
    _claim("O2-sum-plain", "grokfast-window", "sum", over="no-decay"),
)

# ---------------------------------------------------------------- figures


def _standings(name: str, runs: Mapping[str, Any], command: str) -> Drawing:
    return contest_figure(runs[name], command)


class Optimizers(Study):
    """Nine ways to train, each tuned alike, on the standard parity task and on modular addition."""

    kind: Literal["optimizers"] = "optimizers"
    title = "Whose speed-up survives equal tuning?"
    bibtex = bibtex_of("optimizers", "Whose speed-up of grokking survives equal tuning?", "optimizers")
    experiments = (_PARITY, _SUM)
    claims = _CLAIMS
    figures = tuple(
        Figure(
            f"standings-{experiment.name}",
            f"{_WHERE[experiment.name].capitalize()}: who has grokked by when at tuned settings on fresh "
            "seeds, and what tuning was worth.",
            partial(_standings, experiment.name),
            (experiment.name,),
        )
        for experiment in (_PARITY, _SUM)
    )
    reasons: ClassVar[Mapping[str, str]] = {
        **dict.fromkeys(
            [f"O{number}-{where}" for number in (1, 2) for where in _WHERE],
            "The paper's baseline has no weight decay. Decay alone makes AdamW twice as fast or more (O8), "
            "and Grokfast is faster than AdamW without it (O1-sum-plain, O2-sum-plain).",
        ),
        **dict.fromkeys(
            [f"O3-{where}" for where in _WHERE],
            "Its paper has other tasks, and transformers; no test of why.",
        ),
        **dict.fromkeys(
            [f"O5-{where}" for where in _WHERE],
            "Reported is that it groks without regularization, not that it is faster than decay.",
        ),
        **dict.fromkeys(
            [f"O6-{where}" for where in _WHERE],
            "Reported is that a small start does not grok late, over a usual start without tuned decay.",
        ),
        **dict.fromkeys([f"O7-{where}" for where in _WHERE], "Asked here; no paper reports it."),
        **dict.fromkeys(
            ["O4-parity", "O4-both"],
            "On parity none of 36 settings groks on seed 0; unscaled gradients, the logistic loss, SGD and "
            "30,000 steps were tried, and none of them is enough.",
        ),
    }
