"""What sets the delay: claims that hold where true and fail where not, ranks by hand, a tiny run."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import xarray as xr

from grokscope.papers import check_paper, made_up_run
from grokscope.papers import what_sets_the_delay as paper
from paper_tests import judged_alone, reproduce_tiny, tiny_paper

PAPER = paper.WhatSetsTheDelay()
EXPERIMENTS = {one.name: one for one in PAPER.experiments}
STEPS = np.arange(0, 5001, 25)
# of a world in which all explanations are true: steps to generalize, temperature
GROKS = {
    "decay": 1500,
    "weak-decay": 4500,
    "strong-decay": 450,
    "small-start": 1525,
    "large-start": 1475,
    "hot": 1550,
    "cold": 1450,
    "no-decay": 10_000,
    "no-decay-float64": 4600,
    "stablemax": 4700,
    "perpendicular": 4800,
    "held-low": 475,
    "held-high": 4400,
}
ORDERS = {"W1": "weight_norm", "W2": "logit_scale", "W3": "zero_loss_share", "W4": paper._KERNEL}
HEAT = {"hot": 4.0, "cold": 0.25}
GROWN = {"weak-decay": 1.3, "strong-decay": 0.8, "held-low": 0.7, "held-high": 1.4}  # norms at grokking


def scattered(name: str, values: Any) -> np.ndarray:
    """Values [step] times factors near 1 that differ between seeds and steps, [seed, step]."""
    rng = np.random.default_rng(list(name.encode()))
    return np.asarray(values) * np.exp(0.02 * rng.normal(size=(20, len(STEPS))))


def world(**false: dict[str, Any]) -> dict[str, Any]:
    """Runs of all settings in the true world, with other curves or steps for some settings."""
    runs = {}
    for name, step in GROKS.items():
        change = dict(false.get(name.replace("-", "_"), {}))
        at = change.pop("groks", step)
        late = at + 25 * (np.arange(20) % 3)[:, None] <= STEPS
        curves: dict[str, Any] = {
            "train_accuracy": np.where(STEPS >= 100, 1.0, 0.5) * np.ones((20, 1)),
            "test_accuracy": np.where(late, 1.0, 0.0),
            # at memorization they are ordered as the delays are; at grokking the kernel's distances are equal
            "weight_norm": np.where(late, 35.0 * GROWN.get(name, 1.0), 30 + step / 1000),
            "logit_scale": np.where(late, 10.0 * HEAT.get(name, 1.0) * GROWN.get(name, 1.0), 5 + step / 1000),
            "zero_loss_share": np.where(STEPS > 4900, 1.0, step / 20_000),
            paper._KERNEL: np.where(late, 0.9, 0.6 - step / 20_000),
            **change,
        }
        for measure in ORDERS.values():
            curves[measure] = scattered(name + measure, curves[measure] * np.ones(len(STEPS)))
        runs[name] = made_up_run(EXPERIMENTS[name], curves, seeds=20, steps=STEPS)
    return runs


def verdicts(runs: dict[str, Any]) -> dict[str, str]:
    return {claim.id: judged_alone(claim, runs).verdict for claim in PAPER.claims}


FALSE: dict[str, dict[str, Any]] = {
    "W5": {"held_high": {"groks": 600}},
    "W6": {"weak_decay": {"groks": 900}},
    "W7": {"large_start": {"weight_norm": 45.0}},
    "W8": {"hot": {"weight_norm": 60.0}},
    "W9": {"hot": {"logit_scale": 10.0}},
    "W10": {"no_decay": {"zero_loss_share": 0.2}},
    "W11": {"no_decay_float64": {"groks": 10_000}},
    "W12": {"stablemax": {"groks": 10_000}},
    "W13": {"perpendicular": {"groks": 10_000}},
    "W14": {"decay": {paper._KERNEL: 0.5}},
    "W15": {"held_high": {paper._KERNEL: 0.3}, "weak_decay": {paper._KERNEL: 0.4}},
    "W15-norm": {name.replace("-", "_"): {"weight_norm": 35.0} for name in GROWN},
    "W15-logits": {name.replace("-", "_"): {"logit_scale": 10.0} for name in GROWN},
    "W16": {name.replace("-", "_"): {"groks": 1500} for name in GROWN},
}


def turned_around() -> dict[str, Any]:
    """A world in which all four quantities order the delays the other way round."""
    changes: dict[str, Any] = {}
    for name, step in GROKS.items():
        up, down = 30 + step / 1000, 40 - step / 1000
        changes[name.replace("-", "_")] = {
            "weight_norm": down,
            "logit_scale": down,
            "zero_loss_share": down / 50,
            paper._KERNEL: up / 50,
        }
    return world(**changes)


def test_all_hold_in_the_true_world():
    assert set(verdicts(world()).values()) == {"holds"}


@pytest.mark.slow
@pytest.mark.parametrize("claim", FALSE)
def test_a_claim_fails_where_it_is_false(claim: str):
    assert verdicts(world(**FALSE[claim]))[claim] == "fails"


def test_orders_fail_where_they_are_turned_around():
    found = verdicts(turned_around())
    assert {found[claim] for claim in (*ORDERS, "W2-loss")} == {"fails"}


def test_the_paper_passes_its_check():
    falses = [world(**change) for change in FALSE.values()]
    check_paper(PAPER, examples=[world(), *falses, turned_around()])


def test_ranks_by_hand():
    """Delays 1, 2 and never, values 3, 1, 2: ranks (1, 2, 3) and (3, 1, 2), 1 - 6 * 6 / (3 * 8) = -0.5."""

    def run(value: float, groks: float) -> xr.Dataset:
        late = [0.0, float(groks <= 1), float(groks <= 2)]
        curves = {"train_accuracy": [[1.0, 1.0, 1.0]], "test_accuracy": [late], "x": [[value] * 3]}
        return xr.Dataset({n: (("seed", "step"), c) for n, c in curves.items()}, {"step": [0, 1, 2]})

    found = paper.order_of_delays(run(3.0, 1), run(1.0, 2), run(2.0, 9), name="x")
    np.testing.assert_allclose(found, [-0.5])


def test_figures_are_drawn():
    for figure in PAPER.figures:
        assert figure.draw(world(), "a command").axes


def test_spreads_by_hand():
    """Values 1 to 5 and one that never groks, which is left out; of four values there is no spread."""

    def run(value: float, groks: float) -> xr.Dataset:
        late = [0.0, float(groks <= 1), float(groks <= 2)]
        curves = {"train_accuracy": [[1.0] * 3], "test_accuracy": [late]}
        curves |= {"x": [[value] * 3], paper._KERNEL: [[value**2] * 3]}
        return xr.Dataset({n: (("seed", "step"), c) for n, c in curves.items()}, {"step": [0, 1, 2]})

    settings = [*(run(float(value), 1 + (value > 2)) for value in (1, 2, 3, 4, 5)), run(100.0, 9)]
    np.testing.assert_allclose(paper.spread_at_grokking(*settings, name="x"), [np.sqrt(2.5) / 3])
    over = (1.0, 2.0, 1.0, 4.0, 1.0, 1.0)  # 1, 1, 3, 1, 5: mean 2.2, variance 3.2
    np.testing.assert_allclose(paper.spread_at_grokking(*settings, name="x", over=over), [np.sqrt(3.2) / 2.2])
    squares = np.std([1, 4, 9, 16, 25], ddof=1) / 11
    np.testing.assert_allclose(paper.spread_over(*settings, name="x"), [squares / (np.sqrt(2.5) / 3)])
    np.testing.assert_allclose(paper.range_of_steps(*settings), [2.0])
    assert np.isnan(paper.spread_at_grokking(*settings[1:], name="x")).all()


@pytest.mark.usefixtures("registry")
def test_a_small_reproduction_from_training_to_claims(tmp_path):
    """Two settings at p = 5, 50 steps."""
    wanted = ("decay", "no-decay")
    small = ("steps=50", "model.width=8", "model.embedding=4", "task.p=5")

    def shrunk(one: Any) -> Any:
        profiles = {name: replace(profile, seeds=2) for name, profile in one.profiles.items()}
        return replace(one, experiment=one.experiment.with_(*small), profiles=profiles)

    done = reproduce_tiny(tiny_paper(PAPER, wanted, shrunk), tmp_path)
    assert set(done.runs) == set(wanted)
    judged = {one["id"]: one for one in done.claims}["W10"]
    share = done.runs["no-decay"].measures["zero_loss_share"].isel(step=-1)
    assert judged["value"] == pytest.approx(float(share.mean()))
    assert float(done.runs["decay"].measures[paper._KERNEL].isel(step=0).max()) == pytest.approx(0, abs=1e-5)
