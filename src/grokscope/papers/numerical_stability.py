r"""Grokking at the edge of numerical stability (arXiv 2501.04697).

A perceptron without biases on two one-hot numbers learns addition mod p without weight decay. It could lower
the cross-entropy for ever by scaling up its logits, and does: after memorization the gradient points along
the weights. Once the right logit is far above the others, $\sum_k e^{f_k - f_y}$ is rounded to 1, the loss
is 0, and so is the gradient of the right logit (*softmax collapse*). Two remedies: StableMax, whose loss
does not round to 0, and *perp-Grad*, a gradient without its component along the weights.

This file: the experiments, the evidence, the claims, the figures. Settings are those of the official
commands; the text was read only in parts. The perceptron starts from normal weights with the variance of
PyTorch's uniform ones, and full batches are not reshuffled. Of the paper are not here: transformers, the
contest with weight decay (Figure 15), images and language (Table 1).

Claims of kind ``own`` are controls that the paper lacks, and what a fault of the official code changes: in
it, ``betas`` and ``eps`` of the command do not reach the AdamW that perp-Grad steps.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from grokscope.claims import Claim, Effect, Region, need
from grokscope.experiment import Experiment
from grokscope.interventions.right_logit import StopRightLogit
from grokscope.losses import CrossEntropy, StableMax
from grokscope.models.one_hot_mlp import OneHotMLP
from grokscope.optimizers import SGD, AdamW
from grokscope.papers import Figure, Paper, Profile, RunExperiment, RunLike, SweepExperiment, SweepProfile
from grokscope.papers.evidence import (
    curve,
    difference,
    final_value,
    largest_value,
    last,
    memorization_times,
    part_of,
    ratio,
    steps_of,
    steps_to,
    value_at,
)
from grokscope.papers.figures import CurveLine, CurvePanel, accuracies_of, curves_of
from grokscope.plots.curves import curve as draw_curve
from grokscope.plots.curves import standing
from grokscope.plots.style import legend, panels, small_print, x_label
from grokscope.spec.events import Event
from grokscope.starts import FromRun
from grokscope.statistics import CensoredTimes, paired_ratios
from grokscope.tasks.modular_operator import ModularOperator

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure as Drawing

__all__ = ["NumericalStability"]

# ---------------------------------------------------------------- experiments (Appendix; official commands)

_P, _SMALL_P, _WIDTH, _SMALL_WIDTH = 113, 43, 200, 128
_CURVES = ("train_accuracy", "test_accuracy", "train_loss", "weight_norm")


def _every(steps: int, slow: int | None = None) -> tuple[str, ...]:
    return (
        f"schedule.measures='every {steps} steps'",
        "schedule.slow_measures=" + (f"'every {slow} steps'" if slow else "'ends'"),
        "schedule.follow='ends'",
    )


def _perceptron(p: int = _P, width: int = _WIDTH) -> OneHotMLP:
    """Two hidden layers; weights have the variance 1 / (3 inputs) of PyTorch's ``nn.Linear``."""
    stds = tuple(1 / math.sqrt(3 * inputs) for inputs in (2 * p, width, width))
    return OneHotMLP(widths=(width, width), activation="relu", stds=stds, output_factor=1.0)


# what the official commands say; in perp-Grad only the rate and the decay take effect
_FLAGS = AdamW(learning_rate=0.01, weight_decay=0.0, beta2=0.99, epsilon=1e-25)
_PERPENDICULAR = AdamW(learning_rate=0.01, weight_decay=0.0, perpendicular="rescaled")

_BASE = Experiment(
    name="perp-adamw",
    steps=300,
    batch_size="full",
    task=ModularOperator(
        operator="addition", p=_P, train_fraction=0.4, operator_token=False, equals_token=False
    ),
    model=_perceptron(),
    loss=CrossEntropy(),
    optimizer=_PERPENDICULAR,
    measures=_CURVES,
).with_(*_every(5))


