"""Corrupted labels: the paper's phases, claims on made-up runs, figures, published settings, a tiny run."""

import numpy as np
import pytest
import xarray as xr

from grokscope import train
from grokscope.claims import NotTestable, gather
from grokscope.papers import check_paper, find_paper, made_up_run
from grokscope.papers.corrupted_labels import PHASES, final_phase, phase_summary
from grokscope.spec.axes import PART_LABELS, PRUNING_ORDERS, PRUNING_PERCENTS
from paper_tests import assert_decides, false_runs, judged_alone

PAPER = find_paper("corrupted-labels")
CLAIMS = {claim.id: claim for claim in PAPER.claims}
RNG = np.random.default_rng(0)
SEEDS = 8
PRUNED = "pruned_accuracy_by_neuron_participation_rfft"


def run(name, **curves):
    return made_up_run(PAPER.experiment(name), curves, seeds=SEEDS, profile="quick")


def scattered(value, spread=0.002):
    """A curve [seed, step] that is flat, at another height for each seed."""
    values = value + spread * RNG.standard_normal((SEEDS, 1))
    return lambda steps, **cell: np.repeat(values, len(steps), axis=1)


def of(name, measure, value):
    return run(name, **{measure: scattered(value)})


def grouped(name, measure, clean, corrupted, **others):
    values = np.empty((SEEDS, 1, 2))
    values[:] = [clean, corrupted]
    curve = values + 0.002 * RNG.standard_normal(values.shape)
    return run(name, **{measure: lambda steps: curve}, **others)


def cut(order, percent, part, value, others=0.6):
    """Pruning curves that have a value at one place, and another at all others."""
    shape = (SEEDS, 1, len(PRUNING_ORDERS), len(PRUNING_PERCENTS), len(PART_LABELS))
    values = others + 0.002 * RNG.standard_normal(shape)
    place = PRUNING_ORDERS.index(order), PRUNING_PERCENTS.index(percent), PART_LABELS.index(part)
    values[(..., *place)] += value - others
    return run("coexistence", **{PRUNED: lambda steps: values})


def neurons(name, value, spread=0.002):
    values = value + spread * RNG.standard_normal((SEEDS, 1, 16))
    return run(name, neuron_participation_rfft=lambda steps: np.repeat(values, len(steps), axis=1))


def falling(name, split, end):
    curve = scattered(1.0)
    return run(
        name, **{f"{split}_accuracy": lambda steps: np.where(steps < steps[-1] / 2, curve(steps), end)}
    )


def mapped(train, test):
    """Accuracies of the cells: functions of weight decay, noise and share of the table."""

    def curve(value):
        return lambda steps, **cell: scattered(value(**cell))(steps)

    return run("phase-map", train_accuracy=curve(train), test_accuracy=curve(test))


def flat(value):
    return lambda *rate, **cell: value


def dropped(train, test):
    """Accuracies at each rate of dropout: functions of the rate."""

    def curve(value):
        return lambda steps, dropout: scattered(value(dropout))(steps)

    return run("dropout", train_accuracy=curve(train), test_accuracy=curve(test))


def normalized(low, high, share=0.5):
    """A share of 16 neurons is of low participation and has the scale ``low``, the others ``high``."""
    few = np.arange(16) < 16 * share
    scale, waves = np.where(few, low, high), np.where(few, 0.05, 0.95)

    def curve(values):
        noisy = values + 0.002 * RNG.standard_normal((SEEDS, 1, 16))
        return lambda steps: np.repeat(noisy, len(steps), axis=1)

    return run("batch-norm", batch_norm_scale=curve(scale), neuron_participation_rfft=curve(waves))


def memory(accuracy):
    wrong = np.array([0.0, 96 / 97])[None, None]
    return grouped("full-inversion", "group_accuracy", 1.0, accuracy, group_wrong_share=lambda steps: wrong)


