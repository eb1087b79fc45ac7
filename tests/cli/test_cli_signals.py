from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest

# Trains for a minute, says when it has begun, and what it still could do when it was stopped.
LONG = """
import sys, time, types
import grokscope
from grokscope.cli import main
fake = types.ModuleType("grokscope.runs")
def train(experiment, **options):
    try:
        print("begun", file=sys.stderr, flush=True)
        time.sleep(60)
    finally:
        print("committed", file=sys.stderr, flush=True)
fake.train = train
fake.seconds_to_train = lambda *given, **options: 0.0
sys.modules["grokscope.runs"] = grokscope.runs = fake
sys.exit(main(sys.argv[1:]))
"""


def stopped(words: list[str], number: signal.Signals, program=LONG, before=()) -> tuple[int, str, str]:
    process = subprocess.Popen(
        [*before, sys.executable, "-c", program, *words],
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        assert process.stderr.readline() == "begun\n"
        began = time.monotonic()
        process.send_signal(number)
        out, err = process.communicate(timeout=30)
        assert time.monotonic() - began < 30
        return process.returncode, out, err
    finally:
        process.kill()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_both_signals_end_cleanly_and_say_how_to_go_on(spec, number):
    code, out, err = stopped(["train", str(spec), "--set", "name='my run'", "--seeds", "5"], number)
    assert code == 130
    assert out == ""
    again = f"grokscope train {spec} --set 'name='\"'\"'my run'\"'\"'' --seeds 5"
    assert err == f"committed\ngrokscope: stopped; resume with: {again}\n"


def test_a_shell_that_switched_interrupts_off_does_not_keep_it_running(spec):
    ignoring = ("sh", "-c", "trap '' INT; exec \"$@\"", "sh")
    code, _, err = stopped(["train", str(spec)], signal.SIGINT, before=ignoring)
    assert code == 130
    assert "resume with" in err


def test_json_prints_nothing_on_standard_output_when_stopped(spec):
    code, out, _ = stopped(["train", str(spec), "--json"], signal.SIGTERM)
    assert (code, out) == (130, "")


def test_an_interrupt_that_comes_out_as_another_error_is_still_one(spec):
    raised = "    except KeyboardInterrupt:\n        raise RuntimeError('callback failed') from None\n"
    swallowing = LONG.replace("    finally:", f"{raised}    finally:")
    code, _, err = stopped(["train", str(spec)], signal.SIGTERM, program=swallowing)
    assert code == 130
    assert "callback failed" not in err
    assert "resume with" in err


def test_handlers_are_put_back(cli):
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    assert cli("--version").code == 0
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
