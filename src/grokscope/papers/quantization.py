r"""The Quantization Model of Neural Scaling (arXiv 2303.13506): the half on multitask sparse parity.

A list of subtasks has frequencies $p_i \propto i^{-(1 + a)}$. A network learns each of them, the paper says,
in one sharp step, in the order of frequency; the loss of the whole is then a smooth power law in steps,
parameters and data. If the first n subtasks are learned and the others are at chance, the loss in bits is

$$L_n = \sum_{i > n} p_i.$$

For an endless list it falls as $n^{-a}$, which gives the exponents $-a$ in parameters and $-a / (1 + a)$ in
steps and samples (our derivation: n subtasks need parameters in proportion to n, steps and samples in
proportion to $1 / p_n$). A list of m subtasks ends: $L_n$ bends down to 0, and has no exponent. Adding the
rest of the endless list, as at chance,

$$L_n + \frac{\sum_{i > m} i^{-(1 + a)}}{\sum_{i \le m} i^{-(1 + a)}},$$

makes it a power law again. Claims are judged on both: on the loss as the paper has it, and, as ``own``, with
this tail. A fit is over the points at which 20 to 80 % of the subtasks are learned (below half a bit); what
range the paper has we do not know.

The second half of the paper (per-token losses of Pythia models, clusters of their gradients) is not testable
here: it needs the weights of these models and the Pile.

This file: the experiments, the evidence, the claims, the figures. Regions were fixed on 30 November 2026, on
seeds 0-2 of ``online``, 0-1 of ``finite`` and 0 of the sweeps.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from grokscope.claims import Claim, Effect, NotTestable, Region, need
from grokscope.errors import InputError
from grokscope.experiment import Experiment
from grokscope.losses.cross_entropy import CrossEntropy
from grokscope.models.mlp import MLP
from grokscope.optimizers.adam import AdamW
from grokscope.papers import (
    Figure,
    Paper,
    PaperExperiment,
    Profile,
    RunExperiment,
    RunLike,
    SweepExperiment,
    SweepProfile,
)
from grokscope.papers.evidence import first_of_both, need_axis, part_of, ratio, steps_of
from grokscope.plots.style import COLOR, legend, panels, small_print, x_label
from grokscope.statistics import (
    CensoredTimes,
    PowerLaw,
    censored_regression,
    event_times,
    fit_power_law,
)
from grokscope.tasks.multitask_parity import MultitaskParity

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure as Drawing

__all__ = ["Quantization"]

# ---------------------------------------------------------------- experiments

_ALPHA = 0.4
_MEASURES = (
    *("train_accuracy", "test_accuracy", "test_loss"),
    *("subtask_accuracy", "subtask_loss", "subtask_mean_loss"),
)

_ONLINE = Experiment(
    name="online",
    online=True,
    steps=200_000,
    batch_size=20_000,
    task=MultitaskParity(n_tasks=500, n=100, k=3, alpha=_ALPHA, n_test=10_000, probe_per_subtask=200),
    model=MLP(widths=(500,)),
    loss=CrossEntropy(),
    optimizer=AdamW(learning_rate=0.001, weight_decay=0.0),
    measures=_MEASURES,
).with_("schedule.measures=['log 64']", "schedule.follow='ends'")

_SMALLER = (
    *("task.n_tasks=20", "task.n=20", "task.n_test=1000", "model.widths=[400]"),
    *("batch_size=1000", "optimizer.learning_rate=0.005"),
)
_REDUCED = "20 subtasks of 20 bits, batches of 1,000, rate 0.005 instead of 500 of 100, 20,000, 0.001"


def _quick(steps: int, every: int, *more: str) -> tuple[str, ...]:
    return (*_SMALLER, f"steps={steps}", f"schedule.measures=['every {every} steps']", *more)


def _widths(*counts: int) -> str:
    return "model.widths=" + ",".join(f"[{count}]" for count in counts)


def _sizes(*counts: int) -> str:
    return "task.n_train=" + ",".join(map(str, counts))


def _spread(low: float, high: float, count: int) -> tuple[int, ...]:
    return tuple(round(size) for size in np.geomspace(low, high, count))


_HELD_OUT = list(_MEASURES[1:])  # the training accuracy of a million samples takes longer than their training
_FINITE = _ONLINE.with_("online=false", "steps=1_000_000")
_GROKS = str(list(_MEASURES)).replace("]", ", {kind='subtask_accuracy', split='train'}]")

_EXPERIMENTS: tuple[PaperExperiment, ...] = (
    RunExperiment(
        "online",
        "Fresh samples, alpha 0.4 (Figures 2 right, 7, 8).",
        _ONLINE,
        {
            "paper": Profile(seeds=3),
            "quick": Profile(
                seeds=10, overrides=_quick(5000, 25), reduced=f"{_REDUCED}, 5,000 steps instead of 200,000"
            ),
        },
    ),
    SweepExperiment(
        "alpha",
        "The same with other exponents of the frequencies (Figures 9, 10).",
        _ONLINE.with_("name='alpha'"),
        {
            "paper": SweepProfile(seeds=3),
            "quick": SweepProfile(
                seeds=5, overrides=_quick(8000, 50), reduced=f"{_REDUCED}, 8,000 steps instead of 200,000"
            ),
        },
        over=("task.alpha=0.2,0.8",),
    ),
    SweepExperiment(
        "width",
        "The same with other numbers of neurons (Figure 2 left).",
        _ONLINE.with_("name='width'"),
        {
            "paper": SweepProfile(seeds=2),
            "quick": SweepProfile(
                seeds=5,
                overrides=_quick(10_000, 200),
                over=(_widths(*_spread(25, 100, 7)),),
                reduced=f"{_REDUCED}, 25 to 100 neurons instead of 10 to 500, 10,000 steps instead of "
                "200,000",
            ),
        },
        over=(_widths(*_spread(10, 500, 30)),),
    ),
    SweepExperiment(
        "data",
        "Full passes over a finite sample of various sizes (Figure 2 center).",
        _FINITE.with_("name='data'", f"measures={_HELD_OUT}"),
        {
            "paper": SweepProfile(seeds=2),
            "quick": SweepProfile(
                seeds=5,
                overrides=_quick(4000, 100),
                over=(_sizes(20_000, 27_000, 36_000, 50_000, 67_000, 90_000),),
                reduced=f"{_REDUCED}, 20,000 to 90,000 samples instead of 10,000 to 5,000,000, 4,000 steps "
                "instead of 1,000,000",
            ),
        },
        over=(_sizes(*_spread(1e4, 5e6, 30)),),
    ),
    SweepExperiment(
        "finite",
        "One finite sample, with training accuracy of each subtask, without and with weight decay.",
        _FINITE.with_("name='finite'", "task.n_train=1_000_000", f"measures={_GROKS}"),
        {
            "paper": SweepProfile(seeds=3),
            "quick": SweepProfile(
                seeds=8,
                overrides=_quick(4000, 25, "task.n_train=15000"),
                reduced=f"{_REDUCED}, 15,000 samples instead of a million, 4,000 steps instead of a million",
            ),
        },
        over=("optimizer.weight_decay=0.0,0.5",),
    ),
)

# ---------------------------------------------------------------- evidence: one entry per seed

_EMERGED, _LEARNED = 0.1, 0.5  # bits


def subtask_curves(measures: xr.Dataset, name: str = "subtask_loss") -> np.ndarray:
    """A measure of each subtask, of one run or cell, [seed, subtask, step]; NaN for unfinished seeds.

    Raises:
        NotTestable: if it was not measured for any finished seed.
    """
    need(measures, name)
    values = measures[name].transpose(..., "subtask", "step").to_numpy()
    values = values.reshape(-1, *values.shape[-2:]).astype(np.float64)
    if "complete" in measures.coords:
        complete = np.broadcast_to(measures["complete"].to_numpy().astype(bool).ravel(), len(values))
        values = np.where(complete[:, None, None], values, np.nan)
    if np.isnan(values).all():
        raise NotTestable(f"{name} was measured for no seed")
    return values


def emergence(measures: xr.Dataset, bits: float = _EMERGED) -> CensoredTimes:
    """The first measured step at which the loss of a subtask is below so many bits [seed, subtask].

    Censored at the end of the run; nothing is known (0 to infinity) of a seed that was not measured.
    """
    return event_times(steps_of(measures), subtask_curves(measures), bits, "<", 1)


def frequencies(measures: xr.Dataset, alpha: float) -> np.ndarray:
    """The frequencies [subtask] of a task with this exponent."""
    ranks = measures["subtask"].to_numpy().astype(np.float64)
    weights = ranks ** -(1 + alpha)
    return weights / weights.sum()


def tail(measures: xr.Dataset, alpha: float) -> float:
    """The loss in bits of the subtasks that would follow on an endless list, at chance."""
    from scipy.special import zeta

    ranks = measures["subtask"].to_numpy().astype(np.float64)
    return float(zeta(1 + alpha, ranks[-1] + 1) / np.sum(ranks ** -(1 + alpha)))


def per_seed(of: Callable[[int], float], count: int) -> np.ndarray:
    """A number of each seed; NaN for a seed of which it cannot be computed (`InputError`)."""
    found = np.full(count, np.nan)
    for seed in range(count):
        try:
            found[seed] = of(seed)
        except InputError:
            continue
    return found


def sharpness(measures: xr.Dataset) -> np.ndarray:
    """B1: median over learned subtasks of (t_10% - t_90%) / t_50% of the loss [seed]."""
    late, half, early = (emergence(measures, bits).upper for bits in (0.1, 0.5, 0.9))
    with np.errstate(invalid="ignore"):
        return _median(ratio(late - early, half))


def _median(values: np.ndarray) -> np.ndarray:
    """The median over subtasks of those that are known [seed]; NaN without any."""
    return np.array([np.median(own[~np.isnan(own)]) if (~np.isnan(own)).any() else np.nan for own in values])


def order_of_frequency(measures: xr.Dataset) -> np.ndarray:
    """B2: Spearman's correlation of emergence with rank; those that do not emerge are last [seed]."""
    from scipy.stats import rankdata

    times = emergence(measures).upper
    known = ~np.isnan(subtask_curves(measures)).all(axis=(1, 2))
    ranks = measures["subtask"].to_numpy()
    found = np.full(len(times), np.nan)
    for seed in np.flatnonzero(known):
        own = rankdata(times[seed])  # of ties the mean rank
        found[seed] = 0.0 if (own == own[0]).all() else np.corrcoef(ranks, own)[0, 1]
    return found


