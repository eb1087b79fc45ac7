r"""Explaining grokking through circuit efficiency (arXiv 2309.02390).

A network can hold two circuits: one that memorizes its samples and one that generalizes. Weight decay moves
norm to the more *efficient* one, which gives larger logits for the same norm. Memory is learned sooner; its
efficiency falls with the number D of samples, that of the generalizing circuit does not. So networks grok
above a critical size, and forget ("ungrokking") when they are trained on with fewer samples; near it they
generalize in part ("semi-grokking"). This file: the toy of two scalars, the experiments, the evidence, the
claims, the figures.

Efficiency here is $e = \log(1 / \ell) / \lVert\theta\rVert^2$ at the end of training, for a training loss
$\ell$. A loss that is small falls as $e^{-s}$ with the logit s of the right class, and the networks of
``quick`` have two layers without biases, so that c times the weights gives $c^2$ times the logits: e is a
logit per squared norm, and the norm at equal loss goes with $e^{-1/2}$.

The text that was available leaves out the experimental appendix: rates, decays, lengths and the constants of
the toy are ours. The optimizer of profile ``paper`` is that of arXiv 2301.05217, which the paper follows.
Profile ``quick``: a perceptron on p = 31. Adam's epsilon is 1e-6 there, so that losses end near 1e-5, which
float32 resolves; outputs are multiplied by 10, so that weights stay below AdamW's bound of 1 / decay.

The same on sparse parity, by duels and with a prediction, is `grokscope.papers.critical_size`; its claims
are not repeated. Here parity is ungrokked.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from grokscope.claims import Claim, Effect, NotTestable, Region, need
from grokscope.experiment import Experiment
from grokscope.losses import CrossEntropy
from grokscope.models.transformer import NandaTransformer
from grokscope.optimizers import SGD, AdamW
from grokscope.papers import (
    Analysis,
    Figure,
    Paper,
    Profile,
    RunExperiment,
    RunLike,
    SweepExperiment,
    SweepProfile,
)
from grokscope.papers.critical_size import final
from grokscope.papers.evidence import first_of_both, need_axis, part_of, ratio
from grokscope.papers.figures import draw_range
from grokscope.plots.style import COLOR, SMALL, legend, line_style, panels, small_print, x_label
from grokscope.starts import FromRun
from grokscope.tasks.modular_operator import ModularOperator
from grokscope.tasks.sparse_parity import SparseParity

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure as Drawing

    from grokscope.progress import Progress

__all__ = ["CircuitEfficiency", "balanced_logit", "simulate"]

# ---------------------------------------------------------------- the toy of two scalars (Section 3)

_CLASSES, _DECAY, _RATE, _TOY_STEPS = 10, 0.01, 0.5, 20_000
_COSTS = (1.0, 4.0)  # of the generalizing circuit and of memory
_STARTS = (0.01, 0.3)
_TOY_DECAYS = (0.03, 0.1)


def simulate(
    costs: tuple[float, float] = _COSTS,
    starts: tuple[float, float] = _STARTS,
    *,
    decay: float = _DECAY,
    factors: int = 2,
    classes: int = _CLASSES,
    rate: float = _RATE,
    steps: int = _TOY_STEPS,
) -> np.ndarray:
    r"""Two circuits with given logits, each times a learned scalar, by gradient descent with weight decay.

    Circuit i (0 generalizes, 1 memorizes) gives the logit $s_i = \prod_l w_{il}$ to its answer and 0 to all
    others. On training samples both answer right, on test samples memory answers wrong. With q classes

    $$L = \log(1 + (q - 1) e^{-s_0 - s_1}) + \frac{\lambda}{2} \sum_i P_i \sum_l w_{il}^2.$$

    Args:
        costs: $P_i$, the squared norm that goes with $w_{il} = 1$, for each factor. A circuit of two equal
            factors has norm $\lVert\theta_i\rVert^2 = 2 P_i s_i$, thus an efficiency $s_i /
            \lVert\theta_i\rVert^2 = 1 / (2 P_i)$. Memory of D samples costs $P_1 \propto D$ if each sample
            is stored apart.
        starts: each factor $w_{il}$ at the start. A circuit with smaller ones is learned more slowly.
        decay: $\lambda$.
        factors: the number of factors of each circuit.
        classes: q.
        rate: of gradient descent.
        steps: how many.

    Returns:
        The scalars $s_i$ before each step and at the end, [step, circuit].

    Source: Varma et al. 2023 (arXiv 2309.02390), Section 3, as summaries describe it; the constants, and
        costs in the decay term, are ours.

    Example:
        >>> ends = simulate(costs=(1.0, 4.0))[-1], simulate(costs=(4.0, 1.0))[-1]
        >>> [int(end.argmax()) for end in ends], round(float(ends[0][0]), 3), round(balanced_logit(1.0), 3)
        ([0, 1], 6.792, 6.792)
    """
    weights = [[start] * factors for start in starts]
    found = np.empty((steps + 1, 2))
    for step in range(steps + 1):
        scalars = [math.prod(each) for each in weights]
        found[step] = scalars
        others = (classes - 1) * math.exp(-sum(scalars))
        push = others / (1 + others)  # -dL/ds without decay, the same for both circuits
        weights = [
            [
                w + rate * (push * math.prod(each[:i] + each[i + 1 :]) - decay * cost * w)
                for i, w in enumerate(each)
            ]
            for each, cost in zip(weights, costs, strict=True)
        ]
    return found


def balanced_logit(cost: float, decay: float = _DECAY, classes: int = _CLASSES) -> float:
    r"""The logit at which decay balances the loss, $s = \log((q - 1)(1 / (\lambda P) - 1))$, two factors.

    With two equal factors the decay term is $\lambda \sum_i P_i s_i$, and the loss depends on $s_0 + s_1$
    alone. So the least loss has all of the logit in the circuit of lower cost, for every decay.

    Args:
        cost: P of the cheaper circuit.
        decay: $\lambda$.
        classes: q.
    """
    return math.log((classes - 1) * (1 / (decay * cost) - 1))


def delay(scalars: np.ndarray, classes: int = _CLASSES) -> float:
    """Step from which on test answers are right over the first step with a training loss below 0.1.

    Infinite if test answers are not right at the end.

    Args:
        scalars: as from `simulate`.
        classes: q.
    """
    right = scalars[:, 0] > scalars[:, 1]
    fitted = np.log1p((classes - 1) * np.exp(-scalars.sum(axis=1))) < 0.1
    if not right[-1] or not fitted.any():
        return math.inf
    wrong = np.flatnonzero(~right)
    return float((wrong[-1] + 1 if len(wrong) else 0) / max(1, int(np.argmax(fitted))))


def turning_cost(decay: float, starts: tuple[float, float], factors: int = 2) -> float:
    """The cost of memory, over that of the generalizing circuit, from which on the latter wins at the end.

    From 1/16 to 16, to within 1/64 in the logarithm; an end of this range if the winner is always the same.
    """
    low, high = -math.log(16), math.log(16)

    def wins(log_cost: float) -> bool:
        steps = round(200 / decay)
        scalars = simulate((1.0, math.exp(log_cost)), starts, decay=decay, factors=factors, steps=steps)
        return bool(scalars[-1, 0] > scalars[-1, 1])

    if wins(low):
        return math.exp(low)
    if not wins(high):
        return math.exp(high)
    while high - low > 1 / 64:
        middle = (low + high) / 2
        low, high = (low, middle) if wins(middle) else (middle, high)
    return math.exp((low + high) / 2)


_EQUAL_STARTS = (_STARTS[1], _STARTS[1])
_GROKKED_STARTS = (2.5, 0.3)  # the generalizing circuit is large, memory is small


@functools.cache
def toy_numbers() -> dict[str, float]:
    """What claims say about the toy, by the names of the measures that hold it."""
    dear = (_COSTS[1], _COSTS[0])
    ends = {"inefficient": simulate(dear)[-1], "undecayed": simulate(decay=0.0)[-1]}
    turns = [turning_cost(decay, starts) for decay in _TOY_DECAYS for starts in (_STARTS, _GROKKED_STARTS)]
    apart = [turning_cost(_TOY_DECAYS[-1], starts, factors=3) for starts in ((0.5, 0.6), (1.8, 0.5))]
    return {
        "toy_delay": delay(simulate()),
        "toy_delay_equal_starts": delay(simulate(starts=_EQUAL_STARTS)),
        **{f"toy_gap_{name}": float((end[0] - end[1]) / end.sum()) for name, end in ends.items()},
        "toy_least_turn": min(turns),
        "toy_largest_turn": max(turns),
        "toy_hysteresis": apart[0] / apart[1],
    }


_OF_TOY = (
    *("toy_delay", "toy_delay_equal_starts", "toy_gap_inefficient", "toy_gap_undecayed"),
    *("toy_least_turn", "toy_largest_turn", "toy_hysteresis"),
)


def _toy(run: Any, progress: Progress) -> None:
    """Keep the numbers of the toy with a run; they are the same for every member."""
    from grokscope.runs import add_measures

    add_measures(run, _OF_TOY, lambda *_: toy_numbers(), progress=progress)


# ---------------------------------------------------------------- experiments (Section 5)

_P, _SMALL_P = 113, 31
_LONG, _QUICK = 40_000, 3_000  # steps at weight decay 1
_CURVES = ("train_accuracy", "test_accuracy", "train_loss", "test_loss", "weight_norm")
_TRAINED = ("train_accuracy", "train_loss", "weight_norm")
_BASE = Experiment(
    name="full",
    steps=_LONG,
    batch_size="full",
    task=ModularOperator(operator="addition", p=_P, train_fraction=1.0, operator_token=False),
    model=NandaTransformer(),
    loss=CrossEntropy(precision="float64"),
    optimizer=AdamW(learning_rate=1e-3, weight_decay=1.0, beta2=0.98),
    measures=_TRAINED,
    schedule={"measures": f"every {_LONG // 40} steps", "slow_measures": "ends", "follow": "ends"},
)
_SMALLER = (
    *(f"task.p={_SMALL_P}", "task.equals_token=false", "loss.precision='as_run'"),
    *("model.kind='one_hot_mlp'", "model.widths=[96]", "model.activation='relu'", "model.stds=[0.05]"),
    *("model.output_factor=10.0", "optimizer.learning_rate=0.01", "optimizer.epsilon=1e-6"),
    f"schedule.measures='every {_QUICK // 30} steps'",
)
_REDUCED = (
    f"a perceptron of 96 neurons on p = {_SMALL_P} in place of a transformer on p = {_P}; weight decay 1 for "
    f"{_QUICK:,} steps"
)
_SEEDS = {"paper": 5, "quick": 12}


def _fractions(*values: float) -> str:
    return f"task.train_fraction={','.join(f'{value:g}' for value in values)}"


def _sizes(*counts: int) -> str:
    """The shares of the paper's table with so many samples."""
    return _fractions(*(round(count / _P**2, 5) for count in counts))


