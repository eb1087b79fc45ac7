from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from fake_runs import fake_run
from grokscope.cards import sparkline
from grokscope.cli.measure import parse_steps
from grokscope.errors import InputError
from grokscope.experiment import Experiment
from grokscope.runs import RunSummary


def test_train_passes_on_what_was_asked_for(cli, store, spec, tmp_path):
    result = cli(
        *("train", str(spec), "--set", "optimizer.weight_decay=0.001", "--set", "epochs=20"),
        *("--seeds", "5,9", "--out", str(tmp_path / "run"), "--allow-other-numerics"),
    )
    assert result.code == 0, result.err
    ((experiment, seeds, out, allowed),) = store.trained
    assert experiment.optimizer.weight_decay == 0.001
    assert experiment.epochs == 20
    assert (seeds, out) == ("5,9", tmp_path / "run")
    assert allowed == {"allow_other_numerics": True, "allow_changed_code": False}
    assert result.out == f"{tmp_path / 'run'}: 2 members, 320 steps, complete\n"
    assert "training: 100 %" in result.err


def test_train_takes_one_seed_and_the_default_folder_unless_told_otherwise(cli, store, spec):
    assert cli("train", str(spec)).code == 0
    assert store.trained[0][1:] == (1, None, {"allow_other_numerics": False, "allow_changed_code": False})


@pytest.fixture
def noisy(registry, tmp_path):
    file = tmp_path / "noisy.py"
    file.write_text(
        "from typing import Literal\nfrom grokscope.losses import Hinge\nprint('a plug-in that talks')\n"
        "class Noisy(Hinge):\n    kind: Literal['noisy_hinge'] = 'noisy_hinge'\n"
    )
    return str(file)


@pytest.mark.parametrize(
    "words",
    [
        ["train", "SPEC", "--plugin", "NOISY"],
        ["measure", "a", "sensitivity", "--plugin", "NOISY"],
        ["compare", "a", "b", "--plugin", "NOISY"],
        ["runs"],
        ["show", "a", "--plugin", "NOISY"],
        ["verify", "a"],
        ["export", "a", "--to", "CSV", "--plugin", "NOISY"],
        ["new", "task", "some_task", "--out", "FOLDER"],
    ],
)
def test_json_is_one_document_and_nothing_else(cli, store, any_measure, spec, noisy, tmp_path, words):
    store.opened = {"a": fake_run("a"), "b": fake_run("b", groks_at={0: 64})}
    places = {"SPEC": spec, "NOISY": noisy, "CSV": tmp_path / "a.csv", "FOLDER": tmp_path}
    result = cli(*(str(places.get(word, word)) for word in words), "--json")
    assert result.code == 0, result.err
    json.loads(result.out, parse_constant=pytest.fail)
    assert ("a plug-in that talks" in result.err) == ("--plugin" in words)


def test_measure_passes_on_names_steps_and_flavor(cli, store, any_measure):
    store.opened["a"] = run = fake_run("a")
    result = cli("measure", "a", "sensitivity", "faithfulness", "--steps", "0:97:32", "--flavor", "accuracy")
    assert result.code == 0, result.err
    assert run.asked == [(["sensitivity", "faithfulness"], [0, 32, 64, 96], "accuracy")]
    assert result.out == "a: sensitivity, faithfulness measured\n"
    assert "replay" in result.err


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        (None, None),
        ("log", "log"),
        ("all", ["epochs"]),
        ("310:", list(range(310, 321))),
        (":3", [0, 1, 2]),
        ("-2:", [319, 320]),
        ("0:321:160", [0, 160, 320]),
    ],
)
def test_steps_are_read(text, steps):
    assert parse_steps(text, Experiment(task="sparse_parity", epochs=10)) == steps


@pytest.mark.parametrize("text", ["some", "5", "1:2:3:4", "a:b", "5:5", "0:10:0", "400:500"])
def test_steps_that_make_no_sense_are_refused(text):
    with pytest.raises(InputError, match=f"--steps {text}: "):
        parse_steps(text, Experiment(task="sparse_parity", epochs=10))


def test_compare_shows_shares_and_the_ratio(cli, store):
    times = dict.fromkeys(range(6), 160)
    store.opened = {
        "a": fake_run("a", seeds=6, groks_at=times),
        "b": fake_run("b", seeds=7, groks_at=dict.fromkeys(range(6), 64)),
    }
    result = cli("compare", "a", "b")
    assert result.code == 0, result.err
    assert "6 pairs: members with the same seeds; members only in A: 0, only in B: 1" in result.out
    assert "share grokked in B    1 [" in result.out
    (ratio,) = [line for line in result.out.splitlines() if line.startswith("grokking step, A / B")]
    assert ratio.split()[5] == "2.5"
    found = json.loads(cli("compare", "a", "b", "--json").out)
    assert found["ratio"]["value"] == 2.5
    assert found["n"] == 6
    assert len(found["members"]) == 6


def test_a_time_that_is_not_known_is_null_in_json(cli, store):
    store.opened = {"a": fake_run("a"), "b": fake_run("b")}
    found = json.loads(cli("compare", "a", "b", "--json").out)
    assert found["ratio"]["high"] is None
    assert found["times_a"]["upper"] == [None, None, None]


def test_runs_are_listed_with_their_state(cli, tmp_path, monkeypatch):
    listed = [
        RunSummary(Path("runs/a"), "sparse_parity", "cd" * 32, 5, 3, 9600),
        RunSummary(Path("runs/b"), problem="is damaged"),
    ]
    monkeypatch.setattr("grokscope.sweeps._listing.run_summaries", lambda folder, progress: listed)
    result = cli("runs", str(tmp_path))
    header, a, b = result.out.splitlines()
    assert header.split() == ["run", "identity", "task", "steps", "members"]
    assert a.split() == ["runs/a", "cdcdcdcd", "sparse_parity", "9600", "3", "of", "5", "complete"]
    assert b.endswith("is damaged")
    assert json.loads(cli("runs", str(tmp_path), "--json").out)[0]["path"] == "runs/a"


