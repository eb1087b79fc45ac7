r"""Emergence in non-neural models: grokking by average gradient outer products (arXiv 2407.20199).

A kernel machine $f(z) = \sum_i \alpha_i k_M(x_i, z)$ interpolates a part of the table of an operator mod p;
then M becomes the square root of the average gradient outer product of f, and so on
(`grokscope.learners.recursive_features.RecursiveFeatures`). Nothing is trained by gradients and the training
loss is 0 at every iteration, yet test accuracy is at chance for some ten iterations and then jumps. What
grows meanwhile is structure in M: its block between the two operands becomes circulant.

This file: the experiments, the evidence, the claims, the figures. The step is the iteration; step 0 is the
kernel before any features are learned. All is computed in float64, but for the network. Profile ``quick`` has
the paper's size (p = 61, half of the table) for the four operators with few seeds, and p = 31 with 60 % of
the table for what needs many. Written from the equations. Of the paper are not here: networks on random
circulant inputs, the penalty on the average gradient outer product, circulant structure enforced in each
iteration.

Claims of kind ``own`` are about what the text leaves open or what differs between it and the authors' code:
the bandwidth of the Gaussian kernel, gradients from which the mean is subtracted, which diagonals are
constant, rounding; and the control with random labels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from grokscope.claims import Claim, Effect, NotTestable, Region, need
from grokscope.experiment import Experiment
from grokscope.learners.recursive_features import RecursiveFeatures
from grokscope.losses import Squared
from grokscope.measures.feature_matrix import CirculantDeviation
from grokscope.models.one_hot_mlp import OneHotMLP
from grokscope.optimizers import AdamW
from grokscope.papers import Figure, Paper, Profile, RunExperiment, RunLike, SweepExperiment, SweepProfile
from grokscope.papers.evidence import (
    curve,
    difference,
    final_value,
    largest_value,
    last,
    part_of,
    ratio,
    steps_of,
    value_at,
)
from grokscope.papers.figures import CurveLine, CurvePanel, curves_of
from grokscope.plots.curves import curve as draw_curve
from grokscope.plots.curves import in_steps, standing
from grokscope.plots.style import COLOR, SMALL, legend, panels, small_print, x_label
from grokscope.spec.events import member_curves
from grokscope.tasks.modular_operator import ModularOperator

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure as Drawing

__all__ = ["RFM"]

# ---------------------------------------------------------------- experiments

_CURVES = ("train_accuracy", "test_accuracy", "train_loss", "test_loss", "correct_class_loss")
_DIRECTIONS = tuple(CirculantDeviation(along=along) for along in ("best", "diagonals", "anti_diagonals"))
_SHOWN = (1, 5, 10, 15, 30)  # iterations whose matrices are stored (Figure 3)
_ITERATIONS = 30
_LEVEL = 0.05  # accuracy from which on it has left chance

_ADDITION = Experiment(
    name="addition",
    epochs=_ITERATIONS,
    batch_size="full",
    precision="float64",
    task=ModularOperator(
        operator="addition", p=61, train_fraction=0.5, operator_token=False, equals_token=False
    ),
    learner=RecursiveFeatures(kernel="quadratic", centered=True),
    loss=Squared(),
    measures=(*_CURVES, *_DIRECTIONS, "neural_feature_matrix"),
    schedule={"slow_measures": _SHOWN},
)
_SMALL = ("task.p=31", "task.train_fraction=0.6")
_SMALL_TEXT = "p = 31 instead of 61, 60 % of the table instead of half"
_GAUSSIAN = _ADDITION.with_(
    learner={"kernel": "gaussian"},
    measures=(*_CURVES, *_DIRECTIONS, "feature_alignment", "kernel_condition"),
    schedule={"slow_measures": "ends"},
)
_FEW_CURVES = "measures=['train_accuracy', 'test_accuracy', 'train_loss', 'circulant_deviation']"
_OPERATORS = ("addition", "subtraction", "multiplication", "division")


def _small(seeds: int, paper: int = 10) -> dict[str, Profile]:
    return {"paper": Profile(seeds=paper), "quick": Profile(seeds, _SMALL, reduced=_SMALL_TEXT)}


def _swept(seeds: int) -> dict[str, Profile]:
    return {"paper": SweepProfile(seeds=10), "quick": SweepProfile(seeds, _SMALL, reduced=_SMALL_TEXT)}


_EXPERIMENTS = (
    *(
        RunExperiment(
            operator,
            f"{operator.capitalize()} mod 61, quadratic kernel, half of the table (Figures 1 to 3).",
            _ADDITION.with_(f"name='{operator}'", f"task.operator='{operator}'"),
            {"paper": Profile(seeds=10), "quick": Profile(seeds=6)},
        )
        for operator in _OPERATORS
    ),
    RunExperiment(
        "gaussian",
        "Addition mod 61, Gaussian kernel with L = 2.5 as in the authors' code.",
        _GAUSSIAN.with_("name='gaussian'"),
        _small(40),
    ),
    SweepExperiment(
        "bandwidth",
        "The same with the bandwidth as in the code, exp(-d / (2 L^2)), and as in the text, exp(-d / L).",
        _GAUSSIAN.with_("name='bandwidth'", _FEW_CURVES),
        _swept(10),
        over=("learner.bandwidth_as=length,scale",),
    ),
    SweepExperiment(
        "centering",
        "Both kernels, with gradients from which their mean is subtracted (code) and without that (text).",
        _GAUSSIAN.with_("name='centering'", _FEW_CURVES),
        _swept(10),
        over=("learner.kernel=quadratic,gaussian", "learner.centered=true,false"),
    ),
    SweepExperiment(
        "random-circulant",
        "Gaussian kernel on random circulant features, and on the one-hot pairs themselves (Figure 4).",
        _GAUSSIAN.with_("name='random-circulant'", "measures=['train_accuracy', 'test_accuracy']"),
        {
            "paper": SweepProfile(seeds=10),
            "quick": SweepProfile(
                6,
                ("task.p=31",),
                reduced="p = 31 instead of 61",
                over=("learner.start=identity,random_circulant", "task.train_fraction=0.3,0.4,0.5"),
            ),
        },
        over=("learner.start=identity,random_circulant", "task.train_fraction=0.1,0.2,0.3,0.4,0.5"),
    ),
    RunExperiment(
        "shuffled",
        "Addition with random training labels, Gaussian kernel: a control.",
        _GAUSSIAN.with_("name='shuffled'", "task.labels='random'", _FEW_CURVES),
        _small(16),
    ),
    RunExperiment(
        "network",
        "Addition by a network with one hidden layer and squares, AdamW with weight decay 1 (Section 4).",
        _ADDITION.with_(
            name="network",
            epochs=450,
            batch_size=32,
            precision="float32",
            learner="gradient",
            # standard deviations of PyTorch's uniform weights; not printed
            model=OneHotMLP(widths=(1024,), stds=(0.0523, 0.018), output_factor=1.0),
            optimizer=AdamW(learning_rate=0.001, weight_decay=1.0),
            measures=("train_accuracy", "test_accuracy", "circulant_deviation", "agop_alignment"),
            schedule={"measures": "every 5 epochs", "slow_measures": "every 50 epochs"},
        ),
        {
            "paper": Profile(seeds=5),
            "quick": Profile(
                4,
                ("task.p=31", "model.widths=[256]", "model.stds=[0.0733, 0.0361]"),
                reduced="p = 31 instead of 61, 256 neurons instead of 1,024",
            ),
        },
    ),
)

# ---------------------------------------------------------------- evidence: one entry per seed


def at_step(measures: xr.Dataset, step: int, name: str = "test_accuracy") -> np.ndarray:
    """A measure after some iterations [seed]."""
    values = curve(measures, name)
    found = np.flatnonzero(steps_of(measures) == step)
    if not len(found):
        raise NotTestable(f"{name} was not measured after {step} iterations")
    return values[:, found[0]]


def before_rise(measures: xr.Dataset) -> np.ndarray:
    """The index [seed] of the last point before test accuracy reaches `_LEVEL`; -1 if there is none."""
    risen = curve(measures, "test_accuracy") >= _LEVEL
    return np.where(risen.any(axis=1), np.argmax(risen, axis=1) - 1, -1)


def jumps(measures: xr.Dataset) -> np.ndarray:
    """Whether test accuracy is at most .05 after 5 iterations and at least .99 at the end [seed]."""
    early, end = at_step(measures, 5), last(measures, "test_accuracy")
    return np.where(np.isnan(early + end), np.nan, (early <= _LEVEL) & (end >= 0.99))


def log_train_loss(measures: xr.Dataset) -> np.ndarray:
    """The decimal logarithm of the largest training loss at any iteration, at least 1e-40 [seed]."""
    return np.log10(np.maximum(largest_value(curve(measures, "train_loss")), 1e-40))


def loss_kept(measures: xr.Dataset) -> np.ndarray:
    """The test loss at `before_rise` over that of the start [seed]."""
    loss, index = curve(measures, "test_loss"), before_rise(measures)
    kept = ratio(loss[np.arange(len(loss)), np.maximum(index, 0)], loss[:, 0])
    return np.where(index < 0, np.nan, kept)


def hidden_progress(measures: xr.Dataset) -> np.ndarray:
    """Share of the circulant deviation's fall from its largest value that is made by `before_rise` [seed]."""
    deviation, index = curve(measures, "circulant_deviation"), before_rise(measures)
    top, end = largest_value(deviation), final_value(deviation)
    here = deviation[np.arange(len(index)), np.maximum(index, 0)]
    return np.where((index < 0) | (top <= end), np.nan, (top - here) / np.where(top > end, top - end, 1))


