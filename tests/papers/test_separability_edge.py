"""Grokking at the edge of linear separability: the two-point model, claims on made-up runs, one tiny run."""

import math

import numpy as np
import pytest

from grokscope import train
from grokscope.papers import check_paper, find_paper, made_up_run
from grokscope.papers import separability_edge as paper
from grokscope.progress import SilentProgress
from grokscope.statistics import separable_probability
from paper_tests import assert_decides, false_runs

PAPER = find_paper("separability-edge")
CLAIMS = {claim.id: claim for claim in PAPER.claims}
SEEDS = 40
RNG = np.random.default_rng(0)


def run(name, seeds=SEEDS, **curves):
    return made_up_run(PAPER.experiment(name), curves, seeds=seeds, profile="quick")


def scattered(value, spread=1e-3):
    """A curve [seed, step] that is flat, at another height for each seed."""
    heights = value + spread * RNG.standard_normal((SEEDS, 1))
    return lambda steps, **cell: np.repeat(heights, len(steps), axis=1)


def wendel(shift):
    def separable(steps, d):
        share = np.clip(separable_probability(200, d) + shift, 0, 1)
        return np.repeat((np.arange(400) < round(400 * share)).astype(float)[:, None], len(steps), axis=1)

    return run("wendel", seeds=400, separable=separable)


def curves(right):
    """Members above lambda = 1/2 have the margin 0.1; their accuracy is its, or another one."""

    def accuracy(steps, d):
        limit = float(paper.limit_accuracy(np.array(0.1))) if right else 0.9995
        heights = (1.0 if d < 250 else limit) + 1e-4 * RNG.standard_normal((SEEDS, 1))
        return np.repeat(np.where(d < 250, 1.0, heights), len(steps), axis=1)

    def margin(steps, d):
        return np.full((SEEDS, len(steps)), 0.0 if d < 250 else 0.1)

    def rise(steps, d):
        """Up again by a factor of 2 to 6, or by 5 %."""
        height = (1 + 4 * RNG.random((SEEDS, 1))) if right else 0.05 * RNG.random((SEEDS, 1))
        return 1 + height * steps / steps[-1] + 0.01 * (steps == 0)

    def fall(steps, d):
        share = steps / steps[-1]
        change = share * (1 + 0.5 * RNG.random((SEEDS, 1)))
        return 2 - change if right else 2 + change

    return run(
        "curves", population_accuracy=accuracy, hard_margin=margin, population_loss=rise, train_loss=fall
    )


def of_map(extra):
    """Times that grow with lambda and with sigma, and by a factor for both together."""

    def accuracy(steps, d, sigma):
        at = 2000 * (2.0 if d == 240 else 1.0) * (2.0 if sigma == 5 else 1.0)
        at *= extra if (d, sigma) == (240, 5.0) else 1.0
        return 1.0 * (steps >= at * (1 + RNG.random((SEEDS, 1))))

    return run("map", population_accuracy=accuracy)


def plateau(name, until):
    """Fitted at once; accuracy is a half until a step."""
    at = until * (1 + 0.1 * RNG.random((SEEDS, 1)))
    return run(name, train_accuracy=1.0, population_accuracy=lambda steps: np.where(steps < at, 0.5, 0.9))


def flipped(drop, rise):
    def accuracy(steps, flipped):
        return np.repeat(
            (0.95 - drop * (flipped == 0.05)) + 0.01 * RNG.random((SEEDS, 1)), len(steps), axis=1
        )

    return run(
        "label-fraction",
        population_accuracy=accuracy,
        population_loss=lambda steps, flipped: 1 + rise * steps * (1 + RNG.random((SEEDS, 1))),
    )


def two_points(slope, finite, last):
    ends = {f"two_point_last_{i}": last for i in range(6)}
    return run("two-point", two_point_slope=slope, two_point_slope_finite=finite, **ends)


RIGHT, WRONG = two_points(0.72, 0.2, 1.0), two_points(0.5, 0.6, 0.9)
# of every claim the runs by which it is judged where it is true, and where it is false
CASES = {
    "S1": ((wendel(0.0),), (wendel(0.2),)),
    **{name: ((curves(True),), (curves(False),)) for name in ("S2", "S3", "S4", "S4-train")},
    "S5": ((of_map(3.0),), (of_map(0.5),)),
    **dict.fromkeys(("S6", "S6-finite", "S8"), ((RIGHT,), (WRONG,))),
    "S7": (
        (run("no-bias", path_deviation=scattered(0.005)),),
        (run("no-bias", path_deviation=scattered(0.1)),),
    ),
    "S9": (
        (plateau("adam", 5000), plateau("adam-gd", 0)),
        (plateau("adam", 2000), plateau("adam-gd", 10_000)),
    ),
    "S10": ((flipped(0.2, 1e-4),), (flipped(0.0, 1e-4),)),
    "S10-loss": ((flipped(0.2, 1e-4),), (flipped(0.2, 1e-6),)),
}


def test_every_claim_has_its_cases():
    assert set(CASES) == set(CLAIMS)


@pytest.mark.parametrize("claim_id", CASES)
def test_a_claim_holds_where_it_is_true_and_fails_where_it_is_false(claim_id):
    assert_decides(CLAIMS[claim_id], *CASES[claim_id])


def test_the_paper_is_complete_and_every_claim_can_fail():
    check_paper(PAPER, false_runs(CLAIMS, CASES))


def test_the_two_point_model_has_the_limit_of_small_tolerances():
    """With S at its end, t_gen / t_tr is e^{S^2 / 2} over the mean of e^{S x}."""
    for law in (0.4, 0.48):
        s = paper.largest_slope(law)
        wanted = s**2 / 2 - math.log((math.exp(-s) + math.exp(s * (1 - 2 * law))) / 2)
        found = paper.two_point(law, -3000.0)
        assert found.last == pytest.approx(s, rel=1e-6)
        assert found.log_ratio == pytest.approx(wanted, rel=1e-6)
        # the end is where the force on S is 0
        assert -math.exp(-s) + (1 - 2 * law) * math.exp(s * (1 - 2 * law)) == pytest.approx(0.0, abs=1e-12)


def test_the_two_point_model_is_that_of_small_steps():
    """Plain Euler steps in t at epsilon = 0.1."""
    x = np.array([-1.0, 0.2])
    s, b, t, h, seen = 0.0, 0.0, 0.0, 2e-3, {}
    while "population" not in seen:
        each = np.exp(s * x + b) / 2
        for name, log_loss in (("train", math.log(each.sum())), ("population", b + s**2 / 2)):
            if log_loss < math.log(0.1):
                seen.setdefault(name, t)
        s, b, t = s - h * float(each @ x), b - h * float(each.sum()), t + h
    wanted = math.log(seen["population"] / seen["train"])
    assert paper.two_point(0.4, math.log(0.1)).log_ratio == pytest.approx(wanted, rel=2e-3)


def test_experiments_and_analyses_run(tmp_path):
    """No bias: S in conformal time; and a margin that is read from the member's own data."""
    one = PAPER.experiment("no-bias")
    found = train(
        one.experiment.with_("task.d=10", "task.n_train=30", "steps=60"), seeds=2, out=tmp_path / "run"
    )
    for analysis in (*one.analyses, *PAPER.experiment("curves").analyses):
        analysis.take(found, SilentProgress())
    ends = found.measures.isel(step=-1)
    assert float(ends["path_deviation"].max()) < 0.01
    assert ends["hard_margin"].shape == (2,)
