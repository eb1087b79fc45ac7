"""Commands on real runs: plain seeds, crossed streams, and members that cannot be paired."""

from __future__ import annotations

import csv
import importlib.util
import json

import pytest

from grokscope.cli import main
from grokscope.runs import verify

SPEC = """
epochs = 3
batch_size = 16
measures = ["train_accuracy", "test_accuracy", "neuron_norm"]
[task]
kind = "sparse_parity"
n = 6
k = 2
n_train = 32
n_test = 16
n_probe = 32
[model]
kind = "fully_connected"
width = 8
"""
SEEDS = {"plain": "2", "other": "0,5", "crossed": "init=0,1;data=0:2", "one_stream": "init=4;data=0:3"}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    (folder / "spec.toml").write_text(SPEC)
    for name, seeds in SEEDS.items():
        assert main(["train", str(folder / "spec.toml"), "--seeds", seeds, "--out", str(folder / name)]) == 0
    # members that fill no box of streams
    words = ["train", str(folder / "spec.toml"), "--seeds", "7,8", "--out", str(folder / "crossed")]
    assert main(words) == 0
    return folder


def done(result):
    assert result.code == 0, result.err
    return result.out


@pytest.mark.slow
def test_the_same_again_is_complete(cli, runs):
    out = done(cli("train", str(runs / "spec.toml"), "--seeds", "2", "--out", str(runs / "plain")))
    assert out == f"{runs / 'plain'}: 2 members, 6 steps, complete\n"


def test_runs_lists_them(cli, runs):
    found = {
        line["path"].rpartition("/")[2]: (line["members"], line["complete"], line["problem"])
        for line in json.loads(done(cli("runs", str(runs), "--json")))
    }
    assert found == {
        "plain": (2, 2, None),
        "other": (2, 2, None),
        "crossed": (6, 6, None),
        "one_stream": (3, 3, None),
    }


@pytest.mark.parametrize("name", SEEDS)
def test_every_run_can_be_shown_reported_compared_exported_and_verified(cli, runs, tmp_path, name):
    run = str(runs / name)
    shown = json.loads(done(cli("show", run, "--json")))
    assert shown["complete"]
    assert shown["events"][1]["share"]["n"] == len(shown["seeds"])
    assert len(shown["curves"]["test_accuracy"]) == 4
    assert "grokking" in done(cli("show", run))
    done(cli("report", run, "--out", str(tmp_path / "r.html")))
    assert (tmp_path / "r.html").stat().st_size > 1000
    compared = json.loads(done(cli("compare", run, run, "--json")))
    assert compared["n"] == len(shown["seeds"])
    done(cli("export", run, "--to", str(tmp_path / "a.csv")))
    with (tmp_path / "a.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 4 * len(shown["seeds"])
    if importlib.util.find_spec("h5netcdf") and importlib.util.find_spec("h5py"):
        done(cli("export", run, "--to", str(tmp_path / "a.nc")))
    done(cli("verify", run))


def test_runs_with_some_members_in_common_are_paired_on_those(cli, runs):
    plain, other, crossed = (str(runs / name) for name in ("plain", "other", "crossed"))
    found = json.loads(done(cli("compare", plain, other, "--json")))
    assert (found["members"], found["unpaired"]) == ([[0, 0, 0, 0]], [1, 1])
    found = json.loads(done(cli("compare", crossed, plain, "--json")))
    assert found["members"] == [[0, 0, 0, 0]]
    result = cli("compare", plain, str(runs / "one_stream"))
    assert result.code == 2
    assert "no member in common, so nothing can be paired" in result.err


def test_measures_are_added(cli, runs):
    run = str(runs / "crossed")
    out = done(cli("measure", run, "weight_norm", "path_norm", "--steps", "0:7:3"))
    assert out == f"{run}: weight_norm, path_norm measured\n"
    assert {"weight_norm", "path_norm"} <= set(json.loads(done(cli("show", run, "--json")))["measures"])
    assert verify(run) == []


def test_weights_are_exported(cli, runs, tmp_path):
    from safetensors.numpy import load_file

    file = tmp_path / "weights.safetensors"
    done(cli("export", str(runs / "other"), "--to", str(file), "--seed", "5", "--step", "2"))
    assert {name: array.shape for name, array in load_file(file).items()} == {
        "hidden_weight": (6, 8),
        "hidden_bias": (8,),
        "output_weight": (8,),
    }
    result = cli("export", str(runs / "crossed"), "--to", str(tmp_path / "b.safetensors"))
    assert (result.code, len(result.err.splitlines())) == (2, 1)