def linearity(measures: xr.Dataset) -> np.ndarray:
    """R^2 of a line through the circulant deviation from its largest value to `before_rise` [seed]."""
    deviation, index, steps = (
        curve(measures, "circulant_deviation"),
        before_rise(measures),
        steps_of(measures),
    )
    found = np.full(len(index), np.nan)
    for i, end in enumerate(index):
        if end < 0 or np.isnan(deviation[i]).all():
            continue
        begin = int(np.nanargmax(deviation[i]))
        y = deviation[i, begin : end + 1]
        if len(y) >= 4 and np.ptp(y) > 0:
            found[i] = np.corrcoef(steps[begin : end + 1], y)[0, 1] ** 2
    return found


def unordered_deviation(measures: xr.Dataset) -> np.ndarray:
    """The smaller deviation of the two directions, last matrix, residues in their usual order [seed]."""
    from grokscope.measures.feature_matrix import circulant_deviation

    need(measures, "train_accuracy", "test_accuracy", "neural_feature_matrix")
    matrix = measures["neural_feature_matrix"].isel(step=-1).transpose("seed", "feature", "other_feature")
    blocks = matrix.to_numpy().reshape(-1, *matrix.shape[-2:])
    p = blocks.shape[-1] // 2
    found = [min(float(circulant_deviation(one[p + 1 :, 1:p], sign)) for sign in (1, -1)) for one in blocks]
    return np.array(found)


