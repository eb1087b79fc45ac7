r"""The weight norm sets the grokking timescale (arXiv 2606.13753), and its follow-up (arXiv 2606.18465).

AdamW trains a small network on addition mod p. In free training the norm $\lVert W \rVert$ of its matrices at
the grokking step, $W_c$, hardly depends on the data. If the norm is held at $\rho W_c$ from step 500 on,
after each update, the grokking step is $T \propto e^{a \rho}$. The follow-up says by which route: the norm
sets the scale of the logits, and a temperature in the loss undoes most of the delay.

This file: the experiments, the evidence, the claims, the figures. Profile ``quick`` trains p = 41, which is
one of the paper's sizes, in place of 59. $W_c$ is the median over the seeds of `reference`, which are other
seeds than those of the held runs.

Of the papers are not here: LayerNorm, attention, the dense sweep of the norm and its collapse over sizes, and
delays beyond $\rho = 1.3$. GELU is in its tanh form.

Claims of kind ``own`` ask what the papers leave open: times without the 500 steps before the hold, decay at a
held norm, norms that weaker decay reaches.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from grokscope.claims import Claim, Effect, NotTestable, Region, need
from grokscope.errors import InputError
from grokscope.experiment import Experiment
from grokscope.interventions.holding import HoldNorm
from grokscope.losses import CrossEntropy
from grokscope.measures.logit_scale import LogitScale
from grokscope.measures.norms import WeightNorm
from grokscope.models.embedding_mlp import EmbeddingMLP
from grokscope.models.fully_connected import FullyConnected
from grokscope.optimizers import AdamW
from grokscope.papers import (
    Figure,
    Paper,
    Profile,
    RunExperiment,
    RunLike,
    SweepExperiment,
    SweepProfile,
    from_experiment,
)
from grokscope.papers.evidence import (
    first_of_both,
    need_axis,
    part_of,
    pseudovalues,
    ratio,
    steps_of,
    times_in,
    value_at,
)
from grokscope.plots.style import COLOR, SMALL, legend, panels, small_print, x_label
from grokscope.spec.events import member_curves
from grokscope.statistics import CensoredTimes, censored_regression, paired_ratios
from grokscope.tasks.modular_operator import ModularOperator
from grokscope.tasks.sparse_parity import SparseParity

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure as Drawing

__all__ = ["WeightNormTimescale", "log_means"]

# ---------------------------------------------------------------- experiments (Sections 3 to 8)

_P, _SMALL_P, _WIDTH = 59, 41, 128
_HELD_FROM = 500  # the step from which on the norm is held
_LONG = 40_000
_MATRICES = ("embedding", "hidden_weight", "output_weight")
_SIZE = WeightNorm(parameters=_MATRICES)
_PARITY_SIZE = WeightNorm(parameters=_MATRICES[1:])
_RHOS = (0.85, 1.0, 1.15)
_SEEDS = {"paper": 16, "quick": 6}

_FREE = Experiment(
    name="free",
    steps=_LONG,
    batch_size="full",
    task=ModularOperator(
        operator="addition", p=_P, train_fraction=0.4, operator_token=False, equals_token=False
    ),
    model=EmbeddingMLP(
        embedding=_WIDTH, width=2 * _WIDTH, activation="gelu", output_bias=True, embedding_scale=_WIDTH**-0.5
    ),
    loss=CrossEntropy(),
    optimizer=AdamW(learning_rate=1e-3, weight_decay=1.0, no_decay=("*bias",)),
    measures=("train_accuracy", "test_accuracy", _SIZE, LogitScale()),
    # 80 points in a decade are 3 % apart, as in the authors' code
    schedule={"measures": "log 80", "slow_measures": "ends", "follow": "ends"},
    events={"memorization": "train_accuracy >= 0.99 for 1", "grokking": "test_accuracy >= 0.9 for 1"},
    stop={"grokked_for": 1},
)
_SMALLER = (f"task.p={_SMALL_P}", "task.train_fraction=0.5")
_REDUCED = f"p = {_SMALL_P} instead of {_P}, and half of the table instead of 40 %"
_OTHER_SEEDS = "; ".join(f"{stream}=+10000" for stream in ("init", "data", "order", "noise"))


def _holding(
    spec: Experiment, norm: float, until: int | None = None, parameters: tuple[str, ...] = _MATRICES
) -> Experiment:
    """The spec with a norm held at a multiple of a reference, which is replaced by a norm at grokking."""
    held = HoldNorm(
        norm=norm, of="reference", reference=1.0, at=_HELD_FROM, until=until, parameters=parameters
    )
    return Experiment.model_validate({**dict(spec), "interventions": (held,)})


def _of(reference: str) -> dict[str, Any]:
    return {"interventions.0.reference": from_experiment(reference, f"{_SIZE.name} at grokking")}


def _profiles(
    over: Sequence[str] = (),
    *changes: str,
    steps: int = 9_000,
    reduced: str = _REDUCED,
) -> dict[str, Profile]:
    small: dict[str, Any] = {
        "seeds": _SEEDS["quick"],
        "overrides": (*_SMALLER, f"steps={steps}", *changes),
        "reduced": reduced,
    }
    return {
        "paper": SweepProfile(seeds=_SEEDS["paper"]) if over else Profile(seeds=_SEEDS["paper"]),
        "quick": SweepProfile(over=tuple(over), **small) if over else Profile(**small),
    }


def _held(
    name: str,
    sentence: str,
    over: tuple[str, ...],
    quick: tuple[str, ...],
    *changes: str,
    steps: int = 9_000,
    until: int | None = None,
    reference: str = "reference",
) -> SweepExperiment:
    spec = _FREE.with_(f"name='{name}'", *changes)
    spec = _holding(spec, 1.0, until)
    return SweepExperiment(
        name, sentence, spec, _profiles(quick, steps=steps), over=over, values=_of(reference)
    )


def _norms(*values: float) -> tuple[str]:
    return (f"interventions.0.norm={','.join(f'{value:g}' for value in values)}",)


def temperature_that_matches(measures: xr.Dataset) -> np.ndarray:
    r"""The logit scale at $\rho = 1.15$ over that at $\rho = 1$, [seed]: means from step 1,000 to 3,000."""
    need(measures, "logit_scale")
    high, low = (_early_logits(part_of(measures, norm=norm)) for norm in (_RHOS[2], _RHOS[1]))
    return ratio(high, low)


def _early_logits(measures: xr.Dataset) -> np.ndarray:
    """The mean logit scale over the points from step 1,000 to 3,000, [seed]; NaN without any."""
    steps = steps_of(measures)
    values = member_curves(measures["logit_scale"])[:, (steps >= 1000) & (steps <= 3000)]
    count = np.isfinite(values).sum(axis=1)
    with np.errstate(invalid="ignore"):
        return np.where(count > 0, np.nansum(values, axis=1) / count, np.nan)


_PARITY = Experiment(
    name="parity",
    steps=10_000,
    batch_size="full",
    task=SparseParity(n=30, k=3, n_train=1000, n_test=1000),
    model=FullyConnected(width=512, activation="gelu_exact"),
    loss="logistic",
    optimizer=_FREE.optimizer,
    measures=("train_accuracy", "test_accuracy", _PARITY_SIZE),
    schedule=_FREE.schedule,
    events=_FREE.events,
    stop=_FREE.stop,
)
_PARITY_REDUCED = "256 neurons instead of 512, and one output with the logistic loss in place of two"
_PARITY_DECAYS = (0.3, 0.5, 1.0, 1.5)
_PARITY_RHOS = (0.9, 1.2)


def _parity(name: str, sentence: str, *over: str, decays: bool = False) -> SweepExperiment:
    spec = _PARITY.with_(f"name='{name}'")
    if not decays:
        spec = _holding(spec, 1.0, parameters=_MATRICES[1:])
    number = from_experiment("parity-reference", f"{_PARITY_SIZE.name} at grokking")
    profiles = {
        "paper": SweepProfile(seeds=_SEEDS["paper"]),
        "quick": SweepProfile(seeds=_SEEDS["quick"], overrides=("model.width=256",), reduced=_PARITY_REDUCED),
    }
    values = {} if decays else {"interventions.0.reference": number}
    return SweepExperiment(name, sentence, spec, profiles, over=over, values=values)


_EXPERIMENTS = (
    RunExperiment(
        "reference",
        "Free training on other seeds: the norm at grokking, of which held norms are multiples.",
        _FREE.with_("name='reference'"),
        _profiles(),
        streams=_OTHER_SEEDS,
    ),
    RunExperiment(
        "squared-reference",
        "Free training with the squared loss on other seeds: its norm at grokking.",
        _FREE.with_("name='squared-reference'", "loss='squared'"),
        _profiles(),
        streams=_OTHER_SEEDS,
    ),
    RunExperiment("free", "Free training (Section 3).", _FREE, _profiles()),
    SweepExperiment(
        "data",
        "Free training by share of the table (Section 4).",
        _FREE.with_("name='data'"),
        _profiles(
            ("task.train_fraction=0.4,0.65",),
            steps=20_000,
            reduced=f"p = {_SMALL_P} instead of {_P}; shares 0.4, 0.5 and 0.65",
        ),
        over=("task.train_fraction=0.3,0.35,0.5,0.65",),
    ),
    SweepExperiment(
        "rates",
        "Free training by learning rate at weight decay 3 (Section 4).",
        _FREE.with_("name='rates'", "optimizer.weight_decay=3.0"),
        _profiles(
            ("optimizer.learning_rate=0.0005,0.001,0.004",),
            "task.train_fraction=0.65",
            steps=4_000,
            reduced=f"p = {_SMALL_P} instead of {_P}, 65 % of the table instead of 40 %; rates 0.0005, 0.001 "
            "and 0.004",
        ),
        over=("optimizer.learning_rate=0.0005,0.001,0.002,0.005",),
    ),
    SweepExperiment(
        "decays",
        "Free training by weight decay (Section 4).",
        _FREE.with_("name='decays'"),
        _profiles(("optimizer.weight_decay=0.15,0.3,3.0",), steps=30_000),
        over=("optimizer.weight_decay=0.15,0.3,3.0",),
    ),
    SweepExperiment(
        "sizes",
        "Free training by p (Section 4, Figure 1B).",
        _FREE.with_("name='sizes'"),
        _profiles(
            ("task.p=29,41,59",),
            "task.train_fraction=0.65",
            steps=5_000,
            reduced="65 % of the table instead of 40 %; p = 29, 41 and 59",
        ),
        over=("task.p=29,41,59,79,97",),
    ),
    _held(
        "held",
        "The norm is held at multiples of that at grokking, from step 500 on (Section 5, Figure 2).",
        _norms(0.85, 0.9, 0.95, 1.0, 1.05, 1.1, 1.15, 1.2, 1.25, 1.3),
        _norms(*_RHOS),
        steps=24_000,
    ),
    _held(
        "held-rates",
        "The same at eight times the learning rate (Section 5, Table 1).",
        (*_norms(0.85, 1.0, 1.15, 1.3), "optimizer.learning_rate=0.002,0.004,0.008"),
        (*_norms(_RHOS[0], _RHOS[2]), "optimizer.learning_rate=0.008"),
        steps=15_000,
    ),
    _held(
        "held-decays",
        "The norm is held at that of grokking, with less and more weight decay.",
        ("optimizer.weight_decay=0.3,3.0",),
        ("optimizer.weight_decay=0.3,3.0",),
    ),
    _held(
        "one-shot",
        "The norm is set once, at step 500, and then free (Section 6).",
        _norms(0.7, 0.85, 1.15, 1.3),
        _norms(0.7, 1.3),
        until=_HELD_FROM + 1,
    ),
    RunExperiment(
        "small-start",
        "Free training from half of the initial weights (Section 6, Figure 4 right).",
        _FREE.with_(
            "name='small-start'", "model.init_scale=0.5", f"model.embedding_scale={0.5 * _WIDTH**-0.5}"
        ),
        _profiles(),
    ),
    RunExperiment(
        "temperature",
        "The norm is held at 1.15 times that of grokking, and the loss divides the logits by a temperature "
        "that gives them the scale they have at 1 (arXiv 2606.18465).",
        _holding(_FREE.with_("name='temperature'", "loss.temperature=1.0"), _RHOS[2]),
        _profiles(),
        values=_of("reference") | {"loss.temperature": from_experiment("held", temperature_that_matches)},
    ),
    _held(
        "squared-loss",
        "The norm is held, with the squared loss: multiples of its own norm (arXiv 2606.18465).",
        _norms(_RHOS[0], _RHOS[2]),
        _norms(_RHOS[0], _RHOS[2]),
        "loss='squared'",
        reference="squared-reference",
    ),
    RunExperiment(
        "parity-reference",
        "A sparse parity on other seeds: its norm at grokking.",
        _PARITY.with_("name='parity-reference'"),
        {
            "paper": Profile(seeds=_SEEDS["paper"]),
            "quick": Profile(seeds=_SEEDS["quick"], overrides=("model.width=256",), reduced=_PARITY_REDUCED),
        },
        streams=_OTHER_SEEDS,
        group="on-parity",
    ),
    _parity(
        "parity",
        "A sparse parity by weight decay (Section 8).",
        f"optimizer.weight_decay={','.join(f'{decay:g}' for decay in _PARITY_DECAYS)}",
        decays=True,
    ),
    _parity("parity-held", "The same, with a held norm.", *_norms(*_PARITY_RHOS)),
)

# ---------------------------------------------------------------- evidence: one entry per seed


def norm_at_grokking(measures: xr.Dataset, name: str = _SIZE.name) -> np.ndarray:
    """The norm of the matrices at the grokking step of a run or of a cell, [seed]; NaN if it does not grok.

    Raises:
        NotTestable: if no seed grokked.
    """
    need(measures, name)
    found = value_at(measures, member_curves(measures[name]), times_in(measures, "grokking").upper)
    if not np.isfinite(found).any():
        raise NotTestable("no seed grokked")
    return found


def _over(measures: xr.Dataset, axis: str, cells: Sequence[float] | None = None) -> np.ndarray:
    """`norm_at_grokking` in each cell along an axis, [cell, seed]."""
    need_axis(measures, axis)
    values = measures[axis].to_numpy() if cells is None else cells
    return np.array([norm_at_grokking(part_of(measures, **{axis: float(value)})) for value in values])


def variation(norms: np.ndarray) -> np.ndarray:
    """The coefficient of variation over cells of norms [cell, seed], [seed]; NaN where one is missing.

    Example:
        >>> variation(np.array([[1.0, 2.0], [3.0, 2.0]])).round(4).tolist()
        [0.7071, 0.0]
    """
    return ratio(norms.std(axis=0, ddof=1), norms.mean(axis=0))


def variation_over_data(data: xr.Dataset, free: xr.Dataset) -> np.ndarray:
    """`variation` over shares of the table, with that of free training, [seed]."""
    norms, other = _over(data, "train_fraction"), norm_at_grokking(free)
    n = min(norms.shape[1], len(other))
    return variation(np.vstack([norms[:, :n], other[:n]]))


def exponent_of_size(measures: xr.Dataset) -> np.ndarray:
    """The exponent of the norm at grokking in p, [seed]."""
    norms, p = _over(measures, "p"), measures["p"].to_numpy().astype(float)
    lines = [np.polyfit(np.log(p), np.log(one), 1)[0] if (one > 0).all() else np.nan for one in norms.T]
    return np.array(lines)


def log_means(times: Sequence[CensoredTimes]) -> np.ndarray:
    """The mean of log T in each cell, [cell], from the times of the same seeds in each.

    Of seen times (midpoints of the logarithms) plain means. With unseen ones by the censored regression on
    the cells (`grokscope.statistics.censored_regression`), which has one scatter for all.

    Raises:
        NotTestable: if the times do not determine a mean, as in a cell in which none was seen.

    Example:
        >>> log_means([CensoredTimes([1.0, 1.0], [1.0, np.e**2]), CensoredTimes([1.0, 1.0], [1.0, 1.0])])
        array([0.5, 0. ])
    """
    if all(one.observed.all() for one in times):
        return np.array([np.log(np.maximum(one.lower, 1) * one.upper).mean() / 2 for one in times])
    n = times[0].n
    every = CensoredTimes(*(np.concatenate([getattr(t, end) for t in times]) for end in ("lower", "upper")))
    cells = np.repeat(np.arange(len(times)), n)
    others = np.stack([cells == i for i in range(1, len(times))], axis=1).astype(float)
    if not len(times) > 1:
        others = np.zeros((n, 0))
    try:
        found = censored_regression(every, others).coefficients
    except InputError as error:
        raise NotTestable(str(error)) from None
    return np.append(found[0], found[0] + found[1:])


def of_log_means(
    estimand: Callable[[np.ndarray], float], *times: CensoredTimes, since: float = 0.0
) -> np.ndarray:
    """Pseudo-values [seed] of a function of the means of log T in cells of the same seeds.

    Args:
        estimand: from the means [cell] to a number.
        times: of each cell; the first seeds that all cells have are used.
        since: a step from which times are counted.
    """
    n = min(one.n for one in times)
    shifted = [
        CensoredTimes(np.maximum(one.lower[:n] - since, 0), np.maximum(one.upper[:n] - since, 1))
        for one in times
    ]

    def fitted(seeds: np.ndarray) -> np.ndarray:
        return np.atleast_1d(estimand(log_means([one[seeds] for one in shifted])))

    return pseudovalues(fitted, n)[0]


def log_ratio(above: CensoredTimes, below: CensoredTimes, *, since: float = 0.0) -> np.ndarray:
    """Pseudo-values [seed] of the mean log ratio of the times of the same seeds."""
    return of_log_means(lambda means: float(means[0] - means[1]), above, below, since=since)


def _held_times(measures: xr.Dataset, *norms: float) -> list[CensoredTimes]:
    return [times_in(measures, "grokking", norm=norm) for norm in norms]


def _quotient(above: float, below: float) -> float:
    """``above / below``; NaN where ``below`` is 0."""
    return float(above / below) if below else np.nan


def _slope(x: Any, means: np.ndarray) -> float:
    return float(np.polyfit(x, means, 1)[0])


def rate_of_growth(measures: xr.Dataset, *norms: float, since: float = 0.0) -> np.ndarray:
    r"""The slope a of log T on $\rho$ through the means of the cells, [seed]."""
    chosen = norms or _RHOS
    return of_log_means(partial(_slope, chosen), *_held_times(measures, *chosen), since=since)


def held_over_asked(held: xr.Dataset, reference: xr.Dataset) -> np.ndarray:
    r"""The norm at grokking over $\rho W_c$, of each seed in each cell that grokked."""
    asked = _median(norm_at_grokking(reference))
    need_axis(held, "norm")
    found = [
        ratio(norm_at_grokking(part_of(held, norm=float(rho))), np.array(float(rho) * asked))
        for rho in held["norm"]
    ]
    return _finite(np.concatenate(found))


def _finite(values: np.ndarray) -> np.ndarray:
    return values[np.isfinite(values)]


def _median(values: np.ndarray) -> float:
    """The median of the seeds that have a value.

    Raises:
        NotTestable: if none has.
    """
    if not len(known := _finite(values)):
        raise NotTestable("no seed has the number")
    return float(np.median(known))


def norm_over_rate(held: xr.Dataset, faster: xr.Dataset, since: float = 0.0) -> np.ndarray:
    r"""The range of log T over $\rho$ over its range over rates, each the mean of both settings, [seed]."""
    ends = (_RHOS[0], _RHOS[2])
    fast = part_of(faster, learning_rate=0.008)

    def estimand(means: np.ndarray) -> float:
        slow_low, slow_high, fast_low, fast_high = means
        over_norms = abs(slow_high - slow_low) + abs(fast_high - fast_low)
        return _quotient(over_norms, abs(slow_low - fast_low) + abs(slow_high - fast_high))

    return of_log_means(estimand, *_held_times(held, *ends), *_held_times(fast, *ends), since=since)


def slow_over_fast(held: xr.Dataset, faster: xr.Dataset, since: float = 0.0) -> np.ndarray:
    r"""Log of the time at rate 0.001 over that at 0.008, at $\rho = 0.85$, [seed]."""
    fast = part_of(faster, learning_rate=0.008)
    return log_ratio(_held_times(held, _RHOS[0])[0], _held_times(fast, _RHOS[0])[0], since=since)


def undone(held: xr.Dataset, matched: xr.Dataset) -> np.ndarray:
    r"""$1 - \log(T_m / T_1) / \log(T_{1.15} / T_1)$ with $T_m$ at the matched temperature, [seed]."""

    def estimand(means: np.ndarray) -> float:
        one, high, found = means
        return _quotient(high - found, high - one)

    return of_log_means(estimand, *_held_times(held, _RHOS[1], _RHOS[2]), times_in(matched, "grokking"))


def scale_seen(held: xr.Dataset, matched: xr.Dataset) -> np.ndarray:
    r"""The logit scale over the temperature at $\rho = 1.15$, over the logit scale at $\rho = 1$, [seed]."""
    need(matched, "logit_scale")
    temperature = _median(temperature_that_matches(held))
    seen = ratio(_early_logits(matched), np.array(temperature))
    return ratio(*first_of_both(seen, _early_logits(part_of(held, norm=_RHOS[1]))))


def memory_with_temperature(matched: xr.Dataset, held: xr.Dataset) -> np.ndarray:
    """The memorization step with the temperature over that without it, [seed]."""
    one, other = (times_in(each, "memorization") for each in (matched, part_of(held, norm=_RHOS[2])))
    return np.exp(log_ratio(one, other))


def squared_over_entropy(squared: xr.Dataset, held: xr.Dataset) -> CensoredTimes:
    """The growth of log T with the held norm, with the squared loss over that with cross-entropy, [seed].

    Each of its own norm at grokking. What is not seen bounds the growth from below.
    """
    growths = []
    for measures in (squared, held):
        low, high = _held_times(measures, _RHOS[0], _RHOS[2])
        ratios = paired_ratios(high, low)
        with np.errstate(divide="ignore"):  # where nothing is known the ratio is 0 or more
            growths.append((np.log(ratios.lower), np.log(ratios.upper)))
    (low, high), (entropy_low, entropy_high) = growths
    if not (entropy_low > 0).all():
        raise NotTestable("with cross-entropy the time does not grow with the held norm in every seed")
    # a growth below 0 is farthest from 0 over the smallest growth with cross-entropy
    least = low / np.where(low > 0, entropy_high, entropy_low)
    most = high / np.where(high > 0, entropy_low, entropy_high)
    return CensoredTimes(least, most)


def over_decay_at_held_norm(decays: xr.Dataset, held: xr.Dataset) -> np.ndarray:
    """The slope of log T on log decay at the norm of grokking, [seed]."""
    cells = (0.3, 1.0, 3.0)
    weak, strong = (times_in(decays, "grokking", weight_decay=decay) for decay in (cells[0], cells[2]))
    middle = _held_times(held, _RHOS[1])
    return of_log_means(partial(_slope, np.log(cells)), weak, *middle, strong)


def held_over_free(held: xr.Dataset, decays: xr.Dataset, decay: float = 0.3) -> np.ndarray:
    r"""Log of the time at $\rho = 1.15$ over that of free training at a weaker decay, [seed]."""
    return log_ratio(_held_times(held, _RHOS[2])[0], times_in(decays, "grokking", weight_decay=decay))


def off_frontier(
    held: xr.Dataset,
    decays: xr.Dataset,
    norm: float,
    name: str = _PARITY_SIZE.name,
    chosen: Sequence[float] | None = None,
) -> np.ndarray:
    """Log of the time at a held norm over that of free training at the same norm, [seed].

    Free training by weight decay gives a line of log time against log norm at grokking, from decay to decay
    (piecewise linear, and its last piece beyond them); it is read at the held norm.

    Args:
        held: the sweep over held norms.
        decays: that over weight decays.
        norm: the held one.
        name: of the measure that is held.
        chosen: the decays that make the line; by default all.
    """
    need_axis(decays, "weight_decay")
    values = np.sort(np.array(decays["weight_decay"].to_numpy() if chosen is None else chosen, float))[::-1]
    if len(values) < 2:
        raise NotTestable("the sweep has one weight decay")
    frees = [times_in(decays, "grokking", weight_decay=value) for value in values]
    norms = np.array([norm_at_grokking(part_of(decays, weight_decay=value), name) for value in values])
    sizes = norm_at_grokking(part_of(held, norm=norm), name)
    n = min(norms.shape[1], len(sizes))
    means = np.array([np.nanmean(one[:n]) for one in (*norms, sizes)])
    if not (means > 0).all() or len(np.unique(means[:-1])) < len(values):
        raise NotTestable("the norms at grokking do not differ from decay to decay")
    *x, at = np.log(means)

    def estimand(means: np.ndarray) -> float:
        found, *line = means
        return float(found - _on_line(float(at), np.array(x), np.array(line)))

    return of_log_means(estimand, *_held_times(held, norm), *frees)


def _on_line(at: float, x: np.ndarray, y: np.ndarray) -> float:
    """A piecewise linear function through points, with its end pieces beyond them; x in any order.

    Example:
        >>> [_on_line(at, np.array([2.0, 0.0, 1.0]), np.array([3.0, 0.0, 1.0])) for at in (0.5, 3.0, -1.0)]
        [0.5, 5.0, -1.0]
    """
    order = np.argsort(x)
    x, y = x[order], y[order]
    i = int(np.clip(np.searchsorted(x, at), 1, len(x) - 1))
    return float(y[i - 1] + (y[i] - y[i - 1]) * (at - x[i - 1]) / (x[i] - x[i - 1]))


# ---------------------------------------------------------------- claims

_claim = partial(Claim, fixed_on="0-1", confirmed_on="100-105")
_BEFORE = "none: proposed before any such run"
_FOLLOW_UP = "arXiv 2606.18465"
_TEN = Effect(0.1, "a tenth of the time")
_TIME = "the step at which test accuracy is first 0.9"
_NORM_AT = "the norm of the matrices at the grokking step"
_RATIO = "the geometric mean over seeds of the grokking step (unseen ones by censored regression)"
_JACKKNIFE = "means over seeds of log T, T the grokking step (censored regression; jackknife over seeds)"

_CLAIMS = (
    _claim(
        id="T1",
        name="norm at grokking: alike over data",
        sentence="The norm at the grokking step hardly depends on the share of the data.",
        source="Sec. 4, Fig. 1A",
        paper_value="0.01 to 0.02",
        estimand="the mean over seeds of the coefficient of variation, over shares of the table, of "
        f"{_NORM_AT}",
        region=Region.at_most(0.04),
        smallest_effect=Effect(0.01, "one percent of the norm"),
        experiment="data",
        beside=("free",),
        evidence=variation_over_data,
    ),
    _claim(
        id="T2",
        name="norm at grokking: alike over rates",
        sentence="At weight decay 3 it hardly depends on the learning rate.",
        source="Sec. 4",
        paper_value="below 0.01",
        estimand=f"the mean over seeds of the coefficient of variation, over learning rates, of {_NORM_AT}",
        region=Region.at_most(0.03),
        smallest_effect=Effect(0.01, "one percent of the norm"),
        experiment="rates",
        evidence=lambda m: variation(_over(m, "learning_rate")),
    ),
    _claim(
        id="T3",
        name="norm at grokking: set by decay",
        sentence="Weight decay sets it.",
        source="Sec. 4",
        paper_value=63 / 49,
        estimand=f"the geometric mean over seeds of {_NORM_AT} at weight decay 0.3 over that at 3",
        kind="geometric_mean",
        region=Region.between(1.15, 1.45),
        smallest_effect=Effect(0.05, "a twentieth of the norm"),
        experiment="decays",
        evidence=lambda m: ratio(*_over(m, "weight_decay", (0.3, 3.0))),
    ),
    _claim(
        id="T4",
        name="norm at grokking: p to the 0.38",
        sentence="It grows as p to the power 0.38.",
        source="Fig. 1B",
        paper_value=0.38,
        estimand=f"the mean over seeds of the exponent of {_NORM_AT} in p",
        region=Region.between(0.28, 0.50),
        smallest_effect=Effect(0.05, "3.5 % for twice the size"),
        experiment="sizes",
        evidence=exponent_of_size,
    ),
    _claim(
        id="T5",
        name="groks at whatever norm is held",
        sentence="It groks at whatever norm is held.",
        source="Fig. 2B",
        paper_value="yes",
        estimand=f"{_NORM_AT} over the norm that was asked for, of each seed and held norm that groks",
        kind="deterministic",
        region=Region.around(1.0, 0.001),
        experiment="held",
        beside=("reference",),
        evidence=held_over_asked,
    ),
    _claim(
        id="T6",
        name="time grows as exp(7.5 rho)",
        sentence="The grokking step grows exponentially with the held norm.",
        source="Sec. 5, 7",
        paper_value="7.92 at p = 41; 7.49 pooled",
        estimand=f"the slope on rho, from 0.85 to 1.15, of {_JACKKNIFE}",
        region=Region.between(6.0, 9.0),
        smallest_effect=Effect(0.7, "a tenth of the slope"),
        experiment="held",
        evidence=rate_of_growth,
    ),
    _claim(
        id="T6-since",
        name="... also since the hold began",
        sentence="It does so, and faster, if the 500 steps before the hold are not counted.",
        source="Table 1 (1,492 and 13,426 steps, less 500)",
        setting="own",
        paper_value=8.56,
        estimand=f"the slope on rho, from 0.85 to 1.15, of {_JACKKNIFE}, less 500 steps",
        region=Region.between(7.0, 11.0),
        smallest_effect=Effect(0.7, "a tenth of the slope"),
        experiment="held",
        evidence=partial(rate_of_growth, since=_HELD_FROM),
    ),
    _claim(
        id="T7",
        name="norm matters more than rate",
        sentence="The held norm moves the time more than the learning rate does.",
        source="Table 1",
        paper_value="19 times against 2 times: 4.2",
        estimand="the range of log T over rho (0.85, 1.15) over its range over rates (0.001, 0.008), both "
        f"averaged over the other setting; from {_JACKKNIFE}",
        region=Region.at_least(2.5),
        smallest_effect=Effect(0.5, "half of the effect of the rate"),
        experiment="held",
        beside=("held-rates",),
        evidence=norm_over_rate,
    ),
    _claim(
        id="T8",
        fixed_on=_BEFORE,
        name="a single rescaling does little",
        sentence="To set the norm once hardly moves the time.",
        source="Sec. 6",
        paper_value=1.2,
        estimand=f"{_RATIO} with the norm set to 1.3 times that of grokking over 0.7 times",
        kind="geometric_mean",
        region=Region.between(0.75, 1.33),
        smallest_effect=_TEN,
        experiment="one-shot",
        evidence=lambda m: np.exp(log_ratio(*_held_times(m, 1.3, 0.7))),
    ),
    _claim(
        id="T9",
        fixed_on=_BEFORE,
        name="a small start is washed out",
        sentence="A start with half of the norm does not change the time.",
        source="Fig. 4 right",
        paper_value="washed out",
        estimand=f"{_RATIO} from half of the initial weights over the usual start",
        kind="geometric_mean",
        region=Region.between(0.75, 1.33),
        smallest_effect=_TEN,
        experiment="small-start",
        beside=("free",),
        evidence=lambda small, free: np.exp(log_ratio(*(times_in(one, "grokking") for one in (small, free)))),
    ),
    _claim(
        id="T10",
        name="weak decay is not as slow as a hold",
        sentence="The delay of a norm held above that of grokking is not reached by less decay.",
        source="Sec. 5",
        paper_value="unreachable",
        estimand=f"{_RATIO} at rho 1.15 over free training at weight decay 0.3",
        kind="geometric_mean",
        region=Region.at_least(1.0),
        smallest_effect=_TEN,
        experiment="held",
        beside=("decays",),
        evidence=lambda held, decays: np.exp(held_over_free(held, decays)),
    ),
    _claim(
        id="T10-weaker",
        fixed_on=_BEFORE,
        name="... nor is still weaker decay",
        sentence="Nor is it reached by half of that decay.",
        source="asked here",
        setting="own",
        estimand=f"{_RATIO} at rho 1.15 over free training at weight decay 0.15",
        kind="geometric_mean",
        region=Region.at_least(1.0),
        smallest_effect=_TEN,
        experiment="held",
        beside=("decays",),
        evidence=lambda held, decays: np.exp(held_over_free(held, decays, 0.15)),
    ),
    _claim(
        id="T10-norm",
        fixed_on="100-105",
        confirmed_on="106-113",
        name="a hold outlasts decay to its norm",
        sentence="A norm held above that of grokking takes longer than free training with the weight decay "
        "that leads to this norm.",
        source="asked here",
        setting="own",
        estimand=f"{_RATIO} at rho 1.15 over free training at the same norm (log T linear in log norm "
        "through weight decays 3 and 0.3)",
        kind="geometric_mean",
        region=Region.at_least(1.0),
        smallest_effect=_TEN,
        experiment="held",
        beside=("decays",),
        evidence=lambda held, decays: np.exp(
            off_frontier(held, decays, _RHOS[2], _SIZE.name, chosen=(0.3, 3.0))
        ),
    ),
    _claim(
        id="T11",
        fixed_on=_BEFORE,
        name="the logit scale carries the delay",
        sentence="A temperature that gives the logits the scale of a smaller norm undoes most of the delay.",
        source=_FOLLOW_UP,
        paper_value="0.83, 0.89",
        estimand="1 - log(T_m / T_1) / log(T_1.15 / T_1), T_m at rho 1.15 with the matched temperature; from "
        f"{_JACKKNIFE}",
        region=Region.between(0.6, 1.1),
        smallest_effect=Effect(0.15, "a seventh of the delay"),
        experiment="held",
        beside=("temperature",),
        evidence=undone,
    ),
    _claim(
        id="T11-scale",
        fixed_on=_BEFORE,
        name="the temperature matches the scale",
        sentence="At this temperature the loss sees logits of the scale of the smaller norm.",
        source="asked here",
        setting="own",
        estimand="the geometric mean over seeds of the logit scale over the temperature at rho 1.15, over "
        "the logit scale at rho 1: means from step 1,000 to 3,000",
        kind="geometric_mean",
        region=Region.between(0.95, 1.05),
        smallest_effect=Effect(0.02, "a fiftieth of the scale"),
        experiment="held",
        beside=("temperature",),
        evidence=scale_seen,
    ),
    _claim(
        id="T11-memory",
        fixed_on=_BEFORE,
        name="the temperature spares memory",
        sentence="The temperature does not change when the training set is learned.",
        source=f"{_FOLLOW_UP} (a control)",
        paper_value="unchanged",
        estimand="the geometric mean over seeds of the step at which training accuracy is first 0.99, with "
        "the temperature over without",
        kind="geometric_mean",
        region=Region.between(0.8, 1.25),
        smallest_effect=_TEN,
        experiment="temperature",
        beside=("held",),
        evidence=memory_with_temperature,
    ),
    _claim(
        id="T12",
        # the region is older; the estimand (own norm, median) was changed after these seeds had been seen
        fixed_on="100-105",
        confirmed_on="106-113",
        name="squared loss: half the effect",
        sentence="With the squared loss the held norm has about half of the effect.",
        source=_FOLLOW_UP,
        paper_value="about 0.5",
        estimand="the median over seeds of the growth of log T from rho 0.85 to 1.15 with the squared loss "
        "over that with cross-entropy, each of its own norm at grokking; T the grokking step, right-censored "
        "where it is not reached",
        kind="median",
        region=Region.between(0.25, 0.75),
        smallest_effect=Effect(0.15, "a seventh of the growth"),
        experiment="squared-loss",
        beside=("held",),
        evidence=squared_over_entropy,
    ),
    *(
        _claim(
            id=f"T13-{side}",
            name=f"parity: held {side} is as by decay",
            sentence=f"A sparse parity with a norm held {side} that of grokking takes as long as free "
            "training with the weight decay that leads to this norm.",
            source="Sec. 8",
            setting="small",
            reduced=_PARITY_REDUCED,
            paper_value=0.0,
            estimand=f"log T at rho {norm:g}, less that of free training at the same norm (piecewise linear "
            f"in log norm between weight decays); from {_JACKKNIFE}",
            region=Region.around(0.0, 0.3),
            smallest_effect=Effect(0.15, "a seventh of the time"),
            experiment="parity-held",
            beside=("parity",),
            evidence=partial(off_frontier, norm=norm),
        )
        for side, norm in zip(("below", "above"), _PARITY_RHOS, strict=True)
    ),
    _claim(
        id="T14",
        fixed_on=_BEFORE,
        name="held norm: decay does not matter",
        sentence="At a held norm the time does not depend on weight decay.",
        source="asked here",
        setting="own",
        estimand=f"the slope on log weight decay (0.3, 1, 3), at rho 1, of {_JACKKNIFE}",
        region=Region.around(0.0, 0.3),
        smallest_effect=_TEN,
        experiment="held-decays",
        beside=("held",),
        evidence=over_decay_at_held_norm,
    ),
    _claim(
        id="T15",
        name="since the hold, the rate does matter",
        sentence="Counted from the step at which the hold begins, the time does depend on the learning rate.",
        source="Table 1: 1,492 and 587 are 992 and 87 steps since the hold",
        setting="own",
        paper_value=11.4,
        estimand=f"{_RATIO}, less 500 steps, at rate 0.001 over 0.008, at rho 0.85",
        kind="geometric_mean",
        region=Region.at_least(4.0),
        smallest_effect=Effect(0.3, "a tenth of the ratio"),
        experiment="held",
        beside=("held-rates",),
        evidence=lambda held, faster: np.exp(slow_over_fast(held, faster, _HELD_FROM)),
    ),
)

# ---------------------------------------------------------------- figures

#: Median grokking steps at rate 0.001 by rho, p = 59, 16 seeds (Table 1).
_TABLE_1 = {0.85: 1492, 1.0: 4077, 1.15: 13426, 1.3: 27925}
_BLUE, _ORANGE, _GREEN, _GRAY = (COLOR[name] for name in ("test", "complementary", "norm_matched", "control"))


def _points(axis: Any, x: Sequence[float], values: Sequence[np.ndarray], color: str, label: str = "") -> None:
    """The seeds' values at each x as points, and a line through their medians; unseen ones are left out."""
    for at, each in zip(x, values, strict=True):
        seen = _finite(each)
        axis.plot(np.full(len(seen), at), seen, ".", color=color, markersize=3, alpha=0.6)
    medians = [np.median(seen) if len(seen := _finite(each)) else np.nan for each in values]
    axis.plot(x, medians, "-", color=color, linewidth=1, label=label)


