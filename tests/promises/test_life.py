"""As people live with it: closed streams, names that are not UTF-8, platforms that are not there.

Each test stands for a kind of thing that happens around a command; none may end in an internal error, and
none may leave behind what spoils the next call.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import io
import json
import os
import pty
import re
import shutil
import struct
import subprocess
import sys
import termios
from collections import Counter
from pathlib import Path

import pytest

import grokscope as gs
from grokscope.cli import main
from grokscope.errors import InputError, StoreError
from grokscope.runs import open_run, run_summaries, verify
from grokscope.runs.sink import StoreSink
from grokscope.runs.trainer import Trainer
from grokscope.spec.toml import read_toml
from grokscope.store.open import open_store
from grokscope.sweeps import LocalEngine

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
pytestmark = pytest.mark.usefixtures("tried")  # all tests together are a row of docs/promises.md
COMMAND = f"{sys.executable} -m grokscope"


def shell(line, cwd=None, **environment):
    return subprocess.run(
        ["sh", "-c", line], cwd=cwd, env={**os.environ, **environment}, capture_output=True, check=False
    )


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of `SPEC`; tests that change it copy it."""
    folder = tmp_path_factory.mktemp("life")
    (folder / "spec.toml").write_text(SPEC)
    assert main(["train", str(folder / "spec.toml"), "--out", str(folder / "run")]) == 0
    return folder / "run"


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return shutil.copytree(trained, tmp_path / "run")


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


def no_store(*_, **__):
    raise AssertionError("the store was opened")


def test_a_finished_run_is_listed_without_opening_its_store(run, monkeypatch):
    opened = open_run(run)
    wanted = (opened.experiment.task.kind, opened.identity, len(opened.members), opened.experiment.n_steps)
    monkeypatch.setattr("grokscope.runs.summary.open_store", no_store)
    (line,) = run_summaries(run)
    assert (line.task, line.identity, line.members, line.steps) == wanted
    assert (line.complete, line.problem) == (int(opened.is_done.sum()), None)


def test_a_run_from_before_summaries_were_kept_is_listed_all_the_same(run):
    (whole,) = run_summaries(run)
    rewrite_checksums(run, lambda table: table.pop("summary"))
    assert run_summaries(run) == [whole]
    assert verify(run) == []


@pytest.mark.parametrize(
    "forged", [{"members": "1"}, {"members": True}, {"task": "\x1b[2J"}, {"more": 1}, {"steps": None}, []]
)
def test_a_summary_that_is_none_is_not_believed(run, forged):
    (whole,) = run_summaries(run)
    rewrite_checksums(
        run, lambda table: table.update(summary={**table["summary"], **forged} if forged else forged)
    )
    assert run_summaries(run) == [whole]


def test_a_summary_counts_for_its_spec_and_its_commit_only(run, monkeypatch):
    spec, ref = run / "experiment.toml", run / "store" / "refs" / "branch.main" / "ref.json"
    for file in (spec, ref):
        sound = file.read_bytes()
        file.write_bytes(sound + b" ")
        assert f"{file}: changed since the run was finished." in str(run_summaries(run)[0].problem)
        file.write_bytes(sound)
    with open_store(run, "a") as store, store.transaction("a member more") as t:
        t.add_members([(7, 7, 7, 7)])
    assert (run_summaries(run)[0].members, run_summaries(run)[0].complete) == (2, 1)


def rewrite_checksums(folder, change):
    """Change the table and write its hash again, as docs/runs.md says it is made."""
    table = json.loads((folder / "checksums.json").read_text())
    del table["zz_sha256"]
    change(table)
    digest = hashlib.sha256(json.dumps(table, sort_keys=True).encode()).hexdigest()
    text = json.dumps({**table, "zz_sha256": digest}, indent=1, sort_keys=True)
    (folder / "checksums.json").write_text(f"{text}\n")


# --- long work ---


def test_training_that_takes_days_is_asked_for(tmp_path, capsys, monkeypatch):
    (tmp_path / "spec.toml").write_text(SPEC.replace("epochs = 2", "epochs = 200_000"))
    line = ["train", str(tmp_path / "spec.toml"), "--seeds", "0:1000000", "--out", str(tmp_path / "run")]
    monkeypatch.setattr("sys.stdin", io.StringIO())
    assert main(line) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert " here: add --yes to go on, or --seeds for fewer members." in said
    assert not (tmp_path / "run").exists()
    asked = []
    monkeypatch.setattr(
        "grokscope.runs.train", lambda *_, **options: asked.append(options["seeds"]) or no_store()
    )
    assert main([*line, "-y"]) == 1
    assert len(asked[0]) == 1_000_000


