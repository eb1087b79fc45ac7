from __future__ import annotations

import json

import numpy as np
import pytest

import grokscope as gs
from fake_runs import fake_run
from grokscope.analysis.overview import claims_beside, overview_of


def test_an_overview_tells_events_and_curves_of_scalar_measures():
    run = fake_run(seeds="2,5,6,7", groks_at={2: 64, 5: 96, 6: 128})
    overview = overview_of(run)
    assert overview.seeds == [2, 5, 6, 7]
    assert overview.kinds["task"] == "sparse_parity"
    assert overview.n_steps == 320
    memorization, grokking = overview.events
    assert (memorization.name, memorization.share.value) == ("memorization", 1.0)
    assert (grokking.name, grokking.share.value) == ("grokking", 0.75)
    # the times are (32, 64], (64, 96], (96, 128] and not seen: their median lies in (64, 128]
    assert 64 < grokking.step.value <= 128
    assert set(overview.curves) == {
        "train_accuracy",
        "test_accuracy",
        "train_loss",
        "faithfulness generalizing",
        "faithfulness control",
    }
    np.testing.assert_allclose(
        overview.curves["faithfulness control"],
        run.measures["faithfulness"].sel(subnetwork="control", split="test")[:, ::2].mean("seed").to_numpy(),
        rtol=1e-12,
    )
    np.testing.assert_allclose(
        overview.curves["train_loss"], run.measures["train_loss"].mean("seed").to_numpy(), rtol=1e-12
    )


def test_what_was_not_measured_is_left_out_of_a_curve():
    run = fake_run()
    run.measures["train_loss"][:, 1::2] = np.nan
    assert len(overview_of(run).curves["train_loss"]) == 6


def test_a_run_without_accuracies_has_no_events():
    run = fake_run()
    run.measures = run.measures.drop_vars(["train_accuracy", "test_accuracy"])
    assert overview_of(run).events == []


@pytest.mark.filterwarnings("error")
def test_a_measure_that_was_never_taken_is_an_empty_curve():
    run = fake_run()
    run.measures["train_loss"] = run.measures["train_loss"] * np.nan
    assert overview_of(run).curves["train_loss"] == []


CLAIM = {"id": "C1", "sentence": "It groks.", "verdict": "holds", "experiment": "standard", "value": 1.0}


def test_claims_of_a_reproduction_are_those_about_the_run(tmp_path):
    run = fake_run(tmp_path / "standard")
    assert overview_of(run).claims == []
    others = [{**CLAIM, "id": "C2", "experiment": "other"}, {"id": "C3"}, "no claim"]
    (tmp_path / "claims.json").write_text(json.dumps([CLAIM, *others]), encoding="utf-8")
    assert overview_of(run).claims == [CLAIM]
    assert [claim["id"] for claim in claims_beside(tmp_path)] == ["C1", "C2"]


@pytest.mark.parametrize("text", ["", "{", "[1, 2]", '{"id": "C1"}', "null", "\x00"])
def test_a_file_that_is_no_list_of_claims_has_none(tmp_path, text):
    (tmp_path / "claims.json").write_text(text, encoding="utf-8")
    assert claims_beside(tmp_path) == []


def test_the_last_networks_are_read_as_circuits(tmp_path):
    from grokscope.circuits import construction_experiment, read_circuit

    experiment = construction_experiment(2, n=10, measures=["test_accuracy"])
    run = gs.train(experiment, seeds=2, out=tmp_path / "run")
    (first, second) = overview_of(run, circuits=2).circuits
    assert (first.seed, second.seed) == (0, 1)
    assert first.support == [0, 1, 2]
    assert (first.right, first.settings) == (8, 8)  # a construction of the parity
    assert first.formula == read_circuit(run).circuit.formula
    assert overview_of(run).circuits == []
