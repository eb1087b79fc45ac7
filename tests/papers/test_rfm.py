"""Grokking by average gradient outer products: claims on made-up runs, small kernel machines, figures."""

from types import SimpleNamespace

import numpy as np
import pytest

from grokscope import train
from grokscope.cli import main
from grokscope.papers import check_paper, find_paper, made_up_run
from grokscope.papers.rfm import unordered_deviation
from paper_tests import assert_decides, judged_alone

PAPER = find_paper("rfm")
CLAIMS = {claim.id: claim for claim in PAPER.claims}
OPERATORS = ("addition", "subtraction", "multiplication", "division")
RNG = np.random.default_rng(0)
SEEDS = 40


def run(name, **curves):
    return made_up_run(PAPER.experiment(name), curves, seeds=SEEDS, profile="quick")


def noisy(curve, spread=0.003):
    """A function of the steps, shifted for each seed."""
    shift = spread * RNG.standard_normal((SEEDS, 1))
    return lambda steps, **cell: np.asarray(curve(steps, **cell)) * np.ones((SEEDS, 1)) + shift


def flat(value, spread=0.003):
    return noisy(lambda steps: np.full(len(steps), value), spread)


def emerging(rise=10, end=1.0, kept=0.93, fallen=0.85, power=1.0):
    """Accuracy that rises at an iteration; loss and deviation that have moved so far until then."""

    def share(steps):
        return np.minimum(steps / (rise - 1), 1.0)

    return {
        "train_accuracy": 1.0,
        "test_accuracy": lambda steps: np.where(steps >= rise, end, 0.0),
        "test_loss": noisy(lambda steps: np.where(steps >= rise, 0.3, 1 - (1 - kept) * share(steps)), 0.0005),
        "circulant_deviation": noisy(
            lambda steps: np.where(steps >= rise, 0.02, 1 - 0.98 * fallen * share(steps) ** power), 0.001
        ),
    }


def of_operator(name, **changes):
    return run(name, **emerging(**changes))


def last(name, measure, value):
    return run(name, **{"train_accuracy": 1.0, "test_accuracy": 1.0, measure: flat(value)})


def in_cells(name, value, later=None):
    """Accuracy by the settings of a cell; from a later iteration on another one."""

    def accuracy(steps, **cell):
        return value(**cell) if later is None else np.where(steps >= later(**cell), 1.0, 0.0)

    return run(name, train_accuracy=1.0, test_accuracy=noisy(accuracy))


def centering(gaussian, quadratic):
    gains = {"gaussian": gaussian, "quadratic": quadratic}
    return in_cells("centering", lambda kernel, centered: 0.5 + centered * gains[kernel])


def circulant(value):
    return in_cells("random-circulant", lambda start, train_fraction: value if start != "identity" else 0.0)


def network(deviation=0.05, cosine=0.99, start=0.97, late=0.7):
    """A network generalizes at a tenth of the run."""
    accuracy = {"test_accuracy": lambda steps: np.where(steps >= 0.1 * steps[-1], 1.0, 0.1)}
    falls = noisy(lambda steps: np.where(steps <= 0.5 * steps[-1], late, deviation))
    cosines = noisy(lambda steps: np.where(steps == 0, start, cosine))
    return run("network", train_accuracy=1.0, circulant_deviation=falls, agop_alignment=cosines, **accuracy)


def matrices(name, structured):
    """Last feature matrices of multiplication: circulant in the usual order of the residues, or noise."""
    p = 61
    i = np.arange(1, p)
    blocks = RNG.standard_normal((SEEDS, p, p))
    if structured:
        blocks[:, 1:, 1:] = RNG.standard_normal((SEEDS, p - 1))[:, (i[:, None] - i) % (p - 1)]
        blocks += 0.01 * RNG.standard_normal(blocks.shape)
    whole = np.zeros((SEEDS, 1, 2 * p, 2 * p))
    whole[:, 0, p:, :p] = blocks
    made = run(name, train_accuracy=1.0, test_accuracy=1.0)
    values = np.broadcast_to(whole, (SEEDS, made.measures.sizes["step"], 2 * p, 2 * p))
    dims = ("seed", "step", "feature", "other_feature")
    return with_measure(made, "neural_feature_matrix", (dims, values))