def slope_on_frequency(measures: xr.Dataset) -> np.ndarray:
    """B3: exponent of emergence time in frequency, by censored regression over subtasks [seed]."""
    times, log_p = emergence(measures), np.log(frequencies(measures, _ALPHA))

    def of(seed: int) -> float:
        own = CensoredTimes(times.lower[seed], times.upper[seed])
        return float(censored_regression(own, log_p).coefficients[1])

    return per_seed(of, len(times.lower))


def share_learned(losses: np.ndarray) -> np.ndarray:
    """The share of subtasks below half a bit, of losses [..., subtask, step]: [..., step]."""
    return np.where(np.isnan(losses).any(axis=-2), np.nan, (losses < _LEARNED).mean(axis=-2))


def over_steps(measures: xr.Dataset, seed: int, alpha: float, add_tail: bool) -> PowerLaw:
    """The power law of the mean loss in steps, while 20 to 80 % of the subtasks are learned.

    Raises:
        InputError: if fewer than three points are in that range.
    """
    losses = subtask_curves(measures)[seed]
    mean = frequencies(measures, alpha) @ losses + (tail(measures, alpha) if add_tail else 0.0)
    return fit_power_law(steps_of(measures), mean, share_learned(losses))


def step_exponents(measures: xr.Dataset, alpha: float = _ALPHA, add_tail: bool = False) -> np.ndarray:
    """B4, B8: exponents of `over_steps` [seed]."""
    count = len(subtask_curves(measures))
    return per_seed(lambda seed: over_steps(measures, seed, alpha, add_tail).exponent, count)


