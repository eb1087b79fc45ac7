r"""Pareto Frontiers in Neural Feature Learning: Data, Compute, Width, and Luck (arXiv 2309.03800).

Whether a network learns the parity of k of n bits from m samples is a matter of luck. The paper measures the
share of seeds that succeed, over widths r and samples m: wider networks need fewer samples, and starts in
which each neuron reads few inputs need fewer still, because some neuron starts on the hidden bits.

This file: the experiments, the evidence, the claims, the figures. Success is a test accuracy of 100 % (here
on 2,048 inputs) at a measured step within the run; later success counts as none. In these runs the event
``grokking`` is success. The frontier $m_{50}(r)$ is the number of samples at which half of the seeds succeed,
by probit regression (`grokscope.statistics.success_frontier`).

Rate, batch size and loss of the grid are not in the text read; they are those of the paper's experiment with
lottery tickets (rate 0.1, batches of 32), with the hinge loss. So are the size and sign of the weights of a
sparse start; ours are $\pm 1/\sqrt s$, so that all neurons have norm 1 for every s. The decay of 0.01 is that
of PyTorch's SGD.

What is not judged: the 16 tables of data from OpenML (Figure 3), which are not part of this project, and
Theorems 4 and 5, of which the latter needs an even k.

Claims of kind ``own`` are controls that the paper lacks: starts of equal norm, a parametrization in which the
width does not change the rate, other choices of five neurons, the delay between training and test accuracy.
Regions were fixed on seeds 0-4 on 30 November 2026.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from grokscope.claims import Claim, Effect, NotTestable, Region, need
from grokscope.errors import InputError
from grokscope.experiment import Experiment
from grokscope.losses import Hinge
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
)
from grokscope.papers.evidence import (
    difference,
    exponents,
    first_of_both,
    need_axis,
    part_of,
    pseudovalues,
    ratio_of_splits,
    steps_of,
    steps_to,
)
from grokscope.plots.style import COLOR, SMALL, legend, panels, small_print, x_label
from grokscope.spec.events import member_curves
from grokscope.starts import FromRun
from grokscope.statistics import CensoredTimes, monotone_shares, probit_regression, success_frontier, wilson
from grokscope.tasks.sparse_parity import SparseParity

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure as Drawing

__all__ = ["ParetoFrontiers"]

# ---------------------------------------------------------------- experiments

_STEPS = 20_000
_SHORT = (f"steps={_STEPS}",)
_REDUCED = "20,000 steps instead of 100,000, 10 to 24 seeds a cell instead of 50"
_CELLS = ("model.width=10,30,100,300,1000", "task.n_train=700,1000,1500,3000")
_ACCURACIES = ("train_accuracy", "test_accuracy")

_GRID = Experiment(
    name="grid",
    steps=100_000,
    batch_size=32,
    task=SparseParity(n=50, k=3, n_train=1000, n_test=2048),
    model=FullyConnected(width=100),
    loss=Hinge(),
    optimizer=SGD(learning_rate=0.1, weight_decay=0.01),
    measures=_ACCURACIES,
    events={"grokking": "test_accuracy >= 1.0 for 1"},
    stop={"grokked_for": 1},
).with_("schedule.measures=['every 250 steps']", "schedule.slow_measures='ends'", "schedule.follow='ends'")
_SPARSE = ("model.init='sparse'", "model.active_inputs=2")


def _sweep(
    name: str, sentence: str, spec: Experiment, over: tuple[str, ...], seeds: int, reduced: str = _REDUCED
) -> SweepExperiment:
    profiles = {
        "paper": SweepProfile(seeds=max(50, seeds)),
        "quick": SweepProfile(seeds=seeds, overrides=_SHORT, reduced=reduced),
    }
    return SweepExperiment(name, sentence, spec.with_(f"name='{name}'"), profiles, over=over)


_RETRAINED = 60_000  # steps of networks of five neurons
_TICKET = _GRID.with_(
    *("name='tickets-full'", "online=true", "task.k=5", "task.n_train=100", "optimizer.weight_decay=0.0"),
    *(*_SPARSE, "schedule.measures=['every 500 steps']"),
)
_FULL = RunExperiment(
    "tickets-full",
    "(50, 5) from fresh samples, width 100, two active inputs a neuron (Figure 5).",
    _TICKET,
    {"paper": Profile(seeds=50), "quick": Profile(seeds=10)},
)


def _five(name: str, sentence: str, neurons: dict[str, Any]) -> RunExperiment:
    """Five neurons of the full networks alone, from their start, each with two orders of fresh samples."""
    init = FromRun(run=_FULL.name, source=_FULL.experiment.identity, at=0)
    prune = {"kind": "prune", "neurons": neurons}
    spec = _TICKET.with_(f"name='{name}'", f"steps={_RETRAINED}", init=init, interventions=[prune])
    profiles = {"paper": Profile(seeds=50), "quick": Profile(seeds=10)}
    return RunExperiment(name, sentence, spec, profiles, streams="data=1000; noise=1000; order=1000:1002")


_TOP_FIVE = {"kind": "largest", "count": 5, "at": "end"}
_EXPERIMENTS: tuple[PaperExperiment, ...] = (
    _sweep("grid", "(50, 3), widths by samples, PyTorch's start (Figures 1, 2, 4).", _GRID, _CELLS, 10),
    _sweep(
        "grid-sparse",
        "The same with two active inputs a neuron.",
        _GRID.with_(*_SPARSE),
        _CELLS,
        10,
    ),
    _sweep(
        "grid-mean-field",
        "1,000 samples in a parametrization in which the width does not change the rate.",
        _GRID.with_("model.kind='mean_field'", "model.base_width=100"),
        ("model.width=10,100,1000",),
        10,
    ),
    _sweep(
        "sparsity",
        "1,000 samples, width 100, from 1 to all 50 active inputs a neuron, of norm 1 (Section 4).",
        _GRID.with_(*_SPARSE),
        ("model.active_inputs=1,2,3,5,10,50",),
        24,
    ),
    _sweep(
        "dense-m",
        "Width 100, samples in small steps (Figure 2).",
        _GRID,
        ("task.n_train=900,1000,1100,1200,1300,1400,1500,1700",),
        20,
    ),
    RunExperiment(
        "luck",
        "1,000 samples, width 300, two active inputs a neuron, many seeds.",
        _GRID.with_(
            "name='luck'", "model.width=300", *_SPARSE, f"measures={[*_ACCURACIES, 'hidden_bit_share']}"
        ),
        {
            "paper": Profile(seeds=200),
            "quick": Profile(seeds=48, overrides=_SHORT, reduced="20,000 steps instead of 100,000"),
        },
    ),
    _FULL,
    _five("tickets", "The five neurons of largest final norm alone, from their start (Figure 5).", _TOP_FIVE),
    _five(
        "tickets-random",
        "Five random ones of the other neurons.",
        {"kind": "random", "count": 5, "excluding": _TOP_FIVE},
    ),
    _five(
        "tickets-start",
        "The five neurons with the largest weights from the hidden bits at the start.",
        {"kind": "largest", "count": 5, "by": "support_norm", "at": "start"},
    ),
    RunExperiment(
        "fresh-five",
        "Fresh networks of five neurons (Figure 5).",
        _TICKET.with_("name='fresh-five'", f"steps={_RETRAINED}", "model.width=5"),
        {"paper": Profile(seeds=40), "quick": Profile(seeds=36)},
    ),
)

# ---------------------------------------------------------------- evidence: one entry per seed

_WIDE = 100  # neurons


def solved(measures: xr.Dataset, *axes: str) -> np.ndarray:
    """Whether a test accuracy of 100 % is measured within the run: 1, 0, or NaN where nothing is measured.

    Args:
        measures: of a sweep or run.
        axes: the axes of the result, before the last one, ``seed``.

    Raises:
        NotTestable: if the sweep has no such axis, or nothing was measured.
    """
    need(measures, "test_accuracy")
    values = measures["test_accuracy"]
    if missing := [name for name in (*axes, "seed") if name not in values.dims]:
        raise NotTestable(f"the measures have no axis {missing[0]!r}")
    array = values.transpose(*axes, "seed", "step").to_numpy()
    measured = ~np.isnan(array).all(axis=-1)
    if not measured.any():
        raise NotTestable("test_accuracy was measured for no seed")
    return np.where(measured, (array >= 1).any(axis=-1), np.nan)


def more_succeed(measures: xr.Dataset, along: str, across: str | None = None) -> np.ndarray:
    r"""Of the pairs of cells along an axis of which one succeeds, the share in which it is the larger [seed].

    $P / (P + Q)$ of the P concordant and Q discordant pairs; $(P - Q) / (P + Q)$ is Goodman and Kruskal's
    gamma of success and the axis. NaN for a seed without such a pair.

    Args:
        measures: of a sweep.
        along: the axis, whose values rise.
        across: the other axis; pairs are formed at each of its values.
    """
    cells = solved(measures, *filter(None, (along, across)))
    cells = cells.reshape(len(cells), -1, cells.shape[-1])
    order = np.argsort(measures[along].to_numpy())
    steps = np.stack([cells[b] - cells[a] for i, a in enumerate(order) for b in order[i + 1 :]])
    wins, losses = ((steps == sign).sum(axis=(0, 1)) for sign in (1, -1))
    total = wins + losses
    return np.where(total > 0, wins / np.maximum(total, 1), np.nan)


def _grid(measures: xr.Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Logarithms of width and samples [cell, 2], and success [cell, seed], of seeds measured in all cells."""
    cells = solved(measures, "width", "n_train")
    whole = ~np.isnan(cells).any(axis=(0, 1))
    axes = np.meshgrid(measured_widths(measures), measures["n_train"].to_numpy(), indexing="ij")
    logs = np.log(np.stack([axis.ravel() for axis in axes], axis=1).astype(np.float64))
    return logs, cells[:, :, whole].reshape(len(logs), -1)


