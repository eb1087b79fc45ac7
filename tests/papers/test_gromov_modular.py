"""Grokking modular arithmetic: claims on made-up runs, figures, the published settings."""

import numpy as np
import pytest

from grokscope import train
from grokscope.papers import check_paper, find_paper, jump, made_up_run
from paper_tests import assert_decides, false_runs, judged_alone

PAPER = find_paper("gromov-modular")
CLAIMS = {claim.id: claim for claim in PAPER.claims}
RNG = np.random.default_rng(0)
SEEDS = 40


def run(name, **curves):
    return made_up_run(PAPER.experiment(name), curves, seeds=SEEDS, profile="quick")


def scattered(value, spread=0.01):
    """A curve [seed, step] that is flat, at another height for each seed."""
    values = value + spread * RNG.standard_normal((SEEDS, 1))
    return lambda steps, **cell: np.repeat(values, len(steps), axis=1)


def training(name, fits=0.2, groks=0.4, **curves):
    """Accuracies that reach 1 at about these shares of the run (None: never), and other curves."""

    def accuracy(share):
        at = np.full(SEEDS, np.inf) if share is None else share * (1 + 0.1 * RNG.random(SEEDS))
        return lambda steps: jump(steps, at * steps[-1], before=0.1)

    return run(name, **{"train_accuracy": accuracy(fits), "test_accuracy": accuracy(groks), **curves})


def by_fraction(name, *least):
    """Seeds grok from these shares of the table on, in turn."""
    from_here = np.resize(least, SEEDS)
    return run(
        name,
        train_accuracy=1.0,
        test_accuracy=lambda steps, train_fraction: jump(
            steps, np.where(from_here <= train_fraction, 100, np.inf)
        ),
    )


def drawn(name, accuracy, spread):
    return run(name, train_accuracy=scattered(accuracy, spread))


def of_norm(later):
    """The norm is 1 until 0.3 of the run, between the two events, and then another number."""
    after = later * (1 + 0.01 * RNG.standard_normal((SEEDS, 1)))
    return training("gd", weight_norm=lambda steps: np.where(steps > 0.3 * steps[-1], after, 1.0))


def of_rise(begins, name="participation_rfft"):
    return training("adamw", **{name: lambda steps: np.maximum(0, steps / steps[-1] - begins)})


def of_slopes(later):
    """Participation rises by 1 in a run; from 0.32, before grokking, so many times as fast."""
    return training(
        "adamw", participation_rfft=lambda s: s / s[-1] + (later - 1) * np.maximum(0, s / s[-1] - 0.32)
    )


def aligned(name, value, measure="phase_alignment"):
    return training(name, **{measure: scattered(value)})


def falling(name, at_grokking):
    """Alignment until after the grokking step, and another number at the end."""
    noise = 0.01 * RNG.standard_normal((SEEDS, 1))
    return training(
        name, phase_alignment=lambda steps: np.where(steps < 0.8 * steps[-1], at_grokking, 0.2) + noise
    )


BAD, GOOD = scattered(0.1), scattered(0.95, 0.001)
# of every claim the runs by which it is judged where it is true, and where it is false
CASES = {
    "M1": ((training("gd"),), (training("gd", groks=None),)),
    "M1-later": ((training("gd"),), (training("gd", groks=0.22),)),
    "M2": ((of_norm(1.35),), (of_norm(0.9),)),
    "M3-48": ((drawn("analytic", 0.88, 0.03),), (drawn("analytic", 0.8, 0.03),)),
    "M3-96": ((drawn("analytic", 0.996, 0.001),), (drawn("analytic", 0.97, 0.01),)),
    "M3-144": ((drawn("analytic", 1.0, 0.0),), (drawn("analytic", 0.99, 0.0),)),
    "M3-192": ((drawn("analytic", 1.0, 0.0),), (drawn("analytic", 0.9998, 0.0),)),
    "M4-gd": ((aligned("gd", 0.95),), (aligned("gd", 0.5),)),
    "M4-adamw": ((aligned("adamw", 0.95),), (aligned("adamw", 0.5),)),
    "M4-momentum": ((aligned("momentum", 0.95),), (aligned("momentum", 0.5),)),
    "M5": ((aligned("adamw", 0.99), aligned("gd", 0.9)), (aligned("adamw", 0.9), aligned("gd", 0.99))),
    "M6": ((of_rise(0.0),), (of_rise(0.5),)),
    "M7": ((of_slopes(3.0),), (of_slopes(1.0),)),
    "M7-half": ((of_slopes(3.0),), (of_slopes(1.0),)),
    "M8": ((by_fraction("gd-fractions", 0.6),), (by_fraction("gd-fractions", 0.1),)),
    "M9": (
        (by_fraction("adamw-fractions", 0.5, 0.6), by_fraction("gd-fractions", 0.7)),
        (by_fraction("adamw-fractions", 0.7, 0.9), by_fraction("gd-fractions", 0.7)),
    ),
    "M9-steps": (
        (training("gd"), training("adamw")),
        (training("gd", groks=0.1), training("adamw", groks=0.4)),
    ),
    "M10": ((training("hard", test_accuracy=BAD),), (training("hard", test_accuracy=GOOD),)),
    "M11": (
        (training("random-features", test_accuracy=BAD),),
        (training("random-features", test_accuracy=GOOD),),
    ),
    "M12": (
        (training("quadratic", test_loss=0.05), training("adamw", test_loss=0.001)),
        (training("quadratic", test_loss=0.001), training("adamw", test_loss=0.001)),
    ),
    "M13": ((drawn("analytic-square", 0.51, 0.01),), (drawn("analytic-square", 0.9, 0.01),)),
    "M5-all": (
        (aligned("adamw", 0.99, "phase_alignment_all"), aligned("gd", 0.9, "phase_alignment_all")),
        (aligned("adamw", 0.9, "phase_alignment_all"), aligned("gd", 0.99, "phase_alignment_all")),
    ),
    "M5-grokking": (
        (aligned("adamw", 0.99), falling("gd", 0.9)),
        (falling("adamw", 0.9), falling("gd", 0.9)),
    ),
    "M5-start": (
        (aligned("adamw-small-start", 0.99), aligned("gd", 0.9)),
        (aligned("adamw-small-start", 0.9), aligned("gd", 0.99)),
    ),
    "M6-joint": ((of_rise(0.0, "participation_joint"),), (of_rise(0.5, "participation_joint"),)),
}


