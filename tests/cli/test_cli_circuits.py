"""The command ``circuits`` on a small run that has learned."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET

import pytest

from grokscope.circuits.target import hidden_bits
from small_circuits import trained


@pytest.fixture(scope="module")
def run():
    return trained()


def done(result):
    assert result.code == 0, result.err
    return result.out


GATE = {"neurons": list, "bits": list, "signs": list, "kind": str, "output_sign": int, "strength": float}


def test_json_is_the_contract(cli, run):
    every = json.loads(done(cli("circuits", str(run.path), "--json")))
    assert [one["seed"] for one in every] == [0, 1, 2]
    for one in every:
        assert list(one) == ["seed", "step", "support", "gates", "subnetwork", "whole"]
        assert (one["step"], one["subnetwork"], one["whole"]) == (1400, None, None)
        assert one["support"] == list(hidden_bits(run, one["seed"]))
        assert one["gates"]
        for gate in one["gates"]:
            assert {name: type(value) for name, value in gate.items()} == GATE
            assert gate["kind"] in ("and", "or", "other")
            assert set(gate["bits"]) <= set(one["support"])
            assert len(gate["signs"]) == len(gate["bits"])
    alone = json.loads(done(cli("circuits", str(run.path), "--seed", "2", "--json")))
    assert alone == every[2]


def test_one_seed_is_told_in_full(cli, run):
    bits = hidden_bits(run, 0)
    out = done(cli("circuits", str(run.path), "--seed", "0"))
    lines = out.splitlines()
    assert lines[0].split() == ["seed", "0,", "step", "1400", "(epoch", "200)"]
    assert lines[1].split(maxsplit=1) == ["support", ", ".join(map(str, bits))]
    assert f"x{bits[0]}·x{bits[1]}: 1 (exactly)" in out
    assert any(line.startswith("sign(") for line in lines)
    assert any(line.startswith("f(x) = ") for line in lines)
    assert lines[-1] == "the gates' sum has the sign of the parity at 4 of 4 settings"


def test_all_seeds_are_a_table(cli, run):
    header, *rows = done(cli("circuits", str(run.path))).splitlines()
    assert header.split() == ["seed", "step", "support", "neurons", "gates", "kinds"]
    assert [row.split()[0] for row in rows] == ["0", "1", "2"]
    before = done(cli("circuits", str(run.path), "--step", "0"))
    assert before.count("none") == 3


def test_before_the_transition_nothing_is_found_and_that_is_said(cli, run):
    out = done(cli("circuits", str(run.path), "--seed", "0", "--step", "0"))
    assert out.splitlines()[1].split() == ["support", "none"]
    assert "no bits stand out" in out
    assert "sign(" not in out


def test_pictures_are_written(cli, run, tmp_path):
    result = cli("circuits", str(run.path), "--out", str(tmp_path / "pictures"), "--json")
    assert len(json.loads(done(result))) == 3
    names = sorted(file.name for file in (tmp_path / "pictures").iterdir())
    assert names == [f"circuit-seed-{seed}-step-1400.svg" for seed in range(3)]
    assert ET.parse(tmp_path / "pictures" / names[0]).getroot().tag.endswith("svg")
    result = cli("circuits", str(run.path), "--seed", "1", "--step", "0", "--out", str(tmp_path / "none"))
    assert "seed 1: no circuit, so no diagram" in result.err
    assert not (tmp_path / "none").exists()


def test_a_place_that_cannot_be_written(cli, run, tmp_path):
    (tmp_path / "file").write_text("")
    result = cli("circuits", str(run.path), "--seed", "0", "--out", str(tmp_path / "file"))
    assert (result.code, result.err) == (
        2,
        f"grokscope: --out {tmp_path / 'file'}: is a file, not a folder.\n",
    )


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--seed", "7"], "has no seed 7; it has 0, 1, 2."),
        (["--seed", "two"], "--seed two: allowed: one seed, like 3, or those of the four streams"),
        (["--seed", "1,2"], "--seed 1,2: allowed"),
        (["--step", "9999"], "seed 0 has steps 0 to 1400, not 9999."),
        (["--step", "grokking"], "Invalid value for '--step'"),
        (["--sede", "1"], "No such option: --sede. Did you mean '--seed'?"),
    ],
)
def test_bad_input_is_one_clear_line(cli, run, words, text):
    result = cli("circuits", str(run.path), *words)
    assert (result.code, result.out) == (2, "")
    assert text in result.err
    assert len(result.err.splitlines()) <= 2
