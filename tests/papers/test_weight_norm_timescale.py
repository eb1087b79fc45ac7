"""Weight norm and the time of grokking: estimates by hand, claims on made-up worlds, a small reproduction."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import xarray as xr

from grokscope.claims import NotTestable
from grokscope.papers import check_paper, made_up_run
from grokscope.papers import weight_norm_timescale as paper
from grokscope.statistics import CensoredTimes
from paper_tests import judged_alone, reproduce_tiny, tiny_paper

PAPER = paper.WeightNormTimescale()
CLAIMS = {claim.id: claim for claim in PAPER.claims}
SEEDS = 12
STEPS = np.unique(np.geomspace(1, 40_000, 240).astype(int))


def luck(*what: Any, size: float = 0.02) -> np.ndarray:
    """Factors near 1, other ones in each cell, [seed, 1]."""
    own = np.random.default_rng(list(repr(what).encode()))
    return np.exp(size * own.normal(size=SEEDS))[:, None]


# ---------------------------------------------------------------- estimates by hand


def test_means_of_seen_times_are_those_of_their_logarithms():
    lower, upper = np.array([90.0, 200.0, 400.0]), np.array([100.0, 210.0, 410.0])
    (mean,) = paper.log_means([CensoredTimes(lower, upper)])
    assert mean == pytest.approx(np.log(np.sqrt(lower * upper)).mean())


def test_means_with_unseen_times_are_those_of_the_law():
    """Log-normal times of two cells, of which the late half of one is not seen."""
    rng = np.random.default_rng(0)
    logs = [mean + 0.3 * rng.normal(size=4000) for mean in (7.0, 9.0)]
    seen = [np.where(log < 9.0, np.exp(log), np.inf) for log in logs]
    times = [CensoredTimes(np.where(np.isfinite(one), 0.97 * one, np.exp(9.0)), one * 1.03) for one in seen]
    assert not times[1].observed.all()
    np.testing.assert_allclose(paper.log_means(times), [7.0, 9.0], atol=0.03)
    with pytest.raises(NotTestable):
        paper.log_means([times[0], CensoredTimes([100.0, 100.0], [np.inf, np.inf])])


def test_pseudo_values_of_a_linear_estimand_are_the_seeds_numbers():
    """The slope through the logarithms of each seed's times; the first seeds that all cells have."""
    rng = np.random.default_rng(1)
    logs = 8 + rng.normal(size=(3, 6))
    times = [CensoredTimes(np.exp(one), np.exp(one)) for one in (logs[0], logs[1], logs[2, :5])]
    found = paper.of_log_means(lambda means: np.polyfit([0.85, 1.0, 1.15], means, 1)[0], *times)
    wanted = [np.polyfit([0.85, 1.0, 1.15], one, 1)[0] for one in logs.T[:5]]
    np.testing.assert_allclose(found, wanted)
    late = paper.log_ratio(times[0], times[1], since=20.0)
    np.testing.assert_allclose(late, (np.log(np.exp(logs[0]) - 20) - np.log(np.exp(logs[1]) - 20)))


def test_the_exponent_in_p_is_that_of_the_law():
    p = np.array([29, 41, 59])
    norm = np.broadcast_to((12.0 * p**0.38)[:, None, None], (3, 2, 7))
    accuracy = np.broadcast_to([0.0, 0.5, 1.0, 1.0, 1.0, 1.0, 1.0], (3, 2, 7)).copy()
    accuracy[1, 1] = 0.0  # does not grok
    dims, coords = ("p", "seed", "step"), {"p": p, "seed": [0, 1], "step": range(7)}
    data = xr.Dataset({"test_accuracy": (dims, accuracy), paper._SIZE.name: (dims, norm)}, coords)
    np.testing.assert_allclose(paper.exponent_of_size(data), [0.38, np.nan])


# ---------------------------------------------------------------- claims on made-up worlds


