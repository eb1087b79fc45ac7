"""Lazy to rich: claims on made-up curves, evidence against numbers by hand, one tiny run of the analysis."""

import numpy as np
import pytest

from grokscope.papers import check_paper, find_paper, made_up_run
from grokscope.papers import lazy_to_rich as paper
from grokscope.spec.schedule import Schedule
from paper_tests import assert_decides, false_runs

PAPER = find_paper("lazy-to-rich")
CLAIMS = {claim.id: claim for claim in PAPER.claims}


def run(name, last=20_000, *, seeds=12, points="log 24", **curves):
    steps = Schedule.parse(points).points(1, last)
    return made_up_run(PAPER.experiment(name), curves, seeds=seeds, steps=steps, profile="quick")


def terms(linear, misalignment, variance=0.01, seeds=12, cell=0.0):
    """Moments [seed, step, term] of curves [step]; seeds differ by thousandths, otherwise in each cell."""
    parts = np.broadcast_arrays(variance + 0 * linear, misalignment, linear)
    time = np.linspace(0, 1, len(linear))
    own = np.random.default_rng(round(1000 * cell)).normal(size=(seeds, 1, 1))
    scatter = 1 + 1e-3 * own * time[:, None]
    return np.stack(parts, axis=-1)[None] * scatter


def falling(steps, time, start=1.0, floor=1e-6):
    return start * np.exp(-steps / time) + floor


def of_polynomial(bump=1.0, share=1.0, end=0.0, grown=3.0, deviation=0.001):
    """A bump of height ``bump`` of which a share is the linear term, and losses that end at ``end``."""

    def moments(steps):
        shape = steps / 500 * np.exp(1 - steps / 500)
        late = np.exp(-steps / 3000)
        return terms(share * bump * shape, (0.5 - end) * late + end + (1 - share) * bump * shape)

    return run(
        "polynomial",
        10_000,
        train_loss=lambda steps: falling(steps, 300),
        moment_error=moments,
        test_loss=lambda steps: (
            moments(steps).sum(axis=-1) * (1 + deviation * np.linspace(0.9, 1.1, 12)[:, None])
        ),
        weight_norm=lambda steps: 1 + (grown - 1) * np.outer(np.linspace(0.99, 1.01, 12), steps / steps[-1]),
    )


def of_sweep(name, axis, train, test, turn=0.1, end=1e-6, last=20_000, height=0.0):
    """Losses that fall in times (of the cell's value) for training and test."""

    def moments(steps, **cell):
        value = cell[axis]
        shape = steps / 50 * np.exp(1 - steps / 50)
        floor = end(value) if callable(end) else end
        return terms(height * shape, falling(steps, test(value), floor=floor), 0.0, cell=value)

    return run(
        name,
        last,
        train_loss=lambda steps, **cell: falling(steps, train(cell[axis])),
        moment_error=moments,
        kernel_distance=lambda steps, **cell: turn(cell[axis]) if callable(turn) else turn,
    )


def of_laziness(power, start=1.0, name="laziness", end=1e-6, height=0.0):
    """A delay exp(start) alpha^power times as long."""
    factor = np.exp(start) / 0.125**power
    return of_sweep(
        name,
        "output_scale",
        lambda a: 20.0,
        lambda a: 20 * factor * a**power,
        turn=lambda a: 0.3 / a,
        end=end,
        height=height,
    )


def of_alignment(power, train_power, ends, name="alignment"):
    return of_sweep(
        name,
        "curvature",
        lambda e: 20 * e**train_power,
        lambda e: 20 * e**train_power + 100 * e**power,
        end=lambda e: 1e-3 * e**ends,
        last=10_000,
    )


def of_pairs(factor_start, factor_label):
    """The second cell and the last one differ from the first by factors."""
    labels = [label for *_, label in paper._PAIRS]

    def loss(steps, output_scale, **rest):
        return falling(steps, 300)

    made = run("equivalence", 6000, train_loss=loss, test_loss=loss)
    test = made.measures["test_loss"].transpose("output_scale", "seed", "step")
    factors = np.ones((len(labels), test.sizes["seed"], 1))
    factors[1] = np.linspace(0.99, 1.01, test.sizes["seed"])[:, None] * factor_start
    factors[4] = factor_label * labels[4] ** 2
    made.measures["test_loss"] = test.copy(data=test.to_numpy() * factors)
    return made