def test_no_runs_is_no_error_but_no_folder_is(cli, tmp_cwd, tmp_path):
    assert cli("runs").code == 0
    assert cli("runs", "--json").out == "[]\n"
    result = cli("runs", str(tmp_path / "nowhere"))
    assert (result.code, result.err) == (2, f"grokscope: {tmp_path / 'nowhere'}: there is no such folder.\n")


def test_show_tells_events_and_draws_curves(cli, store):
    store.opened["a"] = fake_run("a", seeds="4,7,9", groks_at={4: 160, 7: 160, 9: 160})
    result = cli("show", "a")
    assert result.code == 0, result.err
    lines = result.out.splitlines()
    assert lines[0].split() == ["run", "a"]
    assert any(line.startswith("members") and line.endswith("3 (seeds 4, 7, 9)") for line in lines)
    (grokking,) = [line for line in lines if line.startswith("grokking ")]
    assert "seen in 3 of 3; median step " in grokking
    (curve,) = [line for line in lines if line.startswith("test_accuracy")]
    assert curve.split() == ["test_accuracy", "0.5", "▁▁▁▁▁██████", "1"]
    assert "\x1b" not in result.out


def test_show_tells_the_claims_and_steers_no_terminal(cli, store, tmp_path):
    store.opened[str(tmp_path / "standard")] = fake_run(tmp_path / "standard")
    claim = {"id": "C1", "sentence": "Red\x1b[31m.", "verdict": "holds", "experiment": "standard"}
    claim |= {"value": 2.5, "interval": [1, None], "paper_value": "yes", "seeds": 7}
    (tmp_path / "claims.json").write_text(json.dumps([claim]), encoding="utf-8")
    long = "C1", "holds", "2.5", "1", "to", "inf", "yes", "7", "Red?[31m."
    short = "C1", "Red?[31m.", "2.5", "[1,", "inf]", "holds"
    for flags, cells in (((), short), (("--full",), long)):
        result = cli("show", str(tmp_path / "standard"), *flags)
        assert result.code == 0, result.err
        (row,) = [line for line in result.out.splitlines() if line.startswith("C1 ")]
        assert row.split() == list(cells)


@pytest.mark.parametrize(
    ("values", "drawn"),
    [
        ([], ""),
        ([float("nan")], ""),
        ([3.0], "_"),
        ([2.0, 2.0], "__"),
        ([0, 1, 2, 3], "_-+#"),
        ([3, 0], "#_"),
    ],
)
def test_sparklines(values, drawn):
    assert sparkline(values, bars="_-+#") == drawn


def test_a_long_curve_is_averaged_into_the_width():
    assert sparkline([0.0] * 50 + [1.0] * 50, width=4, bars="_#") == "__##"


@dataclass(frozen=True)
class Trouble:
    file: str
    kind: str
    message: str

    @property
    def is_damage(self) -> bool:
        return self.kind != "unfinished"

    def __str__(self) -> str:
        return f"{self.file}: {self.message}"


def test_verify_finds_nothing_or_says_what(cli, store):
    assert cli("verify", "a").out == "a: all files match their checksums\n"
    store.problems = [
        Trouble("store/x", "changed", "has changed"),
        Trouble("store/y", "missing", "is gone"),
    ]
    result = cli("verify", "a")
    assert result.code == 1
    assert result.out == "store/x: has changed\nstore/y: is gone\n"
    assert result.err == "grokscope: a: damaged (2 found).\n"
    result = cli("verify", "a", "--json")
    assert result.code == 1
    assert json.loads(result.out)["ok"] is False
    assert json.loads(result.out)["problems"][1]["file"] == "store/y"


def test_an_unfinished_run_is_not_damaged(cli, store):
    store.problems = [Trouble("checksums.json", "unfinished", "is not there yet")]
    result = cli("verify", "a")
    assert (result.code, result.out) == (0, "checksums.json: is not there yet\n")


def test_export_says_what_it_left_out(cli, store, tmp_path):
    store.opened["a"] = fake_run("a")
    result = cli("export", "a", "--to", str(tmp_path / "a.csv"))
    assert result.code == 0
    assert result.out == f"{tmp_path / 'a.csv'}: 33 rows of 10 columns\n"
    assert result.err.endswith("(.nc holds them): neuron_norm\n")
    assert cli("export", "a", "--to", str(tmp_path / "a.csv")).code == 2
    assert cli("export", "a", "--to", str(tmp_path / "a.csv"), "--force").code == 0


def test_new_writes_a_file_that_works_as_a_plug_in(cli, tmp_path):
    result = cli("new", "task", "my_task", "--out", str(tmp_path))
    assert result.code == 0, result.err
    assert (tmp_path / "my_task.py").is_file()
    assert cli("new", "task", "my_task", "--out", str(tmp_path)).code == 2
    assert "Did you mean 'task'?" in cli("new", "tusk", "my_task").err


def test_report_is_written_where_it_is_asked_for(cli, monkeypatch, tmp_path):
    from types import ModuleType

    module = ModuleType("grokscope.report")
    module.write_report = lambda path, other, out: (path, other, out) and out
    monkeypatch.setitem(sys.modules, "grokscope.report", module)
    result = cli("report", "a", "b", "--out", str(tmp_path / "x.html"))
    assert (result.code, result.out) == (0, f"{tmp_path / 'x.html'}: written\n")
