r"""What sets the delay: weight norm, the scale of the logits, floating point, or laziness?

Four papers explain when a network that has memorized generalizes, and each has a quantity of its own: the
weight norm (Liu et al. 2022, arXiv 2210.01117; Truong et al. 2026, arXiv 2606.13753), the scale of the logits
(Truong et al. 2026, arXiv 2606.18465), sums of exponentials that round to one (Prieto et al. 2025, arXiv
2501.04697), and a tangent kernel that stays what it was at the start (Kumar et al. 2023, arXiv 2310.06110).
Each has been tested on other networks. Here thirteen settings of one network train on one table, addition
mod 31, and everything is measured in all of them.

This file: the settings, the evidence, the claims, the figures. A claim of the kind "orders the delays" asks
for Spearman's rank correlation over the settings in each seed, of a quantity when the training set is fitted
and of the delay; settings that do not generalize within the run come last, in a tie. The regions were fixed
beforehand; delays and norms of two seeds of eleven settings were known. Those of W2-loss and W15 to W16 were
fixed after seeds 100-107 had been looked at, and are judged on later ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

from grokscope.claims import Claim, Effect, Region
from grokscope.experiment import Experiment
from grokscope.measures.logit_scale import LogitScale
from grokscope.measures.tangent_kernel import KernelDistance
from grokscope.models.embedding_mlp import EmbeddingMLP
from grokscope.optimizers import AdamW
from grokscope.papers import Figure, Profile, RunExperiment, RunLike, from_experiment
from grokscope.papers._study import Study, bibtex_of
from grokscope.papers.evidence import curve, last, ratio, steps_to, value_at
from grokscope.plots.style import COLOR, SMALL, TINY, panels, small_print, x_label
from grokscope.statistics import CensoredTimes, paired_ratios
from grokscope.tasks.modular_operator import ModularOperator

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure as Drawing

__all__ = ["WhatSetsTheDelay"]

# ---------------------------------------------------------------- the settings

_RATE, _DECAY = 0.003, 1.0
_FITTED, _GENERALIZED = 0.99, 0.95
_FEWEST = 5  # settings that a spread over them needs
_HOLD_FROM = 200  # steps; every setting with decay 1 has fitted its training set by then

_DISTANCE = KernelDistance(inputs=32)
_KERNEL = _DISTANCE.name
_BASE = Experiment(
    name="what sets the delay",
    steps=5000,
    batch_size="full",
    task=ModularOperator(p=31, train_fraction=0.7, operator_token=False, equals_token=False),
    model=EmbeddingMLP(embedding=64, width=128, activation="relu", bias=False, embedding_scale=0.125),
    loss="cross_entropy",
    optimizer=AdamW(learning_rate=_RATE, weight_decay=_DECAY),
    stop={"grokked_for": 50},
    measures=(
        *("train_accuracy", "test_accuracy", "train_loss", "test_loss", "weight_norm"),
        *(LogitScale(), "zero_loss_share", _DISTANCE),
    ),
).with_("schedule.measures='every 25 steps'", "schedule.slow_measures='log 20'", "schedule.follow='ends'")

_NO_DECAY = "optimizer.weight_decay=0.0"
_TEMPERATURES = {"hot": 4.0, "cold": 0.25}


def _start(factor: float) -> tuple[str, ...]:
    return f"model.init_scale={factor}", f"model.embedding_scale={0.125 * factor}"


_SETTINGS: dict[str, tuple[str, tuple[str, ...]]] = {
    "decay": ("AdamW at rate 0.003 with decay 1: the setting that the others change.", ()),
    "weak-decay": ("Decay 0.3.", ("optimizer.weight_decay=0.3",)),
    "strong-decay": ("Decay 3.", ("optimizer.weight_decay=3.0",)),
    "small-start": ("All weights start at half of their size.", _start(0.5)),
    "large-start": ("All weights start at three times their size.", _start(3.0)),
    "hot": ("Logits are divided by 4 in the loss.", (f"loss.temperature={_TEMPERATURES['hot']}",)),
    "cold": ("Logits are multiplied by 4 in the loss.", (f"loss.temperature={_TEMPERATURES['cold']}",)),
    "no-decay": ("No decay.", (_NO_DECAY,)),
    "no-decay-float64": ("No decay, the loss in float64.", (_NO_DECAY, "loss.precision='float64'")),
    "stablemax": ("No decay, StableMax in place of softmax.", (_NO_DECAY, "loss='stablemax'")),
    "perpendicular": (
        "No decay, gradients perpendicular to the weights.",
        (_NO_DECAY, "optimizer.perpendicular='rescaled'"),
    ),
}
_HELD = {"held-low": 0.85, "held-high": 1.15}
_KEPT_SMALL = (  # weights decay or are held
    *("decay", "weak-decay", "strong-decay", "small-start", "large-start", "hot", "cold"),
    *_HELD,
)
_ALL = (*_SETTINGS, *_HELD)
_PROFILES = {"paper": Profile(seeds=20), "quick": Profile(seeds=8)}


def _when(measures: xr.Dataset, split: str) -> np.ndarray:
    """The step at which accuracy is first at its level (0.99 train, 0.95 test) [seed], or NaN."""
    times = steps_to(measures, split, _FITTED if split == "train" else _GENERALIZED)
    return np.where(np.isfinite(times.upper), times.upper, np.nan)


def _at(measures: xr.Dataset, name: str, split: str) -> np.ndarray:
    """A measure when accuracy on a split is first at its level [seed]; NaN where it never is."""
    return value_at(measures, curve(measures, name), _when(measures, split))


def norm_at_grokking(measures: xr.Dataset) -> np.ndarray:
    """The weight norm when test accuracy is first 0.95 [seed]."""
    return _at(measures, "weight_norm", "test")


def _held(name: str, factor: float) -> RunExperiment:
    hold = {"kind": "hold_norm", "of": "reference", "norm": factor, "reference": 35.0, "at": _HOLD_FROM}
    return RunExperiment(
        name,
        f"The norm held from step {_HOLD_FROM} on at {factor:g} times that at which 'decay' generalizes.",
        _BASE.with_(f"name='what sets the delay, {name}'").with_(interventions=(hold,)),
        _PROFILES,
        values={"interventions.0.reference": from_experiment("decay", norm_at_grokking)},
    )


_EXPERIMENTS = (
    *(
        RunExperiment(name, sentence, _BASE.with_(f"name='what sets the delay, {name}'", *changes), _PROFILES)
        for name, (sentence, changes) in _SETTINGS.items()
    ),
    *(_held(name, factor) for name, factor in _HELD.items()),
)

# ---------------------------------------------------------------- evidence: one entry per seed


def delay(measures: xr.Dataset) -> np.ndarray:
    """Log of the steps to 95 % test over those to 99 % training accuracy [seed]; infinite if never seen."""
    fitted, generalized = _when(measures, "train"), _when(measures, "test")
    return np.where(np.isnan(generalized), np.inf, np.log(np.maximum(generalized, 1) / np.maximum(fitted, 1)))


def _in_settings(
    settings: Sequence[xr.Dataset], name: str, split: str, over: Sequence[float] | None
) -> np.ndarray:
    """A measure of each setting at its own event, over a number for each setting, [setting, seed]."""
    values = np.stack([_at(one, name, split) for one in settings])
    return values if over is None else values / np.array(over)[:, None]


def order_of_delays(*settings: xr.Dataset, name: str, over: Sequence[float] | None = None) -> np.ndarray:
    """Spearman's correlation over settings of a measure at memorization with the delay [seed].

    Args:
        settings: measures of each.
        name: of the measure.
        over: what the measure is divided by in each setting; None: by nothing.
    """
    from scipy.stats import spearmanr

    delays = np.stack([delay(one) for one in settings])
    values = _in_settings(settings, name, "train", over)
    found = []
    for value, late in zip(values.T, delays.T, strict=True):
        known = np.isfinite(value)
        same = len(set(value[known])) < 2 or len(set(late[known])) < 2
        found.append(np.nan if same else spearmanr(value[known], late[known])[0])
    return np.array(found)


def ratio_of_delays(slower: xr.Dataset, faster: xr.Dataset) -> CensoredTimes:
    """Steps to 95 % test accuracy of one setting over those of another, as censored ratios [seed]."""
    return paired_ratios(*(steps_to(one, "test", _GENERALIZED) for one in (slower, faster)))


def log_ratio_at(a: xr.Dataset, b: xr.Dataset, name: str, split: str, factor: float = 1.0) -> np.ndarray:
    """Log of a measure of one setting over that of another, each at its own event [seed]."""
    with np.errstate(divide="ignore"):
        found = np.log(factor * ratio(_at(a, name, split), _at(b, name, split)))
    return np.where(np.isfinite(found), found, np.nan)


def turned(measures: xr.Dataset) -> np.ndarray:
    """Distance of the kernel from that at the start, at grokking over at memorization [seed]."""
    return ratio(_at(measures, _KERNEL, "test"), _at(measures, _KERNEL, "train"))


def spread_at_grokking(*settings: xr.Dataset, name: str, over: Sequence[float] | None = None) -> np.ndarray:
    """Coefficient of variation over settings of a measure at grokking [seed]; see `order_of_delays`.

    Settings that do not generalize in a seed are left out; where fewer than five do, it is NaN.
    """
    values = _in_settings(settings, name, "test", over)
    known = np.isfinite(values)
    enough = known.sum(axis=0) >= _FEWEST
    found = np.full(values.shape[1], np.nan)
    some = values[:, enough]
    found[enough] = ratio(np.nanstd(some, axis=0, ddof=1), np.nanmean(some, axis=0))
    return found


def spread_over(*settings: xr.Dataset, name: str, over: Sequence[float] | None = None) -> np.ndarray:
    """Spread at grokking of the kernel's distance over that of another measure [seed]."""
    kernel = spread_at_grokking(*settings, name=_KERNEL)
    return ratio(kernel, spread_at_grokking(*settings, name=name, over=over))


