r"""To grok or not to grok: memorization and generalization on corrupted labels (arXiv 2310.13061).

A network without biases on two one-hot numbers, $f(x) = W_2 (W_1 x)^2$, learns addition mod 97 from half of
its table, a share of whose labels is drawn at random. It can fit these labels and generalize at the same
time: some neurons are waves over the residues and generalize, the others memorize. Weight decay removes the
latter, until the network gives corrupted pairs their true label ("inversion": test accuracy is above training
accuracy).

This file: the experiments, the evidence, the claims, the figures. `final_phase` is the paper's rule for its
six phases. Profile ``quick`` has the paper's own size everywhere but in the phase map. Of the paper are not
here: other losses, activations and architectures, and its map over dropout (Figure 3b) but for a line of it.

Claims of kind ``own`` are controls that the paper lacks: neurons cut at random, and what is left of the
corrupted labels beyond those that are right by chance.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from grokscope.claims import Claim, Effect, NotTestable, Region, need
from grokscope.experiment import Experiment
from grokscope.losses import Squared
from grokscope.measures.neuron_waves import NeuronParticipation
from grokscope.measures.norms import BatchNormScale
from grokscope.measures.pruning import PrunedAccuracy
from grokscope.models.one_hot_mlp import OneHotMLP
from grokscope.optimizers import AdamW
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
from grokscope.papers.evidence import (
    curve,
    difference,
    final_value,
    largest_value,
    last,
    neuron_curves,
    part_of,
)
from grokscope.papers.figures import CurveLine, CurvePanel, accuracies_of, curves_of
from grokscope.plots.curves import standing
from grokscope.plots.phases import multiples_figure
from grokscope.plots.style import COLOR, legend, panels, small_print, x_label
from grokscope.spec.events import member_curves
from grokscope.tasks.modular_operator import ModularOperator

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure as Drawing

    from grokscope.measures import Measure

__all__ = ["PHASES", "CorruptedLabels", "final_phase"]

# ---------------------------------------------------------------- experiments (Sections 3 and 4)

_PARTICIPATION = "neuron_participation_rfft"
_PRUNED = f"pruned_accuracy_by_{_PARTICIPATION}"
_CURVES = ("train_accuracy", "test_accuracy", "train_loss", "test_loss", "weight_norm")
_GROUPS = ("group_accuracy", "group_true_accuracy", "group_wrong_share")


_COEXISTENCE = Experiment(
    name="coexistence",
    steps=1000,
    batch_size="full",
    task=ModularOperator(
        operator="addition",
        p=97,
        train_fraction=0.5,
        operator_token=False,
        equals_token=False,
        labels="noisy",
        noise=0.35,
    ),
    model=OneHotMLP(widths=(500,), stds=(0.05,), output_factor=1.0),
    loss=Squared(),
    optimizer=AdamW(learning_rate=0.01, beta2=0.98, weight_decay=0.0),
    measures=(*_CURVES, *_GROUPS, NeuronParticipation(), PrunedAccuracy(by=NeuronParticipation())),
).with_(*recorded_every(20, "log 20"), "schedule.follow='ends'")

_CLEAN = ("task.labels='true'", "task.noise=0.0")
_MINIBATCH = (
    *("batch_size=64", "optimizer.learning_rate=0.005", "task.train_fraction=0.65", "task.noise=0.2"),
    *("steps=2000", *recorded_every(50)),
)
# 0.5 / (2 N)^(1/3) at N = 128. With 256 neurons p = 47 has no inversion without decay, which p = 97 has.
_SMALLER = ("task.p=47", "model.widths=[128]", "model.stds=[0.07875]", "steps=500")


def _run(
    name: str,
    sentence: str,
    *changes: str,
    seeds: tuple[int, int] = (20, 6),
    more: tuple[Measure, ...] = (),
) -> RunExperiment:
    profiles = {"paper": Profile(seeds=seeds[0]), "quick": Profile(seeds=seeds[1])}
    spec = _COEXISTENCE.with_(f"name='{name}'", *changes)
    return RunExperiment(name, sentence, spec.with_(measures=(*(spec.measures or ()), *more)), profiles)


def _values(first: float, last: float, count: int) -> str:
    return ",".join(f"{value:.3g}" for value in np.linspace(first, last, count))


_EXPERIMENTS = (
    _run(
        "clean",
        "Addition from half of the table, all labels true, weight decay 5 (Figure 2).",
        *_CLEAN,
        *("optimizer.weight_decay=5.0", "steps=100", *recorded_every(2)),
    ),
    _run("coexistence", "35 % of the labels drawn at random, no weight decay (Figures 1a, 4 and 6)."),
    _run(
        "partial-inversion",
        "The same with weight decay 5 (Figures 1b and 4).",
        *("optimizer.weight_decay=5.0", "steps=500"),
    ),
    _run(
        "full-inversion",
        "The same with weight decay 15 (Figures 1c and 4).",
        *("optimizer.weight_decay=15.0", "steps=500"),
    ),
    _run(
        "forgetting",
        "The same with weight decay 20, ten times as long (Figure 8).",
        *("optimizer.weight_decay=20.0", "steps=5000", *recorded_every(50, "log 20")),
        seeds=(10, 4),
    ),
    _run(
        "minibatch",
        "Batches of 64, no decay, 65 % of the table, 20 % of the labels drawn (the authors' notebook).",
        *_MINIBATCH,
    ),
    _run(
        "batch-norm",
        "The same with batch normalization after the activation (Figure 5).",
        *(*_MINIBATCH, "model.batch_norm=true"),
        more=(BatchNormScale(),),
    ),
    SweepExperiment(
        "dropout",
        "35 % of the labels drawn, no decay, dropout instead (Figure 3b).",
        _COEXISTENCE.with_(
            *("name='dropout'", "steps=500", "measures=['train_accuracy', 'test_accuracy']"),
            *recorded_every(20),
        ),
        {"paper": SweepProfile(seeds=20), "quick": SweepProfile(seeds=3)},
        over=("model.dropout=0.3,0.8,0.98",),
    ),
    _run(
        "much-data",
        "90 % of the table, 40 % of the labels drawn, full batches, no decay (Figures 3 left and 10).",
        *("task.train_fraction=0.9", "task.noise=0.4", "steps=500"),
    ),
    SweepExperiment(
        "phase-map",
        "Final accuracies by share of the table, share of drawn labels and weight decay (Figure 3).",
        _COEXISTENCE.with_(
            *("name='phase-map'", "steps=2000", "measures=['train_accuracy', 'test_accuracy']"),
            *recorded_every(50),
        ),
        {
            "paper": SweepProfile(seeds=1),
            "quick": SweepProfile(
                seeds=6,
                over=(
                    "optimizer.weight_decay=0.0,5.0,15.0",
                    "task.noise=0.0,0.2,0.4,0.6",
                    "task.train_fraction=0.3,0.5,0.7,0.9",
                ),
                overrides=_SMALLER,
                reduced="p = 47 instead of 97, 128 neurons instead of 500, 500 steps instead of 2,000, four "
                "shares of the table and of drawn labels, three weight decays",
            ),
        },
        over=(
            "optimizer.weight_decay=0.0,5.0,15.0,20.0",
            f"task.noise={_values(0.0, 0.9, 19)}",
            f"task.train_fraction={_values(0.1, 0.9, 17)}",
        ),
    ),
)

# ---------------------------------------------------------------- the paper's phases (Appendix C)

PHASES = (
    *("coexistence", "partial inversion", "full inversion"),
    *("memorization", "forgetting", "confusion"),
)


def final_phase(train: Any, test: Any, noise: Any, best_test: Any) -> np.ndarray:
    """The phase of a network, as an index into `PHASES`; NaN where an accuracy is NaN.

    Test accuracy of 0.9 or more: ``coexistence`` with a training accuracy of 0.9 or more, else ``partial
    inversion`` with one of 1.05 - noise or more, else ``full inversion``. Lower test accuracy:
    ``memorization`` with a training accuracy of 0.9 or more, else ``forgetting`` or ``confusion``.

    Args:
        train: final training accuracy.
        test: final test accuracy.
        noise: share of the training labels that were drawn.
        best_test: best test accuracy on the way. The paper tells forgetting from confusion by the curve; here
            a network has forgotten if this is 0.9 or more.

    Source: Doshi et al. 2023 (arXiv 2310.13061), Appendix C.

    Example:
        >>> codes = final_phase([1.0, 0.8, 0.66, 1.0, 0.0], [1.0, 1.0, 1.0, 0.0, 0.0], 0.35, 0.95)
        >>> [PHASES[int(code)] for code in codes]
        ['coexistence', 'partial inversion', 'full inversion', 'memorization', 'forgetting']
    """
    train, test, noise, best = np.broadcast_arrays(
        *(np.asarray(one, np.float64) for one in (train, test, noise, best_test))
    )
    generalizes, fits = test >= 0.9, train >= 0.9
    # 1.05 - 0.15 is 0.9 to the last bit but one
    partial = train >= np.round(1.05 - noise, 12)
    codes = np.select(
        [generalizes & fits, generalizes & partial, generalizes, fits, best >= 0.9], [0, 1, 2, 3, 4], 5
    )
    return np.where(np.isnan(train) | np.isnan(test), np.nan, codes)


def phase_summary(measures: xr.Dataset) -> xr.Dataset:
    """The commonest phase of each cell of a map over seeds, and the share of seeds in it."""
    import xarray as xr

    last = measures.isel(step=-1)
    codes = xr.apply_ufunc(
        final_phase, last["train_accuracy"], last["test_accuracy"], last["noise"], _best_over_steps(measures)
    )
    counts = xr.concat([(codes == i).sum("seed") for i in range(len(PHASES))], "phase")
    known = codes.notnull().sum("seed")
    found = xr.Dataset(
        {
            "phase": counts.argmax("phase").where(known > 0),
            "phase_share": counts.max("phase") / known,
            "n": known,
        }
    )
    return found.assign_attrs(phases=PHASES)


def _best_over_steps(measures: xr.Dataset) -> xr.DataArray:
    return measures["test_accuracy"].max("step")


# ---------------------------------------------------------------- evidence: one entry per seed


def peak(measures: xr.Dataset, split: str) -> np.ndarray:
    """The best accuracy on a split at any measured step [seed]."""
    return largest_value(curve(measures, f"{split}_accuracy"))


def pruned(measures: xr.Dataset, order: str, percent: int, part: str) -> np.ndarray:
    """Accuracy of the last network without these neurons [seed]."""
    return last(measures, _PRUNED, order=order, percent=percent, part=part)


def participation(measures: xr.Dataset) -> np.ndarray:
    """Participation of each neuron of the last network [seed, neuron]."""
    return neuron_curves(measures, _PARTICIPATION)[0][:, :, -1]


def mean_participation(measures: xr.Dataset) -> np.ndarray:
    """The mean participation of the last network's neurons [seed]."""
    return participation(measures).mean(axis=1)