def deviation_at_generalization(measures: xr.Dataset) -> np.ndarray:
    """The circulant deviation at the first measured step with a test accuracy of .99 [seed]."""
    return value_at(measures, curve(measures, "circulant_deviation"), first_at(measures, 0.99))


def first_at(measures: xr.Dataset, level: float = 0.9) -> np.ndarray:
    """The first measured step with this test accuracy; infinite if none [seed]."""
    accuracy = curve(measures, "test_accuracy")
    reached = accuracy >= level
    steps = np.where(reached.any(axis=1), steps_of(measures)[np.argmax(reached, axis=1)], np.inf)
    return np.where(np.isnan(accuracy).all(axis=1), np.nan, steps)


def bandwidth_ratio(measures: xr.Dataset) -> np.ndarray:
    """The first iteration with accuracy .9 by the text's bandwidth over that by the code's [seed]."""
    text, code = (first_at(part_of(measures, bandwidth_as=one)) for one in ("scale", "length"))
    return ratio(text, code)


def gain_of_centering(measures: xr.Dataset, kernel: str) -> np.ndarray:
    """Final test accuracy with the mean of the gradients subtracted less that without [seed]."""
    cells = (part_of(measures, kernel=kernel, centered=one) for one in (True, False))
    return difference(*cells, of=lambda cell: last(cell, "test_accuracy"))