def range_of_steps(*settings: xr.Dataset) -> np.ndarray:
    """The most over the fewest steps to 95 % test accuracy, of the settings that get there [seed].

    NaN where fewer than five settings do.
    """
    steps = np.maximum(np.stack([_when(one, "test") for one in settings]), 1)
    several = np.isfinite(steps).sum(axis=0) >= _FEWEST
    found = np.full(steps.shape[1], np.nan)
    found[several] = np.nanmax(steps[:, several], axis=0) / np.nanmin(steps[:, several], axis=0)
    return found


def generalizes(measures: xr.Dataset) -> np.ndarray:
    """Whether test accuracy is ever 0.95 [seed]."""
    return np.isfinite(_when(measures, "test"))


# ---------------------------------------------------------------- claims

_MOST_TIED = "settings that do not generalize within 5,000 steps come last, in a tie"
_claim = partial(
    Claim,
    setting="own",
    fixed_on="none (fixed beforehand; delays and norms of seeds 0 and 1 were known)",
    confirmed_on="100-199",
    kind="mean",
)


def _ordering(of: str, name: str, quantity: str, source: str, region: Region) -> Claim:
    return _claim(
        id=of,
        name=f"delays by {quantity}",
        sentence=f"At memorization the {quantity} orders the delays of all thirteen settings.",
        source=source,
        estimand=f"the mean over seeds of Spearman's correlation over the settings, of the {quantity} when "
        f"training accuracy is first 0.99 with the delay; {_MOST_TIED}",
        region=region,
        smallest_effect=Effect(0.1, "a tenth of its range"),
        experiment=_ALL[0],
        beside=_ALL[1:],
        evidence=partial(order_of_delays, name=name),
    )