def of_samples(fails=0.8, groks=0.3, at_once=0.0):
    def moments(steps, n_train):
        shape = steps / 500 * np.exp(1 - steps / 500)
        late = np.exp(-steps / 1000)
        height, end = {50: (0.2, fails), 120: (0.3, groks), 500: (at_once, 0.0)}[n_train]
        return terms(height * shape, 0.5 * late + end * (1 - late), 0.0, seeds=40)

    return run(
        "samples", 6000, seeds=40, train_loss=lambda steps, n_train: falling(steps, 100), moment_error=moments
    )


def of_limit(large, small):
    def value(steps, output_scale):
        return large if output_scale > 30 else small

    return run("lazy-limit", 4000, gap_to_regression=value, gap_to_descent=value, train_loss=1e-9)


def of_modular(late):
    from grokscope.papers import jump

    return run(
        "modular",
        3000,
        points="every 20 steps",
        train_accuracy=lambda steps: jump(steps, np.linspace(900, 1100, 12)),
        test_accuracy=lambda steps: jump(steps, late * np.linspace(900, 1200, 12)),
    )


def of_teacher(power):
    def loss(time):
        return lambda steps, output_scale: falling(steps, time(output_scale), 0.02, 1e-7)

    return run("teacher", train_loss=loss(lambda a: 50), test_loss=loss(lambda a: 200 * a**power))


def of_transformer(delays):
    from grokscope.papers import jump

    made = run(
        "transformer",
        30_000,
        points="every 100 steps",
        train_accuracy=lambda steps, **cell: jump(steps, 500),
        test_accuracy=lambda steps, **cell: jump(steps, 500),
    )
    test = made.measures["test_accuracy"].transpose("output_scale", "seed", "step")
    times = 500 * np.exp(np.array(delays)[:, None] + np.random.default_rng(0).uniform(0, 0.2, test.shape[:2]))
    made.measures["test_accuracy"] = test.copy(data=jump(test["step"].to_numpy(), times))
    return made


RIGHT, WRONG = of_polynomial(), of_polynomial(bump=0.01, share=0.3, end=0.5, grown=0.9, deviation=0.2)
ALIGNED, OTHERWISE = of_alignment(-1.0, -1.5, 0.5), of_alignment(0.5, 0.0, -0.5)
SAME, CENTERED = of_laziness(0.25), of_laziness(0.27, name="laziness-centered", end=1e-3)
# of every claim the runs by which it is judged where it is true, and where it is false
CASES = {
    **dict.fromkeys(("Z1", "Z2-falls", "Z4"), ((RIGHT,), (WRONG,))),
    "Z2": ((RIGHT,), (of_polynomial(bump=0.1),)),
    "Z3": ((RIGHT,), (of_polynomial(share=0.3),)),
    "Z5": ((SAME,), (of_laziness(-0.1),)),
    "Z5-none": ((of_laziness(0.25, start=0.1),), (SAME,)),
    "Z5-flat": ((SAME,), (of_laziness(0.25, height=3.0),)),
    "Z5-kernel": (
        (CENTERED,),
        (of_sweep("laziness-centered", "output_scale", lambda a: 20, lambda a: 50, turn=lambda a: 0.1 * a),),
    ),
    **dict.fromkeys(("Z6", "Z6-loss"), ((ALIGNED,), (OTHERWISE,))),
    "Z6-ratio": ((of_alignment(-1.0, -1.5, 0.5),), (of_alignment(-1.0, 0.0, 0.5),)),
    "Z6-centered": (
        (of_alignment(-1.0, -1.5, 0.5, "alignment-centered"),),
        (of_alignment(-1.0, -1.5, -0.5, "alignment-centered"),),
    ),
    "Z7-label": ((of_pairs(1.0, 1.0),), (of_pairs(1.0, 1.5),)),
    **dict.fromkeys(("Z7-start", "Z7-end"), ((of_pairs(1.02, 1.0),), (of_pairs(1.5, 1.0),))),
    "Z8": ((of_samples(),), (of_samples(at_once=0.5),)),
    "Z10": ((of_limit(0.02, 0.5),), (of_limit(0.5, 0.5),)),
    "Z10-rich": ((of_limit(0.02, 0.5),), (of_limit(0.02, 0.02),)),
    "Z11": ((CENTERED, SAME), (of_laziness(0.8, name="laziness-centered"), SAME)),
    "Z11-large": ((CENTERED, SAME), (of_laziness(0.25, name="laziness-centered", end=9e-7), SAME)),
    "Z12": ((of_modular(1.8),), (of_modular(1.0),)),
    "Z13": ((of_teacher(0.3),), (of_teacher(-0.2),)),
    "Z14": ((of_transformer((0.0, 2.0, 0.0, 2.0)),), (of_transformer((0.0, 0.0, 0.0, 0.0)),)),
}