def _probit(x: np.ndarray, wins: np.ndarray) -> np.ndarray:
    """Coefficients of the probit regression of successes [cell, seed]."""
    try:
        trials = np.full(len(wins), wins.shape[1])
        return probit_regression(x, wins.sum(axis=1), trials).coefficients
    except InputError as error:
        raise NotTestable(str(error)) from None


def frontier_slope(measures: xr.Dataset) -> np.ndarray:
    """P3: the slope of log m_50 on log r, by probit regression on both, as pseudo-values [seed]."""
    logs, wins = _grid(measures)

    def slope(seeds: np.ndarray) -> np.ndarray:
        _, of_width, of_samples = _probit(logs, wins[:, seeds])
        if of_samples <= 0:
            raise NotTestable("success does not get likelier with more samples")
        return np.array([-of_width / of_samples])

    return pseudovalues(slope, wins.shape[1])[0]


def samples_of_sparse_over_dense(sparse: xr.Dataset, dense: xr.Dataset) -> np.ndarray:
    """P6: m_50 of sparse over that of dense starts, of wide networks, as pseudo-values of its log [seed]."""
    (logs, upper), (same, lower) = _grid(sparse), _grid(dense)
    if not np.array_equal(logs, same) or upper.shape != lower.shape:
        raise NotTestable("the sweeps have other cells or seeds")
    wide = logs[:, 0] >= np.log(_WIDE) - 1e-9
    logs, upper, lower = logs[wide], upper[wide], lower[wide]
    x = np.column_stack([np.vstack([logs, logs]), np.repeat([1.0, 0.0], len(logs))])
    wins = np.vstack([upper, lower])

    def of(seeds: np.ndarray) -> np.ndarray:
        _, _, of_samples, of_start = _probit(x, wins[:, seeds])
        if of_samples <= 0:
            raise NotTestable("success does not get likelier with more samples")
        return np.array([-of_start / of_samples])

    return np.exp(pseudovalues(of, wins.shape[1])[0])


