"""The process that `nursery.py` starts: imports, then copies itself for every job it reads."""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import json
import os
import resource
import signal
import sys
import time
from pathlib import Path
from typing import Any

HISTORY = 27_500  # bytes: two members of the tests' small network at a time


def prepare() -> None:
    """Import all that a command may need, and hurry; nothing here starts a thread."""
    sys.path.insert(0, str(Path(__file__).resolve().parent))
    names = ("cli.app", "runs.measure", "runs.trainer", "papers", "report", "interop", "analysis.overview")
    for name in (*names, "analysis.comparison", "plots", "claims", "sweeps", "circuits"):
        importlib.import_module(f"grokscope.{name}")
    for name in ("rich.progress", "xarray", "matplotlib.figure", "scipy.special", "safetensors.numpy"):
        importlib.import_module(name)
    from grokscope.spec.parts import _HOMES, kinds

    for group in _HOMES:
        kinds(group)
    if os.environ["NURSERY_HURRIED"] == "1":
        import grokscope.runs.trainer as train
        from grokscope.training import budget
        from grokscope.training.timeline import Timeline

        class EagerSink(train.StoreSink):
            def __init__(self, *arguments: Any, every: float | None = 0.0, **options: Any) -> None:
                super().__init__(*arguments, every=None if every is None else -1.0, **options)

        train.StoreSink = EagerSink  # type: ignore[misc]
        budget.HISTORY_BYTES = HISTORY
        Timeline.segment_size = lambda self, *_: 2  # type: ignore[method-assign]


def resident(key: str) -> int:
    """Bytes of resident memory: ``VmRSS`` now, ``VmHWM`` at most."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(key):
            return int(line.split()[1]) * 1024
    return 0


def work(job: dict[str, Any], library: Any) -> None:
    """Do a job in this copy; never returns."""
    from grokscope.interrupts import SIGNALS, end_on_signals

    end_on_signals()  # as the command line begins
    to = job["to"]
    os.chdir(job["cwd"])
    for number, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(f"{to}.{name}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), number)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)  # what is said now lands in the files
    began, before, code = time.monotonic(), resident("VmRSS"), 70
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
    if job["memory"]:
        space = int(Path("/proc/self/statm").read_text().split()[0]) * 4096
        resource.setrlimit(resource.RLIMIT_AS, (space + job["memory"],) * 2)
    if library is not None:
        if job["log"]:
            library.faults_log(job["log"].encode())
        if "fault" in job:
            folder, n, how, error, ops = job["fault"]
            library.faults_arm(folder.encode(), ctypes.c_long(n), how, error, ops)
    try:
        sys.argv = ["grokscope", *job["words"]]
        if job["call"]:
            module, _, function = job["call"].partition(":")
            code = int(getattr(importlib.import_module(module), function)(*job["words"]) or 0)
        else:
            from grokscope.cli import main

            code = main(job["words"])
        end_on_signals(code, "")  # as it ends
        sys.stdout.flush()
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        facts = {"rose": resident("VmHWM") - before, "seconds": time.monotonic() - began}
        if library is not None:
            if "fault" in job:
                counted, happened = library.faults_counted(), bool(library.faults_happened())
                facts |= {"counted": counted, "happened": happened}
                library.faults_arm(b"/", ctypes.c_long(-1), 0, 0, 0)
            library.faults_log(None)
        Path(f"{to}.json").write_text(json.dumps(facts))
        os._exit(code)


def main() -> None:
    library = None
    if os.environ.get("NURSERY_FAULTS"):
        library = ctypes.CDLL(os.environ["NURSERY_FAULTS"])
        library.faults_counted.restype = ctypes.c_long
    prepare()
    print("ready", flush=True)
    places: dict[int, str] = {}
    for line in sys.stdin:
        what, value = json.loads(line)
        if what == "start":
            # until the copy has handlers and files of its own: a signal would find those of this process
            signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM))
            pid = os.fork()
            if pid == 0:
                work(value, library)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGINT, signal.SIGTERM))
            places[pid] = value["to"]
            print(json.dumps(pid), flush=True)
            continue
        _, status = os.waitpid(value, 0)
        to = places.pop(value)
        files = {name: Path(f"{to}.{name}") for name in ("out", "err", "json")}
        texts = {
            name: file.read_text(errors="replace") if file.exists() else "" for name, file in files.items()
        }
        for file in files.values():
            file.unlink(missing_ok=True)
        ended = {"code": os.waitstatus_to_exitcode(status), "out": texts["out"], "err": texts["err"]}
        print(json.dumps(ended | json.loads(texts["json"] or "{}")), flush=True)


if __name__ == "__main__":
    main()
