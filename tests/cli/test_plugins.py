"""The plug-in promise: one file of one's own gets training, seeds, storage, measures, figures and reports."""

from __future__ import annotations

import json

import pytest

from grokscope.runs import open_run
from grokscope.spec import parts


@pytest.fixture(autouse=True)
def registry(monkeypatch):
    """What a plug-in defines is forgotten at the end."""
    for group in ("task", "measure", "paper"):
        parts.kinds(group)
    monkeypatch.setattr(parts, "_kinds", {group: dict(table) for group, table in parts._kinds.items()})


def forget(kind):
    """As in another process, which has not loaded the plug-in."""
    for table in parts._kinds.values():
        table.pop(kind, None)


def done(result):
    assert result.code == 0, result.err
    return result


def test_a_task_of_ones_own_trains_is_measured_shown_and_reported(cli, tmp_path):
    done(cli("new", "task", "last_bits", "--out", str(tmp_path)))
    plugin = ("--plugin", str(tmp_path / "last_bits.py"))
    spec, run = tmp_path / "spec.toml", tmp_path / "run"
    spec.write_text(
        'epochs = 3\nmeasures = ["train_accuracy", "test_accuracy"]\n'
        '[task]\nkind = "last_bits"\nn = 8\nn_train = 64\nn_test = 32\n'
        '[model]\nkind = "fully_connected"\nwidth = 8\n'
    )
    result = done(cli("train", str(spec), "--seeds", "3", "--out", str(run), *plugin))
    assert result.out == f"{run}: 3 members, 6 steps, complete\n"
    done(cli("measure", str(run), "neuron_norm", *plugin))
    shown = done(cli("show", str(run), *plugin)).out
    assert "last_bits, fully_connected" in shown
    assert "test_accuracy" in shown
    done(cli("report", str(run), *plugin))
    assert "last_bits" in (run / "report.html").read_text()
    done(cli("export", str(run), "--to", str(tmp_path / "a.csv"), *plugin))
    compared = done(cli("compare", str(run), str(run), "--json", *plugin)).out
    assert json.loads(compared)["n"] == 3
    assert open_run(run).measures.neuron_norm.sizes == {"seed": 3, "step": 4, "neuron": 8}
    forget("last_bits")
    result = cli("show", str(run))
    assert result.code == 2
    assert "task 'last_bits' is not known." in result.err
    done(cli("verify", str(run)))


def test_a_measure_of_ones_own_is_taken_later_and_while_training(cli, tmp_path):
    done(cli("new", "measure", "top_share", "--out", str(tmp_path)))
    plugin = ("--plugin", str(tmp_path / "top_share.py"))
    spec, run, later = tmp_path / "spec.toml", tmp_path / "run", tmp_path / "later"
    spec.write_text(
        'epochs = 3\nmeasures = ["train_accuracy", {kind = "top_share", count = 10}]\n'
        '[task]\nkind = "sparse_parity"\nn = 8\nk = 2\nn_train = 64\nn_test = 32\n'
        '[model]\nkind = "fully_connected"\nwidth = 16\n'
    )
    done(cli("train", str(spec), "--seeds", "2", "--out", str(run), *plugin))
    done(cli("train", str(spec), "--seeds", "2", "--set", "measures=['train_accuracy']", "--out", str(later)))
    done(cli("measure", str(later), "top_share", *plugin))
    shares = open_run(run).measures.top_share.load()
    assert shares.identical(open_run(later).measures.top_share.load())
    assert ((shares > 10 / 16) & (shares < 1)).all()
    assert "top_share" in done(cli("show", str(run), *plugin)).out
    done(cli("report", str(run), *plugin))
    assert "top_share" in (run / "report.html").read_text()


def test_a_paper_of_ones_own_is_planned_reproduced_and_reported(cli, tmp_path):
    done(cli("new", "paper", "my_paper", "--out", str(tmp_path)))
    plugin = ("--plugin", str(tmp_path / "my_paper.py"))
    out = tmp_path / "out"
    plan = done(cli("reproduce", "my_paper", "--dry-run", "--profile", "quick", *plugin)).out
    assert "main" in plan
    result = done(cli("reproduce", "my_paper", "--profile", "quick", "--out", str(out), *plugin))
    assert "The network labels new inputs correctly." in result.out
    (claim,) = json.loads((out / "claims.json").read_text())
    assert (claim["id"], claim["seeds"], claim["experiment"]) == ("C1", 3, "main")
    assert claim["verdict"] in ("holds", "fails", "undecided")
    assert (out / "figures" / "figure-1.pdf").is_file()
    page = (out / "report.html").read_text()
    assert "grokscope reproduce my_paper main --seeds 3 --plugin my_paper.py --profile quick" in page
    assert "arXiv" not in page
    done(cli("report", str(out), *plugin))
    assert (out / "report.html").read_text() == page
    assert "my_paper: A title (A. Author, B. Author, 2026)" in done(cli("papers", *plugin)).out