def start_accuracy(measures: xr.Dataset, start: str, fraction: float) -> np.ndarray:
    """Test accuracy of the kernel at the start in a cell of the sweep [seed]."""
    return at_step(part_of(measures, start=start, train_fraction=fraction), 0)


def gain_of_circulant(measures: xr.Dataset, fraction: float = 0.4) -> np.ndarray:
    """Test accuracy of the kernel on random circulant features less that on one-hot pairs [seed]."""
    circulant, identity = (
        start_accuracy(measures, one, fraction) for one in ("random_circulant", "identity")
    )
    return circulant - identity


def log_condition(measures: xr.Dataset) -> np.ndarray:
    """The decimal logarithm of the larger condition number of the two measured [seed]."""
    return np.log10(np.maximum(largest_value(curve(measures, "kernel_condition")), 1))


# ---------------------------------------------------------------- claims

_claim = partial(Claim, kind="mean", fixed_on="0-2", confirmed_on="100-199")
# Medians: often all seeds are equal, at 0 or at 1, and then a mean has no interval.
_accuracy = partial(_claim, kind="median", smallest_effect=Effect(0.03, "three pairs in a hundred"))
_deviation = partial(_claim, smallest_effect=Effect(0.02, "a fiftieth of unstructured noise"))
_FINAL = f"after {_ITERATIONS} iterations"


_BY_LOGARITHM = ("multiplication", "division")


def _of_operators(make: Callable[[str, str], Claim]) -> tuple[Claim, ...]:
    """A claim for each operator; ``make`` gets it, and F2 or F3."""
    return tuple(make(operator, "F3" if operator in _BY_LOGARITHM else "F2") for operator in _OPERATORS)