_later = partial(_claim, fixed_on="100-107", confirmed_on="108-199", experiment=_KEPT_SMALL[0])
_OVER, _OVER_KEPT = (tuple(_TEMPERATURES.get(name, 1.0) for name in names) for names in (_ALL, _KEPT_SMALL))
_AT_GROKKING = f"when test accuracy is first 0.95, over the settings {', '.join(_KEPT_SMALL)} that get there"
_OMNIGROK = "Liu et al. 2022 (arXiv 2210.01117), Section 3"
_TIMESCALE = "Truong et al. 2026 (arXiv 2606.13753), Section 5"
_LOGITS = "Truong et al. 2026 (arXiv 2606.18465)"
_EDGE = "Prieto et al. 2025 (arXiv 2501.04697), Section 3"
_LAZY = "Kumar et al. 2023 (arXiv 2310.06110), Section 3"

_CLAIMS = (
    _ordering("W1", "weight_norm", "weight norm", _OMNIGROK, Region.at_least(0.5)),
    _ordering("W2", "logit_scale", "scale of the logits", _LOGITS, Region.at_least(0.5)),
    _ordering("W3", "zero_loss_share", "share of zero losses", _EDGE, Region.at_least(0.5)),
    _ordering("W4", _KERNEL, "distance of the kernel", _LAZY, Region.at_most(-0.5)),
    _later(
        id="W2-loss",
        name="delays by the logits in the loss",
        sentence="W2, of the scale of the logits over the temperature.",
        source=_LOGITS,
        estimand="as W2, of the scale of the logits over the temperature",
        region=Region.at_least(0.5),
        smallest_effect=Effect(0.1, "a tenth of its range"),
        beside=_ALL[1:],
        evidence=partial(order_of_delays, name="logit_scale", over=_OVER),
    ),
    _claim(
        id="W5",
        name="held above: later, as exp(7.5 rho)",
        sentence="Between norms held at 0.85 and 1.15 of that at grokking the steps grow as exp(7.5 rho).",
        source=_TIMESCALE,
        paper_value=9.5,
        unit="times",
        estimand="the median over seeds of the steps to 95 % test accuracy, held high over held low",
        region=Region.between(5.2, 17.3),
        smallest_effect=Effect(1.0, "a twofold change is far more"),
        kind="median",
        experiment="held-high",
        beside=("held-low",),
        evidence=ratio_of_delays,
    ),
    _claim(
        id="W6",
        name="steps go as one over decay",
        sentence="Ten times less decay takes ten times as many steps.",
        source="Liu et al. 2022 (arXiv 2210.01117), Fig. 2c",
        paper_value=10.0,
        unit="times",
        estimand="the median over seeds of the steps to 95 % test accuracy with decay 0.3 over those with 3",
        region=Region.between(6.3, 15.8),
        smallest_effect=Effect(1.0, "a tenth"),
        kind="median",
        experiment="weak-decay",
        beside=("strong-decay",),
        evidence=ratio_of_delays,
    ),
    _claim(
        id="W7",
        name="one norm from any start",
        sentence="The norm at grokking does not depend on the norm at the start.",
        source=_OMNIGROK,
        paper_value=0.0,
        estimand="the mean over seeds of the log ratio of the norms at grokking, of weights that start at "
        "three times their size to half",
        region=Region.between(-0.05, 0.05),
        smallest_effect=Effect(0.02, "two percent"),
        experiment="large-start",
        beside=("small-start",),
        evidence=partial(log_ratio_at, name="weight_norm", split="test"),
    ),
    _claim(
        id="W8",
        name="one norm at any temperature",
        sentence="The norm at grokking does not depend on the temperature.",
        source=_TIMESCALE,
        paper_value=0.0,
        estimand="the mean over seeds of the log ratio of the norms at grokking, temperature 4 to 1/4",
        region=Region.between(-0.1, 0.1),
        smallest_effect=Effect(0.05, "five percent"),
        experiment="hot",
        beside=("cold",),
        evidence=partial(log_ratio_at, name="weight_norm", split="test"),
    ),
    _claim(
        id="W9",
        name="one logit scale at any temperature",
        sentence="The scale of the logits in the loss at grokking does not depend on the temperature.",
        source=_LOGITS,
        paper_value=0.0,
        estimand="the mean over seeds of the log ratio of logit scale over temperature at grokking, "
        "temperature 4 to 1/4",
        region=Region.between(-0.2, 0.2),
        smallest_effect=Effect(0.1, "ten percent"),
        experiment="hot",
        beside=("cold",),
        evidence=partial(log_ratio_at, name="logit_scale", split="test", factor=1 / 16),
    ),
    _claim(
        id="W10",
        name="no decay: losses round to zero",
        sentence="Without decay nearly all losses round to zero, and training stops.",
        source=_EDGE,
        estimand="the mean over seeds of the share of training samples whose loss is 0 at the end, without "
        "decay",
        region=Region.at_least(0.9),
        smallest_effect=Effect(0.05, "one sample in twenty"),
        experiment="no-decay",
        evidence=partial(last, name="zero_loss_share"),
    ),
    *(
        _claim(
            id=of,
            name=f"{setting}: generalizes",
            sentence=sentence,
            source=_EDGE,
            estimand=f"the share of seeds with a test accuracy of 0.95 within 5,000 steps, {setting}",
            region=Region.at_least(0.5),
            smallest_effect=Effect(0.2, "one seed in five"),
            kind="share",
            experiment=setting,
            evidence=generalizes,
        )
        for of, setting, sentence in (
            ("W11", "no-decay-float64", "In float64 it generalizes without decay."),
            ("W12", "stablemax", "With StableMax it generalizes without decay."),
            ("W13", "perpendicular", "With perpendicular gradients it generalizes without decay."),
        )
    ),
    _claim(
        id="W14",
        name="the kernel turns in between",
        sentence="Between memorization and grokking the kernel turns on.",
        source=_LAZY,
        unit="times",
        estimand="the geometric mean over seeds of the distance of the kernel from that at the start, at "
        "grokking over at memorization, with decay 1",
        region=Region.at_least(1.2),
        smallest_effect=Effect(0.1, "a tenth"),
        kind="geometric_mean",
        experiment="decay",
        evidence=turned,
    ),
    _later(
        id="W15",
        name="at grokking: one kernel distance",
        sentence="At grokking the distance of the kernel is the same in all settings with decay or a held "
        "norm.",
        source="seen on seeds 100-107",
        estimand=f"the mean over seeds of the coefficient of variation of the distance {_AT_GROKKING}",
        region=Region.at_most(0.12),
        smallest_effect=Effect(0.02, "two percent of the distance"),
        beside=_KEPT_SMALL[1:],
        evidence=partial(spread_at_grokking, name=_KERNEL),
    ),
    *(
        _later(
            id=f"W15-{of}",
            name=f"more so than the {of}",
            sentence=f"It varies at most half as much as the {quantity} does.",
            source="seen on seeds 100-107",
            kind="geometric_mean",
            estimand=f"the geometric mean over seeds of that coefficient over that of the {quantity}",
            region=Region.at_most(0.5),
            smallest_effect=Effect(0.1, "a tenth of the other spread"),
            beside=_KEPT_SMALL[1:],
            evidence=partial(spread_over, name=name, over=over),
        )
        for of, quantity, name, over in (
            ("norm", "weight norm", "weight_norm", None),
            ("logits", "scale of the logits in the loss", "logit_scale", _OVER_KEPT),
        )
    ),
    _later(
        id="W16",
        name="and yet: steps differ fivefold",
        sentence="Yet these settings differ in their steps to generalize by a factor of five.",
        source="seen on seeds 100-107",
        unit="times",
        kind="geometric_mean",
        estimand="the geometric mean over seeds of the most over the fewest steps to a test accuracy of "
        "0.95, over the settings that get there",
        region=Region.at_least(5),
        smallest_effect=Effect(1, "a fifth"),
        beside=_KEPT_SMALL[1:],
        evidence=range_of_steps,
    ),
)