# of every claim the runs by which it is judged where it is true, and where it is false
CASES = {
    "D0": ((of("clean", "test_accuracy", 0.999),), (of("clean", "test_accuracy", 0.6),)),
    "D1": (
        (run("coexistence", train_accuracy=scattered(0.98), test_accuracy=scattered(0.97)),),
        (run("coexistence", train_accuracy=scattered(0.98), test_accuracy=scattered(0.5)),),
    ),
    **{
        claim: ((of(name, measure, true),), (of(name, measure, false),))
        for claim, name, measure, true, false in (
            ("D2", "partial-inversion", "train_accuracy", 0.78, 0.98),
            ("D2-test", "partial-inversion", "test_accuracy", 1.0, 0.9),
            ("D3", "full-inversion", "train_accuracy", 0.654, 0.75),
            ("D3-test", "full-inversion", "test_accuracy", 1.0, 0.9),
            ("D4", "full-inversion", "train_accuracy", 0.99, 0.7),
            ("D9-chance", "forgetting", "test_accuracy", 0.011, 0.5),
            ("D10", "minibatch", "train_accuracy", 0.81, 0.95),
            ("D10-test", "minibatch", "test_accuracy", 1.0, 0.9),
            ("D16", "batch-norm", "train_accuracy", 0.8, 0.95),
            ("D16-test", "batch-norm", "test_accuracy", 1.0, 0.9),
        )
    },
    "D3-true": (
        (grouped("full-inversion", "group_true_accuracy", 1.0, 0.99),),
        (grouped("full-inversion", "group_true_accuracy", 1.0, 0.6),),
    ),
    "D4-falls": ((falling("full-inversion", "train", 0.65),), (falling("full-inversion", "train", 0.95),)),
    "D9": ((falling("forgetting", "test", 0.01),), (falling("forgetting", "test", 0.8),)),
    "D5": ((neurons("coexistence", 0.05),), (neurons("coexistence", 0.4),)),
    "D6": (
        (neurons("full-inversion", 0.6), neurons("coexistence", 0.3)),
        (neurons("full-inversion", 0.3), neurons("coexistence", 0.3)),
    ),
    **{
        claim: ((cut(order, percent, part, true),), (cut(order, percent, part, false),))
        for claim, order, percent, part, true, false in (
            ("D7", "lowest", 60, "test", 0.999, 0.9),
            ("D7-memory", "lowest", 60, "corrupted", 0.012, 0.3),
            ("D8", "highest", 30, "test", 0.02, 0.3),
            ("D8-memory", "highest", 30, "corrupted", 0.97, 0.5),
            ("D11", "lowest", 60, "test", 0.99, 0.6),
        )
    },
    "D12": ((memory(1 / 97),), (memory(0.2),)),
    "D13": ((mapped(flat(1.0), flat(0.02)),), (mapped(flat(1.0), flat(0.9)),)),
    "D14": (
        (run("much-data", train_accuracy=scattered(0.7), test_accuracy=scattered(1.0)),),
        (run("much-data", train_accuracy=scattered(1.0), test_accuracy=scattered(0.8)),),
    ),
    "D17": ((normalized(0.02, 0.05),), (normalized(0.02, 0.05, share=0.0),)),
    "D17-scale": ((normalized(0.02, 0.05),), (normalized(0.05, 0.05),)),
    "D17-follows": ((normalized(0.02, 0.05),), (normalized(0.05, 0.02),)),
    "D18": ((dropped(flat(0.8), flat(1.0)),), (dropped(flat(1.0), flat(1.0)),)),
    "D18-full": (
        (dropped(lambda rate: 0.67 if rate == 0.8 else 0.9, flat(1.0)),),
        (dropped(flat(0.9), flat(1.0)),),
    ),
    "D18-confusion": (
        (dropped(flat(0.9), lambda rate: 0.1 if rate == 0.98 else 1.0),),
        (dropped(flat(0.9), flat(1.0)),),
    ),
    "D15": (
        (mapped(flat(1.0), lambda weight_decay, noise, **_: float(weight_decay > 0 or noise < 0.3)),),
        (mapped(flat(1.0), lambda weight_decay, noise, **_: float(weight_decay == 0 or noise < 0.3)),),
    ),
}


def verdict(claim_id, runs):
    return judged_alone(CLAIMS[claim_id], runs)


@pytest.mark.parametrize("claim_id", CLAIMS)
def test_a_claim_holds_where_it_is_true_and_fails_where_it_is_false(claim_id):
    assert_decides(CLAIMS[claim_id], *CASES[claim_id])


def test_numbers_are_those_that_were_put_in():
    close = {"abs": 0.005}
    assert verdict("D1", CASES["D1"][0]).value == pytest.approx(0.97, **close)
    assert verdict("D4-falls", CASES["D4-falls"][0]).value == pytest.approx(0.35, **close)
    assert verdict("D6", CASES["D6"][0]).value == pytest.approx(0.3, **close)
    assert verdict("D8", CASES["D8"][0]).value == pytest.approx(0.02, **close)
    assert verdict("D11", CASES["D11"][0]).value == pytest.approx(0.39, **close)
    assert verdict("D12", CASES["D12"][1]).value == pytest.approx(0.2 - 1 / 97, **close)
    assert verdict("D14", CASES["D14"][0]).value == pytest.approx(0.3, **close)
    assert verdict("D17", CASES["D17"][0]).value == pytest.approx(0.5, **close)
    assert verdict("D17-scale", CASES["D17-scale"][0]).value == pytest.approx(0.4, abs=0.03)
    assert verdict("D18", CASES["D18"][0]).value == pytest.approx(0.2, **close)
    # two of the four shares of drawn labels generalize without decay, all with it
    assert verdict("D15", CASES["D15"][0]).value == pytest.approx(0.5, **close)