def between_modes(measures: xr.Dataset) -> np.ndarray:
    """The share of neurons with a participation between 0.2 and 0.7, in the last network [seed]."""
    values = participation(measures)
    share = ((values > 0.2) & (values < 0.7)).mean(axis=1)
    return np.where(np.isnan(values).any(axis=1), np.nan, share)


def memory_left(measures: xr.Dataset) -> np.ndarray:
    """Accuracy on corrupted pairs less the share of their labels that are right by chance [seed]."""
    lucky = 1 - last(measures, "group_wrong_share", group="corrupted")
    return last(measures, "group_accuracy", group="corrupted") - lucky


def spared_by_order(measures: xr.Dataset) -> np.ndarray:
    """Test accuracy without the 60 % of lowest participation less that without a random 60 % [seed]."""
    return pruned(measures, "lowest", 60, "test") - pruned(measures, "random", 60, "test")


def scales_and_participation(measures: xr.Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Scale of batch normalization and participation of the last network's neurons, each [seed, neuron]."""
    return neuron_curves(measures, "batch_norm_scale")[0][:, :, -1], participation(measures)


def scale_follows_participation(measures: xr.Dataset) -> np.ndarray:
    """Pearson's correlation over neurons of scale and participation, of the last network [seed]."""
    scale, share = scales_and_participation(measures)
    scale, share = (values - values.mean(axis=1, keepdims=True) for values in (scale, share))
    squares = (scale**2).sum(axis=1) * (share**2).sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return (scale * share).sum(axis=1) / np.sqrt(squares)


def scale_of_memory(measures: xr.Dataset) -> np.ndarray:
    """Median scale of neurons with a participation below 0.1 over that of neurons above 0.9 [seed]."""
    scale, share = scales_and_participation(measures)
    low, high = (np.ma.median(np.ma.masked_where(~of, scale), axis=1) for of in (share < 0.1, share > 0.9))
    return np.ma.filled(low / high, np.nan).astype(float)


def low_mode(measures: xr.Dataset) -> np.ndarray:
    """The share of the last network's neurons with a participation below 0.1 [seed]."""
    values = participation(measures)
    return np.where(np.isnan(values).any(axis=1), np.nan, (values < 0.1).mean(axis=1))


def with_dropout(measures: xr.Dataset, split: str, dropout: float) -> np.ndarray:
    """Final accuracy on a split at a rate of dropout [seed]."""
    need(measures, f"{split}_accuracy")
    return final_value(member_curves(part_of(measures, dropout=dropout)[f"{split}_accuracy"]))


def fit_beyond_rule(measures: xr.Dataset, **cell: float) -> np.ndarray:
    """Final training accuracy less test accuracy in a cell of the map [seed]."""
    need(measures, "train_accuracy", "test_accuracy")
    part = part_of(measures, **cell)
    train, test = (final_value(member_curves(part[f"{split}_accuracy"])) for split in ("train", "test"))
    if np.isnan(train - test).all():
        raise NotTestable("no seed was measured in the cell")
    return train - test


def mean_test_accuracy(measures: xr.Dataset, weight_decay: float) -> np.ndarray:
    """The mean of the final test accuracy over the map's cells at a weight decay [seed]."""
    need(measures, "test_accuracy")
    values = part_of(measures, weight_decay=weight_decay)["test_accuracy"].isel(step=-1)
    if values.isnull().all():
        raise NotTestable("no cell was measured")
    return values.mean([dim for dim in values.dims if dim != "seed"], skipna=False).to_numpy()


# ---------------------------------------------------------------- claims

# Medians: in many of these numbers all seeds are equal, and then a mean has no interval. (Not in D9, where a
# mean of four long runs decides.)
_claim = partial(Claim, confirmed_on="100-199", kind="median")


_at = partial(_claim, smallest_effect=Effect(0.03, "three pairs in a hundred"))
_END = "of the last network"
_CUT = "60 % of the neurons, those of lowest participation (rfft, mean of three blocks)"
_CUT_HIGH = "30 % of the neurons, those of highest participation"

_dropped = partial(_at, setting="small", reduced="rates of our own; those of Figure 3b are not known")

_CLAIMS = (
    _at(
        id="D0",
        name="clean labels are grokked at once",
        sentence="With true labels it generalizes within 100 steps.",
        source="Fig. 2",
        paper_value="1 from step 44 on",
        estimand=f"the median over seeds of the test accuracy {_END}, after 100 steps",
        region=Region.at_least(0.99),
        experiment="clean",
        evidence=partial(last, name="test_accuracy"),
    ),
    _at(
        id="D1",
        name="memorizes and generalizes",
        sentence="Memorizing corrupted labels and generalizing coexist.",
        source="Fig. 1a; the authors' notebook",
        paper_value="0.978 (train), 0.983 (test)",
        estimand=f"the median over seeds of the smaller of training and test accuracy {_END}",
        region=Region.at_least(0.9),
        experiment="coexistence",
        evidence=lambda m: np.minimum(last(m, "train_accuracy"), last(m, "test_accuracy")),
    ),
    _at(
        id="D2",
        name="decay 5: train below test",
        sentence="Weight decay takes memory first: at 5 a part of the corrupted labels is given up.",
        source="Fig. 1b; the authors' notebook",
        paper_value=0.786,
        estimand=f"the median over seeds of the training accuracy {_END}",
        region=Region.between(0.7, 0.9),
        experiment="partial-inversion",
        evidence=partial(last, name="train_accuracy"),
    ),
    _at(
        id="D2-test",
        name="decay 5: test is perfect",
        sentence="And test accuracy is nearly perfect.",
        source="Fig. 1b; the authors' notebook",
        paper_value=1.0,
        estimand=f"the median over seeds of the test accuracy {_END}",
        region=Region.at_least(0.99),
        experiment="partial-inversion",
        evidence=partial(last, name="test_accuracy"),
    ),
    _at(
        id="D3",
        name="decay 15: all corruption given up",
        sentence="At 15 all corrupted labels are: training accuracy is that of the labels left alone.",
        source="Fig. 1c; the authors' notebook",
        paper_value=0.654,
        estimand=f"the median over seeds of the training accuracy {_END}; 0.654 of the labels are right",
        region=Region.between(0.63, 0.68),
        smallest_effect=Effect(0.02, "two pairs in a hundred"),
        experiment="full-inversion",
        evidence=partial(last, name="train_accuracy"),
    ),
    _at(
        id="D3-test",
        name="decay 15: test is perfect",
        sentence="And test accuracy is nearly perfect.",
        source="Fig. 1c; the authors' notebook",
        paper_value=1.0,
        estimand=f"the median over seeds of the test accuracy {_END}",
        region=Region.at_least(0.99),
        experiment="full-inversion",
        evidence=partial(last, name="test_accuracy"),
    ),
    _at(
        id="D3-true",
        name="decay 15: corruption is undone",
        sentence="The network gives corrupted pairs their true label.",
        source="Fig. 1c (text)",
        paper_value="yes",
        estimand=f"the median over seeds of the share of corrupted pairs that get their true label, {_END}",
        region=Region.at_least(0.97),
        experiment="full-inversion",
        evidence=partial(last, name="group_true_accuracy", group="corrupted"),
    ),
    _at(
        id="D4",
        name="all labels are fitted at first",
        sentence="With decay, too, the network first fits all labels ...",
        source="Fig. 1c; the authors' notebook",
        paper_value="0.9996 (step 70)",
        estimand="the median over seeds of the best training accuracy within the run",
        region=Region.at_least(0.98),
        experiment="full-inversion",
        evidence=partial(peak, split="train"),
    ),
    _at(
        id="D4-falls",
        name="then the fit is given up",
        sentence="... and then gives the corrupted ones up.",
        source="Fig. 1c; the authors' notebook",
        paper_value=0.346,
        estimand="the median over seeds of the best training accuracy within the run less that of the last "
        "network",
        region=Region.at_least(0.25),
        experiment="full-inversion",
        evidence=lambda m: peak(m, "train") - last(m, "train_accuracy"),
    ),
    _claim(
        id="D5",
        name="participation has two modes",
        sentence="Where both coexist there are two kinds of neurons: few lie between them.",
        source="Fig. 4; the authors' notebook",
        paper_value="about 0.05 (340 of 500 below 0.08, 135 above 0.78)",
        estimand=f"the median over seeds of the share of neurons {_END} with a participation (rfft) between "
        "0.2 and 0.7",
        region=Region.at_most(0.12),
        smallest_effect=Effect(0.05, "one neuron in twenty"),
        experiment="coexistence",
        evidence=between_modes,
    ),
    _claim(
        id="D6",
        name="decay raises participation",
        sentence="Weight decay moves neurons to high participation.",
        source="Fig. 4; the authors' notebook",
        paper_value="0.34 (0.28 to 0.62)",
        estimand="the median over seeds of the mean participation (rfft) of the last network's neurons with "
        "weight decay 15 less that without, seed by seed",
        region=Region.at_least(0.2),
        smallest_effect=Effect(0.05, "a twentieth of its range"),
        experiment="full-inversion",
        beside=("coexistence",),
        evidence=partial(difference, of=mean_participation),
    ),
    _at(
        id="D7",
        name="without low ones: generalizes",
        sentence="Neurons of low participation are not needed to generalize.",
        source="Fig. 6",
        paper_value="about 1",
        estimand=f"the median over seeds of the test accuracy {_END} without {_CUT}",
        region=Region.at_least(0.98),
        experiment="coexistence",
        evidence=partial(pruned, order="lowest", percent=60, part="test"),
    ),
    _at(
        id="D7-memory",
        name="without low ones: no memory",
        sentence="But to memorize: without them accuracy on corrupted pairs is at chance.",
        source="Fig. 6",
        paper_value="about 0.01",
        estimand=f"the median over seeds of the accuracy on corrupted pairs {_END} without {_CUT}",
        region=Region.at_most(0.03),
        smallest_effect=Effect(0.01, "a pair in a hundred"),
        experiment="coexistence",
        evidence=partial(pruned, order="lowest", percent=60, part="corrupted"),
    ),
    _at(
        id="D8",
        name="without high ones: test at chance",
        sentence="Without neurons of high participation it does not generalize.",
        source="Fig. 6",
        paper_value="about 0.02",
        estimand=f"the median over seeds of the test accuracy {_END} without {_CUT_HIGH}",
        region=Region.at_most(0.05),
        experiment="coexistence",
        evidence=partial(pruned, order="highest", percent=30, part="test"),
    ),
    _at(
        id="D8-memory",
        name="without high ones: memory stays",
        sentence="But it still gives the corrupted labels.",
        source="Fig. 6",
        paper_value="about 0.97",
        estimand=f"the median over seeds of the accuracy on corrupted pairs {_END} without {_CUT_HIGH}",
        region=Region.at_least(0.9),
        experiment="coexistence",
        evidence=partial(pruned, order="highest", percent=30, part="corrupted"),
    ),
    _at(
        id="D9",
        name="decay 20 groks, then forgets",
        sentence="With weight decay 20 it generalizes, and then forgets everything.",
        source="Fig. 8",
        paper_value="yes",
        estimand="the mean over seeds of the best test accuracy within the run less that of the last network",
        region=Region.at_least(0.9),
        kind="mean",
        experiment="forgetting",
        evidence=lambda m: peak(m, "test") - last(m, "test_accuracy"),
    ),
    _at(
        id="D9-chance",
        name="decay 20: chance in the end",
        sentence="And its test accuracy ends at chance.",
        source="Fig. 8; the authors' notebook",
        paper_value=0.011,
        estimand=f"the mean over seeds of the test accuracy {_END}",
        region=Region.at_most(0.05),
        kind="mean",
        experiment="forgetting",
        evidence=partial(last, name="test_accuracy"),
    ),
    _at(
        id="D10",
        name="small batches give up corruption",
        sentence="The noise of small batches alone, without decay, inverts: corrupted labels are given up.",
        source="the authors' notebook",
        paper_value=0.818,
        estimand=f"the median over seeds of the training accuracy {_END}",
        region=Region.at_most(0.86),
        experiment="minibatch",
        evidence=partial(last, name="train_accuracy"),
    ),
    _at(
        id="D10-test",
        name="small batches: test is perfect",
        sentence="And test accuracy is nearly perfect.",
        source="the authors' notebook",
        paper_value=1.0,
        estimand=f"the median over seeds of the test accuracy {_END}",
        region=Region.at_least(0.98),
        experiment="minibatch",
        evidence=partial(last, name="test_accuracy"),
    ),
    _at(
        id="D16",
        name="batch norm gives up corruption",
        sentence="With batch normalization the corrupted labels are given up, too.",
        source="the authors' notebook",
        paper_value=0.804,
        estimand=f"the median over seeds of the training accuracy {_END}",
        region=Region.at_most(0.86),
        experiment="batch-norm",
        evidence=partial(last, name="train_accuracy"),
    ),
    _at(
        id="D16-test",
        name="batch norm: test is perfect",
        sentence="And test accuracy is nearly perfect.",
        source="the authors' notebook",
        paper_value=1.0,
        estimand=f"the median over seeds of the test accuracy {_END}",
        region=Region.at_least(0.98),
        experiment="batch-norm",
        evidence=partial(last, name="test_accuracy"),
    ),
    _claim(
        id="D17",
        name="batch norm: memory stays in weights",
        sentence="But the neurons of low participation are still there ...",
        source="Fig. 5",
        paper_value="yes",
        estimand="the median over seeds of the share of the last network's neurons with a participation "
        "(rfft) below 0.1",
        region=Region.at_least(0.2),
        smallest_effect=Effect(0.05, "one neuron in twenty"),
        experiment="batch-norm",
        evidence=low_mode,
    ),
    _claim(
        id="D17-scale",
        name="batch norm: scale damps memory",
        sentence="... with a smaller scale, by which batch normalization damps them.",
        source="Fig. 5; the authors' notebook",
        paper_value="about 0.4 (0.01 to 0.03 below 0.1; 0.045 to 0.06 above 0.9)",
        estimand="the median over seeds of the median scale of the last network's neurons with a "
        "participation (rfft) below 0.1, over that of neurons above 0.9",
        region=Region.at_most(0.6),
        smallest_effect=Effect(0.1, "a tenth of the scale"),
        experiment="batch-norm",
        evidence=scale_of_memory,
    ),
    _claim(
        id="D17-follows",
        name="batch norm: scale follows waves",
        sentence="The scale of a neuron follows its participation.",
        source="Fig. 5",
        paper_value="yes",
        estimand="the median over seeds of the correlation (Pearson) over neurons of scale and participation "
        "(rfft) of the last network",
        region=Region.at_least(0.7),
        smallest_effect=Effect(0.1, "a tenth of its range"),
        experiment="batch-norm",
        evidence=scale_follows_participation,
    ),
    _dropped(
        id="D18",
        name="dropout gives up corruption",
        sentence="Dropout inverts without decay: at 0.3 a part of the corrupted labels is given up.",
        source="Fig. 3b",
        paper_value="partial inversion",
        estimand="the median over seeds of the final test accuracy less the training accuracy at 0.3",
        region=Region.at_least(0.1),
        smallest_effect=Effect(0.05, "a pair in twenty"),
        experiment="dropout",
        evidence=lambda m: with_dropout(m, "test", 0.3) - with_dropout(m, "train", 0.3),
    ),
    _dropped(
        id="D18-full",
        name="dropout 0.8: nearly all given up",
        sentence="At 0.8 nearly all are.",
        source="Fig. 3b",
        paper_value="full inversion",
        estimand="the median over seeds of the final training accuracy at 0.8; 0.654 of the labels are right",
        region=Region.between(0.63, 0.72),
        experiment="dropout",
        evidence=partial(with_dropout, split="train", dropout=0.8),
    ),
    _dropped(
        id="D18-confusion",
        name="very high dropout: confusion",
        sentence="With a very high rate nothing is learned.",
        source="Fig. 3b",
        paper_value="confusion",
        estimand="the median over seeds of the final test accuracy at 0.98",
        region=Region.at_most(0.5),
        smallest_effect=Effect(0.1, "one pair in ten"),
        experiment="dropout",
        evidence=partial(with_dropout, split="test", dropout=0.98),
    ),
    _at(
        id="D11",
        name="random cuts spare less",
        sentence="Cutting as many neurons at random harms generalization more: which are cut matters.",
        source="Fig. 6 (the control is missing)",
        setting="own",
        estimand=f"the median over seeds of the test accuracy {_END} without {_CUT}, less that without a "
        "random 60 %",
        region=Region.at_least(0.2),
        smallest_effect=Effect(0.1, "one pair in ten"),
        experiment="coexistence",
        evidence=spared_by_order,
    ),
    _at(
        id="D12",
        name="inverted: no memory is left",
        sentence="After inversion the corrupted labels that the network still gives are those that are right "
        "by chance.",
        source="Sec. 3 (asserted by the plateau of the training accuracy)",
        setting="own",
        estimand=f"the median over seeds of the accuracy on corrupted pairs {_END}, less the share of their "
        "labels that are right",
        region=Region.around(0.0, 0.02),
        smallest_effect=Effect(0.02, "two pairs in a hundred"),
        experiment="full-inversion",
        evidence=memory_left,
    ),
    _at(
        id="D13",
        name="little data: memorization",
        sentence="Little data and much corruption, without decay: it only memorizes.",
        source="Fig. 3",
        paper_value="memorization",
        estimand="the median over seeds of the final training accuracy less the test accuracy from 30 % of "
        "the table with 60 % of the labels drawn, without decay",
        region=Region.at_least(0.7),
        smallest_effect=Effect(0.1, "one pair in ten"),
        experiment="phase-map",
        evidence=partial(fit_beyond_rule, weight_decay=0.0, noise=0.6, train_fraction=0.3),
    ),
    _at(
        id="D14",
        name="much data inverts without decay",
        sentence="With plenty of data it inverts without any regularization.",
        source="Fig. 3 left, Fig. 10",
        paper_value="partial inversion",
        estimand=f"the median over seeds of the test accuracy less the training accuracy {_END}",
        region=Region.at_least(0.1),
        smallest_effect=Effect(0.05, "a pair in twenty"),
        experiment="much-data",
        evidence=lambda m: last(m, "test_accuracy") - last(m, "train_accuracy"),
    ),
    _at(
        id="D15",
        name="decay widens generalization",
        sentence="With decay it generalizes from less data and more corruption.",
        source="Fig. 3",
        paper_value="yes",
        estimand="the median over seeds of the mean final test accuracy over the map's cells at weight decay "
        "5, less that without decay",
        region=Region.at_least(0.05),
        smallest_effect=Effect(0.05, "nearly one cell of sixteen"),
        experiment="phase-map",
        evidence=lambda m: mean_test_accuracy(m, 5.0) - mean_test_accuracy(m, 0.0),
    ),
)

# ---------------------------------------------------------------- figures

_INVERTED = {
    "coexistence": "No decay",
    "partial-inversion": "Weight decay 5",
    "full-inversion": "Weight decay 15",
}
_OTHERS = {"clean": "All labels true", "forgetting": "Weight decay 20"}
_NO_DECAY = {
    "much-data": "90 % of the table, no decay",
    "minibatch": "Batches of 64, no decay",
    "batch-norm": "The same with batch normalization",
}


_BY_GROUP = (
    CurveLine("group_accuracy", "clean", "norm_matched", {"group": "clean"}),
    CurveLine("group_accuracy", "corrupted: the drawn label", "train", {"group": "corrupted"}),
    CurveLine("group_true_accuracy", "corrupted: the true label", "test", {"group": "corrupted"}),
)


def _map(runs: Mapping[str, RunLike], command: str) -> Drawing:
    names = ("weight_decay", "noise", "train_fraction")
    return multiples_figure(phase_summary(runs["phase-map"].measures), names, command)


def _histogram(runs: Mapping[str, RunLike], command: str) -> Drawing:
    figure, axes = panels(list(_INVERTED.values()))
    for axis, name in zip(axes, _INVERTED, strict=True):
        values = participation(runs[name].measures)
        share = np.full(values.size, 1 / len(values))
        axis.hist(
            values.ravel(),
            bins=list(np.linspace(0, 1, 41)),
            weights=share,
            color=COLOR["test"],
            label="neurons of a network (mean over seeds)",
        )
        x_label(axis, "participation (rfft)")
    top = max(axis.get_ylim()[1] for axis in axes)
    for axis in axes:
        axis.set_ylim(0, top)
    legend(figure, axes[0])
    notes = (f"{title}: {standing(runs[name].measures, spread=False)}" for name, title in _INVERTED.items())
    small_print(figure, *notes, command)
    return figure


def _scales(runs: Mapping[str, RunLike], command: str) -> Drawing:
    measures = runs["batch-norm"].measures
    scale, share = scales_and_participation(measures)
    figure, (axis,) = panels(["Batch normalization"])
    axis.plot(share.ravel(), scale.ravel(), ".", markersize=2, color=COLOR["test"], label="a neuron")
    edges = np.linspace(0, 1, 11)
    centers = (edges[1:] + edges[:-1]) / 2
    bins = [scale[(share >= low) & (share <= high)] for low, high in itertools.pairwise(edges)]
    medians = [np.median(one) if one.size else np.nan for one in bins]
    axis.plot(centers, medians, "o-", color="black", markersize=3, label="median by tenths of participation")
    x_label(axis, "participation (rfft)")
    axis.set_ylabel(r"scale $|\gamma|$")
    axis.set_ylim(0)
    legend(figure, axis)
    small_print(figure, standing(measures, spread=False), command)
    return figure


def _pruning(runs: Mapping[str, RunLike], command: str) -> Drawing:
    measures = runs["coexistence"].measures
    need(measures, _PRUNED)
    curves = measures[_PRUNED].isel(step=-1)
    percent = curves["percent"].to_numpy()
    titles = {"lowest": "Lowest cut first", "highest": "Highest cut first", "random": "Cut at random"}
    figure, axes = panels(list(titles.values()))
    parts = {"train": "all training pairs", "clean": "clean", "corrupted": "corrupted", "test": "test"}
    colors = {
        "train": "black",
        "clean": COLOR["norm_matched"],
        "corrupted": COLOR["train"],
        "test": COLOR["test"],
    }
    for axis, order in zip(axes, titles, strict=True):
        for part, label in parts.items():
            values = curves.sel(order=order, part=part).transpose("seed", "percent").to_numpy()
            style: dict[str, Any] = {"color": colors[part]}
            axis.plot(percent, values.mean(axis=0), linewidth=1.2, label=label, **style)
            low, high = np.percentile(values, [10, 90], axis=0)
            axis.fill_between(percent, low, high, alpha=0.18, linewidth=0, **style)
        axis.set_ylim(-0.03, 1.03)
        x_label(axis, "neurons cut (%)")
    legend(figure, axes[0])
    band = "Accuracy: mean and band from the 10th to the 90th percentile over seeds."
    small_print(figure, f"{band} {standing(measures, spread=False)}", command)
    return figure


_FIGURES = (
    Figure("figure-1", "Figure 1: accuracy by weight decay.", accuracies_of(_INVERTED), tuple(_INVERTED)),
    Figure(
        "figure-1-groups",
        "The same, on clean and on corrupted training pairs.",
        curves_of("", *(CurvePanel(title, _BY_GROUP, name) for name, title in _INVERTED.items())),
        tuple(_INVERTED),
    ),
    Figure(
        "figure-2",
        "Figures 2 and 8: accuracy with true labels, and with much decay.",
        accuracies_of(_OTHERS),
        tuple(_OTHERS),
    ),
    Figure("figure-3", "Figure 3: final phases.", _map, ("phase-map",)),
    Figure(
        "figure-4", "Figure 4: participation of the last network's neurons.", _histogram, tuple(_INVERTED)
    ),
    Figure("figure-5", "Figure 5: scale of batch normalization and participation.", _scales, ("batch-norm",)),
    Figure("figure-6", "Figure 6: accuracy without some neurons.", _pruning, ("coexistence",)),
    Figure(
        "figure-10",
        "Figure 10: inversion without decay, from much data, in small batches, with batch normalization.",
        accuracies_of(_NO_DECAY),
        tuple(_NO_DECAY),
    ),
)


class CorruptedLabels(Paper):
    """Doshi et al. 2023: neurons that memorize corrupted labels beside neurons that generalize."""

    kind: Literal["corrupted-labels"] = "corrupted-labels"
    title = (
        "To grok or not to grok: Disentangling generalization and memorization on corrupted algorithmic "
        "datasets"
    )
    authors = "Darshil Doshi, Aritra Das, Tianyu He, Andrey Gromov"
    year = 2023
    arxiv = "2310.13061"
    bibtex = """@misc{doshi2023grok,
  title = {To grok or not to grok: Disentangling generalization and memorization on corrupted algorithmic
           datasets},
  author = {Darshil Doshi and Aritra Das and Tianyu He and Andrey Gromov},
  year = {2023},
  eprint = {2310.13061},
  archivePrefix = {arXiv}
}"""
    experiments = _EXPERIMENTS
    claims = _CLAIMS
    figures = _FIGURES
