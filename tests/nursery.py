"""A process that has imported what it needs, and is copied for every command: commands by the thousand.

A copy runs the real command line in a process of its own, with its own working folder, limits and
streams, and may be armed with a fault at its n-th file operation (`faults.c`, preloaded where there is a
compiler). The program is as it is but for three numbers: it commits after every segment, segments are
short, and blocks are small, so that a run of a second has as many moments at which it can break as one
of hours.

Linux only: elsewhere `missing` says why.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from enum import IntEnum, IntFlag
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent


class Op(IntFlag):
    """Kinds of file operations; the numbers are those of faults.c."""

    WRITE = 1
    SYNC = 2
    RENAME = 4
    MKDIR = 8
    CREATE = 16
    UNLINK = 32
    ALL = 63


class How(IntEnum):
    """What happens at the n-th operation; the numbers are those of faults.c."""

    OFF = 0
    FAIL_ONCE = 1
    FAIL_FROM = 2
    KILL_BEFORE = 3
    KILL_AFTER = 4
    KILL_TORN = 5


@dataclass(frozen=True)
class Fault:
    """A fault at the n-th operation below a folder."""

    folder: Path
    n: int
    how: How
    error: int = 5
    ops: Op = Op.ALL


@dataclass
class Ended:
    """How a copy ended.

    Attributes:
        code: exit code; negative: the signal that ended it.
        out, err: what it said.
        counted: file operations below the fault's folder.
        happened: whether the fault was met.
        rose: bytes by which its resident memory rose at most.
        seconds: how long it worked.
    """

    code: int
    out: str
    err: str
    counted: int = 0
    happened: bool = False
    rose: int = 0
    seconds: float = 0.0


def missing() -> str | None:
    """Why there can be no nursery here, or None."""
    return None if sys.platform == "linux" else "copies of a process with many libraries need Linux"


def missing_faults() -> str | None:
    """Why no faults can be injected here, or None."""
    if reason := missing():
        return reason
    return None if shutil.which("cc") else "there is no C compiler (cc) to build the faults with"


def build_faults(folder: Path) -> Path:
    """Compile faults.c."""
    library = folder / "faults.so"
    command = ["cc", "-shared", "-fPIC", "-O1", "-w", "-o", str(library), str(HERE / "faults.c")]
    subprocess.run([*command, "-ldl"], check=True, capture_output=True, text=True)
    return library


@dataclass
class Nursery:
    """See the module.

    Attributes:
        folder: for streams and notes of the copies; of the test's own.
        faults: the library to preload, or None.
        hurried: whether the program commits after every short segment.
        environment: variables set for all copies.
        python: the command that starts Python.
        cache: for compiled programs; else that of all nurseries of a test session.
    """

    folder: Path
    faults: Path | None = None
    hurried: bool = True
    environment: dict[str, str] = field(default_factory=dict)
    python: list[str] = field(default_factory=lambda: [sys.executable])
    cache: Path | None = None
    _process: Any = None
    _count: int = 0
    _places: dict[int, Path] = field(default_factory=dict)

    @property
    def programs(self) -> Path:
        """The folder of the cache of compiled programs."""
        return self.cache or Path(os.environ.get("NURSERY_CACHE", self.folder / "cache"))

    def __enter__(self) -> Nursery:
        environment = os.environ | {
            "XDG_CACHE_HOME": str(self.programs),
            "PYTHONWARNINGS": "ignore",
            "NURSERY_HURRIED": str(int(self.hurried)),
            **self.environment,
        }
        environment.pop("JAX_COMPILATION_CACHE_DIR", None)  # so that it is the program's own cache
        if self.faults is not None:
            environment["LD_PRELOAD"] = str(self.faults)
            environment["NURSERY_FAULTS"] = str(self.faults)
        self._process = subprocess.Popen(
            [*self.python, str(HERE / "nursery_process.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        assert self._process.stdout.readline() == "ready\n"
        return self

    def __exit__(self, *_: object) -> None:
        self._process.stdin.close()
        self._process.wait(60)
        self._process.stdout.close()

    def start(
        self,
        *words: str,
        call: str = "",
        cwd: Path | None = None,
        fault: Fault | None = None,
        log: Path | None = None,
        memory: int = 0,
    ) -> int:
        """Begin a command in a copy; returns its process number.

        Args:
            words: of the command line, without the program's name.
            call: ``module:function`` to call with the words instead of the command line.
            cwd: working folder.
            fault: what to break.
            log: where to list all that is written, made, removed, connected.
            memory: bytes of address space that may be added (0: any).
        """
        self._count += 1
        job = {
            "words": list(words),
            "call": call,
            "cwd": str(cwd or self.folder),
            "log": str(log) if log else "",
            "memory": memory,
            "to": str(self.folder / f"copy-{self._count}"),
        }
        if fault is not None:
            job["fault"] = [str(fault.folder), fault.n, int(fault.how), fault.error, int(fault.ops)]
        pid = self._ask("start", job)
        self._places[pid] = Path(job["to"])
        return pid

    def wait(self, pid: int) -> Ended:
        """Wait for a copy's end."""
        return Ended(**self._ask("wait", pid))

    def run(self, *words: str, **options: Any) -> Ended:
        """`start` and `wait`."""
        return self.wait(self.start(*words, **options))

    def stop(self, pid: int, number: int = signal.SIGKILL) -> None:
        """Send a signal to a copy; nothing happens if it has ended."""
        os.kill(pid, number)  # it is not reaped before `wait`, so the number is still its own

    def stop_when(self, pid: int, said: str, number: int = signal.SIGKILL, seconds: float = 120.0) -> None:
        """Send a signal to a copy as soon as it has said something on standard error."""
        errors, late = self._places[pid].with_suffix(".err"), time.monotonic() + seconds
        while not (errors.exists() and said in errors.read_text(errors="replace")):
            assert time.monotonic() < late, f"it did not say {said!r} in {seconds} s"
            time.sleep(0.002)
        self.stop(pid, number)

    def _ask(self, what: str, value: Any) -> Any:
        self._process.stdin.write(json.dumps([what, value]) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the nursery has ended")
        return json.loads(line)