def test_the_paper_passes_the_conformance_suite():
    check_paper(PAPER, examples=false_runs(CLAIMS, CASES))


@pytest.mark.parametrize(
    ("train", "test", "noise", "best", "phase"),
    [
        (0.9, 0.9, 0.35, 0.9, "coexistence"),
        (0.899, 0.9, 0.35, 0.9, "partial inversion"),
        (0.70, 0.9, 0.35, 0.9, "partial inversion"),  # 1.05 - 0.35
        (0.699, 0.9, 0.35, 0.9, "full inversion"),
        (0.9, 0.899, 0.35, 0.899, "memorization"),
        (0.899, 0.899, 0.35, 0.9, "forgetting"),
        (0.899, 0.899, 0.35, 0.899, "confusion"),
        (0.95, 0.95, 0.0, 0.95, "coexistence"),
    ],
)
def test_the_phases_at_their_boundaries(train, test, noise, best, phase):
    assert PHASES[int(final_phase(train, test, noise, best))] == phase


def test_the_phase_of_a_cell_is_that_of_most_of_its_seeds():
    curves = {"train_accuracy": [1.0, 0.8, 0.8, np.nan], "test_accuracy": [1.0, 1.0, 1.0, np.nan]}
    data = {name: (("noise", "seed", "step"), np.array(ends)[None, :, None]) for name, ends in curves.items()}
    found = phase_summary(xr.Dataset(data, {"noise": [0.35], "step": [10]})).sel(noise=0.35)
    assert found.attrs["phases"][int(found["phase"])] == "partial inversion"
    assert (float(found["phase_share"]), int(found["n"])) == (pytest.approx(2 / 3), 3)


def test_the_published_settings():
    spec, _ = PAPER.experiment("coexistence").under("quick")
    assert (spec.task.n_train, spec.task.n_test, spec.n_steps) == (4704, 4705, 1000)
    assert spec.model.stds == (pytest.approx((16 * 500) ** (-1 / 3)),)
    small, _ = PAPER.experiment("phase-map").under("quick")
    assert small.model.stds == (pytest.approx((16 * 128) ** (-1 / 3), rel=1e-3),)
    grid = PAPER.experiment("phase-map").grid("paper")
    assert [len(axis.points) for axis in grid.axes] == [4, 19, 17]
    for one in PAPER.experiments:
        optimizer = one.experiment.optimizer.model_dump()
        assert (optimizer["kind"], optimizer["beta1"], optimizer["beta2"]) == ("adamw", 0.9, 0.98)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """All runs of the figures but the map: of one tiny network."""
    changes = ("task.p=7", "model.widths=[20]", "steps=4", "schedule.measures=['every 2 steps']")
    spec = PAPER.experiment("batch-norm").experiment.with_(*changes, "batch_size='full'")
    result = train(spec, seeds=2, out=tmp_path_factory.mktemp("tiny") / "run")
    return dict.fromkeys([one.name for one in PAPER.experiments], result)


def test_every_claim_on_a_run_can_be_judged_by_what_a_run_measures(tiny):
    for claim in PAPER.claims:
        if claim.experiment not in ("phase-map", "dropout") and claim.id != "D17-scale":  # needs both kinds
            found = gather(claim, *(tiny[name].measures for name in claim.experiments))
            assert not isinstance(found, NotTestable), claim.id
            assert np.isfinite(np.asarray(found)).all(), claim.id


def test_figures_are_drawn(tiny):
    runs = {**tiny, "phase-map": CASES["D15"][0][0]}
    for figure in PAPER.figures:
        drawing = figure.draw(runs, "grokscope reproduce corrupted-labels")
        assert any(axis.lines or axis.patches or axis.images for axis in drawing.axes), figure.id
        if figure.id == "figure-3":  # no decay; half of the map generalizes
            letters = [text.get_text() for text in drawing.axes[0].texts]
            assert sorted(set(letters)) == ["Co", "M"]
            assert letters.count("Co") == letters.count("M") == 8
        if figure.id == "figure-4":
            heights = [patch.get_height() for patch in drawing.axes[0].patches]
            assert sum(heights) == pytest.approx(20)  # neurons of a network
        if figure.id == "figure-6":
            lines = {line.get_label(): np.asarray(line.get_ydata()) for line in drawing.axes[0].lines}
            assert lines["test"][0] == pytest.approx(
                float(runs["clean"].measures.test_accuracy[:, -1].mean())
            )
