r"""Feature emergence via margin maximization (arXiv 2311.07568).

Networks with one hidden layer, without biases, learn whole tables: addition mod p, a parity of 4 of 10 bits,
the composition of permutations. The loss is cross-entropy plus a small penalty
$\lambda \lVert \theta \rVert_{2,\nu}^\nu$. The theorems give the largest normalized margin that any network
of any width has, and what its neurons look like: waves of one frequency, the hidden bits with equal weights,
one irreducible representation. Training gets there. No data are held out, and nothing is said about delay.

This file: the theorems' numbers, the experiments, the evidence, the claims, the figures. Runs are in
float64, the large ones (addition at p = 71, S5) in float32. Printed in the paper: the activations, widths,
steps, rates with the steps at which they double, and penalties. Not printed: the initial weights; ours are
from N(0, 0.01), for parity those of PyTorch.

Profile ``quick``: addition at p = 23 with 200 neurons and 15,000 steps; parity and S3 are those of the paper.

Claims of kind ``own`` are controls that the paper lacks: networks with given weights, a sparse one that has
the largest margin and a dense one that computes the same function with a smaller margin; and the margin when
a part of the table is held out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from grokscope.claims import Claim, Effect, NotTestable, Region, need
from grokscope.experiment import Experiment
from grokscope.losses import CrossEntropy, NeuronNormPenalty
from grokscope.models.fully_connected import FullyConnected
from grokscope.models.one_hot_mlp import OneHotMLP
from grokscope.optimizers import SGD, Steps
from grokscope.papers import (
    Figure,
    Paper,
    Profile,
    RunExperiment,
    RunLike,
    SweepExperiment,
    SweepProfile,
    recorded_every,
)
from grokscope.papers.evidence import ratio
from grokscope.plots.curves import curve as draw_curve
from grokscope.plots.curves import in_steps, seeds_text
from grokscope.plots.style import COLOR, SMALL, legend, panels, small_print, x_label
from grokscope.spec.events import diverged_steps, member_curves
from grokscope.tasks.groups import symmetric_characters
from grokscope.tasks.modular_operator import ModularOperator
from grokscope.tasks.parity_table import ParityTable
from grokscope.tasks.permutation_operator import PermutationOperator

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure as Drawing

__all__ = ["MarginMaximization"]

# ---------------------------------------------------------------- the largest margins (Theorems 7, 8, 9)

_BITS, _HIDDEN_BITS = 10, 4


def largest_of_addition(p: int) -> float:
    r"""$\sqrt{2/27} / (\sqrt p (p - 1))$: addition mod p, activation $z^2$ (Theorem 7).

    Example:
        >>> round(largest_of_addition(23), 11)
        0.00257956524
    """
    return math.sqrt(2 / 27) / (math.sqrt(p) * (p - 1))


def largest_of_parity(k: int) -> float:
    r"""$k! \sqrt{2 (k + 1)^{-(k + 1)}}$: a parity of k bits, activation $z^k$, two outputs (Theorem 8).

    Example:
        >>> round(largest_of_parity(4), 4)
        0.6072
    """
    return math.factorial(k) * math.sqrt(2 * (k + 1.0) ** -(k + 1))


def largest_of_group(degree: int) -> float:
    r"""$2 / (3 \sqrt{3 |G|} \sum d^{5/2})$, $G = S_n$, d over non-trivial irreps, $z^2$ (Theorem 9).

    The theorem asks for $\sum d^{3/2} \chi(C) < 0$ in every class C but the identity, which holds to n = 5.

    Example:
        >>> round(largest_of_group(3), 6)
        0.023605
    """
    dimensions = symmetric_characters(degree)[1:, 0].astype(float)
    return 2 / (3 * math.sqrt(3 * math.factorial(degree))) / float(np.sum(dimensions**2.5))


# ---------------------------------------------------------------- experiments (Section 7, Appendix B)

_PAIRS: dict[str, Any] = {"train_fraction": 1.0, "operator_token": False, "equals_token": False}
_CURVES = ("train_accuracy", "train_loss", "normalized_margin")
_WAVES = (*_CURVES, "phase_alignment", "neuron_frequency_power", "neurons_per_frequency", "neuron_norm")
_IRREPS = (*_CURVES, "neuron_irrep_power", "neurons_per_irrep", "neuron_norm")
_BITS_OF_NEURONS = (*_CURVES, "hidden_bit_share", "hidden_bit_spread", "neuron_norm")


def _spec(name: str, **parts: Any) -> Experiment:
    """Full-batch gradient descent in float64, by default at a rate of 0.05 that doubles ten times."""
    usual: dict[str, Any] = {
        "batch_size": "full",
        "precision": "float64",
        "loss": CrossEntropy(),
        "optimizer": SGD(learning_rate=0.05, schedule=Steps(at=tuple(range(1000, 10_001, 1000)), by=2.0)),
    }
    return Experiment(name=name, **{**usual, **parts}).with_(*recorded_every(500), "schedule.follow='ends'")


def _permutations(degree: int, width: int, strength: float, **parts: Any) -> Experiment:
    doubled = (*range(200, 2601, 200), 5000, 10_000)
    usual: dict[str, Any] = {
        "steps": 50_000,
        "optimizer": SGD(learning_rate=0.05, schedule=Steps(at=doubled, by=2.0)),
        "measures": _IRREPS,
    }
    return _spec(
        f"s{degree}",
        task=PermutationOperator(degree=degree, **_PAIRS),
        model=OneHotMLP(widths=(width,), stds=(0.1,), output_factor=1.0),
        penalty=NeuronNormPenalty(power=3.0, strength=strength),
        **{**usual, **parts},
    )


_ADDITION = _spec(
    "addition",
    steps=40_000,
    task=ModularOperator(operator="addition", p=71, **_PAIRS),
    model=OneHotMLP(widths=(500,), stds=(0.1,), output_factor=1.0),
    penalty=NeuronNormPenalty(power=3.0, strength=1e-4),
    precision="float32",  # as S5: in float64 a step takes four to five times as long
    measures=_WAVES,
)
_RELU = _ADDITION.with_(
    "name='addition-relu'",
    "model.activation='relu'",
    "penalty={kind='parameter_norm', power=2.0, strength=1e-4}",
)
_PARITY = _spec(
    "parity",
    steps=30_000,
    task=ParityTable(n=_BITS, k=_HIDDEN_BITS),
    model=FullyConnected(width=40, activation="quartic"),
    penalty=NeuronNormPenalty(power=5.0, strength=1e-3),
    optimizer=SGD(learning_rate=0.1),
    interventions=[{"kind": "ablate", "parameters": ["hidden_bias"]}],
    measures=_BITS_OF_NEURONS,
)
_GIVEN = _ADDITION.with_(
    "task.p=23",
    "model.p=23",
    "steps=1",
    "learner.kind='still'",
    "penalty.kind='none'",
    "model.kind='modular_construction'",
    "precision='float64'",
)

_SMALL_P = 23
_SMALLER = (f"task.p={_SMALL_P}", "model.widths=[200]", "steps=15_000", "precision='float64'")
_REDUCED = "p = 23 instead of 71, 200 neurons instead of 500, 15,000 steps instead of 40,000"


def _runs(name: str, sentence: str, spec: Experiment, seeds: tuple[int, int], **more: Any) -> RunExperiment:
    """An experiment whose profiles differ only in the number of seeds."""
    profiles = {"paper": Profile(seeds=seeds[0]), "quick": Profile(seeds=seeds[1])}
    return RunExperiment(name, sentence, spec.with_(f"name='{name}'"), profiles, **more)


def _addition(name: str, sentence: str, spec: Experiment) -> RunExperiment:
    profiles = {
        "paper": Profile(seeds=3),
        "quick": Profile(seeds=10, overrides=_SMALLER, reduced=_REDUCED),
    }
    return RunExperiment(name, sentence, spec, profiles)


_EXPERIMENTS = (
    _addition("addition", "Addition mod p, activation z^2, penalty L_{2,3} (Figures 1, 2, 4, 7).", _ADDITION),
    _addition("addition-relu", "The same with relu and an L2 penalty (Figure 4).", _RELU),
    _runs(
        "parity",
        "A parity of 4 of 10 bits, activation z^4, penalty L_{2,5} (Figures 1, 5).",
        _PARITY,
        (10, 10),
    ),
    _runs("s3", "Composition in S3, 30 neurons (Figures 1, 8).", _permutations(3, 30, 1e-7), (10, 10)),
    _runs("s4", "Composition in S4, 200 neurons (Appendix B).", _permutations(4, 200, 1e-7), (5, 3)),
    _runs(
        "s5",
        "Composition in S5, 2,000 neurons, in batches of 1,000 (Appendix B). Some 30 core-minutes a seed.",
        _permutations(
            5,
            2000,
            1e-5,
            steps=75_000,
            batch_size=1000,
            precision="float32",
            optimizer=SGD(learning_rate=0.05, schedule=Steps(at=tuple(range(3000, 24_001, 3000)), by=2.0)),
        ),
        (3, 3),
        default=False,
    ),
    SweepExperiment(
        "addition-split",
        "Addition mod 23 from a part of the table, the rest held out (not in the paper).",
        _ADDITION.with_(
            *_SMALLER,
            "name='addition-split'",
            "task.train_fraction=0.7",
            f"measures={[*_CURVES, 'test_accuracy', 'test_loss']}",
        ),
        {"paper": SweepProfile(seeds=10), "quick": SweepProfile(seeds=5)},
        over=("task.train_fraction=0.3,0.5,0.7,0.9",),
    ),
    _runs(
        "waves",
        "A network of given weights: all frequencies, with six by six phases (Theorem 7).",
        _GIVEN,
        (1, 1),
        most_seeds=1,
    ),
    _runs(
        "pairs",
        "A network of given weights: two neurons for each pair (Appendix D).",
        _GIVEN.with_("model.construction='pairs'"),
        (1, 1),
        most_seeds=1,
    ),
)

# ---------------------------------------------------------------- evidence: one entry per seed

_ALIVE = 0.01  # norm of a neuron that counts, as a share of the largest
_LARGE = 0.5  # of one that is not on its way to 0
_GENERALIZES = 0.99  # test accuracy


def last(measures: xr.Dataset, name: str) -> np.ndarray:
    """A measure of the last networks [seed, ...]; NaN where a seed was not trained to the end, or diverged.

    Raises:
        NotTestable: if no seed has it.
    """
    need(measures, name)
    values = measures[name].isel(step=-1).to_numpy().astype(np.float64)
    if np.isnan(values).all():
        raise NotTestable(f"{name} was measured for no seed at the last step")
    return values


def largest_margin(measures: xr.Dataset) -> float:
    """The largest margin that there is for a task, which is known by the axes of its measures.

    Raises:
        NotTestable: if there are none of these axes.
    """
    if "frequency" in measures.sizes:
        return largest_of_addition(_modulus(measures))
    if "irrep" in measures.sizes:
        return largest_of_group(_degree(measures))
    if "hidden_bit_share" in measures:
        return largest_of_parity(_HIDDEN_BITS)
    raise NotTestable("the measures by which the task is known are missing")


def _modulus(measures: xr.Dataset) -> int:
    """The modulus, which is odd: frequencies are 1 to (p - 1) / 2."""
    return 2 * measures.sizes["frequency"] + 1


def _degree(measures: xr.Dataset) -> int:
    """The n of S_n, by which the trivial irrep is labeled."""
    return int(str(measures["irrep"].to_numpy()[0]))


def margin_ratio(measures: xr.Dataset) -> np.ndarray:
    """Normalized margin of the last network over the largest one [seed]; 0 for a seed that diverged."""
    values = last(measures, "normalized_margin") / largest_margin(measures)
    return np.where(np.isfinite(diverged_steps(measures)), 0.0, values)


def highest_ratio(*runs: xr.Dataset) -> np.ndarray:
    """The largest ratio at any measured step [seed of any run]."""
    found: list[np.ndarray] = []
    for measures in runs:
        need(measures, "normalized_margin")
        curves = member_curves(measures["normalized_margin"]) / largest_margin(measures)
        found.append(np.nanmax(curves[~np.isnan(curves).all(axis=1)], axis=1))
    if not any(map(len, found)):
        raise NotTestable("normalized_margin was measured for no seed")
    return np.concatenate(found)


def _median_of(values: np.ndarray, norm: np.ndarray, above: float = _ALIVE) -> np.ndarray:
    """Median over the neurons whose norm is at least a share of the largest: [seed, neuron] to [seed]."""
    counts = norm >= above * norm.max(axis=1, keepdims=True)
    return np.array(
        [np.median(one[of]) if of.any() else np.nan for one, of in zip(values, counts, strict=True)]
    )


def frequency_power(measures: xr.Dataset, block: str | None = None) -> np.ndarray:
    """Median over neurons of the largest normalized power in the last network [seed].

    Args:
        measures: of a run.
        block: of the weights; None: the mean over the three blocks.
    """
    power = last(measures, "neuron_frequency_power")
    blocks = [str(one) for one in measures["block"].to_numpy()]
    return _median_of(
        power.mean(axis=1) if block is None else power[:, blocks.index(block)], last(measures, "neuron_norm")
    )


def frequencies_used(measures: xr.Dataset) -> np.ndarray:
    """Share of the frequencies that have a neuron in the last network [seed]."""
    counts = last(measures, "neurons_per_frequency")
    return np.where(np.isnan(counts).any(axis=1), np.nan, (counts > 0).mean(axis=1))


def share_on_hidden_bits(measures: xr.Dataset) -> np.ndarray:
    """Share of all squared incoming weights that is on the hidden bits, in the last network [seed]."""
    squares = last(measures, "neuron_norm") ** 2
    return ratio((last(measures, "hidden_bit_share") * squares).sum(axis=1), squares.sum(axis=1))


def share_of_large(measures: xr.Dataset) -> np.ndarray:
    """The same over neurons with at least half of the largest incoming norm [seed]."""
    norm = last(measures, "neuron_norm")
    squares = np.where(norm >= _LARGE * norm.max(axis=1, keepdims=True), norm**2, 0.0)
    squares = np.where(np.isnan(norm), np.nan, squares)
    return ratio((last(measures, "hidden_bit_share") * squares).sum(axis=1), squares.sum(axis=1))


def spread_of_large(measures: xr.Dataset, above: float = _LARGE) -> np.ndarray:
    """Median coefficient of variation of a neuron's weights on the hidden bits, over large neurons [seed]."""
    return _median_of(last(measures, "hidden_bit_spread"), last(measures, "neuron_norm"), above)


