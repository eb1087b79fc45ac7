"""Bad input through the real command line: the exit code, one or two lines, nothing begun, nothing lost."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tomllib

import pytest

from grokscope.runs import open_run, verify
from grokscope.store.open import open_store

SPEC = """
epochs = 2
batch_size = 16
measures = ["train_accuracy"]
[task]
kind = "sparse_parity"
n = 6
k = 2
n_train = 32
n_test = 16
[model]
kind = "fully_connected"
width = 8
"""

# words after `train SPEC --out OUT` -> what the line must hold
TRAIN = {
    "--set task.kind=sparse_partiy": "task 'sparse_partiy' is not known. Did you mean 'sparse_parity'?",
    "--set model.kind=recurrent": "model 'recurrent' is not known.",
    "--set optimizer.learning_rte=0.1": "optimizer.learning_rte: no such key. Did you mean 'learning_rate'?",
    "--set taks.n=5": "taks: no such key. Did you mean 'task'?",
    "--set measures=['test_acuracy']": "measure 'test_acuracy' is not known. Did you mean 'test_accuracy'?",
    "--set schedule.measures='every_epoch'": "schedule.measures: 'every_epoch' is not known.",
    "--set task.k=7": "task: k must be at most n = 6, but k = 7",
    "--set task.n=0": "task.n: must be at least 1 (got 0).",
    "--set task.k=-1": "task.k: must be at least",
    "--set task.n_train=0": "task.n_train: must be at least 1 (got 0).",
    "--set task.n_test=-3": "task.n_test: must be at least 1 (got -3).",
    "--set model.width=0": "model.width: must be at least 1 (got 0).",
    "--set model.width=2.5": "model.width: must be a whole number (got 2.5).",
    "--set batch_size=0": "batch_size: must be at least 1, or 'full'",
    "--set epochs=0": "epochs: must be at least 1 (got 0).",
    "--set epochs=nan": "epochs: must be a whole number (got nan).",
    "--seeds 0": "seeds: the count must be at least 1 (got 0).",
    "--seeds -2": "seeds: the count must be at least 1 (got -2).",
    "--seeds 5:3": "seeds: the range '5:3' is empty",
    "--seeds five": "seeds: 'five' is neither a seed nor a range",
    "--seeds 3,3": "seeds: a member is given twice.",
    "--seeds 1000000000000": "seeds: 1000000000000 are too many",
    "--seeds weights=3": "seeds: 'weights=3' is not STREAM=SEEDS with one of init, data, order, noise.",
    "--set optimizer.learning_rate=nan": "optimizer.learning_rate: must be a finite number (got nan).",
    "--set optimizer.learning_rate=inf": "optimizer.learning_rate: must be a finite number (got inf).",
    "--set optimizer.learning_rate=-0.1": "optimizer.learning_rate: must be",
    "--set optimizer.learning_rate=1e30": "optimizer.learning_rate: must be",
    "--set optimizer.learning_rate=fast": "optimizer.learning_rate: must be a number (got 'fast').",
    "--set optimizer.weight_decay=-1": "optimizer.weight_decay: must be",
    "--set optimizer.momentum=1.5": "optimizer.momentum: must be",
    "--set model.width=1000000000000": "memory: one member of this experiment would take",
    "--set task.n_train=1000000000000": "task.n_train",
    "--set task.n=1000000000000": "task.n",
    "--set steps=2000000000": "makes 1000000000 points of 2000000000 steps; at most 10000000.",
    "--set epochs=2000000000": "epochs: must be at most 1000000000 (got 2000000000).",
    "--set epochs=1000000000 --set batch_size=1": "steps: 32000000000 are too many; at most 2147483647.",
    "--set loss.kind=cross_entropy": "loss 'cross_entropy' is for classes; task 'sparse_parity' has",
    "--set epochs": "write a.b=value",
    "--plugin nowhere.py": "plugin 'nowhere.py': not a Python file that exists.",
    "--sedes 5": "No such option: --sedes. Did you mean '--seeds'?",
}


@pytest.fixture
def spec(tmp_path):
    file = tmp_path / "spec.toml"
    file.write_text(SPEC)
    return file


def assert_said(result, code, text):
    assert (result.code, result.out) == (code, "")
    assert text in result.err
    assert 1 <= len(result.err.splitlines()) <= 2
    assert result.err.startswith("grokscope: ")
    assert "Traceback" not in result.err
    assert "internal error" not in result.err


@pytest.mark.parametrize("words", TRAIN)
def test_what_cannot_be_trained_is_refused_before_anything_is_made(cli, spec, tmp_path, words):
    result = cli("train", str(spec), "--out", str(tmp_path / "run"), *words.split())
    assert_said(result, 2, TRAIN[words])
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ("reproduce two-circiuts", "paper 'two-circiuts' is not known. Did you mean 'two-circuits'?"),
        (
            "reproduce two-circuits standrad --dry-run",
            "two-circuits has no experiment 'standrad'. Did you mean 'standard'?",
        ),
        ("reproduce two-circuits standard --seeds 0 --dry-run", "seeds: the count must be at least 1"),
        ("train nowhere.toml", "nowhere.toml: cannot be read: No such file or directory."),
        ("show nowhere", "nowhere: there is no such folder."),
        ("verify FILE", "is a file, not a run folder."),
        ("runs nowhere", "nowhere: there is no such folder."),
        ("compare FOLDER FOLDER", "holds no run."),
        ("report FOLDER", "holds no run"),
        ("new tsak mine", "no such template. Did you mean 'task'? Allowed: task, model, loss, penalty,"),
    ],
)
def test_what_is_not_there_is_said(cli, tmp_path, words, text):
    (tmp_path / "file").write_text("")
    places = {"FILE": str(tmp_path / "file"), "FOLDER": str(tmp_path)}
    assert_said(cli(*(places.get(word, word) for word in words.split())), 2, text)


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("epochs = 2\n[task]\nkind = sparse\n", "(at line 3, column 8)"),
        ("epochs = 2\nepochs = 3\n", "(at line 2, column 11)"),
        ("[task\n", "(at line 1, column 6)"),
    ],
)
def test_a_fault_of_syntax_names_file_and_line(cli, tmp_path, text, where):
    file = tmp_path / "broken.toml"
    file.write_text(text)
    with pytest.raises(tomllib.TOMLDecodeError):
        tomllib.loads(text)
    result = cli("train", str(file), "--out", str(tmp_path / "run"))
    assert_said(result, 2, f"{file}: not valid TOML: ")
    assert where in result.err


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A small finished run."""
    from grokscope.cli import main

    folder = tmp_path_factory.mktemp("trained")
    (folder / "spec.toml").write_text(SPEC)
    assert main(["train", str(folder / "spec.toml"), "--out", str(folder / "run")]) == 0
    return folder / "run"