def test_what_is_trained_already_is_not_asked_for(trained, capsys, monkeypatch):
    monkeypatch.setattr("grokscope.runs.trainer.predict_seconds", lambda *_: 1e9)
    monkeypatch.setattr("grokscope.runs.trainer.measure_rates", lambda *_: None)
    monkeypatch.setattr("sys.stdin", io.StringIO())
    line = ["train", str(trained.parent / "spec.toml"), "--out", str(trained)]
    assert main(line) == 0
    assert "complete" in capsys.readouterr().out
    assert main([*line, "--seeds", "2"]) == 2
    assert "this takes about 5787 d here: add --yes to go on" in capsys.readouterr().err  # half of 1e9 s


# --- folders that are moved, removed, closed, or another run's ---


@pytest.mark.parametrize("what", ["moved", "moved, and a new one made", "deleted"])
def test_a_run_that_is_moved_while_it_trains(tmp_path, monkeypatch, what):
    finish, folder, other = StoreSink.finish, tmp_path / "run", tmp_path / "other"
    (tmp_path / "spec.toml").write_text(SPEC)
    experiment = gs.Experiment.from_toml(tmp_path / "spec.toml")

    def move_and_finish(*arguments):
        shutil.rmtree(folder) if what == "deleted" else folder.rename(other)
        if what.endswith("made"):
            folder.mkdir()
        finish(*arguments)

    monkeypatch.setattr(StoreSink, "finish", move_and_finish)
    with pytest.raises(StoreError) as error:
        gs.train(experiment, seeds=2, out=folder)
    assert not folder.exists() or not list(folder.iterdir())
    if what == "deleted":
        assert str(error.value) == f"{folder}: was deleted while it was written; start again."
        return
    assert str(error.value) == (
        f"{folder}: was moved to {other} while it was written; all that was committed is there. "
        f'Resume with out="{other}".'
    )
    monkeypatch.setattr(StoreSink, "finish", finish)
    assert gs.train(experiment, seeds=2, out=other).is_complete


def test_a_sweep_that_is_moved_begins_no_second_folder(tmp_path, monkeypatch):
    (tmp_path / "spec.toml").write_text(SPEC)
    base = gs.Experiment.from_toml(tmp_path / "spec.toml")
    run_unit = LocalEngine.run

    def run_and_move(self, units, progress, on_done):
        def move(*report):
            (tmp_path / "sweep").rename(tmp_path / "other")
            on_done(*report)

        run_unit(self, units, progress, move)

    monkeypatch.setattr(LocalEngine, "run", run_and_move)
    with pytest.raises(StoreError, match=r"sweep: was moved to .*other while it was written"):
        gs.sweep(base, {"model.width": [8, 9]}, out=tmp_path / "sweep")
    assert not (tmp_path / "sweep").exists()


def test_the_repr_of_a_run_that_is_gone(run):
    opened = open_run(run)
    assert "complete" in repr(opened)
    shutil.rmtree(run)
    assert repr(opened).splitlines() == [
        f"Run {run}",
        "  done  cannot be read: the folder is not there any more",
    ]
    assert "not there any more" in opened._repr_html_()


def test_measures_before_the_first_commit(tmp_path, monkeypatch):
    def stop(*_, **__):
        raise KeyboardInterrupt

    (tmp_path / "spec.toml").write_text(SPEC)
    monkeypatch.setattr(Trainer, "train", stop)
    with pytest.raises(KeyboardInterrupt):
        gs.train(gs.Experiment.from_toml(tmp_path / "spec.toml"), out=tmp_path / "run")
    begun = open_run(tmp_path / "run")
    for ask in (lambda: begun.measures, lambda: begun.read_measure("train_accuracy"), begun.times):
        with pytest.raises(InputError, match="run: has no results yet, not even of its start; make the same"):
            ask()


def test_a_finished_run_that_cannot_be_written_is_complete(trained, capsys, monkeypatch):
    def refuse(file, flags, *rest):
        if flags & (os.O_CREAT | os.O_RDWR):
            raise PermissionError(13, "Permission denied", str(file))
        return os.open(file, flags, *rest)

    closed = type("os", (), {**vars(os), "open": staticmethod(refuse)})
    monkeypatch.setattr("grokscope.store.lock.os", closed)
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK)
    line = ["train", str(trained.parent / "spec.toml"), "--out", str(trained)]
    assert main(line) == 0
    assert "1 members, 4 steps, complete" in capsys.readouterr().out
    assert main([*line, "--seeds", "2"]) == 1
    assert "cannot be written: Permission denied" in capsys.readouterr().err


