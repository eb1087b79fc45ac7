"""The claims on runs with known truth: each can hold, fail, be undecided, and be not testable."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from false_two_circuits import FALSE, GROKS, NEVER, nearly_constant
from grokscope.claims import Judged, gather, judge
from grokscope.papers import find_paper
from synthetic_runs import GROKKED, SyntheticRun, changed, synthetic_run, unmeasured

PAPER = find_paper("two-circuits")
# C13 speaks of binary operators: `test_operator_papers.py`.
CLAIMS = {claim.id: claim for claim in PAPER.claims if not claim.id.startswith("C13")}
IDS = list(CLAIMS)
DIVERGES = synthetic_run(["diverges"] * 40)


def verdict(claim_id: str, run: SyntheticRun) -> Judged:
    """The verdict on one claim, judged alone on a run."""
    claim = CLAIMS[claim_id]
    return judge([(claim, gather(claim, run.measures))])[0]


@pytest.mark.parametrize("claim_id", [one for one in IDS if not one.startswith("R")])
def test_every_claim_of_the_paper_holds_where_it_is_true(claim_id: str) -> None:
    found = verdict(claim_id, GROKS)
    assert found.verdict == "holds", found


@pytest.mark.parametrize("claim_id", ["R2", "R3"])
def test_what_is_said_of_random_labels_holds_where_nothing_groks(claim_id: str) -> None:
    run = changed(synthetic_run(["never"] * 200), effective_sparsity=nearly_constant)
    found = verdict(claim_id, run)
    assert found.verdict == "holds", found


@pytest.mark.parametrize("claim_id", IDS)
def test_every_claim_fails_where_it_is_false(claim_id: str) -> None:
    assert set(FALSE) == set(IDS)
    found = verdict(claim_id, FALSE[claim_id])
    assert found.verdict == "fails", found


@pytest.mark.parametrize("claim_id", IDS)
def test_every_claim_is_not_testable_where_nothing_was_measured(claim_id: str) -> None:
    found = verdict(claim_id, unmeasured(GROKS))
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
