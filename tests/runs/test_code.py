"""Code of the user's own: what changed code does to runs, sweeps and analyses that are there already."""

from __future__ import annotations

import hashlib
import shutil

import numpy as np
import pytest

import grokscope as gs
from grokscope.spec import parts
from grokscope.spec.code import code_of
from grokscope.spec.parts import load_plugin, lookup

PLUGIN = '''
"""Parts of one's own."""
from typing import Literal
import optax
from grokscope.measures import Measure
from grokscope.optimizers import SGD

SCALE = 1.0


class Mine(SGD):
    """A step of another length."""

    kind: Literal["own_sgd"] = "own_sgd"

    def transform(self, *arguments, **options):
        return optax.chain(super().transform(*arguments, **options), optax.scale(SCALE))


class Constant(Measure):
    """A number."""

    kind: Literal["constant"] = "constant"
    default = False

    def __call__(self, point):
        import jax.numpy as jnp

        return jnp.float32(3)
'''
SLOWER = PLUGIN.replace("SCALE = 1.0", "SCALE = 0.5")
FOUR = PLUGIN.replace("jnp.float32(3)", "jnp.float32(4)")
COMMENT = PLUGIN.replace('"""A number."""', '"""Another text."""\n    # a comment').replace(
    "SCALE)", "SCALE  )"
)


pytestmark = pytest.mark.usefixtures("registry")  # what a plug-in defines is forgotten


@pytest.fixture
def plugin(tmp_path):
    """A function that writes the plug-in and loads it."""

    def load(text=PLUGIN):
        (tmp_path / "plug.py").write_text(text)
        load_plugin(tmp_path / "plug.py")

    load()
    return load


def experiment(**changes):
    settings = {
        "task": {"kind": "sparse_parity", "n": 6, "k": 2, "n_train": 32},
        "model": {"kind": "fully_connected", "width": 8},
        "optimizer": "own_sgd",
        "measures": ["train_accuracy", "constant"],
        "epochs": 2,
    }
    return gs.Experiment(**{**settings, **changes})


