r"""The critical data size of grokking, predicted: where memorizing costs as much path norm as the parity.

Under weight decay, with the rate taken to 0 at the end, a network ends at the least path norm that fits with
margin 1. For a k-parity on all inputs that is $\nu_k$, which is known and proved (`least_norm`); for N
samples learned by heart it is the memorizing norm M(N), measured on random labels. Whichever is smaller
should win, so the critical size is $N^*$ with $M(N^*) = \nu_k$, with nothing fitted to where networks grok.

From scratch a network may stay with the memory it has, although the parity is cheaper. A *duel* gives both
circuits the same chance: a network that has learned its samples by heart gets the largest neurons of a
grokked one in the place of its smallest ones, all output weights are halved (intervention `transplant`), and
decay decides. The parity has won if test accuracy ends at 0.75 or more. The grokked networks have other
initializations and other samples than the duels.

This file: the experiments, the evidence, the claims, the figures. Regions were fixed before seeds from 100 on
were run, from pilots with other code on three data sets: duels of 3 and 4 bits turn between 320 and 360
samples, those of 5 bits between 640 and 720; M is 6.7 at 280 samples, 9.7 at 440, about 15 at 800. With this
file seed 0 was looked at: its duels of 3 bits turn at 330, where random labels foretell 361. True labels
learned by heart cost more than random ones, so there are claims on both (L2-3 and L2-3-own).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from grokscope.claims import Claim, Effect, NotTestable, Region, need
from grokscope.experiment import Experiment
from grokscope.optimizers import SGD
from grokscope.papers import (
    Figure,
    PaperExperiment,
    Profile,
    RunExperiment,
    RunLike,
    SweepExperiment,
)
from grokscope.papers._study import Study, bibtex_of
from grokscope.papers.evidence import part_of
from grokscope.plots.style import COLOR
from grokscope.starts import FromRun
from grokscope.tasks.sparse_parity import SparseParity

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure as Drawing

__all__ = ["CriticalSize"]

# ---------------------------------------------------------------- the experiments

_N_BITS, _WIDTH, _NARROW, _DECAY = 40, 1000, 300, 0.01
_STEPS = 30_000  # of a network from scratch, and of a duel after the transplant
_BY_HEART = 8_000  # steps in which a duel's network learns its samples before the transplant
_AREA = 0.95  # under the curve of a data set's memorizing norm
_WON = 0.75  # test accuracy: half way from chance to 1
_NEURONS = {3: 16, 4: 40, 5: 100}  # that a duel transplants
_DONORS = {3: (1000, 450), 4: (1000, 750), 5: (5000, 300)}  # samples and epochs of the grokked networks
_SMALL = "280,300,320,340,360,380,400,420,440"  # samples, around the critical size of 3 and 4 bits
_LARGE = "560,600,640,680,720,760,800,840"  # and of 5
_MEMORY = "240,280,320,360,400,440,520,600,680,760,840"
_PROFILES = {"paper": Profile(seeds=20), "quick": Profile(seeds=12)}


def _spec(name: str, k: int, n_train: int, **changes: Any) -> Experiment:
    """A network whose rate falls to 0 over the last third; steps and points are the same for all sizes."""
    optimizer = SGD.model_validate(
        {"learning_rate": 0.1, "weight_decay": _DECAY, "schedule": {"kind": "linear", "last": 1 / 3}}
    )
    labels = changes.pop("labels", "true")
    table: dict[str, Any] = {
        "name": f"critical size, {name}",
        "steps": _STEPS,
        "batch_size": 32,
        "task": SparseParity(n=_N_BITS, k=k, n_train=n_train, n_test=1000, labels=labels),
        "model": {"kind": "fully_connected", "width": _WIDTH},
        "loss": "hinge",
        "optimizer": optimizer,
        "measures": ("train_accuracy", "test_accuracy", "path_norm_total"),
        "schedule": {"measures": "every 1000 steps", "slow_measures": "ends", "follow": "ends"},
        **changes,
    }
    return Experiment(**table)


def _donor(k: int) -> RunExperiment:
    samples, epochs = _DONORS[k]
    spec = _spec(f"grokked, {k} bits", k, samples, steps=None, epochs=epochs)
    return RunExperiment(
        f"grokked-{k}",
        f"Networks that grok the parity of {k} bits on {samples:,} samples, of which duels get neurons.",
        spec,
        _PROFILES,
        streams="init=+1000; data=+1000",
        group="donors",
    )


def _from_scratch(name: str, sentence: str, sizes: str, k: int = 3, **more: Any) -> SweepExperiment:
    spec = _spec(name, k, int(sizes.split(",")[0]), **more)
    return SweepExperiment(name, sentence, spec, _PROFILES, over=(f"task.n_train={sizes}",), group="scratch")


def _duel(
    name: str, sentence: str, k: int = 3, *over: str, group: str = "duels", stops: bool = True, **more: Any
) -> SweepExperiment:
    """Duels over sizes; where its norm is not needed, a member whose parity has won stops early."""
    sizes = _LARGE if k == 5 else _SMALL
    transplant = {
        "kind": "transplant",
        "at": _BY_HEART,
        "neurons": {"kind": "largest", "count": _NEURONS[k], "by": "path_norm"},
        "factor": 0.5,
        "others": 0.5,
    }
    init = FromRun(
        run=f"grokked-{k}", source=_DONOR_OF[k].experiment.identity, at=0, parameters=(), clock="zero"
    )
    spec = _spec(
        name,
        k,
        int(sizes.split(",")[0]),
        steps=_BY_HEART + _STEPS,
        init=init,
        interventions=[transplant],
        stop={"grokked_for": 600} if stops else {},
        **more,
    )
    return SweepExperiment(
        name, sentence, spec, _PROFILES, over=(f"task.n_train={sizes}", *over), group=group
    )


_DONOR_OF = {k: _donor(k) for k in _DONORS}
_RANDOM = SweepExperiment(
    "memory",
    "Random labels: the memorizing norm M(N), at two widths.",
    _spec("memory", 3, 240, labels="random"),
    _PROFILES,
    over=(f"task.n_train={_MEMORY}", f"model.width={_WIDTH},{_NARROW}"),
)
_EXPERIMENTS: tuple[PaperExperiment, ...] = (
    _RANDOM,
    *(
        _from_scratch(
            f"scratch-{k}",
            f"True labels of {k} bits from scratch: learned by heart, on the samples of the duels.",
            _LARGE if k == 5 else _SMALL,
            k,
        )
        for k in (3, 4, 5)
    ),
    _from_scratch("scratch-2", "2 bits from scratch, where there is no barrier.", "160,240", 2),
    *_DONOR_OF.values(),
    _duel("duel-3", "Duels of memory and the parity of 3 bits.", stops=False),
    _duel("duel-4", "Duels of memory and the parity of 4 bits.", 4),
    _duel("duel-5", "Duels of memory and the parity of 5 bits.", 5),
    _duel("decay-3", "Duels at other decays.", 3, "optimizer.weight_decay=0.003,0.03", group="settings"),
    _duel(
        "width-3",
        "Duels in narrow networks.",
        group="settings",
        model={"kind": "fully_connected", "width": _NARROW},
    ),
    _duel(
        "mixture-3",
        "Duels that begin with a third, and with two thirds, of the parity.",
        3,
        "interventions.0.factor=0.33,0.67;interventions.0.others=0.67,0.33",
        group="settings",
    ),
    _duel(
        "neurons-3",
        "Duels with 12, and with 32, transplanted neurons.",
        3,
        "interventions.0.neurons.count=12,32",
        group="settings",
    ),
)

# ---------------------------------------------------------------- evidence: one entry per seed


def final(measures: xr.Dataset, name: str) -> xr.DataArray:
    """A measure at the last measured point of each member (over the sweep's axes and ``seed``).

    Members that are not complete are NaN. A member that stopped early is complete.

    Raises:
        NotTestable: if it was measured for no member.
    """
    import xarray as xr

    need(measures, name)
    values = measures[name].transpose(..., "step")
    array = values.to_numpy()
    there = np.isfinite(array)
    last = array.shape[-1] - 1 - np.argmax(there[..., ::-1], axis=-1)
    found = np.take_along_axis(array, last[..., None], axis=-1)[..., 0]
    result = xr.DataArray(
        np.where(there.any(axis=-1), found, np.nan), dims=values.dims[:-1], coords=values.isel(step=-1).coords
    )
    if "complete" in measures.coords:
        result = result.where(measures["complete"].astype(bool))
    if bool(result.isnull().all()):
        raise NotTestable(f"{name} was measured for no seed")
    return result


def least(k: int) -> float:
    r"""$\nu_k$."""
    from grokscope.circuits.constructions import least_path_norm

    return least_path_norm(k)


def memorizing_norms(memory: xr.Dataset, width: float = _WIDTH) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """N [size], M(N) [size, seed] and the seeds [seed], from random labels; NaN where they are not fitted."""
    cell = part_of(memory, width=width).sortby("n_train")
    fitted = final(cell, "train_accuracy") >= 0.98
    norm = final(cell, "path_norm_total").where(fitted).transpose("n_train", "seed")
    return norm["n_train"].to_numpy().astype(float), norm.to_numpy(), norm["seed"].to_numpy()


def predicted_sizes(sizes: np.ndarray, norms: np.ndarray, nu: float) -> np.ndarray:
    """N* with M(N*) = nu for each seed, from a line through log M against log N near nu; NaN without.

    Args:
        sizes: N, [size].
        norms: M, [size, seed].
        nu: the norm. Sizes with M from nu / 1.35 to 1.35 nu are used, if there are three or more, on both
            sides.
    """
    found = np.full(norms.shape[1], np.nan)
    for i, norm in enumerate(norms.T):
        near = np.isfinite(norm) & (np.abs(np.log(np.where(norm > 0, norm, np.nan) / nu)) < math.log(1.35))
        if near.sum() >= 3 and norm[near].min() < nu < norm[near].max():
            line = np.polyfit(np.log(norm[near] / nu), np.log(sizes[near]), 1)
            found[i] = math.exp(line[1])
    return found


def turning_points(duels: xr.Dataset, *, soft: bool = False, **cell: Any) -> tuple[np.ndarray, np.ndarray]:
    """The size at which each seed's duels turn, [seed], and the seeds.

    The number of sizes at which memory wins, times their spacing (Spearman and Karber). If one side wins at
    all sizes, the point lies half a spacing outside. NaN if a size was not measured.

    Args:
        duels: of a sweep over sizes.
        soft: a size counts as far as test accuracy is below 1, from 0 at 1 to 1 at 0.5. A comparison of two
            points then has no ties.
        cell: values on the sweep's other axes.

    Source: Finney 1978, Statistical Method in Biological Assay, Section 20.4.
    """
    won = final(part_of(duels, **cell) if cell else duels, "test_accuracy").sortby("n_train")
    won = won.transpose("n_train", "seed")
    sizes, array = won["n_train"].to_numpy().astype(float), won.to_numpy()
    if len(sizes) < 2:
        raise NotTestable("the duels have one size")
    spacing = float(np.diff(sizes).mean())
    lost = np.clip(2 * (1 - array), 0, 1) if soft else (array < _WON).astype(float)
    memory = np.where(np.isnan(array).any(axis=0), np.nan, lost.sum(axis=0))
    return sizes[0] + spacing * (memory - 0.5), won["seed"].to_numpy()


def _paired(*each: tuple[np.ndarray, np.ndarray]) -> list[np.ndarray]:
    """The values of the seeds that all have; (values, seeds) each."""
    shared = sorted(set.intersection(*(set(seeds.tolist()) for _, seeds in each)))
    if not shared:
        raise NotTestable("the experiments have no seed in common")
    tables = [dict(zip(seeds.tolist(), values.tolist(), strict=True)) for values, seeds in each]
    return [np.array([table[seed] for seed in shared]) for table in tables]


def _prediction(memory: xr.Dataset, k: int, width: float = _WIDTH) -> tuple[np.ndarray, np.ndarray]:
    sizes, norms, seeds = memorizing_norms(memory, width)
    return predicted_sizes(sizes, norms, least(k)), seeds


def exponent_of_memory(memory: xr.Dataset) -> np.ndarray:
    r"""The exponent a of $M \propto N^a$ in each seed, over all sizes."""
    sizes, norms, _ = memorizing_norms(memory)
    return np.array([_slope(sizes, norm) for norm in norms.T])


def extrapolated(memory: xr.Dataset) -> np.ndarray:
    """M(N) above 600 samples over what a power law through the sizes up to 440 foretells, mean over sizes."""
    sizes, norms, _ = memorizing_norms(memory)
    few, many = sizes <= 440, sizes > 600
    found: list[float] = []
    for norm in norms.T:
        if np.isnan(norm).any() or few.sum() < 3 or not many.any() or norm.min() <= 0:
            found.append(math.nan)
            continue
        line = np.polyfit(np.log(sizes[few]), np.log(norm[few]), 1)
        found.append(float(np.exp(np.mean(np.log(norm[many]) - np.polyval(line, np.log(sizes[many]))))))
    return np.array(found)


def _slope(sizes: np.ndarray, norm: np.ndarray) -> float:
    if np.isnan(norm).any() or norm.min() <= 0:
        return math.nan
    return float(np.polyfit(np.log(sizes), np.log(norm), 1)[0])


def over_prediction(duels: xr.Dataset, memory: xr.Dataset, k: int) -> np.ndarray:
    """The turning point of each seed over its predicted size."""
    turns, predicted = _paired(turning_points(duels), _prediction(memory, k))
    return turns / predicted


def over_own_prediction(duels: xr.Dataset, scratch: xr.Dataset, k: int) -> np.ndarray:
    """The turning point of each seed over the size foretold by M of its own data sets, learned by heart."""
    norm = _by_heart(scratch).sortby("n_train").transpose("n_train", "seed")
    sizes = norm["n_train"].to_numpy().astype(float)
    own = predicted_sizes(sizes, norm.to_numpy(), least(k)), norm["seed"].to_numpy()
    turns, predicted = _paired(turning_points(duels), own)
    return turns / predicted


def ratio_of_turns(duels: xr.Dataset, axis: str, one: float, other: float) -> np.ndarray:
    """The turning point (soft) in one cell over that in another, of each seed."""
    points = [turning_points(duels, soft=True, **{axis: value})[0] for value in (one, other)]
    return points[0] / points[1]


def over_prediction_by_width(narrow: xr.Dataset, wide: xr.Dataset, memory: xr.Dataset) -> np.ndarray:
    """How the turning point moves with width, over how its prediction does, of each seed."""
    a, b, c, d = _paired(
        turning_points(narrow), turning_points(wide), _prediction(memory, 3, _NARROW), _prediction(memory, 3)
    )
    return (a / b) / (c / d)


def _by_heart(scratch: xr.Dataset) -> xr.DataArray:
    """M of each data set: the final norm where a network from scratch learned it by heart and stayed so."""
    stayed = (final(scratch, "test_accuracy") < _WON) & (final(scratch, "train_accuracy") >= 0.98)
    return final(scratch, "path_norm_total").where(stayed)


def _own_norms(duels: xr.Dataset, scratch: xr.Dataset) -> tuple[xr.DataArray, xr.DataArray, xr.DataArray]:
    """Test accuracy and norm of duels, and M of the same data sets (NaN where not learned by heart)."""
    import xarray as xr

    each = (final(duels, "test_accuracy"), final(duels, "path_norm_total"), _by_heart(scratch))
    accuracy, norm, memory = (one.transpose("n_train", "seed") for one in xr.align(*each, join="inner"))
    if not accuracy.size:
        raise NotTestable("the experiments have no data set in common")
    return accuracy, norm, memory


def percent_above_cheaper(duels: xr.Dataset, scratch: xr.Dataset) -> np.ndarray:
    """The duel's final norm in percent above min(M, nu_3), M of the same data set; mean over sizes [seed]."""
    _, norm, memory = _own_norms(duels, scratch)
    excess = 100 * (norm / memory.clip(max=least(3)) - 1)
    return excess.mean("n_train").to_numpy()


def foretold(duels: xr.Dataset, scratch: xr.Dataset) -> np.ndarray:
    """Whether M foretells the winners of a seed, [seed]: 1 if the area under the curve is 0.95 or more.

    The area is the share of pairs of a data set on which the parity won and one on which memory won, one of
    the two of this seed and one of any other seed, in which the former has the larger M. NaN for a seed
    without such pairs.
    """
    accuracy, _, memory = _own_norms(duels, scratch)
    known = np.isfinite(memory.to_numpy()) & np.isfinite(accuracy.to_numpy())
    won, own = accuracy.to_numpy() >= _WON, memory.to_numpy()
    found = np.full(won.shape[1], np.nan)
    for i in range(len(found)):
        others = np.arange(len(found)) != i
        right, pairs = 0.0, 0
        for sign in (1, -1):  # this seed's data sets on which the parity won; those on which memory won
            mine = own[:, i][known[:, i] & (won[:, i] == (sign == 1))]
            theirs = own[:, others][known[:, others] & (won[:, others] == (sign == -1))]
            apart = sign * (mine[:, None] - theirs[None, :])
            right += float(np.sum((apart > 0) + 0.5 * (apart == 0)))
            pairs += apart.size
        if pairs:
            found[i] = float(right / pairs >= _AREA)
    return found


def percent_above_least(measures: xr.Dataset, n_train: int) -> np.ndarray:
    """The final norm in percent above nu_2, at one size."""
    return 100 * (final(part_of(measures, n_train=n_train), "path_norm_total").to_numpy() / least(2) - 1)


# ---------------------------------------------------------------- claims

_claim = partial(
    Claim,
    source="asked here",
    setting="own",
    fixed_on="pilots with other code, 0",
    confirmed_on="100-119",
)
_same = partial(
    _claim,
    kind="geometric_mean",
    region=Region.between(0.95, 1.05),
    smallest_effect=Effect(0.05, "a twentieth of the data"),
)
_TURN = "the size at which its duels turn (Spearman-Karber; the parity has won at test accuracy 0.75)"
_SOFT = "the size at which its duels turn (Spearman-Karber; a size counts as twice 1 less the test accuracy)"

_CLAIMS = (
    _claim(
        id="L1",
        name="memorizing norm: power of the data",
        sentence="The memorizing norm grows as a power of the number of samples, between the root and the "
        "first.",
        estimand="the mean over seeds of the exponent of M in N: log-log slope of the final path norm with "
        "random labels against the number of samples, 240 to 840",
        region=Region.between(0.65, 0.85),
        smallest_effect=Effect(0.05, "a twentieth in the exponent"),
        experiment="memory",
        evidence=exponent_of_memory,
    ),
    _same(
        id="L1-law",
        name="power law of few foretells many",
        sentence="One power law holds: the sizes up to 440 foretell those above 600.",
        estimand="the geometric mean over seeds of M above 600 samples over the power law through M up to "
        "440",
        experiment="memory",
        evidence=extrapolated,
    ),
    *(
        _same(
            id=f"L2-{k}",
            name=f"duels turn where M(N) = nu, {k} bits",
            sentence=f"Duels turn at the size where memorizing costs as much as the parity of {k} bits.",
            estimand=f"the geometric mean over seeds of {_TURN}, over the N* with M(N*) = nu_{k} from random "
            "labels of the same seed",
            experiment=f"duel-{k}",
            evidence=partial(over_prediction, k=k),
            beside=("memory",),
        )
        for k in (3, 4, 5)
    ),
    *(
        _same(
            id=f"L2-{k}-own",
            name=f"turn at own samples' M = nu, {k} bits",
            sentence=f"So they do where M is that of their own samples of {k} bits, learned by heart.",
            estimand=f"the geometric mean over seeds of {_TURN}, over the N* with M(N*) = nu_{k} from the "
            "same samples, learned by heart from scratch",
            experiment=f"duel-{k}",
            evidence=partial(over_own_prediction, k=k),
            beside=(f"scratch-{k}",),
        )
        for k in (3, 4, 5)
    ),
    _claim(
        id="L2-2",
        name="2 bits: no barrier",
        sentence="With two bits there is no barrier: from scratch the network ends at the least norm.",
        estimand="the mean over seeds of the final path norm, in percent above nu_2, at 240 samples",
        unit="%",
        region=Region.between(-2, 2),
        smallest_effect=Effect(1, "a hundredth of the least norm"),
        experiment="scratch-2",
        evidence=partial(percent_above_least, n_train=240),
    ),
    _same(
        id="L3",
        name="decay does not move it",
        sentence="Weight decay does not move the point, over a factor of ten.",
        estimand=f"the geometric mean over seeds of {_SOFT} at decay 0.03, over that at 0.003",
        experiment="decay-3",
        evidence=partial(ratio_of_turns, axis="weight_decay", one=0.03, other=0.003),
    ),
    _same(
        id="L4",
        name="width moves it as it moves M",
        sentence="Width moves the point only as far as it moves the memorizing norm.",
        estimand=f"the geometric mean over seeds of {_TURN} with 300 neurons over that with 1,000, over the "
        "same ratio of N*",
        experiment="width-3",
        evidence=over_prediction_by_width,
        beside=("duel-3", "memory"),
    ),
    _same(
        id="L5-mixture",
        name="mixture does not move it",
        sentence="The mixture at the start does not move the point.",
        estimand=f"the geometric mean over seeds of {_SOFT} from two thirds of the parity, over that from a "
        "third",
        experiment="mixture-3",
        evidence=partial(ratio_of_turns, axis="factor", one=0.67, other=0.33),
    ),
    _same(
        id="L5-neurons",
        name="number of neurons does not move it",
        sentence="The number of transplanted neurons does not move the point.",
        estimand=f"the geometric mean over seeds of {_SOFT} with 32 neurons, over that with 12",
        experiment="neurons-3",
        evidence=partial(ratio_of_turns, axis="count", one=32, other=12),
    ),
    _claim(
        id="L7-norm",
        name="winner's norm is min(M, nu)",
        sentence="The duel ends at the cheaper of the two norms.",
        estimand="the mean over seeds of the duel's final path norm in percent above min(M, nu_3), mean over "
        "sizes; M of the same data set, learned by heart from scratch",
        unit="%",
        region=Region.between(-2, 2),
        smallest_effect=Effect(1, "a hundredth of the norm"),
        experiment="duel-3",
        evidence=percent_above_cheaper,
        beside=("scratch-3",),
    ),
    _claim(
        id="L7-foretold",
        name="own memorizing norm foretells winner",
        sentence="A data set's own memorizing norm foretells which circuit wins on it.",
        estimand="the share of seeds whose data sets (280 to 440 samples) M tells from the other seeds', if "
        "learned by heart from scratch: the area under the curve for the parity's victory is at least 0.95",
        kind="share",
        region=Region.at_least(0.7),
        smallest_effect=Effect(0.1, "one seed in ten"),
        experiment="duel-3",
        evidence=foretold,
        beside=("scratch-3",),
    ),
)

# ---------------------------------------------------------------- figures

_BLUE, _ORANGE, _GREEN, _GRAY = (COLOR[name] for name in ("test", "complementary", "norm_matched", "control"))


def _draw_norms(runs: Mapping[str, RunLike], command: str) -> Drawing:
    from grokscope.plots.style import legend, panels, small_print, x_label

    drawing, (axis,) = panels(["Path norm at the end"])
    memory = runs["memory"].measures
    for width, color in ((_WIDTH, _BLUE), (_NARROW, _GREEN)):
        sizes, norms, _ = memorizing_norms(memory, width)
        _spread(axis, sizes, norms, color, f"random labels, width {width:,}")
    scratch, duels = runs["scratch-3"].measures, runs["duel-3"].measures
    for data, color, label in (
        (_by_heart(scratch), _GRAY, "3 bits, by heart"),
        (final(duels, "path_norm_total"), _ORANGE, "3 bits, duel"),
    ):
        each = data.sortby("n_train").transpose("n_train", "seed")
        _spread(axis, each["n_train"].to_numpy().astype(float), each.to_numpy(), color, label)
    for k in (2, 3, 5):
        axis.axhline(least(k), color=_GRAY, linewidth=0.6, linestyle="dashed")
        name = "$\\nu_3 = \\nu_4$" if k == 3 else f"$\\nu_{k}$"
        axis.annotate(name, (1.0, least(k)), xycoords=("axes fraction", "data"), va="bottom", ha="right")
    axis.set_ylim(0, None)
    x_label(axis, "training samples")
    legend(drawing, axis)
    n = memory.sizes["seed"]
    small_print(drawing, f"{n} seeds; medians and the range of all.", command)
    return drawing


def _spread(axis: Any, x: np.ndarray, values: np.ndarray, color: str, label: str) -> None:
    """Median and range over seeds of values [size, seed]; sizes without any are left out."""
    there = np.isfinite(values).any(axis=1)
    x, values = x[there], values[there]
    if len(x):
        axis.fill_between(
            x, np.nanmin(values, axis=1), np.nanmax(values, axis=1), color=color, alpha=0.2, lw=0
        )
        axis.plot(x, np.nanmedian(values, axis=1), "o-", color=color, markersize=3, label=label)


def _draw_winners(runs: Mapping[str, RunLike], command: str) -> Drawing:
    from grokscope.plots.style import legend, panels, small_print, x_label

    drawing, axes = panels([f"{k} bits" for k in _NEURONS])
    memory = runs["memory"].measures
    for axis, k in zip(axes, _NEURONS, strict=True):
        accuracy = final(runs[f"duel-{k}"].measures, "test_accuracy").sortby("n_train")
        each = accuracy.transpose("n_train", "seed").to_numpy()
        sizes = accuracy["n_train"].to_numpy()
        jitter = np.linspace(-0.15, 0.15, each.shape[1]) * float(np.diff(sizes).mean())
        axis.plot((sizes[:, None] + jitter).ravel(), each.ravel(), "o", color=_BLUE, markersize=2, alpha=0.5)
        counts = np.isfinite(each).sum(axis=1)
        share = np.where(counts > 0, (each >= _WON).sum(axis=1) / np.maximum(counts, 1), np.nan)
        axis.plot(sizes, share, "-", color=_ORANGE, label="share won by the parity")
        predicted = _prediction(memory, k)[0]
        if np.isfinite(predicted).any():
            low, middle, high = np.nanquantile(predicted, [0.1, 0.5, 0.9])
            axis.axvspan(low, high, color=_GRAY, alpha=0.2, lw=0)
            axis.axvline(middle, color=_GRAY, linewidth=1, label="predicted, $M(N^*) = \\nu_k$")
        axis.set_ylim(-0.03, 1.05)
        x_label(axis, "training samples")
    legend(drawing, axes[0])
    n = runs["duel-3"].measures.sizes["seed"]
    note = "Dots: test accuracy of each duel. Gray: median and middle 80 % of the predictions."
    small_print(drawing, f"{n} seeds. {note}", command)
    return drawing


class CriticalSize(Study):
    """The training-set size at which grokking becomes possible, predicted from two norms."""

    kind: Literal["critical-size"] = "critical-size"
    title = "The critical data size of sparse parity, predicted from two norms"
    bibtex = bibtex_of("critical", title, "critical-size")
    reasons: ClassVar[Mapping[str, str]] = {
        "L3": "The length of the runs: at decay 0.003 the point still rises. Three times as many steps bring "
        "it to where decay 0.01 has it (seeds 0-2). At 0.03 it is the predicted one.",
    }
    experiments = _EXPERIMENTS
    claims = _CLAIMS
    figures = (
        Figure(
            "norms",
            "L1, L7: path norms against the number of samples, and the least norms of parities.",
            _draw_norms,
            ("memory", "scratch-3", "duel-3"),
        ),
        Figure(
            "winners",
            "L2: who wins the duels, and the predicted size.",
            _draw_winners,
            ("memory", *(f"duel-{k}" for k in _NEURONS)),
        ),
    )