def _cells(
    measures: xr.Dataset, axis: str, name: str = _SIZE.name
) -> tuple[list[float], list[Any], list[Any]]:
    """Values of an axis, and norms and times at grokking in each of its cells, of those that have any."""
    found: tuple[list[float], list[Any], list[Any]] = ([], [], [])
    for value in measures[axis].to_numpy().astype(float):
        cell = part_of(measures, **{axis: value})
        try:
            norms = norm_at_grokking(cell, name)
        except NotTestable:
            continue
        found[0].append(float(value))
        found[1].append(norms)
        found[2].append(times_in(cell, "grokking").upper)
    return found


def _notes(runs: Mapping[str, RunLike], *names: str) -> list[str]:
    """How many seeds each experiment has."""
    return [f"{name}: {runs[name].measures.sizes['seed']} seeds" for name in names]


def _draw_norms(runs: Mapping[str, RunLike], command: str) -> Drawing:
    shown = {
        "data": ("train_fraction", "share of the table"),
        "sizes": ("p", "p"),
        "decays": ("weight_decay", "weight decay"),
        "rates": ("learning_rate", "learning rate"),
    }
    free, spec = runs["free"].measures, runs["free"].experiment
    usual = {
        "data": float(getattr(spec.task, "train_fraction", np.nan)),
        "decays": spec.optimizer.weight_decay,
    }
    drawing, axes = panels(["By data", "By p", "By weight decay", "By rate (decay 3)"])
    for axis, (name, (key, label)) in zip(axes, shown.items(), strict=True):
        x, norms, _ = _cells(runs[name].measures, key)
        if name in ("data", "decays"):
            x, norms = [*x, usual[name]], [*norms, norm_at_grokking(free)]
            order = np.argsort(x)
            x, norms = [x[i] for i in order], [norms[i] for i in order]
        _points(axis, x, norms, _BLUE)
        if name != "data":
            axis.set_xscale("log")
            _plain(axis, [x[0], x[-1]] if len(x) else [])
        top = max((float(np.max(_finite(one))) for one in norms), default=1.0)
        axis.set_ylim(0, 1.15 * top)
        x_label(axis, label)
    axes[0].set_ylabel("norm at grokking", fontsize=SMALL)
    notes = "; ".join(_notes(runs, "free", *shown))
    small_print(drawing, f"Points: seeds that grok. Lines: medians. {notes}.", command)
    return drawing


