r"""Grokking at the edge of linear separability (arXiv 2410.04489).

Logistic regression with a bias, $f(x) = S x + b$, on N Gaussian inputs in d dimensions that all have one
label. The correct side is f < 0 (the loss is $\log(1 + e^f)$). It generalizes perfectly if and only if the
inputs are not linearly separable from the origin; for N and d to infinity that is $\lambda = d / N < 1/2$
(Wendel 1962). Near 1/2 from below generalization comes late, without any weight decay.

This file: the two-point model, the experiments, the evidence, the claims, the figures. Printed in the paper:
the model, the loss, plain gradient descent, $\eta$ = 0.1, N = 4,000 and $\lambda$ = 0.495 for Adam, label
fractions 1, 0.99, 0.95 at $\lambda$ = 0.48. Of the full text only parts were at hand: the settings of Figures
1 and 2, the start and the numbers of steps are ours. We start at S = 0, b = 0. True labels are -1, also where
a share of the training labels is flipped.

Whether a member is separable, and by which margin, is computed exactly (a linear program, non-negative least
squares) and not read off $\lambda$: at finite N the threshold is a crossover of width $N^{-1/2}$.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from grokscope.claims import Claim, Effect, NotTestable, Region, need
from grokscope.experiment import Experiment
from grokscope.learners.still import Still
from grokscope.losses import Exponential, Logistic
from grokscope.models.linear import LinearModel
from grokscope.optimizers import SGD, Adam
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
from grokscope.papers.evidence import difference, part_of, ratio, steps_of
from grokscope.plots.style import COLOR, legend, panels, small_print, x_label
from grokscope.spec.events import member_curves
from grokscope.statistics import clopper_pearson, separable_probability
from grokscope.tasks.constant_label import ConstantLabel

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure as Drawing

    from grokscope.progress import Progress

__all__ = ["SeparabilityEdge"]

_N, _RATE, _LEVEL = 500, 0.1, 0.95
_PERFECT = 0.99  # at the end of a run: the bias grows as log t, so accuracy 1 is reached slowly

# ---------------------------------------------------------------- the two-point model (Section 4, Table 1)


class TwoPoint(NamedTuple):
    r"""Times in the model of two inputs $x_1 = -\sigma$, $x_2 = \sigma (1 - 2 \lambda)$.

    Attributes:
        log_ratio: $\log(t_\text{gen} / t_\text{tr})$: of the times at which the losses fall below
            $\varepsilon$.
        last: S at the end.
    """

    log_ratio: float
    last: float


def two_point(ratio_: float, log_tolerance: float, sigma: float = 1.0) -> TwoPoint:
    r"""Gradient flow on $L = \frac12 (e^{S x_1 + b} + e^{S x_2 + b})$ from S = b = 0.

    In the time $\tau = \int e^b dt$ the equations are $S' = -\frac12 (x_1 e^{S x_1} + x_2 e^{S x_2})$ and
    $b' = -\frac12 (e^{S x_1} + e^{S x_2})$. The test loss is that of $x \sim N(0, \sigma^2)$,
    $e^{b + \sigma^2 S^2 / 2}$.

    Args:
        ratio_: $\lambda$, below 1/2.
        log_tolerance: $\log \varepsilon$; may be far below the smallest float's.
        sigma: $\sigma$.

    Example:
        >>> found = two_point(0.4, -200.0)
        >>> round(found.last, 3), round(largest_slope(0.4), 3)
        (1.341, 1.341)
    """
    from scipy.integrate import solve_ivp

    one, two = -sigma, sigma * (1 - 2 * ratio_)

    def flow(tau: float, y: np.ndarray) -> list[float]:
        first, second = np.exp(y[0] * one), np.exp(y[0] * two)
        return [-(one * first + two * second) / 2, -(first + second) / 2]

    def train(tau: float, y: np.ndarray) -> float:
        return math.log((math.exp(y[0] * one) + math.exp(y[0] * two)) / 2) + y[1] - log_tolerance

    def population(tau: float, y: np.ndarray) -> float:
        return y[1] + sigma**2 * y[0] ** 2 / 2 - log_tolerance

    def end(tau: float, y: np.ndarray) -> float:
        return population(tau, y)

    end.terminal, end.direction = True, -1  # pyright: ignore[reportFunctionMemberAccess]
    path: Any = solve_ivp(
        flow,
        (0, 1e9),
        [0.0, 0.0],
        events=[train, end],
        method="LSODA",
        rtol=1e-9,
        atol=1e-12,
        dense_output=True,
    )

    def log_time(tau: float) -> float:
        """The log of t = int_0^tau e^{-b}; only the last 400 count: b' is at most -1/2 e^{S x_2}."""
        grid = np.linspace(max(0.0, tau - 400), tau, 40_001)
        height = -path.sol(grid)[1]
        top = height.max()
        return float(top + np.log(np.trapezoid(np.exp(height - top), grid)))

    train_tau, end_tau = float(path.t_events[0][0]), float(path.t_events[1][-1])
    return TwoPoint(log_time(end_tau) - log_time(train_tau), float(path.y[0, -1]))