def with_measure(made, name, values):
    return SimpleNamespace(measures=made.measures.assign({name: values}))


def at_each_step_once(made):
    """Made-up runs have 60 points, more than there are iterations."""
    measures = made.measures
    return SimpleNamespace(measures=measures.isel(step=np.unique(measures["step"], return_index=True)[1]))


LATER = 8 + np.arange(SEEDS)[:, None] % 3  # iterations of seeds
LOSS = {"test_accuracy": 1.0, "train_accuracy": 1.0}
# of every claim the run by which it is judged where it is true, and where it is false
CASES = {
    "F1": (
        run("addition", **LOSS, train_loss=lambda s: 1e-20 * np.exp(RNG.normal(size=(SEEDS, 1))) * s),
        run("addition", **LOSS, train_loss=lambda s: 1e-4 * np.exp(RNG.normal(size=(SEEDS, 1))) * s),
    ),
    **{
        f"{'F2' if i < 2 else 'F3'}-early-{name}": (of_operator(name), of_operator(name, rise=3))
        for i, name in enumerate(OPERATORS)
    },
    **{
        f"{'F2' if i < 2 else 'F3'}-{name}": (of_operator(name), of_operator(name, end=0.9))
        for i, name in enumerate(OPERATORS)
    },
    "F2-share": (of_operator("gaussian"), of_operator("gaussian", rise=4)),
    "F4": (of_operator("addition"), of_operator("addition", kept=0.7)),
    "F5": (of_operator("addition"), of_operator("addition", fallen=0.05)),
    "F5-line": (of_operator("addition"), of_operator("addition", power=9.0)),
    **{
        f"F6-{name}": (last(name, "circulant_deviation", 0.02), last(name, "circulant_deviation", 0.3))
        for name in OPERATORS
    },
    "F6-unordered": (matrices("multiplication", False), matrices("multiplication", True)),
    "F7": (circulant(0.7), circulant(0.2)),
    "F8": (network(), network(deviation=0.4)),
    "F8-alignment": (network(), network(cosine=0.5)),
    "F8-start": (network(), network(start=0.4)),
    "F8-late": (network(), network(late=0.1)),
    "F9": (
        in_cells(
            "bandwidth", None, later=lambda bandwidth_as: (1.5 if bandwidth_as == "scale" else 1.0) * LATER
        ),
        in_cells(
            "bandwidth", None, later=lambda bandwidth_as: (0.8 if bandwidth_as == "scale" else 1.0) * LATER
        ),
    ),
    "F10-quadratic": (centering(0.4, 0.0), centering(0.4, 0.3)),
    "F10-gaussian": (centering(0.4, 0.0), centering(0.0, 0.0)),
    "F11": (last("shuffled", "test_accuracy", 0.02), last("shuffled", "test_accuracy", 0.5)),
    "F11-deviation": (
        last("shuffled", "circulant_deviation", 0.96),
        last("shuffled", "circulant_deviation", 0.02),
    ),
    "F12": tuple(last("addition", "circulant_deviation_anti_diagonals", value) for value in (0.99, 0.02)),
    "F12-subtraction": tuple(
        last("subtraction", "circulant_deviation_diagonals", value) for value in (0.99, 0.02)
    ),
    "F13": tuple(
        run(
            "gaussian",
            **LOSS,
            kernel_condition=lambda s, c=c: c * np.exp(RNG.normal(size=(SEEDS, 1))) + 0 * s,
        )
        for c in (1e5, 1e12)
    ),
}


def verdict(claim_id, made):
    return judged_alone(CLAIMS[claim_id], [made])


def test_every_claim_has_its_cases():
    assert set(CASES) == set(CLAIMS)


