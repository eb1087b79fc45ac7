"""Numerical stability: claims on made-up runs, evidence by hand, published settings, a tiny reproduction."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from grokscope.papers import check_paper, find_paper, jump, made_up_run
from grokscope.starts import FromRun
from paper_tests import assert_decides, false_runs, judged_alone, reproduce_tiny, tiny_paper

PAPER = find_paper("numerical-stability")
CLAIMS = {claim.id: claim for claim in PAPER.claims}
RNG = np.random.default_rng(0)
SEEDS = 8


def run(name, **curves):
    return made_up_run(PAPER.experiment(name), curves, seeds=SEEDS, profile="quick")


def around(value):
    """A height for each seed, near a value, [seed, 1]."""
    return value + 0.002 * RNG.standard_normal((SEEDS, 1))


def flat(value):
    heights = around(value)
    return lambda steps, **cell: np.repeat(heights, len(steps), axis=1)


def jumps(share, before=0.0, after=1.0):
    """A jump at a share of the run; above 1: never. A number, or a function of the cell."""

    def curve(steps, **cell):
        at = share(**cell) if callable(share) else share
        return jump(steps, at * steps[-1] * (1 + 0.01 * np.arange(SEEDS)), before, after)

    return curve


def collapsing(name, share, until, after, norm=1.0):
    """Test accuracy: ``until`` at the collapse, ``after`` at the end; the norm grows by a factor after it."""

    def test(steps):
        late = np.repeat(around(after), len(steps), axis=1)
        return np.where(steps <= share * steps[-1] * 1.1, until, late)

    def grown(steps):
        past = np.clip(steps / steps[-1] - share, 0, None) / (1 - min(share, 0.99))
        return 10 * (1 + (norm - 1) * np.repeat(past[None], SEEDS, axis=0)) * (1 + around(0.0))

    return run(name, zero_loss_share=jumps(share), test_accuracy=test, weight_norm=grown)


def aligned(before, after):
    values = np.empty((SEEDS, 60, 3))
    values[:] = before
    values[:, 15:] = after + 0.002 * RNG.standard_normal((SEEDS, 45, 3))
    return run("float64", weight_alignment=lambda steps: values, train_accuracy=jumps(0.3))


def with_delay(name, test):
    return run(name, train_accuracy=jumps(0.2), test_accuracy=jumps(test))


def rescaled(**shares):
    return run("rescaling", test_accuracy=jumps(lambda perpendicular: shares[perpendicular]))


def operators(addition, multiplication=0.5):
    def height(steps, operator):
        return flat(addition if operator == "addition" else multiplication)(steps)

    return run("stablemax", test_accuracy=height)


def grown(factor):
    def norm(steps, **cell):
        return 10 * (1 + (factor - 1) * np.repeat(steps[None] / steps[-1], SEEDS, axis=0)) * (1 + around(0.0))

    return run("stablemax", train_accuracy=jumps(0.0), weight_norm=norm)


def branched(name, change):
    def test(steps):
        rise = np.repeat(around(change), len(steps), axis=1) * steps / steps[-1]
        return np.where(steps < 0.3 * steps[-1], np.nan, 0.2 + np.where(steps > 0.4 * steps[-1], rise, 0))

    return run(name, test_accuracy=test)


# of every claim the runs by which it is judged where it is true, and where it is false
CASES: dict[str, Any] = {
    **{
        claim: ((run(name, test_accuracy=flat(true)),), (run(name, test_accuracy=flat(false)),))
        for claim, name, true, false in (
            ("Q1", "perp-adamw", 0.99, 0.9),
            ("Q1-plain", "adamw", 0.01, 0.6),
        )
    },
    "Q1-epsilon": (
        (run("rescaling", test_accuracy=lambda steps, perpendicular: flat(0.01)(steps)),),
        (run("rescaling", test_accuracy=lambda steps, perpendicular: flat(0.6)(steps)),),
    ),
    "Q2": ((with_delay("perp-adamw", 0.4),), (with_delay("perp-adamw", 0.95),)),
    "Q3": (
        (run("perp-sgd", test_accuracy=jumps(0.5)),),
        (run("perp-sgd", test_accuracy=jumps(2.0)),),
    ),
    "Q4": (
        (collapsing("float32", 0.5, 0.3, 0.3), collapsing("float16", 0.2, 0.1, 0.1)),
        (collapsing("float32", 0.2, 0.3, 0.3), collapsing("float16", 0.2, 0.1, 0.1)),
    ),
    "Q4-double": (
        (collapsing("float64", 2.0, 0.3, 0.3), collapsing("float32", 0.5, 0.1, 0.1)),
        (collapsing("float64", 0.2, 0.3, 0.3), collapsing("float32", 0.5, 0.1, 0.1)),
    ),
    "Q5": ((collapsing("float32", 0.5, 0.3, 0.3),), (collapsing("float32", 0.5, 0.3, 0.5),)),
    "Q5-half": ((collapsing("float16", 0.5, 0.3, 0.3),), (collapsing("float16", 0.5, 0.3, 0.5),)),
    "Q5-moves": (
        (collapsing("float32", 0.5, 0.3, 0.3, 1.5), collapsing("float64", 2.0, 0.3, 0.3, 1.1)),
        (collapsing("float32", 0.5, 0.3, 0.3, 1.0), collapsing("float64", 2.0, 0.3, 0.3, 1.0)),
    ),
    **{
        claim: (
            tuple(
                run(name, test_accuracy=flat(value)) for name, value in zip(names, (0.5, 0.3), strict=True)
            ),
            tuple(
                run(name, test_accuracy=flat(value)) for name, value in zip(names, (0.3, 0.3), strict=True)
            ),
        )
        for claim, names in (
            ("Q6", ("float64", "float32")),
            ("Q6-half", ("float32", "float16")),
            ("Q9-goes-on", ("float64", "forced-collapse")),
        )
    },
    "Q7": ((operators(0.99),), (operators(0.3, 0.99),)),
    "Q7-product": ((operators(0.3, 0.99),), (operators(0.99, 0.3),)),
    "Q7-norm": ((grown(1.5),), (grown(1.0),)),
    "Q8": ((aligned(0.0, 0.8),), (aligned(0.9, 0.2),)),
    "Q9": ((branched("forced-collapse", 0.0),), (branched("forced-collapse", 0.3),)),
    "Q9-kept": ((branched("forced-collapse-kept", -0.1),), (branched("forced-collapse-kept", 0.3),)),
    "Q11": (
        (rescaled(none=2.0, unscaled=0.5, rescaled=0.45),),
        (rescaled(none=2.0, unscaled=2.0, rescaled=0.3),),
    ),
    "Q13": (
        (run("flags", test_accuracy=jumps(0.5)), rescaled(none=2.0, unscaled=0.5, rescaled=0.5)),
        (run("flags", test_accuracy=jumps(2.0)), rescaled(none=2.0, unscaled=0.5, rescaled=0.4)),
    ),
}


def verdict(claim_id, runs):
    return judged_alone(CLAIMS[claim_id], runs)


@pytest.mark.parametrize("claim_id", CLAIMS)
def test_a_claim_holds_where_it_is_true_and_fails_where_it_is_false(claim_id):
    assert_decides(CLAIMS[claim_id], *CASES[claim_id])


def test_numbers_are_those_that_were_put_in():
    for claim, value, tolerance in (
        ("Q2", 2.0, 0.3),
        ("Q4", 2.5, 0.3),
        ("Q5", 0.002, 0.003),
        ("Q6", 0.2, 0.005),
        ("Q7-norm", 1.5, 0.02),
        ("Q8", 0.8, 0.01),
        ("Q11", 0.5 / 0.45, 0.1),
    ):
        assert verdict(claim, CASES[claim][0]).value == pytest.approx(value, abs=tolerance), claim
    assert verdict("Q5", CASES["Q5"][1]).value == pytest.approx(0.2, abs=0.005)
    assert verdict("Q9", CASES["Q9"][1]).value == pytest.approx(0.3, abs=0.005)


def test_the_paper_passes_the_conformance_suite():
    check_paper(PAPER, examples=false_runs(CLAIMS, CASES))


def test_the_published_settings():
    for name in ("perp-adamw", "adamw"):
        spec, _ = PAPER.experiment(name).under("quick")
        assert (spec.task.n_train, spec.task.p, spec.n_steps, spec.steps_per_epoch) == (5108, 113, 300, 1)
        assert (spec.optimizer.learning_rate, spec.optimizer.weight_decay) == (0.01, 0.0)
        assert spec.model.n_parameters((2, 113), 113) == 226 * 200 + 200 * 200 + 200 * 113
        assert spec.model.stds[0] ** 2 == pytest.approx(1 / (3 * 226))  # of U(+-1/sqrt(226))
    inner, flags = (PAPER.experiment(name).experiment.optimizer for name in ("perp-adamw", "flags"))
    assert (inner.beta2, inner.epsilon, inner.perpendicular) == (0.999, 1e-8, "rescaled")
    assert (flags.beta2, flags.epsilon, flags.perpendicular) == (0.99, 1e-25, "rescaled")
    sgd = PAPER.experiment("perp-sgd").experiment.optimizer
    assert (sgd.learning_rate, sgd.momentum) == (10.0, 0.8)
    assert PAPER.experiment("float64").under("paper")[0].n_steps == 20_000


def test_figures_are_drawn():
    learned = {"train_accuracy": jumps(0.2), "test_accuracy": jumps(0.5)}
    runs = {one.name: run(one.name, **learned) for one in PAPER.experiments}
    for figure in PAPER.figures:
        drawing = figure.draw(runs, "grokscope reproduce numerical-stability")
        assert all(axis.lines for axis in drawing.axes), figure.id


@pytest.fixture
def tiny(registry):
    """The paper with networks of 8 neurons and 40 steps."""

    def shrunk(one: Any) -> Any:
        own = (
            *("task.p=5", "model.widths=[8, 8]", "steps=40", "optimizer.learning_rate=0.05"),
            *("task.train_fraction=0.8", "schedule.measures='every 2 steps'"),
            "schedule.slow_measures='every 10 steps'",
        )
        profile = replace(one.profiles["quick"], seeds=3, overrides=own, reduced="tiny")
        small = replace(one, profiles={"paper": one.profiles["paper"], "quick": profile})
        if isinstance(one.experiment.init, FromRun):
            init = one.experiment.init.model_copy(update={"at": 10})
            small = replace(small, experiment=one.experiment.model_copy(update={"init": init}))
        return small

    return tiny_paper(PAPER, ("float64", "forced-collapse"), shrunk)


def test_a_small_reproduction_from_training_to_figures(tiny, tmp_path):
    done = reproduce_tiny(tiny, tmp_path)
    assert done.figures == ["figure-5"]
    judged = {one["id"]: one for one in done.claims}
    assert judged["Q9-goes-on"]["seeds"] == 3
    start = done.runs["forced-collapse"].model(seed=1, step=10)
    np.testing.assert_array_equal(
        start.output_weight, done.runs["float64"].model(seed=1, step=10).output_weight
    )