def largest_slope(ratio_: float) -> float:
    r"""$S_\infty = \log(1 / (1 - 2 \lambda)) / (2 (1 - \lambda))$, for $\sigma = 1$ (Table 1)."""
    return math.log(1 / (1 - 2 * ratio_)) / (2 * (1 - ratio_))


_TWO_POINT_RATIOS = (0.40, 0.45, 0.48, 0.49, 0.495, 0.499)
_SMALL, _FINITE = -20_000.0, math.log(1e-6)  # log of the tolerance


def two_point_slope(log_tolerance: float) -> float:
    r"""Slope of $\sqrt{\log(t_\text{gen} / t_\text{tr})}$ against $\log(1 - 2 \lambda)$, absolute.

    By least squares over six ratios from 0.4 to 0.499.
    """
    roots = [math.sqrt(two_point(one, log_tolerance).log_ratio) for one in _TWO_POINT_RATIOS]
    return abs(float(np.polyfit(np.log(1 - 2 * np.array(_TWO_POINT_RATIOS)), roots, 1)[0]))


# ---------------------------------------------------------------- analyses: what is exact of a member


def _taken(run: Any, name: str, of: Callable[[Any], float], progress: Progress) -> None:
    """Keep a number of each member, ``of(seeds)``, as a measure at its last step; all in one write."""
    from grokscope.runs.given import GivenMeasures, missing_members

    at = {position: int(done) for position, done in enumerate(run.steps_done)}
    with GivenMeasures(run, name) as given:
        todo = [p for p in missing_members(given.read([name]), run, at) if at[p] == run.experiment.n_steps]
        progress.start(len(todo), name)
        found: list[float] = []
        for position in todo:
            found.append(of(run.members.seeds[position]))
            progress.advance(1)
        progress.finish()
        if todo:
            given.write(todo, [run.experiment.n_steps], {name: np.array(found)[:, None]})


def _separable(run: Any, progress: Progress) -> None:
    """Whether the training inputs are separable from the origin."""
    from grokscope.statistics import linearly_separable

    _taken(run, "separable", lambda seeds: float(linearly_separable(run.data(seeds)["train_x"])), progress)


def _margin(run: Any, progress: Progress) -> None:
    """The hard margin of the training inputs from the origin; 0 if they are not separable."""
    from grokscope.statistics import hard_margin

    _taken(run, "hard_margin", lambda seeds: hard_margin(run.data(seeds)["train_x"]), progress)


def _path(run: Any, progress: Progress) -> None:
    """How far S is from the path without bias at equal conformal time: the largest relative distance."""
    rate = run.experiment.optimizer.learning_rate

    def of(seeds: Any) -> float:
        x = np.asarray(run.data(seeds)["train_x"], np.float64)
        bias = run.measures["population_output_mean"].isel(seed=run.position(seeds)).to_numpy()
        tau = np.concatenate([[0.0], np.cumsum(rate * np.exp(bias[:-1]))])  # of every step
        free, now, worst = np.zeros(x.shape[1]), 0.0, 0.0
        for one in (one for one in run.kept_steps(seeds) if one > 0):
            slope = np.asarray(run.model(seeds, one).weights[0], np.float64)
            while now < tau[one]:
                h = min(rate / 4, tau[one] - now)
                free = free - h * np.exp(x @ free) @ x / len(x)
                now += h
            worst = max(worst, float(np.linalg.norm(slope - free) / np.linalg.norm(slope)))
        return worst

    _taken(run, "path_deviation", of, progress)


def _of_two_points(run: Any, progress: Progress) -> None:
    """The numbers of the two-point model: nothing of the run is read."""
    _taken(run, "two_point_slope", lambda seeds: two_point_slope(_SMALL), progress)
    _taken(run, "two_point_slope_finite", lambda seeds: two_point_slope(_FINITE), progress)
    for i, one in enumerate(_TWO_POINT_RATIOS):
        last = two_point(one, _SMALL).last / largest_slope(one)
        _taken(run, f"two_point_last_{i}", lambda seeds, last=last: last, progress)


_SEPARABLE = Analysis("separability", _separable, seconds=0.05, gives=("separable",))
_MARGIN = Analysis("hard margin", _margin, seconds=0.1, gives=("hard_margin",))
_PATH = Analysis("path without bias", _path, seconds=2.0, gives=("path_deviation",))
_TWO_POINT = Analysis(
    "two-point model",
    _of_two_points,
    seconds=5.0,
    gives=("two_point_slope", "two_point_slope_finite", *(f"two_point_last_{i}" for i in range(6))),
)

