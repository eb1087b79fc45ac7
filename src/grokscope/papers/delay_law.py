r"""How the grokking delay scales with weight decay: is it one over rate times decay?

The question is not from a paper. Where the training set is fitted, the hinge loss has no gradient, and
weights shrink by $e^{-\eta\lambda t}$. If this decay ends memorization, the delay is a fixed number of decay
times $1/(\eta\lambda)$, as Omnigrok (Liu et al. 2022, arXiv 2210.01117, Fig. 2c) has it for another task.

This file: a sweep of weight decay over three decades by two learning rates, on a small parity task (3 of 20
bits, 300 samples, 128 neurons) so that long runs are cheap; the evidence; the claims; the figure. Most
members at the smallest decays do not grok within the run; they enter the regression as right-censored.
Regions were fixed on seeds 0 and 1, at decays from 3e-4 on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from grokscope.claims import Claim, Effect, Region
from grokscope.models.fully_connected import FullyConnected
from grokscope.optimizers import SGD
from grokscope.papers import Figure, Profile, RunLike, SweepExperiment
from grokscope.papers._study import Study, bibtex_of, timed
from grokscope.papers.evidence import exponents, times_in
from grokscope.plots.sweeps import Quantity, lines_figure
from grokscope.statistics import CensoredTimes
from grokscope.tasks.sparse_parity import SparseParity

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure as Drawing

__all__ = ["DelayLaw"]

# ---------------------------------------------------------------- the sweep

_DECAYS = SweepExperiment(
    "decays",
    "Seven weight decays from 1e-5 to 1e-2 by the rates 0.1 and 0.3, up to 250,000 steps.",
    timed(
        "log 64",
        name="delay-law",
        steps=250_000,
        task=SparseParity(n=20, n_train=300, n_test=400),
        model=FullyConnected(width=128),
        optimizer=SGD(learning_rate=0.3, weight_decay=1e-3),
    ),
    {
        "paper": Profile(seeds=10),
        "quick": Profile(seeds=4, overrides=("steps=40000",), reduced="40,000 steps instead of 250,000"),
    },
    over=(
        "optimizer.weight_decay=0.00001,0.00003,0.0001,0.0003,0.001,0.003,0.01",
        "optimizer.learning_rate=0.1,0.3",
    ),
)

# ---------------------------------------------------------------- evidence: one entry per seed

_AXES = ("weight_decay", "learning_rate")
_BEND = 3e-4  # the decay that separates slow from fast decays


def _exponent(what: str, axis: str) -> Callable[[xr.Dataset], np.ndarray]:
    return lambda measures: exponents(measures, what, _AXES)[_AXES.index(axis)]


def _bend(measures: xr.Dataset) -> np.ndarray:
    """The delay's exponent in weight decay up to the bend, less that from the bend on."""
    slow = exponents(measures, "delay", _AXES, lambda weight_decay, **_: weight_decay <= 1.01 * _BEND)
    fast = exponents(measures, "delay", _AXES, lambda weight_decay, **_: weight_decay >= 0.99 * _BEND)
    return slow[0] - fast[0]


def _decay_times(measures: xr.Dataset) -> CensoredTimes:
    rate, decay = 0.3, 1e-3
    return times_in(measures, "delay", weight_decay=decay, learning_rate=rate) * (rate * decay)


# ---------------------------------------------------------------- claims

_claim = partial(
    Claim, source="asked here", setting="own", experiment="decays", fixed_on="0-1", confirmed_on="100-109"
)
_TENTH = Effect(0.1, "a factor of two over three decades")
_REGRESSION = "by censored regression on decay and rate over all cells"

_CLAIMS = (
    _claim(
        id="L1",
        name="delay goes as 1 / weight decay",
        sentence="The delay is proportional to one over weight decay.",
        source="Liu et al. 2022 (arXiv 2210.01117), Fig. 2c (another task)",
        paper_value=-1.0,
        estimand=f"the exponent of the delay in weight decay, {_REGRESSION}",
        region=Region.around(-1.0, 0.1),
        smallest_effect=_TENTH,
        evidence=_exponent("delay", "weight_decay"),
    ),
    _claim(
        id="L2",
        name="delay goes as 1 / learning rate",
        sentence="The delay is proportional to one over the learning rate.",
        estimand=f"the exponent of the delay in the learning rate, {_REGRESSION}",
        region=Region.around(-1.0, 0.1),
        smallest_effect=_TENTH,
        evidence=_exponent("delay", "learning_rate"),
    ),
    _claim(
        id="L3",
        name="memorization ignores weight decay",
        sentence="Memorization does not wait for weight decay.",
        source="Liu et al. 2022 (arXiv 2210.01117), Fig. 2c (another task)",
        paper_value=0.0,
        estimand=f"the exponent of the memorization step in weight decay, {_REGRESSION}",
        region=Region.around(0.0, 0.1),
        smallest_effect=_TENTH,
        evidence=_exponent("memorization", "weight_decay"),
    ),
    _claim(
        id="L4",
        name="exponent alike around 3e-4",
        sentence="The exponent of the delay is about the same below weight decay 3e-4 and above it.",
        estimand=f"the delay's exponent in weight decay up to {_BEND:g}, less that from {_BEND:g} on",
        region=Region.around(0.0, 0.2),
        smallest_effect=Effect(0.2, "a bend that shows over a decade and a half"),
        evidence=_bend,
    ),
    _claim(
        id="L5",
        name="delay is one to four decay times",
        sentence="The delay is one to four decay times, at rate 0.3 and weight decay 0.001.",
        estimand="the median over seeds of the delay times rate times decay, at rate 0.3 and weight decay "
        "0.001",
        region=Region.between(1.0, 4.0),
        smallest_effect=Effect(1.0, "one decay time"),
        unit="1/(rate x decay)",
        kind="median",
        evidence=_decay_times,
    ),
)

# ---------------------------------------------------------------- figure


def _law(runs: Mapping[str, RunLike], command: str) -> Drawing:
    sweep: Any = runs["decays"]
    quantities = (
        Quantity("Memorization step", "memorization_step"),
        Quantity("Delay (steps)", "delay"),
        Quantity("Delay (1 / (rate x decay))", "delay", lambda decay, rate: decay * rate),
    )
    return lines_figure(sweep.statistics, "weight_decay", "learning_rate", quantities, command)


class DelayLaw(Study):
    """The grokking delay against weight decay over three decades, in steps and in decay times."""

    kind: Literal["delay-law"] = "delay-law"
    title = "The grokking delay against weight decay and learning rate"
    bibtex = bibtex_of("delay", title, "delay-law")
    experiments = (_DECAYS,)
    claims = _CLAIMS
    figures = (
        Figure("delay", "Memorization and delay against weight decay, for two rates.", _law, ("decays",)),
    )
