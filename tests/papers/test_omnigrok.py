"""Omnigrok: claims on made-up runs, numbers by hand, the published settings, tiny runs."""

import numpy as np
import pytest
import xarray as xr

from grokscope import train
from grokscope.claims import NotTestable, gather
from grokscope.papers import check_paper, find_paper, jump, made_up_run
from grokscope.papers import omnigrok as paper
from grokscope.runs.prepare import member_data
from grokscope.spec.streams import Members
from paper_tests import assert_decides, judged_alone

PAPER = find_paper("omnigrok")
CLAIMS = {claim.id: claim for claim in PAPER.claims}
SEEDS = 8
STEPS = np.unique(np.geomspace(1, 100_000, 400).astype(int))


def luck(*what):
    """Factors near 1, other ones in each cell, [seed, 1]."""
    own = np.random.default_rng(list(repr(what).encode()))
    return np.exp(0.02 * own.normal(size=(SEEDS, 1)))


def run(name, steps=None, **curves):
    return made_up_run(PAPER.experiment(name), curves, seeds=SEEDS, profile="quick", steps=steps)


def flat(function):
    """A curve that does not change with steps: a function of the cell, times luck of the seed."""
    return lambda steps, **cell: function(**cell) * luck(cell) + 0 * steps


def landscape(
    test=lambda a: 1e-5 * a**0 if 0.5 < a < 0.7 else 1e-5 * (a / 0.63) ** 4 + 1e-4 / a**2, train=None
):
    train = train or (lambda a: 1e-7 if a > 0.5 else 1.6e-2 * (0.1 / a) ** 3)
    return run(
        "landscape",
        test_loss=flat(lambda init_scale: test(init_scale)),
        train_loss=flat(lambda init_scale: train(init_scale)),
    )


def events(name, fit, generalize, strict=lambda g: 3.0):
    """Accuracies within both tolerances that jump at steps that are functions of the weight decay.

    With the tolerance of 0.001 it takes ``strict`` times as long to generalize.
    """

    def at(time, factor=lambda g: 1.0):
        return lambda steps, weight_decay: jump(
            steps, time(weight_decay) * factor(weight_decay) * luck(name, weight_decay)[:, 0], 0.0, 1.0
        )

    return run(
        name,
        STEPS,
        **{
            "train_tolerance_accuracy_0.01": at(fit),
            "test_tolerance_accuracy_0.01": at(generalize),
            "train_tolerance_accuracy": at(fit, lambda g: 2.0),
            "test_tolerance_accuracy": at(generalize, strict),
        },
    )


def law(power=-1.0, fit=0.0, **more):
    """Times that are powers of the weight decay."""
    return events("decay", lambda g: 200 * max(g, 1e-9) ** fit, lambda g: 500 * max(g, 1e-9) ** power, **more)


def addition(name, fit, generalize, norm=lambda x: 1 + x - 1.5 * x**2):
    def at(time):
        return lambda steps: jump(steps, time * luck(time)[:, 0], 0.0, 1.0)

    return run(
        name,
        train_accuracy=at(fit),
        test_accuracy=at(generalize),
        weight_norm=lambda steps: (
            30 * norm(steps / steps[-1]) * (1 + 0.2 * (luck(name) - 1) * steps / steps[-1])
        ),
    )


def digits(end):
    """Test accuracy climbs with the logarithm of steps, to 1 at a step that is a function of alpha."""

    def test(steps, init_scale):
        last = end(init_scale) * luck(init_scale)
        return np.clip(np.log(np.maximum(steps, 1)) / np.log(last), 0, 1)

    def fit(steps, **cell):
        return jump(steps, 300)

    return run("digits", STEPS[STEPS <= 30_000], train_accuracy=fit, test_accuracy=test)


def images(rise):
    """A test loss that falls to 0.01 and rises by a factor until the end."""

    def loss(steps, **cell):
        x = steps / steps[-1]
        return np.where(x < 0.5, 1 - 1.98 * x, 0.01 * (rise * luck(cell)) ** (2 * x - 1))

    return run("digits-landscape", test_loss=loss)