# ---------------------------------------------------------------- experiments

_MEASURES = (
    "train_accuracy",
    "train_loss",
    "population_accuracy",
    "population_loss",
    "population_output_mean",
    "population_output_std",
)


def _spec(name: str, steps: int, d: int, points: str = "log 24", **parts: Any) -> Experiment:
    task: dict[str, Any] = {"kind": "constant_label", "d": d, "n_train": _N, "n_test": 0}
    task |= parts.pop("task", {})
    usual: dict[str, Any] = {
        "model": LinearModel(bias=True, init_scale=0.0),
        "loss": Logistic(),
        "optimizer": SGD(learning_rate=_RATE),
        "batch_size": "full",
        "measures": _MEASURES,
        "schedule": {"measures": points, "slow_measures": points, "follow": "ends"},
    }
    return Experiment(name=name, steps=steps, task=ConstantLabel(**task), **{**usual, **parts})


_DIMENSIONS = (150, 200, 240, 260, 300, 350)  # lambda 0.3, 0.4, 0.48, 0.52, 0.6, 0.7
_WENDEL = tuple(range(60, 141, 10))
_MAP = (150, 200, 225, 240)
_ADAM = _spec(
    "adam", 20_000, 1980, task={"n_train": 4000}, optimizer=Adam(learning_rate=1e-3, beta1=0.8, beta2=0.9)
)
_FEWER = ("task.n_train=1000", "task.d=495")
_REDUCED = "N = 1,000 instead of 4,000"


def _pair(name: str, sentence: str, spec: Experiment) -> RunExperiment:
    return RunExperiment(
        name,
        sentence,
        spec.with_(f"name='{name}'"),
        {"paper": Profile(seeds=3), "quick": Profile(seeds=4, overrides=_FEWER, reduced=_REDUCED)},
    )


def _both(seeds: int) -> dict[str, SweepProfile]:
    return {"paper": SweepProfile(seeds=seeds), "quick": SweepProfile(seeds=seeds)}


_EXPERIMENTS = (
    SweepExperiment(
        "wendel",
        "Random sets of 200 inputs in 60 to 140 dimensions; nothing is trained.",
        _spec(
            "wendel",
            1,
            100,
            "ends",
            task={"n_train": 200},
            learner=Still(),
            measures=("population_output_mean",),
        ),
        _both(400),
        over=(f"task.d={','.join(map(str, _WENDEL))}",),
        analyses=(_SEPARABLE,),
    ),
    SweepExperiment(
        "curves",
        "Gradient descent at N = 500 in 150 to 350 dimensions, sigma 5 (Figure 1).",
        _spec("curves", 50_000, 240, task={"sigma": 5.0}),
        _both(14),
        over=(f"task.d={','.join(map(str, _DIMENSIONS))}",),
        analyses=(_MARGIN,),
    ),
    SweepExperiment(
        "map",
        "The grokking time by sigma and by the distance to the threshold, at rate 0.01 (Figure 3).",
        _spec("map", 50_000, 200, optimizer=SGD(learning_rate=_RATE / 10)),
        _both(6),
        over=(f"task.d={','.join(map(str, _MAP))}", "task.sigma=1.0,2.0,5.0"),
    ),
    _pair("adam", "Adam at lambda = 0.495, sigma = 1, betas 0.8 and 0.9 (Figure 5).", _ADAM),
    _pair(
        "adam-gd",
        "The same with gradient descent (Figure 5).",
        _ADAM.with_("optimizer={kind='sgd', learning_rate=0.1}"),
    ),
    RunExperiment(
        "two-point",
        "The model of two inputs, by differential equations (Figure 9, Table 1).",
        _spec(
            "two-point",
            1,
            1,
            "ends",
            task={"n_train": 2},
            learner=Still(),
            measures=("population_output_mean",),
        ),
        {"paper": Profile(seeds=1), "quick": Profile(seeds=1)},
        most_seeds=1,
        analyses=(_TWO_POINT,),
    ),
    SweepExperiment(
        "label-fraction",
        "Labels of which none, 1 % and 5 % are flipped, at lambda = 0.48 (Figure 16).",
        _spec("label-fraction", 50_000, 240, task={"sigma": 5.0}),
        _both(5),
        over=("task.flipped=0.0,0.01,0.05",),
    ),
    RunExperiment(
        "no-bias",
        "The exponential loss at lambda = 0.48, against the path without a bias at equal conformal time.",
        _spec(
            "no-bias",
            4000,
            240,
            "every 1 steps",
            loss=Exponential(),
            precision="float64",
            optimizer=SGD(learning_rate=0.005),
            measures=("population_output_mean", "train_loss"),
        ).with_("schedule.snapshots='log 8'", "schedule.slow_measures='ends'"),
        {"paper": Profile(seeds=5), "quick": Profile(seeds=5)},
        analyses=(_PATH,),
    ),
)