def irrep_power(measures: xr.Dataset) -> np.ndarray:
    """Median over neurons of the largest share of a non-trivial irrep, in the last network [seed]."""
    power = last(measures, "neuron_irrep_power")
    order = [dim for dim in measures["neuron_irrep_power"].dims if dim in ("neuron", "irrep")]
    power = power if order == ["neuron", "irrep"] else power.swapaxes(1, 2)
    return _median_of(power[:, :, 1:].max(axis=2), last(measures, "neuron_norm"))


def share_of_large_irreps(measures: xr.Dataset) -> np.ndarray:
    """Share of the neurons in irreps of more than one dimension, in the last network [seed]."""
    counts = last(measures, "neurons_per_irrep")
    several = symmetric_characters(_degree(measures))[:, 0] > 1
    return ratio(counts[:, several].sum(axis=1), counts.sum(axis=1))


def _split_ratios(measures: xr.Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Ratio of the margin on training pairs, and whether test accuracy is 99 %, both [share, seed]."""
    need(measures, "normalized_margin", "test_accuracy")
    ends = measures.sortby("train_fraction").isel(step=-1).transpose("train_fraction", "seed", ...)
    margin = ends["normalized_margin"].to_numpy().astype(np.float64)
    accuracy = ends["test_accuracy"].to_numpy().astype(np.float64)
    measured = ~(np.isnan(margin) | np.isnan(accuracy)).any(axis=0)
    if not measured.any():
        raise NotTestable("no seed was trained to the end from every share of the table")
    top = largest_of_addition(_SMALL_P)
    return np.where(measured, margin / top, np.nan), (accuracy >= _GENERALIZES) & measured


def ratio_of_generalizing(measures: xr.Dataset) -> np.ndarray:
    """The highest ratio of a network that generalizes, over shares of the table [seed]; NaN without one."""
    ratios, good = _split_ratios(measures)
    best = np.max(ratios, axis=0, initial=-np.inf, where=good)
    return np.where(good.any(axis=0), best, np.nan)


def ratio_of_memorizing(measures: xr.Dataset) -> np.ndarray:
    """The ratio from the smallest share of the table [seed]; 0 where that generalizes."""
    ratios, good = _split_ratios(measures)
    return np.where(good[0], 0.0, ratios[0])


# ---------------------------------------------------------------- claims

_claim = partial(Claim, fixed_on="0-4", confirmed_on="100-199")
_TWENTIETH = Effect(0.05, "a twentieth")
_HUNDREDTH = Effect(0.01, "a hundredth of the largest margin")
_reached = partial(
    _claim,
    estimand="the mean over seeds of the normalized margin of the last network over the largest one",
    smallest_effect=_HUNDREDTH,
    evidence=margin_ratio,
)
_one_irrep = partial(
    _claim,
    source="Thm 9, Fig. 8",
    paper_value="about 1",
    estimand="the mean over seeds, in the last network, of the median over neurons of the largest share of a "
    "neuron's squared weights in one non-trivial irrep (the mean over its three blocks)",
    region=Region.at_least(0.95),
    smallest_effect=Effect(0.03, "three hundredths of the power"),
    evidence=irrep_power,
)
_larger_irreps = partial(
    _claim,
    source="Fig. 8",
    paper_value="yes",
    estimand="the mean over seeds, in the last network, of the share of neurons that are in irreps of more "
    "than one dimension",
    region=Region.above(0.5),
    smallest_effect=_TWENTIETH,
    evidence=share_of_large_irreps,
)
_of_given = partial(
    _claim,
    setting="own",
    kind="deterministic",
    estimand="its normalized margin over the largest one",
    evidence=lambda m: last(m, "normalized_margin") / largest_margin(m),
)

_CLAIMS = (
    _reached(
        id="K1",
        name="addition: the largest margin",
        sentence="The margin of a network trained on addition reaches the largest one.",
        source="Thm 7, Fig. 1",
        paper_value="close to 1 (read off the figure)",
        region=Region.between(0.99, 1.0001),
        experiment="addition",
    ),
    _claim(
        id="K2",
        name="no network exceeds it",
        sentence="No network exceeds the largest margin, at any step.",
        source="Thm 7, 8, 9",
        paper_value="at most 1",
        estimand="for every seed of addition, parity and S3: the largest normalized margin at any measured "
        "step over the theorem's",
        region=Region.at_most(1.0001),
        kind="deterministic",
        experiment="addition",
        beside=("parity", "s3"),
        evidence=highest_ratio,
    ),
    _claim(
        id="K3",
        name="every neuron has one frequency",
        sentence="Every neuron has one frequency.",
        source="Thm 7, Fig. 4",
        paper_value="about 1",
        estimand="the mean over seeds, in the last network, of the median over neurons of the largest share "
        "of a neuron's squared weights at one frequency (the mean over its three blocks)",
        region=Region.at_least(0.95),
        smallest_effect=Effect(0.03, "three hundredths of the power"),
        experiment="addition",
        evidence=frequency_power,
    ),
    _claim(
        id="K4",
        name="every frequency is used",
        sentence="Every frequency is used.",
        source="Thm 7, Fig. 7",
        paper_value=1.0,
        estimand="the median over seeds of the share of the (p - 1) / 2 frequencies that have a neuron in "
        "the last network",
        region=Region.at_least(0.99),
        smallest_effect=_TWENTIETH,
        kind="median",
        experiment="addition",
        evidence=frequencies_used,
    ),
    _claim(
        id="K5",
        name="phases add up",
        sentence="The phases of a neuron obey theta_u + theta_v = theta_w.",
        source="Thm 7",
        paper_value=1.0,
        estimand="the mean over seeds, in the last network, of the mean of cos(theta_u + theta_v - theta_w) "
        "over the neurons whose three blocks have one dominant frequency",
        region=Region.at_least(0.95),
        smallest_effect=Effect(0.03, "phases 0.25 rad apart"),
        experiment="addition",
        evidence=lambda m: last(m, "phase_alignment"),
    ),
    _claim(
        id="K6",
        name="relu: nearly one frequency",
        sentence="Neurons of relu networks come close to one frequency, not all the way.",
        source="Fig. 4",
        paper_value="about 0.9",
        estimand="the mean over seeds, in the last network, of the median over neurons of the largest share "
        "of the squared weights from the first number at one frequency",
        region=Region.between(0.8, 0.98),
        smallest_effect=_TWENTIETH,
        experiment="addition-relu",
        evidence=partial(frequency_power, block="first"),
    ),
    _reached(
        id="K7",
        name="parity: the largest margin",
        sentence="The margin of a network trained on a parity reaches the largest one.",
        source="Thm 8, Fig. 1",
        paper_value="close to 1 (read off the figure)",
        region=Region.between(0.95, 1.0001),
        experiment="parity",
    ),
    _claim(
        id="K8",
        name="parity: weights on the hidden bits",
        sentence="A parity's weights are on the hidden bits only.",
        source="Thm 8",
        paper_value=1.0,
        estimand="the mean over seeds of the share of all squared incoming weights of the last network that "
        "is on the hidden bits",
        region=Region.at_least(0.99),
        smallest_effect=Effect(0.02, "two hundredths of the weights"),
        experiment="parity",
        evidence=share_on_hidden_bits,
    ),
    _claim(
        id="K8-equal",
        name="parity: these weights are equal",
        sentence="A neuron's weights on the hidden bits are of one size.",
        source="Thm 8",
        paper_value=0.0,
        estimand="the mean over seeds, in the last network, of the median over neurons of the coefficient of "
        "variation of a neuron's |weights| on the hidden bits",
        region=Region.at_most(0.05),
        smallest_effect=Effect(0.02, "weights that differ by two hundredths"),
        experiment="parity",
        evidence=partial(spread_of_large, above=_ALIVE),
    ),
    _reached(
        id="K9",
        name="S3: the largest margin",
        sentence="The margin of a network trained on S3 reaches the largest one.",
        source="Thm 9, Fig. 1",
        paper_value="close to 1 (read off the figure)",
        region=Region.between(0.9, 1.0001),
        smallest_effect=Effect(0.03, "three hundredths of the largest margin"),
        experiment="s3",
    ),
    _one_irrep(
        id="K10",
        name="S3: neurons have one irrep",
        sentence="Neurons span one irreducible representation: S3.",
        experiment="s3",
    ),
    _larger_irreps(
        id="K10-count",
        name="S3: larger irreps get more neurons",
        sentence="Irreducible representations of more dimensions get more neurons: S3.",
        experiment="s3",
    ),
    _reached(
        id="K9-s4",
        name="S4: the largest margin",
        sentence="The margin of a network trained on S4 reaches the largest one.",
        source="Thm 9, App. C",
        region=Region.between(0.9, 1.0001),
        smallest_effect=Effect(0.03, "three hundredths of the largest margin"),
        experiment="s4",
    ),
    _one_irrep(
        id="K10-s4",
        name="S4: neurons have one irrep",
        sentence="Neurons span one irreducible representation: S4.",
        source="Thm 9, App. C",
        experiment="s4",
    ),
    _reached(
        id="K9-s5",
        name="S5: the largest margin",
        sentence="The margin of a network trained on S5 reaches the largest one.",
        source="Thm 9, App. C",
        region=Region.between(0.9, 1.0001),
        smallest_effect=Effect(0.03, "three hundredths of the largest margin"),
        experiment="s5",
    ),
    _of_given(
        id="K1-waves",
        name="given weights have it exactly",
        sentence="A network of given weights has the largest margin: all frequencies, phases that add up.",
        source="Thm 7 (construction)",
        region=Region.around(1.0, 1e-9),
        experiment="waves",
    ),
    _of_given(
        id="K11",
        name="exact, but of a smaller margin",
        sentence="A correct network need not have waves: one with two neurons per pair is exact, with a "
        "smaller margin.",
        source="App. D (network; no number)",
        region=Region.below(0.9),
        experiment="pairs",
    ),
    _claim(
        id="K12",
        name="held out: who generalizes is below",
        sentence="With pairs held out, a network that generalizes has at most the largest margin of the "
        "whole table, on its training pairs.",
        source="not in the paper (a smaller table has a larger largest margin)",
        setting="own",
        estimand="the mean over seeds of the highest normalized margin on the training pairs over the "
        "largest one of the whole table, over the shares of the table with 99 % test accuracy or more",
        region=Region.below(1.0),
        smallest_effect=_TWENTIETH,
        experiment="addition-split",
        evidence=ratio_of_generalizing,
    ),
    _claim(
        id="K12-memorizes",
        name="held out: memorizing is above it",
        sentence="From too little of the table, where it does not generalize, its margin on the training "
        "pairs is above that.",
        source="not in the paper",
        setting="own",
        estimand="the mean over seeds of the normalized margin on the training pairs over the largest one of "
        "the whole table, from the smallest share of the table; seeds with 99 % test accuracy count as 0",
        region=Region.above(1.0),
        smallest_effect=_TWENTIETH,
        experiment="addition-split",
        evidence=ratio_of_memorizing,
    ),
    _claim(
        id="K8-large",
        name="K8 over large neurons",
        sentence="K8, over the neurons that are not on their way to 0.",
        source="Thm 8",
        setting="own",
        estimand="the mean over seeds of the share of squared incoming weights of the last network that is "
        "on the hidden bits, over neurons with at least half of the largest incoming norm",
        region=Region.at_least(0.99),
        smallest_effect=Effect(0.02, "two hundredths of the weights"),
        experiment="parity",
        evidence=share_of_large,
    ),
    _claim(
        id="K8-equal-large",
        name="K8-equal over large neurons",
        sentence="K8-equal, over the neurons that are not on their way to 0.",
        source="Thm 8",
        setting="own",
        estimand="the mean over seeds, in the last network, of the median over neurons with at least half "
        "of the largest incoming norm of the coefficient of variation of a neuron's |weights| on hidden bits",
        region=Region.at_most(0.05),
        smallest_effect=Effect(0.02, "weights that differ by two hundredths"),
        experiment="parity",
        evidence=spread_of_large,
    ),
)

# ---------------------------------------------------------------- figures


def _seeds(run: RunLike) -> str:
    """The seeds of a run in words; there are no events to count, as everything is trained on."""
    seeds = run.measures["seed"].to_numpy()
    return f"{'Seed' if len(seeds) == 1 else f'{len(seeds)} seeds:'} {seeds_text(seeds)}."


def _margins(runs: Mapping[str, RunLike], command: str) -> Drawing:
    titles = {"addition": "Addition", "parity": "Parity", "s3": "S3"}
    figure, axes = panels([f"{title}: normalized margin" for title in titles.values()])
    for axis, name in zip(axes, titles, strict=True):
        measures = in_steps(runs[name].measures)
        top = largest_margin(measures)
        draw_curve(axis, measures.get("normalized_margin"), "test", "trained")
        axis.axhline(top, color="black", linestyle="dotted", linewidth=1, label="the largest")
        axis.set_ylim(-0.1 * top, 1.15 * top)
        x_label(axis, "step")
    legend(figure, axes[0])
    small_print(
        figure,
        "Mean and band from the 10th to the 90th percentile over seeds.",
        *(f"{title}: {_seeds(runs[name])}" for name, title in titles.items()),
        command,
    )
    return figure


def _cosines(runs: Mapping[str, RunLike], command: str) -> Drawing:
    """The weights of four neurons of the first seed over the residues, at the end."""
    run: Any = runs["addition"]
    measures = run.measures
    seed = int(measures["seed"].to_numpy()[0])
    network = run.model(seed=seed, step=int(measures["step"][-1]))
    blocks = {
        "u(a)": network.hidden_weight[0],
        "v(b)": network.hidden_weight[1],
        "w(c)": network.output_weight.T,
    }
    norm = np.sum([np.square(np.asarray(block)).sum(axis=0) for block in blocks.values()], axis=0)
    chosen = np.argsort(-norm)[:: max(1, len(norm) // 5)][:4]
    figure, axes = panels([f"Neuron {neuron}" for neuron in chosen], columns=2)
    colors = (COLOR["train"], COLOR["test"], "black")
    for axis, neuron in zip(axes, chosen, strict=True):
        for (label, block), color in zip(blocks.items(), colors, strict=True):
            axis.plot(
                np.asarray(block)[:, neuron], ".-", color=color, markersize=3, linewidth=0.8, label=label
            )
        x_label(axis, "residue")
    legend(figure, axes[0])
    small_print(figure, f"Seed {seed}: four neurons at even ranks of norm, from the largest.", command)
    return figure


def _power(runs: Mapping[str, RunLike], command: str) -> Drawing:
    titles = {"addition": "z^2, L_{2,3}", "addition-relu": "relu, L2"}
    figure, axes = panels([f"{title}: largest power of u" for title in titles.values()])
    for axis, name in zip(axes, titles, strict=True):
        power = runs[name].measures["neuron_frequency_power"].sel(block="first")
        for at, label, color in ((0, "start", COLOR["other"]), (-1, "end", COLOR["test"])):
            values = power.isel(step=at).to_numpy().ravel()
            axis.hist(
                values[np.isfinite(values)],
                bins=list(np.linspace(0, 1, 41)),
                color=color,
                label=label,
                alpha=0.8,
            )
        x_label(axis, "share of the squared weights at one frequency")
    legend(figure, axes[0])
    small_print(
        figure,
        *(f"{titles[name]}: {_seeds(runs[name])} All neurons." for name in titles),
        command,
    )
    return figure


def _frequencies(runs: Mapping[str, RunLike], command: str) -> Drawing:
    titles = {"addition": "z^2", "addition-relu": "relu"}
    figure, axes = panels([f"{title}: neurons by frequency" for title in titles.values()])
    for axis, name in zip(axes, titles, strict=True):
        counts = runs[name].measures["neurons_per_frequency"].isel(step=-1)
        k = counts["frequency"].to_numpy()
        axis.bar(k, counts.to_numpy().mean(axis=0), color=COLOR["test"], width=0.8)
        x_label(axis, "k")
    small_print(
        figure,
        "Neurons with at least 1 % of the largest norm; means over seeds.",
        _seeds(runs["addition"]),
        command,
    )
    return figure


def _parity_weights(runs: Mapping[str, RunLike], command: str) -> Drawing:
    measures = runs["parity"].measures
    figure, axes = panels(["Weights on the hidden bits", "Spread over the hidden bits"])
    names = ("hidden_bit_share", "hidden_bit_spread")
    norm = last(measures, "neuron_norm")
    for axis, name, text in zip(axes, names, ("share", "coefficient of variation"), strict=True):
        axis.plot(norm.ravel(), last(measures, name).ravel(), ".", color=COLOR["test"], markersize=3)
        x_label(axis, "incoming norm of the neuron")
        axis.set_ylabel(text, fontsize=SMALL, labelpad=1)
        axis.set_ylim(-0.03, None)
    small_print(figure, _seeds(runs["parity"]), "One point per neuron of each seed, at the end.", command)
    return figure


def _groups(runs: Mapping[str, RunLike], command: str) -> Drawing:
    measures = runs["s3"].measures
    titles = ["S3: largest share of one irrep", "S3: neurons by irrep"]
    figure, axes = panels(titles)
    power = measures["neuron_irrep_power"].transpose("seed", "step", "neuron", "irrep")
    for at, label, color in ((0, "start", COLOR["other"]), (-1, "end", COLOR["test"])):
        values = power.isel(step=at).to_numpy()[..., 1:].max(axis=-1).ravel()
        axes[0].hist(
            values[np.isfinite(values)], bins=list(np.linspace(0, 1, 41)), color=color, label=label, alpha=0.8
        )
    x_label(axes[0], "share of the squared weights")
    counts = measures["neurons_per_irrep"].isel(step=-1)
    labels = [str(one) for one in counts["irrep"].to_numpy()]
    axes[1].bar(labels, counts.to_numpy().mean(axis=0), color=COLOR["test"], width=0.6)
    x_label(axes[1], "partition (1 + 1 + 1: the sign; 2 + 1: two dimensions)")
    legend(figure, axes[0])
    small_print(figure, _seeds(runs["s3"]), command)
    return figure


_FIGURES = (
    Figure("figure-1", "Figure 1: normalized margin over steps.", _margins, ("addition", "parity", "s3")),
    Figure("figure-2", "Figure 2: the weights of four neurons.", _cosines, ("addition",)),
    Figure("figure-4", "Figure 4: power of one frequency.", _power, ("addition", "addition-relu")),
    Figure("figure-5", "Figure 5: a parity's weights.", _parity_weights, ("parity",)),
    Figure("figure-7", "Figure 7: neurons by frequency.", _frequencies, ("addition", "addition-relu")),
    Figure("figure-8", "Figure 8: irreducible representations of S3.", _groups, ("s3",)),
)

_REASONS = {
    "K8": "Neurons that the solution does not use shrink only by the penalty, as the cube root of 1 / t: "
    "at the published length their norm is still about a quarter of the largest. Over large neurons it "
    "holds (K8-large).",
    "K8-equal": "As K8: the median neuron is one that the solution does not use. Over large neurons it "
    "holds (K8-equal-large).",
    "K9-s5": "Found in part. In every seed the irreducible representation of six dimensions fades, to 0.4 % "
    "of the cubed norms in place of a third: a neuron there lowers the loss by less than the published "
    "penalty (1e-5) takes. With these shares 0.93 would still be possible. A tenth of the penalty gives 0.86 "
    "after 12,500 more steps.",
}


class MarginMaximization(Paper):
    """Morwani et al. 2023: the features of networks on algebraic tasks follow from the largest margin."""

    kind: Literal["margin-maximization"] = "margin-maximization"
    title = "Feature emergence via margin maximization: case studies in algebraic tasks"
    authors = "Depen Morwani, Benjamin L. Edelman, Costin-Andrei Oncescu, Rosie Zhao, Sham Kakade"
    year = 2023
    arxiv = "2311.07568"
    bibtex = """@inproceedings{morwani2024feature,
  title = {Feature emergence via margin maximization: case studies in algebraic tasks},
  author = {Depen Morwani and Benjamin L. Edelman and Costin-Andrei Oncescu and Rosie Zhao and Sham Kakade},
  booktitle = {International Conference on Learning Representations},
  year = {2024},
  note = {arXiv:2311.07568}
}"""
    experiments = _EXPERIMENTS
    claims = _CLAIMS
    figures = _FIGURES
    reasons = _REASONS
