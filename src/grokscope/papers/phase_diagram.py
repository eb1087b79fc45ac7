"""The phase diagram of the standard parity task over weight decay and training-set size.

Not from a paper: the map that papers show single points of. The task, network, rate and batch are the
standard ones of arXiv 2303.11873; weight decay and the number of training samples are varied. The phases are
those of Liu et al. 2022 (arXiv 2205.10343, Table 1): comprehension (held-out accuracy follows within 1,000
steps), grokking (it follows later), memorization (it does not within the run), confusion (not even the
training set is learned).

Here: the sweep, the claims, the figure, in this order. Regions were fixed on seeds 0 and 1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from grokscope.claims import Claim, Effect, Region
from grokscope.experiment import Experiment
from grokscope.papers._cells import axes_of, exponents, part_of, phase_of, times_in
from grokscope.papers._paper import Figure, Paper, PaperExperiment, Profile, RunLike
from grokscope.sweeps import PHASES
from grokscope.tasks.sparse_parity import SparseParity

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure as Drawing

__all__ = ["PhaseDiagram"]

# ---------------------------------------------------------------- the sweep

_BASE = Experiment(
    name="phase-diagram",
    steps=9600,
    task=SparseParity(),
    measures=("train_accuracy", "test_accuracy"),
).with_("schedule.measures='every 96 steps'", "schedule.slow_measures='ends'", "schedule.follow='ends'")

_MAP = PaperExperiment(
    "map",
    "Weight decay against training samples: 7 by 6 cells of the standard network, 9,600 steps each.",
    _BASE,
    {
        "paper": Profile(seeds=25),
        "quick": Profile(
            seeds=4,
            over=(
                "optimizer.weight_decay=0.003,0.01,0.03,0.1",
                "task.n_train=300,500,1000,2000",
            ),
        ),
    },
    over=(
        "optimizer.weight_decay=0.001,0.003,0.006,0.01,0.03,0.06,0.1",
        "task.n_train=300,500,700,1000,1400,2000",
    ),
)

# ---------------------------------------------------------------- evidence, one entry per seed

_WEAK, _MIDDLE, _STRONG, _EXCESSIVE = 0.003, 0.01, 0.03, 0.1  # decays that both profiles have
_FEW, _MANY = 300, 2000


def _phases(measures: xr.Dataset) -> np.ndarray:
    """The phase of every member, [decay, samples, seed]."""
    axes_of(measures)
    decays, samples = measures["weight_decay"].to_numpy(), measures["n_train"].to_numpy()
    return np.array([[phase_of(measures, weight_decay=d, n_train=n) for n in samples] for d in decays])


def _too_few(measures: xr.Dataset) -> np.ndarray:
    axes_of(measures)
    every = [
        times_in(measures, "grokking", weight_decay=d, n_train=_FEW).observed
        for d in measures["weight_decay"].to_numpy()
    ]
    return ~np.any(every, axis=0)


def _all_phases(measures: xr.Dataset) -> np.ndarray:
    found = _phases(measures)
    four = [PHASES.index(name) for name in ("comprehension", "grokking", "memorization", "confusion")]
    return np.all([(found == code).any(axis=(0, 1)) for code in four], axis=0)


def _saves_data(measures: xr.Dataset) -> np.ndarray:
    """Whether the smallest set that is generalized is two thirds at the strong decay or less."""
    axes_of(measures)
    samples = np.sort(measures["n_train"].to_numpy())

    def needed(decay: float) -> np.ndarray:
        seen = np.array(
            [times_in(measures, "grokking", weight_decay=decay, n_train=n).observed for n in samples]
        )
        # none suffices: at least the next size of the map
        return np.where(seen.any(axis=0), samples[np.argmax(seen, axis=0)], 2.0 * samples[-1])

    return needed(_STRONG) <= 2 / 3 * needed(_WEAK)


def _nothing_to_grok(measures: xr.Dataset) -> np.ndarray:
    return phase_of(measures, weight_decay=_STRONG, n_train=_MANY) == PHASES.index("comprehension")


def _too_much(measures: xr.Dataset) -> np.ndarray:
    axes_of(measures)
    every = [
        times_in(measures, "memorization", weight_decay=_EXCESSIVE, n_train=n).observed
        for n in measures["n_train"].to_numpy()
    ]
    return ~np.any(every, axis=0)


def _exponent_of_samples(measures: xr.Dataset) -> np.ndarray:
    line = part_of(measures, weight_decay=_MIDDLE)
    return exponents(line, "grokking", ["n_train"], where=lambda n_train: n_train > _FEW)[0]


# ---------------------------------------------------------------- claims

_MOST = Region.at_least(0.8)
_ONE_IN_TEN = Effect(0.1, "one seed in ten behaves otherwise")


def _share(
    id: str, sentence: str, what: str, evidence: Callable[..., Any], source: str = "asked here"
) -> Claim:
    estimand = f"the share of seeds {what}"
    return Claim(
        id=id,
        sentence=sentence,
        source=source,
        paper_value=None,
        unit="",
        estimand=estimand,
        region=_MOST,
        smallest_effect=_ONE_IN_TEN,
        kind="share",
        experiment="map",
        evidence=evidence,
        fixed_on="0-1",
        confirmed_on="100-124",
    )


_CLAIMS = (
    _share(
        "R1",
        "All four phases are on one map of the standard task.",
        "in which each of comprehension, grokking, memorization and confusion is the phase of some cell",
        _all_phases,
        "Liu et al. 2022, Fig. 6 (another task)",
    ),
    _share(
        "R2",
        "With too few samples no weight decay brings generalization.",
        f"that grok in no cell with {_FEW} samples",
        _too_few,
    ),
    _share(
        "R3",
        "With too much weight decay not even the training set is learned, however large or small it is.",
        f"that memorize in no cell with weight decay {_EXCESSIVE:g}",
        _too_much,
    ),
    _share(
        "R4",
        "Grokking is an edge: with decay and data enough there is no delay.",
        f"that are in comprehension with weight decay {_STRONG:g} and {_MANY} samples",
        _nothing_to_grok,
    ),
    _share(
        "R5",
        "Weight decay stands in for data.",
        f"that generalize at weight decay {_STRONG:g} from two thirds or less of the samples that they need "
        f"at {_WEAK:g} (twice the largest set where none suffices)",
        _saves_data,
        "Power et al. 2022, Sec. 3.3 (another task)",
    ),
    Claim(
        id="R6",
        sentence="The more data, the earlier it groks.",
        source="Power et al. 2022, Fig. 1 center (another task)",
        paper_value=None,
        unit="",
        estimand=f"the exponent of the grokking step in the number of samples (above {_FEW}) at weight decay "
        f"{_MIDDLE:g}, by censored regression",
        region=Region.at_most(-0.5),
        smallest_effect=Effect(0.25, "a sixth of the steps for twice the data"),
        kind="mean",
        experiment="map",
        evidence=_exponent_of_samples,
        fixed_on="0-1",
        confirmed_on="100-124",
    ),
)

# ---------------------------------------------------------------- figure


def _map(runs: Mapping[str, RunLike], command: str) -> Drawing:
    from grokscope.plots.phases import phase_figure

    sweep: Any = runs["map"]
    return phase_figure(sweep.summary, ("weight_decay", "n_train"), command)


class PhaseDiagram(Paper):
    """The phases of the standard parity task over weight decay and training-set size."""

    kind: Literal["phase-diagram"] = "phase-diagram"
    title = "The phase diagram of sparse parity over weight decay and data"
    authors = "the grokscope authors"
    year = 2026
    bibtex = """@misc{grokscope2026phases,
  title = {The phase diagram of sparse parity over weight decay and data},
  author = {{The grokscope authors}},
  year = {2026},
  note = {grokscope reproduce phase-diagram}
}"""
    experiments = (_MAP,)
    claims = _CLAIMS
    figures = (
        Figure(
            "phase-diagram", "Phase, share that generalized and median delay of each cell.", _map, ("map",)
        ),
    )
