"""The plug-in promise: one file of one's own gets training, seeds, storage, measures, figures and reports."""

from __future__ import annotations

import json

import pytest

from grokscope.runs import open_run
from grokscope.spec import parts

pytestmark = pytest.mark.usefixtures("registry")  # what a plug-in defines is forgotten


def forget(kind):
    """As in another process, which has not loaded the plug-in."""
    for table in parts._kinds.values():
        table.pop(kind, None)


def done(result):
    assert result.code == 0, result.err
    return result


@pytest.mark.slow
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
    line = (
        f"task 'last_bits' is defined in {tmp_path / 'last_bits.py'}, which is not loaded; add --plugin "
        f"{tmp_path / 'last_bits.py'} (Python: grokscope.load_plugin)."
    )
    assert f"note          {line}" in done(cli("show", str(run))).out.splitlines()
    assert json.loads(done(cli("show", str(run), "--json")).out)["remarks"] == [line]
    done(cli("report", str(run)))
    assert line.replace("'", "&#39;") in (run / "report.html").read_text()
    done(cli("verify", str(run)))
    done(cli("export", str(run), "--to", str(tmp_path / "b.csv")))
    assert (tmp_path / "b.csv").read_text() == (tmp_path / "a.csv").read_text()
    for words in (
        ["measure", str(run), "neuron_norm"],
        ["branch", str(run), "--at", "1"],
        ["circuits", str(run)],
    ):
        result = cli(*words)
        assert (result.code, result.out) == (2, "")
        assert result.err == f"grokscope: {line}\n"


@pytest.mark.slow
def test_runs_lists_runs_of_plugins_and_plain_runs_without_an_error(cli, tmp_path):
    done(cli("new", "task", "last_bits", "--out", str(tmp_path)))
    plugin = ("--plugin", str(tmp_path / "last_bits.py"))
    for name, task in (
        ("own", 'kind = "last_bits"\nn = 8\nn_train = 64'),
        ("plain", 'kind = "sparse_parity"\nn = 8\nk = 2'),
    ):
        (tmp_path / f"{name}.toml").write_text(
            f'epochs = 2\nmeasures = ["train_accuracy"]\n[task]\n{task}\n'
            '[model]\nkind = "fully_connected"\nwidth = 8\n'
        )
        done(cli("train", str(tmp_path / f"{name}.toml"), "--out", str(tmp_path / "runs" / name), *plugin))
    listed = done(cli("runs", str(tmp_path / "runs"), *plugin))
    forget("last_bits")
    result = done(cli("runs", str(tmp_path / "runs")))
    assert (result.out, result.err) == (listed.out, "")
    assert [line.split()[2] for line in result.out.splitlines()[1:]] == ["last_bits", "sparse_parity"]
    assert all(line.endswith("1 of 1 complete") for line in result.out.splitlines()[1:])
    # a file that is gone between training and now
    (tmp_path / "last_bits.py").unlink()
    result = cli("circuits", str(tmp_path / "runs" / "own"))
    assert result.err == (
        f"grokscope: task 'last_bits' was defined in {tmp_path / 'last_bits.py'}, which is gone; restore "
        "it and add --plugin FILE (Python: grokscope.load_plugin).\n"
    )
    result = cli("show", str(tmp_path / "runs" / "own"), *plugin)
    assert (result.code, result.err) == (
        2,
        f"grokscope: plugin '{tmp_path / 'last_bits.py'}': not a Python file that exists.\n",
    )


def test_changed_code_on_the_command_line(cli, tmp_path):
    done(cli("new", "task", "last_bits", "--out", str(tmp_path)))
    file, spec, run = tmp_path / "last_bits.py", tmp_path / "spec.toml", tmp_path / "run"
    spec.write_text(
        'epochs = 2\nmeasures = ["train_accuracy"]\n[task]\nkind = "last_bits"\nn = 8\nn_train = 64\n'
        '[model]\nkind = "fully_connected"\nwidth = 8\n'
    )
    train = ("train", str(spec), "--out", str(run), "--plugin", str(file))
    done(cli(*train))
    text = file.read_text()
    file.write_text(f"# a comment\n{text}")
    done(cli(*train))
    assert "return True" in text
    file.write_text(text.replace("return True", "return bool(1)"))
    result = cli(*train, "--seeds", "2")
    assert result.code == 2
    assert result.err.startswith(f"grokscope: {run}: code has changed: task last_bits ({file}: ")
    assert result.err.count("\n") == 1
    done(cli(*train, "--seeds", "2", "--allow-changed-code"))
    shown = done(cli("show", str(run), "--plugin", str(file))).out
    assert f"note          continued by changed code: task last_bits ({file}: " in shown
    done(cli("report", str(run), "--plugin", str(file)))
    assert "continued by changed code: task last_bits" in (run / "report.html").read_text()


@pytest.mark.slow
def test_reproduce_again_with_a_rewritten_measure_judges_the_new_values(cli, tmp_path):
    done(cli("new", "paper", "my_paper", "--out", str(tmp_path)))
    file = tmp_path / "my_paper.py"
    text = file.read_text().replace("epochs=60", "epochs=2").replace("epochs=30", "epochs=2")
    text = text.replace('measures=("train_accuracy", "test_accuracy")', 'measures=("test_accuracy", "score")')
    text = text.replace('member_curves(measures["test_accuracy"])', 'member_curves(measures["score"])')
    text = text.replace('measures[f"{split}_accuracy"]', 'measures["score"]')
    text = text.replace(
        "# ---------------------------------------------------------------- experiments",
        "from grokscope.measures import Measure\n\n\nclass Score(Measure):\n"
        '    kind: Literal["score"] = "score"\n    default = False\n\n'
        "    def __call__(self, point):\n        import jax.numpy as jnp\n\n        return jnp.float32(1)\n",
        1,
    )
    file.write_text(text)
    words = (
        "reproduce",
        "my_paper",
        "--profile",
        "quick",
        "--out",
        str(tmp_path / "out"),
        "--plugin",
        str(file),
    )

    def value():
        (claim,) = json.loads((tmp_path / "out" / "claims.json").read_text())
        return claim["value"]

    done(cli(*words))
    assert value() == 1
    # a claim's sentence trains nothing anew
    version = open_run(tmp_path / "out" / "main").version
    file.write_text(text.replace("labels new inputs correctly", "does its work"))
    assert "does its work" in done(cli(*words)).out
    assert open_run(tmp_path / "out" / "main").version == version
    file.write_text(text.replace("jnp.float32(1)", "jnp.float32(0)"))
    done(cli("report", str(tmp_path / "out"), "--plugin", str(file)))
    assert value() == 1
    assert (
        "measure score: its values were computed by other code"
        in (tmp_path / "out" / "report.html").read_text()
    )
    done(cli(*words))
    assert value() == 0


@pytest.mark.slow
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


@pytest.mark.slow
def test_a_paper_of_ones_own_is_planned_reproduced_and_reported(cli, tmp_path):
    done(cli("new", "paper", "my_paper", "--out", str(tmp_path)))
    plugin = ("--plugin", str(tmp_path / "my_paper.py"))
    out = tmp_path / "out"
    plan = done(cli("reproduce", "my_paper", "--dry-run", "--profile", "quick", *plugin)).out
    assert "main" in plan
    result = done(cli("reproduce", "my_paper", "--profile", "quick", "--out", str(out), *plugin))
    assert "C1  labels new inputs correctly" in result.out
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
