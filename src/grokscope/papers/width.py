"""Delay and success against width, in the standard and in a mean-field parametrization.

Not from a paper. In the standard parametrization a wider network is trained at a higher effective rate and
lies nearer to its kernel regime, so that "wider networks grok later" may be about rates. In the mean-field
one (model `mean_field`) a neuron is trained alike at every width, and only their number differs.

Here: two sweeps over width, on the same data (3 of 20 bits, 300 samples), rate and decay, which agree at 128
neurons; the claims; the figure. Regions of W1 and W2 were fixed on seeds 0 and 1, those of W3 and W4
beforehand.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from grokscope.claims import Claim, Effect, Kind, Region
from grokscope.experiment import Experiment
from grokscope.models.fully_connected import FullyConnected
from grokscope.models.mean_field import MeanField
from grokscope.optimizers import SGD
from grokscope.papers._cells import axes_of, exponents, times_in
from grokscope.papers._paper import Figure, Paper, PaperExperiment, Profile, RunLike
from grokscope.tasks.sparse_parity import SparseParity

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure as Drawing

__all__ = ["Width"]

# ---------------------------------------------------------------- the sweeps

_AGREE, _NARROW, _ENOUGH = 128, 8, 32  # neurons

_BASE = Experiment(
    steps=20_000,
    task=SparseParity(n=20, n_train=300, n_test=400),
    model=FullyConnected(width=_AGREE),
    optimizer=SGD(learning_rate=0.3, weight_decay=2e-3),
    measures=("train_accuracy", "test_accuracy"),
).with_("schedule.measures='log 64'", "schedule.slow_measures='ends'", "schedule.follow='ends'")

_PROFILES = {
    "paper": Profile(seeds=25),
    "quick": Profile(seeds=4, over=("model.width=8,16,32,128,512",)),
}
_OVER = ("model.width=8,16,32,64,128,256,512,1024,2048",)

_STANDARD = PaperExperiment(
    "standard",
    "Nine widths from 8 to 2,048, PyTorch's initialization.",
    _BASE.with_("name='width, standard'"),
    _PROFILES,
    over=_OVER,
)
_MEAN_FIELD = PaperExperiment(
    "mean-field",
    "The same widths in a mean-field parametrization that agrees with the standard one at 128.",
    _BASE.model_copy(
        update={"name": "width, mean field", "model": MeanField(width=_AGREE, base_width=_AGREE)}
    ),
    _PROFILES,
    over=_OVER,
)

# ---------------------------------------------------------------- evidence, one entry per seed


def _exponent(measures: xr.Dataset) -> np.ndarray:
    return exponents(measures, "delay", ("width",), where=lambda width: width >= _ENOUGH)[0]


def _difference(standard: xr.Dataset, mean_field: xr.Dataset) -> np.ndarray:
    return _exponent(standard) - _exponent(mean_field)


def _grok_at(measures: xr.Dataset, wanted: Callable[[int], bool]) -> np.ndarray:
    """Whether a seed groks at all of the widths."""
    axes_of(measures)
    widths = [int(width) for width in measures["width"].to_numpy() if wanted(int(width))]
    return np.all([times_in(measures, "grokking", width=width).observed for width in widths], axis=0)


# ---------------------------------------------------------------- claims


def _claim(
    id: str,
    sentence: str,
    estimand: str,
    region: Region,
    effect: Effect,
    kind: Kind,
    evidence: Callable[..., Any],
    *experiments: str,
) -> Claim:
    return Claim(
        id=id,
        sentence=sentence,
        source="asked here",
        paper_value=None,
        unit="",
        estimand=estimand,
        region=region,
        smallest_effect=effect,
        kind=kind,
        experiment=experiments[0],
        evidence=evidence,
        beside=experiments[1:],
        fixed_on="0-1",
        confirmed_on="100-124",
    )


_LAW = f"the exponent of the delay in the width, from {_ENOUGH} neurons on, by censored regression"
_TWENTIETH = Effect(0.05, "a fifth of the delay over a factor of sixty in width")

_CLAIMS = (
    _claim(
        "W1",
        "In the mean-field parametrization the delay does not depend on the width.",
        f"{_LAW}, mean field",
        Region.around(0.0, 0.1),
        _TWENTIETH,
        "mean",
        _exponent,
        "mean-field",
    ),
    _claim(
        "W2",
        "In the standard parametrization wider networks grok later, more than in the mean-field one.",
        f"{_LAW}, standard less mean field",
        Region.above(0.0),
        _TWENTIETH,
        "mean",
        _difference,
        "standard",
        "mean-field",
    ),
    _claim(
        "W3",
        f"From {_ENOUGH} neurons on every width succeeds.",
        f"the share of seeds that grok at every width from {_ENOUGH} neurons on, mean field",
        Region.at_least(0.8),
        Effect(0.1, "one seed in ten behaves otherwise"),
        "share",
        lambda measures: _grok_at(measures, lambda width: width >= _ENOUGH),
        "mean-field",
    ),
    _claim(
        "W4",
        "Two neurons more than a construction needs (6) are not enough to be trained.",
        f"the share of seeds that grok with {_NARROW} neurons, standard",
        Region.at_most(0.5),
        Effect(0.1, "one seed in ten behaves otherwise"),
        "share",
        lambda measures: _grok_at(measures, lambda width: width == _NARROW),
        "standard",
    ),
)

# ---------------------------------------------------------------- figure


def _against_width(runs: Mapping[str, RunLike], command: str) -> Drawing:
    import xarray as xr

    from grokscope.plots.lines import Quantity, lines_figure

    sweeps: list[Any] = [runs["standard"], runs["mean-field"]]
    kinds = xr.DataArray(["standard", "mean field"], dims="parametrization", name="parametrization")
    each: list[xr.Dataset] = [sweep.summary for sweep in sweeps]
    summary = xr.concat(each, kinds, coords="minimal", compat="override")
    quantities = (
        Quantity("Share that generalized", "share_grokked", log=False),
        Quantity("Memorization step", "memorization_step"),
        Quantity("Delay (steps)", "delay"),
    )
    return lines_figure(summary, "width", "parametrization", quantities, command)


class Width(Paper):
    """Delay and success against width, in the standard and in a mean-field parametrization."""

    kind: Literal["width"] = "width"
    title = "Grokking against width, in two parametrizations"
    authors = "the grokscope authors"
    year = 2026
    bibtex = """@misc{grokscope2026width,
  title = {Grokking against width, in two parametrizations},
  author = {{The grokscope authors}},
  year = {2026},
  note = {grokscope reproduce width}
}"""
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