@pytest.fixture
def run(trained, tmp_path):
    return shutil.copytree(trained, tmp_path / "run")


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ("measure RUN test_acuracy", "measure 'test_acuracy' is not known. Did you mean 'test_accuracy'?"),
        ("measure RUN test_accuracy --steps some", "--steps some: allowed: all, log, or a:b:c"),
        ("export RUN --to FOLDER/a.xls", ".xls"),
        ("export RUN --to FOLDER/a.safetensors --seed 7", "7"),
        ("export RUN --to FOLDER/a.safetensors --step 99", "99"),
        ("export RUN --to FOLDER/nowhere/a.csv", "nowhere"),
    ],
)
def test_what_a_run_does_not_have_is_said(cli, trained, tmp_path, words, text):
    words = words.replace("RUN", str(trained)).replace("FOLDER", str(tmp_path))
    result = cli(*words.split())
    assert_said(result, 2, text)
    assert verify(trained) == []
    assert list(tmp_path.iterdir()) == []


def test_an_output_folder_that_is_a_file_or_holds_something_else(cli, spec, run, tmp_path):
    (tmp_path / "file").write_text("precious")
    for out in (tmp_path / "file", tmp_path / "file" / "below"):
        assert_said(cli("train", str(spec), "--out", str(out)), 2, f"{out}: is a file, or lies below one")
    assert (tmp_path / "file").read_text() == "precious"
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("precious")
    result = cli("train", str(spec), "--out", str(tmp_path / "mine"))
    assert_said(result, 2, "mine: holds other files (notes.txt); choose an empty or a new folder.")
    assert (tmp_path / "mine" / "notes.txt").read_text() == "precious"
    result = cli("train", str(spec), "--out", str(run), "--set", "optimizer.learning_rate=0.2")
    assert_said(result, 2, f"{run}: holds another run (identity ")
    assert verify(run) == []


def edit(run, **attributes):
    """Change attributes of a finished run's store, as another version of the program would have set them."""
    with open_store(run, "a") as store:
        with store.transaction("edited") as t:
            t._tree.set_attributes({**t._tree.attributes, **attributes})
        store.finish()


COMMANDS = ("show RUN", "train SPEC --out RUN --seeds 2", "measure RUN test_accuracy", "verify RUN")


