r"""The phase diagram of the standard parity task over weight decay and training-set size.

The map is not from a paper; papers show single points of it. Task, network, rate and batch are the standard
ones of arXiv 2303.11873; weight decay and the number of training samples are varied. The phases are those of
Liu et al. 2022 (arXiv 2205.10343, Table 1): comprehension (held-out accuracy follows training accuracy within
1,000 steps), grokking (it follows later), memorization (it does not follow within the run), confusion (not
even the training set is learned).

The map is bounded by its 9,600 steps, because the delay goes as one over weight decay (`delay_law`): they are
29 decay times $1/(\eta\lambda)$ at weight decay 0.03, three at 0.003 and one at 0.001. A second sweep trains
the two lowest decays ten times as long in a few cells.

This file: the sweeps, the evidence, the claims, the figure. Regions of the map's claims were fixed on seeds 0
and 1; those of the longer sweep beforehand, as in R2 and R5.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from grokscope.claims import Claim, Effect, Region, need
from grokscope.papers import Figure, Profile, RunLike, SweepExperiment, SweepProfile
from grokscope.papers._study import Study, bibtex_of, timed
from grokscope.papers.evidence import (
    ONE_SEED_IN_TEN,
    exponents,
    happened_in,
    part_of,
    phase_of,
    times_in,
)
from grokscope.plots.phases import phase_figure
from grokscope.tasks.sparse_parity import SparseParity

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure as Drawing

__all__ = ["PhaseDiagram"]

# ---------------------------------------------------------------- the sweeps

_STEPS, _MORE_STEPS = 9_600, 96_000

_MAP = SweepExperiment(
    "map",
    f"Weight decay against training samples: 7 by 6 cells of the standard network, {_STEPS:,} steps each.",
    timed("every 96 steps", name="phase-diagram", steps=_STEPS, task=SparseParity()),
    {
        "paper": Profile(seeds=25),
        "quick": SweepProfile(
            seeds=4,
            over=("optimizer.weight_decay=0.003,0.01,0.03,0.1", "task.n_train=300,500,1000,2000"),
        ),
    },
    over=(
        "optimizer.weight_decay=0.001,0.003,0.006,0.01,0.03,0.06,0.1",
        "task.n_train=300,500,700,1000,1400,2000",
    ),
)

_LONGER = SweepExperiment(
    "longer",
    f"The two lowest decays of the map, from 300 and 700 samples, {_MORE_STEPS:,} steps each.",
    timed("every 480 steps", name="phase-diagram, longer", steps=_MORE_STEPS, task=SparseParity()),
    {
        "paper": Profile(seeds=25),
        "quick": SweepProfile(seeds=4, over=("optimizer.weight_decay=0.003", "task.n_train=300,700")),
    },
    over=("optimizer.weight_decay=0.001,0.003", "task.n_train=300,700"),
)

# ---------------------------------------------------------------- evidence: one entry per seed

_WEAK, _MIDDLE, _STRONG, _EXCESSIVE = 0.003, 0.01, 0.03, 0.1  # weight decays of both profiles
_FEW, _SOME, _MANY = 300, 700, 2000  # samples


def _all_phases(measures: xr.Dataset) -> np.ndarray:
    """Whether each of the four phases occurs in some cell."""
    need(measures, "train_accuracy", "test_accuracy")
    decays, samples = measures["weight_decay"].to_numpy(), measures["n_train"].to_numpy()
    found = np.array([phase_of(measures, weight_decay=d, n_train=n) for d in decays for n in samples])
    four = ("comprehension", "grokking", "memorization", "confusion")
    return np.all([(found == phase).any(axis=0) for phase in four], axis=0)


def _too_few(measures: xr.Dataset) -> np.ndarray:
    return ~np.any(happened_in(measures, "grokking", along="weight_decay", n_train=_FEW), axis=0)


def _too_much(measures: xr.Dataset) -> np.ndarray:
    return ~np.any(happened_in(measures, "memorization", along="n_train", weight_decay=_EXCESSIVE), axis=0)


def _nothing_to_grok(measures: xr.Dataset) -> np.ndarray:
    return phase_of(measures, weight_decay=_STRONG, n_train=_MANY) == "comprehension"


def _saves_data(measures: xr.Dataset) -> np.ndarray:
    """Whether the strong decay needs two thirds or less of the samples that the weak one needs."""
    need(measures, "test_accuracy")
    measures = measures.sortby("n_train")
    samples = measures["n_train"].to_numpy()

    def needed(decay: float, otherwise: float) -> np.ndarray:
        grokked = happened_in(measures, "grokking", along="n_train", weight_decay=decay)
        return np.where(grokked.any(axis=0), samples[np.argmax(grokked, axis=0)], otherwise)

    # Where no number on the map suffices only a lower bound is known, which must not favor the claim.
    return needed(_STRONG, np.inf) <= 2 / 3 * needed(_WEAK, samples[-1])


def _suffices(measures: xr.Dataset) -> np.ndarray:
    return times_in(measures, "grokking", weight_decay=_WEAK, n_train=_SOME).observed


def _exponent_of_samples(measures: xr.Dataset) -> np.ndarray:
    line = part_of(measures, weight_decay=_MIDDLE)
    return exponents(line, "grokking", ["n_train"], where=lambda n_train: n_train > _FEW)[0]


# ---------------------------------------------------------------- claims

_claim = partial(
    Claim, source="asked here", setting="own", experiment="map", fixed_on="0-1", confirmed_on="100-124"
)
_share = partial(_claim, kind="share", region=Region.at_least(0.8), smallest_effect=ONE_SEED_IN_TEN)

_longer = partial(
    _share, experiment="longer", fixed_on="none (the regions of R2 and R5)", confirmed_on="200-299"
)

_CLAIMS = (
    _share(
        id="R1",
        name="four phases within 9,600 steps",
        sentence=f"All four phases are on one map of the standard task, with {_STEPS:,} steps.",
        source="Liu et al. 2022, Fig. 6 (another task)",
        estimand="the share of seeds in which each of comprehension, grokking, memorization and confusion "
        "is the phase of some cell",
        evidence=_all_phases,
    ),
    _share(
        id="R2",
        name="300 samples: none grok in 9,600",
        sentence=f"With too few samples no weight decay brings generalization within {_STEPS:,} steps.",
        estimand=f"the share of seeds that grok in no cell with {_FEW} samples within {_STEPS:,} steps (one "
        "decay time at the lowest decay)",
        evidence=_too_few,
    ),
    _share(
        id="R3",
        name="too much decay: nothing is learned",
        sentence=f"With too much weight decay not even the training set is learned, whether it has {_FEW} or "
        f"{_MANY:,} samples.",
        estimand=f"the share of seeds that memorize in no cell with weight decay {_EXCESSIVE:g} within "
        f"{_STEPS:,} steps",
        evidence=_too_much,
    ),
    _share(
        id="R4",
        name="decay and data enough: no delay",
        sentence="With decay and data enough, test accuracy follows train accuracy within 1,000 steps.",
        estimand=f"the share of seeds that are in comprehension with weight decay {_STRONG:g} and {_MANY} "
        "samples",
        evidence=_nothing_to_grok,
    ),
    _share(
        id="R5",
        name="decay saves data within 9,600 steps",
        sentence=f"Within {_STEPS:,} steps weight decay stands in for data.",
        source="Power et al. 2022, Sec. 3.3 (another task)",
        setting="small",
        reduced="sparse parity instead of the product of permutations",
        estimand=f"the share of seeds that generalize within {_STEPS:,} steps at weight decay {_STRONG:g} "
        f"from two thirds or less of the samples that they need at {_WEAK:g} (where none suffices there, of "
        "the largest set)",
        evidence=_saves_data,
    ),
    _claim(
        id="R6",
        name="more data, earlier grokking",
        sentence="The more data, the earlier it groks.",
        source="Power et al. 2022, Fig. 1 center (another task)",
        setting="small",
        reduced="sparse parity instead of the product of permutations",
        estimand=f"the exponent of the grokking step in the number of samples (above {_FEW}) at weight decay "
        f"{_MIDDLE:g}, by censored regression",
        region=Region.at_most(-0.5),
        smallest_effect=Effect(0.25, "a sixth of the steps for twice the data"),
        evidence=_exponent_of_samples,
    ),
    _longer(
        id="R7",
        name="300 samples: none grok in 96,000",
        sentence="Too few samples stay too few for a low weight decay with ten times the steps.",
        estimand=f"the share of seeds that grok in no cell with {_FEW} samples within {_MORE_STEPS:,} steps",
        evidence=_too_few,
    ),
    _longer(
        id="R8",
        name="tenth of decay, ten times the steps",
        sentence="With ten times the steps a tenth of the weight decay needs no more data.",
        estimand=f"the share of seeds that grok at weight decay {_WEAK:g} from {_SOME} samples within "
        f"{_MORE_STEPS:,} steps, as many decay times as {_STEPS:,} steps at {_STRONG:g}",
        evidence=_suffices,
    ),
)

# ---------------------------------------------------------------- figure


def _map(runs: Mapping[str, RunLike], command: str) -> Drawing:
    sweep: Any = runs["map"]
    return phase_figure(sweep.statistics, ("weight_decay", "n_train"), command)


class PhaseDiagram(Study):
    """The phases of the standard parity task over weight decay and training-set size."""

    kind: Literal["phase-diagram"] = "phase-diagram"
    title = "The phase diagram of sparse parity over weight decay and data"
    bibtex = bibtex_of("phases", title, "phase-diagram")
    experiments = (_MAP, _LONGER)
    claims = _CLAIMS
    figures = (
        Figure(
            "phase-diagram", "Phase, share that generalized and median delay of each cell.", _map, ("map",)
        ),
    )
