"""verify, show, report and export of a run, a sweep, a contest, a reproduction, and folders of these."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import grokscope as gs
from grokscope.errors import InputError
from grokscope.store.folder import find_run, holding, results_in, run_folders, runs_in
from grokscope.sweeps import Contender, ContestSpec, open_results, run_contest, verify_results
from paper_tests import RATES

BASE = gs.Experiment(
    task={"kind": "sparse_parity", "n": 6, "k": 2, "n_train": 32, "n_test": 16, "n_probe": 16},
    model={"kind": "fully_connected", "width": 8},
    epochs=2,
    batch_size=16,
    measures=["train_accuracy", "test_accuracy", "neuron_norm"],
)
RATE = "optimizer.learning_rate"
CLAIM = {"id": "C1", "sentence": "It is so.", "verdict": "holds", "experiment": "run", "setting": "own"}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A reproduction with a run, a sweep and a contest."""
    folder = tmp_path_factory.mktemp("whole") / "out"
    gs.train(BASE, 2, out=folder / "run")
    gs.sweep(BASE, [f"{RATE}=0.1,0.2"], seeds=2, out=folder / "sweep", rates=RATES)
    sgd = Contender("sgd", (f"{RATE}=0.1,0.2",))
    contenders = (sgd, Contender("adamw", (f"{RATE}=0.01,0.02",), ("optimizer.kind=adamw",)))
    run_contest(ContestSpec.of(BASE, contenders, 2, "5,6"), out=folder / "contest", rates=RATES)
    (folder / "claims.json").write_text(json.dumps([CLAIM]))
    failure = {"part": "figure", "name": "figure-1", "reason": "ValueError: no"}
    (folder / "reproduction.json").write_text(json.dumps({"paper": "none", "failures": [failure]}))
    return folder


@pytest.fixture
def copy(whole: Path, tmp_path: Path) -> Path:
    shutil.copytree(whole, tmp_path / "copy")
    return tmp_path / "copy"


