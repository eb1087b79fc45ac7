"""Interrupts that Python loses: those that arrive in a callback, in the first moments, and in the last."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

import grokscope as gs
from grokscope import interrupts
from grokscope.cli import main
from grokscope.interrupts import Interruptible, interruptible, raise_if_interrupted
from grokscope.progress import SilentProgress

SPEC = {
    "task": {"kind": "sparse_parity", "n": 6, "k": 2, "n_train": 20, "n_test": 10},
    "model": {"kind": "fully_connected", "width": 8},
    "batch_size": 10,
    "epochs": 6,
    "measures": ["train_accuracy"],
}


def lose(number: int = signal.SIGINT) -> None:
    """A signal whose exception Python loses, as in the callback that jax gives to the garbage collector."""

    def callback(phase: str, info: object) -> None:
        gc.callbacks.remove(callback)
        signal.raise_signal(number)

    gc.callbacks.append(callback)
    gc.collect()


@pytest.fixture(autouse=True)
def python_raises_interrupts():
    """Python's own handler, which Python does not set in a process that was started with SIGINT ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def once(monkeypatch):
    """Lost exceptions are not raised again by themselves, only where the work looks for them."""
    monkeypatch.setattr(Interruptible, "_send_again", lambda *_: None)


def handlers():
    return signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM), sys.unraisablehook


def ends_with_interrupt(work, numbers=None) -> BaseException:
    """Do work in an `Interruptible`, which must end with KeyboardInterrupt; returns its cause."""
    before = handlers()

    def run() -> None:
        with Interruptible(numbers):
            work()

    with pytest.raises(KeyboardInterrupt) as raised:
        run()
    assert handlers() == before
    return raised.value.__cause__


def test_a_lost_interrupt_is_raised_where_the_work_looks_for_it(once):
    reached = []

    def work() -> None:
        lose(signal.SIGTERM)
        reached.append("after the callback")
        raise_if_interrupted()
        reached.append("after the look")

    ends_with_interrupt(work, (signal.SIGTERM,))
    assert reached == ["after the callback"]


def test_a_lost_interrupt_is_raised_again_by_itself():
    began = time.monotonic()

    def work() -> None:
        lose()
        while time.monotonic() - began < 30:
            time.sleep(0.01)

    ends_with_interrupt(work)
    assert time.monotonic() - began < 5


def test_whatever_the_work_makes_of_an_interrupt_it_ends_with_it(once):
    def failing() -> None:
        lose()
        raise RuntimeError("callback failed")

    ends_with_interrupt(lose)  # the work is done before anything looks
    assert isinstance(ends_with_interrupt(failing), RuntimeError)


def test_other_exceptions_that_are_lost_go_to_the_hook_that_was_there(monkeypatch):
    seen = []
    monkeypatch.setattr(sys, "unraisablehook", seen.append)

    class Failing:
        def __del__(self):
            raise ValueError("in a destructor")

    with Interruptible():
        Failing()
    assert [one.exc_type for one in seen] == [ValueError]


class HalfMade:
    """An object whose making a signal interrupts; its destructor then fails, as that of an event loop."""

    def __init__(self) -> None:
        signal.raise_signal(signal.SIGTERM)
        self.whole = True

    def __del__(self) -> None:
        assert self.whole


def test_the_destructor_of_what_was_half_made_is_not_reported(monkeypatch):
    seen = []
    monkeypatch.setattr(sys, "unraisablehook", seen.append)

    def while_it_lasts() -> None:
        with contextlib.suppress(KeyboardInterrupt):
            HalfMade()

    ends_with_interrupt(while_it_lasts, (signal.SIGTERM,))
    assert seen == []


def test_a_command_frees_what_was_half_made_without_a_word(monkeypatch, capsys):
    from grokscope.cli.guard import run_guarded

    seen = []
    monkeypatch.setattr(sys, "unraisablehook", seen.append)
    assert run_guarded(HalfMade, ["runs"]) == 130
    gc.collect()
    assert seen == []
    assert capsys.readouterr().err == "grokscope: stopped\n"


def test_a_handler_of_the_users_stays(monkeypatch):
    seen = []
    before = signal.signal(signal.SIGINT, lambda number, frame: seen.append(number))
    try:
        with Interruptible():
            signal.raise_signal(signal.SIGINT)
            raise_if_interrupted()
    finally:
        signal.signal(signal.SIGINT, before)
    assert seen == [signal.SIGINT]