def _sweep(
    name: str,
    sentence: str,
    paper: tuple[str, ...],
    quick: tuple[str, ...],
    *changes: str,
    shorter: int = _QUICK,
    init: FromRun | None = None,
) -> SweepExperiment:
    some = "task.train_fraction=0.5"  # the axis replaces it; the whole table would leave no test split
    spec = _BASE.with_(f"name='{name}'", some, f"measures={list(_CURVES)}", *changes)
    overrides = (*_SMALLER, f"steps={shorter}")
    if init is not None:
        spec = spec.model_copy(update={"init": init})
        overrides = (*overrides, f"init.at={_QUICK}")
    reduced = _REDUCED if shorter == _QUICK else f"{_REDUCED} (here {shorter:,})"
    profiles = {
        "paper": SweepProfile(seeds=_SEEDS["paper"]),
        "quick": SweepProfile(seeds=_SEEDS["quick"], over=quick, overrides=overrides, reduced=reduced),
    }
    return SweepExperiment(name, sentence, spec, profiles, over=paper)


_FULL = RunExperiment(
    "full",
    "Networks that learn the whole table, from which ungrokking starts; and the toy (Section 3).",
    _BASE,
    {
        "paper": Profile(seeds=_SEEDS["paper"]),
        "quick": Profile(seeds=_SEEDS["quick"], overrides=(*_SMALLER, f"steps={_QUICK}"), reduced=_REDUCED),
    },
    analyses=(Analysis("toy", _toy, seconds=1.0, gives=_OF_TOY),),
)
_FROM_FULL = FromRun(run="full", source=_BASE.identity, at=_LONG, clock="zero")
_DECAYS = "optimizer.weight_decay=0.5,1.0,2.0"