def cell_values(measures: xr.Dataset, axis: str) -> np.ndarray:
    """The numbers on an axis of a sweep; of one over widths, those of the only hidden layer."""
    need_axis(measures, axis)
    return np.array([float(str(label).strip("[]")) for label in measures[axis].to_numpy()])


def best_losses(measures: xr.Dataset, axis: str) -> np.ndarray:
    """Losses of the subtasks where the mean loss is least (early stopping) [cell, seed, subtask]."""
    found: list[np.ndarray] = []
    for cell in range(len(cell_values(measures, axis))):
        losses = subtask_curves(measures.isel({axis: cell}))
        mean = frequencies(measures, _ALPHA) @ losses  # [seed, step]
        known: np.ndarray = np.asarray(~np.isnan(mean).all(axis=1))
        best = np.nanargmin(np.where(known[:, None], mean, 0.0), axis=1)
        found.append(np.where(known[:, None], losses[np.arange(len(best)), :, best], np.nan))
    return np.stack(found)


def over_cells(measures: xr.Dataset, axis: str, seed: int, add_tail: bool) -> PowerLaw:
    """The power law of the least mean loss in neurons or samples, where 20 to 80 % are learned.

    Raises:
        InputError: if fewer than three cells are in that range.
    """
    losses = best_losses(measures, axis)[:, seed]
    mean = losses @ frequencies(measures, _ALPHA) + (tail(measures, _ALPHA) if add_tail else 0.0)
    return fit_power_law(cell_values(measures, axis), mean, share_learned(losses.T))


def cell_exponents(measures: xr.Dataset, axis: str, add_tail: bool = False) -> np.ndarray:
    """B5, B6: exponents of `over_cells` [seed]."""
    need(measures, "subtask_loss")
    count = best_losses(measures, axis).shape[1]
    return per_seed(lambda seed: over_cells(measures, axis, seed, add_tail).exponent, count)


def data_from_width(data: xr.Dataset, width: xr.Dataset) -> np.ndarray:
    """B7: measured exponent in samples less alpha_N / (1 + alpha_N) of that in neurons, with tails [seed]."""
    in_data, in_width = first_of_both(
        -cell_exponents(data, "n_train", add_tail=True), -cell_exponents(width, "widths", add_tail=True)
    )
    return in_data - in_width / (1 + in_width)


