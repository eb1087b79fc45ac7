"""As people live with it: closed streams, names that are not UTF-8, platforms that are not there.

Each test stands for a kind of thing that happens around a command; none may end in an internal error, and
none may leave behind what spoils the next call.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import grokscope as gs
from grokscope.cli import main
from grokscope.runs import verify
from grokscope.spec.toml import read_toml
from torture_commands import COMMANDS

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


# --- signals at random moments (those that tests can place: tests/test_interrupts.py) ---

SIGNALS = (signal.SIGINT, signal.SIGTERM)
READERS = {
    "report": ("report", "OUT", "--out", "PAGE"),
    "show": ("show", "OUT"),
    "verify": ("verify", "OUT"),
    "circuits": ("circuits", "OUT", "--prove"),
    "compare": ("compare", "OUT", "OUT"),
    "export": ("export", "OUT", "--to", "TABLE"),
}
MANY = dict.fromkeys((*COMMANDS, *READERS), 500)
LATE = 10.0  # seconds in which any signal must be obeyed, on a busy machine: a segment, or a compilation


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name == "report" else pytest.mark.torture) for name in MANY]
)
def test_life_signals_at_random_moments(torture, nursery, prepared_command, tmp_path, name):
    prepared, rng = prepared_command(name if name in COMMANDS else "train"), torture.rng()
    places = {"PAGE": str(tmp_path / "page.html"), "TABLE": str(tmp_path / "t.csv")}
    total, landed, tried, within, slowest = torture.count(3, MANY[name]), 0, 0, 0, 0.0

    def words(out):
        if name in COMMANDS:
            return prepared.words(prepared.start_of(out))
        return tuple(
            (places | {"OUT": str(prepared.folder / "whole")}).get(word, word) for word in READERS[name]
        )

    seconds = prepared.seconds
    if name in READERS:  # with its programs compiled
        seconds = min(nursery.run(*words(None)).seconds for _ in range(2))
    while landed < total and torture.in_time and tried < 10 * total:
        tried += 1
        number, after = rng.choice(SIGNALS), rng.uniform(0, seconds)
        pid = nursery.start(*words(tmp_path / "out"))
        time.sleep(after)
        nursery.stop(pid, number)
        began = time.monotonic()
        ended = nursery.wait(pid)
        took = time.monotonic() - began
        where = f"{name}: {number.name} after {after:.3f} s, ended {took:.2f} s later: {ended.err[-300:]}"
        torture.check("Traceback" not in ended.err and "ignored" not in ended.err, where)
        torture.check(took < LATE, where)
        if ended.code == 0 and took < 1.0:
            continue  # the work was done
        landed += 1
        within += took <= 1.0
        slowest = max(slowest, took)
        torture.check(ended.code == 130 and ended.err.splitlines()[-1:] != [], f"{ended.code}; {where}")
        torture.check(ended.err.splitlines()[-1].startswith("grokscope: stopped"), where)
    lost = len(torture.failures)
    torture.done(
        landed,
        f"signals during `{name}`",
        f"{landed - lost} obeyed, {within} of them within 1 s, the last after {slowest:.1f} s",
        tried=tried,
    )


@pytest.mark.torture
def test_life_signals_while_the_process_starts(torture):
    """Python's own start prints a traceback of its own (`runpy`, `site`), or dies of the signal: counted."""
    rng, total = torture.rng(), torture.count(10, 500)
    sent, ours, pythons = 0, 0, 0
    package, command = str(Path(gs.__file__).parent), [sys.executable, "-m", "grokscope", "--version"]
    began = time.monotonic()
    subprocess.run(command, capture_output=True, check=True)
    seconds = time.monotonic() - began
    while sent < total and torture.in_time:
        sent += 1
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        time.sleep(rng.uniform(0, seconds))
        number = rng.choice(SIGNALS)
        process.send_signal(number)
        _, said = process.communicate()
        if process.returncode == 130 and said == "grokscope: stopped\n":
            ours += 1
            continue
        pythons += process.returncode in (-number, 1)
        # the one line of ours that runs before there is a handler
        of_ours = package in said and "from grokscope.interrupts import end_on_signals" not in said
        fine = process.returncode in (0, 1, -number) and not of_ours
        torture.check(fine, f"{number.name}: {process.returncode}: {said[-400:]}")
    torture.done(
        sent,
        "signals during `--version`, from the start of the process",
        f"{len(torture.failures)} tracebacks of ours; {pythons} ended Python before it came to us",
        obeyed=ours,
    )


# --- processes that are forked, and limits ---


def test_a_process_that_is_forked_after_jax_is_refused_at_once(tmp_path):
    """Otherwise it hangs in its first call of a library whose threads the fork has not copied."""
    code = f"""
import os
from pathlib import Path
import grokscope as gs
from grokscope.store.icechunk import Repository
from grokscope.training.devices import prepare_devices
prepare_devices()
place = Path({str(tmp_path / "store")!r})
repository = Repository.create(place)
made = gs.Experiment(task="sparse_parity", epochs=1)
def tried(work):
    if os.fork() == 0:
        try: work()
        except gs.InputError as error: print(error, flush=True)
        os._exit(0)
    os.wait()
tried(lambda: gs.train(made, out={str(tmp_path / "run")!r}))
tried(lambda: Repository.open(place))
tried(repository.reading)
tried(repository.writing)
"""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=False, timeout=120
    )
    said = done.stdout.splitlines()
    assert [line.split()[0] for line in said] == ["jax", *["icechunk"] * 3], done.stderr
    for line in said:
        assert line.endswith("Start processes with multiprocessing.get_context('spawn').")
    assert not (tmp_path / "run").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not keep this limit")
def test_too_small_a_limit_of_memory_is_one_line():
    """With less, the compiler of jax aborts the process."""
    done = shell(f"ulimit -v 1500000; {COMMAND} doctor")
    said = done.stderr.decode()
    assert (done.returncode, said.count("\n")) == (2, 1), said
    assert said.startswith(
        "grokscope: this process may map 1.4 GiB of memory (ulimit -v), and jax needs about 2"
    )


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