# the paper's range of D', 390 to 1494 in geometric steps
_UNGROK_SIZES = (390, 488, 610, 763, 955, 1194, 1494)


def _parity(name: str, n_train: int, **changes: Any) -> Experiment:
    """As in `grokscope.papers.critical_size`, with 300 neurons."""
    optimizer = SGD.model_validate(
        {"learning_rate": 0.1, "weight_decay": 0.01, "schedule": {"kind": "linear", "last": 1 / 3}}
    )
    table: dict[str, Any] = {
        "name": name,
        "steps": 40_000,
        "batch_size": 32,
        "task": SparseParity(n=40, k=3, n_train=n_train, n_test=1000),
        "model": {"kind": "fully_connected", "width": 300},
        "loss": "hinge",
        "optimizer": optimizer,
        "measures": ("train_accuracy", "test_accuracy", "path_norm_total"),
        "schedule": {"measures": "every 1000 steps", "slow_measures": "ends", "follow": "ends"},
        **changes,
    }
    return Experiment(**table)


_PARITY_STEPS = 15_000
_PARITY = RunExperiment(
    "parity",
    "Networks that grok the parity of 3 of 40 bits on 1,000 samples.",
    _parity("parity", 1000, steps=_PARITY_STEPS),
    {"paper": Profile(seeds=12), "quick": Profile(seeds=12)},
    group="on-parity",
)


def _parity_ungrokking(name: str, sentence: str, decay: float) -> SweepExperiment:
    """Decay times steps is the same for all decays."""
    # only the weights are taken over: with the optimizer's state its count of steps would go on, on which
    # the fall of the rate depends
    init = FromRun(
        run="parity",
        source=_PARITY.experiment.identity,
        at=_PARITY_STEPS,
        parameters=("*",),
        clock="zero",
    )
    spec = _parity(name, 240, init=init, steps=round(400 / decay))
    return SweepExperiment(
        name,
        sentence,
        spec.with_(f"optimizer.weight_decay={decay}"),
        {"paper": Profile(seeds=12), "quick": Profile(seeds=12)},
        over=("task.n_train=240,260,280,300,320,340,360",),
        group="on-parity",
    )


_EXPERIMENTS = (
    _FULL,
    _sweep(
        "memorizing",
        "Random labels: circuits that only memorize, by number of samples.",
        (_sizes(500, 1000, 2000, 4000),),
        (_fractions(0.2, 0.3, 0.45, 0.7),),
        "task.labels='random'",
    ),
    _sweep(
        "generalizing",
        "Networks of the whole table, trained on with samples enough to keep what they compute.",
        (_sizes(3000, 6000, 11000),),
        (_fractions(0.55, 0.7, 0.95),),
        f"measures={[*_CURVES, 'logit_fourier']}",
        init=_FROM_FULL,
    ),
    _sweep(
        "ungrokking",
        "The same with fewer samples, at several decays (Section 5.2, Figures 4 and 7).",
        (_sizes(*_UNGROK_SIZES), _DECAYS),
        (_fractions(0.13, 0.2, 0.26, 0.32, 0.4, 0.5, 0.65), _DECAYS),
        shorter=4_000,
        init=_FROM_FULL,
    ),
    _sweep(
        "semi-grokking",
        "From scratch, by number of samples (Section 5.3, Figures 5 and 6).",
        (_sizes(1000, 1532, 2000, 3000),),
        (_fractions(0.35, 0.42, 0.5, 0.65),),
        "steps=1000000",
        shorter=2 * _QUICK,
    ),
    _PARITY,
    _parity_ungrokking("parity-ungrokking", "These networks, trained on with fewer samples.", 0.01),
    _parity_ungrokking("parity-ungrokking-fast", "The same at three times the decay.", 0.03),
)

# ---------------------------------------------------------------- evidence: one entry per seed


def number(measures: xr.Dataset, name: str) -> np.ndarray:
    """A number of the toy, [1]: it has no seeds, and every member holds the same number."""
    need(measures, name)
    values = measures[name].to_numpy()
    values = values.reshape(len(values), -1)
    found = np.array([row[np.isfinite(row)][-1] if np.isfinite(row).any() else np.nan for row in values])
    if np.isnan(found).all():
        raise NotTestable(f"{name} was not computed")
    return np.unique(found[np.isfinite(found)])