def frontier_over_search(measures: xr.Dataset, n: int = 50, k: int = 3) -> np.ndarray:
    """P4: m_50 of the widest networks over n^k, as pseudo-values of its logarithm [seed]."""
    cells = solved(measures, "width", "n_train")[int(np.argmax(measures["width"].to_numpy()))]
    wins, sizes = cells[:, ~np.isnan(cells).any(axis=0)], measures["n_train"].to_numpy()

    def frontier(seeds: np.ndarray) -> np.ndarray:
        found = success_frontier(sizes, wins[:, seeds].sum(axis=1), np.full(len(sizes), len(seeds))).value
        if not 0 < found < np.inf:
            raise NotTestable("the sizes do not bound the frontier of the widest networks")
        return np.array([np.log(found)])

    return np.exp(pseudovalues(frontier, wins.shape[1])[0]) / n**k


def exponent_of_samples(measures: xr.Dataset) -> np.ndarray:
    """P5: the exponent of the steps to success in m at fixed width, as pseudo-values [seed]."""
    return exponents(measures, "grokking", ["width", "n_train"], where=lambda width, n_train: width >= _WIDE)[
        1
    ]


def sparse_less_dense(sparse: xr.Dataset, dense: xr.Dataset, widths: str) -> np.ndarray:
    """P6: the share of cells that a seed solves from a sparse start, less that from a dense one [seed].

    Args:
        sparse: the sweep with sparse starts.
        dense: that with PyTorch's start.
        widths: of the cells: ``wide`` (100 and more neurons) or ``narrow`` (fewer).
    """
    wide = measured_widths(dense) >= _WIDE
    chosen = wide if widths == "wide" else ~wide
    shares = [solved(one, "width", "n_train")[chosen].mean(axis=(0, 1)) for one in (sparse, dense)]
    one, other = first_of_both(*shares)
    return one - other


def measured_widths(measures: xr.Dataset) -> np.ndarray:
    """The widths of a sweep."""
    need_axis(measures, "width")
    return measures["width"].to_numpy()


def two_less_best_other(measures: xr.Dataset, others: tuple[int, ...]) -> np.ndarray:
    """P6: success with two active inputs less that with the best other number [seed].

    The best other number is for each seed the one with which most of the other seeds succeed, so that the
    choice does not favor it.
    """
    two = solved(part_of(measures, active_inputs=2))
    rivals = np.stack([solved(part_of(measures, active_inputs=s)) for s in others])
    rest = np.nansum(rivals, axis=1, keepdims=True) - np.nan_to_num(rivals)  # of the other seeds
    return two - np.take_along_axis(rivals, rest.argmax(axis=0)[None], axis=0)[0]