def break_run(run: Path) -> None:
    files = [file for file in (run / "store").rglob("*") if file.is_file()]
    victim = max(files, key=lambda file: file.stat().st_size)
    content = bytearray(victim.read_bytes())
    content[len(content) // 2] ^= 1
    victim.write_bytes(content)


@pytest.mark.slow
def test_there_is_one_place_that_says_what_is_in_a_folder(whole: Path) -> None:
    kinds = {name: holding(whole / name) for name in ("run", "sweep", "contest", ".", "sweep/cells")}
    assert kinds == {
        "run": "run", "sweep": "sweep", "contest": "contest", ".": "reproduction", "sweep/cells": "other"
    }  # fmt: skip
    assert [one.name for one in results_in(whole)] == ["contest", "run", "sweep"]
    assert len(runs_in(whole)) == 1 + 2 + (2 + 2 * 2)
    assert [str(one.relative_to(whole)) for one in run_folders(whole)] == [
        "contest/adamw",
        "contest/sgd",
        "run",
    ]
    assert find_run(whole / "run") == whole / "run"
    with pytest.raises(InputError, match="holds 3 runs; say which: contest/adamw, contest/sgd, run"):
        find_run(whole)
    with pytest.raises(InputError, match="is a sweep, of many runs"):
        gs.open_run(whole / "sweep")
    found = open_results(whole)
    assert {name: type(one).__name__ for name, one in found.items()} == {
        "contest": "Contest", "run": "Run", "sweep": "Sweep"
    }  # fmt: skip
    empty = whole.parent / "empty"
    empty.mkdir()
    with pytest.raises(InputError, match="holds no run"):
        open_results(empty)


def test_verify_checks_every_run(cli, whole: Path) -> None:
    for name, count in ((".", 9), ("sweep", 2), ("contest", 6)):
        result = cli("verify", str(whole / name))
        assert (result.code, result.err) == (0, "")
        assert f"{count} runs: {count} intact" in result.out
    assert "all files match" in cli("verify", str(whole / "run")).out


def test_verify_finds_all_damage(cli, copy: Path) -> None:
    cells = sorted((copy / "sweep" / "cells").iterdir())
    break_run(cells[0])
    break_run(copy / "run")
    shutil.rmtree(cells[1])
    result = cli("verify", str(copy))
    assert result.code == 1
    assert "9 runs: 6 intact, 2 damaged, 1 unfinished" in result.out
    assert f"sweep/cells/{cells[0].name}/store/" in result.out
    assert f"sweep/cells/{cells[1].name}: has not been started" in result.out
    assert "run/store/" in result.out
    assert "damaged (2 found)" in result.err
    document = json.loads(cli("verify", str(copy), "--json").out)
    assert (document["ok"], len(document["problems"])) == (False, 3)
    (copy / "sweep" / "sweep.json").write_text("{")
    states = [one.state for one in verify_results(copy)]
    assert sorted(states) == ["damaged"] * 3 + ["intact"] * 6


@pytest.mark.slow
def test_show_summarizes_everything(cli, whole: Path) -> None:
    result = cli("show", str(whole))
    assert result.code == 0, result.err
    failure = "figure figure-1 failed: ValueError: no"
    for text in (
        "It is so.",
        "C1: a control or correction that the paper lacks.",
        failure,
        "2 cells, 4 members",
        "2 contenders",
        str(whole / "run"),
    ):
        assert text in result.out
    document = json.loads(cli("show", str(whole), "--json").out)
    assert [len(document[key]) for key in ("claims", "failures", "runs", "sweeps", "contests")] == [1] * 5
    assert "2 contenders on 2 fresh seeds" in cli("show", str(whole / "contest")).out
    assert len(json.loads(cli("show", str(whole / "contest"), "--json").out)["standings"]) == 2
    assert "cells" in json.loads(cli("show", str(whole / "sweep"), "--json").out)


def test_a_folder_with_one_result_is_that_result(cli, whole: Path, tmp_path: Path) -> None:
    for name, word in (("run", "sparse_parity"), ("sweep", "2 cells"), ("contest", "2 contenders")):
        shutil.copytree(whole / name, tmp_path / name / "inside")
        assert word in cli("show", str(tmp_path / name)).out
        assert cli("report", str(tmp_path / name)).code == 0
        assert (tmp_path / name / "report.html").is_file()


def test_measures_of_a_sweep_are_one_table(cli, whole: Path, tmp_path: Path) -> None:
    result = cli("export", str(whole / "sweep"), "--to", str(tmp_path / "a.csv"))
    assert result.code == 0, result.err
    table = pd.read_csv(tmp_path / "a.csv")
    assert list(table.columns[:3]) == ["learning_rate", "seed", "step"]
    sweep = gs.open_sweep(whole / "sweep")
    assert len(table) == 2 * 2 * sweep.measures.sizes["step"]
    for _, row in table.iterrows():
        run = sweep.cell(learning_rate=row.learning_rate)
        own = run.measures.test_accuracy.sel(seed=int(row.seed), step=int(row.step))
        assert row.test_accuracy == pytest.approx(float(own))
    assert "neuron_norm" not in table
    assert cli("export", str(whole / "sweep"), "--to", str(tmp_path / "a.nc")).code == 0
    again = xr.open_dataset(tmp_path / "a.nc")
    np.testing.assert_array_equal(again.neuron_norm, sweep.measures.neuron_norm)


def test_measures_of_a_reproduction_are_one_table(cli, whole: Path, tmp_path: Path) -> None:
    for end in ("csv", "parquet"):
        assert cli("export", str(whole), "--to", str(tmp_path / f"a.{end}")).code == 0
    table = pd.read_parquet(tmp_path / "a.parquet")
    assert set(table.experiment) == {"run", "sweep", "contest"}
    assert set(table.columns) >= {"experiment", "learning_rate", "contender", "seed", "step", "test_accuracy"}
    assert table[table.experiment == "run"].learning_rate.isna().all()
    assert set(table[table.experiment == "contest"].contender) == {"sgd", "adamw"}
    own = gs.open_run(whole / "run").measures
    rows = table[table.experiment == "run"].sort_values(["seed", "step"])
    np.testing.assert_array_equal(rows.test_accuracy, own.test_accuracy.to_numpy().ravel())
    assert cli("export", str(whole), "--to", str(tmp_path / "a.nc")).code == 0
    group = xr.open_dataset(tmp_path / "a.nc", group="run")
    np.testing.assert_array_equal(group.test_accuracy, own.test_accuracy)
    assert group.attrs["grokscope_identity"] == BASE.identity


def test_one_seed_and_the_last_step(cli, whole: Path, tmp_path: Path) -> None:
    words = ("--seed", "1", "--step", "-1", "--to", str(tmp_path / "a.csv"))
    assert cli("export", str(whole / "sweep"), *words).code == 0
    table = pd.read_csv(tmp_path / "a.csv")
    assert (len(table), set(table.seed), set(table.step)) == (2, {1}, {BASE.n_steps})
    again = cli("export", str(whole / "sweep"), *words)
    assert (again.code, "exists; add --force" in again.err) == (2, True)


@pytest.mark.parametrize("name", [".", "sweep", "contest"])
def test_weights_are_those_of_one_run(cli, whole: Path, tmp_path: Path, name: str) -> None:
    result = cli("export", str(whole / name), "--to", str(tmp_path / "a.safetensors"))
    assert result.code == 2
    assert "weights are those of one run" in result.err
    assert len(result.err.splitlines()) == 1
    assert not (tmp_path / "a.safetensors").exists()