def content(folder):
    """The hash of every file, without the lock."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.endswith(".lock"))
    return {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in files if "lock" not in path.name}


def forget():
    """As in another process, which has not loaded the plug-in."""
    for table in parts._kinds.values():
        for kind in ("own_sgd", "constant"):
            table.pop(kind, None)


@pytest.mark.slow
def test_the_code_is_in_the_provenance_and_changed_code_that_trains_is_refused(tmp_path, plugin):
    run = gs.train(experiment(), seeds=2, out=tmp_path / "run")
    file, sha = str(tmp_path / "plug.py"), code_of(lookup("optimizer", "own_sgd")).sha256
    assert run.provenance["code"] == {
        "optimizer own_sgd": {"file": file, "sha256": sha},
        "measure constant": {"file": file, "sha256": code_of(lookup("measure", "constant")).sha256},
    }
    plugin(SLOWER)
    now = code_of(lookup("optimizer", "own_sgd")).sha256
    before = content(tmp_path / "run")
    line = (
        f"{tmp_path / 'run'}: code has changed: optimizer own_sgd ({file}: {sha[:12]} then, {now[:12]} now); "
        "restore the file, choose another folder (--out), or go on with --allow-changed-code (Python: "
        "allow_changed_code=True; the result is then marked)."
    )
    for more in ({"seeds": 5}, {"seeds": 2}):
        with pytest.raises(gs.InputError) as error:
            gs.train(experiment(), out=tmp_path / "run", **more)
        assert str(error.value) == line
    with pytest.raises(gs.InputError, match="a replay must repeat the training: restore the file"):
        run.model(0, step=1)
    with pytest.raises(gs.InputError, match="code has changed: optimizer own_sgd"):
        run.measure(["neuron_norm"])
    with pytest.raises(gs.InputError, match="code has changed: optimizer own_sgd"):
        run.branch(1, out=tmp_path / "branch")
    assert content(tmp_path / "run") == before
    assert not (tmp_path / "branch").exists()
    plugin(COMMENT)
    assert gs.train(experiment(), seeds=3, out=tmp_path / "run").remarks == []


@pytest.mark.slow
def test_what_goes_on_with_changed_code_is_marked(tmp_path, plugin):
    run = gs.train(experiment(), seeds=1, out=tmp_path / "run")
    old = run.model(0).hidden_weight
    plugin(SLOWER)
    run = gs.train(experiment(), seeds=2, out=tmp_path / "run", allow_changed_code=True)
    (mark,) = run.notes["changed_code"]
    assert mark.startswith(f"optimizer own_sgd ({tmp_path / 'plug.py'}: ")
    assert run.remarks == [f"continued by changed code: {mark}"]
    assert np.array_equal(run.model(0).hidden_weight, old)
    fresh = gs.train(experiment(), seeds=[1], out=tmp_path / "fresh")
    assert np.array_equal(run.model(1).hidden_weight, fresh.model(1).hidden_weight)
    # the second member can be replayed by the code that trained it; the source of a branch is marked there
    branch = run.branch(1, seeds=[1], out=tmp_path / "branch", allow_changed_code=True)
    assert branch.notes["changed_code"] == [mark]
    assert np.array_equal(branch.model(1).hidden_weight, fresh.model(1).hidden_weight)


@pytest.mark.slow
def test_a_changed_measure_is_computed_anew(tmp_path, plugin):
    run = gs.train(experiment(), seeds=2, out=tmp_path / "run")
    assert (run.measures.constant == 3).all()
    plugin(FOUR)
    run = gs.open_run(run.path)
    assert (run.measures.constant == 3).all()
    (remark,) = run.remarks
    assert remark.startswith(
        "measure constant: its values were computed by other code than the present one ("
    )
    run = gs.train(experiment(), seeds=2, out=run.path)
    assert (run.measures.constant == 4).all()
    assert run.remarks == []
    version = run.version
    plugin(FOUR.replace('"""A number."""', ""))
    assert gs.train(experiment(), seeds=2, out=run.path).version == version  # nothing was left to do


@pytest.mark.slow
def test_no_branch_starts_at_an_event_of_outdated_values(tmp_path, plugin):
    run = gs.train(experiment(), seeds=1, out=tmp_path / "run")
    plugin(FOUR)
    with pytest.raises(gs.InputError, match="run: measure constant: its values were computed by other code"):
        run.branch("constant > 3.5 for 1", out=tmp_path / "branch")
    assert not (tmp_path / "branch").exists()
    run.measure(["constant"])
    assert run.branch("constant > 3.5 for 1", out=tmp_path / "branch").origins.steps.tolist() == [0]


@pytest.mark.slow
def test_values_of_two_codes_never_stand_beside_each_other(tmp_path, plugin):
    run = gs.train(experiment(epochs=5), seeds=2, out=tmp_path / "run")
    plugin(FOUR)
    found = run.measure(["constant"], steps=[2])
    assert found.constant.sel(seed=0).dropna("step").step.values.tolist() == [0, 2, 5]
    assert (found.constant.dropna("step") == 4).all()
    # longer, with more seeds: members that are continued, and new ones
    plugin(PLUGIN)
    run = gs.train(experiment(epochs=6), seeds=3, out=tmp_path / "run")
    assert (run.measures.constant == 3).all()
    assert run.measures.constant.sizes == {"seed": 3, "step": 7}


def test_a_revision_of_our_own_measure_has_the_same_effect(tmp_path, plugin, monkeypatch):
    run = gs.train(experiment(), seeds=1, out=tmp_path / "run")
    values, version = run.measures.train_accuracy.values, run.version
    accuracy = lookup("measure", "train_accuracy")
    monkeypatch.setattr(accuracy, "revision", 2)
    monkeypatch.setattr(accuracy, "__call__", lambda self, point: point.neuron_norm.sum() * 0 + 0.25)
    assert [text[:25] for text in gs.open_run(run.path).remarks] == ["measure train_accuracy: i"]
    run = gs.train(experiment(), seeds=1, out=run.path)
    assert run.version != version
    assert not np.array_equal(run.measures.train_accuracy.values, values)
    assert run.remarks == []


@pytest.mark.slow
def test_sweeps_notice_too(tmp_path, plugin):
    def sweep(**options):
        over = ["optimizer.learning_rate=0.1,0.2"]
        return gs.sweep(experiment(), over, out=tmp_path / "sweep", **options)

    assert (sweep().measures.constant == 3).all()
    plugin(FOUR)
    assert len(gs.open_sweep(tmp_path / "sweep").remarks) == 1
    found = sweep()
    assert (found.measures.constant == 4).all()
    assert found.remarks == []
    plugin(FOUR.replace("SCALE = 1.0", "SCALE = 0.5"))
    before = content(tmp_path / "sweep")
    for seeds in (1, 2):
        with pytest.raises(gs.InputError, match="code has changed: optimizer own_sgd"):
            sweep(seeds=seeds)
    assert content(tmp_path / "sweep") == before
    found = sweep(seeds=2, allow_changed_code=True)
    assert found.remarks[0].startswith("continued by changed code: optimizer own_sgd")
    assert found.cell(learning_rate=0.1).remarks == found.remarks
    forget()
    found = gs.open_sweep(tmp_path / "sweep")
    assert (found.measures.constant == 4).all()
    assert any(f"defined in {tmp_path / 'plug.py'}, which is not loaded" in text for text in found.remarks)


def test_a_worker_gets_the_files_beside_a_plugin(tmp_path, plugin):
    from grokscope.sweeps import work_unit

    (tmp_path / "beside_of_plug.py").write_text("SCALE = 1.0\n")
    plugin(PLUGIN.replace("SCALE = 1.0", "from beside_of_plug import SCALE"))
    here = code_of(lookup("optimizer", "own_sgd"))
    (sent,) = [one for one in work_unit.loaded_plugins() if one.path == str(tmp_path / "plug.py")]
    assert sent.beside == (("beside_of_plug.py", "SCALE = 1.0\n"),)
    shutil.rmtree(tmp_path)  # as on another machine
    forget()
    work_unit._load_plugins([work_unit.PluginFile(sent.path, sent.source + "\nX = 1\n", sent.beside)])
    assert code_of(lookup("optimizer", "own_sgd")) == here  # the same hash, and the path of the driver's file


def test_a_run_is_read_without_its_plugin(tmp_path, plugin):
    run = gs.train(experiment(), seeds=2, out=tmp_path / "run")
    forget()
    run = gs.open_run(tmp_path / "run")
    file = tmp_path / "plug.py"
    line = (
        f"optimizer 'own_sgd' is defined in {file}, which is not loaded; add --plugin {file} "
        "(Python: grokscope.load_plugin)."
    )
    assert repr(run).startswith(f"Run {run.path}\n")
    assert (run.measures.constant == 3).all()
    assert run.experiment.optimizer.kind == "own_sgd"
    assert "own_sgd" in run.experiment.to_toml()
    assert run.remarks[0] == line
    assert run.model(0, step=0).hidden_weight.size == 6 * 8  # a snapshot needs no optimizer
    for asked in (lambda: run.model(0, step=1), lambda: run.measure(["neuron_norm"]), lambda: run.branch(1)):
        with pytest.raises(gs.InputError) as error:
            asked()
        assert str(error.value) == line
    file.unlink()
    with pytest.raises(gs.InputError, match=r"was defined in .*plug.py, which is gone; restore it"):
        gs.open_run(tmp_path / "run").branch(1)


def test_a_run_of_before_code_was_recorded_says_that_it_is_not_known(tmp_path, plugin):
    from grokscope.store.open import open_store

    gs.train(experiment(measures=["train_accuracy"]), seeds=1, out=tmp_path / "run")
    with open_store(tmp_path / "run", "a") as store, store.transaction("as it was") as t:
        kept = {
            name: value for name, value in t._tree.attributes.items() if name not in ("code", "measured_by")
        }
        t._tree.set_attributes(kept)
    forget()
    (remark,) = gs.open_run(tmp_path / "run").remarks
    assert remark == (
        "optimizer 'own_sgd' is not known; add --plugin FILE with the file that defines it (Python: "
        "grokscope.load_plugin)."
    )
    plugin()
    run = gs.train(experiment(measures=["train_accuracy"]), seeds=2, out=tmp_path / "run")
    assert set(run._store.code) == {"optimizer own_sgd"}  # recorded from now on


ANALYSIS = """
from pathlib import Path
import numpy as np
from grokscope.papers._experiments import Analysis
from grokscope.runs.given import GivenMeasures


