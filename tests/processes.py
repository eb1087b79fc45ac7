"""The real command line in a process of its own, which can be stopped: for tests of kills and signals.

The process is the program as it is, but for three numbers: it commits after every segment, segments are
short, and blocks are small, so that a run of a few seconds has as many moments at which it can break as one
of hours. It says ``begun`` when everything is imported.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

HURRIED = """
import sys
import grokscope.cli._app, grokscope.runs._train as train, grokscope.papers, rich.progress
from grokscope.cli import main
from grokscope.training.timeline import Timeline

class EagerSink(train.StoreSink):
    def __init__(self, *arguments, every, **options):
        super().__init__(*arguments, every=None if every is None else 0.0, **options)

train.StoreSink = EagerSink
train.HISTORY_BYTES = 27_500  # two members at a time
Timeline.segment_size = lambda self, *_: 2
print("begun", file=sys.stderr, flush=True)
sys.exit(main(sys.argv[1:]))
"""


@dataclass
class Processes:
    """Starts processes that share a cache of compiled programs, so that all but the first begin quickly.

    What is compared are bits of processes that took their programs from the same cache; that a program
    compiled anew gives the same bits is tested elsewhere (`test_train.py`, `test_cohort.py`).
    """

    cache: Path

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Start a command and wait until it begins to work."""
        environment = os.environ | {"XDG_CACHE_HOME": str(self.cache)}
        environment.pop("JAX_COMPILATION_CACHE_DIR", None)  # so that it is the program's own cache
        process = subprocess.Popen(
            [sys.executable, "-c", HURRIED, *words],
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
        )
        assert process.stderr is not None
        first = process.stderr.readline()
        if first != "begun\n":
            raise AssertionError(first + process.communicate()[1])
        return process

    def finish(self, *words: str) -> float:
        """Run a command to its end; returns the seconds that the work took."""
        process = self.start(*words)
        began = time.monotonic()
        _, err = process.communicate(timeout=300)
        assert process.returncode == 0, err
        return time.monotonic() - began

    def stop(self, *words: str, number: signal.Signals) -> tuple[int, str, str]:
        """Send a signal as soon as some of the work is done; returns exit code, output and errors."""
        process = self.start(*words)
        assert process.stderr is not None
        said = ""
        while "%" not in said:
            said = process.stderr.readline()
            assert said, "ended before any of the work was done"
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
        return process.returncode, out, err
