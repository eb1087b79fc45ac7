r"""Grokking modular arithmetic (arXiv 2301.02679).

A network without biases on two one-hot numbers, $f(x) = W_2 (W_1 x)^2 / (2 p N)$, learns modular arithmetic
by full-batch gradient descent on the squared error, without weight decay. Weights that solve addition can be
written down: neurons are waves over the residues, whose phases add up. Training finds nearly such weights.

This file: the experiments, the evidence, the claims, the figures. "Steps to 99 %" is the first measured step
with an accuracy of at least 0.99. What is printed of the paper's settings is p = 97, 49 % of the table and
the factor 1 / (2 p N); its learning rates, initial variances and lengths are not. Ours: weights from N(0, 1);
N = 500, and AdamW's rate and betas from the code of the same group; for gradient descent a rate that works
at p = 23, times the factor by which gradients shrink, $p^3 N$. Losses are means over outputs (the rate of a
loss that is their sum is smaller by p).

Profile ``quick``: p = 23, N = 100, 70 % of the table, where a replica of the paper (arXiv 2310.06110,
appendix) has seen gradient descent grok. The written-down networks are those of the paper, p = 97.

Claims of kind ``own`` are controls that the paper lacks: random features (asserted there, not tested), the
loss of an operator without a written-down solution, the other averages and conventions.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from grokscope.claims import Claim, Effect, NotTestable, Region, need
from grokscope.experiment import Experiment
from grokscope.losses import Squared
from grokscope.measures.neuron_waves import NeuronParticipation, Participation, PhaseAlignment, PhaseDefect
from grokscope.models.one_hot_mlp import OneHotMLP
from grokscope.optimizers import SGD
from grokscope.papers import (
    Figure,
    Paper,
    PaperExperiment,
    Profile,
    RunExperiment,
    RunLike,
    SweepExperiment,
    SweepProfile,
    recorded_every,
)
from grokscope.papers.evidence import (
    ONE_SEED_IN_TEN,
    curve,
    difference,
    finished_seeds,
    first_of_both,
    happened_in,
    largest_value,
    last,
    part_of,
    ratio,
    ratio_of_splits,
    steps_of,
    steps_to,
    value_at,
)
from grokscope.papers.figures import ACCURACY, CurveLine, CurvePanel, curves_of
from grokscope.plots.curves import chosen_seed, standing
from grokscope.plots.style import COLOR, SMALL, legend, panels, small_print, x_label
from grokscope.spec.events import member_curves
from grokscope.statistics import paired_ratios
from grokscope.tasks.modular_operator import ModularOperator

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure as Drawing

__all__ = ["GromovModular"]

# ---------------------------------------------------------------- experiments (Sections 2 to 4)

_P, _SMALL_P, _WIDTH, _SMALL_WIDTH = 97, 23, 500, 100
# The rate at the small size, and the same for the larger: gradients are smaller by 1 / (p^3 N).
_SMALL_RATE = 2300.0
_RATE = round(_SMALL_RATE * (_P / _SMALL_P) ** 3 * _WIDTH / _SMALL_WIDTH, -3)
_CURVES = ("train_accuracy", "test_accuracy", "train_loss", "test_loss", "weight_norm")
_WAVES = (Participation(), Participation(convention="joint"), PhaseAlignment(), PhaseAlignment(neurons="all"))
_NEURONS = (NeuronParticipation(), PhaseDefect())


def _table(operator: Any, fraction: float) -> ModularOperator:
    return ModularOperator(
        operator=operator, p=_P, train_fraction=fraction, operator_token=False, equals_token=False
    )


_GD = Experiment(
    name="gd",
    steps=20_000,
    batch_size="full",
    task=_table("addition", 0.49),
    model=OneHotMLP(widths=(_WIDTH,)),
    loss=Squared(),
    optimizer=SGD(learning_rate=_RATE),
    measures=(*_CURVES, *_WAVES, *_NEURONS),
).with_(*recorded_every(200), "schedule.follow='ends'")
_ADAMW = _GD.with_(
    "name='adamw'",
    "steps=3000",
    "optimizer.kind='adamw'",
    "optimizer.learning_rate=0.01",
    "optimizer.beta2=0.98",
    "optimizer.weight_decay=0.0",
    *recorded_every(10),
)
_ACCURACIES = f"measures={list(_CURVES)}"

_SMALLER = (f"task.p={_SMALL_P}", f"model.widths=[{_SMALL_WIDTH}]")
_REDUCED = "p = 23 instead of 97, 100 neurons instead of 500"
_SHARE = "70 % of the table instead of 49 %"
_SLOW = ("steps=3000", f"optimizer.learning_rate={_SMALL_RATE}", *recorded_every(25))
_FRACTIONS = "task.train_fraction=0.5,0.6,0.7,0.9"


def _run(
    name: str, sentence: str, spec: Experiment, seeds: tuple[int, int], *quick: str, reduced: str = _REDUCED
) -> PaperExperiment:
    profiles = {
        "paper": Profile(seeds=seeds[0]),
        "quick": Profile(seeds=seeds[1], overrides=(*_SMALLER, *quick), reduced=reduced),
    }
    return RunExperiment(name, sentence, spec.with_(f"name='{name}'"), profiles)


def _fractions(name: str, sentence: str, spec: Experiment, *quick: str, steps: int) -> PaperExperiment:
    return SweepExperiment(
        name,
        sentence,
        spec.with_(f"name='{name}'", _ACCURACIES),
        {
            "paper": SweepProfile(seeds=2),
            "quick": SweepProfile(
                seeds=20,
                over=(_FRACTIONS,),
                overrides=(*_SMALLER, *quick, f"steps={steps}"),
                reduced=f"{_REDUCED}, four shares of the table, {steps:,} steps",
            ),
        },
        over=("task.train_fraction=0.3,0.4,0.5,0.6,0.7,0.8,0.9",),
    )


_STILL = _GD.with_(
    *("steps=1", "task.train_fraction=1.0", "measures=['train_accuracy', 'train_loss']"),
    *("learner.kind='still'", "model.kind='modular_waves'"),
)

_EXPERIMENTS = (
    _run(
        "gd",
        "Addition by gradient descent, no decay (Figures 1 and 3).",
        _GD,
        (3, 36),
        "task.train_fraction=0.7",
        *_SLOW,
        reduced=f"{_REDUCED}, {_SHARE}, 3,000 steps",
    ),
    _run(
        "momentum",
        "The same with momentum 0.9 and a tenth of the rate (Section 3).",
        _GD.with_("optimizer.momentum=0.9", f"optimizer.learning_rate={_RATE / 10}"),
        (3, 8),
        "task.train_fraction=0.7",
        *_SLOW,
        f"optimizer.learning_rate={_SMALL_RATE / 10}",
        reduced=f"{_REDUCED}, {_SHARE}, 3,000 steps",
    ),
    _run(
        "adamw",
        "Addition by AdamW, no decay (Figures 2, 3 and 5).",
        _ADAMW,
        (5, 36),
        "task.train_fraction=0.7",
        "steps=1500",
        reduced=f"{_REDUCED}, {_SHARE}, 1,500 steps",
    ),
    _run(
        "adamw-small-start",
        "The same from weights of standard deviation 0.05, without the output factor (the group's code).",
        _ADAMW.with_("model.stds=[0.05]", "model.output_factor=1.0", *recorded_every(2)),
        (5, 12),
        "task.train_fraction=0.7",
        "steps=600",
        reduced=f"{_REDUCED}, {_SHARE}, 600 steps",
    ),
    _fractions("gd-fractions", "Gradient descent by share of the table (Figure 4).", _GD, *_SLOW, steps=4000),
    _fractions("adamw-fractions", "AdamW by share of the table (Figure 4).", _ADAMW, steps=2000),
    SweepExperiment(
        "analytic",
        "Written-down networks for addition, on all pairs; the seeds draw their phases (Figure 4).",
        _STILL.with_("name='analytic'"),
        {
            "paper": Profile(seeds=100),
            "quick": SweepProfile(seeds=40, over=("model.width=48,96,144,192",)),
        },
        over=("model.width=48,96,144,192,500",),
    ),
    RunExperiment(
        "analytic-square",
        "The written-down network for (n + m)^2, on all pairs (Section 2).",
        _STILL.with_(
            "name='analytic-square'",
            "task.operator='square_of_sum'",
            "model.operator='square_of_sum'",
            "model.width=192",
        ),
        {"paper": Profile(seeds=20), "quick": Profile(seeds=8)},
    ),
    _run(
        "hard",
        "n^3 + n m^2 + m from 90 % of the table, by AdamW (Section 4).",
        _ADAMW.with_(
            "task.operator='cubic_plus_xy2_plus_y'",
            "task.train_fraction=0.9",
            "steps=5000",
            _ACCURACIES,
            *recorded_every(50),
        ),
        (5, 8),
        "steps=3000",
        reduced=f"{_REDUCED}, 3,000 steps",
    ),
    _run(
        "quadratic",
        "n^2 + n m + m^2 from 90 % of the table, by AdamW (Appendix).",
        _ADAMW.with_(
            "task.operator='quadratic'",
            "task.train_fraction=0.9",
            "steps=5000",
            _ACCURACIES,
            *recorded_every(50),
        ),
        (5, 8),
        "steps=3000",
        reduced=f"{_REDUCED}, 3,000 steps",
    ),
    _run(
        "random-features",
        "Addition by AdamW with the first layer frozen, ten times as wide (Section 1; not run in the paper).",
        _ADAMW.with_(
            _ACCURACIES,
            *recorded_every(50),
            f"model.widths=[{10 * _WIDTH}]",
            "interventions=[{kind='freeze', parameters=['hidden_weight']}]",
        ),
        (3, 8),
        f"model.widths=[{10 * _SMALL_WIDTH}]",
        "task.train_fraction=0.7",
        "steps=1500",
        reduced=f"p = 23 instead of 97, 1,000 neurons instead of 5,000, {_SHARE}, 1,500 steps",
    ),
)

# ---------------------------------------------------------------- evidence: one entry per seed


def reaches(measures: xr.Dataset) -> np.ndarray:
    """Truth values [seed]: whether test accuracy reaches 99 %; NaN where it was not trained to the end."""
    return np.where(finished_seeds(measures), steps_to(measures, "test").observed, np.nan)


def growth_of_norm(measures: xr.Dataset) -> np.ndarray:
    """Norm of all weights at 99 % test accuracy (or the end) over that at 99 % training accuracy [seed]."""
    norm, end = curve(measures, "weight_norm"), steps_of(measures)[-1]
    late = np.minimum(steps_to(measures, "test").upper, end)
    return ratio(value_at(measures, norm, late), value_at(measures, norm, steps_to(measures, "train").upper))


def alignment_at_grokking(measures: xr.Dataset) -> np.ndarray:
    """Alignment at the step of 99 % test accuracy [seed]; NaN where that is not reached."""
    return value_at(measures, curve(measures, "phase_alignment"), steps_to(measures, "test").upper)


def early_rise(measures: xr.Dataset, name: str = "participation_rfft") -> Any:
    """Step at which participation has made a tenth of its rise over steps to 99 % test accuracy [seed]."""
    values, steps = curve(measures, name), steps_of(measures)
    level = values[:, 0] + 0.1 * (values[:, -1] - values[:, 0])
    rises = (values >= level[:, None]) & (values[:, -1] > values[:, 0])[:, None]
    grok = steps_to(measures, "test")
    first = np.where(rises.any(axis=1), steps[np.argmax(rises, axis=1)], np.nan)
    return ratio(first, np.where(grok.observed, grok.upper, np.nan))


def acceleration(measures: xr.Dataset, level: float = 0.99) -> np.ndarray:
    """Slope of participation from 0.8 to 1.2 times the steps to a level over its mean slope before [seed]."""
    values, grok = curve(measures, "participation_rfft"), steps_to(measures, "test", level)
    inside = grok.observed & (1.2 * grok.upper <= steps_of(measures)[-1]) & (grok.upper > 0)
    t = np.where(inside, grok.upper, np.nan)
    begin, before, after = (
        value_at(measures, values, np.where(np.isnan(t), np.inf, k * t)) for k in (0, 0.8, 1.2)
    )
    return ratio((after - before) / (0.4 * t), (before - begin) / (0.8 * t))


def needs_data(measures: xr.Dataset) -> np.ndarray:
    """Truth values [seed]: groks from the largest share of the table, and not from the smallest."""
    need(measures, "train_accuracy", "test_accuracy")
    groks = happened_in(measures.sortby("train_fraction"), "grokking", along="train_fraction")
    return groks[-1] & ~groks[0]


def least_data(measures: xr.Dataset) -> np.ndarray:
    """The smallest share of the table from which each seed groks [seed]; NaN if there is none."""
    need(measures, "train_accuracy", "test_accuracy")
    measures = measures.sortby("train_fraction")
    groks = happened_in(measures, "grokking", along="train_fraction")
    return np.where(
        groks.any(axis=0), measures["train_fraction"].to_numpy()[np.argmax(groks, axis=0)], np.nan
    )


def ratio_of_data(above: xr.Dataset, below: xr.Dataset) -> np.ndarray:
    """`least_data` in one sweep over that in another [seed]."""
    upper, lower = least_data(above), least_data(below)
    if len(upper) != len(lower):
        raise NotTestable(f"the sweeps have {len(upper)} and {len(lower)} seeds, and cannot be paired")
    return ratio(upper, lower)


def best_accuracy(measures: xr.Dataset) -> np.ndarray:
    """The best test accuracy at any measured step [seed]."""
    return largest_value(curve(measures, "test_accuracy"))


def ratio_of_test_loss(above: xr.Dataset, below: xr.Dataset) -> np.ndarray:
    """Last test loss of one run over that of another, of the same first seeds [seed]."""
    upper, lower = (last(measures, "test_loss") for measures in (above, below))
    return ratio(*first_of_both(upper, lower))


def written_down(measures: xr.Dataset, **cell: int) -> np.ndarray:
    """Accuracy of written-down networks on all pairs [seed]."""
    need(measures, "train_accuracy")
    return member_curves(part_of(measures, **cell)["train_accuracy"])[:, 0]


def speed_up(above: xr.Dataset, below: xr.Dataset) -> Any:
    """Steps to 99 % test accuracy in one run over those in another, as censored ratios [seed]."""
    upper, lower = steps_to(above, "test"), steps_to(below, "test")
    if upper.n != lower.n:
        raise NotTestable(f"the runs have {upper.n} and {lower.n} seeds, and cannot be paired")
    return paired_ratios(upper, lower)


# ---------------------------------------------------------------- claims

_claim = partial(Claim, confirmed_on="100-199")
_GROKKED = "over the seeds that reach 99 % test accuracy"
_TENTH = Effect(0.1, "a tenth")
_LAST_ALIGNMENT = partial(last, name="phase_alignment")  # NaN where too few neurons are waves


def _written(
    width: int, value: float, region: Region, kind: Literal["mean", "deterministic"] = "mean"
) -> Claim:
    of = "the mean over drawn phases of the" if kind == "mean" else "for every draw of the phases, the"
    return _claim(
        id=f"M3-{width}",
        name=f"written down, {width} neurons: {value:g}",
        sentence=f"Weights that are written down solve addition the better, the wider: {width} neurons.",
        source="Fig. 4",
        paper_value=f"{value:g} (by another program; the figure is not legible)",
        estimand=f"{of} accuracy of the written-down network with {width} neurons on all 9,409 pairs, p = 97",
        region=region,
        smallest_effect=Effect(0.001, "9 pairs in 9,409"),
        kind=kind,
        experiment="analytic",
        evidence=partial(written_down, width=width),
    )


_WRITTEN = (
    _written(48, 0.881, Region.around(0.881, 0.02)),
    _written(96, 0.997, Region.between(0.992, 1.0)),
    _written(144, 1.0, Region.at_least(0.999), "deterministic"),
    _written(192, 1.0, Region.at_least(0.9999), "deterministic"),
)
_align = partial(
    _claim,
    source="Fig. 3",
    paper_value="a histogram with its peak at 0",
    region=Region.at_least(0.8),
    smallest_effect=_TENTH,
    evidence=_LAST_ALIGNMENT,
)
_ALIGN_AT = (
    "the mean over seeds, in the {}, of the mean of cos(phi1 + phi2 - phi3) over the neurons whose "
    "three blocks have one dominant frequency and whose inverse participation ratio (rfft) is 0.5 or more"
)
_ALIGN = _ALIGN_AT.format("last network")
_sharper = partial(
    _claim,
    source="Fig. 3",
    paper_value="yes",
    region=Region.above(0.02),
    smallest_effect=Effect(0.02, "phases 0.2 rad closer"),
    beside=("gd",),
)
_accuracy = partial(
    _claim,
    region=Region.at_most(0.2),
    smallest_effect=Effect(0.1, "one held-out pair in ten"),
    estimand="the mean over seeds of the best test accuracy within the run",
    evidence=best_accuracy,
)

_CLAIMS = (
    _claim(
        id="M1",
        name="GD without decay groks",
        sentence="Gradient descent on the squared error learns the whole table without regularization.",
        source="Fig. 1",
        paper_value="yes",
        estimand="the share of seeds that reach 99 % test accuracy within the run",
        region=Region.at_least(0.9),
        smallest_effect=ONE_SEED_IN_TEN,
        kind="share",
        experiment="gd",
        evidence=reaches,
    ),
    _claim(
        id="M1-later",
        name="test learned later than train",
        sentence="It generalizes well after it has fitted the training pairs.",
        source="Fig. 1",
        paper_value="yes",
        estimand="the median over seeds of steps to 99 % test accuracy over steps to 99 % training accuracy",
        region=Region.at_least(1.5),
        smallest_effect=Effect(0.25, "a quarter of the steps"),
        kind="median",
        unit="times",
        experiment="gd",
        evidence=ratio_of_splits,
    ),
    _claim(
        id="M2",
        name="the norm grows to generalization",
        sentence="The norm of the weights grows while it generalizes.",
        source="Fig. 1",
        paper_value="yes",
        estimand="the geometric mean over seeds of the norm of all weights at 99 % test accuracy (or at the "
        "end) over that at 99 % training accuracy",
        region=Region.at_least(1.1),
        smallest_effect=Effect(0.05, "a twentieth of the norm"),
        kind="geometric_mean",
        experiment="gd",
        evidence=growth_of_norm,
    ),
    *_WRITTEN,
    _align(
        id="M4-gd",
        name="phases add up: GD",
        sentence="The phases of trained neurons obey phi1 + phi2 = phi3: gradient descent.",
        estimand=_ALIGN,
        experiment="gd",
    ),
    _align(
        id="M4-adamw",
        name="phases add up: AdamW",
        sentence="The same by AdamW.",
        estimand=_ALIGN,
        experiment="adamw",
    ),
    _align(
        id="M4-momentum",
        name="phases add up: momentum",
        sentence="The same by gradient descent with momentum.",
        source="Sec. 3",
        estimand=_ALIGN,
        experiment="momentum",
    ),
    _sharper(
        id="M5",
        name="AdamW's phases are sharper",
        sentence="AdamW fits the phases more sharply than gradient descent.",
        estimand=f"by AdamW less by gradient descent, seed by seed: {_ALIGN}",
        experiment="adamw",
        evidence=partial(difference, of=_LAST_ALIGNMENT),
    ),
    _claim(
        id="M6",
        name="participation rises before grokking",
        sentence="The inverse participation ratio rises before test accuracy does.",
        source="Fig. 5",
        paper_value="from the first steps",
        estimand=f"the geometric mean, {_GROKKED}, of the step at which the mean participation (rfft) has "
        "made a tenth of its rise over steps to 99 % test accuracy",
        region=Region.at_most(0.8),
        smallest_effect=_TENTH,
        kind="geometric_mean",
        experiment="adamw",
        evidence=early_rise,
    ),
    _claim(
        id="M7",
        name="participation speeds up at grokking",
        sentence="Its rise is faster at grokking than before.",
        source="Fig. 5",
        paper_value="yes",
        estimand=f"the geometric mean, {_GROKKED}, of the slope of the mean participation (rfft) from 0.8 to "
        "1.2 times steps to 99 % test accuracy over its mean slope before",
        region=Region.at_least(1.5),
        smallest_effect=Effect(0.25, "a quarter of the slope"),
        kind="geometric_mean",
        unit="times",
        experiment="adamw",
        evidence=acceleration,
    ),
    _claim(
        id="M8",
        name="too little data: no generalization",
        sentence="Below a share of the table it does not generalize, above it does.",
        source="Fig. 4",
        paper_value="yes",
        estimand="the share of seeds that grok from the largest share of the table within the run, and not "
        "from the smallest",
        region=Region.at_least(0.8),
        smallest_effect=ONE_SEED_IN_TEN,
        kind="share",
        experiment="gd-fractions",
        evidence=needs_data,
    ),
    _claim(
        id="M9",
        name="AdamW needs less data than GD",
        sentence="AdamW generalizes from less data than gradient descent.",
        source="Fig. 4",
        paper_value="yes",
        estimand="the geometric mean over seeds of the smallest share of the table from which AdamW groks "
        "within the run over that of gradient descent",
        region=Region.at_most(0.95),
        smallest_effect=Effect(0.05, "a twentieth of the table"),
        kind="geometric_mean",
        experiment="adamw-fractions",
        beside=("gd-fractions",),
        evidence=ratio_of_data,
    ),
    _claim(
        id="M9-steps",
        name="AdamW needs fewer steps than GD",
        sentence="An adaptive optimizer makes grokking earlier.",
        source="Fig. 4, Sec. 3",
        paper_value="yes",
        estimand="the median over seeds of steps to 99 % test accuracy by gradient descent over those "
        "by AdamW",
        region=Region.at_least(1.5),
        smallest_effect=Effect(0.25, "a quarter of the steps"),
        kind="median",
        unit="times",
        experiment="gd",
        beside=("adamw",),
        evidence=speed_up,
    ),
    _accuracy(
        id="M10",
        name="n^3 + n m^2 + m not generalized",
        sentence="n^3 + n m^2 + m is not generalized, even from 90 % of its table.",
        source="Sec. 4",
        paper_value="not above 90 %",
        experiment="hard",
    ),
    _accuracy(
        id="M11",
        name="random features do not grok",
        sentence="With a first layer that is not trained the network does not generalize, even if it is wide "
        "enough to fit the training pairs.",
        source="Sec. 1 (asserted, not tested)",
        setting="own",
        experiment="random-features",
    ),
    _claim(
        id="M12",
        name="n^2 + n m + m^2: loss stays higher",
        sentence="n^2 + n m + m^2 is not generalized as addition is: its test loss stays higher.",
        source="Appendix (by a review: about 97 % accuracy, while the gap of the losses stays open)",
        setting="own",
        estimand="the geometric mean over seeds of the last test loss of AdamW on n^2 + n m + m^2 from 90 % "
        "of the table over that on addition from the share of `adamw`",
        region=Region.at_least(10.0),
        smallest_effect=Effect(2.0, "a factor of two"),
        kind="geometric_mean",
        experiment="quadratic",
        beside=("adamw",),
        evidence=ratio_of_test_loss,
    ),
    _claim(
        id="M13",
        name="(n + m)^2 written down: half right",
        sentence="Of (n + m)^2 the written-down network gets about half: a square has two roots.",
        source="Sec. 2 (text)",
        paper_value="about half",
        estimand="the mean over drawn phases of the accuracy on all 9,409 pairs, p = 97, with 192 neurons",
        region=Region.between(0.45, 0.6),
        smallest_effect=Effect(0.05, "a twentieth of the pairs"),
        experiment="analytic-square",
        evidence=written_down,
    ),
    _claim(
        id="M7-half",
        name="M7 at 50 % test accuracy",
        sentence="M7, around 50 % test accuracy, the middle of the jump.",
        source="Fig. 5",
        setting="own",
        estimand="the geometric mean, over the seeds that reach 50 % test accuracy, of the slope of the mean "
        "participation (rfft) from 0.8 to 1.2 times the steps to it over its mean slope before",
        region=Region.at_least(1.5),
        smallest_effect=Effect(0.25, "a quarter of the slope"),
        kind="geometric_mean",
        unit="times",
        experiment="adamw",
        evidence=lambda m: acceleration(m, 0.5),
    ),
    _sharper(
        id="M5-all",
        name="M5 over all neurons",
        sentence="M5, over all neurons and not those that are nearly waves.",
        setting="own",
        estimand="by AdamW less by gradient descent, seed by seed: the mean over seeds, in the last network, "
        "of the mean of cos(phi1 + phi2 - phi3) over all neurons",
        experiment="adamw",
        evidence=lambda a, b: difference(a, b, lambda m: last(m, "phase_alignment_all")),
    ),
    _sharper(
        id="M5-start",
        name="M5 from a small start",
        sentence="M5, with AdamW from small weights and without the output factor, as in the group's code.",
        setting="own",
        estimand=f"by AdamW from a small start less by gradient descent, seed by seed: {_ALIGN}",
        experiment="adamw-small-start",
        evidence=partial(difference, of=_LAST_ALIGNMENT),
    ),
    _sharper(
        id="M5-grokking",
        name="M5 at the grokking step",
        sentence="M5, in the networks at the step of 99 % test accuracy and not in the last ones.",
        setting="own",
        estimand="by AdamW less by gradient descent, seed by seed: "
        + _ALIGN_AT.format("network at the step of 99 % test accuracy"),
        experiment="adamw",
        evidence=lambda a, b: difference(a, b, alignment_at_grokking),
    ),
    _claim(
        id="M6-joint",
        name="M6 in equation 20's convention",
        sentence="M6, with the participation of equation 20.",
        source="Fig. 5, eq. 20",
        setting="own",
        estimand=f"the geometric mean, {_GROKKED}, of the step at which the mean participation (joint) has "
        "made a tenth of its rise over steps to 99 % test accuracy",
        region=Region.at_most(0.8),
        smallest_effect=_TENTH,
        kind="geometric_mean",
        experiment="adamw",
        evidence=lambda m: early_rise(m, "participation_joint"),
    ),
)

# ---------------------------------------------------------------- figures


def _weights(runs: Mapping[str, RunLike], command: str) -> Drawing:
    """The weights from the first number of six neurons of one seed, before and after, with fitted waves."""
    run: Any = runs["adamw"]
    measures = run.measures
    seed = chosen_seed(measures, None, "weights")
    arrays = run.networks([0, int(measures["step"][-1])], [seed])["hidden_weight"]
    before, after = np.reshape(arrays, (2, *arrays.shape[-3:]))[:, 0]  # [residue, neuron]
    p = len(after)
    spectrum = np.fft.rfft(after, axis=0)
    power = np.abs(spectrum[1:]) ** 2
    chosen = np.argsort(-(power**2).sum(axis=0) / power.sum(axis=0) ** 2)[:: max(1, after.shape[1] // 6)][:6]
    titles = [f"Neuron {neuron}" for neuron in chosen]
    figure, axes = panels(titles, columns=3)
    n = np.arange(p)
    for axis, neuron in zip(axes, chosen, strict=True):
        k = 1 + int(np.argmax(power[:, neuron]))
        wave = 2 / p * np.real(spectrum[k, neuron] * np.exp(2j * np.pi * k * n / p))
        axis.plot(n, before[:, neuron], color=COLOR["other"], linewidth=0.8, label="start")
        axis.plot(n, after[:, neuron], ".", color=COLOR["test"], markersize=3, label="end")
        axis.plot(n, wave, color=COLOR["train"], linewidth=0.9, label="wave of its largest frequency")
        x_label(axis, f"n (k = {k})")
    legend(figure, axes[0])
    small_print(
        figure, f"Seed {seed}, AdamW: six neurons at even ranks of participation, from the largest.", command
    )
    return figure


def _phase_histogram(runs: Mapping[str, RunLike], command: str) -> Drawing:
    titles = {"gd": "Gradient descent", "adamw": "AdamW"}
    figure, axes = panels([f"{title}: phi1 + phi2 - phi3" for title in titles.values()])
    for axis, name in zip(axes, titles, strict=True):
        last = runs[name].measures.isel(step=-1)
        defect, whole = (
            last[one].to_numpy().ravel() for one in ("phase_defect", "neuron_participation_rfft")
        )
        for values, label, color in (
            (defect, "all neurons", COLOR["other"]),
            (defect[whole >= 0.5], "participation of 0.5 or more", COLOR["test"]),
        ):
            axis.hist(
                values[np.isfinite(values)],
                bins=list(np.linspace(-np.pi, np.pi, 41)),
                color=color,
                label=label,
            )
        x_label(axis, "rad")
    legend(figure, axes[0])
    small_print(
        figure,
        *(f"{titles[name]}: {standing(runs[name].measures, spread=False)}" for name in titles),
        command,
    )
    return figure


def _widths_and_data(runs: Mapping[str, RunLike], command: str) -> Drawing:
    figure, axes = panels(["Written down: accuracy", "Share of seeds that grok"])
    analytic = runs["analytic"].measures
    widths = analytic["width"].to_numpy()
    accuracy = [written_down(analytic, width=width) for width in widths]
    axes[0].plot(widths, [np.mean(a) for a in accuracy], "o-", color="black", markersize=3, linewidth=1)
    for width, values in zip(widths, accuracy, strict=True):
        axes[0].plot([width] * len(values), values, ".", color=COLOR["other"], markersize=2, zorder=0)
    x_label(axes[0], "neurons")
    for name, label in (("gd-fractions", "train"), ("adamw-fractions", "test")):
        measures = runs[name].measures.sortby("train_fraction")
        groks = happened_in(measures, "grokking", along="train_fraction").mean(axis=1)
        text = "gradient descent" if name == "gd-fractions" else "AdamW"
        axes[1].plot(
            100 * measures["train_fraction"].to_numpy(),
            groks,
            "o-",
            color=COLOR[label],
            markersize=3,
            label=text,
        )
    axes[1].set_ylim(-0.03, 1.03)
    axes[1].legend(loc="best", fontsize=SMALL, frameon=False)
    x_label(axes[1], "share of the table (%)")
    small_print(figure, "Left: points are draws of the phases, the line is their mean, p = 97.", command)
    return figure


_TRAINING = curves_of(
    "gd",
    ACCURACY,
    CurvePanel(
        "Loss", tuple(CurveLine(f"{split}_loss", split, split) for split in ("train", "test")), log=True
    ),
    CurvePanel("Norm of all weights", (CurveLine("weight_norm", "weights"),)),
)
_STAGES = curves_of(
    "adamw",
    CurvePanel("Participation (rfft, mean of 3 blocks)", (CurveLine("participation_rfft", "participation"),)),
    CurvePanel("Participation (joint, eq. 20)", (CurveLine("participation_joint", "participation"),)),
    ACCURACY,
    times=lambda measures: steps_to(measures, "test").upper,
    mark="99 %",
)
_FIGURES = (
    Figure("figure-1", "Figure 1: accuracy, loss and norm, by gradient descent.", _TRAINING, ("gd",)),
    Figure("figure-2", "Figure 2: the weights of six neurons, before and after.", _weights, ("adamw",)),
    Figure("figure-3", "Figure 3: phases add up, by optimizer.", _phase_histogram, ("gd", "adamw")),
    Figure(
        "figure-4",
        "Figure 4: written-down networks by width; how many seeds grok, by data.",
        _widths_and_data,
        ("analytic", "gd-fractions", "adamw-fractions"),
    ),
    Figure("figure-5", "Figure 5: participation over steps.", _STAGES, ("adamw",)),
)


class GromovModular(Paper):
    """Gromov 2023: modular arithmetic is grokked without regularization, by known weights."""

    kind: Literal["gromov-modular"] = "gromov-modular"
    title = "Grokking modular arithmetic"
    authors = "Andrey Gromov"
    year = 2023
    arxiv = "2301.02679"
    bibtex = """@misc{gromov2023grokking,
  title = {Grokking modular arithmetic},
  author = {Andrey Gromov},
  year = {2023},
  eprint = {2301.02679},
  archivePrefix = {arXiv}
}"""
    reasons: ClassVar[Mapping[str, str]] = {
        "M5": "At grokking AdamW's phases are sharper, by 0.01 (M5-grokking); the order turns after it. The "
        "neurons that are counted (M5-all) and the start (M5-start) are not the reason; the size is open.",
        "M5-all": "See M5: so it is not the choice of neurons.",
        "M5-start": "See M5: so it is not the start.",
        "M5-grokking": "At the grokking step AdamW's phases are sharper, by less than the claim asks for.",
        "M7": "The reduced size: with p = 97 and 500 neurons, as in the paper, it holds (6.4 times).",
        "M7-half": "The reduced size: with p = 97 and 500 neurons it holds (9.2 times).",
    }
    experiments = _EXPERIMENTS
    claims = _CLAIMS
    figures = _FIGURES