_CLAIMS = (
    _claim(
        id="F1",
        name="training loss is 0 throughout",
        sentence="The training loss is zero at every iteration.",
        source="Section 3; Figure 2A",
        paper_value="0",
        estimand="the mean over seeds of the decimal logarithm of the largest training loss at any iteration",
        region=Region.at_most(-8.0),
        smallest_effect=Effect(1.0, "a factor of 10"),
        experiment="addition",
        evidence=log_train_loss,
    ),
    *_of_operators(
        lambda operator, number: _accuracy(
            id=f"{number}-early-{operator}",
            name=f"{operator}: chance at first",
            sentence=f"Test accuracy of {operator} is near zero for the first iterations.",
            source="Figures 1 and 2A",
            paper_value="near 0",
            estimand="the median over seeds of the test accuracy after 5 iterations",
            region=Region.at_most(_LEVEL),
            experiment=operator,
            evidence=partial(at_step, step=5),
        )
    ),
    *_of_operators(
        lambda operator, number: _accuracy(
            id=f"{number}-{operator}",
            name=f"{operator}: generalizes",
            sentence=f"And {operator} ends at perfect test accuracy.",
            source="Figures 1 and 2A",
            paper_value=1.0,
            estimand=f"the median over seeds of the test accuracy {_FINAL}",
            region=Region.at_least(0.99),
            experiment=operator,
            evidence=partial(last, name="test_accuracy"),
        )
    ),
    _claim(
        id="F2-share",
        name="every seed jumps",
        sentence="Test accuracy jumps from chance to 100 %.",
        source="Figures 1 and 2A; with the Gaussian kernel",
        paper_value="yes",
        estimand="the share of seeds with a test accuracy of at most .05 after 5 iterations and at least .99 "
        f"{_FINAL}",
        region=Region.at_least(0.9),
        smallest_effect=Effect(0.1, "one seed in ten"),
        kind="share",
        experiment="gaussian",
        evidence=jumps,
    ),
    _claim(
        id="F4",
        name="test loss is flat until then",
        sentence="The test loss does not predict it: it is flat until accuracy rises.",
        source='Figure 2A ("first 8 iterations")',
        paper_value="constant",
        estimand="the mean over seeds of the test loss at the last iteration before test accuracy is .05, "
        "over "
        "that of the first kernel",
        region=Region.at_least(0.85),
        smallest_effect=Effect(0.05, "a twentieth of the loss"),
        experiment="addition",
        evidence=loss_kept,
    ),
    _claim(
        id="F5",
        name="circulant structure comes first",
        sentence="The circulant deviation falls before accuracy moves.",
        source="Figure 2B",
        paper_value="gradual, nearly linear",
        estimand="the mean over seeds of the share of the deviation's fall from its largest value that is "
        "made at "
        "the last iteration before test accuracy is .05",
        region=Region.at_least(0.2),
        smallest_effect=Effect(0.1, "a tenth of the fall"),
        experiment="addition",
        evidence=hidden_progress,
    ),
    _claim(
        id="F5-line",
        name="it falls nearly linearly",
        sentence="And it does so nearly linearly.",
        source="Figure 2B",
        paper_value="nearly linear",
        estimand="the mean over seeds of R^2 of a line through the deviation from its largest value to the "
        "last "
        "iteration before test accuracy is .05",
        region=Region.at_least(0.9),
        smallest_effect=Effect(0.05, "a twentieth of the variance"),
        experiment="addition",
        evidence=linearity,
    ),
    *_of_operators(
        lambda operator, _: _deviation(
            id=f"F6-{operator}",
            name=f"{operator}: ends block-circulant",
            sentence=f"The features of {operator} end block-circulant"
            + (
                ", after residues are re-ordered by the discrete logarithm."
                if operator in _BY_LOGARITHM
                else "."
            ),
            source="Observation 1; Figure 3",
            paper_value="circulant",
            estimand=f"the mean over seeds of the circulant deviation {_FINAL}",
            region=Region.at_most(0.05),
            experiment=operator,
            evidence=partial(last, name="circulant_deviation"),
        )
    ),
    _deviation(
        id="F6-unordered",
        name="multiplication: needs the logarithm",
        sentence="In the usual order of the residues the features of multiplication have no such structure.",
        source="Figure 3",
        paper_value="not circulant",
        estimand="the mean over seeds of the circulant deviation of the last matrix without re-ordering, "
        "zero left "
        "out",
        region=Region.at_least(0.9),
        experiment="multiplication",
        evidence=unordered_deviation,
    ),
    _accuracy(
        id="F7",
        name="random circulant features generalize",
        sentence="On random circulant features a fixed kernel generalizes, and not on one-hot pairs.",
        source="Figure 4",
        paper_value="yes",
        estimand="the median over seeds of the test accuracy of the Gaussian kernel from 40 % of the table "
        "on random circulant features, less that on one-hot pairs",
        region=Region.at_least(0.5),
        experiment="random-circulant",
        evidence=gain_of_circulant,
    ),
    _deviation(
        id="F8",
        name="a network's features are circulant",
        sentence="Networks learn block-circulant features, too.",
        source="Section 4",
        paper_value="circulant",
        estimand="the mean over seeds of the circulant deviation of the last neural feature matrix",
        region=Region.at_most(0.15),
        experiment="network",
        evidence=partial(last, name="circulant_deviation"),
    ),
    _claim(
        id="F8-alignment",
        name="and proportional to sqrt(AGOP)",
        sentence="Their neural feature matrix correlates with the square root of the average gradient outer "
        "product.",
        source="Section 4",
        paper_value="correlated",
        estimand="the mean over seeds of the cosine of the two matrices in the last network",
        region=Region.at_least(0.8),
        smallest_effect=Effect(0.05, "a twentieth of the cosine"),
        experiment="network",
        evidence=partial(last, name="agop_alignment"),
    ),
    _claim(
        id="F8-start",
        name="so they are before training",
        sentence="But the cosine is as high before any training, so that it is no sign of what was learned.",
        source="Section 4 (the control is missing)",
        estimand="the mean over seeds of the cosine of the two matrices in the initial network",
        region=Region.at_least(0.8),
        smallest_effect=Effect(0.05, "a twentieth of the cosine"),
        experiment="network",
        evidence=partial(at_step, step=0, name="agop_alignment"),
        setting="own",
    ),
    _claim(
        id="F8-late",
        name="a network generalizes before that",
        sentence="And in a network the features become circulant only after it has generalized.",
        source="Section 4 (not reported)",
        estimand="the mean over seeds of the circulant deviation at the first measured step with a test "
        "accuracy of .99",
        region=Region.at_least(0.5),
        smallest_effect=Effect(0.1, "a tenth of unstructured noise"),
        experiment="network",
        evidence=deviation_at_generalization,
        setting="own",
    ),
    _claim(
        id="F9",
        name="the code's bandwidth is faster",
        sentence="The bandwidth of the text and that of the code are two kernels: the text's learns more "
        "slowly.",
        source="Section 2 (text), against the authors' code",
        estimand="the geometric mean over seeds of the first iteration with test accuracy .9 by exp(-d/L), "
        "over "
        "that by exp(-d/(2 L^2)), L = 2.5",
        region=Region.at_least(1.05),
        smallest_effect=Effect(0.05, "one iteration in twenty"),
        kind="geometric_mean",
        experiment="bandwidth",
        evidence=bandwidth_ratio,
        setting="own",
    ),
    _accuracy(
        id="F10-quadratic",
        name="quadratic: centering has no effect",
        sentence="With the quadratic kernel it makes no difference that the code subtracts the mean of the "
        "gradients.",
        source="equation 4, against the authors' code",
        estimand=f"the median over seeds of the test accuracy {_FINAL} with the mean subtracted, less that "
        "without",
        region=Region.around(0.0, 0.05),
        experiment="centering",
        evidence=partial(gain_of_centering, kernel="quadratic"),
        setting="own",
    ),
    _accuracy(
        id="F10-gaussian",
        name="Gaussian: centering is needed",
        sentence="With the Gaussian kernel the algorithm as printed, without the mean, learns much less.",
        source="equation 4, against the authors' code",
        estimand=f"the median over seeds of the test accuracy {_FINAL} with the mean subtracted, less that "
        "without",
        region=Region.at_least(0.2),
        experiment="centering",
        evidence=partial(gain_of_centering, kernel="gaussian"),
        setting="own",
    ),
    _accuracy(
        id="F11",
        name="shuffled: chance",
        sentence="With random training labels nothing is learned of the test labels.",
        source="control",
        estimand=f"the median over seeds of the test accuracy {_FINAL}; chance is 1/p",
        region=Region.at_most(0.06),
        experiment="shuffled",
        evidence=partial(last, name="test_accuracy"),
        setting="own",
    ),
    _deviation(
        id="F11-deviation",
        name="shuffled: no circulant structure",
        sentence="And the features do not become circulant.",
        source="control",
        estimand=f"the mean over seeds of the circulant deviation {_FINAL}",
        region=Region.at_least(0.5),
        experiment="shuffled",
        evidence=partial(last, name="circulant_deviation"),
        setting="own",
    ),
    _deviation(
        id="F12",
        name="addition: not along anti-diagonals",
        sentence="Which diagonals are constant is the operator's: of addition not the anti-diagonals.",
        source='Observation 1 ("circulant" for all operators)',
        estimand=f"the mean over seeds of the deviation from constant anti-diagonals {_FINAL}",
        region=Region.at_least(0.8),
        experiment="addition",
        evidence=partial(last, name="circulant_deviation_anti_diagonals"),
        setting="own",
    ),
    _deviation(
        id="F12-subtraction",
        name="subtraction: not along diagonals",
        sentence="And of subtraction not the diagonals.",
        source='Observation 1 ("circulant" for all operators)',
        estimand=f"the mean over seeds of the deviation from constant diagonals {_FINAL}",
        region=Region.at_least(0.8),
        experiment="subtraction",
        evidence=partial(last, name="circulant_deviation_diagonals"),
        setting="own",
    ),
    _claim(
        id="F13",
        name="the ridgeless solution is safe",
        sentence="The linear systems without ridge are well conditioned in float64.",
        source="not reported",
        estimand="the mean over seeds of the decimal logarithm of the larger condition number of the first "
        "and the "
        "last kernel matrix",
        region=Region.at_most(8.0),
        smallest_effect=Effect(1.0, "a digit"),
        experiment="gaussian",
        evidence=log_condition,
        setting="own",
    ),
)