def verdict(claim_id, runs):
    return judged_alone(CLAIMS[claim_id], runs)


def test_every_claim_has_its_cases():
    assert set(CASES) == set(CLAIMS)


@pytest.mark.parametrize("claim_id", CASES)
def test_a_claim_holds_where_it_is_true_and_fails_where_it_is_false(claim_id):
    assert_decides(CLAIMS[claim_id], *CASES[claim_id])


def test_numbers_are_those_that_were_put_in():
    assert verdict("M1-later", CASES["M1-later"][0]).value == pytest.approx(2, rel=0.1)
    assert verdict("M2", CASES["M2"][0]).value == pytest.approx(1.35, rel=0.01)
    assert verdict("M5", CASES["M5"][0]).value == pytest.approx(0.09, abs=0.01)
    # a tenth of the rise at a tenth of the run; grokking at 0.4 to 0.44 of it
    assert verdict("M6", (of_rise(0.0),)).value == pytest.approx(0.1 / 0.42, rel=0.2)
    assert verdict("M9", CASES["M9"][0]).value == pytest.approx(np.sqrt(0.5 * 0.6) / 0.7, rel=0.01)
    assert verdict("M12", CASES["M12"][0]).value == pytest.approx(50, rel=0.01)


def test_the_paper_passes_the_conformance_suite():
    check_paper(PAPER, examples=false_runs(CLAIMS, CASES))


def test_the_printed_settings():
    spec, _ = PAPER.experiment("gd").under("paper")
    table = spec.task.model_dump(include={"p", "train_fraction", "operator_token", "equals_token"})
    assert table == {"p": 97, "train_fraction": 0.49, "operator_token": False, "equals_token": False}
    assert spec.model.n_parameters(spec.task.input_shape, spec.task.n_outputs) == 3 * 500 * 97
    assert spec.steps_per_epoch == 1
    for one in PAPER.experiments:
        for profile in ("paper", "quick"):
            assert one.under(profile)[0].optimizer.model_dump()["weight_decay"] == 0, one.name


def test_figures_are_drawn_of_trained_networks(tmp_path):
    """Of tiny runs: the weights of figure 2 are those of the networks."""
    tiny = ("task.p=7", "model.widths=[12]", "steps=4", "schedule.measures=['every 2 steps']")
    runs = {
        name: train(PAPER.experiment(name).experiment.with_(*tiny), seeds=2, out=tmp_path / name)
        for name in ("gd", "adamw")
    }
    runs |= {
        "analytic": drawn("analytic", 0.9, 0.01),
        "gd-fractions": by_fraction("gd-fractions", 0.7),
        "adamw-fractions": by_fraction("adamw-fractions", 0.6),
    }
    for figure in PAPER.figures:
        drawing = figure.draw(runs, "grokscope reproduce gromov-modular")
        assert any(axis.lines or axis.patches for axis in drawing.axes), figure.id
        if figure.id == "figure-2":
            dots = [line for line in drawing.axes[0].lines if line.get_label() == "end"]
            weights = runs["adamw"].networks([4], [0])["hidden_weight"].reshape(2, 7, 12)[0]
            shown = np.asarray(dots[0].get_ydata())
            assert any(np.allclose(shown, weights[:, j]) for j in range(12))