def drop_of_share(measures: xr.Dataset) -> np.ndarray:
    """P7: success at one number of samples less that at a larger one [seed].

    The pair is for each seed the one between which the share of the other seeds drops most: of all pairs, it
    would be a drop that chance makes.
    """
    wins = solved(measures, "n_train")[np.argsort(measures["n_train"].to_numpy())]
    wins = wins[:, ~np.isnan(wins).any(axis=0)]
    if wins.shape[1] < 2:
        raise NotTestable("fewer than two seeds were measured at all sizes")
    first, second = np.triu_indices(len(wins), 1)
    drops = wins[first] - wins[second]  # [pair, seed]
    chosen = (drops.sum(axis=1, keepdims=True) - drops).argmax(axis=0)
    return np.take_along_axis(drops, chosen[None], axis=0)[0]


def shares_of_orders(measures: xr.Dataset, level: float = 1.0) -> np.ndarray:
    """P8: of each start's orders of fresh samples, the share in which a test accuracy is reached [init seed].

    Raises:
        NotTestable: if the run has no crossed starts and orders, or nothing was measured.
    """
    need(measures, "test_accuracy")
    values = measures["test_accuracy"]
    if not {"init_seed", "order_seed"} <= set(values.dims):
        raise NotTestable("the run has not several orders for each of several starts")
    array = values.transpose("init_seed", "order_seed", "step").to_numpy()
    if np.isnan(array).all():
        raise NotTestable("test_accuracy was measured for no seed")
    return (array >= level).any(axis=-1).mean(axis=-1)


def lucky_neurons(measures: xr.Dataset) -> np.ndarray:
    """How many neurons start with both active inputs on hidden bits [seed]."""
    need(measures, "hidden_bit_share")
    start = measures["hidden_bit_share"].isel(step=0).transpose("seed", "neuron").to_numpy()
    return np.where(np.isnan(start).all(axis=1), np.nan, (start > 0.999).sum(axis=1))


def luck_decides(measures: xr.Dataset) -> np.ndarray:
    """P9: Harrell's C of the time to success and the number of lucky neurons, as pseudo-values [seed].

    Of the pairs of seeds with different numbers of lucky neurons of which it is known which succeeds first,
    the share in which that one has more.

    Source: Harrell, Lee, Mark 1996 (Statistics in Medicine 15, 361).
    """
    count = lucky_neurons(measures)
    times = steps_to(measures, "test", 1.0).upper
    known = ~np.isnan(count)
    count, times = count[known], times[known]

    def concordance(seeds: np.ndarray) -> np.ndarray:
        time, number = times[seeds], count[seeds]
        earlier = time[:, None] < time[None, :]  # one that is never seen is later than all that are
        pairs = earlier & (number[:, None] != number[None, :])
        if not pairs.any():
            raise NotTestable("no pair of seeds with different numbers of which one succeeds first")
        return np.array([(number[:, None] > number[None, :])[pairs].mean()])

    return pseudovalues(concordance, len(count))[0]


def delay(measures: xr.Dataset, **cell: float) -> CensoredTimes:
    """P11: steps to 99 % test over steps to 99 % training accuracy in a cell, as censored ratios [seed]."""
    return ratio_of_splits(part_of(measures, **cell))


# ---------------------------------------------------------------- claims

_UNKNOWN = "(50, 3) only; rate, batches and loss of the grid are not in the text read"
_claim = partial(Claim, experiment="grid", setting="small", reduced=_UNKNOWN)
_own = partial(Claim, experiment="grid", setting="own")
_TENTH, _TWENTIETH = Effect(0.1, "a tenth"), Effect(0.05, "a twentieth")
_ONE_IN_TEN = Effect(0.1, "one seed in ten behaves otherwise")
_PAIRS = (
    "the median over seeds of the share, of all pairs of cells of one {same} of which one is learned, in "
    "which it is the one with more {more}"
)
_OTHER_STARTS = (1, 5, 10, 50)


