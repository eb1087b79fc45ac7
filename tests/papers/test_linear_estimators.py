"""Grokking in linear estimators: the theory against oracles, claims on made-up curves, one tiny run."""

import math

import numpy as np
import pytest
from scipy.special import hyp0f1

from grokscope.papers import check_paper, find_paper, made_up_run
from grokscope.papers import linear_estimators as paper
from grokscope.spec.schedule import Schedule
from paper_tests import assert_decides, false_runs

PAPER = find_paper("linear-estimators")
CLAIMS = {claim.id: claim for claim in PAPER.claims}
LAW = 1000 / 1111


def run(name, last, *, points="log 32", **curves):
    steps = Schedule.parse(points).points(1, last)
    return made_up_run(PAPER.experiment(name), curves, seeds=30, steps=steps, profile="quick")


def of_ratio(factor=1.0, speed=1.0, deviation=1e-9, floor=0.0, last=40_000):
    """Both losses of the theory, times a factor, at another speed, and above a floor."""

    def loss(split):
        def curve(steps, n_train):
            theory = paper.theory_loss(split, 1000 / n_train, speed * steps.astype(float))
            return factor * np.maximum(theory, floor)

        return curve

    return run(
        "ratio",
        last,
        train_loss=loss("train"),
        population_loss=loss("population"),
        eigenvalue_deviation=deviation,
    )


def of_outputs(speed):
    """With m outputs as in the theory at lambda = 0.9, at a speed for each m."""

    def loss(split):
        def curve(steps, outputs, **rest):
            return paper.theory_loss(split, LAW, speed(outputs) * steps.astype(float)) / outputs

        return curve

    return run("outputs", 60_000, train_loss=loss("train"), population_loss=loss("population"))


def of_decay(factor):
    def loss(split):
        return lambda steps, weight_decay, n_train: np.full(
            len(steps), factor * paper.decayed_loss(split, 1000 / n_train, weight_decay)
        )

    return run("decay", 200_000, points="ends", train_loss=loss("train"), population_loss=loss("population"))


def of_two_layers(name, speed, start):
    def loss(split):
        return lambda steps: start * paper.theory_loss(split, 0.5, speed * steps.astype(float), 0.1 / 50)

    return run(name, 8000, points="log 64", train_loss=loss("train"), population_loss=loss("population"))


def of_gd(name, factor):
    return run(
        name, 3000, points="log 4", train_loss=0.5, population_loss=lambda steps: 0.5 * factor / steps.clip(1)
    )


RIGHT, WRONG = of_ratio(), of_ratio(factor=1.2, speed=1.5, deviation=0.1)
# of every claim the runs by which it is judged where it is true, and where it is false
CASES = {
    **{f"E1-{one:g}": ((RIGHT,), (WRONG,)) for one in (0.1, 0.5, 0.9, 1.5)},
    "E2": ((RIGHT,), (WRONG,)),
    "E3": ((RIGHT,), (of_ratio(floor=0.4),)),
    **{f"E4-{one:g}": ((RIGHT,), (WRONG,)) for one in (0.1, 0.5, 0.9)},
    **{f"E5-{one:g}": ((RIGHT,), (of_ratio(speed=0.3, last=100_000),)) for one in (0.1, 0.5, 0.9)},
    "E6": (
        (RIGHT,),
        (
            run(
                "ratio",
                40_000,
                train_loss=lambda steps, n_train: np.exp(-steps / 10.0),
                population_loss=lambda steps, n_train: np.exp(-steps / (100.0 + n_train / 100)),
            ),
        ),
    ),
    "E7": ((of_outputs(lambda m: 1),), (of_outputs(lambda m: m**2 if m < 700 else 1 / 50),)),
    "E7-few": ((of_outputs(lambda m: 1),), (of_outputs(lambda m: m),)),
    "E7-many": ((of_outputs(lambda m: 1),), (of_outputs(lambda m: 1 if m < 700 else 1 / 50),)),
    **{
        f"E8-{split}-{decay:g}": ((of_decay(1.0),), (of_decay(2.0),))
        for split in ("train", "population")
        for decay in (1e-3, 1e-2)
    },
    **{f"E9-{split}": ((of_decay(1.0),), (of_decay(2.0),)) for split in ("train", "population")},
    "E10-100": ((of_two_layers("two-layer-100", 1, 0.1),), (of_two_layers("two-layer-100", 3, 0.1),)),
    "E10-20": ((of_two_layers("two-layer-20", 1, 0.1),), (of_two_layers("two-layer-20", 3, 0.1),)),
    "E10-lazy": ((of_two_layers("two-layer-lazy", 1, 1e-3),), (of_two_layers("two-layer-lazy", 3, 1e-3),)),
    "E11": ((RIGHT,), (WRONG,)),
    "E12": (
        (of_gd("gd", 1.0), of_gd("gd-eigenbasis", 1.0)),
        (of_gd("gd", 1.0), of_gd("gd-eigenbasis", 1.1)),
    ),
}
CASES["E12"] = (  # the same arrays: made-up numbers are scattered by a millionth
    (CASES["E12"][0][0], CASES["E12"][0][0]),
    CASES["E12"][1],
)