def test_the_best_loss_is_that_of_the_steps_at_which_a_cell_was_measured():
    """Two cells at other steps: log10 of 0.4 / 0.1 and of 0.2 / 0.2, the mean is log10(4) / 2."""
    loss = [[[[0.1, np.nan, 0.4]], [[np.nan, 0.3, 0.2]]]]
    dims = ("init_scale", "n_train", "seed", "step")
    measures = xr.Dataset(
        {"test_loss": (dims, loss)}, {"init_scale": [10.0], "n_train": [100, 1000], "step": [0, 1, 2]}
    )
    np.testing.assert_allclose(paper.last_over_best(measures, 10.0), [np.log10(4) / 2])


GOOD, LAW = landscape(), law()
FREE = addition("free", 200, 4000)
SMALL = events("small-init", lambda g: 500, lambda g: 600)
# of every claim the runs by which it is judged where it is true, and where it is false
CASES = {
    "N1": ((GOOD,), (landscape(test=lambda a: 1.0 / a),)),
    "N2": ((landscape(test=lambda a: 1e-5 + a * (a > 9)),), (landscape(test=lambda a: 0.1 + a * (a > 9)),)),
    "N2-left": ((GOOD,), (landscape(test=lambda a: 0.1 if a < 0.2 else 0.05),)),
    "N3": ((GOOD,), (landscape(train=lambda a: 0.01),)),
    "N3-left": ((GOOD,), (landscape(train=lambda a: 1e-6),)),
    "N4": ((LAW,), (law(-0.5),)),
    "N4-strict": ((LAW,), (law(-0.5),)),
    "N5": ((LAW,), (law(fit=-0.4),)),
    "N6": ((SMALL,), (events("small-init", lambda g: 500, lambda g: 500 if g else 4000),)),
    "N6-never": ((LAW,), (law(0.0),)),
    "N6-slowly": ((LAW,), (law(0.0),)),
    "N6-fast": ((LAW,), (events("decay", lambda g: 10, lambda g: 5000),)),
    "N7": (
        (addition("held-norm", 200, 300), FREE),
        (addition("held-norm", 200, 1900), addition("free", 200, 2500)),
    ),
    "N8": ((FREE,), (addition("free", 200, 4000, lambda x: 1 + x),)),
    "N8-peak": ((FREE,), (addition("free", 200, 4000, lambda x: 1 + x / 200),)),
    "N9": ((digits(lambda alpha: 3000 * alpha),), (digits(lambda alpha: 3000),)),
    "N10": ((LAW,), (law(strict=lambda g: 3 * max(g, 1e-9) ** -0.3),)),
    "N11": ((images(1.0),), (images(3.0),)),
    "N12": ((LAW,), (law(-0.5),)),
}


def verdict(claim_id, runs):
    return judged_alone(CLAIMS[claim_id], runs)


@pytest.mark.parametrize("claim_id", CLAIMS)
def test_a_claim_holds_where_it_is_true_and_fails_where_it_is_false(claim_id):
    assert_decides(CLAIMS[claim_id], *CASES[claim_id])


def test_numbers_are_those_that_were_put_in():
    found = {claim_id: verdict(claim_id, CASES[claim_id][0]).value for claim_id in CASES}
    assert found["N1"] == pytest.approx(np.log10(0.631), abs=1e-3)
    assert found["N2"] == pytest.approx(6, abs=0.03)
    assert found["N2-left"] == pytest.approx(np.log10(1e-4 / 0.01 / 1e-5), abs=0.03)
    assert found["N3-left"] == pytest.approx(np.log10(1.6e-2), abs=0.03)
    assert found["N4"] == pytest.approx(-1, abs=0.02)
    assert found["N5"] == pytest.approx(0, abs=0.02)
    assert found["N6"] == pytest.approx(1.2, rel=0.05)
    assert found["N6-slowly"] == pytest.approx(500 / 0.03 / 200, rel=0.05)
    assert found["N6-fast"] == pytest.approx(2.5, rel=0.05)
    # 1 + x - 1.5 x^2, x = steps / 6000; over the last 1,000 steps it falls: the median is at the middle
    assert found["N8"] == pytest.approx(1 + 11 / 12 - 1.5 * (11 / 12) ** 2, abs=0.02)
    assert found["N8-peak"] == pytest.approx(1 + 1 / 6, abs=0.005)
    assert found["N10"] == pytest.approx(0, abs=0.02)
    assert found["N11"] == pytest.approx(0, abs=0.01)
    assert verdict("N11", CASES["N11"][1]).value == pytest.approx(np.log10(3), abs=0.01)
    assert verdict("N7", CASES["N7"][0]).value == pytest.approx(100 / 3800, rel=0.35)  # few points
    assert verdict("N10", CASES["N10"][1]).value == pytest.approx(-0.3, abs=0.03)


