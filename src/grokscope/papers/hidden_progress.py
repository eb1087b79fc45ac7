r"""Hidden Progress in Deep Learning: SGD Learns Parities Near the Computational Limit (arXiv 2207.08799).

Plain SGD on ordinary networks learns the parity of k of n bits from fresh samples, in about $n^{O(k)}$ steps.
Loss and accuracy stay at chance for most of them, and then change fast; meanwhile, the paper says, weights of
the hidden bits grow. With a finite sample the same networks grok.

This file: the experiments, the evidence, the claims, the figures. The end of learning $t_c$ is the first
measured step at which all of 8,192 test inputs are right (the paper: one batch of $2^{13}$), the end of the
plateau the first with accuracy 0.55 (0.51 is two standard errors above chance, and is passed by chance). Both
are censored at the end of the run. In these runs the event ``grokking`` is $t_c$.

What is printed of the paper's settings is given with each experiment; what is not (the n, k and decays of
Figure 4 right, the decays of Figure 15, the architecture of Figure 13) is ours and said. The paper's decay
$\lambda'$ multiplies the weights once a step, $\theta \leftarrow (1 - \lambda') \theta - \eta g$; ours is
$\lambda = \lambda' / \eta$.

Claims of kind ``own`` are controls that the paper lacks: random labels, other statistics than the largest
movement of any weight, larger batches, the finite sample. Regions were fixed on seeds 0-4 on 30 November
2026, those on the 1,000 networks of ``luck`` on seeds 0-39.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from grokscope.claims import Claim, Effect, NotTestable, Region, need
from grokscope.experiment import Experiment
from grokscope.losses import Hinge
from grokscope.measures.fourier_gap import ParityCoefficient, RelevantOrder
from grokscope.measures.movement import MovementAlignment, WeightMovement
from grokscope.models.fully_connected import FullyConnected
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
    exponents,
    finished_seeds,
    first_crossing,
    largest_value,
    part_of,
    pseudovalues,
    ratio,
    ratio_of_splits,
    steps_of,
    steps_to,
    times_in,
    value_at,
)
from grokscope.plots.style import COLOR, legend, panels, small_print, x_label
from grokscope.spec.events import member_curves
from grokscope.statistics import CensoredTimes
from grokscope.tasks.sparse_parity import SparseParity

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure as Drawing

__all__ = ["HiddenProgress"]

# ---------------------------------------------------------------- experiments

_LEFT_CHANCE, _LEARNED = 0.55, 1.0  # test accuracies
_PROBE = 2**13
_CURVES = ("train_accuracy", "test_accuracy", "test_loss")
_MOVES = (
    WeightMovement(),
    WeightMovement(bits="hidden"),
    WeightMovement(bits="others"),
    WeightMovement(bits="hidden", size="rms"),
    WeightMovement(bits="others", size="rms"),
    MovementAlignment(),
    ParityCoefficient(),
    RelevantOrder(),
)


_ONLINE = Experiment(
    name="online",
    online=True,
    steps=15_000,
    batch_size=32,
    task=SparseParity(n=50, k=3, n_train=100, n_test=_PROBE),
    model=FullyConnected(width=100),
    loss=Hinge(),
    optimizer=SGD(learning_rate=0.1),
    measures=(*_CURVES, *_MOVES),
    events={"grokking": f"test_accuracy >= {_LEARNED} for 1"},
    stop={"grokked_for": 1},
).with_(*recorded_every(50), "schedule.follow='ends'")
_ACCURACIES = f"measures={list(_CURVES)}"


def _run(
    name: str, sentence: str, spec: Experiment, seeds: int, paper: int | None = None, **more: Any
) -> PaperExperiment:
    profiles = {"paper": Profile(seeds=paper or seeds), "quick": Profile(seeds=seeds)}
    return RunExperiment(name, sentence, spec.with_(f"name='{name}'"), profiles, **more)


def _sweep(
    name: str, sentence: str, spec: Experiment, over: tuple[str, ...], seeds: int, paper: int | None = None
) -> PaperExperiment:
    profiles = {"paper": SweepProfile(seeds=paper or seeds), "quick": SweepProfile(seeds=seeds)}
    return SweepExperiment(name, sentence, spec.with_(f"name='{name}'"), profiles, over=over)


def _coins(spec: Experiment, steps: int) -> Experiment:
    """The same with coins for labels, for about half a plateau."""
    return spec.with_("task.labels='random'", f"steps={steps}", "stop={}")


_LARGE = _ONLINE.with_("batch_size=1024", "steps=6000", *recorded_every(100))
_TIMES = _ONLINE.with_(_ACCURACIES)
_NARROW = _TIMES.with_("task.n=20", "model.width=10", "steps=10000", *recorded_every(25))
_FINITE = _ONLINE.with_(
    *("online=false", "steps=100000", "optimizer.weight_decay=0.01", "task.n_train=1000"),
    *recorded_every(250),
)
_ONE_LARGE = _TIMES.with_("task.n=30", "batch_size=1024", "steps=2000")
_SINE = _TIMES.with_(
    *("task.n=15", "steps=10000", "model.width=1", "model.activation='sine'", "model.init='kaiming'"),
    *("optimizer.learning_rate=0.01", "schedule.measures=['every 25 steps']"),
    *("schedule.slow_measures=['every 25 steps']", f"measures={[*_CURVES, 'fourier_gap', 'relevant_order']}"),
)
_MAJORITY = _TIMES.with_(
    *("steps=1", "task.n=15", "task.k=4", "model.width=16", "model.init='sign'", "learner.kind='still'"),
    *("schedule.measures=['ends']", f"measures={['train_accuracy', 'test_accuracy', 'fourier_gap']}"),
)

_EXPERIMENTS = (
    _run(
        "online", "(50, 3)-parity from fresh samples, width 100, batches of 32 (Figures 1, 3).", _ONLINE, 20
    ),
    _run("online-coins", "The same with coins for labels: a null.", _coins(_ONLINE, 3000), 20),
    _run("large-batch", "(50, 3) with batches of 1,024 in place of 32.", _LARGE, 10),
    _run("large-batch-coins", "The same with coins for labels.", _coins(_LARGE, 2500), 10),
    _run("luck", "(20, 3), width 10, many networks (Figure 2 left).", _NARROW, 1000, 10_000),
    _run(
        "crossed",
        "(20, 3), width 10, batches of 128, rate 0.01: each start with six orders (Figure 2 center).",
        _NARROW.with_("batch_size=128", "optimizer.learning_rate=0.01", "steps=40000", *recorded_every(250)),
        20,
        streams="data=1000; noise=1000; order=1000:1006",
    ),
    _run(
        "crossed-small-batch",
        "The same with batches of 32 and rate 0.1, as in all other experiments.",
        _NARROW,
        20,
        streams="data=1000; noise=1000; order=1000:1006",
    ),
    _sweep(
        "scaling", "3 hidden of 20 to 90 bits (Figures 2 right, 6).", _TIMES, ("task.n=20,30,45,60,90",), 20
    ),
    _sweep(
        "width",
        "(40, 3) at widths 10 to 1,000 (Figure 4 left).",
        _TIMES.with_("task.n=40", "steps=8000"),
        ("model.width=10,30,100,300,1000",),
        16,
        1000,
    ),
    _sweep(
        "finite",
        "(50, 3) from 700 to 10,000 samples, with weight decay (Figure 4 right).",
        _FINITE,
        ("task.n_train=700,1000,1800,10000",),
        10,
    ),
    _run(
        "finite-coins",
        "1,000 samples with coins for labels: a null.",
        _coins(_FINITE, 50_000),
        10,
    ),
    _sweep(
        "decay",
        "1,000 samples at weight decays 0.001 to 0.1 (Figure 15).",
        _FINITE.with_(_ACCURACIES, "steps=30000"),
        ("optimizer.weight_decay=0.001,0.003,0.01,0.03,0.1",),
        20,
    ),
    _sweep(
        "power",
        "(30, 3), activation z^3, batches of 1,024, at two widths (Appendix C.8).",
        _ONE_LARGE.with_("model.activation='cubic'", "steps=400", "stop.diverged=true", *recorded_every(2)),
        ("model.width=100,1000",),
        8,
    ),
    _sweep(
        "power-relu",
        "The same with relu.",
        _ONE_LARGE.with_(*recorded_every(20)),
        ("model.width=100,1000",),
        8,
    ),
    _run(
        "polynet",
        "(50, 3), a product of three linear functions, batches of 16 (Figure 6).",
        _TIMES.with_("model.kind='polynet'", "batch_size=16", "steps=2000", *recorded_every(5)),
        20,
    ),
    _sweep(
        "noise",
        "(50, 3) with labels flipped at random (Figure 16).",
        _TIMES.with_("task.labels='noisy'", "steps=40000", *recorded_every(250)),
        ("task.noise=0.0,0.2,0.4",),
        20,
        5,
    ),
    _sweep(
        "sine",
        "(15, 3), one sine neuron, rate 0.01, from three starts: the exact Fourier gap (Figure 12).",
        _SINE,
        ("model.init=torch,kaiming,sign",),
        40,
        10,
    ),
    _run("majority", "Weights of random signs, 15 bits, k = 4: the exact Fourier gap.", _MAJORITY, 4),
)

# ---------------------------------------------------------------- evidence: one entry per seed


def plateau_end(measures: xr.Dataset) -> np.ndarray:
    """The first measured step with test accuracy 0.55 [seed]; inf without."""
    return steps_to(measures, "test", _LEFT_CHANCE).upper


def drop_share(measures: xr.Dataset) -> np.ndarray:
    """H1: (t(0.9) - t(0.6)) / t(0.9) of test accuracy [seed]; NaN where 0.9 is not reached."""
    late, early = (steps_to(measures, "test", level).upper for level in (0.9, 0.6))
    return 1 - ratio(early, late)


def plateau_share(measures: xr.Dataset) -> np.ndarray:
    """The end of the plateau over the end of learning [seed]; NaN where it is not learned."""
    return ratio(plateau_end(measures), steps_to(measures, "test", _LEARNED).upper)


def on_plateau(measures: xr.Dataset, name: str, share: float, end: np.ndarray | None = None) -> np.ndarray:
    """A measure at a share of the plateau [seed]; NaN where its end is not reached.

    Args:
        measures: of a run.
        name: of the measure.
        share: of the step at which the plateau ends.
        end: that step, of another run's seeds; by default the run's own.
    """
    steps = plateau_end(measures) if end is None else end
    return value_at(measures, curve(measures, name), share * steps)


def _end_in(measures: xr.Dataset, null: xr.Dataset) -> np.ndarray:
    """The end of the plateau in a run, for the seeds of its null; NaN beyond the null's last step."""
    if not np.array_equal(measures["seed"], null["seed"]):
        raise NotTestable("the run and its null have other seeds, and cannot be paired")
    return plateau_end(measures)