# ---------------------------------------------------------------- figures


def _axis_of_steps(axis: Any) -> None:
    axis.set_xlim(0, _ITERATIONS)
    x_label(axis, "iteration")


def _matrices(axes: list[Any], blocks: list[np.ndarray]) -> None:
    for axis, block in zip(axes, blocks, strict=True):
        limit = float(np.percentile(np.abs(block), 99)) or 1.0
        axis.imshow(block, cmap="RdBu_r", vmin=-limit, vmax=limit, interpolation="nearest")
        axis.set_xticks([])
        axis.set_yticks([])


def _stored(run: RunLike, step: int) -> np.ndarray:
    """The feature matrix of the first seed after some iterations, without its diagonal."""
    need(run.measures, "neural_feature_matrix")
    matrix = run.measures["neural_feature_matrix"].isel(seed=0).sel(step=step).to_numpy().copy()
    if np.isnan(matrix).any():
        raise NotTestable(f"the feature matrix was not stored at iteration {step}")
    np.fill_diagonal(matrix, 0.0)
    return matrix


def _first_seed(measures: xr.Dataset) -> str:
    return f"Seed {int(measures['seed'].to_numpy()[0])}."


def _emergence(runs: Mapping[str, RunLike], command: str) -> Drawing:
    run = runs["addition"]
    accuracy = member_curves(run.measures["test_accuracy"])[0]
    figure, axes = panels([f"{step}: {100 * accuracy[step]:.0f} %" for step in _SHOWN], height=1.2)
    _matrices(axes, [_stored(run, step) for step in _SHOWN])
    text = "The feature matrix M without its diagonal; iteration and test accuracy. Each has its own scale."
    small_print(figure, f"{text} {_first_seed(run.measures)}", command)
    return figure


