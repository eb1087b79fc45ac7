"""The figures of a paper, and a second process that draws them.

Drawing takes seconds of plain Python, in which other threads of the process stand still. The second process
is started while experiments train, so that it has imported what it needs by the time they end. It opens the
runs from their folders and writes the files of the figures; nothing but names passes between the two.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grokscope.interrupts import raise_if_interrupted
from grokscope.plots.save import save_figure
from grokscope.spec.code import is_own

if TYPE_CHECKING:
    from grokscope.papers._paper import Figure, Paper

__all__ = ["MODULES", "DrawingProcess", "draw_figure"]

# what drawing imports, which takes a second: to be imported ahead
MODULES = tuple(f"matplotlib.backends.backend_{name}" for name in ("agg", "pdf", "svg"))

_POLL = 0.02  # seconds between two looks at whether the second process has ended


def draw_figure(figure: Figure, runs: Mapping[str, Any], command: str, folder: Path) -> bytes:
    """Draw a figure into ``folder/figures``, as SVG, PDF and PNG; returns the SVG.

    Args:
        figure: the figure.
        runs: the results of its experiments, by name.
        command: the command that makes these runs, for the small print.
        folder: the folder of the reproduction.

    Raises:
        StoreError: if a file cannot be written.
    """
    return save_figure(figure.draw(runs, command), folder / "figures", figure.id)["svg"]


class DrawingProcess:
    """A second process that draws figures of a paper of the package.

    As a context manager it ends the process. What the process did not draw, for whatever reason, is for the
    caller to draw.

    Args:
        paper: the paper.
        folder: the folder of the reproduction.

    Attributes:
        process: the process; None until `start`, and for a paper of the user's.
    """

    def __init__(self, paper: Paper, folder: Path) -> None:
        self._paper, self._folder = paper, folder
        self._asked: frozenset[str] = frozenset()
        self.process: subprocess.Popen[str] | None = None

    def __enter__(self) -> DrawingProcess:
        return self

    def __exit__(self, *error: object) -> None:
        if self.process is not None:
            self.process.kill()
            for pipe in (self.process.stdin, self.process.stdout):
                if pipe is not None:
                    with suppress(OSError):  # what was not sent yet
                        pipe.close()
            self.process.wait()

    def start(self) -> None:
        """Start the process, which begins with its imports. A paper of the user's is drawn by the caller."""
        if self.process is None and is_own(type(self._paper)):
            code = f"from {__name__} import serve; serve()"
            with suppress(OSError):  # no memory, or no processes left
                self.process = subprocess.Popen(
                    [sys.executable, "-P", "-c", code],  # -P: what lies in the current folder is not imported
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    text=True,
                    # a GPU's memory is the first process's; a figure that needs it is left to the caller
                    env=os.environ | {"JAX_PLATFORMS": "cpu"},
                )

    def draw(self, commands: Mapping[str, str], runs: Iterable[str]) -> None:
        """Let it draw, if it was started; see `wait`.

        Args:
            commands: the command for the small print of each figure, by its id.
            runs: names of the experiments whose results the figures are drawn from.
        """
        if self.process is None or self.process.stdin is None:
            return
        self._asked = frozenset(commands)
        work = {
            "paper": self._paper.kind,
            "folder": str(self._folder.absolute()),
            "commands": dict(commands),
            "runs": list(runs),
        }
        with suppress(OSError):  # it has ended already
            self.process.stdin.write(json.dumps(work) + "\n")
            self.process.stdin.close()

    def wait(self) -> dict[str, bytes]:
        """Wait for its end, and return the figures that it drew: the SVG by id."""
        if self.process is None or self.process.stdout is None:
            return {}
        while self.process.poll() is None:
            raise_if_interrupted()
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(_POLL)
        names = self._asked.intersection(self.process.stdout.read().split())
        return {name: (self._folder / "figures" / f"{name}.svg").read_bytes() for name in names}


def serve() -> None:
    """What the second process does: import, wait for a line, draw, and print the figure's id after each."""
    from grokscope.papers import find_paper

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the first process, which ends this one
    for name in MODULES:
        importlib.import_module(name)
    line = sys.stdin.readline()
    if not line:
        return
    work = json.loads(line)
    paper, folder = find_paper(work["paper"]), Path(work["folder"])
    runs = {name: paper.experiment(name).open(folder / name) for name in work["runs"]}
    for figure in paper.figures:
        if figure.id in work["commands"]:
            with suppress(Exception):  # the first process draws it again, and says what is wrong
                draw_figure(figure, runs, work["commands"][figure.id], folder)
                print(figure.id, flush=True)