def over_null(measures: xr.Dataset, null: xr.Dataset, name: str, share: float = 0.5) -> np.ndarray:
    """A measure at a share of the plateau over that of the null at the same step [seed]."""
    end = _end_in(measures, null)
    return ratio(on_plateau(measures, name, share), _in_null(null, name, share, end))


def less_null(measures: xr.Dataset, null: xr.Dataset, name: str, share: float = 0.5) -> np.ndarray:
    """The same, less that of the null."""
    end = _end_in(measures, null)
    return on_plateau(measures, name, share) - _in_null(null, name, share, end)


def _in_null(null: xr.Dataset, name: str, share: float, end: np.ndarray) -> np.ndarray:
    found = on_plateau(null, name, share, end)
    return np.where(share * end <= steps_of(null)[-1], found, np.nan)


def growth(measures: xr.Dataset, name: str, early: float, late: float | None) -> np.ndarray:
    """A measure at one share of the plateau over that at a later one, or at t_c (None) [seed]."""
    at = plateau_end(measures) * late if late else steps_to(measures, "test", _LEARNED).upper
    return ratio(on_plateau(measures, name, early), value_at(measures, curve(measures, name), at))


def hidden_over_others(measures: xr.Dataset, share: float) -> np.ndarray:
    """Root mean square movement on the hidden bits over that on the others, at a share of the plateau."""
    return ratio(
        on_plateau(measures, "weight_movement_hidden_rms", share),
        on_plateau(measures, "weight_movement_others_rms", share),
    )


def hidden_over_others_above_null(measures: xr.Dataset, null: xr.Dataset, share: float = 0.5) -> np.ndarray:
    """`hidden_over_others` over that in the null at the same step [seed]."""
    end = _end_in(measures, null)
    below = [_in_null(null, f"weight_movement_{bits}_rms", share, end) for bits in ("hidden", "others")]
    return ratio(hidden_over_others(measures, share), ratio(*below))


def relevant_first(measures: xr.Dataset) -> np.ndarray:
    """H4: the step from which the hidden bits have moved most, over that of a tenth off the loss [seed]."""
    from grokscope.spec.events import diverged_steps
    from grokscope.statistics import event_times

    lead = curve(measures, "weight_movement_hidden") - curve(measures, "weight_movement_others")
    leads = event_times(steps_of(measures), lead, 0.0, ">", "end", diverged=diverged_steps(measures)).upper
    return ratio(leads, loss_moves(measures))


def loss_moves(measures: xr.Dataset) -> np.ndarray:
    """The step at which the test loss stays below 0.9 times the first one [seed]; inf without."""
    loss = curve(measures, "test_loss")
    return first_crossing(measures, loss, 0.9 * loss[:, 0], "<")