def _small(*changes: str, p: int = 59, width: int = _WIDTH) -> tuple[str, ...]:
    model = _perceptron(p, width)
    return f"task.p={p}", f"model.widths={list(model.widths)}", f"model.stds={list(model.stds)}", *changes


def _run(
    name: str,
    sentence: str,
    spec: Experiment,
    seeds: int = 8,
    quick: tuple[str, ...] = (),
    reduced: str = "",
    **more: Any,
) -> RunExperiment:
    spec = spec.with_(f"name='{name}'")
    profiles = {"paper": Profile(seeds=5), "quick": Profile(seeds=seeds, overrides=quick, reduced=reduced)}
    return RunExperiment(name, sentence, spec, profiles, **more)


# --- collapse: the same, slower, with the loss in three precisions

_LONG, _QUICK = 20_000, 3_000
_RISING = "test_accuracy > 0.1 for 1"
_COLLAPSE = _BASE.with_(
    *("optimizer.perpendicular='none'", "optimizer.beta2=0.99", "optimizer.epsilon=1e-25"),
    *("optimizer.learning_rate=0.0005", "task.train_fraction=0.6", f"steps={_LONG}"),
    f"measures={[*_CURVES, 'zero_loss_share', 'weight_alignment']}",
    *_every(_LONG // 200, _LONG // 20),
)
_SHORT = _small(
    *("task.train_fraction=0.8", "optimizer.learning_rate=0.001", f"steps={_QUICK}"),
    *_every(40, 200),
    p=53,
    width=_SMALL_WIDTH,
)
_SHORTER = (
    "p = 53 instead of 113, 128 neurons a layer instead of 200, 80 % of the table instead of 60 %, rate "
    f"0.001 instead of 0.0005, {_QUICK:,} steps instead of {_LONG:,}"
)


def _in_precision(name: str, precision: str, words: str) -> RunExperiment:
    sentence = f"No decay, the cross-entropy in {words} (Figures 2 and 5)."
    spec = _COLLAPSE.with_(f"loss.precision='{precision}'")
    return _run(name, sentence, spec, 8, _SHORT, _SHORTER, group="precision")


# --- StableMax

_STABLE = _COLLAPSE.with_(
    *("loss={kind='stablemax', precision='float64'}", "optimizer.beta2=0.999", "task.train_fraction=0.4"),
    *("optimizer.learning_rate=0.01", "steps=100000", *_every(500, 5000)),
)
_STABLE_QUICK = 3_000
_STABLEMAX = SweepExperiment(
    "stablemax",
    "StableMax without decay, on sums and products (Figures 1 and 4).",
    _STABLE.with_("name='stablemax'"),
    {
        "paper": SweepProfile(seeds=3),
        "quick": SweepProfile(
            seeds=8,
            overrides=_small(
                *("task.train_fraction=0.9", f"steps={_STABLE_QUICK}"),
                *_every(_STABLE_QUICK // 60),
                width=_SMALL_WIDTH,
            ),
            reduced="p = 59 instead of 113, 128 neurons a layer instead of 200, 90 % of the table instead of "
            f"40 %, {_STABLE_QUICK:,} steps instead of 100,000",
        ),
    },
    over=("task.operator=addition,multiplication",),
)

# --- forced collapse: branches of the run in float64 where test accuracy is 0.1

_FLOAT64 = _in_precision("float64", "float64", "float64")


def _forced(name: str, sentence: str, value: Literal["kept", "zero"]) -> RunExperiment:
    source = _FLOAT64.experiment
    init = FromRun(run="float64", source=source.identity, at=_RISING)
    spec = source.with_(init=init, interventions=(StopRightLogit(value=value),))
    return _run(name, sentence, spec, 8, _SHORT, _SHORTER)


_CONTROLS = _small("steps=500", *_every(5))
_CONTROLS_REDUCED = "p = 59 instead of 113"
_EXPERIMENTS = (
    _run("perp-adamw", "perp-Grad before AdamW, no decay (Figures 1 and 6).", _BASE),
    _run("adamw", "AdamW alone, no decay (Figures 1 and 6).", _BASE.with_(optimizer=_FLAGS)),
    _run(
        "perp-sgd",
        "perp-Grad before SGD with momentum, StableMax, no decay (Figure 6).",
        _BASE.with_(
            "steps=500",
            loss=StableMax(precision="float64"),
            optimizer=SGD(learning_rate=10.0, momentum=0.8, perpendicular="rescaled"),
        ),
    ),
    SweepExperiment(
        "rescaling",
        "AdamW on gradients as they are, without their component along the weights, and rescaled.",
        _BASE.with_("name='rescaling'", "steps=500"),
        {
            "paper": SweepProfile(seeds=5),
            "quick": SweepProfile(seeds=8, overrides=_CONTROLS, reduced=_CONTROLS_REDUCED),
        },
        over=("optimizer.perpendicular=none,unscaled,rescaled",),
    ),
    _run(
        "flags",
        "perp-Grad before AdamW with the beta2 and epsilon that the official command gives, to no effect.",
        _BASE.with_("steps=500", "optimizer.beta2=0.99", "optimizer.epsilon=1e-25"),
        8,
        _CONTROLS,
        _CONTROLS_REDUCED,
    ),
    _in_precision("float16", "float16", "float16"),
    _in_precision("float32", "as_run", "float32"),
    _FLOAT64,
    _STABLEMAX,
    _forced(
        "forced-collapse",
        "From a test accuracy of 0.1 on, the right logits times 0 in the loss (Figure 8).",
        "zero",
    ),
    _forced(
        "forced-collapse-kept",
        "The same with the right logits as they are but without gradient, as in a collapse.",
        "kept",
    ),
)

# ---------------------------------------------------------------- evidence: one entry per seed

_LEARNED, _COLLAPSED = 0.95, 0.1


def delay(measures: xr.Dataset) -> CensoredTimes:
    """Steps to a test accuracy of 0.95 over those to a training accuracy of 0.95."""
    return paired_ratios(steps_to(measures, "test", _LEARNED), steps_to(measures, "train", _LEARNED))


def collapse_times(measures: xr.Dataset) -> CensoredTimes:
    """When the loss of a tenth of the training samples is 0, at one measured step."""
    curve(measures, "zero_loss_share")  # not testable where it was not measured
    return Event("collapse", "zero_loss_share", ">=", _COLLAPSED, 1).times(measures)


def later_collapse(higher: xr.Dataset, lower: xr.Dataset) -> CensoredTimes:
    """The collapse in one precision of the loss over that in a lower one."""
    return paired_ratios(collapse_times(higher), collapse_times(lower))


def since_collapse(measures: xr.Dataset, name: str) -> tuple[np.ndarray, np.ndarray]:
    """A measure at the collapse and at the end, each [seed]; NaN for seeds that do not collapse."""
    values = curve(measures, name)
    before = value_at(measures, values, collapse_times(measures).upper)
    return before, np.where(np.isnan(before), np.nan, final_value(values))


def moved_since_collapse(measures: xr.Dataset) -> np.ndarray:
    """The size of the change of the test accuracy from the collapse to the end [seed]."""
    before, end = since_collapse(measures, "test_accuracy")
    return np.abs(end - before)


def norm_since_collapse(measures: xr.Dataset, beside: xr.Dataset) -> np.ndarray:
    """The growth of the norm from the collapse to the end, over that in the same steps of another run."""
    before, end = since_collapse(measures, "weight_norm")
    norm = curve(beside, "weight_norm")
    return ratio(end / before, final_value(norm) / value_at(beside, norm, collapse_times(measures).upper))


def norm_growth(measures: xr.Dataset) -> np.ndarray:
    """The norm of the last network over that at memorization [seed]."""
    norm = curve(measures, "weight_norm")
    return ratio(final_value(norm), value_at(measures, norm, memorization_times(measures).upper))


def best_alignment(measures: xr.Dataset, matrix: str) -> np.ndarray:
    """The largest cosine of descent direction and a matrix after memorization [seed]."""
    values = curve(measures, "weight_alignment", matrix=matrix)
    late = steps_of(measures) >= memorization_times(measures).upper[:, None]
    return largest_value(np.where(late, values, np.nan))


def changed_since_branch(measures: xr.Dataset) -> np.ndarray:
    """The last test accuracy less that of the network with which the branch starts [seed]."""
    values = curve(measures, "test_accuracy")
    first = np.array([row[np.isfinite(row)][0] if np.isfinite(row).any() else np.nan for row in values])
    return final_value(values) - first


def gained(above: xr.Dataset, below: xr.Dataset) -> np.ndarray:
    """The last test accuracy of a run less that of another, of the same seeds [seed]."""
    return difference(above, below, of=partial(last, name="test_accuracy"))


def in_cell(measures: xr.Dataset, operator: str, of: Callable[[xr.Dataset], np.ndarray]) -> np.ndarray:
    """A number of each seed on one operator of the experiment with StableMax [seed]."""
    return of(part_of(measures, operator=operator))


def steps_when(measures: xr.Dataset, perpendicular: str) -> CensoredTimes:
    """Steps to a test accuracy of 0.95 in one cell of the experiment on rescaling."""
    return steps_to(part_of(measures, perpendicular=perpendicular), "test", _LEARNED)


# ---------------------------------------------------------------- claims

_claim = partial(Claim, fixed_on="0-1", confirmed_on="100-107")
_median = partial(_claim, kind="median")
_accuracy = partial(_median, smallest_effect=Effect(0.02, "two pairs in a hundred"))
_CLAIMS = (
    _accuracy(
        id="Q1",
        name="perp-AdamW generalizes",
        sentence="With perp-Grad AdamW generalizes within 300 epochs.",
        source="Figs. 1 and 6",
        paper_value="about 1",
        estimand="the median over seeds of the test accuracy after 300 epochs",
        region=Region.at_least(0.97),
        experiment="perp-adamw",
        evidence=partial(last, name="test_accuracy"),
    ),
    _accuracy(
        id="Q1-plain",
        name="AdamW does not",
        sentence="AdamW alone does not.",
        source="Figs. 1 and 6",
        paper_value="low",
        estimand="the median over seeds of the test accuracy after 300 epochs",
        region=Region.at_most(0.3),
        experiment="adamw",
        evidence=partial(last, name="test_accuracy"),
    ),
    _accuracy(
        id="Q1-epsilon",
        name="AdamW does not, usual epsilon",
        sentence="AdamW alone does not with the usual epsilon and beta2 either, which perp-Grad had.",
        source="Fig. 6 (the official command gives the baseline epsilon 1e-25 and beta2 0.99)",
        estimand="the median over seeds of the test accuracy after 500 epochs",
        region=Region.at_most(0.3),
        experiment="rescaling",
        setting="own",
        evidence=lambda m: last(part_of(m, perpendicular="none"), "test_accuracy"),
    ),
    _median(
        id="Q2",
        name="hardly any overfitting phase",
        sentence="With perp-Grad there is almost no phase of overfitting.",
        source="Fig. 6",
        paper_value="almost none",
        estimand="the median over seeds of the steps to a test accuracy of 0.95 over those to a training "
        "accuracy of 0.95",
        region=Region.at_most(3.0),
        smallest_effect=Effect(0.5, "half of the time of memorization"),
        experiment="perp-adamw",
        evidence=delay,
    ),
    _median(
        id="Q3",
        name="perp-SGD generalizes",
        sentence="With perp-Grad SGD with momentum generalizes within 400 epochs.",
        source="Fig. 6",
        paper_value="100 % within 400",
        unit="steps",
        estimand="the median over seeds of the step at which test accuracy is first 0.95",
        region=Region.at_most(400),
        smallest_effect=Effect(50, "an eighth of 400 epochs"),
        experiment="perp-sgd",
        evidence=lambda m: steps_to(m, "test", _LEARNED),
    ),
    _median(
        id="Q4",
        name="float16 collapses before float32",
        sentence="Softmax collapses earlier in float16 than in float32.",
        source="Fig. 2",
        paper_value="earlier",
        estimand="the median over seeds of the first measured step with a loss of 0 on a tenth of the "
        "training samples in float32, over that in float16",
        region=Region.at_least(1.25),
        smallest_effect=Effect(0.25, "a quarter of the steps"),
        experiment="float32",
        beside=("float16",),
        evidence=later_collapse,
    ),
    _median(
        id="Q4-double",
        name="float32 collapses before float64",
        sentence="And earlier in float32 than in float64.",
        source="Fig. 2",
        paper_value="earlier",
        estimand="the same of float64 over float32 (not seen in float64: later than the end of the run)",
        region=Region.at_least(1.25),
        smallest_effect=Effect(0.25, "a quarter of the steps"),
        experiment="float64",
        beside=("float32",),
        evidence=later_collapse,
    ),
    _accuracy(
        id="Q5",
        name="float32: collapse stops progress",
        sentence="Once softmax has collapsed test accuracy stops where it is.",
        source="Fig. 2",
        paper_value="stops",
        estimand="the median over seeds of the size of the change of test accuracy from that step in float32 "
        "to the end",
        region=Region.at_most(0.03),
        experiment="float32",
        evidence=moved_since_collapse,
    ),
    _accuracy(
        id="Q5-half",
        name="float16: collapse stops progress",
        sentence="So it does in float16.",
        source="Fig. 2",
        paper_value="stops",
        estimand="the same in float16",
        region=Region.at_most(0.03),
        experiment="float16",
        evidence=moved_since_collapse,
    ),
    _median(
        id="Q5-moves",
        name="but weights go on moving",
        sentence="Weights do not stop: after the collapse their norm grows faster than without one.",
        source="Sec. 3 (gradients are said to be 0; those of the wrong logits are not)",
        estimand="the median over seeds of the growth of the norm from the collapse in float32 to the end, "
        "over that in float64 in the same steps",
        region=Region.at_least(1.1),
        smallest_effect=Effect(0.05, "a twentieth of the norm"),
        experiment="float32",
        beside=("float64",),
        setting="own",
        evidence=norm_since_collapse,
    ),
    _accuracy(
        id="Q6",
        name="float64 over float32",
        sentence="The more precise the loss, the higher the test accuracy: float64 over float32.",
        source="Fig. 2",
        paper_value="higher",
        estimand="the median over seeds of the last test accuracy in float64 less that in float32",
        region=Region.above(0.02),
        experiment="float64",
        beside=("float32",),
        evidence=gained,
    ),
    _accuracy(
        id="Q6-half",
        name="float32 over float16",
        sentence="And float32 over float16.",
        source="Fig. 2",
        paper_value="higher",
        estimand="the same of float32 less float16",
        region=Region.above(0.02),
        experiment="float32",
        beside=("float16",),
        evidence=gained,
    ),
    _accuracy(
        id="Q7",
        name="StableMax groks sums",
        sentence="With StableMax addition is grokked without regularization ...",
        source="Fig. 4",
        paper_value="yes",
        estimand="the median over seeds of the last test accuracy on sums",
        region=Region.at_least(0.9),
        experiment="stablemax",
        evidence=partial(in_cell, operator="addition", of=partial(last, name="test_accuracy")),
    ),
    _accuracy(
        id="Q7-product",
        name="StableMax groks products",
        sentence="... and so is multiplication ...",
        source="Fig. 4",
        paper_value="yes",
        estimand="the median over seeds of the last test accuracy on products",
        region=Region.at_least(0.9),
        experiment="stablemax",
        evidence=partial(in_cell, operator="multiplication", of=partial(last, name="test_accuracy")),
    ),
    _median(
        id="Q7-norm",
        name="while the norm grows",
        sentence="... while the norm of the weights grows.",
        source="Fig. 4",
        paper_value="grows",
        estimand="the median over seeds of the norm of the last network over that at memorization, on sums",
        region=Region.at_least(1.1),
        smallest_effect=Effect(0.1, "a tenth of the norm"),
        experiment="stablemax",
        evidence=partial(in_cell, operator="addition", of=norm_growth),
    ),
    _median(
        id="Q8",
        name="descent follows the weights",
        sentence="After memorization the direction of descent aligns with the weights.",
        source="Fig. 5",
        paper_value="yes",
        estimand="the median over seeds of the largest cosine of minus the gradient and the output weights "
        "after memorization, in float64",
        region=Region.at_least(0.5),
        smallest_effect=Effect(0.1, "a tenth of its range"),
        experiment="float64",
        evidence=partial(best_alignment, matrix="output_weight"),
    ),
    _accuracy(
        id="Q9",
        name="forced collapse stops progress",
        sentence="A collapse that is forced stops a run that is generalizing.",
        source="Fig. 8",
        paper_value="stops",
        estimand="the median over seeds of the test accuracy at the end less that at the branch, right "
        "logits times 0",
        region=Region.at_most(0.02),
        experiment="forced-collapse",
        evidence=changed_since_branch,
    ),
    _accuracy(
        id="Q9-kept",
        name="with the values of the logits kept",
        sentence="So it does if only the gradient of the right logits is taken away, as in a collapse.",
        source="Fig. 8 (the control is missing)",
        estimand="the same with right logits that are kept, without gradient",
        region=Region.at_most(0.02),
        experiment="forced-collapse-kept",
        setting="own",
        evidence=changed_since_branch,
    ),
    _accuracy(
        id="Q9-goes-on",
        name="without it, progress goes on",
        sentence="The run from which it branches goes on to generalize.",
        source="Fig. 8",
        estimand="the median over seeds of the last test accuracy of that run less the one of the branch "
        "with right logits times 0",
        region=Region.at_least(0.05),
        experiment="float64",
        beside=("forced-collapse",),
        setting="own",
        evidence=gained,
    ),
    _median(
        id="Q11",
        name="works without rescaling",
        sentence="perp-Grad works without rescaling, too, in at most one and a half times the steps.",
        source="official code (it rescales)",
        estimand="the median over seeds of the steps to a test accuracy of 0.95 without rescaling, over "
        "those with it",
        region=Region.at_most(1.5),
        smallest_effect=Effect(0.25, "a quarter of the steps"),
        experiment="rescaling",
        setting="own",
        evidence=lambda m: paired_ratios(steps_when(m, "unscaled"), steps_when(m, "rescaled")),
    ),
    _median(
        id="Q13",
        name="the flags would not matter",
        sentence="That the command's beta2 and epsilon do not reach AdamW inside perp-Grad matters little.",
        source="official code (the inner optimizer is made before its settings are loaded)",
        estimand="the median over seeds of the steps to a test accuracy of 0.95 with beta2 0.99 and epsilon "
        "1e-25, over those with the defaults that took effect",
        region=Region.between(0.75, 1.33),
        smallest_effect=Effect(0.25, "a quarter of the steps"),
        experiment="flags",
        beside=("rescaling",),
        setting="own",
        evidence=lambda flags, m: paired_ratios(steps_to(flags, "test", _LEARNED), steps_when(m, "rescaled")),
    ),
)

# ---------------------------------------------------------------- figures

_ONE = {"perp-adamw": "perp-AdamW", "adamw": "AdamW", "perp-sgd": "perp-SGD, StableMax"}
_ACCURACY_LINES = tuple(CurveLine(f"{split}_accuracy", split, split) for split in ("train", "test"))
_COLLAPSE_LINES = (*_ACCURACY_LINES, CurveLine("zero_loss_share", "losses of 0", "grokking"))
_PRECISION_TITLES = {"float16": "float16", "float32": "float32", "float64": "float64"}
_FORCED_TITLES = {
    "float64": "Collapse is not forced",
    "forced-collapse": "Right logits times 0",
    "forced-collapse-kept": "Right logits without gradient",
}


def _panels(titles: Mapping[str, str], lines: tuple[CurveLine, ...]) -> tuple[CurvePanel, ...]:
    return tuple(CurvePanel(title, lines, name) for name, title in titles.items())


def _stablemax(runs: Mapping[str, RunLike], command: str) -> Drawing:
    measures = runs["stablemax"].measures
    operators = [str(one) for one in measures["operator"].to_numpy()]
    figure, axes = panels([*(one.capitalize() for one in operators), "Norm over that at memorization"])
    for axis, operator in zip(axes, operators, strict=False):
        part = part_of(measures, operator=operator)
        for split in ("train", "test"):
            draw_curve(axis, part[f"{split}_accuracy"], split, split)
        axis.set_ylim(-0.03, 1.03)
        x_label(axis, "step")
        norm = curve(part, "weight_norm")
        start = value_at(part, norm, memorization_times(part).upper)
        style: dict[str, Any] = {"linestyle": "-" if operator == operators[0] else "--"}
        axes[-1].plot(
            steps_of(part), (norm / start[:, None]).mean(axis=0), label=operator, color="black", **style
        )
    x_label(axes[-1], "step")
    legend(figure, axes[0], axes[-1])
    small_print(figure, standing(measures, spread=False), command)
    return figure


def _alignment(runs: Mapping[str, RunLike], command: str) -> Drawing:
    figure, axes = panels(["Cosine of descent and weights", "Accuracy"])
    measures = runs["float64"].measures
    need(measures, "weight_alignment")
    for matrix, color in zip(measures["matrix"].to_numpy(), ("#9ecae1", "#4292c6", "#08306b"), strict=False):
        values = curve(measures, "weight_alignment", matrix=str(matrix))
        taken = np.isfinite(values).any(axis=0)
        mean = np.nanmean(values[:, taken], axis=0)
        axes[0].plot(steps_of(measures)[taken], mean, label=str(matrix), color=color)
    axes[0].set_ylim(-0.1, 1)
    for split in ("train", "test"):
        draw_curve(axes[1], measures[f"{split}_accuracy"], split, split)
    for axis in axes:
        x_label(axis, "step")
    legend(figure, *axes)
    small_print(figure, standing(measures, spread=False), command)
    return figure


_FIGURES = (
    Figure(
        "figure-1", "Figures 1 and 6: accuracy with and without perp-Grad.", accuracies_of(_ONE), tuple(_ONE)
    ),
    Figure(
        "figure-2",
        "Figure 2: accuracy, and the share of training samples with a loss of 0, in three precisions.",
        curves_of("", *_panels(_PRECISION_TITLES, _COLLAPSE_LINES)),
        tuple(_PRECISION_TITLES),
    ),
    Figure("figure-4", "Figure 4: StableMax, accuracy and norm.", _stablemax, ("stablemax",)),
    Figure("figure-5", "Figure 5: descent aligns with the weights.", _alignment, ("float64",)),
    Figure("figure-8", "Figure 8: forced collapse.", accuracies_of(_FORCED_TITLES), tuple(_FORCED_TITLES)),
)


class NumericalStability(Paper):
    """Prieto et al. 2025: the loss rounds to 0 and training stops; two ways to prevent it."""

    kind: Literal["numerical-stability"] = "numerical-stability"
    title = "Grokking at the edge of numerical stability"
    authors = "Lucas Prieto, Melih Barsbey, Pedro A. M. Mediano, Tolga Birdal"
    year = 2025
    arxiv = "2501.04697"
    bibtex = """@inproceedings{prieto2025grokking,
  title = {Grokking at the Edge of Numerical Stability},
  author = {Lucas Prieto and Melih Barsbey and Pedro A. M. Mediano and Tolga Birdal},
  booktitle = {International Conference on Learning Representations},
  year = {2025},
  eprint = {2501.04697},
  archivePrefix = {arXiv}
}"""
    experiments = _EXPERIMENTS
    claims = _CLAIMS
    figures = _FIGURES