def _ordering(runs: Mapping[str, RunLike], command: str) -> Drawing:
    titles = [f"{name}, {how}" for name in _BY_LOGARITHM for how in ("usual order", "by log")]
    figure, axes = panels(titles, height=1.6)
    blocks: list[np.ndarray] = []
    for name in _BY_LOGARITHM:
        run = runs[name]
        task = run.experiment.task
        assert isinstance(task, ModularOperator)
        order, matrix = task.cyclic_order, _stored(run, _ITERATIONS)
        assert order is not None
        first, second = order.places
        blocks += [matrix[np.ix_(np.sort(second), np.sort(first))], matrix[np.ix_(second, first)]]
    _matrices(axes, blocks)
    text = "The block of M of the second (rows) and the first operand (columns), without 0, at the end."
    small_print(figure, f"{text} {_first_seed(runs[_BY_LOGARITHM[0]].measures)}", command)
    return figure


_ROWS = (
    ("test accuracy", "test_accuracy", "test"),
    ("test loss", "test_loss", "test"),
    ("loss of the correct class", "correct_class_loss", "test"),
    ("circulant deviation", "circulant_deviation", "norm_matched"),
)


def _curves(runs: Mapping[str, RunLike], command: str) -> Drawing:
    figure, axes = panels([f"{row[0]}" for row in _ROWS], columns=2, height=1.5)
    dashes = dict(zip(_OPERATORS, ("solid", "dashed", "dotted", "dashdot"), strict=True))
    for axis, (_, name, color) in zip(axes, _ROWS, strict=True):
        for operator, line in dashes.items():
            values = in_steps(runs[operator].measures).get(name)
            draw_curve(axis, values, color, operator, color=COLOR[color], linestyle=line)
        axis.set_ylim(bottom=0)
        _axis_of_steps(axis)
    legend(figure, axes[0])
    small_print(figure, standing(runs["addition"].measures), command)
    return figure