# ---------------------------------------------------------------- figures

_QUANTITIES = {
    "weight_norm": "weight norm",
    "logit_scale": "scale of the logits",
    "zero_loss_share": "share of zero losses",
    _KERNEL: "distance of the kernel",
}


def _never(runs: Mapping[str, RunLike]) -> float:
    """Where a setting without generalization is drawn: twice the longest delay that was seen."""
    seen = [delay(run.measures) for run in runs.values()]
    return 2 * float(np.exp(max(np.max(one[np.isfinite(one)], initial=0.0) for one in seen)))


def _seeds_of(runs: Mapping[str, RunLike]) -> str:
    return f"{runs['decay'].measures.sizes['seed']} seeds of each setting."


def _orders(runs: Mapping[str, RunLike], command: str) -> Drawing:
    figure, axes = panels(list(_QUANTITIES.values()), columns=2)
    top = _never(runs)
    for axis, (name, quantity) in zip(axes, _QUANTITIES.items(), strict=True):
        for i, (setting, run) in enumerate(runs.items()):
            late = delay(run.measures)
            height = np.where(np.isfinite(late), np.exp(late), top)
            axis.plot(
                _at(run.measures, name, "train"),
                height,
                "o" if np.isfinite(late).all() else "^",
                color=f"C{i % 10}",
                fillstyle="full" if i < 10 else "none",
                markersize=3.5,
                label=setting,
            )
        axis.set_yscale("log")
        axis.axhline(top, color=COLOR["other"], linewidth=0.6, zorder=0)
        x_label(axis, f"{quantity} at memorization")
        axis.set_ylabel("steps, test over training", fontsize=SMALL)
    axes[2].legend(fontsize=TINY, frameon=False, loc="center left", labelspacing=0.2)
    small_print(
        figure,
        "A point is a seed of a setting: steps to 95 % test over those to 99 % train accuracy. On the gray "
        "line: not within 5,000 steps. Triangles: settings in which not all seeds do.",
        _seeds_of(runs),
        command,
    )
    return figure