def test_nothing_is_put_into_the_store_of_a_run(run, capsys):
    (run.parent / "spec.toml").write_text(SPEC)
    for command in ("train", "sweep"):
        more = ["--over", "model.width=8,9"] if command == "sweep" else []
        inside = run / "store" / "chunks" / "mine"
        assert main([command, str(run.parent / "spec.toml"), *more, "--out", str(inside)]) == 2
        said = capsys.readouterr().err
        assert f"{inside}: is inside the store of the run {run}; choose another folder." in said
    assert verify(run) == []
    assert main(["train", str(run.parent / "spec.toml"), "--out", str(run.parent / "store" / "run")]) == 0


# --- git ---


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_a_clone_with_other_line_endings_is_sound(run):
    git = ["git", "-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "core.autocrlf=true"]
    for line in (
        ["init", "-q", "."],
        ["add", "-A", "run"],
        ["commit", "-qm", "a run"],
        ["clone", "-q", ".", "clone"],
    ):
        subprocess.run([*git, *line], cwd=run.parent, check=True, capture_output=True)
    assert verify(run.parent / "clone" / "run") == []
    (run / ".gitattributes").unlink()
    assert [(one.file, one.kind) for one in verify(run)] == [(".gitattributes", "missing")]
    assert open_run(run).is_complete  # what git reads is not needed to read the run


def test_a_gitattributes_of_the_users_own_is_no_damage_to_an_older_run(run):
    rewrite_checksums(run, lambda table: table["files"].pop(".gitattributes"))
    (run / ".gitattributes").write_text("* binary\n")
    assert verify(run) == []


# --- the compile cache ---

CACHED = """
import os, shutil, jax
from grokscope.training.cache import cache_folder, use_compile_cache
use_compile_cache()
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
if os.environ.get("FULL"):
    shutil.rmtree(cache_folder())
    cache_folder().write_text("no folder any more: every write fails")
for factor in (2, 3, 5):
    assert jax.jit(lambda x: factor * x)(7) == 7 * factor
use_compile_cache()
"""


@pytest.mark.parametrize("full", [False, True])
def test_a_compile_cache_that_cannot_be_written_is_said_once(tmp_path, full):
    there = {name: value for name, value in os.environ.items() if not name.startswith("JAX_COMP")}
    cache = tmp_path / "cache"
    if not full:
        cache.write_text("a file")
    done = subprocess.run(
        [sys.executable, "-c", CACHED],
        env={**there, "XDG_CACHE_HOME": str(cache), "FULL": "1" * full},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr.count("compile cache") == 1, done.stderr
    assert f"{cache}/grokscope/programs: cannot be " in done.stderr
    assert "programs are compiled anew each time" in done.stderr


# --- narrow terminals ---


def test_nothing_is_lost_in_forty_columns(run, tmp_path):
    helped = shell(f"{COMMAND} --help", COLUMNS="40").stdout.decode()
    assert helped.count("...") == 2  # of the usage, and as it is written in the last description
    assert max(map(len, helped.partition("Example:")[0].splitlines())) <= 40
    long = run.rename(tmp_path / "a-run-with-a-name-of-its-own-that-is-longer-than-a-line")
    for columns in (40, 60, 200):
        seen = "".join(on_terminal([*COMMAND.split(), "runs", str(tmp_path)], columns).split())
        cells = [str(long), "sparse_parity", "1of1complete"]
        if columns == 60:  # a cell is folded beside others
            assert not Counter("".join(cells)) - Counter(seen), seen
        else:
            assert not [cell for cell in cells if cell not in seen], (columns, seen)
        assert "…" not in seen


def on_terminal(command, columns):
    """What a command prints on a terminal of so many columns."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    there = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    process = subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs, env={**there, "TERM": "xterm", "NO_COLOR": "1"}
    )
    os.close(theirs)
    seen = b""
    with contextlib.suppress(OSError):  # Linux: the other end is closed
        while piece := os.read(ours, 65536):
            seen += piece
    os.close(ours)
    assert process.wait() == 0, seen
    return re.sub(r"\x1b\[[0-9;]*m", "", seen.decode())
