"""The claims on runs with known truth: each can hold, fail, be undecided, and be not testable."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from false_two_circuits import FALSE, GROKS, NEVER, like, nearly_constant, slower
from grokscope.claims import Judged
from grokscope.papers import find_paper
from paper_tests import judged_alone
from synthetic_runs import GROKKED, SyntheticRun, changed, synthetic_run, unmeasured

PAPER = find_paper("two-circuits")
# C13 speaks of binary operators: `test_operator_papers.py`.
CLAIMS = {claim.id: claim for claim in PAPER.claims if not claim.id.startswith("C13")}
IDS = list(CLAIMS)
DIVERGES = synthetic_run(["diverges"] * 40)


def verdict(claim_id: str, *runs: SyntheticRun) -> Judged:
    """The verdict on one claim, judged alone on a run, or on one for each of its experiments."""
    return judged_alone(CLAIMS[claim_id], runs)


def bulging(values: xr.DataArray) -> xr.DataArray:
    """Neurons that fall to half their norm, grow to twice their first one by memorization, and die."""
    shape = np.interp(values["epoch"], [0, 5, 20, 40, 300], [1.0, 0.5, 2.0, 0.5, 0.01])
    first = values.isel(step=0, drop=True).drop_vars("epoch", errors="ignore")
    return values * 0 + first * xr.DataArray(shape, dims="step")


# where the run that groks does not show what is claimed
TRUE = {
    "C4g": changed(
        like(GROKS, "subnetwork_norm", "generalizing", "control"),
        subnetwork_norm=lambda v: v * xr.where(v["subnetwork"] == "generalizing", 1 + 1e-3 * v["seed"], 1.0),
    ),
    **{f"C7{part}": changed(GROKS, neuron_norm=bulging) for part in "efg"},
}


@pytest.mark.parametrize("claim_id", [one for one in IDS if not one.startswith("R")])
def test_every_claim_of_the_paper_holds_where_it_is_true(claim_id: str) -> None:
    found = verdict(claim_id, TRUE.get(claim_id, GROKS))
    assert found.verdict == "holds", found


@pytest.mark.slow
@pytest.mark.parametrize("claim_id", [one for one in IDS if one.startswith("R")])
def test_what_is_said_of_random_labels_holds_where_nothing_groks(claim_id: str) -> None:
    fitted_late = slower(NEVER, 2)
    null = changed(
        synthetic_run(["never"] * 200),
        effective_sparsity=lambda v: nearly_constant(v) * 10 ** (-0.2 * v["epoch"] / 300),
        train_accuracy=lambda v: v.clip(max=0.99),
    )
    runs = {"R4": (NEVER, GROKS), "R5": (fitted_late, GROKS)}.get(claim_id, (null,))
    found = verdict(claim_id, *runs)
    assert found.verdict == "holds", found


def test_a_fall_by_more_than_half_an_order_and_one_by_nothing_are_both_outside_the_region_of_r1() -> None:
    constant = changed(NEVER, effective_sparsity=nearly_constant)
    assert [verdict("R1", run).verdict for run in (constant, GROKS)] == ["fails", "fails"]


@pytest.mark.parametrize("claim_id", IDS)
def test_every_claim_fails_where_it_is_false(claim_id: str) -> None:
    assert set(FALSE) == set(IDS)
    runs = FALSE[claim_id]
    found = verdict(claim_id, *(runs if isinstance(runs, tuple) else (runs,)))
    assert found.verdict == "fails", found


@pytest.mark.parametrize("claim_id", IDS)
def test_every_claim_is_not_testable_where_nothing_was_measured(claim_id: str) -> None:
    found = verdict(claim_id, *(unmeasured(GROKS) for _ in CLAIMS[claim_id].experiments))
    assert found.verdict == "not testable"
    assert found.note


def test_a_measure_that_was_not_taken_is_named() -> None:
    found = verdict("C3a", unmeasured(GROKS, "effective_sparsity"))
    assert (found.verdict, found.note) == ("not testable", "effective_sparsity was measured for no seed")
    gone = SyntheticRun(GROKS.measures.drop_vars("neuron_norm"), GROKS.subnetworks, GROKS.experiment)
    assert "neuron_norm" in verdict("C7a", gone).note


@pytest.mark.parametrize("claim_id", ["C1a", "C6a", "C7c", "C8", "R3"])
def test_five_seeds_cannot_decide_a_share(claim_id: str) -> None:
    fate = "never" if claim_id == "R3" else "groks"
    assert verdict(claim_id, synthetic_run([fate] * 5)).verdict == "undecided"


def test_half_of_the_seeds_is_neither_all_nor_few() -> None:
    found = verdict("C1a", synthetic_run(["groks", "never"] * 20))
    assert (found.value, found.n, found.verdict) == (0.5, 40, "fails")
    found = verdict("C1a", synthetic_run(["groks"] * 9 + ["never"]))
    assert (found.value, found.n, found.verdict) == (0.9, 10, "undecided")


def test_a_seed_that_diverges_does_not_do_what_is_claimed() -> None:
    mixed = synthetic_run(["groks"] * 30 + ["diverges"] * 10)
    for claim_id in ("C1a", "C6a", "C7b", "C7c"):
        found = verdict(claim_id, mixed)
        assert (found.value, found.n) == (0.75, 40), claim_id
    whole = CLAIMS["C8"].evidence(mixed.measures)
    assert not whole[30:].any()
    # Numbers that only a seed that lasts can have are of those that do.
    assert verdict("C3a", mixed).n == 30
    assert verdict("C1a", DIVERGES).verdict == "fails"


def test_seeds_that_were_not_run_do_not_count() -> None:
    measures = GROKS.measures.where(GROKS.measures["seed"] < 25)
    partial = SyntheticRun(measures, GROKS.subnetworks, GROKS.experiment)
    for claim_id in ("C1a", "C3a", "C6b", "C7a", "C8"):
        assert verdict(claim_id, partial).n == 25, claim_id


def test_the_delay_is_what_was_put_in() -> None:
    found = verdict("C1b", GROKS)
    truth = 0.75 * GROKKED  # memorization at a quarter of it
    assert found.value == pytest.approx(truth, rel=0.1)
    never = verdict("C1b", NEVER)
    assert never.to_json()["value"] == "not reached"


def test_sparsity_falls_by_what_was_put_in() -> None:
    # about 90 of 150 neurons to 6 and to 8
    truth = np.log10(90 / np.array([6, 8])).mean()
    assert verdict("C3a", GROKS).value == pytest.approx(truth, abs=0.02)


def test_the_standard_experiment_is_the_papers() -> None:
    spec = PAPER.experiment("standard").experiment
    assert (spec.steps_per_epoch, spec.n_steps) == (32, 9600)
    task = spec.task.model_dump()
    assert (task["n"], task["k"], task["n_train"], task["n_test"]) == (40, 3, 1000, 100)
    assert spec.optimizer.model_dump(include={"learning_rate", "weight_decay"}) == {
        "learning_rate": 0.1,
        "weight_decay": 0.01,
    }
    names = [one.name for one in PAPER.chosen()]
    assert names == ["standard", "small-weight-decay", "larger-parity", "random-labels"]


def test_experiments_differ_from_the_standard_one_only_in_what_they_say() -> None:
    base = PAPER.experiment("standard").experiment.model_dump(exclude={"name", "epochs", "schedule"})
    for name, path, value in (
        ("small-weight-decay", ("optimizer", "weight_decay"), 0.001),
        ("larger-parity", ("task", "k"), 4),
        ("random-labels", ("task", "labels"), "random"),
    ):
        other = PAPER.experiment(name).experiment.model_dump(exclude={"name", "epochs", "schedule"})
        assert other[path[0]][path[1]] == value
        other[path[0]][path[1]] = base[path[0]][path[1]]
        assert other == base


def test_points_at_which_subnetworks_are_followed_stay_few() -> None:
    from grokscope.spec.schedule import Schedule

    for one in PAPER.experiments:
        spec = one.experiment
        points = Schedule.parse(spec.schedule.follow).points(spec.steps_per_epoch, spec.n_steps)
        assert len(points) <= 301, one.name


def test_members_that_are_not_complete_do_not_count() -> None:
    complete = GROKS.measures["seed"] >= 10
    measures = GROKS.measures.assign_coords(complete=complete.astype(int))
    partial = SyntheticRun(measures, GROKS.subnetworks, GROKS.experiment)
    assert verdict("C1a", partial).n == 30


def test_what_a_lost_network_measures_does_not_count() -> None:
    recorded = xr.where(GROKS.measures["seed"] < 10, 1600, -1)
    measures = GROKS.measures.assign_coords(diverged_step=recorded)
    lost = SyntheticRun(measures, GROKS.subnetworks, GROKS.experiment)
    assert (verdict("C6a", lost).value, verdict("C6a", lost).n) == (0.75, 40)
    assert verdict("C3a", lost).n == verdict("C7a", lost).n == 30


# ---------------------------------------------------------------- anchors and thresholds, by brute force


def hand_made(train: list[float], probe: list[float], norms: list[list[float]]) -> xr.Dataset:
    """One seed, one point per epoch of 32 updates."""
    n = len(train)
    return xr.Dataset(
        {
            "train_accuracy": (("seed", "step"), [train]),
            "test_accuracy": (("seed", "step"), [probe]),
            "test_accuracy_large": (("seed", "step"), [probe]),
            "train_loss": (("seed", "step"), [[1.0] * n]),
            "neuron_norm": (("seed", "neuron", "step"), [norms]),
        },
        {"seed": [0], "step": np.arange(n) * 32, "epoch": ("step", np.arange(n, dtype=float))},
    )


def ramp(at: dict[float, int], n: int = 60) -> list[float]:
    """A curve of steps: from each epoch on its level."""
    return [max([0.5, *(level for level, epoch in at.items() if i >= epoch)]) for i in range(n)]


@pytest.mark.parametrize(
    ("train", "test", "factor", "expected"),
    [
        (0.95, 0.55, 1.25, 1.0),  # 24 over 10; the event lies between epochs 23 and 24
        (0.98, 0.55, 1.25, 0.0),  # 23 is not 1.25 times 20
        (0.98, 0.98, 1.25, 1.0),
        (0.95, 0.55, 2.3, 1.0),  # 23 is 2.3 times 10
        (0.95, 0.55, 2.35, 0.0),  # the event may be as early as 23
    ],
)
def test_departure_is_compared_with_the_anchor_that_is_asked_for(
    train: float, test: float, factor: float, expected: float
) -> None:
    from grokscope.papers.two_circuits import late_departure

    measures = hand_made(ramp({0.96: 10, 0.99: 20}), ramp({0.6: 24, 0.99: 40}), [[1.0] * 60])
    assert late_departure(measures, train, test, factor).tolist() == [expected]


def test_growth_of_a_neuron_is_over_its_least_or_its_first_norm() -> None:
    from grokscope.papers.two_circuits import growth_of_neurons

    norms = [[4.0, 2.0, 3.0, 1.0, 1.2, 6.0], [4.0, 5.0, 4.0, 3.0, 2.0, 1.0], [4.0, 3.0, 2.0, 1.0, 0.5, 0.1]]
    measures = hand_made([0.5] * 6, [0.5] * 6, norms)
    for until in (0, 2, 4, 5):
        for over in ("least", "initial"):
            expected = [
                max(own[j] / (min(own[: j + 1]) if over == "least" else own[0]) for j in range(until + 1))
                for own in norms
            ]
            found = growth_of_neurons(measures, np.array([until * 32.0]), over)
            np.testing.assert_allclose(found[0], np.maximum(expected, 1))


def test_fitting_is_compared_within_seeds_that_both_runs_have() -> None:
    from grokscope.papers.two_circuits import fitting_over_true_labels

    true = xr.concat([hand_made(ramp({0.99: at}), ramp({}), [[1.0] * 60]) for at in (10, 20, 30)], "seed")
    null = xr.concat([hand_made(ramp({0.99: at}), ramp({}), [[1.0] * 60]) for at in (30, 15, 99)], "seed")
    true = true.assign_coords(seed=[5, 6, 7])
    null = null.assign_coords(seed=[6, 5, 7]).sortby("seed")
    assert fitting_over_true_labels(null, true, None).tolist() == [1.5, 1.5, np.inf]
    assert fitting_over_true_labels(null.sel(seed=[6]), true, 0.95).tolist() == [1.5]


def test_the_curves_over_thresholds_pass_through_the_claims() -> None:
    from grokscope.papers.two_circuits import threshold_panels

    train, growth, parting, norms = threshold_panels(GROKS.measures)
    for claim_id, panel, label, at in (
        ("C1c", train, "test accuracy 0.55", 0.98),
        ("C1d", train, "test accuracy 0.55", 0.95),
        ("C7b", growth, "over the least norm, before grokking", 5),
        ("C7d", growth, "over the least norm, before grokking", 10),
        ("C7e", growth, "over the least norm, before memorization", 5),
        ("C7f", growth, "over the least norm, before memorization", 10),
        ("C4h", parting, "generalizing", 1.1),
        ("C4f", norms, "random control", 0.25),
        ("C4g", norms, "random control", 0.75),
    ):
        points = {round(x, 6): estimate for x, estimate in panel.lines[label]}
        found = verdict(claim_id, GROKS)
        assert points[at].value == pytest.approx(found.value), claim_id
        assert (points[at].low, points[at].high) == pytest.approx(tuple(found.to_json()["interval"]))
        assert panel.region[0] == pytest.approx(CLAIMS[claim_id].region.low)