def _at_grokking(runs: Mapping[str, RunLike], command: str) -> Drawing:
    shown = [name for name, run in runs.items() if generalizes(run.measures).any()]
    figure, axes = panels(
        ["Weight norm at grokking", "Scale of the logits in the loss", "Distance of the kernel"]
    )
    for row, setting in enumerate(shown):
        measures = runs[setting].measures
        heat = getattr(runs[setting].experiment.loss, "temperature", None) or 1.0
        values = (
            _at(measures, "weight_norm", "test"),
            _at(measures, "logit_scale", "test") / heat,
            _at(measures, _KERNEL, "test"),
        )
        for axis, value in zip(axes, values, strict=True):
            axis.plot(value, np.full(len(value), row), "o", markersize=3, color=COLOR["test"], alpha=0.6)
    for axis in axes:
        axis.set_yticks(range(len(shown)), shown if axis is axes[0] else [""] * len(shown))
        axis.set_ylim(len(shown) - 0.5, -0.5)
    place = axes[0].get_position()  # room for the names of the settings
    axes[0].set_position((place.x0 + 0.05, place.y0, place.width - 0.05, place.height))
    small_print(
        figure,
        "A point is a seed, when test accuracy is first 0.95. Settings of which no seed gets there are not "
        "shown.",
        _seeds_of(runs),
        command,
    )
    return figure


class WhatSetsTheDelay(Study):
    """Four explanations of the delay, measured side by side in thirteen settings of one network."""

    kind: Literal["what-sets-the-delay"] = "what-sets-the-delay"
    title = "What sets the delay: norm, logits, floating point, or laziness?"
    bibtex = bibtex_of("whatsets", title, "what-sets-the-delay")
    reasons: ClassVar[Mapping[str, str]] = {
        "W1": "Two reasons. Settings whose norm is held from step 200 on are the same run until then, after "
        "memorization, so that nothing at memorization can order them. And a temperature moves the norm "
        "(W8), not the steps.",
        "W2": "As for W1; and the raw logits are not what the loss sees (W2-loss).",
        "W2-loss": "As for W1: two of thirteen settings cannot be told from a third at memorization.",
        "W8": "The scale of the logits in the loss is what is nearly the same (W9).",
        "W11": "No loss rounds to zero in float32 in 5,000 steps, so float64 has nothing to repair.",
    }
    experiments = _EXPERIMENTS
    claims = _CLAIMS
    figures = (
        Figure("orders", "Delays against four quantities at memorization.", _orders, _ALL),
        Figure("at-grokking", "Three quantities at grokking, by setting.", _at_grokking, _ALL),
    )
