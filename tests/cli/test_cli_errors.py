from __future__ import annotations

import errno
import subprocess
import sys

import pytest

from grokscope.errors import GrokscopeError, InputError, StoreError


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["trian", "x"], "No such command 'trian'. Did you mean 'train'?"),
        (["train", "x.toml", "--sedes", "5"], "No such option: --sedes. Did you mean '--seeds'?"),
        (["train"], "Missing argument 'SPEC.toml'."),
        (["export", "x"], "Missing option '--to'."),
        (["show", "a", "b"], "Got unexpected extra argument(s) (b)"),
        (["measure", "a", "b", "--flavor", "x"], "'x' is not one of 'predictions', 'accuracy'."),
        (["reproduce", "two-circuits", "--profile", "ful"], "'ful' is not one of 'quick', 'paper'."),
        (["export", "a", "--to", "b.csv", "--seed", "x"], "Invalid value for '--seed'"),
    ],
)
def test_what_cannot_be_parsed_is_two_lines_and_code_2(cli, words, text):
    result = cli(*words)
    assert (result.code, result.out) == (2, "")
    lines = result.err.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("grokscope: ")
    assert text in lines[0]
    assert lines[1].startswith("See 'grokscope")


GOOD = "epochs = 3\n[task]\nkind = 'sparse_parity'\n"


@pytest.mark.parametrize(
    ("spec", "words", "text"),
    [
        ("epochs = 10\n[task]\nkind = 'sparse_partiy'\n", [], "Did you mean 'sparse_parity'?"),
        ("epochs = \n", [], "not valid TOML: Invalid value (at line 1, column 10)"),
        (GOOD + "k = 50\n", [], "k"),
        (
            GOOD,
            ["--set", "optimizer.learning_rte=1"],
            "learning_rate",
        ),
        (GOOD, ["--set", "epochs"], "write a.b=value"),
        (
            GOOD,
            ["--seeds", "0"],
            "seeds: the count must be at least 1",
        ),
        (GOOD, ["--plugin", "no.py"], "plugin 'no.py'"),
    ],
)
def test_a_bad_spec_is_one_line_and_code_2(cli, store, tmp_path, spec, words, text):
    file = tmp_path / "spec.toml"
    file.write_text(spec)
    result = cli("train", str(file), *words)
    assert (result.code, result.out) == (2, "")
    assert len(result.err.splitlines()) == 1
    assert result.err.startswith("grokscope: ")
    assert text in result.err


def test_an_unknown_measure_gets_a_hint_before_the_run_is_opened(cli, store, monkeypatch):
    monkeypatch.setattr("grokscope.spec.parts.kinds", lambda group: {"sensitivity": object})
    result = cli("measure", "nowhere", "sensitivty")
    assert result.code == 2
    assert "measure 'sensitivty' is not known. Did you mean 'sensitivity'?" in result.err


def failing(error):
    def fail(path):
        raise error

    return fail


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (InputError("bad"), 2, "grokscope: bad\n"),
        (StoreError("damaged"), 1, "grokscope: damaged\n"),
        (GrokscopeError("two\nlines"), 1, "grokscope: two\nlines\n"),
        (OSError(errno.ENOSPC, "No space left on device", "runs/x"), 1, "grokscope: runs/x: No space left"),
        (
            PermissionError(errno.EACCES, "Permission denied", "runs"),
            1,
            "grokscope: runs: Permission denied.\n",
        ),
        (
            NotADirectoryError(errno.ENOTDIR, "Not a directory", "a/b"),
            1,
            "grokscope: a/b: Not a directory.\n",
        ),
        (IsADirectoryError(errno.EISDIR, "Is a directory", "a"), 1, "grokscope: a: Is a directory.\n"),
        (BrokenPipeError(errno.EPIPE, "Broken pipe"), 1, "grokscope: Broken pipe.\n"),
        (MemoryError(), 1, "grokscope: not enough memory"),
        (RuntimeError("RESOURCE_EXHAUSTED: Out of memory"), 1, "grokscope: not enough memory"),
        (
            ImportError("libjax.so: failed to map segment from shared object"),
            1,
            "grokscope: not enough memory",
        ),
        (OSError(12, "Cannot allocate memory"), 1, "grokscope: not enough memory"),
        (RuntimeError("can't start new thread"), 1, "grokscope: not enough memory"),
        (EOFError(), 1, "grokscope: internal error: EOFError:"),
        (
            ZeroDivisionError("division\nby zero"),
            1,
            "grokscope: internal error: ZeroDivisionError: division (run again with --debug)\n",
        ),
        (KeyboardInterrupt(), 130, "grokscope: stopped\n"),
    ],
)
def test_every_failure_has_its_code_and_no_traceback(cli, store, monkeypatch, error, code, text):
    monkeypatch.setattr("grokscope.runs.open_run", failing(error))
    result = cli("show", "x")
    assert (result.code, result.out) == (code, "")
    assert result.err.startswith(text)
    assert len(result.err.splitlines()) <= 2


@pytest.mark.parametrize("words", [["--debug", "show", "x"], ["show", "x", "--debug"]])
def test_debug_shows_the_traceback_and_keeps_the_code(cli, store, monkeypatch, words):
    monkeypatch.setattr("grokscope.runs.open_run", failing(InputError("bad")))
    result = cli(*words)
    assert result.code == 2
    assert "Traceback (most recent call last)" in result.err
    assert result.err.endswith("grokscope: bad\n")


def test_debug_behind_two_dashes_is_a_word_like_any_other(cli, store):
    result = cli("show", "--", "--debug")
    assert result.err == "grokscope: --debug: there is no such folder.\n"


def run(code: str, **options) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code]
    return subprocess.run(command, text=True, timeout=60, stderr=subprocess.PIPE, **options)


# The command line with one command of ours, `talk`.
TALK = """
import sys, typer
from grokscope.cli import output
from grokscope.cli.guard import run_guarded
app = typer.Typer(rich_markup_mode=None)
@app.command()
def other(): pass
@app.command()
def talk():
    for _ in range(COUNT):
        output.line("caf\u00e9 \u2588" * 10)
sys.exit(run_guarded(lambda: app, ["talk"]))
"""


def test_a_reader_that_stops_reading_ends_it_quietly():
    process = subprocess.Popen(
        [sys.executable, "-c", TALK.replace("COUNT", "100000")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    with process:
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/dev/full is a thing of Linux")
@pytest.mark.parametrize("count", ["1", "100000"])
def test_a_full_disk_under_standard_output_is_said(count):
    with open("/dev/full", "w") as full:
        done = run(TALK.replace("COUNT", count), stdout=full)
    assert done.stderr.splitlines()[0] == "grokscope: standard output: No space left on device."
    assert done.returncode == 1


def test_a_terminal_without_unicode_is_no_reason_to_fail(monkeypatch):
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    done = run(TALK.replace("COUNT", "1"), stdout=subprocess.PIPE)
    assert (done.returncode, done.stdout, done.stderr) == (0, "caf? ?" * 10 + "\n", "")