def test_a_held_norm_without_generalization_is_no_shorter_delay():
    """The held run ends earlier than the free one: the time to its end must not count as a short delay."""
    found = paper.held_over_free(addition("held-norm", 200, 10**6).measures, FREE.measures)
    assert (found >= 1).all()


def test_digits_by_hand():
    """One seed: 0.8 of the final test accuracy 0.5 at step 30, a training accuracy of 0.99 at step 10."""
    curves = {"train_accuracy": [0.1, 1.0, 1.0, 1.0], "test_accuracy": [0.1, 0.2, 0.3, 0.5]}
    one = made_up_run(
        PAPER.experiment("digits"),
        {name: lambda s, init_scale, c=curve: np.array([c]) for name, curve in curves.items()},
        seeds=1,
        profile="quick",
        steps=[0, 10, 20, 30],
    )
    assert paper.digits_delay(one.measures, 8.0) == pytest.approx([np.log10(3)])


def test_the_paper_passes_the_conformance_suite():
    examples = [dict(zip(CLAIMS[i].experiments, runs, strict=True)) for i in CASES for runs in CASES[i]]
    check_paper(PAPER, examples=examples)


def test_the_published_settings():
    """Text, Sections 3 and 4, and the notebooks."""
    decay = PAPER.experiment("decay").under("paper")[0]
    assert (decay.n_steps, decay.batch_size, decay.optimizer.learning_rate) == (100_000, "full", 3e-4)
    assert (decay.task.d, decay.task.n_train, decay.task.n_test, decay.task.outputs) == (5, 100, 100, 5)
    assert (decay.model.widths, decay.model.activation) == ((100, 100), "tanh")
    assert decay.task.teacher_widths == (100, 100)
    landscape = PAPER.experiment("landscape")
    (axis,) = landscape.grid("paper").axes
    np.testing.assert_allclose([point[0] for point in axis.points], 10 ** np.linspace(-1, 1, 11), rtol=1e-3)
    assert landscape.under("paper")[0].n_steps == 10_000
    free, held = (PAPER.experiment(name).under("paper")[0] for name in ("free", "held-norm"))
    assert (free.task.p, free.task.train_fraction, free.n_steps) == (113, 0.3, 15_000)
    assert (free.optimizer.weight_decay, held.optimizer.weight_decay) == (1.0, 0.0)
    assert held.interventions[0].norm == 0.8
    digits = PAPER.experiment("digits").under("paper")[0]
    assert (digits.batch_size, digits.n_steps, digits.optimizer.weight_decay) == (200, 100_000, 0.01)


def small(name, *more):
    spec = PAPER.experiment(name).experiment
    return spec.with_("model.widths=[6, 6]", "task.teacher_widths=[6, 6]", "task.n_train=12", *more)


@pytest.mark.slow
def test_alpha_scales_weights_and_biases_and_leaves_the_teacher(tmp_path):
    """The start at alpha is alpha times the start at 1, number by number; data and teacher are the same."""
    specs = {alpha: small("decay", f"model.init_scale={alpha}", "steps=3") for alpha in (1.0, 4.0)}
    starts = {a: train(spec, seeds=1, out=tmp_path / str(a)).networks([0], [0]) for a, spec in specs.items()}
    assert any(name.startswith("bias") for name in starts[1.0])
    for name, start in starts[1.0].items():
        np.testing.assert_array_equal(starts[4.0][name], 4 * start)
    one, four = (member_data(spec, Members.of_seeds([0])) for spec in specs.values())
    assert {"teacher.weights.0", "teacher.biases.1", "teacher.output_bias"} <= one.keys()
    for name, array in one.items():
        np.testing.assert_array_equal(array, four[name])