@pytest.mark.parametrize("claim_id", CASES)
def test_a_claim_holds_where_it_is_true_and_fails_where_it_is_false(claim_id):
    assert_decides(CLAIMS[claim_id], *([made] for made in CASES[claim_id]))


def test_numbers_are_those_that_were_put_in():
    assert verdict("F4", CASES["F4"][0]).value == pytest.approx(0.93, abs=0.001)
    assert verdict("F5", CASES["F5"][0]).value == pytest.approx(0.85, abs=0.01)
    assert verdict("F9", CASES["F9"][0]).value == pytest.approx(1.5, rel=0.02)
    assert verdict("F10-gaussian", CASES["F10-gaussian"][0]).value == pytest.approx(0.4, abs=0.005)
    assert unordered_deviation(CASES["F6-unordered"][0].measures).mean() == pytest.approx(
        1 - 1 / 60, abs=0.01
    )


def test_the_paper_passes_the_conformance_suite():
    check_paper(PAPER, examples=[{CLAIMS[i].experiment: CASES[i][1]} for i in CASES])


def test_the_printed_settings():
    spec, _ = PAPER.experiment("addition").under("quick")
    assert spec == PAPER.experiment("addition").under("paper")[0]
    assert (spec.task.n_train, spec.task.n_outputs, spec.n_steps) == (1860, 61, 30)
    assert spec.task.input_shape == (2, 61)
    assert spec.precision == "float64"
    assert spec.learner.model_dump(include={"kernel", "power", "ridge", "start"}) == {
        "kernel": "quadratic",
        "power": 0.5,
        "ridge": 0.0,
        "start": "identity",
    }


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """Runs of the figures at p = 5."""
    folder = tmp_path_factory.mktemp("rfm")
    tiny = ("task.p=5", "task.train_fraction=0.6")
    runs = {
        name: train(PAPER.experiment(name).experiment.with_(*tiny), seeds=2, out=folder / name)
        for name in ("addition", "multiplication")
    }
    return {**runs, "subtraction": runs["addition"], "division": runs["multiplication"]}


@pytest.mark.slow
def test_figures_are_drawn(small):
    runs = {**small, "random-circulant": at_each_step_once(circulant(0.7)), "network": network()}
    for figure in PAPER.figures:
        drawing = figure.draw(runs, "grokscope reproduce rfm")
        assert all(axis.lines or axis.images for axis in drawing.axes), figure.id


def test_a_run_without_a_network_is_shown_and_reported_without_empty_panels(small, capsys, tmp_path):
    """Measures of neurons and circuits step aside by themselves; matrices have no curve."""
    folder = str(small["addition"].path)
    assert main(["show", folder]) == 0
    shown = capsys.readouterr()
    assert "learner recursive_features" in shown.out
    assert "circulant_deviation" in shown.out
    page = tmp_path / "page.html"
    assert main(["report", folder, "--out", str(page)]) == 0
    said = shown.err + capsys.readouterr().err + page.read_text(encoding="utf-8")
    assert "internal error" not in said
    assert main(["circuits", folder]) == 2
    assert "circuits are read from networks with one hidden layer" in capsys.readouterr().err


@pytest.mark.slow
def test_it_groks_at_31_residues(tmp_path):
    """The bar of the pilot: 60 % of the table, chance at iteration 7, at least .95 at iteration 25."""
    spec, _ = PAPER.experiment("gaussian").under("quick")
    measures = train(
        spec.with_("epochs=25", "schedule.measures=['every 25 steps', 7]"), seeds=1, out=tmp_path
    ).measures
    accuracy = measures["test_accuracy"].sel(seed=0)
    assert float(accuracy.sel(step=7)) <= 0.1
    assert float(accuracy.sel(step=25)) >= 0.95
    assert float(measures["train_loss"].max()) < 1e-8
    alignment = measures["feature_alignment"].sel(seed=0)
    assert float(alignment.sel(step=25)) == pytest.approx(1)
    assert float(alignment.sel(step=0)) < 0.9