_CLAIMS = (
    _claim(
        id="P1",
        name="wider networks succeed more often",
        sentence="Success gets likelier with width, at the same number of samples.",
        source="Figs. 1, 4",
        paper_value="yes, in all settings",
        estimand=_PAIRS.format(same="number of samples", more="neurons"),
        region=Region.at_least(0.75),
        smallest_effect=_TENTH,
        kind="median",
        evidence=lambda m: more_succeed(m, "width", "n_train"),
    ),
    _claim(
        id="P1-sparse",
        name="P1, sparse starts",
        sentence="So with sparse starts.",
        source="Figs. 1, 4",
        paper_value="yes, in all settings",
        estimand=_PAIRS.format(same="number of samples", more="neurons") + "; two active inputs a neuron",
        region=Region.at_least(0.75),
        smallest_effect=_TENTH,
        kind="median",
        experiment="grid-sparse",
        evidence=lambda m: more_succeed(m, "width", "n_train"),
    ),
    _own(
        id="P1-mean-field",
        name="P1 at equal rates",
        sentence="So where the width does not change the effective rate.",
        source="Figs. 1, 4 (same rate)",
        estimand=_PAIRS.format(same="number of samples", more="neurons")
        + "; mean-field parametrization, 1,000 samples",
        region=Region.at_least(0.75),
        smallest_effect=_TENTH,
        kind="median",
        experiment="grid-mean-field",
        evidence=lambda m: more_succeed(m, "width"),
    ),
    _claim(
        id="P2",
        name="more samples, more success",
        sentence="Success gets likelier with samples, at the same width.",
        source="Figs. 1, 4",
        paper_value="yes",
        estimand=_PAIRS.format(same="width", more="samples"),
        region=Region.at_least(0.75),
        smallest_effect=_TENTH,
        kind="median",
        evidence=lambda m: more_succeed(m, "n_train", "width"),
    ),
    _claim(
        id="P3",
        name="wide networks need fewer samples",
        sentence="Wider networks need fewer samples: the frontier falls with width.",
        source="Fig. 1",
        paper_value="yes",
        estimand="the slope of log m_50 on log r, by probit regression of success on both",
        region=Region.at_most(-0.05),
        smallest_effect=_TWENTIETH,
        evidence=frontier_slope,
    ),
    _claim(
        id="P4",
        name="far fewer samples than n^k",
        sentence="Wide networks generalize from far fewer than n^k samples.",
        source="Fig. 1, Sec. 4",
        paper_value="m << n^k",
        estimand="m_50 of 1,000 neurons over n^3, by probit regression",
        region=Region.at_most(0.02),
        smallest_effect=Effect(0.01, "half as many samples"),
        kind="geometric_mean",
        evidence=frontier_over_search,
    ),
    _claim(
        id="P5",
        name="fewer samples, more steps",
        sentence="At the same width fewer samples need more steps.",
        source="Fig. 2 right",
        paper_value="yes",
        estimand="the exponent of the steps to success in the number of samples, of 100 and more neurons, by "
        "censored regression on width and samples",
        region=Region.at_most(-0.3),
        smallest_effect=_TENTH,
        evidence=exponent_of_samples,
    ),
    _claim(
        id="P6",
        name="sparse starts help",
        sentence="Sparse starts make success likelier.",
        source="Sec. 4",
        paper_value="yes",
        estimand="the mean over seeds of success from two active inputs a neuron less success from PyTorch's "
        "start; width 100, 1,000 samples",
        region=Region.at_least(0.1),
        smallest_effect=_TENTH,
        experiment="sparsity",
        beside=("dense-m",),
        evidence=lambda a, b: difference(part_of(a, active_inputs=2), part_of(b, n_train=1000), of=solved),
    ),
    _claim(
        id="P6-wide",
        name="P6 over the grid",
        sentence="So over the grid.",
        source="Figs. 1, 4",
        paper_value="yes",
        estimand="the mean over seeds of the share of cells with 100 and more neurons that are learned from "
        "two active inputs a neuron, less that from PyTorch's start",
        region=Region.at_least(0.1),
        smallest_effect=_TWENTIETH,
        experiment="grid-sparse",
        beside=("grid",),
        evidence=lambda a, b: sparse_less_dense(a, b, "wide"),
    ),
    _own(
        id="P6-narrow",
        name="not at 10 and 30 neurons",
        sentence="Narrow networks gain nothing by sparse starts.",
        source="Figs. 1, 4 (sparse starts always help)",
        estimand="as P6-wide, cells with 10 and 30 neurons",
        region=Region.at_most(0.0),
        smallest_effect=_TWENTIETH,
        experiment="grid-sparse",
        beside=("grid",),
        evidence=lambda a, b: sparse_less_dense(a, b, "narrow"),
    ),
    _claim(
        id="P6-samples",
        name="sparse starts need fewer samples",
        sentence="From sparse starts networks need fewer samples.",
        source="Sec. 4",
        paper_value="yes",
        estimand="m_50 from two active inputs a neuron over m_50 from PyTorch's start, at the same width of "
        "100 and more, by probit regression of success on width, samples and start",
        region=Region.at_most(0.9),
        smallest_effect=_TENTH,
        kind="geometric_mean",
        unit="times",
        experiment="grid-sparse",
        beside=("grid",),
        evidence=samples_of_sparse_over_dense,
    ),
    _claim(
        id="P6-two",
        name="two active inputs are best",
        sentence="Two active inputs a neuron are best.",
        source="Sec. 4",
        paper_value="s = 2",
        estimand="the mean over seeds of success with 2 active inputs less that with 1, 5, 10 or 50, "
        "whichever is best by the other seeds; width 100, 1,000 samples",
        region=Region.at_least(0.0),
        smallest_effect=_TENTH,
        experiment="sparsity",
        evidence=lambda m: two_less_best_other(m, _OTHER_STARTS),
    ),
    _own(
        id="P6-norm",
        name="P6 at equal norms",
        sentence="Two active inputs help against 50 with the same norm of each neuron.",
        source="Sec. 4",
        estimand="the mean over seeds of success with 2 active inputs less that with 50; width 100, 1,000 "
        "samples, every neuron of norm 1",
        region=Region.at_least(0.1),
        smallest_effect=_TENTH,
        experiment="sparsity",
        evidence=lambda m: two_less_best_other(m, (50,)),
    ),
    _claim(
        id="P7",
        name="more samples can hurt",
        sentence="At some numbers of samples more of them make success less likely.",
        source="Fig. 2 left",
        paper_value="yes, at small widths",
        estimand="the mean over seeds of success at one number of samples less that at a larger one, the "
        "pair chosen by the other seeds; width 100, 900 to 1,700 samples",
        region=Region.at_least(0.1),
        smallest_effect=_TENTH,
        experiment="dense-m",
        evidence=drop_of_share,
    ),
    _claim(
        id="P8",
        name="rewound neurons succeed",
        sentence="The five neurons of largest final norm learn the parity alone, from their start, for most "
        "orders of samples.",
        source="Fig. 5",
        paper_value="most orders",
        estimand="the mean over starts of the share of two orders in which test accuracy is 100 % within "
        "60,000 steps",
        region=Region.at_least(0.6),
        smallest_effect=_TENTH,
        experiment="tickets",
        reduced="10 starts with 2 orders; size of the sparse start not in the text read",
        evidence=shares_of_orders,
    ),
    _claim(
        id="P8-fresh",
        name="five fresh neurons fail",
        sentence="Fresh networks of five neurons mostly fail.",
        source="Fig. 5",
        paper_value="mostly fail",
        estimand="the share of seeds in which test accuracy is 100 % within 60,000 steps",
        region=Region.at_most(0.3),
        smallest_effect=_ONE_IN_TEN,
        kind="share",
        experiment="fresh-five",
        reduced="size of the sparse start not in the text read",
        evidence=solved,
    ),
    _own(
        id="P9",
        name="the lucky neuron decides",
        sentence="Networks with more neurons that start on two hidden bits succeed earlier.",
        source="Theorem 5, Fig. 5 (not computed there)",
        estimand="of the pairs of seeds with different numbers of neurons whose active inputs are both "
        "hidden bits, the share in which the one with more succeeds first; width 300, 1,000 samples",
        region=Region.at_least(0.7),
        smallest_effect=_TENTH,
        experiment="luck",
        evidence=luck_decides,
    ),
    _own(
        id="P10",
        name="more than random neurons",
        sentence="The five neurons of largest final norm learn it more often than five others.",
        source="Fig. 5",
        estimand="the mean over starts of the share of orders learned by the former less that by the latter",
        region=Region.at_least(0.1),
        smallest_effect=_TENTH,
        experiment="tickets",
        beside=("tickets-random",),
        evidence=partial(difference, of=shares_of_orders),
    ),
    _own(
        id="P10-start",
        name="luck is seen at the start",
        sentence="The five neurons with the largest weights from hidden bits at the start learn it more "
        "often than random ones.",
        source="Fig. 5 (not computed there)",
        estimand="the mean over starts of the share of orders learned by the five neurons with the largest "
        "weights from the hidden bits times output weight at step 0, less that by five random ones",
        region=Region.at_least(0.1),
        smallest_effect=_TENTH,
        experiment="tickets-start",
        beside=("tickets-random",),
        evidence=partial(difference, of=shares_of_orders),
    ),
    _own(
        id="P11",
        name="delay from few samples",
        sentence="From few samples test accuracy is much later than training accuracy.",
        source="Fig. 2 (training accuracy not measured)",
        estimand="the median over seeds of steps to 99 % test over steps to 99 % training accuracy, 300 "
        "neurons, 1,000 samples",
        region=Region.at_least(3.0),
        smallest_effect=Effect(0.5, "half of the steps"),
        kind="median",
        unit="times",
        evidence=lambda m: delay(m, width=300, n_train=1000),
    ),
    _own(
        id="P11-many",
        name="no delay from many",
        sentence="From many it is not.",
        source="Fig. 2 (training accuracy not measured)",
        estimand="as P11, from 3,000 samples",
        region=Region.at_most(1.5),
        smallest_effect=Effect(0.5, "half of the steps"),
        kind="median",
        unit="times",
        evidence=lambda m: delay(m, width=300, n_train=3000),
    ),
)

