"""Delay and success against width, in the standard and in a mean-field parametrization.

The question is not from a paper. In the standard parametrization a wider network is trained at a higher
effective rate and is nearer to its kernel regime, so "wider networks grok later" may be a statement about
rates. In the mean-field parametrization (model `mean_field`) a neuron is trained alike at every width; only
the number of neurons differs.

This file: two sweeps over width, on the same data (3 of 20 bits, 300 samples), rate and decay, which agree at
128 neurons; the evidence; the claims; the figure. Regions of W1 and W2 were fixed on seeds 0 and 1, those of
W3 and W4 beforehand.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from grokscope.claims import Claim, Effect, Region, need
from grokscope.models.fully_connected import FullyConnected
from grokscope.models.mean_field import MeanField
from grokscope.optimizers import SGD
from grokscope.papers import Figure, Profile, RunLike, SweepExperiment, SweepProfile
from grokscope.papers._study import Study, bibtex_of, timed
from grokscope.papers.evidence import ONE_SEED_IN_TEN, exponents, happened_in
from grokscope.plots.sweeps import Quantity, lines_figure
from grokscope.tasks.sparse_parity import SparseParity

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure as Drawing

__all__ = ["Width"]

# ---------------------------------------------------------------- the sweeps

_AGREE, _NARROW, _ENOUGH = 128, 8, 32  # neurons

_BASE = timed(
    "log 64",
    name="width, standard",
    steps=20_000,
    task=SparseParity(n=20, n_train=300, n_test=400),
    model=FullyConnected(width=_AGREE),
    optimizer=SGD(learning_rate=0.3, weight_decay=2e-3),
)
_PROFILES = {
    "paper": Profile(seeds=25),
    "quick": SweepProfile(seeds=4, over=("model.width=8,16,32,128,512",)),
}
_OVER = ("model.width=8,16,32,64,128,256,512,1024,2048",)

_STANDARD = SweepExperiment(
    "standard",
    "Nine widths from 8 to 2,048, PyTorch's initialization.",
    _BASE,
    _PROFILES,
    over=_OVER,
)
_MEAN_FIELD = SweepExperiment(
    "mean-field",
    "The same widths in a mean-field parametrization that agrees with the standard one at 128.",
    _BASE.model_copy(
        update={"name": "width, mean field", "model": MeanField(width=_AGREE, base_width=_AGREE)}
    ),
    _PROFILES,
    over=_OVER,
)

# ---------------------------------------------------------------- evidence: one entry per seed


def _exponent(measures: xr.Dataset) -> np.ndarray:
    return exponents(measures, "delay", ("width",), where=lambda width: width >= _ENOUGH)[0]


def _difference(standard: xr.Dataset, mean_field: xr.Dataset) -> np.ndarray:
    return _exponent(standard) - _exponent(mean_field)


def _grok_at(measures: xr.Dataset, wanted: Callable[[xr.DataArray], xr.DataArray]) -> np.ndarray:
    """Whether a seed groks at every given width."""
    need(measures, "test_accuracy")
    chosen = measures.sel(width=wanted(measures["width"]))
    return np.all(happened_in(chosen, "grokking", along="width"), axis=0)


# ---------------------------------------------------------------- claims

_claim = partial(Claim, source="asked here", setting="own", fixed_on="0-1", confirmed_on="100-124")
_LAW = f"the exponent of the delay in the width, from {_ENOUGH} neurons on, by censored regression"
_TWENTIETH = Effect(0.05, "a fifth of the delay over a factor of sixty in width")

_CLAIMS = (
    _claim(
        id="W1",
        name="mean field: delay ignores width",
        sentence="In the mean-field parametrization the delay does not depend on the width.",
        estimand=f"{_LAW}, mean field",
        region=Region.around(0.0, 0.1),
        smallest_effect=_TWENTIETH,
        experiment="mean-field",
        evidence=_exponent,
    ),
    _claim(
        id="W2",
        name="standard: wider groks later",
        sentence="In the standard parametrization wider networks grok later, more than in the mean-field "
        "one.",
        estimand=f"{_LAW}, standard less mean field",
        region=Region.above(0.0),
        smallest_effect=_TWENTIETH,
        experiment="standard",
        beside=("mean-field",),
        evidence=_difference,
    ),
    _claim(
        id="W3",
        name="mean field: all from 32 on grok",
        sentence=f"In the mean-field parametrization every width from {_ENOUGH} neurons on succeeds.",
        estimand=f"the share of seeds that grok at every width from {_ENOUGH} neurons on, mean field",
        region=Region.at_least(0.8),
        smallest_effect=ONE_SEED_IN_TEN,
        kind="share",
        experiment="mean-field",
        evidence=lambda measures: _grok_at(measures, lambda width: width >= _ENOUGH),
    ),
    _claim(
        id="W4",
        name="8 neurons: half or fewer grok",
        sentence="With two neurons more than a construction needs (6) half of the networks or fewer grok.",
        estimand=f"the share of seeds that grok with {_NARROW} neurons, standard",
        region=Region.at_most(0.5),
        smallest_effect=ONE_SEED_IN_TEN,
        kind="share",
        experiment="standard",
        evidence=lambda measures: _grok_at(measures, lambda width: width == _NARROW),
    ),
)

# ---------------------------------------------------------------- figure


def _against_width(runs: Mapping[str, RunLike], command: str) -> Drawing:
    import xarray as xr

    sweeps: list[Any] = [runs["standard"], runs["mean-field"]]
    kinds = xr.DataArray(["standard", "mean field"], dims="parametrization", name="parametrization")
    each: list[xr.Dataset] = [sweep.statistics for sweep in sweeps]
    summary = xr.concat(each, kinds, coords="minimal", compat="override")
    quantities = (
        Quantity("Share that generalized", "share_grokked", log=False),
        Quantity("Memorization step", "memorization_step"),
        Quantity("Delay (steps)", "delay"),
    )
    return lines_figure(summary, "width", "parametrization", quantities, command)


class Width(Study):
    """Delay and success against width, in the standard and in a mean-field parametrization."""

    kind: Literal["width"] = "width"
    title = "Grokking against width, in two parametrizations"
    bibtex = bibtex_of("width", title, "width")
    experiments = (_STANDARD, _MEAN_FIELD)
    claims = _CLAIMS
    figures = (
        Figure(
            "width",
            "Success, memorization and delay against width, in both parametrizations.",
            _against_width,
            ("standard", "mean-field"),
        ),
    )
