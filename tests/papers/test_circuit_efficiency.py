"""Circuit efficiency: the toy against closed forms; claims that hold where true and fail where not; a run."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import xarray as xr
from scipy.optimize import minimize

from grokscope.claims import NotTestable
from grokscope.papers import check_paper, made_up_run
from grokscope.papers import circuit_efficiency as paper
from grokscope.starts import FromRun
from paper_tests import judged_alone, reproduce_tiny, tiny_paper

PAPER = paper.CircuitEfficiency()
CLAIMS = {claim.id: claim for claim in PAPER.claims}
SEEDS = 40
LUCK = np.exp(0.01 * np.random.default_rng(0).normal(size=SEEDS))[:, None]


def luck(*what: Any) -> np.ndarray:
    """Factors near 1, other ones in each cell, [seed, 1]."""
    own = np.random.default_rng(list(repr(what).encode()))
    return np.exp(0.01 * own.normal(size=SEEDS))[:, None]


# ---------------------------------------------------------------- the toy


def test_the_toy_ends_at_the_least_of_its_loss():
    """The least loss over both scalars, found by scipy, is where gradient descent ends."""
    for costs, decay in (((1.0, 4.0), 0.02), ((3.0, 2.0), 0.05)):

        def loss(s: np.ndarray, costs: tuple[float, float] = costs, decay: float = decay) -> float:
            return math.log1p(9 * math.exp(-s.sum())) + decay * float(s @ np.array(costs))

        best = minimize(loss, [1.0, 1.0], bounds=[(0, None)] * 2, tol=1e-12).x
        end = paper.simulate(costs, (0.3, 0.3), decay=decay, steps=2000)[-1]
        np.testing.assert_allclose(end, best, atol=1e-3)
        assert end.max() == pytest.approx(paper.balanced_logit(min(costs), decay), abs=1e-6)


def test_the_generalizing_circuit_grows_by_the_difference_of_the_costs():
    """On the plateau the loss pushes as decay pulls memory: s_0 grows by (1 + rate decay (P_1 - P_0))^2."""
    scalars = paper.simulate((1.0, 4.0), (0.001, 0.3), decay=0.01, rate=0.5, steps=400)
    growth = np.diff(np.log(scalars[100:200, 0]))
    # s_0 itself is up to 1e-4 of the logit there, and memory has not quite settled
    np.testing.assert_allclose(growth, 2 * math.log1p(0.5 * 0.01 * 3), rtol=0.01)


def test_three_factors_are_gradient_descent_on_the_loss():
    """One step against finite differences of the loss."""

    def loss(w: np.ndarray) -> float:
        s = w.reshape(2, 3).prod(axis=1).sum()
        return math.log1p(9 * math.exp(-s)) + 0.005 * float((w**2) @ np.repeat([1.0, 4.0], 3))

    start = np.repeat([0.8, 1.1], 3)
    slope = [(loss(start + d) - loss(start - d)) / 2e-6 for d in 1e-6 * np.eye(6)]
    expected = (start - 0.5 * np.array(slope)).reshape(2, 3).prod(axis=1)
    found = paper.simulate((1.0, 4.0), (0.8, 1.1), decay=0.01, rate=0.5, steps=1, factors=3)[1]
    np.testing.assert_allclose(found, expected, rtol=1e-8)


def test_delay_by_hand():
    scalars = np.array([[0.1, 1.0], [1.0, 4.0], [2.0, 4.0], [5.0, 4.0], [6.0, 1.0]])
    # losses log(1 + 9 exp(-s)): below 0.1 from s = 4.45 on, thus at step 1; right from step 3 on
    assert paper.delay(scalars) == 3.0
    assert paper.delay(scalars[:3]) == math.inf
    assert paper.delay(scalars[3:]) == 0.0


def test_two_factors_turn_at_equal_costs_and_three_do_not():
    assert paper.turning_cost(0.1, (0.01, 0.3)) == pytest.approx(1, abs=0.05)
    early, late = (paper.turning_cost(0.1, starts, factors=3) for starts in ((1.8, 0.5), (0.5, 0.6)))
    assert early < 0.5 < 1.2 < late


# ---------------------------------------------------------------- claims on made-up worlds

World = Callable[[str, dict[str, Any]], dict[str, np.ndarray]]
TOY = dict(
    zip(
        paper._OF_TOY,
        (25.0, 0.5, -1.0, -1.0, 0.99, 1.01, 4.0),
        strict=True,
    )
)


def curve_of(size: float, point: float, low: float, width: float = 0.1) -> np.ndarray:
    """Accuracy that rises from ``low`` to 1 around a size, [seed, 1]."""
    z = np.log(size / (point * LUCK)) / width
    return low + (1 - low) / (1 + np.exp(-z))


def measured(name: str, cell: dict[str, Any], **change: float) -> dict[str, np.ndarray]:
    """What is measured at the end; ``change`` has the numbers that make a claim false."""
    on = {"memory": -0.8, "circuit": 0.0, "point": 0.30, "scratch": 0.45, "low": 0.0, "width": 0.1}
    on |= {"slope": 0.0, "train": 1.0, "parity": 280.0, "fast": 1.0, "parity_low": 0.5, **change}
    flat = np.ones((SEEDS, 1))
    found = {"train_accuracy": on["train"] * flat, "train_loss": 1e-5 * flat, "test_accuracy": flat}
    if name in ("memorizing", "generalizing"):
        exponent = on["memory" if name == "memorizing" else "circuit"]
        efficiency = 0.03 * (cell["train_fraction"] / 0.30) ** exponent * LUCK
        found["weight_norm"] = np.sqrt(-np.log(1e-5) / efficiency)
        if name == "memorizing":
            found["test_accuracy"] = 0.03 * flat
    elif name == "ungrokking":
        decay = cell["weight_decay"]
        point = on["point"] * decay ** on["slope"] * luck(decay)
        found["test_accuracy"] = curve_of(cell["train_fraction"], point, on["low"], on["width"])
    elif name == "semi-grokking":
        found["test_accuracy"] = curve_of(cell["train_fraction"], on["scratch"], 0.0)
    elif name.startswith("parity-"):
        point = on["parity"] * (on["fast"] if name.endswith("fast") else 1.0) * luck(name)
        found["test_accuracy"] = curve_of(cell["n_train"], point, on["parity_low"], 0.03)
    return found


def world(toy: dict[str, float] | None = None, only: tuple[str, ...] = (), **change: float) -> dict[str, Any]:
    """Made-up results of all experiments, or of some."""
    runs = {}
    for one in PAPER.experiments:
        if only and one.name not in only:
            continue
        steps = np.array([0, 100, 200, 400, 3000])

        def curve(what: str, name: str = one.name) -> Callable[..., np.ndarray]:
            def values(at: np.ndarray, **cell: Any) -> np.ndarray:
                end = measured(name, cell, **change).get(what, np.ones((SEEDS, 1)))
                if what == "test_accuracy" and name == "semi-grokking":
                    return end * (at >= (100 if change.get("late") == 0 else 400))
                if what == "train_accuracy":
                    return end * (at >= 100)
                return np.repeat(end, len(at), axis=1)

            return values

        names = ("train_accuracy", "test_accuracy", "train_loss", "weight_norm")
        curves: dict[str, Any] = {what: curve(what) for what in names}
        if one.name == "full":
            curves |= {**TOY, **(toy or {})}
        if one.name == "generalizing":  # equal shares of 15 frequencies
            share = change.get("share", 0.6) / 15
            curves["logit_fourier"] = share * np.repeat(LUCK, 5, axis=1)[..., None] * np.ones(15)
        runs[one.name] = made_up_run(one, curves, others=None, seeds=SEEDS, steps=steps, profile="quick")
    return runs


FALSE: dict[str, dict[str, Any]] = {
    "V1": {"toy": {"toy_delay": 2.0}},
    "V1-efficiency": {"toy": {"toy_gap_inefficient": 0.5}},
    "V1-speed": {"toy": {"toy_delay_equal_starts": 20.0}},
    "V1-decay": {"toy": {"toy_gap_undecayed": 0.9}},
    "V2": {"toy": {"toy_largest_turn": 1.5}},
    "V2-deeper": {"toy": {"toy_hysteresis": 1.0}},
    "V3": {"memory": -0.1},
    "V4": {"circuit": -0.3},
    "V4-less": {"circuit": -0.7},
    "V4-mixed": {"share": 0.99},
    "V5": {"low": 0.6},
    "V5-train": {"train": 0.9},
    "V6": {"width": 0.35},
    "V7": {"slope": 0.2},
    "V8": {"point": 0.45},
    "V9": {"late": 0},
    "V10": {"scratch": 0.38, "point": 0.4},
    "V11": {"parity": 200.0},
    "V12": {"fast": 1.15},
}


def verdict(claim_id: str, runs: dict[str, Any]) -> Any:
    return judged_alone(CLAIMS[claim_id], runs)


@pytest.fixture(scope="module")
def true_world():
    return world(circuit=-0.02)


def test_every_claim_has_a_world_in_which_it_is_false():
    assert set(FALSE) == set(CLAIMS)


@pytest.mark.parametrize("claim_id", FALSE)
def test_a_claim_holds_where_it_is_true_and_fails_where_it_is_false(claim_id, true_world):
    assert verdict(claim_id, true_world).verdict == "holds"
    only = CLAIMS[claim_id].experiments
    assert verdict(claim_id, world(only=only, **FALSE[claim_id])).verdict == "fails"


def test_the_paper_passes_the_conformance_suite():
    toy = {name: value for change in FALSE.values() for name, value in change.get("toy", {}).items()}
    several = ("V4-less", "V4-mixed", "V5-train", "V6", "V7", "V9", "V11")
    together = {name: value for claim_id in several for name, value in FALSE[claim_id].items()}
    rest = {**FALSE["V3"], **FALSE["V5"], **FALSE["V12"]}
    last = {**FALSE["V8"], "scratch": 0.42}
    check_paper(PAPER, examples=[world(toy, **together), world(**rest), world(**last)])


def test_the_figures_show_the_points_of_the_world(true_world):
    drawn = {figure.id: figure.draw(true_world, "a command") for figure in PAPER.figures}
    norms, accuracy = drawn["ungrokking"].axes
    dotted = [line.get_xdata()[0] for line in norms.get_lines() if line.get_linestyle() == ":"]
    assert dotted == pytest.approx([0.30 * 31**2], rel=0.02)  # where the accuracy of the world is 1/2
    decays = [line.get_label() for line in accuracy.get_lines() if line.get_label().startswith("decay")]
    assert decays == ["decay 0.5", "decay 1", "decay 2"]
    memory = next(line for line in norms.get_lines() if line.get_label() == "random labels")
    expected = np.sqrt(-np.log(1e-5) / (0.03 * (np.array([0.2, 0.3, 0.45, 0.7]) / 0.30) ** -0.8))
    np.testing.assert_allclose(memory.get_ydata(), expected, rtol=0.01)
    titles = [axis.get_title(loc="left") for axis in drawn["semi-grokking"].axes]
    assert titles[0] == "From scratch, 404 samples"  # of 336, 404, 480, 625 the one with most in between
    assert len(drawn["toy"].axes) == 4
    assert len(drawn["parity"].axes) == 1


# ---------------------------------------------------------------- oracles of the evidence


def test_the_critical_size_by_hand():
    """Crossed once; from below twice (the last counts); never; always; not measured."""
    accuracy = np.array(
        [
            [0.0, 0.6, 0.1, 0.9, 0.0],
            [0.4, 0.2, 0.2, 0.9, np.nan],
            [0.8, 0.7, 0.3, 0.9, 1.0],
            [1.0, 0.9, 0.4, 1.0, 1.0],
        ]
    )
    found = paper.size_at(np.array([10.0, 20.0, 40.0, 80.0]), accuracy, 0.5)
    np.testing.assert_allclose(found, [20 * 2**0.25, 20 * 2**0.6, np.nan, np.nan, np.nan])


def sweep(**values: np.ndarray) -> xr.Dataset:
    """Measures [size, seed, step] of sizes 0.2, 0.4, 0.8."""
    coords = {"train_fraction": [0.2, 0.4, 0.8], "seed": [0, 1], "step": [0, 100, 400]}
    dims = ("train_fraction", "seed", "step")
    return xr.Dataset({name: (dims, np.asarray(array, float)) for name, array in values.items()}, coords)


def test_efficiency_is_a_logit_per_squared_norm_and_its_exponent_that_of_the_law():
    loss = np.broadcast_to([[1.0], [1e-4]], (3, 2, 1)) * np.ones(3)
    norm = np.broadcast_to((3.0 * np.array([0.2, 0.4, 0.8]) ** 0.4)[:, None, None], (3, 2, 3))
    data = sweep(
        train_loss=loss, weight_norm=norm, train_accuracy=np.ones((3, 2, 3)), test_accuracy=norm * 0 + 1
    )
    sizes, found = paper.efficiencies(data)
    assert np.isnan(found[:, 0]).all()  # a loss of 1 has no logit
    np.testing.assert_allclose(found[:, 1], math.log(1e4) / (9 * sizes**0.8))
    np.testing.assert_allclose(paper.exponent_of_memory(data), [np.nan, -0.8])
    np.testing.assert_allclose(paper.exponent_of_generalization(data), [np.nan, -0.8])
    forgotten = data.assign(test_accuracy=data["test_accuracy"] * 0.9)
    assert np.isnan(paper.exponent_of_generalization(forgotten)).all()


def test_semi_grokking_is_late_and_in_between():
    train = np.broadcast_to([0.0, 1.0, 1.0], (3, 2, 3))
    early, late = [0.0, 0.4, 0.6], [0.0, 0.1, 0.6]
    none, all_ = [0.0, 0.0, 0.0], [0.0, 0.1, 1.0]
    test = np.array([[none, none], [early, late], [all_, all_]])
    np.testing.assert_array_equal(paper.in_between(sweep(train_accuracy=train, test_accuracy=test)), [0, 1])
    with pytest.raises(NotTestable, match="test_accuracy"):
        paper.in_between(sweep(train_accuracy=train))


# ---------------------------------------------------------------- a reproduction, from training to figures


@pytest.fixture
def tiny(registry):
    """Some of the experiments at p = 5, with 8 neurons and 40 steps."""

    def shrunk(one: Any) -> Any:
        profile = one.profiles["quick"]
        overrides = tuple(
            "init.at=40" if change.startswith("init.at") else change
            for change in profile.overrides
            if not change.startswith(("steps", "task.p", "model.widths", "schedule"))
        )
        own = ("steps=40", "task.p=5", "model.widths=[8]", "schedule.measures='every 10 steps'")
        small = replace(profile, seeds=2, overrides=(*overrides, *own))
        if hasattr(one, "over"):
            first, *others = small.over
            small = replace(small, over=(first.split("=")[0] + "=0.4,0.6", *others))
        return replace(one, profiles={"paper": one.profiles["paper"], "quick": small})

    return tiny_paper(PAPER, ("full", "ungrokking"), shrunk)


def test_a_small_reproduction_from_training_to_figures(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(paper, "toy_numbers", lambda: TOY)
    done = reproduce_tiny(tiny, tmp_path)
    assert done.figures == ["toy"]
    judged = {one["id"]: one for one in done.claims}
    assert judged["V1"]["value"] == 25.0
    assert judged["V5"]["seeds"] == 2
    full = done.runs["full"]
    cells = list(done.runs["ungrokking"].runs())
    assert len(cells) == 6
    for _, run in cells:
        assert isinstance(run.experiment.init, FromRun)
        assert run.experiment.init.source == full.identity
        start = run.model(seed=0, step=0)
        np.testing.assert_array_equal(start.hidden_weight, full.model(seed=0, step=40).hidden_weight)