# ---------------------------------------------------------------- figures


def _heat_map(axis: Any, measures: xr.Dataset) -> None:
    """Shares of success, samples upwards, with the frontier of every width."""
    widths, sizes = (np.sort(measures[name].to_numpy()) for name in ("width", "n_train"))
    ordered = measures.sortby(["width", "n_train"])
    cells = solved(ordered, "width", "n_train")
    shares = np.nanmean(cells, axis=-1)
    axis.imshow(shares.T, origin="lower", aspect="auto", cmap="viridis", vmin=0, vmax=1)
    for i, j in np.ndindex(shares.shape):
        color = "white" if shares[i, j] < 0.6 else "black"
        axis.text(i, j, f"{shares[i, j]:.1f}", ha="center", va="center", fontsize=SMALL, color=color)
    axis.set_xticks(range(len(widths)), [f"{width:,}" for width in widths])
    axis.set_yticks(range(len(sizes)), [f"{size:,}" for size in sizes])
    x_label(axis, "neurons")


def _frontier(axis: Any, measures: xr.Dataset, color: str, label: str) -> None:
    """m_50 of every width, with its interval; an open end is drawn to the edge of the sizes."""
    ordered = measures.sortby(["width", "n_train"])
    widths, sizes = (ordered[name].to_numpy() for name in ("width", "n_train"))
    cells = solved(ordered, "width", "n_train")
    for i, wins in enumerate(cells):
        whole = wins[:, ~np.isnan(wins).any(axis=0)]
        found = success_frontier(sizes, whole.sum(axis=1), np.full(len(sizes), whole.shape[1]))
        low, high = max(found.low, sizes[0] / 1.5), min(found.high, sizes[-1] * 1.5)
        axis.plot([widths[i]] * 2, [low, high], color=color, linewidth=1)
        if 0 < found.value < np.inf:
            axis.plot(widths[i], found.value, "o", color=color, markersize=4, label=label if not i else None)
    axis.set_xscale("log")
    axis.set_yscale("log")
    x_label(axis, "neurons")