def _plain(axis: Any, ticks: Sequence[float]) -> None:
    """Ticks with plain numbers at these places of a logarithmic axis."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    axis.xaxis.set_major_locator(FixedLocator(list(ticks)))
    axis.xaxis.set_minor_locator(NullLocator())
    axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def _draw_held(runs: Mapping[str, RunLike], command: str) -> Drawing:
    held, reference = runs["held"].measures, runs["reference"].measures
    drawing, (left, middle, right) = panels(["Norm at grokking", "Grokking step", "Steps since the hold"])
    rhos, norms, times = _cells(held, "norm")
    asked = _median(norm_at_grokking(reference))
    left.plot(rhos, [rho * asked for rho in rhos], "--", color=_GRAY, linewidth=1, label="held norm")
    _points(left, rhos, norms, _BLUE)
    left.set_ylabel("norm", fontsize=SMALL)
    _points(middle, rhos, times, _BLUE, "rate 0.001")
    middle.plot(
        list(_TABLE_1),
        list(_TABLE_1.values()),
        "x",
        markersize=4,
        color=_GRAY,
        label="the paper's medians (p = 59)",
    )
    _points(right, rhos, [one - _HELD_FROM for one in times], _BLUE)
    right.plot(
        list(_TABLE_1), [step - _HELD_FROM for step in _TABLE_1.values()], "x", markersize=4, color=_GRAY
    )
    fast = runs["held-rates"].measures
    for rate in fast["learning_rate"].to_numpy().astype(float)[-1:]:
        x, _, steps = _cells(part_of(fast, learning_rate=rate), "norm")
        _points(middle, x, steps, _ORANGE, f"rate {rate:g}")
        _points(right, x, [one - _HELD_FROM for one in steps], _ORANGE)
    for axis in (middle, right):
        axis.set_yscale("log")
    for axis in (left, middle, right):
        x_label(axis, "held norm / norm at grokking")
    legend(drawing, left, middle)
    notes = "; ".join(_notes(runs, "reference", "held", "held-rates"))
    small_print(drawing, f"Points: seeds that grok. Lines: medians. {notes}.", command)
    return drawing


def _draw_frontier(runs: Mapping[str, RunLike], command: str) -> Drawing:
    drawing, axes = panels(["Addition", "Sparse parity"])
    pairs = (("decays", "held", _SIZE.name), ("parity", "parity-held", _PARITY_SIZE.name))
    for axis, (free, held, name) in zip(axes, pairs, strict=True):
        _, norms, times = _cells(runs[free].measures, "weight_decay", name)
        if free == "decays":
            plain = runs["free"].measures
            norms, times = [*norms, norm_at_grokking(plain)], [*times, times_in(plain, "grokking").upper]
        kinds = ((norms, times, "free, by weight decay", _GRAY, "o"),)
        _, held_norms, held_times = _cells(runs[held].measures, "norm", name)
        kinds = (*kinds, (held_norms, held_times, "held", _BLUE, "."))
        for x, y, label, color, marker in kinds:
            sizes = np.concatenate(x) if x else np.array([])
            steps = np.concatenate(y) if y else np.array([])
            axis.plot(sizes, steps, marker, color=color, markersize=3, label=label)
        axis.set_yscale("log")
        x_label(axis, "norm at grokking")
    axes[0].set_ylabel("grokking step", fontsize=SMALL)
    legend(drawing, axes[0])
    small_print(drawing, "; ".join(_notes(runs, "decays", "held", "parity", "parity-held")) + ".", command)
    return drawing


def _draw_scale(runs: Mapping[str, RunLike], command: str) -> Drawing:
    from matplotlib.ticker import NullFormatter

    drawing, (axis,) = panels(["Grokking step against the scale of the logits in the loss"])
    held, matched = runs["held"].measures, runs["temperature"].measures
    for i, rho in enumerate(held["norm"].to_numpy().astype(float)):
        part = part_of(held, norm=rho)
        label = "held norm" if i == 0 else ""
        scale = _early_logits(part)
        axis.plot(scale, times_in(part, "grokking").upper, ".", color=_BLUE, label=label)
        axis.annotate(
            f"{rho:g}",
            (float(np.nanmean(scale)), float(np.nanmin(times_in(part, "grokking").upper))),
            fontsize=SMALL,
            textcoords="offset points",
            xytext=(6, -2),
        )
    found = _early_logits(matched) / _median(temperature_that_matches(held))
    label = "1.15 with the temperature"
    axis.plot(found, times_in(matched, "grokking").upper, "x", markersize=4, color=_ORANGE, label=label)
    axis.set_yscale("log")
    axis.yaxis.set_minor_formatter(NullFormatter())
    x_label(axis, "logit scale / temperature, mean from step 1,000 to 3,000")
    legend(drawing, axis)
    small_print(
        drawing, f"Points: seeds that grok. {'; '.join(_notes(runs, 'held', 'temperature'))}.", command
    )
    return drawing


_FIGURES = (
    Figure(
        "figure-1",
        "Figure 1: the norm at the grokking step.",
        _draw_norms,
        ("free", "data", "sizes", "decays", "rates"),
    ),
    Figure(
        "figure-2",
        "Figure 2 and Table 1: held norms.",
        _draw_held,
        ("reference", "held", "held-rates"),
    ),
    Figure(
        "figure-4",
        "Section 5 and 8: grokking steps by weight decay and by a held norm.",
        _draw_frontier,
        ("free", "decays", "held", "parity", "parity-held"),
    ),
    Figure(
        "figure-logits",
        "arXiv 2606.18465: grokking steps against the scale of the logits.",
        _draw_scale,
        ("held", "temperature"),
    ),
)


class WeightNormTimescale(Paper):
    """Truong et al. 2026: the norm of the weights sets the time of grokking."""

    kind: Literal["weight-norm-timescale"] = "weight-norm-timescale"
    title = "The weight norm sets the grokking timescale: a causal delay law"
    authors = "Truong, Doan, Luu, Phan"
    year = 2026
    arxiv = "2606.13753"
    bibtex = """@misc{truong2026weight,
  title = {The weight norm sets the grokking timescale: a causal delay law},
  author = {Truong and Doan and Luu and Phan},
  year = {2026},
  eprint = {2606.13753},
  archivePrefix = {arXiv}
}"""
    experiments = _EXPERIMENTS
    claims = _CLAIMS
    figures = _FIGURES
    reasons: ClassVar[Mapping[str, str]] = {
        "T10-weaker": "Free training takes longer the weaker the decay, about as one over it: at 0.15 seeds "
        "take 18,800 to over 30,000 steps. A decay that is weak enough is as slow as any held norm.",
        "T12": "Here the effect is larger. Not the reference: of the norm of cross-entropy no seed groks at "
        "either multiple, of its own one of eight at the higher. Not the share of the table, as far as it "
        "can be seen: at 65 % it groks before the hold begins, at 45 % not even at its own norm (seed 0).",
    }
