r"""How the grokking delay scales with weight decay: is it one over rate times decay?

Not from a paper as such. Where the training set is fitted the loss has no gradient left (hinge), and weights
shrink by $e^{-\eta\lambda t}$: if that is what ends memorization, delays are some fixed number of decay times
$1/(\eta\lambda)$, as Omnigrok (Liu et al. 2022, arXiv 2210.01117, Fig. 2c) has it for another task.

Here: a sweep of weight decay over three decades by two learning rates, on a small parity task (3 of 20 bits,
300 samples, 128 neurons) so that long runs are cheap; the claims; the figure. Most members at the smallest
decays do not get there within the run: they are right-censored, and enter the regression as that. Regions
were fixed on seeds 0 and 1, at decays from 3e-4 on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from grokscope.claims import Claim, Effect, Kind, Region
from grokscope.experiment import Experiment
from grokscope.models.fully_connected import FullyConnected
from grokscope.optimizers import SGD
from grokscope.papers._cells import exponents, times_in
from grokscope.papers._paper import Figure, Paper, PaperExperiment, Profile, RunLike
from grokscope.statistics import CensoredTimes
from grokscope.tasks.sparse_parity import SparseParity

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure as Drawing

__all__ = ["DelayLaw"]

# ---------------------------------------------------------------- the sweep

_BASE = Experiment(
    name="delay-law",
    steps=250_000,
    task=SparseParity(n=20, n_train=300, n_test=400),
    model=FullyConnected(width=128),
    optimizer=SGD(learning_rate=0.3, weight_decay=1e-3),
    measures=("train_accuracy", "test_accuracy"),
).with_("schedule.measures='log 64'", "schedule.slow_measures='ends'", "schedule.follow='ends'")

_DECAYS = PaperExperiment(
    "decays",
    "Seven weight decays from 1e-5 to 1e-2 by the rates 0.1 and 0.3, up to 250,000 steps.",
    _BASE,
    {"paper": Profile(seeds=10), "quick": Profile(seeds=4, overrides=("steps=40000",))},
    over=(
        "optimizer.weight_decay=0.00001,0.00003,0.0001,0.0003,0.001,0.003,0.01",
        "optimizer.learning_rate=0.1,0.3",
    ),
)

# ---------------------------------------------------------------- evidence, one entry per seed

_AXES = ("weight_decay", "learning_rate")
_BEND = 3e-4  # where the decays are parted into slow and fast ones


def _exponent(what: str, axis: str) -> Callable[[xr.Dataset], np.ndarray]:
    return lambda measures: exponents(measures, what, _AXES)[_AXES.index(axis)]


def _bend(measures: xr.Dataset) -> np.ndarray:
    """The exponent below the bend less that above it."""
    slow, fast = (
        exponents(measures, "delay", _AXES, where)[0]
        for where in (
            lambda weight_decay, **_: weight_decay <= 1.01 * _BEND,
            lambda weight_decay, **_: weight_decay >= 0.99 * _BEND,
        )
    )
    return slow - fast


def _decay_times(measures: xr.Dataset) -> CensoredTimes:
    rate, decay = 0.3, 1e-3
    return times_in(measures, "delay", weight_decay=decay, learning_rate=rate) * (rate * decay)


# ---------------------------------------------------------------- claims


def _claim(
    id: str,
    sentence: str,
    estimand: str,
    region: Region,
    effect: Effect,
    evidence: Callable[..., Any],
    kind: Kind = "mean",
    unit: str = "",
    source: str = "asked here",
    paper: str | float | None = None,
) -> Claim:
    return Claim(
        id=id,
        sentence=sentence,
        source=source,
        paper_value=paper,
        unit=unit,
        estimand=estimand,
        region=region,
        smallest_effect=effect,
        kind=kind,
        experiment="decays",
        evidence=evidence,
        fixed_on="0-1",
        confirmed_on="100-109",
    )


_TENTH = Effect(0.1, "a factor of two over three decades")
_REGRESSION = "by censored regression on decay and rate over all cells"

_CLAIMS = (
    _claim(
        "L1",
        "The delay is proportional to one over weight decay.",
        f"the exponent of the delay in weight decay, {_REGRESSION}",
        Region.around(-1.0, 0.1),
        _TENTH,
        _exponent("delay", "weight_decay"),
        source="Liu et al. 2022 (arXiv 2210.01117), Fig. 2c (another task)",
        paper=-1.0,
    ),
    _claim(
        "L2",
        "The delay is proportional to one over the learning rate.",
        f"the exponent of the delay in the learning rate, {_REGRESSION}",
        Region.around(-1.0, 0.1),
        _TENTH,
        _exponent("delay", "learning_rate"),
    ),
    _claim(
        "L3",
        "Memorization does not wait for weight decay.",
        f"the exponent of the memorization step in weight decay, {_REGRESSION}",
        Region.around(0.0, 0.1),
        _TENTH,
        _exponent("memorization", "weight_decay"),
        source="Liu et al. 2022 (arXiv 2210.01117), Fig. 2c (another task)",
        paper=0.0,
    ),
    _claim(
        "L4",
        "It is one law from end to end.",
        f"the delay's exponent in weight decay up to {_BEND:g}, less that from {_BEND:g} on",
        Region.around(0.0, 0.2),
        Effect(0.2, "a bend that shows over a decade and a half"),
        _bend,
    ),
    _claim(
        "L5",
        "The delay is a few decay times.",
        "the median over seeds of the delay times rate times decay, at rate 0.3 and weight decay 0.001",
        Region.between(1.0, 4.0),
        Effect(1.0, "one decay time"),
        _decay_times,
        kind="median",
        unit="1/(rate x decay)",
    ),
)

# ---------------------------------------------------------------- figure


def _law(runs: Mapping[str, RunLike], command: str) -> Drawing:
    from grokscope.plots.lines import Quantity, lines_figure

    sweep: Any = runs["decays"]
    quantities = (
        Quantity("Memorization step", "memorization_step"),
        Quantity("Delay (steps)", "delay"),
        Quantity("Delay (1 / (rate x decay))", "delay", lambda decay, rate: decay * rate),
    )
    return lines_figure(sweep.summary, "weight_decay", "learning_rate", quantities, command)


class DelayLaw(Paper):
    """The grokking delay against weight decay over three decades, in steps and in decay times."""

    kind: Literal["delay-law"] = "delay-law"
    title = "The grokking delay against weight decay and learning rate"
    authors = "the grokscope authors"
    year = 2026
    bibtex = """@misc{grokscope2026delay,
  title = {The grokking delay against weight decay and learning rate},
  author = {{The grokscope authors}},
  year = {2026},
  note = {grokscope reproduce delay-law}
}"""
    experiments = (_DECAYS,)
    claims = _CLAIMS
    figures = (
        Figure("delay", "Memorization and delay against weight decay, for two rates.", _law, ("decays",)),
    )