def _circulant(runs: Mapping[str, RunLike], command: str) -> Drawing:
    measures = runs["random-circulant"].measures
    figure, (axis,) = panels(["Test accuracy of a fixed kernel, and after the iterations"])
    lines = {
        "random circulant features, fixed": ("random_circulant", 0, "test"),
        "one-hot pairs, fixed": ("identity", 0, "train"),
        f"one-hot pairs, {_ITERATIONS} iterations": ("identity", -1, "norm_matched"),
    }
    for label, (start, point, color) in lines.items():
        values = part_of(measures, start=start)["test_accuracy"].isel(step=point)
        values = values.transpose("train_fraction", "seed")
        fractions, array = values["train_fraction"].to_numpy(), values.to_numpy()
        axis.plot(
            fractions, np.nanmean(array, axis=1), color=COLOR[color], label=label, marker="o", markersize=3
        )
        axis.fill_between(
            fractions, *np.nanpercentile(array, [10, 90], axis=1), color=COLOR[color], alpha=0.18, linewidth=0
        )
    axis.set_ylim(-0.03, 1.03)
    x_label(axis, "share of the table in the training set")
    axis.legend(loc="upper left", fontsize=SMALL, frameon=False)
    band = "Mean and band from the 10th to the 90th percentile over seeds."
    small_print(figure, f"{band} {standing(measures, spread=False)}", command)
    return figure


_NETWORK = (
    CurvePanel(
        "Accuracy",
        (CurveLine("train_accuracy", "train", "train"), CurveLine("test_accuracy", "test", "test")),
    ),
    CurvePanel(
        "Features",
        (
            CurveLine("circulant_deviation", "circulant deviation", "norm_matched"),
            CurveLine("agop_alignment", "cosine with sqrt(AGOP)", "black"),
        ),
    ),
)

_FIGURES = (
    Figure("figure-1", "Figure 1: features and accuracy of addition.", _emergence, ("addition",)),
    Figure("figure-2", "Figure 2: what moves before accuracy does.", _curves, _OPERATORS),
    Figure("figure-3", "Figure 3: re-ordered by the discrete logarithm.", _ordering, _BY_LOGARITHM),
    Figure("figure-4", "Figure 4: random circulant features.", _circulant, ("random-circulant",)),
    Figure("figure-5", "A network (Section 4).", curves_of("network", *_NETWORK), ("network",)),
)


class RFM(Paper):
    """Mallinar et al. 2024: kernel machines that learn features grok, without gradient descent."""

    kind: Literal["rfm"] = "rfm"
    title = "Emergence in non-neural models: grokking modular arithmetic via average gradient outer product"
    authors = (
        "Neil Mallinar, Daniel Beaglehole, Libin Zhu, Adityanarayanan Radhakrishnan, Parthe Pandit, "
        "Mikhail Belkin"
    )
    year = 2024
    arxiv = "2407.20199"
    bibtex = """@misc{mallinar2024emergence,
  title = {Emergence in non-neural models: grokking modular arithmetic via average gradient outer product},
  author = {Neil Mallinar and Daniel Beaglehole and Libin Zhu and Adityanarayanan Radhakrishnan and
            Parthe Pandit and Mikhail Belkin},
  year = {2024},
  eprint = {2407.20199},
  archivePrefix = {arXiv}
}"""
    experiments = _EXPERIMENTS
    claims = _CLAIMS
    figures = _FIGURES