def slope_over_alpha(alphas: xr.Dataset, online: xr.Dataset) -> np.ndarray:
    """B8: slope of the exponents in steps, with tails, on a / (1 + a), over a = 0.2, 0.4, 0.8 [seed]."""
    cells = {_ALPHA: online} | {a: part_of(alphas, alpha=a) for a in (0.2, 0.8)}
    found = [-step_exponents(cell, a, add_tail=True) for a, cell in cells.items()]
    n = min(map(len, found))
    predicted = np.array([a / (1 + a) for a in cells])
    centered = predicted - predicted.mean()
    return centered @ np.stack([one[:n] for one in found]) / (centered @ centered)


def share_on_the_way(measures: xr.Dataset) -> np.ndarray:
    """B9: mean share of subtasks from 0.2 to 0.8 bits, over steps with 20 to 80 % learned [seed]."""
    losses = subtask_curves(measures)
    learned = share_learned(losses)
    between = ((losses > 0.2) & (losses < 0.8)).mean(axis=1)
    found = np.full(len(losses), np.nan)
    for seed, own in enumerate(learned):
        used = (own >= 0.2) & (own <= 0.8)
        found[seed] = between[seed][used].mean() if used.any() else np.nan
    return found


def quanta_exponent(measures: xr.Dataset) -> float:
    """B4-list: exponent in n of the sum of the frequencies after the first n, 20 to 80 % of the list."""
    need(measures, "subtask_loss")
    left = 1 - np.cumsum(frequencies(measures, _ALPHA))[:-1]
    ranks = np.arange(1, len(left) + 1)
    return fit_power_law(ranks, left, ranks / (len(left) + 1)).exponent


def memory_and_test(measures: xr.Dataset, decay: float) -> tuple[np.ndarray, np.ndarray]:
    """First steps with 90 % of each subtask's training samples, and of its probe, right [seed, subtask]."""
    cell = part_of(measures, weight_decay=decay)
    names = ("subtask_accuracy_train", "subtask_accuracy")
    found = (event_times(steps_of(cell), subtask_curves(cell, name), 0.9, ">=", 1) for name in names)
    memory, test = (times.upper for times in found)
    return memory, test


def delay_at_threshold(measures: xr.Dataset, decay: float) -> np.ndarray:
    """B10: steps to generalize over steps to memorize, of the rarest subtask that generalizes [seed]."""
    memory, test = memory_and_test(measures, decay)
    found = np.full(len(test), np.nan)
    for seed, own in enumerate(test):
        if np.isfinite(own).any():
            last = np.flatnonzero(np.isfinite(own))[-1]
            found[seed] = own[last] / memory[seed, last]
    return np.where(np.isfinite(found) & (found > 0), found, np.nan)


_START = 0.01  # the skill's strength at step 0


def solvable_curve(measures: xr.Dataset, rate: float) -> np.ndarray:
    """The solvable model's skill strength [subtask, step]: a sigmoid in steps times frequency, from 0.01."""
    reach = np.clip(rate * np.outer(frequencies(measures, _ALPHA), steps_of(measures)), 0, 500)
    return 1 / (1 + (1 / _START - 1) * np.exp(-reach))


def solvable_fit(measures: xr.Dataset) -> np.ndarray:
    """B11: R^2 on subtasks of even rank of the solvable model's curve, fitted on those of odd rank [seed].

    The strength of a skill is 2 accuracy - 1.
    """
    from scipy.optimize import minimize_scalar

    strength = 2 * subtask_curves(measures, "subtask_accuracy") - 1
    found = np.full(len(strength), np.nan)
    for seed, own in enumerate(strength):
        taken = ~np.isnan(own).any(axis=0)
        if not taken.any():
            continue

        def errors(log_rate: float, first: int, own: Any = own, taken: Any = taken) -> float:
            missed = solvable_curve(measures, float(np.exp(log_rate))) - own
            return float(np.square(missed[first::2, taken]).sum())

        starts = np.linspace(-8, 4, 25)
        start = starts[np.argmin([errors(at, 0) for at in starts])]
        best: Any = minimize_scalar(
            lambda at: errors(at, 0), bounds=(start - 0.5, start + 0.5), method="bounded"
        )
        held_out = own[1::2, taken]
        spread = float(np.square(held_out - held_out.mean()).sum())
        found[seed] = 1 - errors(float(best.x), 1) / spread if spread > 0 else np.nan
    return found


# ---------------------------------------------------------------- claims

_claim = partial(Claim, experiment="online", fixed_on="0-2")
_own = partial(_claim, setting="own")
_FIT = (
    "by least squares of logarithms over the points at which 20 to 80 % of the subtasks are below half a bit"
)
_WITH_TAIL = "plus the loss, at chance, of the subtasks that an endless list would have after the last"
_TWENTIETH = Effect(0.05, "a twentieth")
_DERIVED = "derived by us"


