"""Progress of long work: the protocol that reports it, and two ways to show it.

Training, replay and reproductions call a `Progress` once per segment; the caller chooses between a live bar
or plain lines (`RichProgress`) and nothing (`SilentProgress`). All output goes to stderr, because standard
output is for results. A closed stderr is ignored: it must not stop the work.
"""

from __future__ import annotations

import contextlib
import sys
import time
from typing import TYPE_CHECKING, Protocol, TextIO, runtime_checkable

if TYPE_CHECKING:
    from rich.progress import Progress as Bar
    from rich.progress import TaskID

__all__ = ["Progress", "RichProgress", "SilentProgress", "duration"]


@runtime_checkable
class Progress(Protocol):
    """Receives the progress of long work. Calls come in the order plan*, (start, advance*, finish)*."""

    def plan(self, text: str) -> None:
        """Announce the work in one or several lines, before it starts."""
        ...

    def start(self, total_steps: int, label: str) -> None:
        """Begin a piece of work of ``total_steps`` units of equal cost, usually member-steps."""
        ...

    def advance(self, steps: int, note: str = "") -> None:
        """Report that ``steps`` more units are done; the note is shown beside the bar."""
        ...

    def finish(self) -> None:
        """End the piece of work, complete or not. A second call does nothing."""
        ...


class SilentProgress:
    """Shows nothing; the default of the Python interface."""

    def plan(self, text: str) -> None:
        """Do nothing."""

    def start(self, total_steps: int, label: str) -> None:
        """Do nothing."""

    def advance(self, steps: int, note: str = "") -> None:
        """Do nothing."""

    def finish(self) -> None:
        """Do nothing."""


class RichProgress:
    """A live bar with the time left on a terminal; elsewhere one plain line at every tenth of the work.

    As a context manager it removes the bar even if the work fails.

    Args:
        stream: where to write; default standard error.
        live: whether to draw a bar; default whether the stream is a terminal.

    Example:
        >>> import io
        >>> progress = RichProgress(io.StringIO())
        >>> progress.start(200, "standard")
        >>> progress.advance(50, "seed 3")
        >>> progress.finish()
        >>> print(progress.stream.getvalue().splitlines()[0])
        standard: started
    """

    def __init__(self, stream: TextIO | None = None, live: bool | None = None) -> None:
        self.stream = sys.stderr if stream is None else stream
        self._live = _is_terminal(self.stream) if live is None else live
        self._bar: Bar | None = None
        self._task: TaskID | None = None
        self._label = ""
        self._total = 0
        self._done = 0
        self._tenths = 0
        self._began = 0.0

    def __enter__(self) -> RichProgress:
        return self

    def __exit__(self, *exception: object) -> None:
        self.finish()

    def plan(self, text: str) -> None:
        """Write the text."""
        self._write(text)

    def start(self, total_steps: int, label: str) -> None:
        """Begin a bar, or write a line."""
        self.finish()
        self._label, self._total, self._done, self._tenths = label, max(total_steps, 0), 0, 0
        self._began = time.monotonic()
        if self._live:
            with contextlib.suppress(OSError):
                self._start_bar()
        else:
            self._write(f"{label}: started")

    def advance(self, steps: int, note: str = "") -> None:
        """Move the bar, or write a line if another tenth is done."""
        self._done += steps
        if self._bar is not None and self._task is not None:
            with contextlib.suppress(OSError):
                self._bar.update(self._task, advance=steps, note=note)
            return
        tenths = 10 * self._done // self._total if self._total else 10
        if self._live or tenths <= self._tenths:
            return
        self._tenths = tenths
        spent = time.monotonic() - self._began
        left = spent * (self._total - self._done) / self._done if self._done else 0.0
        text = f"about {duration(left)} left" if self._done < self._total else f"took {duration(spent)}"
        suffix = f"; {note}" if note else ""
        self._write(f"{self._label}: {min(10 * tenths, 100)} %, {text}{suffix}")

    def finish(self) -> None:
        """Stop the bar; its last state stays on the screen."""
        if self._bar is not None:
            with contextlib.suppress(OSError):
                self._bar.stop()
        self._bar = self._task = None

    def _start_bar(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

        class QuietConsole(Console):
            def on_broken_pipe(self) -> None:
                self.quiet = True  # by default rich ends the process

        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %", markup=False),
            TimeElapsedColumn(),
            TextColumn("left", markup=False),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}", markup=False),
            console=QuietConsole(file=self.stream),
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._bar.start()
        self._task = self._bar.add_task(self._label, total=self._total, note="")

    def _write(self, text: str) -> None:
        # A closed pipe must not end hours of work.
        with contextlib.suppress(OSError, ValueError):
            self.stream.write(f"{text}\n")
            self.stream.flush()


def duration(seconds: float) -> str:
    """Format a time in its two largest units.

    Example:
        >>> [duration(s) for s in (0.31, 42, 190, 7500, 273600)]
        ['0.3 s', '42 s', '3 min 10 s', '2 h 5 min', '3 d 4 h']
    """
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    left = round(seconds)
    parts: list[tuple[int, str]] = []
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        count, left = divmod(left, size)
        parts.append((count, unit))
    first = next(i for i, (count, _) in enumerate(parts) if count)
    return " ".join(f"{count} {unit}" for count, unit in parts[first : first + 2] if count)


def _is_terminal(stream: TextIO) -> bool:
    try:
        return stream.isatty()
    except ValueError:  # closed
        return False