def take(run, progress):
    with GivenMeasures(run, "mine") as given:
        if given.read(["mine"]) is None or bool(given.read(["mine"]).mine.isnull().all()):
            count = len(run.members)
            given.write(list(range(count)), [2], {"mine": np.full((count, 1), 5.0)})


NUMBER = Analysis("number", take, 0.1)
"""


@pytest.mark.slow
def test_a_changed_analysis_is_taken_anew(tmp_path, plugin):
    from grokscope.papers import RunExperiment
    from grokscope.papers._experiments import Job
    from grokscope.progress import SilentProgress

    def result(text):
        plugin(PLUGIN + text)
        analysis = vars(__import__("sys").modules[lookup("measure", "constant").__module__])["NUMBER"]
        one = RunExperiment("main", "A run.", experiment(), analyses=(analysis,))
        before = one.remarks(found) if (found := one.open(tmp_path / "main")) else []
        run = one.execute(Job(experiment(), "quick", 2, tmp_path / "main"), SilentProgress())
        return before, run.measures.mine.sel(step=2).values.tolist(), run.version

    _, first, version = result(ANALYSIS)
    assert first == [5.0, 5.0]
    assert result(ANALYSIS + "# a comment\n") == ([], [5.0, 5.0], version)
    before, second, _ = result(ANALYSIS.replace("5.0", "6.0"))
    assert second == [6.0, 6.0]
    assert before == [
        "measures mine: other code of an analysis has computed them; reproduce computes them anew."
    ]