def test_the_teacher_is_never_trained(tmp_path):
    """Its arrays in a run's data, after the run, have the bits of before."""
    spec = small("decay", "steps=20")
    before = member_data(spec, Members.of_seeds([0]))
    run = train(spec, seeds=1, out=tmp_path / "run")
    after = run.data(0)
    for name in [name for name in before if name.startswith("teacher")]:
        assert np.asarray(before[name])[0].tobytes() == np.asarray(after[name]).tobytes(), name


@pytest.mark.slow
def test_the_norm_is_held_at_alpha_times_its_usual_start(tmp_path):
    norms = {}
    for alpha in (1.0, 2.0):
        spec = small("landscape", f"model.init_scale={alpha}", "steps=40", "optimizer.learning_rate=0.01")
        norm = train(spec, seeds=2, out=tmp_path / str(alpha)).measures.weight_norm.to_numpy()
        np.testing.assert_allclose(norm, norm[:, :1].repeat(norm.shape[1], 1), rtol=1e-6)
        norms[alpha] = norm[:, 0]
    np.testing.assert_allclose(norms[2.0], 2 * norms[1.0], rtol=1e-6)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """The experiments of addition, tiny, to be judged and drawn."""
    changes = ("task.p=7", "model.width=8", "model.mlp_width=8", "model.heads=2", "steps=60")
    out = tmp_path_factory.mktemp("tiny")
    specs = {name: PAPER.experiment(name).under("quick")[0].with_(*changes) for name in ("free", "held-norm")}
    return {name: train(spec, seeds=2, out=out / name) for name, spec in specs.items()}


def test_claims_on_a_run_can_be_judged_by_what_a_run_measures(tiny):
    for claim_id in ("N7", "N8", "N8-peak"):
        claim = CLAIMS[claim_id]
        found = gather(claim, *(tiny[name].measures for name in claim.experiments))
        assert not isinstance(found, NotTestable), claim_id


def test_figures_are_drawn(tiny):
    runs = {**tiny, "landscape": GOOD, "decay": LAW, "small-init": SMALL}
    runs |= {"digits": digits(lambda alpha: 3000 * alpha), "digits-landscape": images(3.0)}
    for figure in PAPER.figures:
        drawing = figure.draw(runs, "grokscope reproduce omnigrok")
        assert all(axis.lines for axis in drawing.axes), figure.id
        if figure.id == "figure-2a":
            lines = {line.get_label(): line for line in drawing.axes[0].lines}
            best = lines["test"].get_xdata()[np.argmin(lines["test"].get_ydata())]
            assert best == pytest.approx(0.631, abs=1e-3)
        if figure.id == "figure-2c":
            lines = {line.get_label(): line for line in drawing.axes[0].lines}
            np.testing.assert_allclose(lines["test"].get_ydata(), lines["1 / decay"].get_ydata(), rtol=0.1)


@pytest.mark.slow
def test_the_stored_losses_of_the_notebook(tmp_path):
    """Test loss after 10,000 steps at three of the notebook's 11 alphas, within a factor of three."""
    spec = PAPER.experiment("landscape").experiment.with_("schedule.measures='ends'")
    stored = {0.1: (1.4e-2, 1.6e-2), 10.0: (0.0, 9.6)}  # train, test
    for alpha, (fitted, tested) in stored.items():
        run = train(spec.with_(f"model.init_scale={alpha}"), seeds=[0], out=tmp_path / f"{alpha}")
        last = run.measures.isel(step=-1, seed=0)
        assert abs(np.log(float(last.test_loss) / tested)) < np.log(3)
        assert float(last.train_loss) == pytest.approx(fitted, rel=1.0, abs=1e-6)


@pytest.mark.slow
@pytest.mark.digits
def test_digits_are_learned_from_the_spec(tmp_path):
    spec = PAPER.experiment("digits").experiment.with_("steps=40", "model.widths=[16]", "task.n_train=100")
    run = train(spec, seeds=1, out=tmp_path / "run")
    assert float(run.measures.train_loss[0, -1]) < float(run.measures.train_loss[0, 0])
