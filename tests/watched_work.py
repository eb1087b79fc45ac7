"""Instrumented commands for tests; called in forked copies of the nursery process."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

# audit events that mean that loaded data ran code, or that the network was used
_FORBIDDEN = ("pickle.find_class", "os.system", "socket.getaddrinfo", "socket.connect", "socket.bind")


def audited(*words: str) -> int:
    """Run the command line; write every forbidden audit event to standard error."""
    from grokscope.cli import main

    watching = True

    def hook(event: str, arguments: Any) -> None:
        if watching and event in _FORBIDDEN:
            os.write(2, f"FORBIDDEN {event} {arguments!r}\n".encode())

    sys.addaudithook(hook)
    code = main(words)
    watching = False
    return code


def unpickles(*_: str) -> int:
    """Unpickle something: the control, whose forbidden event must be reported."""
    import pickle

    class Thing:
        pass

    def hook(event: str, arguments: Any) -> None:
        if event in _FORBIDDEN:
            os.write(2, f"FORBIDDEN {event}\n".encode())

    globals()["Thing"] = Thing
    Thing.__qualname__ = "Thing"
    content = pickle.dumps(Thing)
    sys.addaudithook(hook)
    pickle.loads(content)
    return 0


def long(journal: str, seconds: str, *words: str) -> int:
    """Run the command line for some seconds; at every commit append memory, files and times to a journal."""
    import _thread
    import threading

    from grokscope.cli import main
    from grokscope.runs import trainer as _trainer

    real, spent, began = _trainer.StoreSink._commit, [0.0], time.monotonic()
    out = Path(words[words.index("--out") + 1])

    def commit(self: Any, checkpoint: Any, **options: Any) -> None:
        start = time.monotonic()
        real(self, checkpoint, **options)
        spent[0] += time.monotonic() - start
        done = self._store.steps_done
        facts = {
            "seconds": time.monotonic() - began,
            "committing": spent[0],
            "member_steps": int(done.sum()),
            "resident": _resident(),
            "files": sum(len(files) for _, _, files in os.walk(out)),
        }
        with Path(journal).open("a") as stream:
            stream.write(json.dumps(facts) + "\n")

    _trainer.StoreSink._commit = commit  # type: ignore[method-assign]
    timer = threading.Timer(float(seconds), _thread.interrupt_main)
    timer.start()
    code = main(words)
    timer.cancel()
    return code


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096