def cell_of(name: str, cell: dict[str, Any], on: dict[str, float]) -> tuple[float, float, float]:
    """Grokking step, norm and logit scale of a cell; ``on`` has the numbers that make a claim false."""
    rho = cell.get("norm", 1.0)
    law = 4000 * np.exp(on["slope"] * (rho - 1))
    if name == "data":
        return 3000, 48 * (1 + on["data"] * (cell["train_fraction"] - 0.5)), 3.0
    if name == "rates":
        return 1000, 44 * (1 + on["rates"] * (cell["learning_rate"] > 0.001)), 3.0
    if name == "decays":
        decay = cell["weight_decay"]
        return on[f"T{decay:g}"], 48 * decay ** -on["decay"], 3.0
    if name == "sizes":
        return 2000, 48 * (cell["p"] / 41) ** on["size"], 3.0
    if name == "held-rates":
        return on["fast"] * (600 if rho < 1 else 9000 * on["fast_high"]), 48 * rho, 3.0
    if name == "one-shot":
        return 4000 * on["once"] ** (rho > 1), 48, 3.0
    if name == "small-start":
        return 4000 * on["start"], 48, 3.0
    if name == "temperature":
        return 4000 * np.exp(on["left"]), 48 * 1.15, 4.5 * on["unmatched"]
    if name == "squared-loss":
        return 4000 * np.exp(on["squared"] * (rho - 1)), 48 * rho, 3.0
    if name == "held-decays":
        return 4000 * cell["weight_decay"] ** on["held_decay"], 48, 3.0
    if name.startswith("parity"):
        norm = 21 * (rho if "norm" in cell else cell.get("weight_decay", 1.0) ** -0.16)
        off = 1.0 if "norm" not in cell else np.exp(on["below" if rho < 1 else "above"])
        return 2000 * (norm / 21) ** 4 * off, norm, 3.0
    return law if name == "held" else 4000, 48 * rho * on["grip"] ** (name == "held"), 3 * rho**2.9


def world(only: tuple[str, ...] = (), **change: float) -> dict[str, Any]:
    """Made-up results of all experiments, or of some."""
    on = {"slope": 7.5, "data": 0.0, "rates": 0.0, "decay": 0.11, "size": 0.38, "grip": 1.0, "fast": 1.0}
    on |= {"fast_high": 1.0, "T0.15": 9000, "T0.3": 7000, "T3": 1000, "once": 1.1, "start": 1.0}
    on |= {"left": 0.2, "unmatched": 1.0, "memory": 1.0, "squared": 3.7, "held_decay": 0.0}
    on |= {"below": 0.0, "above": 0.0, **change}
    runs = {}
    for one in PAPER.experiments:
        if only and one.name not in only:
            continue

        def curve(what: str, name: str = one.name) -> Callable[..., np.ndarray]:
            def values(at: np.ndarray, **cell: Any) -> np.ndarray:
                step, norm, logits = cell_of(name, cell, on)
                if what == "test_accuracy":
                    return 1.0 * (at >= step * luck(name, cell))
                if what == "train_accuracy":
                    late = on["memory"] if name == "temperature" else 1.0
                    return 1.0 * (at >= 150 * late * luck("memory", name, cell))
                exact = name in ("reference", "held")
                size = norm * (np.ones((SEEDS, 1)) if exact else luck("norm", name, cell, size=0.002))
                value = size if what.startswith("weight") else logits * luck("logits", name, cell, size=0.004)
                return np.repeat(value, len(at), axis=1)

            return values

        spec, _ = one.under("quick")
        names = ["train_accuracy", "test_accuracy", *(m.name for m in spec.measures if m.kind != "accuracy")]
        curves = {what: curve(what) for what in names}
        runs[one.name] = made_up_run(one, curves, others=None, seeds=SEEDS, steps=STEPS, profile="quick")
    return runs


FALSE: dict[str, dict[str, float]] = {
    "T1": {"data": 0.5},
    "T2": {"rates": 0.1},
    "T3": {"decay": 0.01},
    "T4": {"size": 0.6},
    "T5": {"grip": 1.01},
    "T6": {"slope": 4.0},
    "T6-since": {"slope": 4.0},
    "T7": {"fast": 0.3},
    "T8": {"once": 2.0},
    "T9": {"start": 2.0},
    "T10": {"T0.3": 20_000},
    "T10-weaker": {"T0.15": 20_000},
    "T10-norm": {"T0.3": 20_000},
    "T11": {"left": 1.0},
    "T11-scale": {"unmatched": 1.2},
    "T11-memory": {"memory": 2.0},
    "T12": {"squared": 7.0},
    "T13-below": {"below": 0.8},
    "T13-above": {"above": 0.8},
    "T14": {"held_decay": -1.0},
    "T15": {"fast": 1.5},
}