def test_one_context_within_another_leaves_the_interrupt_to_it(once):
    reached = []
    inner = interruptible(lose)

    def work() -> None:
        inner()
        reached.append("after the inner context")
        raise_if_interrupted()
        reached.append("after the look")

    ends_with_interrupt(work)
    assert reached == ["after the inner context"]


def test_other_threads_work_without_handlers():
    found = []
    thread = threading.Thread(target=lambda: found.append(interruptible(lambda: raise_if_interrupted())()))
    thread.start()
    thread.join()
    assert found == [None]


class Losing(SilentProgress):
    """Loses an interrupt in the first segment, and counts what is trained after it."""

    def __init__(self, number: int = signal.SIGINT) -> None:
        self.number, self.calls = number, 0

    def advance(self, steps: int, note: str = "") -> None:
        self.calls += 1
        if self.calls == 1:
            lose(self.number)


@pytest.fixture
def short_segments(monkeypatch):
    monkeypatch.setattr("grokscope.training.timeline.Timeline.segment_size", lambda *_: 2)


@pytest.mark.slow
def test_training_in_python_ends_at_the_next_segment(once, short_segments, tmp_path):
    before, progress = handlers(), Losing()
    with pytest.raises(KeyboardInterrupt):
        gs.train(gs.Experiment(**SPEC), out=tmp_path / "run", progress=progress)
    assert progress.calls == 1  # of four segments
    assert handlers() == before
    assert gs.train(gs.Experiment(**SPEC), out=tmp_path / "run").is_complete


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_training_by_the_command_ends_at_the_next_segment(
    once, short_segments, tmp_path, monkeypatch, capsys, number
):
    (tmp_path / "spec.toml").write_text(gs.Experiment(**SPEC).to_toml())
    progress = Losing(number)
    monkeypatch.setattr("grokscope.progress.RichProgress.advance", progress.advance)
    words = ["train", str(tmp_path / "spec.toml"), "--out", str(tmp_path / "run")]
    assert main(words) == 130
    assert progress.calls == 1
    said = capsys.readouterr().err.splitlines()
    assert said[-1].startswith("grokscope: stopped; resume with: grokscope train ")
    assert not any("ignored" in line for line in said)


def test_a_command_that_looks_for_nothing_ends_too(capsys):
    """`show` and `report` have no segments: the interrupt is raised again by itself, or at the end."""
    from grokscope.cli import guard

    def load():
        lose()
        time.sleep(30)

    began = time.monotonic()
    assert guard.run_guarded(load, ["show", "x"]) == 130
    assert time.monotonic() - began < 5
    assert capsys.readouterr().err == "grokscope: stopped\n"


# Sends a signal when a module is imported (or a function is called), as early as the process is ours.
EARLY = """
import sys, os, signal
class Sender:
    def find_spec(self, name, *_):
        if name == {module!r}:
            os.kill(os.getpid(), {number})
sys.meta_path.insert(0, Sender())
sys.argv = ["/usr/bin/grokscope", "--version"]
from grokscope.cli import main
sys.exit(main())
"""
MODULES = (
    "grokscope.provided",
    "grokscope.cli",
    "grokscope.cli.guard",
    "logging",
    "grokscope.cli.app",
    "typer",
)


def test_a_signal_in_the_first_moments_leaves_no_traceback():
    for i, module in enumerate(MODULES):
        code = EARLY.format(module=module, number=int((signal.SIGINT, signal.SIGTERM)[i % 2]))
        done = subprocess.run(
            [sys.executable, "-c", code], env=os.environ, capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stdout, done.stderr) == (130, "", "grokscope: stopped\n"), module


def test_a_signal_in_the_last_moments_leaves_the_exit_code():
    code = (
        "import atexit, os, signal, sys\n"
        "atexit.register(lambda: os.kill(os.getpid(), signal.SIGINT))\n"
        "sys.argv = ['grokscope', '--version']\n"
        "from grokscope.cli import main\nmain()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("grokscope ")


@pytest.mark.parametrize(
    ("argv", "orig", "expected"),
    [
        (["/usr/bin/grokscope", "train"], ["python", "/usr/bin/grokscope", "train"], True),
        (["-m", "train"], ["python", "-X", "dev", "-m", "grokscope", "train"], True),
        (["-m", "x"], ["python", "-m", "pytest", "x"], False),
        (["script.py"], ["python", "script.py"], False),
        ([""], ["python"], False),
        ([], ["python"], False),
    ],
)
def test_the_command_line_is_known_by_its_name(monkeypatch, argv, orig, expected):
    monkeypatch.setattr(sys, "argv", argv)
    monkeypatch.setattr(sys, "orig_argv", orig)
    assert interrupts.is_command() is expected
