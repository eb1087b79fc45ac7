"""Run a command to its end: seconds, peak memory of its process tree, output.

What is timed lives elsewhere (``rungs/``); what the numbers mean is in ``_result.py``.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from typing import IO

import psutil

_MAXRSS_BYTES = 1 if sys.platform == "darwin" else 1024
_POLL_SECONDS = 0.1  # listing a process tree costs about a millisecond


@dataclass(frozen=True)
class Measured:
    """A finished command.

    ``peak_bytes`` is the larger of two: the resident memory summed over the tree, looked at ten
    times a second, and the kernel's own record of the largest single process.
    """

    seconds: float
    peak_bytes: int
    returncode: int
    stdout: str
    stderr: str


def tree_bytes(root: psutil.Process) -> int:
    """Resident bytes of a process and all its descendants; pages they share count in each."""
    total = 0
    try:
        for process in [root, *root.children(recursive=True)]:
            try:
                total += process.memory_info().rss
            except psutil.Error:
                continue
    except psutil.Error:
        pass
    return total


def _watch(pid: int, done: threading.Event, peak: list[int]) -> None:
    try:
        root = psutil.Process(pid)
    except psutil.Error:
        return
    while True:
        peak[0] = max(peak[0], tree_bytes(root))
        if done.wait(_POLL_SECONDS):
            return


def measure(argv: list[str], environment: dict[str, str] | None = None) -> Measured:
    """Run ``argv`` and wait for it; its output goes to files, so that it never waits for us."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        start = time.perf_counter()
        process = subprocess.Popen(argv, env=environment, stdout=out, stderr=err)
        done, peak = threading.Event(), [0]
        watcher = threading.Thread(target=_watch, args=(process.pid, done, peak))
        watcher.start()
        try:
            _, status, usage = os.wait4(process.pid, 0)
            seconds = time.perf_counter() - start
            process.returncode = os.waitstatus_to_exitcode(status)
        except BaseException:
            process.kill()
            process.wait()
            raise
        finally:
            done.set()
            watcher.join()
        # A child starts with its parent's record; it says something only where it is larger.
        if usage.ru_maxrss > resource.getrusage(resource.RUSAGE_SELF).ru_maxrss:
            peak[0] = max(peak[0], usage.ru_maxrss * _MAXRSS_BYTES)
        return Measured(seconds, peak[0], process.returncode, _text(out), _text(err))


def _text(stream: IO[bytes]) -> str:
    stream.seek(0)
    return stream.read().decode(errors="replace")


def processor_seconds() -> float:
    """User and system seconds, so far, of the commands that have ended; for differences."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def last_line(measured: Measured) -> str:
    """The last line of standard output, where each rung prints its JSON.

    Raises:
        RuntimeError: The command failed; the message has the end of its error output.
    """
    lines = measured.stdout.strip().splitlines()
    if measured.returncode or not lines:
        tail = (measured.stderr or measured.stdout).strip()[-800:]
        raise RuntimeError(f"exit code {measured.returncode}: {tail}")
    return lines[-1]