@pytest.mark.parametrize("place", ["store", "provenance"])
def test_a_store_from_a_newer_version_is_left_alone(cli, spec, run, place):
    if place == "store":
        edit(run, format_version=99)
    else:
        file = run / "provenance.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | {"format_version": 99}))
    before = {file: file.read_bytes() for file in run.rglob("*") if file.is_file()}
    for words in COMMANDS[: 3 if place == "store" else 4]:
        result = cli(*words.replace("RUN", str(run)).replace("SPEC", str(spec)).split())
        assert_said(result, 2, "is from a newer format version (99; this version of grokscope reads up to 1)")
    assert {file: file.read_bytes() for file in run.rglob("*") if file.is_file()} == before


def test_another_fingerprint_is_refused_or_marked(cli, spec, run):
    edit(run, fingerprint=open_store(run).fingerprint | {"jax": "0.0.1"})
    for words, advice in (
        (["train", str(spec), "--out", str(run), "--seeds", "2"], "go on with --allow-other-numerics"),
        (["measure", str(run), "test_loss"], "do so where the run was made"),  # a replay must repeat bits
    ):
        result = cli(*words)
        assert_said(result, 2, "was made with other numerics (jax")
        assert advice in result.err
    assert len(open_run(run).members) == 1
    words = ["train", str(spec), "--out", str(run), "--seeds", "2", "--allow-other-numerics"]
    assert cli(*words).code == 0
    assert len(open_run(run).members) == 2
    assert "jax" in str(open_run(run).notes["other_numerics"])


def test_verify_finds_one_flipped_bit(cli, run):
    assert cli("verify", str(run)).code == 0
    for file in (max(run.rglob("store/chunks/*"), key=lambda f: f.stat().st_size), run / "experiment.toml"):
        content = bytearray(file.read_bytes())
        content[len(content) // 2] ^= 1
        file.write_bytes(content)
        result = cli("verify", str(run))
        assert result.code == 1
        assert str(file.relative_to(run)) in result.out
        assert result.err == f"grokscope: {run}: damaged (1 found).\n"
        content[len(content) // 2] ^= 1
        file.write_bytes(content)
    assert cli("verify", str(run)).code == 0


# Run in a mount namespace of its own: the folder is a small disk, which becomes full, larger, read-only.
DISK = """
import subprocess, sys
from pathlib import Path
from grokscope.cli import main
from grokscope.runs import verify
spec, folder = sys.argv[1:]
def mount(options):
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", folder], check=True)
def again(*words):
    return main(["train", spec, "--out", folder + "/run", "--set", "model.width=3000", *words])
mount("size=1m")
codes = [again("--seeds", "1")]
codes.append(again("--seeds", "50"))
kept = not [problem for problem in verify(folder + "/run") if problem.is_damage]
mount("remount,size=64m")
codes.append(again("--seeds", "50"))
kept = kept and not verify(folder + "/run")
mount("remount,ro")
codes.append(again("--seeds", "51"))
codes.append(main(["train", spec, "--out", folder + "/new"]))
kept = kept and not verify(folder + "/run")
print(codes, kept)
"""


UNSHARE = ("unshare", "--user", "--map-root-user", "--mount")


def _namespace():
    command = [*UNSHARE, "mount", "-t", "tmpfs", "none", "/mnt"]
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


@pytest.mark.slow
@pytest.mark.skipif(not _namespace(), reason="no mount namespace can be made here")
def test_a_disk_that_is_full_or_read_only_loses_nothing(spec, tmp_path):
    (tmp_path / "disk").mkdir()
    command = [*UNSHARE, sys.executable, "-c", DISK, str(spec), str(tmp_path / "disk")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    said = [line for line in done.stderr.splitlines() if line.startswith("grokscope: ")]
    assert done.stdout.splitlines()[-1:] == ["[0, 1, 0, 1, 1] True"], done.stdout + done.stderr
    assert len(said) == 3
    assert "No space left on device" in said[0]
    assert all("Read-only file system" in line for line in said[1:])
    assert "Traceback" not in done.stderr


def test_a_reproduction_into_a_place_that_is_taken_is_refused_before_any_work(cli, run, tmp_path):
    (tmp_path / "file").write_text("precious")
    (tmp_path / "out").mkdir()
    run.rename(tmp_path / "out" / "random-labels")
    words = ["reproduce", "two-circuits", "standard", "random-labels", "--out"]
    for place, text in (
        (tmp_path / "file", f"{tmp_path / 'file'}: is a file; give a folder."),
        (tmp_path / "out", "random-labels: holds another run (identity "),
    ):
        result = cli(*words, str(place))
        assert (result.code, result.out) == (2, "")
        assert result.err.splitlines()[-1].startswith("grokscope: ")
        assert text in result.err.splitlines()[-1]
        assert "started" not in result.err
    assert (tmp_path / "file").read_text() == "precious"
    assert sorted(entry.name for entry in (tmp_path / "out").iterdir()) == ["random-labels"]
    assert verify(tmp_path / "out" / "random-labels") == []