def verdict(claim_id: str, runs: dict[str, Any]) -> Any:
    return judged_alone(CLAIMS[claim_id], runs)


@pytest.fixture(scope="module")
def true_world():
    return world()


def test_every_claim_has_a_world_in_which_it_is_false():
    assert set(FALSE) == set(CLAIMS)


@pytest.mark.parametrize("claim_id", FALSE)
def test_a_claim_holds_where_it_is_true_and_fails_where_it_is_false(claim_id, true_world):
    found = verdict(claim_id, true_world)
    assert found.verdict == "holds", found
    only = CLAIMS[claim_id].experiments
    assert verdict(claim_id, world(only, **FALSE[claim_id])).verdict == "fails"


def test_the_paper_passes_the_conformance_suite():
    together = {name: value for change in FALSE.values() for name, value in change.items()}
    alone = ("T7", "T11", "T12", "T15")
    first = {name: value for name, value in together.items() if name not in ("fast", "left")}
    check_paper(PAPER, examples=[world(**first), *(world(**FALSE[claim_id]) for claim_id in alone)])


def test_the_figures_show_the_points_of_the_world(true_world):
    drawn = {figure.id: figure.draw(true_world, "a command") for figure in PAPER.figures}
    sizes = drawn["figure-1"].axes[1].get_lines()[-1]
    np.testing.assert_allclose(sizes.get_ydata(), 48 * (np.array([29, 41, 59]) / 41) ** 0.38, rtol=0.01)
    norms, steps, since = drawn["figure-2"].axes
    np.testing.assert_allclose(norms.get_lines()[0].get_ydata(), 48 * np.array([0.85, 1.0, 1.15]))
    medians = next(line for line in steps.get_lines() if line.get_label() == "rate 0.001").get_ydata()
    np.testing.assert_allclose(medians, 4000 * np.exp(7.5 * np.array([-0.15, 0, 0.15])), rtol=0.05)
    assert len(since.get_lines()) > 4
    held = [line for line in drawn["figure-4"].axes[1].get_lines() if line.get_label() == "held"]
    assert held[0].get_xdata() == pytest.approx(np.repeat(21 * np.array(paper._PARITY_RHOS), SEEDS), rel=0.02)
    matched = next(
        line for line in drawn["figure-logits"].axes[0].get_lines() if "temperature" in line.get_label()
    )
    np.testing.assert_allclose(matched.get_xdata(), 3.0, rtol=0.05)


# ---------------------------------------------------------------- a reproduction, from training to figures


@pytest.fixture
def tiny(registry):
    """The experiments around the held norm at p = 5, with 8 neurons and 40 steps, which all grok at once."""

    def shrunk(one: Any) -> Any:
        own = ["steps=40", "task.p=5", "model.width=8", "model.embedding=4", "stop={}"]
        own.append("events={memorization='train_accuracy >= 0 for 1', grokking='test_accuracy >= 0 for 1'}")
        if one.name != "reference":
            own.append("interventions.0.at=3")
        small = replace(one.profiles["quick"], seeds=2, overrides=(*one.profiles["quick"].overrides, *own))
        return replace(one, profiles={"paper": one.profiles["paper"], "quick": small})

    # times of 0 cannot be drawn on a logarithmic axis
    return tiny_paper(PAPER, ("reference", "held", "temperature"), shrunk, draw=False)


def test_a_small_reproduction_holds_multiples_of_the_norm_of_other_seeds(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(paper, "_early_logits", lambda measures: np.array([2.0, 2.0]))
    done = reproduce_tiny(tiny, tmp_path)
    reference = done.runs["reference"]
    assert {tuple(seeds) for seeds in reference.members.seeds} == {(10_000 + i,) * 4 for i in range(2)}
    asked = np.median(reference.measures[paper._SIZE.name].to_numpy().reshape(2, -1)[:, 0])
    norms = done.runs["held"].measures[paper._SIZE.name]
    for rho in (0.85, 1.0, 1.15):
        end = norms.sel(norm=rho).isel(step=-1).to_numpy()
        np.testing.assert_allclose(end, rho * asked, rtol=1e-5)
    warm = done.runs["temperature"]
    assert warm.experiment.loss.temperature == 1.0  # the ratio of the scales above
    np.testing.assert_allclose(warm.measures[paper._SIZE.name].isel(step=-1), 1.15 * asked, rtol=1e-5)