def last_by_size(
    measures: xr.Dataset, name: str, axis: str = "train_fraction"
) -> tuple[np.ndarray, np.ndarray]:
    """Sizes [size] of a sweep, rising, and a measure at the end of training, [size, seed].

    Raises:
        NotTestable: if it was measured for no seed, or the sweep has no such axis.
    """
    values = final(measures, name)
    need_axis(values, axis)
    values = values.sortby(axis).transpose(axis, "seed")
    return values[axis].to_numpy().astype(float), values.to_numpy()


def efficiencies(measures: xr.Dataset) -> tuple[np.ndarray, np.ndarray]:
    r"""Sizes [size], and $\log(1 / \ell) / \lVert\theta\rVert^2$ at the end of training, [size, seed].

    NaN where the loss is 1 or more.
    """
    sizes, loss = last_by_size(measures, "train_loss")
    _, norm = last_by_size(measures, "weight_norm")
    with np.errstate(divide="ignore", invalid="ignore"):
        return sizes, np.where((loss > 0) & (loss < 1) & (norm > 0), -np.log(loss) / norm**2, np.nan)


def generalizing_efficiencies(measures: xr.Dataset) -> tuple[np.ndarray, np.ndarray]:
    """`efficiencies` of networks with a test accuracy of 0.95 or more; NaN for others."""
    sizes, found = efficiencies(measures)
    return sizes, np.where(last_by_size(measures, "test_accuracy")[1] >= 0.95, found, np.nan)