def test_every_claim_has_its_cases():
    assert set(CASES) == set(CLAIMS)


@pytest.mark.parametrize("claim_id", CASES)
def test_a_claim_holds_where_it_is_true_and_fails_where_it_is_false(claim_id):
    assert_decides(CLAIMS[claim_id], *CASES[claim_id])


def test_the_paper_is_complete_and_every_claim_can_fail():
    check_paper(PAPER, false_runs(CLAIMS, CASES))


def test_losses_are_the_closed_form_of_the_paper():
    """Equation 9: E[nu e^{-4 eta nu t}] is e^{-4 eta (lambda + 1) t} 0F1(2; 16 eta^2 t^2 lambda)."""
    times, law = np.array([0.0, 10, 100, 300]), 0.3
    s = 4 * 0.01 * times
    wanted = np.exp(-(law + 1) * s) * hyp0f1(2, s**2 * law)
    np.testing.assert_allclose(paper.theory_loss("train", law, times), wanted, rtol=1e-10)


def test_the_population_loss_falls_by_four_eta_times_the_training_loss():
    times = np.linspace(0, 200, 4001)
    train, population = (paper.theory_loss(split, 0.5, times) for split in ("train", "population"))
    fallen = population[0] - population[-1]
    assert fallen == pytest.approx(4 * 0.01 * np.trapezoid(train, times), rel=1e-5)


def test_plateaus_are_those_without_decay_times_the_right_factor():
    """For gamma -> 0: gamma^2 / 8 times E[1 / nu] = 1 / (1 - lambda), and E[1 / nu^2] = (1 - lambda)^-3."""
    for split, power in (("train", 1), ("population", 3)):
        assert paper.decayed_loss(split, 0.5, 1e-5) == pytest.approx(1e-10 / 8 / 0.5**power, rel=1e-3)
    assert paper.decayed_loss("train", 0.5, 1e-3, 0.0) == pytest.approx(1.0)


@pytest.mark.parametrize("outputs", [1, 50])
def test_the_loss_to_learn_gives_two_standard_deviations(outputs):
    drawn = np.random.default_rng(0).normal(size=(40_000, outputs))
    error = paper.loss_to_learn(outputs) * np.mean(drawn**2, axis=1)
    assert np.mean(error < 1e-3) == pytest.approx(math.erf(math.sqrt(2)), abs=0.004)


def test_an_experiment_and_its_analysis_run(tmp_path):
    from grokscope import train
    from grokscope.papers._experiments import Analysis
    from grokscope.progress import SilentProgress

    spec = PAPER.experiment("ratio").experiment.with_("task.d=20", "task.n_train=40", "steps=300")
    found = train(spec, seeds=2, out=tmp_path / "run")
    (analysis,) = PAPER.experiment("ratio").analyses
    assert isinstance(analysis, Analysis)
    analysis.take(found, SilentProgress())
    deviation = found.measures["eigenvalue_deviation"].isel(step=-1)
    # 1e-14 as users compile; the quick compiler of the tests has coarser exponentials
    assert deviation.shape == (2,)
    assert float(deviation.max()) < 1e-6