def _figure_1(runs: Mapping[str, RunLike], command: str) -> Drawing:
    figure, axes = panels(["Share of success, PyTorch's start", "Two active inputs a neuron", "Frontier"])
    for axis, name in zip(axes, ("grid", "grid-sparse"), strict=False):
        _heat_map(axis, runs[name].measures)
    axes[0].set_ylabel("samples", fontsize=SMALL, labelpad=1)
    _frontier(axes[2], runs["grid"].measures, COLOR["train"], "PyTorch's start")
    _frontier(axes[2], runs["grid-sparse"].measures, COLOR["test"], "two active inputs")
    legend(figure, axes[2])
    small_print(
        figure,
        "Success: 100 % test accuracy within the run. Right: samples at which half of the seeds succeed, "
        "with 95 % intervals.",
        command,
    )
    return figure


def _shares_along(axis: Any, measures: xr.Dataset, name: str, color: str, label: str) -> None:
    """Share of success along an axis, with Wilson's intervals."""
    ordered = measures.sortby(name)
    values, wins = ordered[name].to_numpy(), solved(ordered, name)
    for i, (value, one) in enumerate(zip(values, wins, strict=True)):
        known = one[~np.isnan(one)]
        found = wilson(int(known.sum()), len(known))
        axis.plot([value] * 2, [found.low, found.high], color=color, linewidth=0.8)
        axis.plot(value, found.value, "o", color=color, markersize=3, label=label if not i else None)
    axis.set_ylim(-0.03, 1.03)
    axis.set_xscale("log")


def _plain_ticks(axis: Any, values: np.ndarray) -> None:
    from matplotlib.ticker import NullLocator

    axis.set_xticks(values, [f"{value:,}" for value in values])
    axis.xaxis.set_minor_locator(NullLocator())


def _figure_2(runs: Mapping[str, RunLike], command: str) -> Drawing:
    figure, axes = panels(["Share of success, width 100", "Steps to success, median", "Test over training"])
    fine = runs["dense-m"].measures.sortby("n_train")
    sizes, wins = fine["n_train"].to_numpy(), solved(fine, "n_train")
    _shares_along(axes[0], fine, "n_train", COLOR["test"], "share of seeds")
    whole = wins[:, ~np.isnan(wins).any(axis=0)]
    axes[0].plot(
        sizes,
        monotone_shares(whole.sum(axis=1), np.full(len(sizes), whole.shape[1])),
        color=COLOR["other"],
        linewidth=1,
        label="best monotone shares",
    )
    grid = runs["grid"].measures.sortby(["width", "n_train"])
    widths, samples = (grid[name].to_numpy() for name in ("width", "n_train"))
    for i, width in enumerate(widths):
        shade = 0.25 + 0.75 * i / max(1, len(widths) - 1)
        for axis, of in (
            (axes[1], lambda cell: steps_to(cell, "test", 1.0).upper),
            (axes[2], lambda cell: ratio_of_splits(cell).midpoint),
        ):
            middle = np.array([np.median(of(part_of(grid, width=width, n_train=size))) for size in samples])
            there = np.isfinite(middle)
            axis.plot(
                samples[there],
                middle[there],
                "o-",
                color=COLOR["train"],
                alpha=shade,
                markersize=3,
                linewidth=1,
                label=f"{width:,} neurons" if axis is axes[1] else None,
            )
    for axis, values in zip(axes, (sizes, samples, samples), strict=True):
        axis.set_xscale("log")
        x_label(axis, "samples")
        _plain_ticks(axis, values if len(values) < 6 else values[::2])
    axes[1].set_yscale("log")
    axes[2].set_yscale("log")
    legend(figure, axes[0], axes[1])
    small_print(
        figure,
        "Medians over seeds, where half of them succeed. Right: steps to 99 % test over steps to 99 % "
        "training accuracy.",
        command,
    )
    return figure