def _lines(sizes: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Slope and intercept of log value against log size of each seed, [2, seed]; NaN where a value is."""
    found = np.full((2, values.shape[1]), np.nan)
    for i, each in enumerate(values.T):
        if np.isfinite(each).all() and (each > 0).all() and len(sizes) > 1:
            found[:, i] = np.polyfit(np.log(sizes), np.log(each), 1)
    return found


def exponent_of_memory(measures: xr.Dataset) -> np.ndarray:
    r"""The exponent a of $e \propto D^a$ with random labels, [seed]."""
    return _lines(*efficiencies(measures))[0]


def exponent_of_generalization(measures: xr.Dataset) -> np.ndarray:
    r"""The exponent a of $e \propto D^a$ of networks that generalize, [seed]."""
    return _lines(*generalizing_efficiencies(measures))[0]


def exponent_over_memory(generalizing: xr.Dataset, memorizing: xr.Dataset) -> np.ndarray:
    """The one exponent over the other, [seed]."""
    one, other = exponent_of_generalization(generalizing), exponent_of_memory(memorizing)
    return ratio(*first_of_both(-one, -other))


def answer_share(measures: xr.Dataset) -> np.ndarray:
    """Share of the logits' variance that depends on the right answer only, at the smallest size [seed]."""
    if "frequency" not in measures.dims:
        raise NotTestable("the table has no frequencies")
    values = final(measures, "logit_fourier")
    return values.sum("frequency", skipna=False).sortby("train_fraction").isel(train_fraction=0).to_numpy()


def size_at(sizes: np.ndarray, accuracy: np.ndarray, level: float) -> np.ndarray:
    """The size at which accuracy crosses a level for the last time, [seed]; NaN if it does not.

    Between two sizes the accuracy is linear in the logarithm of the size.

    Args:
        sizes: rising, [size].
        accuracy: [size, seed].
        level: of the accuracy.
    """
    found = np.full(accuracy.shape[1], np.nan)
    logs = np.log(sizes)
    for i, each in enumerate(accuracy.T):
        below = np.flatnonzero(each < level)
        if np.isnan(each).any() or not len(below) or below[-1] == len(each) - 1:
            continue
        j = below[-1]
        share = (level - each[j]) / (each[j + 1] - each[j])
        found[i] = math.exp(logs[j] + share * (logs[j + 1] - logs[j]))
    return found


def critical(
    measures: xr.Dataset, level: float = 0.5, axis: str = "train_fraction", **cell: Any
) -> np.ndarray:
    """The size at which test accuracy at the end crosses a level, [seed]."""
    part = part_of(measures, **cell) if cell else measures
    return size_at(*last_by_size(part, "test_accuracy", axis), level)


def width_of_change(measures: xr.Dataset) -> np.ndarray:
    """The size at a test accuracy of 0.9 over that at 0.1, at weight decay 1, [seed].

    Where a level is not crossed, the smallest, or the largest, measured size takes its place: then this is
    less than the width.
    """
    sizes, accuracy = last_by_size(part_of(measures, weight_decay=1.0), "test_accuracy")
    high, low = (size_at(sizes, accuracy, level) for level in (0.9, 0.1))
    known = np.isfinite(accuracy).all(axis=0)
    high = np.where(np.isnan(high) & known, np.where(accuracy[-1] < 0.9, sizes[-1], sizes[0]), high)
    low = np.where(np.isnan(low) & known, np.where(accuracy[-1] < 0.1, sizes[-1], sizes[0]), low)
    return ratio(high, low)


def over_decays(measures: xr.Dataset) -> np.ndarray:
    """The critical size at the largest decay over that at the smallest, [seed]."""
    need_axis(measures, "weight_decay")
    decays = measures["weight_decay"].to_numpy()
    return ratio(*(critical(measures, weight_decay=decay) for decay in (decays.max(), decays.min())))


def over_crossing(ungrokking: xr.Dataset, memorizing: xr.Dataset, generalizing: xr.Dataset) -> np.ndarray:
    """The critical size at decay 1 over the size at which both efficiencies are equal, [seed].

    Both efficiencies are lines in logarithms.
    """
    found = critical(ungrokking, weight_decay=1.0)
    memory, circuit = _lines(*efficiencies(memorizing)), _lines(*generalizing_efficiencies(generalizing))
    n = min(len(found), memory.shape[1], circuit.shape[1])
    (a, b), (c, d) = memory[:, :n], circuit[:, :n]
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        return ratio(found[:n], np.exp((d - b) / (a - c)))


def over_other(above: xr.Dataset, below: xr.Dataset, level: float = 0.5, axis: str = "n_train") -> np.ndarray:
    """A critical size in one sweep over that in another, of the same first seeds, [seed]."""
    return ratio(*first_of_both(critical(above, level, axis), critical(below, level, axis)))


def scratch_over_grokked(scratch: xr.Dataset, ungrokking: xr.Dataset) -> np.ndarray:
    """The critical size from scratch over that of grokked networks, at weight decay 1, [seed]."""
    return over_other(scratch, part_of(ungrokking, weight_decay=1.0), axis="train_fraction")


def least_accuracy(measures: xr.Dataset) -> np.ndarray:
    """The lowest training accuracy at the end over all sizes and decays, [seed]."""
    values = final(measures, "train_accuracy")
    others = [dim for dim in values.dims if dim != "seed"]
    return values.min(others, skipna=False).to_numpy()


def at_smallest(measures: xr.Dataset, axis: str = "train_fraction", **cell: Any) -> np.ndarray:
    """Test accuracy at the end, at the smallest size, [seed]."""
    return last_by_size(part_of(measures, **cell) if cell else measures, "test_accuracy", axis)[1][0]


def in_between(measures: xr.Dataset) -> np.ndarray:
    """Truth values [seed]: at some size the network ends in between, after a delay (semi-grokking).

    Test accuracy at the end is from 0.2 to 0.9, and half of it is reached at three times the step of 99 %
    training accuracy or later.
    """
    need(measures, "train_accuracy", "test_accuracy")
    _, ends = last_by_size(measures, "test_accuracy")
    train, test = (
        measures[f"{split}_accuracy"].sortby("train_fraction").transpose("train_fraction", "seed", "step")
        for split in ("train", "test")
    )
    steps = measures["step"].to_numpy()
    found = np.zeros(ends.shape[1])
    for size, seed in np.ndindex(*ends.shape):
        end = ends[size, seed]
        memorized = steps[train.to_numpy()[size, seed] >= 0.99]
        half = steps[test.to_numpy()[size, seed] >= end / 2]
        if 0.2 <= end <= 0.9 and len(memorized) and len(half) and half[0] >= 3 * max(memorized[0], 1):
            found[seed] = 1.0
    return np.where(np.isnan(ends).any(axis=0), np.nan, found)


# ---------------------------------------------------------------- claims

_claim = partial(Claim, fixed_on="0-1", confirmed_on="100-111")
_OWN_TOY = "constants of our own"
_toy_claim = partial(
    Claim,
    kind="deterministic",
    setting="small",
    reduced=_OWN_TOY,
    source="Sec. 3",
    paper_value="yes",
    experiment="full",
    fixed_on="0-1",
    confirmed_on="100-111",
)
_DELAY = "step from which on test answers are right over the first step with a training loss below 0.1"
_SIZE = (
    "the size at which test accuracy at the end of training crosses 1/2 (linear in the logarithm of the size)"
)
_EFFICIENCY = "log(1 / training loss) over the squared weight norm at the end of training"

_CLAIMS = (
    _toy_claim(
        id="V1",
        name="toy: groks with three ingredients",
        sentence="Memory that is learned sooner and is less efficient suffices for grokking.",
        estimand=f"in the toy: the {_DELAY}",
        region=Region.at_least(10),
        evidence=partial(number, name="toy_delay"),
    ),
    _toy_claim(
        id="V1-efficiency",
        name="toy: none if memory is efficient",
        sentence="It does not grok if memory is the more efficient circuit.",
        estimand="in the toy with costs exchanged: the generalizing logit less that of memory, over their "
        "sum, at the end",
        region=Region.at_most(-0.9),
        evidence=partial(number, name="toy_gap_inefficient"),
    ),
    _toy_claim(
        id="V1-speed",
        name="toy: no delay at equal speed",
        sentence="There is no delay if the generalizing circuit is learned as fast as memory.",
        estimand=f"in the toy with equal starts: the {_DELAY}",
        region=Region.at_most(1),
        evidence=partial(number, name="toy_delay_equal_starts"),
    ),
    _toy_claim(
        id="V1-decay",
        name="toy: none without decay",
        sentence="It does not grok without weight decay.",
        source="Sec. 3 (not run there, as far as was read)",
        setting="own",
        paper_value=None,
        estimand="in the toy without decay: the generalizing logit less that of memory, over their sum, at "
        "the end",
        region=Region.at_most(-0.9),
        evidence=partial(number, name="toy_gap_undecayed"),
    ),
    _toy_claim(
        id="V2",
        name="toy: wins where costs are equal",
        sentence="The circuit of lower cost wins, whatever the decay and the start.",
        source="Sec. 3 (not run there, as far as was read)",
        setting="own",
        paper_value=None,
        estimand="in the toy: the least and the largest cost of memory, over that of the generalizing "
        "circuit, from which on the latter wins, over two decays, from scratch and from a grokked start",
        region=Region.between(0.95, 1.05),
        evidence=lambda m: np.concatenate([number(m, f"toy_{end}_turn") for end in ("least", "largest")]),
    ),
    _toy_claim(
        id="V2-deeper",
        name="toy: three factors, hysteresis",
        sentence="With three factors per circuit the winner depends on the start.",
        source="asked here",
        setting="own",
        paper_value=None,
        estimand="in the toy with three factors: the cost of memory from which on the generalizing circuit "
        "wins, from a start at which memory is larger over that from one at which it is smaller",
        region=Region.at_least(2),
        evidence=partial(number, name="toy_hysteresis"),
    ),
    _claim(
        id="V3",
        name="memory: efficiency falls with data",
        sentence="Memory is the less efficient, the more samples it holds.",
        source="Sec. 4, 5.1",
        paper_value="falls",
        estimand=f"the mean over seeds of the exponent of efficiency in D with random labels; efficiency: "
        f"{_EFFICIENCY}",
        region=Region.at_most(-0.3),
        smallest_effect=Effect(0.1, "7 % for twice the data"),
        experiment="memorizing",
        evidence=exponent_of_memory,
    ),
    _claim(
        id="V4",
        name="generalizing: efficiency constant",
        sentence="The efficiency of the generalizing circuit does not depend on the number of samples.",
        source="Sec. 4, 5.1",
        paper_value=0.0,
        estimand="the mean over seeds of the exponent of efficiency in D, of grokked networks trained on "
        f"with D samples that keep a test accuracy of 0.95; efficiency: {_EFFICIENCY}",
        region=Region.between(-0.1, 0.1),
        smallest_effect=Effect(0.05, "3.5 % for twice the data"),
        experiment="generalizing",
        evidence=exponent_of_generalization,
    ),
    _claim(
        id="V4-less",
        name="generalizing: depends on data less",
        sentence="It depends on the number of samples at most half as much as that of memory does.",
        source="Sec. 4, 5.1",
        setting="own",
        estimand="the geometric mean over seeds of the exponent of V4 over that of V3",
        kind="geometric_mean",
        region=Region.at_most(0.5),
        smallest_effect=Effect(0.1, "a tenth of memory's exponent"),
        experiment="generalizing",
        beside=("memorizing",),
        evidence=exponent_over_memory,
    ),
    _claim(
        id="V4-mixed",
        name="networks that generalize memorize",
        sentence="A network that answers all pairs can hold memory nevertheless.",
        source="App. B (networks with 95 % of the logit norm in such functions count as generalizing)",
        setting="own",
        estimand="the mean over seeds, in the networks of V4 with the fewest samples, of the share of the "
        "logits' variance over all pairs that depends on the right answer only (the sum over the frequencies "
        "of logit_fourier)",
        region=Region.at_most(0.9),
        smallest_effect=Effect(0.05, "a twentieth of the variance"),
        experiment="generalizing",
        evidence=answer_share,
    ),
    _claim(
        id="V5",
        name="ungrokking",
        sentence="A grokked network that is trained on with far fewer samples forgets.",
        source="Sec. 5.2, Fig. 4, 7",
        paper_value="low",
        estimand="the median over seeds of the test accuracy at the end, at the smallest size and decay 1",
        kind="median",  # all seeds may have forgotten all pairs, and equal values give a mean no interval
        region=Region.at_most(0.2),
        smallest_effect=Effect(0.1, "one pair in ten"),
        experiment="ungrokking",
        evidence=partial(at_smallest, weight_decay=1.0),
    ),
    _claim(
        id="V5-train",
        name="ungrokking: the samples stay known",
        sentence="The samples that are left stay learned.",
        source="Sec. 5.2",
        paper_value=1.0,
        estimand="the median over seeds of the least training accuracy at the end, over sizes and decays",
        kind="median",
        region=Region.at_least(0.99),
        smallest_effect=Effect(0.01, "one sample in a hundred"),
        experiment="ungrokking",
        evidence=least_accuracy,
    ),
    _claim(
        id="V6",
        name="ungrokking: a sharp change",
        sentence="The change from remembering to forgetting is sharp in the number of samples.",
        source="Sec. 5.2, Fig. 7",
        paper_value="within 390 to 1494, a factor of 3.8",
        estimand="the geometric mean over seeds of the size with a test accuracy of 0.9 over that with 0.1, "
        "at decay 1 (an end of the range of sizes where it is not crossed)",
        kind="geometric_mean",
        region=Region.at_most(3.8),
        smallest_effect=Effect(0.5, "half of the smallest size"),
        experiment="ungrokking",
        evidence=width_of_change,
    ),
    _claim(
        id="V7",
        name="ungrokking: decay does not matter",
        sentence="What is left does not depend on the strength of weight decay.",
        source="Sec. 5.2, Fig. 4",
        paper_value="curves overlap",
        estimand=f"the geometric mean over seeds of {_SIZE}, at decay 2 over that at decay 0.5",
        kind="geometric_mean",
        region=Region.between(0.9, 1.1),
        smallest_effect=Effect(0.05, "a twentieth of the data"),
        experiment="ungrokking",
        evidence=over_decays,
    ),
    _claim(
        id="V8",
        name="forgets where efficiencies cross",
        sentence="Networks forget where both circuits are equally efficient.",
        source="Sec. 4, 5.1, 5.2",
        paper_value="about there",
        estimand=f"the geometric mean over seeds of {_SIZE} at decay 1, over the size at which the lines of "
        "both efficiencies (V3, V4; logarithms) cross",
        kind="geometric_mean",
        region=Region.between(0.8, 1.25),
        smallest_effect=Effect(0.1, "a tenth of the data"),
        experiment="ungrokking",
        beside=("memorizing", "generalizing"),
        evidence=over_crossing,
    ),
    _claim(
        id="V9",
        name="semi-grokking",
        sentence="Near the critical size networks generalize late, and in part.",
        source="Sec. 5.3, Fig. 5, 6",
        paper_value="seen",
        estimand="the share of seeds that at some size end with a test accuracy from 0.2 to 0.9, of which "
        "half is reached at three times the step of 99 % training accuracy or later",
        kind="share",
        region=Region.at_least(0.5),
        smallest_effect=Effect(0.1, "one seed in ten"),
        experiment="semi-grokking",
        evidence=in_between,
    ),
    _claim(
        id="V10",
        name="from scratch more data is needed",
        sentence="From scratch more samples are needed to generalize than not to forget.",
        source="App. A.2",
        paper_value="over 2 (at a test accuracy of about 0.7)",
        estimand=f"the geometric mean over seeds of {_SIZE}, from scratch over that from grokked networks, "
        "at decay 1",
        kind="geometric_mean",
        region=Region.at_least(1.2),
        smallest_effect=Effect(0.1, "a tenth of the data"),
        experiment="semi-grokking",
        beside=("ungrokking",),
        evidence=scratch_over_grokked,
    ),
    _claim(
        id="V11",
        name="parity: ungrokking",
        sentence="A parity is forgotten, too.",
        source="asked here",
        setting="own",
        estimand="the mean over seeds of the test accuracy at the end on 240 samples, at decay 0.01",
        region=Region.at_most(0.6),
        smallest_effect=Effect(0.05, "one input in twenty"),
        experiment="parity-ungrokking",
        evidence=partial(at_smallest, axis="n_train"),
    ),
    _claim(
        id="V12",
        name="parity: decay does not matter",
        sentence="At equal decay times steps decay does not move the size at which a parity is forgotten.",
        source="asked here",
        setting="own",
        estimand="the geometric mean over seeds of the size at which test accuracy at the end crosses 3/4 "
        "(linear in the logarithm of the size), at decay 0.03 over that at 0.01",
        kind="geometric_mean",
        region=Region.between(0.95, 1.05),
        smallest_effect=Effect(0.03, "3 % of the data"),
        experiment="parity-ungrokking-fast",
        beside=("parity-ungrokking",),
        evidence=partial(over_other, level=0.75),
    ),
)


# ---------------------------------------------------------------- figures

_BLUE, _ORANGE, _GREEN, _GRAY = (COLOR[name] for name in ("test", "complementary", "norm_matched", "control"))
_LOSS = 1e-5  # at which norms are compared in the figure


def _losses(scalars: np.ndarray, classes: int = _CLASSES) -> tuple[np.ndarray, np.ndarray]:
    """Training and test loss of the toy, [step] each."""
    good, bad = scalars.T
    return np.log1p((classes - 1) * np.exp(-good - bad)), np.log(
        np.exp(good) + np.exp(bad) + classes - 2
    ) - good


def _draw_toy(runs: Mapping[str, RunLike], command: str) -> Drawing:
    del runs
    cases = {
        "Three ingredients": simulate(),
        "Memory more efficient": simulate((_COSTS[1], _COSTS[0])),
        "Learned equally fast": simulate(starts=_EQUAL_STARTS),
        "No weight decay": simulate(decay=0.0),
    }
    drawing, axes = panels(list(cases))
    for axis, scalars in zip(axes, cases.values(), strict=True):
        steps = np.unique(np.geomspace(1, len(scalars) - 1, 400).astype(int))
        for split, loss in zip(("train", "test"), _losses(scalars), strict=True):
            axis.loglog(steps, loss[steps], color=COLOR[split], linestyle=line_style(split), label=split)
        x_label(axis, "step")
    axes[0].set_ylabel("loss", fontsize=SMALL)
    legend(drawing, axes[0])
    note = (
        f"Costs {_COSTS[0]:g} and {_COSTS[1]:g}, starts {_STARTS[0]:g} and {_STARTS[1]:g}, decay {_DECAY:g}."
    )
    small_print(drawing, f"The toy: without seeds. {note}", command)
    return drawing


def _equations(run: RunLike) -> int:
    """The size of the whole table."""
    task = run.experiment.task
    return task.p**2 if isinstance(task, ModularOperator) else 1


def _plain(axis: Any) -> None:
    """Few plain numbers on a logarithmic axis of less than a decade."""
    from matplotlib.ticker import LogLocator, NullFormatter, ScalarFormatter

    axis.set_major_locator(LogLocator(subs=(1.0, 1.5, 2.0, 3.0, 5.0)))
    axis.set_major_formatter(ScalarFormatter())
    axis.set_minor_formatter(NullFormatter())


def _draw_ungrokking(runs: Mapping[str, RunLike], command: str) -> Drawing:
    drawing, (norms, accuracy) = panels([f"Norm at a training loss of {_LOSS:g}", "Test accuracy at the end"])
    ungrokking = runs["ungrokking"].measures
    whole = _equations(runs["ungrokking"])
    every = [runs[name].measures["train_fraction"].to_numpy() for name in ("memorizing", "generalizing")]
    drawn = min(each.min() for each in every), max(each.max() for each in every)
    for name, (sizes, found), color, label in (
        ("memorizing", efficiencies(runs["memorizing"].measures), _ORANGE, "random labels"),
        ("generalizing", generalizing_efficiencies(runs["generalizing"].measures), _BLUE, "generalizing"),
    ):
        table = _equations(runs[name])
        draw_range(norms, sizes * table, np.sqrt(-np.log(_LOSS) / found), color, label)
        if np.isfinite(fits := _lines(sizes, found)).any():
            slope, height = np.nanmedian(fits, axis=1)
            along = np.geomspace(*drawn, 20)
            line = np.sqrt(-np.log(_LOSS) / np.exp(height + slope * np.log(along)))
            norms.plot(along * table, line, color=color, linestyle="dashed", linewidth=0.8)
    colors = (_GREEN, "black", _GRAY, _ORANGE)
    for decay, color in zip(np.sort(ungrokking["weight_decay"].to_numpy()), colors, strict=False):
        sizes, found = last_by_size(part_of(ungrokking, weight_decay=decay), "test_accuracy")
        draw_range(accuracy, sizes * whole, found, color, f"decay {decay:g}")
    found = critical(ungrokking, weight_decay=1.0) * whole
    if np.isfinite(found).any():
        for axis in (norms, accuracy):
            axis.axvline(np.nanmedian(found), color=_GRAY, linestyle="dotted", linewidth=1)
    for axis in (norms, accuracy):
        axis.set_xscale("log")
        _plain(axis.xaxis)
        x_label(axis, "training samples")
    norms.set_yscale("log")
    _plain(norms.yaxis)
    accuracy.set_ylim(-0.03, 1.05)
    legend(drawing, norms, accuracy)
    n = ungrokking.sizes["seed"]
    note = "Medians and the range of all. Dashed: power laws. Dotted: the critical size at decay 1 (median)."
    small_print(drawing, f"{n} seeds. {note}", command)
    return drawing


def _draw_semi(runs: Mapping[str, RunLike], command: str) -> Drawing:
    scratch, ungrokking = runs["semi-grokking"].measures, runs["ungrokking"].measures
    sizes, ends = last_by_size(scratch, "test_accuracy")
    between = ((ends >= 0.2) & (ends <= 0.9)).sum(axis=1)
    chosen = int(np.argmax(between))
    whole = _equations(runs["semi-grokking"])
    drawing, (curves, end) = panels(
        [f"From scratch, {round(sizes[chosen] * whole):,} samples", "Test accuracy at the end"]
    )
    cell = part_of(scratch, train_fraction=sizes[chosen])
    steps = cell["step"].to_numpy()
    for split in ("train", "test"):
        each = cell[f"{split}_accuracy"].transpose("seed", "step").to_numpy()
        for i, one in enumerate(each):
            label = split if i == 0 else None
            curves.plot(steps, one, color=COLOR[split], linestyle=line_style(split), lw=0.8, label=label)
    draw_range(end, sizes * whole, ends, _ORANGE, "from scratch")
    grokked_sizes, kept = last_by_size(part_of(ungrokking, weight_decay=1.0), "test_accuracy")
    draw_range(end, grokked_sizes * _equations(runs["ungrokking"]), kept, _BLUE, "from grokked networks")
    curves.set_xscale("symlog", linthresh=max(1, float(steps[1])))
    x_label(curves, "step")
    x_label(end, "training samples")
    for axis in (curves, end):
        axis.set_ylim(-0.03, 1.05)
    legend(drawing, curves, end)
    n = scratch.sizes["seed"]
    small_print(drawing, f"{n} seeds; left: a line each; right: medians and the range of all.", command)
    return drawing


def _draw_parity(runs: Mapping[str, RunLike], command: str) -> Drawing:
    drawing, (axis,) = panels(["Parity of 3 of 40 bits: test accuracy at the end"])
    for name, color, decay in (
        ("parity-ungrokking", _BLUE, 0.01),
        ("parity-ungrokking-fast", _ORANGE, 0.03),
    ):
        label = f"decay {decay:g}, {runs[name].experiment.n_steps:,} steps"
        draw_range(axis, *last_by_size(runs[name].measures, "test_accuracy", "n_train"), color, label)
    axis.set_ylim(0.45, 1.03)
    x_label(axis, "training samples")
    legend(drawing, axis)
    n = runs["parity-ungrokking"].measures.sizes["seed"]
    small_print(drawing, f"{n} seeds; medians and the range of all.", command)
    return drawing


class CircuitEfficiency(Paper):
    """Varma et al. 2023: grokking as competition of circuits that differ in efficiency."""

    kind: Literal["circuit-efficiency"] = "circuit-efficiency"
    title = "Explaining grokking through circuit efficiency"
    authors = "Vikrant Varma, Rohin Shah, Zachary Kenton, János Kramár, Ramana Kumar"
    year = 2023
    arxiv = "2309.02390"
    bibtex = """@misc{varma2023explaining,
  title = {Explaining grokking through circuit efficiency},
  author = {Vikrant Varma and Rohin Shah and Zachary Kenton and J{\\'a}nos Kram{\\'a}r and Ramana Kumar},
  year = {2023},
  eprint = {2309.02390},
  archivePrefix = {arXiv}
}"""
    experiments = _EXPERIMENTS
    claims = _CLAIMS
    figures = (
        Figure(
            "toy", "Section 3: losses of the toy, with and without each ingredient.", _draw_toy, ("full",)
        ),
        Figure(
            "ungrokking",
            "Sections 5.1 and 5.2: norms of both circuits, and what is left after ungrokking.",
            _draw_ungrokking,
            ("memorizing", "generalizing", "ungrokking"),
        ),
        Figure(
            "semi-grokking",
            "Section 5.3 and Appendix A.2: from scratch near the critical size.",
            _draw_semi,
            ("semi-grokking", "ungrokking"),
        ),
        Figure(
            "parity",
            "V11, V12: ungrokking of a parity.",
            _draw_parity,
            ("parity-ungrokking", "parity-ungrokking-fast"),
        ),
    )
    reasons: ClassVar[Mapping[str, str]] = {
        "V4": "A network that answers all pairs still holds memory (V4-mixed), which is cheaper with fewer "
        "samples. It depends on data less than memory does (V4-less). Incomplete training "
        "and the definition of efficiency were ruled out on seeds 0 and 1. No pure generalizing circuit was "
        "found at p = 31, so the sentence about such circuits was not tested.",
    }