# ---------------------------------------------------------------- evidence


def _ends(measures: xr.Dataset, *names: str) -> tuple[np.ndarray, ...]:
    """The last value of each measure [member], of all cells and seeds; members that lack one are left out.

    Raises:
        NotTestable: if no member has all.
    """
    need(measures, *names)
    found = np.stack([member_curves(measures[name])[:, -1] for name in names])
    known = np.isfinite(found).all(axis=0)
    if not known.any():
        raise NotTestable(f"no member has {' and '.join(names)} at its end")
    return tuple(found[:, known])


def beyond_wendel(measures: xr.Dataset) -> np.ndarray:
    """How far Wendel's probability is outside the exact 99.9 % interval of the share, by dimension."""
    need(measures, "separable")
    result: list[float] = []
    for d in _WENDEL:
        (found,) = _ends(part_of(measures, d=d), "separable")
        if not np.isin(found, (0.0, 1.0)).all():
            raise NotTestable("separable must be 0 or 1")
        interval = clopper_pearson(int(found.sum()), len(found), 0.999)
        p = separable_probability(200, d)
        result.append(max(interval.low - p, p - interval.high, 0.0))
    return np.array(result)


def _members_at(measures: xr.Dataset, *dimensions: int) -> list[xr.Dataset]:
    return [part_of(measures, d=d) for d in dimensions]


def generalizes_if_inseparable(measures: xr.Dataset) -> np.ndarray:
    """Whether accuracy ends above 0.99 just if the margin is 0 [member], for |1 - 2 lambda| >= 0.2."""
    found: list[np.ndarray] = []
    for cell in _members_at(measures, 150, 200, 300, 350):
        accuracy, margin = _ends(cell, "population_accuracy", "hard_margin")
        found.append((accuracy >= _PERFECT) == (margin == 0))
    return np.concatenate(found).astype(np.float64)


def over_limit(measures: xr.Dataset) -> np.ndarray:
    """Final accuracy less that of the margin, of the separable members at lambda = 0.6 and 0.7 [member]."""
    found: list[np.ndarray] = []
    for cell in _members_at(measures, 300, 350):
        accuracy, margin = _ends(cell, "population_accuracy", "hard_margin")
        found.append((accuracy - limit_accuracy(margin))[margin > 0])
    return np.concatenate(found)


def limit_accuracy(margin: np.ndarray, sigma: float = 5.0) -> np.ndarray:
    r"""$\frac12 (1 + \mathrm{erf}(1 / (\sigma M \sqrt 2)))$; 1 for the margin 0.

    Example:
        >>> limit_accuracy(np.array([0.2, 0.0])).round(4).tolist()  # one standard deviation
        [0.8413, 1.0]
    """
    from scipy.special import ndtr

    with np.errstate(divide="ignore"):
        return ndtr(1 / (sigma * np.asarray(margin)))


