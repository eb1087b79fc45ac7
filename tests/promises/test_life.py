"""As people live with it: closed streams, names that are not UTF-8, platforms that are not there.

Each test stands for a kind of thing that happens around a command; none may end in an internal error, and
none may leave behind what spoils the next call.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from grokscope.cli import main
from grokscope.runs import verify
from grokscope.spec.toml import read_toml

SPEC = """
epochs = 2
batch_size = 10
measures = ["train_accuracy", "test_accuracy"]
[task]
kind = "sparse_parity"
n = 6
k = 2
n_train = 20
n_test = 10
[model]
kind = "fully_connected"
width = 8
"""
COMMAND = f"{sys.executable} -m grokscope"


def shell(line, cwd=None, **environment):
    return subprocess.run(
        ["sh", "-c", line], cwd=cwd, env={**os.environ, **environment}, capture_output=True, check=False
    )


# --- standard streams that are closed ---


@pytest.mark.parametrize(
    ("closed", "code", "err"),
    [
        (">&-", 0, b""),
        ("2>&-", 0, b""),
        ("<&- >&- 2>&-", 0, b""),
        ("runs /nowhere >&-", 2, b"there is no such folder"),
        ("runs /nowhere 2>&-", 2, b""),
    ],
)
def test_closed_streams_are_no_error_of_ours(closed, code, err):
    line = closed if closed.startswith("runs") else f"--version {closed}"
    done = shell(f"{COMMAND} {line}")
    assert (done.returncode, b"Traceback" in done.stderr) == (code, False)
    assert err in done.stderr
    assert done.stderr.count(b"\n") == bool(err)


def test_what_is_printed_lands_in_no_file_of_the_run(tmp_path):
    """A file that is opened takes the lowest free descriptor: the number of a stream that is closed."""
    (tmp_path / "spec.toml").write_text(SPEC)
    done = shell(f"{COMMAND} train spec.toml --out run <&- >&- 2>&-", cwd=tmp_path)
    assert done.returncode == 0
    assert verify(tmp_path / "run") == []


# --- a platform that is not there ---


@pytest.mark.parametrize("platform", ["cuda", "nonsense"])
def test_a_platform_that_is_not_there_is_named(tmp_path, platform):
    (tmp_path / "spec.toml").write_text(SPEC)
    for line in ("doctor", "train spec.toml --out run"):
        done = shell(f"{COMMAND} {line}", cwd=tmp_path, JAX_PLATFORMS=platform)
        said = done.stderr.decode()
        assert (done.returncode, said.count("\n")) == (2, 1), said
        assert said.startswith(f"grokscope: JAX_PLATFORMS={platform}: jax finds no such device here.")
    assert not (tmp_path / "run").exists()


def test_a_platform_that_is_not_there_is_an_input_error_in_python(tmp_path):
    code = (
        "import grokscope as gs\n"
        "try: gs.train(gs.Experiment(task='sparse_parity', epochs=1), out='run')\n"
        "except gs.InputError as error: print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "JAX_PLATFORMS": "cuda"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.startswith("JAX_PLATFORMS=cuda: jax finds no such device here."), done.stderr


# --- names that are not UTF-8 ---


def test_a_folder_whose_name_is_not_utf8(tmp_path, capsys):
    (tmp_path / "spec.toml").write_text(SPEC)
    folder = tmp_path / os.fsdecode(b"n\xfcl") / "run"
    train = ["train", str(tmp_path / "spec.toml"), "--out", str(folder)]
    assert main(train) == 0
    assert main(train) == 0  # again: complete
    for words in (["show"], ["verify"], ["report", "--out", str(folder.parent / "page.html")]):
        assert main([words[0], str(folder), *words[1:]]) == 0
    assert main(["runs", str(folder.parent)]) == 0
    assert "complete" in capsys.readouterr().out
    assert (folder.parent / "page.html").read_text(encoding="utf-8")  # is UTF-8
    assert verify(folder) == []


def test_a_command_that_is_not_utf8_is_kept_with_its_bytes_escaped():
    from grokscope.runs.provenance import safe_command

    assert safe_command(["train", os.fsdecode(b"n\xfcl")]) == ["train", r"n\udcfcl"]


def test_a_spec_that_names_a_path_that_is_not_utf8_leaves_nothing_behind(tmp_path):
    from grokscope.errors import InputError
    from grokscope.store.open import create_store

    text = 'file = "' + os.fsdecode(b"n\xfcl") + '"'
    with pytest.raises(InputError, match=r"run: its spec names a path that is not UTF-8 text .*; rename it"):
        create_store(tmp_path / "run", text, "ab" * 32, {}, {})
    assert create_store(tmp_path / "run", "", "ab" * 32, {}, {}).identity == "ab" * 32


# --- what editors and shells do ---


def test_a_byte_order_mark_before_a_spec_is_no_part_of_it(tmp_path):
    (tmp_path / "spec.toml").write_bytes(b"\xef\xbb\xbfepochs = 3\n")
    assert read_toml(tmp_path / "spec.toml") == {"epochs": 3}


def test_an_empty_text_for_seeds_is_refused(tmp_path, capsys):
    (tmp_path / "spec.toml").write_text(SPEC)
    assert main(["train", str(tmp_path / "spec.toml"), "--seeds", "", "--out", str(tmp_path / "run")]) == 2
    assert "seeds: '' has no seed; write a count (5) or a list" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


# --- lists of many results ---


def test_a_folder_that_cannot_be_read_is_a_line_in_the_list(tmp_path, monkeypatch, capsys):
    (tmp_path / "spec.toml").write_text(SPEC)
    assert main(["train", str(tmp_path / "spec.toml"), "--out", str(tmp_path / "runs" / "a")]) == 0
    closed = tmp_path / "runs" / "b"
    closed.mkdir()
    listed = Path.iterdir

    def refuse(folder):
        if folder == closed:
            raise PermissionError(13, "Permission denied", str(folder))
        return listed(folder)

    monkeypatch.setattr(Path, "iterdir", refuse)
    assert main(["runs", str(tmp_path / "runs")]) == 0
    out = capsys.readouterr().out
    assert "1 of 1 complete" in out
    assert f"{closed}: cannot be read: Permission denied." in " ".join(out.split())


def test_reading_many_runs_shows_progress(tmp_path, capsys):
    (tmp_path / "spec.toml").write_text(SPEC)
    first = tmp_path / "runs" / "000"
    assert main(["train", str(tmp_path / "spec.toml"), "--out", str(first)]) == 0
    for i in range(1, 102):
        shutil.copytree(first, first.with_name(f"{i:03}"), copy_function=os.link)
    capsys.readouterr()
    assert main(["runs", str(tmp_path / "runs")]) == 0
    seen = capsys.readouterr()
    assert seen.out.count("complete") == 102
    assert "reading runs: 50 %" in seen.err