def _figure_4(runs: Mapping[str, RunLike], command: str) -> Drawing:
    figure, axes = panels(["Share of success by active inputs", "Steps to success by lucky neurons"])
    sparsity = runs["sparsity"].measures.sortby("active_inputs")
    _shares_along(axes[0], sparsity, "active_inputs", COLOR["test"], "share of seeds")
    _plain_ticks(axes[0], sparsity["active_inputs"].to_numpy())
    x_label(axes[0], "active inputs")
    luck = runs["luck"].measures
    counts, times = lucky_neurons(luck), steps_to(luck, "test", 1.0).upper
    known = ~np.isnan(counts)
    scatter = np.random.default_rng(0).uniform(-0.15, 0.15, known.sum())
    seen, last = np.isfinite(times[known]), steps_of(luck)[-1]
    x = counts[known] + scatter
    axes[1].plot(x[seen], times[known][seen], ".", color=COLOR["test"], markersize=4, label="a seed")
    axes[1].plot(
        x[~seen],
        np.full((~seen).sum(), 1.05 * last),
        "^",
        color=COLOR["null"],
        markersize=3,
        label="not within the run",
    )
    axes[1].set_xticks(range(int(counts[known].max(initial=0)) + 1))
    x_label(axes[1], "neurons that start on two hidden bits")
    legend(figure, axes[0], axes[1])
    small_print(
        figure, "1,000 samples. Left: width 100, 95 % intervals by Wilson. Right: width 300.", command
    )
    return figure


def _figure_5(runs: Mapping[str, RunLike], command: str) -> Drawing:
    titles = {
        "tickets-full": "All 100 neurons",
        "tickets": "Five of largest final norm",
        "tickets-random": "Five others",
        "tickets-start": "Five on hidden bits at the start",
        "fresh-five": "Five fresh neurons",
    }
    figure, axes = panels(list(titles.values()), columns=3)
    for axis, name in zip(axes, titles, strict=True):
        measures = runs[name].measures
        steps = steps_of(measures)
        for values in member_curves(measures["test_accuracy"])[:20]:
            there = np.isfinite(values)
            axis.plot(steps[there], 1 - values[there], color=COLOR["test"], linewidth=0.6, alpha=0.7)
        axis.set_ylim(-0.02, 0.6)
        x_label(axis, "step")
    axes[0].set_ylabel("test error", fontsize=SMALL, labelpad=1)
    small_print(figure, "A line is a seed, or one order of fresh samples of one start; at most 20.", command)
    return figure


_FIGURES = (
    Figure(
        "figure-1",
        "Figure 1: success by width and samples, and its frontier.",
        _figure_1,
        ("grid", "grid-sparse"),
    ),
    Figure("figure-2", "Figure 2: success and steps by samples.", _figure_2, ("dense-m", "grid")),
    Figure("figure-4", "Section 4: active inputs, and luck at the start.", _figure_4, ("sparsity", "luck")),
    Figure(
        "figure-5",
        "Figure 5: five neurons alone.",
        _figure_5,
        ("tickets-full", "tickets", "tickets-random", "tickets-start", "fresh-five"),
    ),
)


class ParetoFrontiers(Paper):
    """Edelman et al. 2023: success of learning a parity by width, samples, steps and luck."""

    kind: Literal["pareto-frontiers"] = "pareto-frontiers"
    title = "Pareto Frontiers in Neural Feature Learning: Data, Compute, Width, and Luck"
    authors = "Benjamin L. Edelman, Surbhi Goel, Sham Kakade, Eran Malach, Cyril Zhang"
    year = 2023
    arxiv = "2309.03800"
    bibtex = """@inproceedings{edelman2023pareto,
  title = {Pareto Frontiers in Neural Feature Learning: Data, Compute, Width, and Luck},
  author = {Benjamin L. Edelman and Surbhi Goel and Sham Kakade and Eran Malach and Cyril Zhang},
  booktitle = {Advances in Neural Information Processing Systems},
  year = {2023},
  eprint = {2309.03800},
  archivePrefix = {arXiv}
}"""
    experiments = _EXPERIMENTS
    claims = _CLAIMS
    figures = _FIGURES
    reasons: ClassVar[Mapping[str, str]] = {
        "P8": "No reason found. No sign that the wrong neurons were kept (P10 is near 0). "
        "Rate, batches and size of the start are ours; those of the paper are not in what we read.",
    }