def _loss_curves(measures: xr.Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Population loss and training loss [member, step] of members that were trained to the end."""
    need(measures, "population_loss", "train_loss")
    population, train = (member_curves(measures[f"{name}_loss"]) for name in ("population", "train"))
    known = np.isfinite(population).all(axis=1) & np.isfinite(train).all(axis=1)
    if not known.any():
        raise NotTestable("the losses were measured for no member to the end")
    return population[known], train[known]


def rise_of_loss(measures: xr.Dataset) -> np.ndarray:
    """The last population loss over the smallest [member]."""
    population, _ = _loss_curves(measures)
    return ratio(population[:, -1], population.min(axis=1))


def fall_of_train_loss(measures: xr.Dataset) -> np.ndarray:
    """The last training loss over that where the population loss is smallest [member]."""
    population, train = _loss_curves(measures)
    at = np.argmin(population, axis=1)
    return ratio(train[:, -1], train[np.arange(len(train)), at])


def _above(measures: xr.Dataset, of: Callable[[xr.Dataset], np.ndarray]) -> np.ndarray:
    """A number of each member at lambda = 0.6 and 0.7, above the threshold."""
    return np.concatenate([of(cell) for cell in _members_at(measures, 300, 350)])


def generalization_step(measures: xr.Dataset) -> np.ndarray:
    """The first measured step with a population accuracy of 95 % [seed]; the last one where there is none."""
    need(measures, "population_accuracy")
    steps = steps_of(measures)
    curves = member_curves(measures["population_accuracy"])
    if np.isnan(curves).all():
        raise NotTestable("population_accuracy was measured for no seed")
    there = curves >= _LEVEL
    first = np.where(there.any(axis=1), steps[np.argmax(there, axis=1)], steps[-1])
    return np.where(np.isnan(curves).all(axis=1), np.nan, np.maximum(first, 1.0))


def interaction(measures: xr.Dataset) -> np.ndarray:
    """Log time from lambda = 0.4 to 0.48 at sigma = 5, less the same at sigma = 1 [seed].

    At lambda = 0.3 and sigma = 1 accuracy is above 95 % from the first step on, which says nothing of times.
    """
    near, far = 240, 200
    logs = {
        (d, sigma): np.log(generalization_step(part_of(measures, d=d, sigma=sigma)))
        for d in (far, near)
        for sigma in (1.0, 5.0)
    }
    return (logs[near, 5.0] - logs[far, 5.0]) - (logs[near, 1.0] - logs[far, 1.0])


def plateau_steps(measures: xr.Dataset) -> np.ndarray:
    """How long accuracy is within 0.05 of a half after training accuracy reached 95 %, in steps [seed]."""
    need(measures, "train_accuracy", "population_accuracy")
    steps = steps_of(measures)
    train = member_curves(measures["train_accuracy"])
    population = member_curves(measures["population_accuracy"])
    result = np.full(len(train), np.nan)
    for i, (seen, held) in enumerate(zip(train, population, strict=True)):
        if np.isnan(seen[1:]).any() or np.isnan(held[1:]).any():
            continue
        fitted = np.maximum.accumulate(np.nan_to_num(seen) >= _LEVEL)
        flat = fitted & (np.abs(held - 0.5) < 0.05)
        result[i] = np.sum(np.diff(steps)[flat[:-1]])
    if np.isnan(result).all():
        raise NotTestable("the accuracies were measured for no seed to the end")
    return result


def longer_plateau(adam: xr.Dataset, gd: xr.Dataset) -> np.ndarray:
    """log10 of one plus Adam's plateau, less that of gradient descent [seed]."""
    return difference(adam, gd, of=lambda measures: np.log10(1 + plateau_steps(measures)))


def _of_flipped(measures: xr.Dataset, share: float, of: Callable[[xr.Dataset], np.ndarray]) -> np.ndarray:
    return of(part_of(measures, flipped=share))


def fall_of_accuracy(measures: xr.Dataset) -> np.ndarray:
    """The last population accuracy with 5 % of the labels flipped less that with none [seed]."""
    need(measures, "population_accuracy")
    cells = [part_of(measures, flipped=share)["population_accuracy"] for share in (0.05, 0.0)]
    one, other = (member_curves(cell)[:, -1] for cell in cells)
    if np.isnan(one - other).all():
        raise NotTestable("population_accuracy was measured for no seed to the end")
    return one - other


def _two_point_ends(measures: xr.Dataset) -> np.ndarray:
    names = [f"two_point_last_{i}" for i in range(len(_TWO_POINT_RATIOS))]
    return np.concatenate(_ends(measures, *names))


# ---------------------------------------------------------------- claims

_claim = partial(Claim, fixed_on="0", confirmed_on="100-113")
_TENTH = Effect(0.1, "a tenth")

_CLAIMS = (
    _claim(
        id="S1",
        fixed_on="0-2",
        name="Wendel's probability",
        sentence="Random sets are separable from the origin as often as Wendel's theorem says.",
        source="Sec. 3 (Wendel 1962)",
        paper_value=0.0,
        estimand="for 200 inputs in each of nine dimensions from 60 to 140: the distance of Wendel's "
        "probability from the exact 99.9 % interval of the share of separable sets; 0 inside",
        region=Region.at_most(0.0),
        kind="deterministic",
        experiment="wendel",
        confirmed_on="100-499",
        evidence=beyond_wendel,
    ),
    _claim(
        id="S2",
        name="generalizes iff not separable",
        sentence="A member generalizes perfectly if and only if its inputs are not separable "
        "from the origin.",
        source="Prop. 3.2, 3.3",
        paper_value=1.0,
        estimand="the share of members at lambda = 0.3, 0.4, 0.6, 0.7 (sigma = 5) for which population "
        "accuracy above 0.99 at the end goes with a hard margin of 0",
        region=Region.at_least(0.9),
        smallest_effect=Effect(0.05, "one member in twenty"),
        kind="share",
        experiment="curves",
        evidence=generalizes_if_inseparable,
    ),
    _claim(
        id="S3",
        name="the margin says the accuracy",
        sentence="Members that are separable end at the accuracy that their hard margin says.",
        source="Sec. 3",
        paper_value=0.0,
        estimand="the mean over separable members at lambda = 0.6 and 0.7 (sigma = 5) of the last population "
        "accuracy less (1 + erf(1 / (sigma M sqrt 2))) / 2",
        region=Region.between(-0.02, 0.02),
        smallest_effect=Effect(0.005, "half a hundredth of accuracy"),
        experiment="curves",
        evidence=over_limit,
    ),
    _claim(
        id="S4",
        name="population loss diverges above",
        sentence="Above the threshold the population loss ends above its smallest value.",
        source="Prop. 3.3",
        paper_value="diverges",
        estimand="the geometric mean over members at lambda = 0.6 and 0.7 of the last population loss over "
        "the smallest",
        region=Region.above(1.2),
        smallest_effect=_TENTH,
        kind="geometric_mean",
        experiment="curves",
        evidence=partial(_above, of=rise_of_loss),
    ),
    _claim(
        id="S4-train",
        name="while the training loss falls",
        sentence="Meanwhile the training loss falls.",
        source="Prop. 3.3",
        paper_value="falls",
        estimand="the geometric mean over these members of the last training loss over that at the smallest "
        "population loss",
        region=Region.below(1.0),
        smallest_effect=_TENTH,
        kind="geometric_mean",
        experiment="curves",
        evidence=partial(_above, of=fall_of_train_loss),
    ),
    _claim(
        id="S5",
        name="delay needs both",
        sentence="The delay grows only if lambda is near 1/2 and sigma is large.",
        source="Fig. 3 right",
        paper_value="both",
        estimand="the mean over seeds of the log of the step of 95 % population accuracy, at lambda = 0.48 "
        "less 0.4 and sigma = 5 less 1 (the interaction); steps after the end count as the end",
        region=Region.above(0.0),
        smallest_effect=Effect(0.2, "a fifth of the time"),
        experiment="map",
        evidence=interaction,
    ),
    _claim(
        id="S6",
        name="two points: slope 1/sqrt 2",
        sentence="In the two-point model sqrt(log(t_gen / t_tr)) grows by about 1 / sqrt 2 for each unit of "
        "-log(1 - 2 lambda).",
        source="Fig. 9",
        paper_value=0.71,
        estimand="the absolute slope by least squares over lambda = 0.4, 0.45, 0.48, 0.49, 0.495, 0.499, for "
        "epsilon -> 0 (log epsilon = -20,000), sigma = 1",
        region=Region.between(0.64, 0.78),
        kind="deterministic",
        experiment="two-point",
        evidence=lambda m: _ends(m, "two_point_slope")[0],
    ),
    _claim(
        id="S6-finite",
        name="two points: not at epsilon 1e-6",
        sentence="That is the limit of small epsilon: at 1e-6 the slope is less than half of it.",
        source="Fig. 9",
        setting="own",
        estimand="the same slope at epsilon = 1e-6",
        region=Region.at_most(0.35),
        kind="deterministic",
        experiment="two-point",
        evidence=lambda m: _ends(m, "two_point_slope_finite")[0],
    ),
    _claim(
        id="S7",
        name="the path without bias",
        sentence="In conformal time S follows the path that it takes without a bias.",
        source="Sec. 3",
        paper_value=0.0,
        estimand="the mean over seeds of the largest |S - S'| / |S| over snapshots, S' from our own descent "
        "without a bias at equal tau = sum eta e^b (exponential loss, lambda = 0.48)",
        region=Region.at_most(0.02),
        smallest_effect=Effect(0.01, "a hundredth of the norm"),
        experiment="no-bias",
        evidence=lambda m: _ends(m, "path_deviation")[0],
    ),
    _claim(
        id="S8",
        name="two points: the last slope",
        sentence="In the two-point model S ends at log(1 / (1 - 2 lambda)) / (2 (1 - lambda)).",
        source="Table 1",
        paper_value=1.0,
        estimand="S at the end of the differential equation over that number, for six lambda from 0.4 to "
        "0.499, sigma = 1",
        region=Region.between(0.99, 1.01),
        kind="deterministic",
        experiment="two-point",
        evidence=_two_point_ends,
    ),
    _claim(
        id="S9",
        name="Adam: a flat plateau",
        sentence="Adam makes a flat plateau at 50 %, gradient descent does not.",
        source="Fig. 5",
        paper_value="plateau",
        estimand="the mean over seeds of log10(1 + steps with population accuracy within 0.05 of a half "
        "after 95 % training accuracy), Adam less gradient descent, same seed",
        region=Region.above(0.0),
        smallest_effect=Effect(0.3, "a factor of two"),
        experiment="adam",
        beside=("adam-gd",),
        evidence=longer_plateau,
    ),
    _claim(
        id="S10",
        name="flipped labels limit the accuracy",
        sentence="Flipped labels limit the accuracy: with 5 % of them it ends lower than with none.",
        source="Fig. 16",
        paper_value="below 1",
        estimand="the mean over seeds of the last population accuracy with a label fraction of 0.95 less "
        "that with 1, same seed",
        region=Region.below(-0.05),
        smallest_effect=Effect(0.02, "two hundredths"),
        experiment="label-fraction",
        evidence=fall_of_accuracy,
    ),
    _claim(
        id="S10-loss",
        name="flipped labels: the loss rises",
        sentence="There, too, the population loss ends above its smallest value.",
        source="Fig. 16",
        paper_value="non-monotone",
        estimand="the geometric mean over seeds of the last population loss over the smallest, with a label "
        "fraction of 0.95",
        region=Region.above(1.2),
        smallest_effect=_TENTH,
        kind="geometric_mean",
        experiment="label-fraction",
        evidence=partial(_of_flipped, share=0.05, of=rise_of_loss),
    ),
)


# ---------------------------------------------------------------- figures


def _lines(axis: Any, measures: xr.Dataset, name: str, color: str, label: str | None = None) -> None:
    """A thin line for each member."""
    steps = measures["step"].to_numpy()
    for i, values in enumerate(member_curves(measures[name])):
        axis.plot(steps, values, color=color, linewidth=0.7, alpha=0.7, label=label if i == 0 else None)
    axis.set_xscale("symlog", linthresh=10)
    axis.set_xlim(left=0)
    x_label(axis, "step")


def _figure_1(runs: Mapping[str, RunLike], command: str) -> Drawing:
    measures = runs["curves"].measures
    shown = (200, 240, 300)
    titles = [f"Accuracy, lambda = {d / _N:g}" for d in shown] + [f"Loss, lambda = {d / _N:g}" for d in shown]
    figure, axes = panels(titles, columns=3)
    for i, d in enumerate(shown):
        cell = part_of(measures, d=d)
        for split, color in (("train", COLOR["train"]), ("population", COLOR["test"])):
            label = split if i == 0 else None
            _lines(axes[i], cell, f"{split}_accuracy", color, label)
            _lines(axes[3 + i], cell, f"{split}_loss", color)
        axes[i].set_ylim(0.45, 1.02)
        axes[3 + i].set_yscale("log")
    legend(figure, axes[0])
    small_print(figure, "A line is a seed; N = 500, sigma = 5.", command)
    return figure


def _figure_2(runs: Mapping[str, RunLike], command: str) -> Drawing:
    """Final accuracy against that of the exact margin."""
    measures = runs["curves"].measures
    figure, axes = panels(["Final accuracy", "Separable sets of 200 inputs"])
    for d, color in zip(_DIMENSIONS, _shades(len(_DIMENSIONS)), strict=True):
        accuracy, margin = _ends(part_of(measures, d=d), "population_accuracy", "hard_margin")
        label = f"lambda = {d / _N:g}"
        axes[0].plot(limit_accuracy(margin), accuracy, ".", color=color, markersize=4, label=label)
    axes[0].plot([0.5, 1], [0.5, 1], color="black", linestyle="dotted", linewidth=1)
    x_label(axes[0], "accuracy of the hard margin; 1 if not separable")
    shares = [_ends(part_of(runs["wendel"].measures, d=d), "separable")[0].mean() for d in _WENDEL]
    grid = np.arange(_WENDEL[0], _WENDEL[-1] + 1)
    wanted = [separable_probability(200, int(d)) for d in grid]
    axes[1].plot(grid, wanted, color="black", linestyle="dotted", linewidth=1)
    axes[1].plot(_WENDEL, shares, ".", color=COLOR["test"], markersize=5)
    x_label(axes[1], "d")
    legend(figure, axes[0])
    small_print(figure, "Left: a point is a member at its last step. Right: dotted: Wendel.", command)
    return figure


def _shades(count: int) -> list[Any]:
    """Colors from light to dark, one for each value of an axis."""
    from matplotlib import colormaps

    return [colormaps["viridis"](place) for place in np.linspace(0, 0.9, count)]


def _figure_3(runs: Mapping[str, RunLike], command: str) -> Drawing:
    measures = runs["map"].measures
    figure, axes = panels(["Step of 95 % population accuracy", "Its logarithm (base 10), mean"])
    sigmas = [float(one) for one in measures["sigma"].to_numpy()]
    table = np.full((len(sigmas), len(_MAP)), np.nan)
    for i, (sigma, color) in enumerate(zip(sigmas, _shades(len(sigmas)), strict=True)):
        for j, d in enumerate(_MAP):
            steps = generalization_step(part_of(measures, d=d, sigma=sigma))
            table[i, j] = np.nanmean(np.log10(steps))
            axes[0].plot([1 - 2 * d / _N] * len(steps), steps, ".", color=color, markersize=4)
        axes[0].plot([1 - 2 * d / _N for d in _MAP], 10 ** table[i], color=color, label=f"sigma = {sigma:g}")
    axes[0].set_yscale("log")
    axes[0].set_xscale("log")
    x_label(axes[0], "1 - 2 lambda")
    axes[1].imshow(table, aspect="auto", origin="lower", cmap="viridis")
    axes[1].set_xticks(range(len(_MAP)), [f"{1 - 2 * d / _N:g}" for d in _MAP])
    axes[1].set_yticks(range(len(sigmas)), [f"{sigma:g}" for sigma in sigmas])
    for i, j in np.ndindex(*table.shape):
        axes[1].text(j, i, f"{table[i, j]:.1f}", ha="center", va="center", color="white", fontsize=8)
    x_label(axes[1], "1 - 2 lambda (columns), sigma (rows)")
    legend(figure, axes[0])
    small_print(figure, "A point is a seed; one that does not get there is put at the last step.", command)
    return figure


def _figure_5(runs: Mapping[str, RunLike], command: str) -> Drawing:
    titles = {"adam": "Adam", "adam-gd": "Gradient descent"}
    figure, axes = panels([f"{title}: accuracy" for title in titles.values()])
    for axis, name in zip(axes, titles, strict=True):
        for split, color in (("train", COLOR["train"]), ("population", COLOR["test"])):
            _lines(axis, runs[name].measures, f"{split}_accuracy", color, split if name == "adam" else None)
        axis.set_ylim(0.3, 1.02)
    legend(figure, axes[0])
    small_print(figure, "A line is a seed; lambda = 0.495, sigma = 1.", command)
    return figure


def _figure_9(runs: Mapping[str, RunLike], command: str) -> Drawing:
    del runs  # the model is computed anew: a second
    figure, axes = panels(["Two points"])
    x = np.log(1 - 2 * np.array(_TWO_POINT_RATIOS))
    for log_tolerance, text, color in (
        (_SMALL, "epsilon -> 0", COLOR["test"]),
        (_FINITE, "epsilon = 1e-6", COLOR["train"]),
    ):
        y = np.array([math.sqrt(two_point(one, log_tolerance).log_ratio) for one in _TWO_POINT_RATIOS])
        slope, height = np.polyfit(x, y, 1)
        axes[0].plot(x, y, ".", color=color, markersize=6)
        axes[0].plot(x, slope * x + height, color=color, linewidth=1, label=f"{text}: slope {slope:.2f}")
    x_label(axes[0], "log(1 - 2 lambda)")
    axes[0].set_ylabel("sqrt(log(t_gen / t_tr))", fontsize=8)
    legend(figure, axes[0])
    small_print(figure, "sigma = 1.", command)
    return figure


def _figure_16(runs: Mapping[str, RunLike], command: str) -> Drawing:
    measures = runs["label-fraction"].measures.sortby("flipped")
    shares = [float(one) for one in measures["flipped"].to_numpy()]
    figure, axes = panels(["Population accuracy", "Population loss"])
    for share, color in zip(shares, _shades(len(shares)), strict=True):
        cell = part_of(measures, flipped=share)
        _lines(axes[0], cell, "population_accuracy", color, f"label fraction {1 - share:g}")
        _lines(axes[1], cell, "population_loss", color)
    axes[1].set_yscale("log")
    legend(figure, axes[0])
    small_print(figure, "A line is a seed; lambda = 0.48, sigma = 5.", command)
    return figure


_FIGURES = (
    Figure("figure-1", "Figure 1: accuracy and loss around the threshold.", _figure_1, ("curves",)),
    Figure(
        "separability",
        "Accuracy against the hard margin, and Wendel's theorem.",
        _figure_2,
        ("curves", "wendel"),
    ),
    Figure("figure-3", "Figure 3: when members generalize.", _figure_3, ("map",)),
    Figure("figure-5", "Figure 5: Adam and gradient descent.", _figure_5, ("adam", "adam-gd")),
    Figure("figure-9", "Figure 9: the two-point model.", _figure_9, ("two-point",)),
    Figure("figure-16", "Figure 16: flipped labels.", _figure_16, ("label-fraction",)),
)


class SeparabilityEdge(Paper):
    """Beck, Levi, Bar-Sinai 2024: logistic regression groks where its inputs are hardly inseparable."""

    kind: Literal["separability-edge"] = "separability-edge"
    title = "Grokking at the Edge of Linear Separability"
    authors = "Alon Beck, Noam Levi, Yohai Bar-Sinai"
    year = 2024
    arxiv = "2410.04489"
    bibtex = """@misc{beck2024grokking,
  title = {Grokking at the Edge of Linear Separability},
  author = {Alon Beck and Noam Levi and Yohai Bar-Sinai},
  year = {2024},
  eprint = {2410.04489},
  archivePrefix = {arXiv}
}"""
    experiments = _EXPERIMENTS
    claims = _CLAIMS
    figures = _FIGURES