def _pair(id: str, name: str, what: str, source: str, predicted: float, within: float, **more: Any) -> Any:
    """The claim on an exponent as the paper has it, and our own with the tail of the list."""
    evidence = more.pop("evidence")
    estimand = f"the mean over seeds of the exponent of {more.pop('of')}, {_FIT}"
    region = Region.around(-predicted, within)
    shared: dict[str, Any] = {"source": source, "region": region, "smallest_effect": _TWENTIETH, **more}
    return (
        _claim(
            id=id,
            name=name,
            sentence=f"The mean loss falls with {what} as a power with exponent -{predicted:.3g}.",
            paper_value=f"-{predicted:.3g} ({_DERIVED})",
            estimand=estimand,
            evidence=partial(evidence, add_tail=False),
            **shared,
        ),
        _own(
            id=f"{id}-tail",
            name=f"{name}, with tail",
            sentence=f"With the loss of an endless list the mean loss falls with {what} as a power with "
            f"exponent -{predicted:.3g}.",
            paper_value=f"-{predicted:.3g} ({_DERIVED})",
            estimand=f"{estimand}; of the loss {_WITH_TAIL}",
            evidence=partial(evidence, add_tail=True),
            **shared,
        ),
    )


_CLAIMS = (
    _claim(
        id="B1",
        name="one sharp step",
        sentence="Each subtask is learned in one sharp step.",
        source="Figs. 2, 7",
        paper_value="yes",
        estimand="the mean over seeds of the median over learned subtasks of (t_10 - t_90) / t_50, with t_q "
        "the first measured step at which the subtask's loss is below q % of a bit",
        region=Region.at_most(0.5),
        smallest_effect=Effect(0.1, "a tenth of the time"),
        evidence=sharpness,
    ),
    _claim(
        id="B2",
        name="order of frequency",
        sentence="Subtasks are learned in the order of their frequency.",
        source="Fig. 7",
        paper_value="yes",
        estimand="the mean over seeds of Spearman's correlation of a subtask's rank with the first measured "
        "step at which its loss is below 0.1 bits; those that are not learned are last",
        region=Region.at_least(0.9),
        smallest_effect=Effect(0.03, "some neighbors in another order"),
        evidence=order_of_frequency,
    ),
    _claim(
        id="B3",
        name="time on frequency",
        sentence="The time at which a subtask is learned is in proportion to the inverse of its frequency.",
        source="Figs. 7, 8",
        paper_value="-1",
        estimand="the mean over seeds of the coefficient of log p_i in a censored log-normal regression, "
        "over subtasks, of the first measured step with a loss below 0.1 bits",
        region=Region.between(-1.3, -0.7),
        smallest_effect=Effect(0.1, "a tenth in the exponent"),
        evidence=slope_on_frequency,
    ),
    *_pair(
        "B4",
        "exponent in steps",
        "steps",
        "Fig. 2 right",
        _ALPHA / (1 + _ALPHA),
        0.1,
        of="the mean loss in steps",
        evidence=step_exponents,
    ),
    _own(
        id="B4-list",
        name="exponent of the list itself",
        sentence="If the first n of the subtasks are learned and the others are at chance, the mean loss "
        "falls as a power of n with exponent -0.4.",
        source="Sec. 2 (of an endless list)",
        paper_value="-0.4",
        estimand="the exponent in n of the sum of the frequencies after the first n, by least squares of "
        "logarithms over n from 20 to 80 % of the list",
        region=Region.around(-_ALPHA, 0.1),
        kind="deterministic",
        evidence=quanta_exponent,
    ),
    *_pair(
        "B5",
        "exponent in parameters",
        "parameters",
        "Fig. 2 left",
        _ALPHA,
        0.15,
        of="the least mean loss at any measured step in the number of neurons, which parameters are in "
        "proportion to",
        experiment="width",
        fixed_on="0",
        evidence=partial(cell_exponents, axis="widths"),
    ),
    *_pair(
        "B6",
        "exponent in samples",
        "samples",
        "Fig. 2 center",
        _ALPHA / (1 + _ALPHA),
        0.12,
        of="the least mean loss at any measured step (early stopping) in the number of samples",
        experiment="data",
        fixed_on="0",
        evidence=partial(cell_exponents, axis="n_train"),
    ),
    _own(
        id="B7",
        name="samples from parameters",
        sentence="The exponent in samples is alpha_N / (1 + alpha_N), with alpha_N that in parameters.",
        source="Sec. 2",
        paper_value="0",
        estimand="the mean over seeds of the exponent alpha_D in samples less alpha_N / (1 + alpha_N), both "
        "measured as in B5-tail and B6-tail",
        region=Region.around(0.0, 0.1),
        smallest_effect=_TWENTIETH,
        experiment="data",
        fixed_on="0",
        beside=("width",),
        evidence=data_from_width,
    ),
    _own(
        id="B8",
        name="exponents follow alpha",
        sentence="Exponents in steps follow the exponent of the frequencies.",
        source="Figs. 9, 10",
        paper_value="1",
        estimand="the mean over seeds of the slope of the exponents in steps, as in B4-tail, on a / (1 + a), "
        "over a = 0.2, 0.4 and 0.8",
        region=Region.between(0.7, 1.3),
        smallest_effect=Effect(0.15, "a seventh"),
        experiment="alpha",
        fixed_on="0",
        beside=("online",),
        evidence=slope_over_alpha,
    ),
    _claim(
        id="B9",
        name="few are on the way",
        sentence="At any time almost every subtask is either learned or at chance.",
        source="Fig. 2",
        paper_value="yes",
        estimand="the mean over seeds of the share of subtasks with a loss from 0.2 to 0.8 bits, in the mean "
        "over the measured steps at which 20 to 80 % are below half a bit",
        region=Region.at_most(0.15),
        smallest_effect=_TWENTIETH,
        evidence=share_on_the_way,
    ),
    _own(
        id="B10",
        name="rare subtasks grok",
        sentence="With a finite sample the rarest subtasks that are learned grok: their samples are fitted "
        "first.",
        source="not in the paper",
        estimand="the geometric mean over seeds of steps to 90 % of the probe over steps to 90 % of the "
        "training samples, of the rarest subtask that gets there",
        region=Region.at_least(2.0),
        smallest_effect=Effect(0.3, "a third of the steps"),
        kind="geometric_mean",
        unit="times",
        experiment="finite",
        fixed_on="0-1",
        evidence=partial(delay_at_threshold, decay=0.0),
    ),
    _own(
        id="B10-decay",
        name="rare subtasks grok, with decay",
        sentence="With weight decay the rarest subtasks that are learned grok.",
        source="not in the paper",
        estimand="as of B10, with weight decay 0.5",
        region=Region.at_least(2.0),
        smallest_effect=Effect(0.3, "a third of the steps"),
        kind="geometric_mean",
        unit="times",
        experiment="finite",
        fixed_on="0-1",
        evidence=partial(delay_at_threshold, decay=0.5),
    ),
    _own(
        id="B11",
        name="one rate for all subtasks",
        sentence="The sigmoids of the solvable multilinear model, with one fitted rate, predict how subtasks "
        "emerge.",
        source="Nam et al. 2024 (arXiv 2404.17563), abstract",
        paper_value="yes",
        estimand="the mean over seeds of R^2, over subtasks of even rank and all measured steps, of "
        "1 / (1 + 99 exp(-c p_i t)) for 2 accuracy - 1, with c fitted on the subtasks of odd rank (the start "
        "at 0.01 is ours)",
        region=Region.at_least(0.9),
        smallest_effect=_TWENTIETH,
        evidence=solvable_fit,
    ),
)


