"""Promise 11: as people live with it: closed streams, platforms that are not there, readers beside writers.

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
import signal
import struct
import subprocess
import sys
import termios
import time
from collections import Counter
from pathlib import Path

import numpy as np
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
from grokscope.tasks.arrays import Arrays
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


@pytest.mark.slow
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


@pytest.mark.slow
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
    "export": ("export", "OUT", "--to", "TABLE", "--force"),
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
        last = (ended.err.splitlines() or [""])[-1]
        torture.check(ended.code == 130 and last.startswith("grokscope: stopped"), f"{ended.code}; {where}")
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


@pytest.mark.slow
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


@pytest.mark.slow
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


# --- reading beside training and finishing ---

READ = {
    "task": {"kind": "sparse_parity", "n": 6, "k": 2, "n_train": 20, "n_test": 10},
    "model": {"kind": "fully_connected", "width": 8},
    "batch_size": 10,
    "measures": ["train_accuracy", "faithfulness"],  # the second is of subnetworks: an extension replaces it
}
WRITER = """
import itertools, json, sys
from pathlib import Path
import grokscope as gs
root, spec = Path(sys.argv[1]), json.loads(sys.argv[2])
for number in itertools.count():
    for epochs in range(2, 40, 2):
        out = root / f"run{number}"
        gs.train(gs.Experiment(**spec, epochs=epochs), seeds=1 + epochs // 8, out=out, commit_seconds=0)
        if epochs % 10 == 0:
            gs.open_run(out).measure("path_norm_total", steps=[0, epochs])
        print(out, flush=True)
        if (root / "stop").exists():
            sys.exit()
"""


def all_of(run):
    """What a run tells, by name; arrays as bytes."""
    found = {name: array.values.tobytes() for name, array in run.measures.variables.items()}
    found |= {"spec": run.experiment.to_toml(), "steps": run.steps_done.tolist(), "done": run.is_complete}
    for member, done in zip(run.members, run.steps_done, strict=True):
        for step in (0, -1) if done else ():
            network = run.model(member, step)
            found[f"{member} at {step}"] = network.hidden_weight.tobytes() + network.output_weight.tobytes()
    if any("subnetwork" in array.dims for array in run.measures.values()):
        found["subnetworks"] = run.subnetworks.values.tobytes()
    return found


def opened(folder):
    """A run that was opened and not read yet, and what it must tell, read at once from another object."""
    while True:
        run, other = gs.open_run(folder), gs.open_run(folder)
        same = run.version == other.version and run.experiment == other.experiment
        if same and len(run.steps_done):
            return run, all_of(other)


@pytest.mark.slow
def test_a_run_reads_as_it_was_opened_while_others_extend_and_finish_it(tmp_path):
    held = []
    for epochs, seeds in ((2, "0,1"), (4, "0,1"), (4, "0,1,2")):
        gs.train(gs.Experiment(**READ, epochs=epochs), seeds=seeds, out=tmp_path / "run")
        held.append(opened(tmp_path / "run"))
    assert [run.steps_done.tolist() for run, _ in held] == [[4, 4], [8, 8], [8, 8, 8]]
    assert all(all_of(run) == expected for run, expected in held)
    assert verify(tmp_path / "run") == []  # the checksums list what was kept for readers, too


def test_what_was_kept_for_readers_goes_when_they_have_gone(tmp_path):
    """The same command again, which has nothing to train, leaves what a run has that nobody has read."""

    def files(name, read):
        kept = []
        for epochs in (2, 4):
            experiment = gs.Experiment(**{**READ, "measures": ["train_accuracy"]}, epochs=epochs)
            gs.train(experiment, out=tmp_path / name)
            if read:
                kept.append(gs.open_run(tmp_path / name).measures)
        most = sum(len(names) for _, _, names in os.walk(tmp_path / name))
        del kept
        gs.train(experiment, out=tmp_path / name)
        return most, sum(len(names) for _, _, names in os.walk(tmp_path / name))

    (never, never_again), (most, least) = files("a", read=False), files("b", read=True)
    assert never == never_again == least < most
    assert verify(tmp_path / "b") == []


@pytest.mark.torture
def test_reading_beside_training(torture, tmp_path):
    """A writer extends, measures and finishes runs; readers open them, wait, and read what they opened."""
    rng, until = torture.rng(), time.monotonic() + min(3600.0, torture.limit)
    words = [sys.executable, "-c", WRITER, str(tmp_path), json.dumps(READ)]
    with (tmp_path / "out").open("w") as out, (tmp_path / "err").open("w") as err:
        writer = subprocess.Popen(words, stdout=out, stderr=err)
    seen = {"opened": 0, "read": 0, "from a commit that was no longer the newest": 0, "verified": 0}
    seen["not yet there"] = 0
    held = []
    while time.monotonic() < until and writer.poll() is None:
        folders = sorted(tmp_path.glob("run*/store"), key=lambda store: store.stat().st_mtime)
        try:
            if folders and len(held) < 6:
                held.append((*opened(folders[-1].parent), time.monotonic() + rng.choice([0, 1, 10, 60])))
                seen["opened"] += 1
            for one in [one for one in held if one[2] < time.monotonic()]:
                held.remove(one)
                run, expected, _ = one
                is_old = gs.open_run(run.path).version != run.version
                differ = sorted(name for name, value in all_of(run).items() if expected.get(name) != value)
                torture.check(not differ, f"{run.path}: {differ}")
                seen["read"] += 1
                seen["from a commit that was no longer the newest"] += is_old
            if folders and rng.random() < 0.2:
                damage = [str(one) for one in verify(folders[-1].parent) if one.is_damage]
                torture.check(not damage, f"{damage}")
                seen["verified"] += 1
        except gs.GrokscopeError as error:
            if "has no results yet" in str(error):  # of a run that was begun this moment
                seen["not yet there"] += 1
            else:
                torture.failures.append(f"{type(error).__name__}: {error}")
    (tmp_path / "stop").touch()
    torture.check(writer.wait(600) == 0, (tmp_path / "err").read_text()[-300:])
    finished = len((tmp_path / "out").read_text().splitlines())
    result = f"{len(torture.failures)} faults; the writer finished a run {finished} times"
    torture.done(seen["read"], "runs read, up to a minute after they were opened", result, **seen)


# --- the working folder changes ---

MEASURE = """
from typing import Literal
import jax.numpy as jnp
from grokscope.measures import Measure

class {name}(Measure):
    kind: Literal["{kind}"] = "{kind}"
    pace = "quick"

    def __call__(self, point):
        return jnp.sum(point.network.hidden_weight)
"""


def contents(folder):
    return {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}


@pytest.fixture(scope="module")
def two_folders(tmp_path_factory):
    """Folders ``here`` and ``there``, each with a run and a sweep of the same names."""
    root = tmp_path_factory.mktemp("folders")
    for name, rate in (("here", 0.1), ("there", 0.2)):
        spec = {**READ, "measures": ["train_accuracy"], "optimizer": {"kind": "sgd", "learning_rate": rate}}
        gs.train(gs.Experiment(**spec, epochs=2), out=root / name / "run")
        gs.sweep(gs.Experiment(**spec, epochs=2), ["task.n_train=20"], seeds=1, out=root / name / "sweep")
    return root


@pytest.fixture
def namesake(two_folders, tmp_path, monkeypatch):
    """The folder ``there``; the working folder is ``here``."""
    for name in ("here", "there"):
        shutil.copytree(two_folders / name, tmp_path / name)
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "there"


@pytest.mark.slow
def test_a_run_stays_the_same_when_the_working_folder_changes(namesake, monkeypatch):
    run, before = gs.open_run("run"), contents(namesake)
    weights = run.model().hidden_weight
    monkeypatch.chdir(namesake)
    run.measure("path_norm_total")
    assert gs.open_run(namesake.parent / "here" / "run").measures.path_norm_total.notnull().all()
    assert (run.measures.path_norm_total.shape, run.experiment.optimizer.learning_rate) == ((1, 3), 0.1)
    assert (run.model().hidden_weight == weights).all()
    page = run.report()
    assert page == namesake.parent / "here" / "run" / "report.html"
    assert "grokscope report run<" in page.read_text(encoding="utf-8")  # as it was given
    assert repr(run).startswith("Run run\n")
    with pytest.raises(gs.InputError, match=r"^run: seed 0 has steps 0 to 4, not 5\.$"):
        run.model(step=5)
    branch = run.branch(2, "epochs=3", out=namesake.parent / "here" / "branch")
    assert 'run = "../run"' in (branch.path / "experiment.toml").read_text()
    assert contents(namesake) == before


def test_a_sweep_stays_the_same_when_the_working_folder_changes(namesake, monkeypatch):
    sweep, before = gs.open_sweep("sweep"), contents(namesake)
    monkeypatch.chdir(namesake)
    assert sweep.measures.train_accuracy.sizes == {"n_train": 1, "seed": 1, "step": 3}
    cell = sweep.cell()
    cell.measure("path_norm_total")
    assert cell.experiment.optimizer.learning_rate == sweep.experiment.optimizer.learning_rate == 0.1
    assert str(cell.path).startswith("sweep/cells/")
    assert repr(sweep).startswith("Sweep sweep\n")
    assert sweep.report() == namesake.parent / "here" / "sweep" / "report.html"
    assert contents(namesake) == before


def test_a_spec_and_a_plugin_stay_the_same_when_the_working_folder_changes(namesake, monkeypatch):
    here = namesake.parent / "here"
    for folder, name in ((here, "Mine"), (namesake, "Other")):
        (folder / "mine.py").write_text(MEASURE.format(name=name, kind=f"my_{name.lower()}"))
    gs.load_plugin("mine.py")
    run = gs.open_run("run")
    branch = run.experiment.with_('init.kind="from_run"', 'init.run="run"', "init.at=2", "epochs=3")
    monkeypatch.chdir(namesake)
    made = gs.train(branch, out=here / "branch")
    assert made.experiment.init.source == run.identity
    assert 'run = "../run"' in (here / "branch" / "experiment.toml").read_text()
    run.measure("my_mine")
    assert run._store.measure_codes("my_mine").popitem()[1].file == str(here / "mine.py")


def test_arrays_stay_the_same_when_the_working_folder_changes(tmp_path, monkeypatch):
    for name, first in (("there", -1), ("here", 1)):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        rng = np.random.default_rng(0)
        x, y = rng.normal(size=(8, 3)), np.array([first, 1, 1, -1, 1, -1, -1, 1])
        Arrays.from_numpy(train_x=x, train_y=y).save("arrays.npz")
    spec = gs.Experiment(
        **{**READ, "task": {"kind": "arrays", "path": "arrays.npz"}, "measures": []}, epochs=1
    )
    monkeypatch.chdir(tmp_path / "there")
    assert (gs.train(spec, out=tmp_path / "run").data()["train_y"] == y).all()


def test_nothing_is_written_into_another_run_that_has_taken_the_place(namesake):
    run, here = gs.open_run("run"), namesake.parent / "here" / "run"
    here.rename(here.with_name("old"))
    shutil.copytree(namesake / "run", here)
    before = contents(here)
    for use in (lambda: run.measure("path_norm_total"), run.reread):
        with pytest.raises(gs.InputError, match=r"^run: holds another run \(identity .{8}, not .{8}\)"):
            use()
    assert contents(here) == before
    shutil.rmtree(here)
    with pytest.raises(gs.InputError, match=r"^run: there is no such folder\.$"):
        run.measure("path_norm_total")


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


@pytest.mark.slow
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
    assert asked == ["0:1000000"]


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


@pytest.mark.slow
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


@pytest.mark.slow
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