def test_every_claim_has_its_cases():
    assert set(CASES) == set(CLAIMS)


@pytest.mark.parametrize("claim_id", CASES)
def test_a_claim_holds_where_it_is_true_and_fails_where_it_is_false(claim_id):
    assert_decides(CLAIMS[claim_id], *CASES[claim_id])


def test_the_paper_is_complete_and_every_claim_can_fail():
    # runs on which several claims are false are given once
    every = {id(false[0]): name for name, (_, false) in CASES.items()}.values()
    check_paper(PAPER, false_runs(CLAIMS, {name: CASES[name] for name in every}))


def test_a_delay_that_is_not_over_counts_to_the_end_of_training():
    made = of_sweep("laziness", "output_scale", lambda a: 100.0, lambda a: 100 * a**2, end=0.0)
    cell = made.measures.sel(output_scale=0.5, method="nearest").isel(seed=[0])
    # ln 4 times 100, and 25: both losses are exponentials; times are interpolated
    train, test = paper.learned(cell)
    assert float(train[0]) == pytest.approx(100 * np.log(4), rel=1e-3)
    assert float(test[0]) == pytest.approx(25 * np.log(4), rel=1e-3)
    made = of_sweep("laziness", "output_scale", lambda a: 100.0, lambda a: 1e9)
    assert paper.learned(made.measures.isel(output_scale=0))[1].tolist() == [20_000] * 12


def test_a_slope_is_that_of_a_power():
    made = of_laziness(0.25, start=1.0)
    np.testing.assert_allclose(paper.slope(made.measures, "output_scale", paper.log_delay), 0.25, atol=0.01)
    np.testing.assert_allclose(
        paper.at(made.measures, "output_scale", 0.125, paper.log_delay), 1.0, atol=0.01
    )


def test_rates_of_equal_cells_are_equal():
    """(alpha, sigma) = (4, 1) and (1, 2) have the same rate for w / sigma: rate / sigma^2 times alpha^2."""
    from grokscope.papers import SweepExperiment

    sweep = PAPER.experiment("equivalence")
    assert isinstance(sweep, SweepExperiment)
    cells = [cell.experiment for cell in sweep.grid("quick").cells()]
    for (alpha, sigma, label), spec in zip(paper._PAIRS, cells, strict=True):
        assert spec.optimizer.learning_rate == pytest.approx(0.5 * 250 / (alpha * sigma) ** 2)
        assert spec.task.teacher_scale**2 == pytest.approx(label / 2)


def test_pairs_are_found_by_their_values():
    """A sweep orders its cells by their first value, `_PAIRS` does not."""
    made = of_pairs(1.5, 2.0).measures
    for first, second in ((0, 1), (2, 3), (0, 4)):
        found = [paper.pair_difference(one, first, second) for one in (made, made.sortby("output_scale"))]
        np.testing.assert_array_equal(*found)


def test_an_experiment_and_its_analysis_run(tmp_path):
    from grokscope import train
    from grokscope.papers._experiments import Analysis
    from grokscope.progress import SilentProgress

    spec = PAPER.experiment("lazy-limit").experiment
    spec = spec.with_("task.d=6", "task.n_train=10", "task.n_test=20", "model.of.width=20", "steps=300")
    spec = spec.with_("model.output_scale=100.0", f"optimizer.learning_rate={0.5 * 20 / 100**2}")
    found = train(spec, seeds=2, out=tmp_path / "run")
    (analysis,) = PAPER.experiment("lazy-limit").analyses
    assert isinstance(analysis, Analysis)
    analysis.take(found, SilentProgress())
    gaps = [found.measures[name].isel(step=-1) for name in ("gap_to_descent", "gap_to_regression")]
    assert gaps[0].shape == (2,)
    assert float(gaps[0].max()) < 0.02
    assert (gaps[0] <= gaps[1] + 0.01).all()