# ---------------------------------------------------------------- figures

_SHOWN = (1, 2, 4, 8, 16)  # ranks
_RAW, _TAIL = "loss", "with the tail of an endless list"


def _color(place: float) -> Any:
    """A color from light to dark, for a place from 0 to 1."""
    from matplotlib import colormaps

    return colormaps["viridis_r"](0.15 + 0.85 * place)


def _law(axis: Any, x: np.ndarray, y: np.ndarray, exponent: float) -> None:
    """A dotted line with the exponent that is predicted, through the geometric means of the points."""
    good = (x > 0) & (y > 0) & np.isfinite(y)
    if not good.any():
        return
    factor = np.exp(np.mean(np.log(y[good]) - exponent * np.log(x[good])))
    ends = np.array([x[good].min(), x[good].max()])
    axis.plot(ends, factor * ends**exponent, ":", color="black", linewidth=1, label="predicted exponent")


def _both_logarithmic(axis: Any, low: float | None = None) -> None:
    from matplotlib.ticker import NullFormatter

    axis.set_xscale("log")
    axis.set_yscale("log")
    axis.yaxis.set_minor_formatter(NullFormatter())
    if low is not None:
        axis.set_ylim(bottom=low)


def _counts(axis: Any, x: np.ndarray) -> None:
    """Label a logarithmic axis with the least, a middle and the largest count."""
    from matplotlib.ticker import NullFormatter

    shown = np.sort(x)[[0, len(x) // 2, -1]]
    axis.xaxis.set_minor_formatter(NullFormatter())
    axis.set_xticks(shown, [f"{count:,.0f}" for count in shown])


def _figure_2(runs: Mapping[str, RunLike], command: str) -> Drawing:
    names = ("neurons", "samples", "steps")
    titles = [f"Mean loss, bits, by {name}" for name in names] + [f"Subtasks, by {name}" for name in names]
    figure, axes = panels(titles, columns=3)
    places: list[tuple[np.ndarray, np.ndarray, float]] = []  # x, losses [seed, subtask, x], exponent
    for name, axis, exponent in (
        ("width", "widths", -_ALPHA),
        ("data", "n_train", -_ALPHA / (1 + _ALPHA)),
    ):
        measures = runs[name].measures
        losses = np.moveaxis(best_losses(measures, axis), 0, -1)
        places.append((cell_values(measures, axis), losses, exponent))
    online = runs["online"].measures
    losses, steps = subtask_curves(online)[..., 1:], steps_of(online)[1:]
    places.append((steps, losses, -_ALPHA / (1 + _ALPHA)))
    p, rest = frequencies(online, _ALPHA), tail(online, _ALPHA)
    for column, (x, losses, exponent) in enumerate(places):
        above, below = axes[column], axes[3 + column]
        mean = np.einsum("i,sic->sc", p, losses)
        style: dict[str, Any] = {
            "linestyle": "-" if column == 2 else "",
            "marker": "" if column == 2 else ".",
        }
        for seed, own in enumerate(mean):
            first = seed == 0
            for values, color, label in ((own, COLOR["test"], _RAW), (own + rest, COLOR["train"], _TAIL)):
                above.plot(
                    x,
                    values,
                    color=color,
                    markersize=3,
                    linewidth=0.6,
                    label=label if first else None,
                    **style,
                )
        share = share_learned(losses)
        middle = np.where((share >= 0.2) & (share <= 0.8), mean + rest, np.nan)
        _law(above, np.broadcast_to(x, middle.shape).ravel(), middle.ravel(), exponent)
        _both_logarithmic(above, 1e-2)
        for i, rank in enumerate(_SHOWN):
            if rank <= losses.shape[1]:
                typical = np.median(losses[:, rank - 1], axis=0)
                below.plot(x, typical, color=_color(i / 4), linewidth=1)
        below.set_xscale("log")
        below.set_ylim(-0.03, 1.3)
        for axis in (above, below):
            x_label(axis, names[column])
            if column < 2:
                _counts(axis, x)
    legend(figure, axes[0])
    small_print(
        figure,
        "Above: a point or line is a seed; dotted: the predicted exponent, through the points with the tail "
        "at which 20 to 80 % of the subtasks are learned. Below: the median over seeds; from light "
        "to dark: subtasks 1, 2, 4, 8, 16. By neurons and samples: at the step with the least mean loss.",
        command,
    )
    return figure


def _figure_7(runs: Mapping[str, RunLike], command: str) -> Drawing:
    figure, axes = panels(["Loss of each subtask, bits", "Accuracy of each subtask", "Mean loss, bits"])
    measures = runs["online"].measures
    steps, p = steps_of(measures)[1:], frequencies(measures, _ALPHA)
    losses = subtask_curves(measures)[0, :, 1:]
    right = subtask_curves(measures, "subtask_accuracy")[0, :, 1:]
    for i in range(len(p)):
        for axis, values in zip(axes, (losses, right), strict=False):
            axis.plot(steps, values[i], color=_color(i / max(1, len(p) - 1)), linewidth=0.7)
    axes[2].plot(steps, p @ losses, color=COLOR["test"], linewidth=1, label="measured")
    axes[2].plot(
        steps,
        p @ (losses >= _LEARNED),
        color=COLOR["grokking"],
        linewidth=0.8,
        label="sum of p over subtasks that are not learned",
    )
    for axis in axes:
        axis.set_xscale("log")
        x_label(axis, "step")
    legend(figure, axes[2])
    small_print(figure, "The first seed. Light: frequent subtasks; dark: rare ones.", command)
    return figure


def _figure_8(runs: Mapping[str, RunLike], command: str) -> Drawing:
    figure, axes = panels(["Step of emergence by frequency", "Duration over step of emergence"])
    measures = runs["online"].measures
    p = frequencies(measures, _ALPHA)
    times = emergence(measures).upper
    for seed, own in enumerate(times):
        seen = np.isfinite(own)
        axes[0].plot(
            p[seen], own[seen], ".", color=COLOR["test"], markersize=3, label="" if seed else "a subtask"
        )
    seen = np.isfinite(times)
    every = np.broadcast_to(p, times.shape)
    _law(axes[0], every[seen], times[seen], -1.0)
    slopes = slope_on_frequency(measures)
    if np.isfinite(slopes).any() and seen.any():
        slope = float(np.nanmean(slopes))
        factor = np.exp(np.mean(np.log(times[seen]) - slope * np.log(every[seen])))
        axes[0].plot(p, factor * p**slope, color=COLOR["train"], linewidth=1, label=f"fitted, {slope:.2f}")
    _both_logarithmic(axes[0])
    x_label(axes[0], "frequency of the subtask")
    late, half, early = (emergence(measures, bits).upper for bits in (0.1, 0.5, 0.9))
    with np.errstate(invalid="ignore"):
        lengths = ratio(late - early, half)
    axes[1].plot(every.ravel(), lengths.ravel(), ".", color=COLOR["test"], markersize=3)
    axes[1].axhline(0.5, color=COLOR["grokking"], linestyle="dotted", linewidth=0.8)
    axes[1].set_xscale("log")
    axes[1].set_ylim(bottom=0)
    x_label(axes[1], "frequency of the subtask")
    legend(figure, axes[0])
    small_print(
        figure,
        "A point is a subtask of a seed. Left: first measured step with a loss below 0.1 bits. Right: steps "
        "from 0.9 to 0.1 bits over the step at half a bit; dotted: the bound of B1.",
        command,
    )
    return figure


def _figure_10(runs: Mapping[str, RunLike], command: str) -> Drawing:
    figure, axes = panels(["Mean loss with the tail, bits", "Exponent in steps"])
    cells = {_ALPHA: runs["online"].measures}
    alphas = runs["alpha"].measures
    cells |= {float(a): part_of(alphas, alpha=float(a)) for a in alphas["alpha"].to_numpy()}
    for place, a in enumerate(sorted(cells)):
        cell, color = cells[a], _color(place / max(1, len(cells) - 1))
        losses, steps = subtask_curves(cell)[..., 1:], steps_of(cell)[1:]
        mean = np.einsum("i,sic->sc", frequencies(cell, a), losses) + tail(cell, a)
        for seed, own in enumerate(mean):
            axes[0].plot(steps, own, color=color, linewidth=0.6, label="" if seed else f"a = {a:g}")
        found = -step_exponents(cell, a, add_tail=True)
        axes[1].plot(np.full(len(found), a / (1 + a)), found, ".", color=color, markersize=4)
    ends = np.array([0.1, 0.5])
    axes[1].plot(ends, ends, ":", color="black", linewidth=1, label="a / (1 + a)")
    _both_logarithmic(axes[0])
    x_label(axes[0], "step")
    x_label(axes[1], "predicted")
    legend(figure, axes[0], axes[1])
    small_print(
        figure, "A line or point is a seed; fitted where 20 to 80 % of the subtasks are learned.", command
    )
    return figure


def _figure_finite(runs: Mapping[str, RunLike], command: str) -> Drawing:
    measures = runs["finite"].measures
    decays = [float(one) for one in measures["weight_decay"].to_numpy()]
    ranks = tuple(range(2, 7))
    figure, axes = panels([f"Accuracy, weight decay {decay:g}" for decay in decays])
    for axis, decay in zip(axes, decays, strict=True):
        cell = part_of(measures, weight_decay=decay)
        steps = steps_of(cell)[1:]
        train, test = (subtask_curves(cell, f"subtask_accuracy{end}")[0, :, 1:] for end in ("_train", ""))
        for i, rank in enumerate(ranks):
            if rank <= len(test):
                axis.plot(steps, train[rank - 1], "--", color=_color(i / 4), linewidth=0.7)
                axis.plot(steps, test[rank - 1], color=_color(i / 4), linewidth=1, label=f"subtask {rank}")
        axis.set_xscale("log")
        x_label(axis, "step")
    legend(figure, axes[0])
    small_print(figure, "The first seed. Dashed: on the training samples; solid: on the probe.", command)
    return figure


_FIGURES = (
    Figure(
        "figure-2",
        "Figure 2: three scalings of the mean loss, and of subtasks.",
        _figure_2,
        ("width", "data", "online"),
    ),
    Figure("figure-7", "Figure 7: subtasks over steps.", _figure_7, ("online",)),
    Figure("figure-8", "Figure 8: when, and how fast, by frequency.", _figure_8, ("online",)),
    Figure("figure-10", "Figures 9, 10: exponents by alpha.", _figure_10, ("online", "alpha")),
    Figure("figure-finite", "Own: subtasks of a finite sample.", _figure_finite, ("finite",)),
)


_REASONS = {
    "B1": "The fall takes as long as the way to half a bit, in frequent and in rare subtasks; it looks like "
    "a step on a logarithmic axis, over which the subtasks are spread.",
    "B4": "The list of subtasks ends: its loss goes to 0. With the tail of an endless list the exponent is "
    "near the predicted one (B4-tail).",
    "B4-list": "Arithmetic: the sum of the frequencies that are left is no power law near the end of the "
    "list.",
    "B5": "As B4: the list ends.",
    "B6": "As B4: the list ends.",
    "B9": "As B1: a subtask is on its way for as long as it took to get there.",
}


class Quantization(Paper):
    """Michaud et al. 2023: scaling laws as sums of subtasks that are learned one after another."""

    kind: Literal["quantization"] = "quantization"
    title = "The Quantization Model of Neural Scaling"
    authors = "Eric J. Michaud, Ziming Liu, Uzay Girit, Max Tegmark"
    year = 2023
    arxiv = "2303.13506"
    bibtex = """@misc{michaud2023quantization,
  title = {The Quantization Model of Neural Scaling},
  author = {Eric J. Michaud and Ziming Liu and Uzay Girit and Max Tegmark},
  year = {2023},
  eprint = {2303.13506},
  archivePrefix = {arXiv}
}"""
    experiments = _EXPERIMENTS
    claims = _CLAIMS
    figures = _FIGURES
    reasons = _REASONS