def order_when_loss_moves(measures: xr.Dataset) -> np.ndarray:
    """Share of neurons with their largest weights on the hidden bits when the loss moves [seed]."""
    return value_at(measures, curve(measures, "relevant_order"), loss_moves(measures))


def learned_early(measures: xr.Dataset, share: float) -> np.ndarray:
    """Truth values [seed]: whether t_c is below a share of the median t_c; NaN where it was not trained.

    Raises:
        NotTestable: if half of the seeds do not learn.
    """
    times = steps_to(measures, "test", _LEARNED).upper
    finished = finished_seeds(measures)
    median = np.median(times[finished]) if finished.any() else np.inf
    if not np.isfinite(median):
        raise NotTestable("half of the networks do not learn the parity within the run")
    return np.where(finished, times < share * median, np.nan)


def share_of_start(measures: xr.Dataset) -> np.ndarray:
    r"""Share of the variance of log t_c between starts, as pseudo-values over starts [init seed].

    One-way analysis of variance of starts, each with several orders:
    $\sigma_b^2 / (\sigma_b^2 + \sigma_w^2)$ with $\sigma_w^2$ the mean square within starts, and
    $\sigma_b^2$ that between starts less $\sigma_w^2$, over the number of orders. A network that does not
    learn counts with the length of the run.

    Raises:
        NotTestable: if the run has no crossed starts and orders, or all of them take as long.

    Source: intraclass correlation ICC(1), Shrout and Fleiss 1979.
    """
    need(measures, "test_accuracy")
    values = measures["test_accuracy"]
    if not {"init_seed", "order_seed"} <= set(values.dims):
        raise NotTestable("the run has not several orders for each of several starts")
    cells = values.transpose("init_seed", "order_seed", "step").to_numpy()
    if np.isnan(cells[..., 0]).any():
        raise NotTestable("an order of a start was not measured")
    steps = steps_of(measures)
    there = cells >= _LEARNED
    first = np.where(there.any(axis=-1), steps[np.argmax(there, axis=-1)], steps[-1])
    log = np.log(np.maximum(first, 1))
    orders = log.shape[1]

    def fitted(starts: np.ndarray) -> np.ndarray:
        chosen = log[starts]
        within = chosen.var(axis=1, ddof=1).mean()
        between = chosen.mean(axis=1).var(ddof=1) - within / orders
        if between + within <= 0:
            raise NotTestable("all networks take as many steps")
        return np.array([between / (between + within)])

    return pseudovalues(fitted, len(log))[0]


def exponent(measures: xr.Dataset, name: str, low: float, high: float) -> np.ndarray:
    """The exponent of t_c in an axis, over its values from one to another, as pseudo-values [seed]."""
    return exponents(measures, "grokking", [name], where=lambda **at: low <= at[name] <= high)[0]


def bend(measures: xr.Dataset) -> np.ndarray:
    """The exponent of t_c in n from 45 to 90 bits less that from 20 to 45, as pseudo-values [seed]."""
    return exponent(measures, "task_n", 45, 90) - exponent(measures, "task_n", 20, 45)


def gap_of(measures: xr.Dataset, n_train: int) -> CensoredTimes:
    """Steps to 99 % test over steps to 99 % training accuracy, as censored ratios [seed]."""
    return ratio_of_splits(part_of(measures, n_train=n_train))


def groks_from_1000(measures: xr.Dataset) -> np.ndarray:
    """Truth values [seed]: whether 99 % test accuracy is reached from 1,000 samples."""
    cell = part_of(measures, n_train=1000)
    return np.where(finished_seeds(cell), steps_to(cell, "test").observed, np.nan)


def reaches(measures: xr.Dataset, level: float, **cell: float) -> np.ndarray:
    """Truth values [seed]: whether a test accuracy is reached in one cell."""
    best = best_accuracy(measures, **cell)
    return np.where(np.isnan(best), np.nan, best >= level)


def best_accuracy(measures: xr.Dataset, **cell: float) -> np.ndarray:
    """The best test accuracy at any measured step, in one cell [seed]."""
    return largest_value(curve(part_of(measures, **cell), "test_accuracy"))


def decay_is_two_sided(measures: xr.Dataset) -> np.ndarray:
    """H10: 0.03 generalizes within the run and before 0.003; 0.1 does not even fit its samples [seed]."""
    need(measures, "train_accuracy", "test_accuracy")
    times = {decay: times_in(measures, "grokking", weight_decay=decay) for decay in (0.003, 0.03)}
    fitted = times_in(measures, "memorization", weight_decay=0.1).observed
    return times[0.03].observed & (times[0.03].upper < times[0.003].upper) & ~fitted


def between_memory_and_test(
    measures: xr.Dataset, null: xr.Dataset, of: Callable[[xr.Dataset, np.ndarray], np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """H15: numbers half-way from memory to the end of the plateau, from 1,000 samples, and in the null.

    Args:
        measures: of the sweep.
        null: of the run with coins for labels.
        of: from measures and steps [seed] to numbers [seed].
    """
    cell = part_of(measures, n_train=1000)
    half = (steps_to(cell, "train", 0.98).upper + _end_in(cell, null)) / 2
    return of(cell, half), np.where(half <= steps_of(null)[-1], of(null, half), np.nan)


def _hidden_over_others_at(measures: xr.Dataset, steps: np.ndarray) -> np.ndarray:
    names = (f"weight_movement_{bits}_rms" for bits in ("hidden", "others"))
    return ratio(*(value_at(measures, curve(measures, name), steps) for name in names))


def _coefficient_at(measures: xr.Dataset, steps: np.ndarray) -> np.ndarray:
    return value_at(measures, curve(measures, "parity_coefficient"), steps)


def finite_movement(measures: xr.Dataset, null: xr.Dataset) -> np.ndarray:
    """H15: movement on the hidden bits over that on the others, over that ratio in the null [seed]."""
    return ratio(*between_memory_and_test(measures, null, _hidden_over_others_at))


def finite_coefficient(measures: xr.Dataset, null: xr.Dataset) -> np.ndarray:
    """H15-output: the parity's coefficient in the output, less that in the null [seed]."""
    found, below = between_memory_and_test(measures, null, _coefficient_at)
    return found - below


def over_relu(
    power: xr.Dataset, relu: xr.Dataset, width: int, of: Callable[[xr.Dataset], np.ndarray] = plateau_share
) -> np.ndarray:
    """A number of each seed with activation z^3 over that with relu, at a width [seed]."""
    above, below = (part_of(measures, width=width) for measures in (power, relu))
    if not np.array_equal(above["seed"], below["seed"]):
        raise NotTestable("the runs have other seeds, and cannot be paired")
    return ratio(of(above), of(below))


def gap_curve(measures: xr.Dataset, init: str) -> tuple[xr.Dataset, np.ndarray]:
    """One start's measures, and the Fourier gap [seed, step]."""
    cell = part_of(measures, init=init)
    return cell, curve(cell, "fourier_gap")


def has_gap(measures: xr.Dataset, init: str) -> np.ndarray:
    """Truth values [seed]: whether the Fourier gap is positive at the start."""
    _, gap = gap_curve(measures, init)
    return np.where(np.isnan(gap[:, 0]), np.nan, gap[:, 0] > 0)


def gap_growth(measures: xr.Dataset, init: str) -> np.ndarray:
    """The Fourier gap at half the plateau over that at the start [seed]; NaN where that is not positive."""
    cell, gap = gap_curve(measures, init)
    return ratio(value_at(cell, gap, 0.5 * plateau_end(cell)), gap[:, 0])


def majority_gap(measures: xr.Dataset) -> np.ndarray:
    """The gap of the majority over the paper's bound [seed]: relu' is half of one plus the majority."""
    n, k = 15, 4
    need(measures, "fourier_gap")
    gap = member_curves(measures["fourier_gap"])[:, 0]
    return 2 * gap / (0.03 * (n - 1) ** (-(k - 1) / 2))


# ---------------------------------------------------------------- claims

_claim = partial(Claim, experiment="online")
_own = partial(_claim, setting="own")
_TENTH, _FIFTH = Effect(0.1, "a tenth"), Effect(0.2, "a fifth")
_TWENTIETH = Effect(0.05, "a twentieth")
_HALF = "at half the plateau (half the first step with test accuracy 0.55)"
_LARGEST = "the largest movement of any incoming weight from its start"
_OVER_COINS = "over that with coins for labels at the same step, same seed"
_CROSSED = (
    "the share of the variance of log t_c that lies between starts (one-way analysis of variance, 6 orders "
    "of fresh samples for each start)"
)
_FEW = "16 networks instead of 1,000 a width, widths up to 1,000 instead of more than a million"
_UNKNOWN = "n, k and decay of the figure are not in the text read; (50, 3), decay 0.01 of ours"


def _gap(n_train: int, sentence: str, value: str, region: Region) -> Claim:
    return _claim(
        id=f"H9-{n_train}",
        name=f"{n_train:,} samples: test over train",
        sentence=sentence,
        source="Fig. 4 right",
        paper_value=value,
        estimand=f"the median over seeds of steps to 99 % test over steps to 99 % training accuracy, from "
        f"{n_train:,} samples",
        region=region,
        smallest_effect=Effect(0.3, "a third of the steps"),
        kind="median",
        unit="times",
        experiment="finite",
        setting="small",
        reduced=_UNKNOWN,
        evidence=lambda m: gap_of(m, n_train),
    )


def _starts(init: str, words: str) -> tuple[Claim, Claim]:
    more: dict[str, Any] = {
        "experiment": "sine",
        "source": "Fig. 12",
        "setting": "small",
        "reduced": "start and rate are not in the text read",
    }
    return (
        _claim(
            id=f"H13-{init}",
            name=f"gap: {words}",
            sentence=f"At a sine neuron with {words} the Fourier gap is positive at the start.",
            paper_value="yes",
            estimand="the share of seeds with a positive gap at step 0, exactly, over all inputs of 15 bits",
            region=Region.at_least(0.8),
            smallest_effect=ONE_SEED_IN_TEN,
            kind="share",
            evidence=lambda m: has_gap(m, init),
            **more,
        ),
        _claim(
            id=f"H13-{init}-grows",
            name=f"gap grows: {words}",
            sentence=f"It grows on the plateau, with {words}.",
            paper_value="yes",
            estimand=f"the median over seeds of the gap {_HALF} over that at step 0",
            region=Region.above(1.0),
            smallest_effect=_TENTH,
            kind="median",
            unit="times",
            evidence=lambda m: gap_growth(m, init),
            **more,
        ),
    )


_CLAIMS = (
    _claim(
        id="H1",
        name="long plateau, sharp drop",
        sentence="Learning curves are a long flat plateau, followed by a sharp drop.",
        source="Fig. 1 left",
        paper_value="yes",
        estimand="the median over seeds of (t(0.9) - t(0.6)) / t(0.9), with t the first step at which test "
        "accuracy is that",
        region=Region.at_most(0.25),
        smallest_effect=_TWENTIETH,
        kind="median",
        evidence=drop_share,
    ),
    _claim(
        id="H1-polynet",
        name="PolyNet: plateau, then drop",
        sentence="So on a product of three linear functions.",
        source="Fig. 6, Theorem 6",
        paper_value="yes",
        estimand="as H1, on a PolyNet",
        region=Region.at_most(0.25),
        smallest_effect=_TWENTIETH,
        kind="median",
        experiment="polynet",
        evidence=drop_share,
    ),
    _claim(
        id="H2",
        name="hidden bits' weights grow throughout",
        sentence="Weights of the hidden bits grow all through the plateau.",
        source="Fig. 3",
        paper_value="yes",
        estimand=f"the geometric mean over seeds of the largest movement of a weight of a hidden bit {_HALF} "
        "over that at t_c",
        region=Region.at_least(0.2),
        smallest_effect=_TWENTIETH,
        kind="geometric_mean",
        evidence=lambda m: growth(m, "weight_movement_hidden", 0.5, None),
    ),
    _claim(
        id="H3",
        name="more than with coins for labels",
        sentence="The largest movement of a weight grows faster than under random labels, before the loss "
        "does.",
        source="Fig. 3, Sec. 5.1",
        paper_value="t against the square root of t",
        estimand=f"the geometric mean over seeds of {_LARGEST}, {_HALF}, {_OVER_COINS}",
        region=Region.at_least(1.5),
        smallest_effect=_FIFTH,
        kind="geometric_mean",
        unit="times",
        beside=("online-coins",),
        evidence=lambda m, n: over_null(m, n, "weight_movement"),
    ),
    _own(
        id="H3-rms",
        name="H3 by all weights of the hidden bits",
        sentence="H3, by the root mean square over the weights of the hidden bits, not the largest of all.",
        source="Fig. 3",
        estimand="the geometric mean over seeds of the root mean square movement on the hidden bits over "
        "that on "
        f"the others, {_HALF}, {_OVER_COINS}",
        region=Region.at_least(1.1),
        smallest_effect=_TWENTIETH,
        kind="geometric_mean",
        unit="times",
        beside=("online-coins",),
        evidence=hidden_over_others_above_null,
    ),
    _own(
        id="H3-late",
        name="H3 at three quarters",
        sentence="H3 at three quarters of the plateau.",
        source="Fig. 3",
        estimand=f"the geometric mean over seeds of {_LARGEST}, at three quarters of the plateau, "
        f"{_OVER_COINS}",
        region=Region.at_least(1.5),
        smallest_effect=_FIFTH,
        kind="geometric_mean",
        unit="times",
        experiment="online",
        beside=("online-coins",),
        evidence=lambda m, n: over_null(m, n, "weight_movement", 0.75),
    ),
    _own(
        id="H3-direction",
        name="weights move as the parity pulls",
        sentence="The weights of the hidden bits move the way that the population gradient of the parity "
        "points, before accuracy does.",
        source="Sec. 4.1 (the gradient)",
        estimand="the mean over seeds of the cosine between movement on the hidden bits and the population "
        f"gradient at the start, {_HALF}, less that with coins for labels at the same step, same seed",
        region=Region.at_least(0.05),
        smallest_effect=Effect(0.03, "the scatter of the null over 20 seeds"),
        beside=("online-coins",),
        evidence=lambda m, n: less_null(m, n, "movement_alignment"),
    ),
    _own(
        id="H3-output",
        name="the parity is in the output",
        sentence="The parity is in the output, too small for accuracy to show.",
        source="Sec. 4.1",
        unit="1e-4",
        estimand=f"the mean over seeds of the parity's coefficient in the output {_HALF}, less that with "
        f"coins "
        "for labels at the same step, same seed, times 10,000",
        region=Region.at_least(0.5),
        smallest_effect=Effect(0.2, "a hundredth of the standard error of a loss on 8,192 inputs"),
        beside=("online-coins",),
        evidence=lambda m, n: 1e4 * less_null(m, n, "parity_coefficient"),
    ),
    _own(
        id="H2-output",
        name="it grows on the plateau",
        sentence="The parity's coefficient in the output grows on the plateau.",
        source="Fig. 3 (weights)",
        estimand="the geometric mean over seeds of the parity's coefficient in the output at half the "
        "plateau "
        "over that at three quarters",
        region=Region.at_most(0.75),
        smallest_effect=_TENTH,
        kind="geometric_mean",
        evidence=lambda m: growth(m, "parity_coefficient", 0.5, 0.75),
    ),
    _own(
        id="H3-batch",
        name="H3 with batches of 1,024",
        sentence="H3 with batches of 1,024, whose gradients have a thirty-second of the variance.",
        source="Fig. 3",
        estimand=f"the geometric mean over seeds of {_LARGEST}, {_HALF}, {_OVER_COINS}; batches of 1,024",
        region=Region.at_least(1.2),
        smallest_effect=_TENTH,
        kind="geometric_mean",
        unit="times",
        experiment="large-batch",
        beside=("large-batch-coins",),
        evidence=lambda m, n: over_null(m, n, "weight_movement"),
    ),
    _own(
        id="H3-batch-direction",
        name="H3-direction, batches of 1,024",
        sentence="H3-direction with batches of 1,024.",
        source="Sec. 4.1 (the gradient)",
        estimand="as H3-direction, batches of 1,024",
        region=Region.at_least(0.5),
        smallest_effect=_TENTH,
        experiment="large-batch",
        beside=("large-batch-coins",),
        evidence=lambda m, n: less_null(m, n, "movement_alignment"),
    ),
    _claim(
        id="H4",
        name="loss waits for the hidden bits",
        sentence="The loss moves only when the weights of the hidden bits exceed all others.",
        source="Figs. 3, 13",
        paper_value="yes",
        estimand="the geometric mean over seeds of the step from which the largest movement on the hidden "
        "bits "
        "exceeds that on the others, to the end, over the step at which the test loss has fallen by a tenth",
        region=Region.between(0.6, 1.1),
        smallest_effect=_TENTH,
        kind="geometric_mean",
        unit="times",
        setting="small",
        reduced="the architecture of Fig. 13 is not in the text read; width 100",
        evidence=relevant_first,
    ),
    _own(
        id="H4-neurons",
        name="H4, neuron by neuron",
        sentence="When the loss moves, the largest weights of most neurons are those of the hidden bits.",
        source="Fig. 13 (one neuron)",
        estimand="the mean over seeds of the share of neurons whose three largest weights are those of the "
        "hidden "
        "bits, at the step at which the test loss has fallen by a tenth",
        region=Region.at_least(0.5),
        smallest_effect=_TENTH,
        evidence=order_when_loss_moves,
    ),
    _claim(
        id="H5",
        name="no early success",
        sentence="It is no random search: no network learns much earlier than the others.",
        source="Fig. 2 left",
        paper_value="none in a million",
        estimand="the share of networks whose t_c is below a fifth of the median (of a geometric time: 0.13)",
        region=Region.at_most(0.01),
        smallest_effect=_TWENTIETH,
        kind="share",
        experiment="luck",
        setting="small",
        reduced="1,000 networks instead of a million; (20, 3), width 10",
        fixed_on="0-39",
        confirmed_on="100-1099",
        evidence=lambda m: learned_early(m, 0.2),
    ),
    _own(
        id="H5-half",
        name="few in half the time",
        sentence="Few networks need less than half of the median steps.",
        source="Fig. 2 left",
        estimand="the share of networks whose t_c is below half of the median (of a geometric time: 0.29)",
        region=Region.at_most(0.1),
        smallest_effect=_TWENTIETH,
        kind="share",
        experiment="luck",
        fixed_on="0-39",
        confirmed_on="100-1099",
        evidence=lambda m: learned_early(m, 0.5),
    ),
    _claim(
        id="H6",
        name="start decides, samples little",
        sentence="The time depends on the start much more than on the samples.",
        source="Fig. 2 center",
        paper_value="yes",
        estimand=f"{_CROSSED}; batches of 128, rate 0.01",
        region=Region.at_least(2 / 3),
        smallest_effect=_TENTH,
        experiment="crossed",
        setting="small",
        reduced="20 starts with 6 orders; (20, 3), width 10",
        evidence=share_of_start,
    ),
    _own(
        id="H6-small-batch",
        name="H6, batches of 32, rate 0.1",
        sentence="H6 in the setting of the other experiments, batches of 32 and rate 0.1.",
        source="Fig. 2 center (another setting)",
        estimand=f"{_CROSSED}; batches of 32, rate 0.1",
        region=Region.at_least(2 / 3),
        smallest_effect=_TENTH,
        experiment="crossed-small-batch",
        evidence=share_of_start,
    ),
    _claim(
        id="H7",
        name="width: no proportional speed-up",
        sentence="Beyond a moderate width more neurons do not speed learning up.",
        source="Fig. 4 left",
        paper_value="flat",
        estimand="the exponent of t_c in the width, from 100 to 1,000 neurons, by censored regression",
        region=Region.between(-0.3, 0.1),
        smallest_effect=_TENTH,
        experiment="width",
        setting="small",
        reduced=_FEW,
        evidence=lambda m: exponent(m, "width", 100, 1000),
    ),
    _own(
        id="H7-narrow",
        name="below 100 neurons width helps",
        sentence="Below 100 neurons it does, less than in proportion.",
        source="Fig. 4 left",
        estimand="the exponent of t_c in the width, from 10 to 100 neurons, by censored regression",
        region=Region.between(-0.7, -0.1),
        smallest_effect=_TENTH,
        experiment="width",
        evidence=lambda m: exponent(m, "width", 10, 100),
    ),
    _claim(
        id="H8",
        name="a power of n, at most k",
        sentence="The time grows like a small power of n.",
        source="Figs. 2 right, 10, Sec. 3",
        paper_value="n^O(k)",
        estimand="the exponent of t_c in n from 20 to 90 bits, k = 3, by censored regression",
        region=Region.between(1.0, 3.0),
        smallest_effect=Effect(0.3, "a fifth of the steps for twice the bits"),
        experiment="scaling",
        evidence=lambda m: exponent(m, "task_n", 20, 90),
    ),
    _claim(
        id="H8-bend",
        name="the power rises with n",
        sentence="The power gets larger at larger n.",
        source="Fig. 2 right",
        paper_value="yes",
        estimand="the exponent of t_c in n from 45 to 90 bits less that from 20 to 45, by censored "
        "regression",
        region=Region.at_least(0.2),
        smallest_effect=_FIFTH,
        experiment="scaling",
        evidence=bend,
    ),
    _gap(10000, "From 10,000 samples training and test accuracy rise together.", "1", Region.at_most(1.41)),
    _gap(1800, "From 1,800 samples test accuracy is a little later.", "1.3", Region.between(1.05, 3)),
    _gap(
        1000, "From 1,000 samples test accuracy is much later, or stays at chance.", "34", Region.at_least(10)
    ),
    _claim(
        id="H9-1000-groks",
        name="1,000 samples: some grok",
        sentence="From 1,000 samples networks grok.",
        source="Fig. 4 right",
        paper_value="at about 37,000 steps",
        estimand="the share of seeds that reach 99 % test accuracy within 100,000 steps, from 1,000 samples",
        region=Region.at_least(0.2),
        smallest_effect=ONE_SEED_IN_TEN,
        kind="share",
        experiment="finite",
        setting="small",
        reduced=_UNKNOWN,
        evidence=groks_from_1000,
    ),
    _claim(
        id="H9-700",
        name="700 samples: never",
        sentence="From 700 samples test accuracy stays at chance.",
        source="Fig. 4 right",
        paper_value="chance for a million steps",
        estimand="the mean over seeds of the best test accuracy at any measured step within 100,000 steps, "
        "from "
        "700 samples",
        region=Region.at_most(0.55),
        smallest_effect=_TWENTIETH,
        experiment="finite",
        setting="small",
        reduced=f"{_UNKNOWN}; 100,000 steps instead of a million",
        evidence=lambda m: best_accuracy(m, n_train=700),
    ),
    _claim(
        id="H10",
        name="weight decay is two-sided",
        sentence="More weight decay helps generalization; too much stops training.",
        source="Fig. 15",
        paper_value="yes",
        estimand="the share of seeds that learn the parity from 1,000 samples at decay 0.03 within 30,000 "
        "steps, "
        "and earlier than at 0.003, and do not memorize at 0.1",
        region=Region.at_least(0.5),
        smallest_effect=ONE_SEED_IN_TEN,
        kind="share",
        experiment="decay",
        setting="small",
        reduced="decays and n, k of the figure are not in the text read; (50, 3), 30,000 steps",
        evidence=decay_is_two_sided,
    ),
    _claim(
        id="H11",
        name="z^3 at a large batch: no plateau",
        sentence="Wide networks with activation z^k have no plateau at large batches.",
        source="App. C.8, Fig. 17",
        paper_value="no plateau",
        estimand="the geometric mean over seeds of the plateau's share of t_c with activation z^3 over "
        "that with "
        "relu, batches of 1,024, width 1,000",
        region=Region.at_most(0.3),
        smallest_effect=_TENTH,
        kind="geometric_mean",
        experiment="power",
        beside=("power-relu",),
        setting="small",
        reduced="(30, 3), rate 0.1",
        evidence=lambda a, b: over_relu(a, b, 1000),
    ),
    _claim(
        id="H11-100",
        name="H11 at width 100",
        sentence="So at width 100.",
        source="App. C.8, Fig. 17",
        paper_value="no plateau",
        estimand="as H11, width 100",
        region=Region.at_most(0.3),
        smallest_effect=_TENTH,
        kind="geometric_mean",
        experiment="power",
        beside=("power-relu",),
        setting="small",
        reduced="(30, 3), rate 0.1",
        evidence=lambda a, b: over_relu(a, b, 100),
    ),
    _own(
        id="H11-steps",
        name="H11 at width 100, in steps",
        sentence="With activation z^3 the plateau is much shorter, in steps.",
        source="App. C.8, Fig. 17",
        estimand="the geometric mean over seeds of the step at which the plateau ends with activation z^3 "
        "over "
        "that with relu, batches of 1,024, width 100",
        region=Region.at_most(0.1),
        smallest_effect=_TWENTIETH,
        kind="geometric_mean",
        experiment="power",
        beside=("power-relu",),
        evidence=lambda a, b: over_relu(a, b, 100, plateau_end),
    ),
    _claim(
        id="H12",
        name="learned from 40 % flipped labels",
        sentence="The parity is learned although 40 % of labels are flipped.",
        source="Fig. 16",
        paper_value="yes, up to 49 %",
        estimand="the share of seeds that reach 99 % test accuracy within 40,000 steps, with 40 % of labels "
        "flipped",
        region=Region.at_least(0.8),
        smallest_effect=ONE_SEED_IN_TEN,
        kind="share",
        experiment="noise",
        evidence=lambda m: reaches(m, 0.99, noise=0.4),
    ),
    *_starts("torch", "a uniform start"),
    *_starts("kaiming", "a Gaussian start"),
    *_starts("sign", "a start of random signs"),
    _claim(
        id="H14",
        name="gap of the majority",
        sentence="The majority has a Fourier gap of at least 0.03 (n - 1)^(-(k - 1) / 2).",
        source="Sec. 4.1, Proposition",
        paper_value="at least 1",
        estimand="the gap of the majority of 15 bits at k = 4, exactly, over all inputs, over the bound",
        region=Region.at_least(1.0),
        kind="deterministic",
        experiment="majority",
        evidence=majority_gap,
    ),
    _own(
        id="H15",
        name="weights, from few samples",
        sentence="In grokking from a finite sample, too, the weights of the hidden bits have moved more "
        "than the "
        "others, between memory and generalization.",
        source="Sec. 5 (not computed there)",
        estimand="the geometric mean, over the seeds that generalize from 1,000 samples, of the root mean "
        "square "
        "movement on the hidden bits over that on the others, half-way from 98 % training accuracy to the "
        "end of "
        "the plateau, over that ratio with coins for labels at the same step, same seed",
        region=Region.at_least(1.1),
        smallest_effect=_TENTH,
        kind="geometric_mean",
        unit="times",
        experiment="finite",
        beside=("finite-coins",),
        evidence=finite_movement,
    ),
    _own(
        id="H15-output",
        name="output, from few samples",
        sentence="There the parity is in the output, between memory and generalization.",
        source="Sec. 5 (not computed there)",
        unit="1e-4",
        estimand="the mean, over the seeds that generalize from 1,000 samples, of the parity's coefficient "
        "in the "
        "output half-way from 98 % training accuracy to the end of the plateau, less that with coins for "
        "labels "
        "at the same step, same seed, times 10,000",
        region=Region.at_least(5.0),
        smallest_effect=Effect(2.0, "a tenth of its size in the pilot"),
        experiment="finite",
        beside=("finite-coins",),
        evidence=lambda m, n: 1e4 * finite_coefficient(m, n),
    ),
    _own(
        id="H15-grows",
        name="it grows, from few samples",
        sentence="It grows from memory to generalization.",
        source="Sec. 5 (not computed there)",
        estimand="the geometric mean, over the seeds that generalize from 1,000 samples, of the parity's "
        "coefficient in the output at a quarter of the plateau over that at nine tenths",
        region=Region.at_most(0.75),
        smallest_effect=_TENTH,
        kind="geometric_mean",
        experiment="finite",
        evidence=lambda m: growth(part_of(m, n_train=1000), "parity_coefficient", 0.25, 0.9),
    ),
)

# ---------------------------------------------------------------- figures

_MOST_LINES = 20


def _lines(
    axis: Any, measures: xr.Dataset, name: str, color: str, label: str, most: int = _MOST_LINES
) -> None:
    """A thin line for each of the first seeds, up to where it was measured."""
    steps = measures["step"].to_numpy()
    for i, values in enumerate(member_curves(measures[name])[:most]):
        there = np.isfinite(values)
        axis.plot(
            steps[there],
            values[there],
            color=color,
            linewidth=0.6,
            alpha=0.7,
            label=label if i == 0 else None,
        )
    x_label(axis, "step")


def _figure_1(runs: Mapping[str, RunLike], command: str) -> Drawing:
    figure, axes = panels(["Test loss", "Test accuracy", "Test accuracy, PolyNet"])
    online = runs["online"].measures
    _lines(axes[0], online, "test_loss", COLOR["test"], "relu, width 100")
    _lines(axes[1], online, "test_accuracy", COLOR["test"], "relu, width 100")
    _lines(axes[2], runs["polynet"].measures, "test_accuracy", COLOR["train"], "product of 3 functions")
    for axis in axes[1:]:
        axis.axhline(_LEFT_CHANCE, color=COLOR["grokking"], linestyle="dotted", linewidth=0.8)
    legend(figure, axes[0], axes[2])
    small_print(figure, f"A line is a seed, at most {_MOST_LINES}. Dotted: the end of the plateau.", command)
    return figure


def _figure_2(runs: Mapping[str, RunLike], command: str) -> Drawing:
    figure, axes = panels(["t_c of many networks", "t_c by start, six orders each", "t_c by n, k = 3"])
    times = steps_to(runs["luck"].measures, "test", _LEARNED).upper
    seen, median = times[np.isfinite(times)], float(np.median(times))
    if len(seen) and np.isfinite(median):
        top = float(np.quantile(seen, 0.98))
        axes[0].hist(seen[seen <= top], bins=40, density=True, color=COLOR["test"], label="networks")
        at = np.linspace(0, top, 100)
        rate = np.log(2) / median
        axes[0].plot(
            at,
            rate * np.exp(-rate * at),
            color=COLOR["null"],
            linewidth=1,
            label="random search, same median",
        )
    x_label(axes[0], "step")
    for name, label, color in (
        ("crossed", "B = 128, rate 0.01", COLOR["test"]),
        ("crossed-small-batch", "B = 32, rate 0.1", COLOR["train"]),
    ):
        cells = runs[name].measures["test_accuracy"]
        if not {"init_seed", "order_seed"} <= set(cells.dims):
            continue
        array = cells.transpose("init_seed", "order_seed", "step").to_numpy()
        steps, there = cells["step"].to_numpy(), array >= _LEARNED
        first = np.where(there.any(axis=-1), steps[np.argmax(there, axis=-1)], np.nan)
        order = np.argsort(np.nanmedian(np.where(np.isnan(first), steps[-1], first), axis=1))
        places = np.repeat(np.arange(len(order)), first.shape[1])
        axes[1].plot(places, first[order].ravel(), ".", color=color, markersize=3, label=label)
    axes[1].set_yscale("log")
    x_label(axes[1], "start (sorted)")
    _by_axis(axes[2], runs["scaling"].measures, "task_n")
    x_label(axes[2], "n")
    legend(figure, axes[0], axes[1])
    small_print(
        figure,
        "t_c: all of 8,192 test inputs right. Right: points are seeds, the line is the median.",
        command,
    )
    return figure


def _by_axis(axis: Any, measures: xr.Dataset, name: str) -> None:
    """t_c of every seed against an axis of a sweep, and its median, on logarithmic axes."""
    values = measures[name].to_numpy()
    medians: list[float] = []
    for value in values:
        times = steps_to(part_of(measures, **{name: value}), "test", _LEARNED).upper
        seen = times[np.isfinite(times)]
        axis.plot([value] * len(seen), seen, ".", color=COLOR["other"], markersize=3)
        medians.append(float(np.median(times)))
    finite = np.isfinite(medians)
    axis.plot(values[finite], np.array(medians)[finite], "o-", color="black", markersize=3, linewidth=1)
    axis.set_xscale("log")
    axis.set_yscale("log")


def _figure_3(runs: Mapping[str, RunLike], command: str) -> Drawing:
    names = {
        "weight_movement": "Largest movement",
        "movement_alignment": "Cosine with the pull",
        "parity_coefficient": "Coefficient, absolute",
    }
    titles = [f"{title}, B = {size}" for size in ("32", "1,024") for title in names.values()]
    figure, axes = panels(titles, columns=3)
    for row, pair in enumerate((("online", "online-coins"), ("large-batch", "large-batch-coins"))):
        for place, (axis, name) in enumerate(zip(axes[3 * row :], names, strict=False)):
            for run, color, label in (
                (pair[1], COLOR["null"], "coins for labels"),
                (pair[0], COLOR["test"], "parity"),
            ):
                measures = runs[run].measures
                shown = measures.assign({name: abs(measures[name])}) if place == 2 else measures
                _lines(axis, shown, name, color, label, most=10)
            end = plateau_end(runs[pair[0]].measures)
            if np.isfinite(end).any():
                axis.axvline(
                    float(np.median(end)),
                    color=COLOR["grokking"],
                    linestyle="dotted",
                    linewidth=0.8,
                    label="end of the plateau (median)",
                )
            if place != 1:
                axis.set_yscale("log")
    legend(figure, axes[0])
    small_print(
        figure,
        "A line is a seed, at most 10. Cosine: of the movement of the hidden bits' weights with the parity's "
        "population gradient at the start. Coefficient: of the parity in the output.",
        command,
    )
    return figure


def _figure_4(runs: Mapping[str, RunLike], command: str) -> Drawing:
    finite = runs["finite"].measures.sortby("n_train")
    sizes = finite["n_train"].to_numpy()
    figure, axes = panels(["t_c by width", *(f"{size:,} samples" for size in sizes)], columns=3)
    _by_axis(axes[0], runs["width"].measures, "width")
    x_label(axes[0], "neurons")
    for axis, size in zip(axes[1:], sizes, strict=True):
        cell = part_of(finite, n_train=size)
        for split in ("train", "test"):
            _lines(axis, cell, f"{split}_accuracy", COLOR[split], split)
        axis.set_xscale("symlog", linthresh=250)
        axis.set_xlim(left=0)
    legend(figure, axes[1])
    small_print(figure, "A line is a seed. Steps are on a logarithmic axis from 250 on.", command)
    return figure


def _figure_12(runs: Mapping[str, RunLike], command: str) -> Drawing:
    sine = runs["sine"].measures
    starts = [str(init) for init in sine["init"].to_numpy()]
    figure, axes = panels([f"Fourier gap, start: {init}" for init in starts])
    for axis, init in zip(axes, starts, strict=True):
        cell = part_of(sine, init=init)
        _lines(axis, cell, "fourier_gap", COLOR["test"], "a neuron")
        axis.axhline(0, color=COLOR["grokking"], linewidth=0.6)
        axis.set_xscale("symlog", linthresh=100)
        axis.set_xlim(left=0)
    small_print(
        figure, f"A line is a seed, at most {_MOST_LINES}; exact over all inputs of 15 bits.", command
    )
    return figure


def _figure_15(runs: Mapping[str, RunLike], command: str) -> Drawing:
    decay = runs["decay"].measures.sortby("weight_decay")
    values = decay["weight_decay"].to_numpy()
    figure, axes = panels(["Share of seeds", "Step"])
    for what, level, split, color in (
        ("99 % of training samples", 0.99, "train", COLOR["train"]),
        ("99 % of test inputs", 0.99, "test", COLOR["test"]),
    ):
        each = [steps_to(part_of(decay, weight_decay=value), split, level).upper for value in values]
        axes[0].plot(
            values,
            [np.isfinite(t).mean() for t in each],
            "o-",
            color=color,
            markersize=3,
            linewidth=1,
            label=what,
        )
        for value, times in zip(values, each, strict=True):
            seen = times[np.isfinite(times)]
            axes[1].plot([value] * len(seen), seen, ".", color=color, markersize=3)
    axes[0].set_ylim(-0.03, 1.03)
    axes[1].set_yscale("log")
    for axis in axes:
        axis.set_xscale("log")
        x_label(axis, "weight decay (times the rate: the paper's)")
    legend(figure, axes[0])
    small_print(figure, "1,000 samples. Right: a point is a seed that got there within the run.", command)
    return figure


def _figure_16(runs: Mapping[str, RunLike], command: str) -> Drawing:
    noise = runs["noise"].measures.sortby("noise")
    shares = noise["noise"].to_numpy()
    figure, axes = panels([f"Test accuracy, {100 * share:.0f} % flipped" for share in shares])
    for axis, share in zip(axes, shares, strict=True):
        _lines(axis, part_of(noise, noise=share), "test_accuracy", COLOR["test"], "test")
    small_print(figure, "A line is a seed.", command)
    return figure


_FIGURES = (
    Figure("figure-1", "Figure 1: loss and accuracy over steps.", _figure_1, ("online", "polynet")),
    Figure(
        "figure-2",
        "Figure 2: how long it takes, by luck, by start and samples, by n.",
        _figure_2,
        ("luck", "crossed", "crossed-small-batch", "scaling"),
    ),
    Figure(
        "figure-3",
        "Figure 3: what moves on the plateau, with the parity and with coins for labels.",
        _figure_3,
        ("online", "online-coins", "large-batch", "large-batch-coins"),
    ),
    Figure(
        "figure-4", "Figure 4: t_c by width; learning from a finite sample.", _figure_4, ("width", "finite")
    ),
    Figure("figure-12", "Figure 12: the Fourier gap of sine neurons.", _figure_12, ("sine",)),
    Figure("figure-15", "Figure 15: weight decay, from 1,000 samples.", _figure_15, ("decay",)),
    Figure("figure-16", "Figure 16: flipped labels.", _figure_16, ("noise",)),
)


class HiddenProgress(Paper):
    """Barak et al. 2022: SGD learns parities, with hidden progress on a long plateau."""

    kind: Literal["hidden-progress"] = "hidden-progress"
    title = "Hidden Progress in Deep Learning: SGD Learns Parities Near the Computational Limit"
    authors = "Boaz Barak, Benjamin L. Edelman, Surbhi Goel, Sham Kakade, Eran Malach, Cyril Zhang"
    year = 2022
    arxiv = "2207.08799"
    bibtex = """@misc{barak2022hidden,
  title = {Hidden Progress in Deep Learning: SGD Learns Parities Near the Computational Limit},
  author = {Boaz Barak and Benjamin L. Edelman and Surbhi Goel and Sham Kakade and Eran Malach and
    Cyril Zhang},
  year = {2022},
  eprint = {2207.08799},
  archivePrefix = {arXiv}
}"""
    experiments = _EXPERIMENTS
    claims = _CLAIMS
    figures = _FIGURES
    reasons: ClassVar[Mapping[str, str]] = {
        "H2": "At half the plateau the largest movement is that of noise (H3); by t_c weights have grown "
        "ten times as far, nearly all of it in the drop.",
        "H3": "The largest of 5,000 movements is noise until the very end: signal over noise of the best "
        "weight is 1.8 at half the plateau, and the largest noise 4.1. With batches of 1,024 it is seen "
        "(H3-batch), and with batches of 32 in the direction of the movement (H3-direction).",
        "H3-rms": "Not the extreme alone: signal over noise of a typical weight is 0.4, and most of the "
        "noise is common to all neurons.",
        "H3-late": "At three quarters of the plateau the largest movement is above the null, by a tenth: an "
        "earlier step explains no more than that.",
        "H4-neurons": "A few neurons lower the loss; the largest movements are theirs (H4).",
        "H6-small-batch": "With batches of 32 and rate 0.1 noise moves the weights by half of their size "
        "before the plateau ends, so the start is forgotten.",
        "H11-100": "At width 1,000 it holds (H11); in steps the plateau is much shorter at width 100, too "
        "(H11-steps).",
        "H15": "As H3-rms: size does not show it. The output does (H15-output).",
    }
