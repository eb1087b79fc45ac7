"""From errors and signals to one or two lines on stderr and an exit code."""

from __future__ import annotations

import atexit
import contextlib
import io
import logging
import os
import shlex
import signal
import sys
import traceback
from collections.abc import Generator, Sequence
from types import FrameType
from typing import Any, NoReturn

from grokscope.errors import GrokscopeError, Interrupted, did_you_mean

__all__ = ["OutputClosed", "ended", "guarded"]

# Commands that go on where they were stopped when they are given again.
_RESUMABLE = ("train", "sweep", "branch", "reproduce", "measure")
_MOST_SAID = 1500  # characters: the longest line of ours lists all measures


class OutputClosed(Exception):
    """Nobody reads standard output any more (``grokscope papers | head -1``). Raised by ``_print``."""


def guarded(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; whatever happens, return an exit code and leave at most two lines behind."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug, words = _take_debug(words)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without UTF-8 is no reason to fail
    with _signals() as stopped:
        try:
            code = _run(words or ["--help"])
            _flush()
            return code
        except BaseException as error:
            if debug and not isinstance(error, SystemExit | OutputClosed):
                traceback.print_exc()
            # What is called from compiled code may pass an interrupt on as an error of its own.
            if stopped and not isinstance(error, GrokscopeError):
                error = KeyboardInterrupt()
            return _report(error, words)


def ended(code: int) -> NoReturn:
    """End the process: what was registered for its end is done, threads of libraries are not waited for.

    A worker of the store's library may still be handing over its last result, already used, and would abort
    the process if the interpreter went away under it.
    """
    atexit._run_exitfuncs()  # pyright: ignore[reportPrivateUsage]
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


def _run(words: list[str]) -> int:
    import typer

    from grokscope.cli import _print
    from grokscope.cli._app import app

    # Not app(): it would catch interrupts and broken pipes before we can tell what they mean.
    command = typer.main.get_command(app)
    shown = _help(command, words)
    if shown is not None:
        _print.line(shown)
        return 0
    try:
        with command.make_context("grokscope", words) as context:
            command.invoke(context)
    except typer.Exit as stop:
        return stop.exit_code
    except typer.Abort:
        _say("stopped: not confirmed.")
        return 130
    return 0


def _help(command: Any, words: list[str]) -> str | None:
    """The help that is asked for; typer would first load pydantic to find that out."""
    import typer

    if not {"-h", "--help"} & set(words[: _end(words)]):
        return None
    whole = typer.Context(command, info_name="grokscope", **command.context_settings)
    name = next((word for word in words if not word.startswith("-")), None)
    if name is None:
        return command.get_help(whole)
    if name not in command.commands:
        return None
    chosen = command.commands[name]
    return chosen.get_help(typer.Context(chosen, info_name=name, parent=whole))


def _report(error: BaseException, words: list[str]) -> int:
    """Say what went wrong; return the exit code."""
    if isinstance(error, KeyboardInterrupt | Interrupted):
        # a write that was interrupted is never finished, and needs no report of that at the process's end
        logging.getLogger("asyncio").disabled = True
        again = (
            f"; resume with: {shlex.join(['grokscope', *words])}"
            if words[:1] and words[0] in _RESUMABLE
            else ""
        )
        _say(f"stopped{again}")
        return 130
    if isinstance(error, OutputClosed):
        # Else the interpreter would complain when it flushes the closed pipe at its end.
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else int(error.code is not None)
    if isinstance(error, GrokscopeError):
        _say(str(error))
        return error.exit_code
    if hasattr(error, "format_message"):  # what typer raises for a command that it cannot parse
        _say(_usage(error))
        return 2
    if isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in str(error):
        _say("not enough memory; try fewer seeds at once, a smaller width or fewer snapshots.")
        return 1
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename is not None else ""
        _say(f"{where}{error.strerror}.")
        return 1
    first = str(error).strip().partition("\n")[0]
    _say(f"internal error: {type(error).__name__}: {first} (run again with --debug)")
    return 1


def _usage(error: BaseException) -> str:
    """A parsing error in one line, and where to read on."""
    message = " ".join(str(error.format_message()).split()).replace("Value error, ", "")  # type: ignore[attr-defined]
    if getattr(error, "possibilities", None):
        name = str(getattr(error, "option_name", ""))
        known = [str(word) for word in getattr(error, "possibilities", ())]
        message = f"No such option: {name}.{did_you_mean(name, known)}"
    path = getattr(getattr(error, "ctx", None), "command_path", None) or "grokscope"
    stop = "" if message.endswith((".", "?", ")")) else "."
    return f"{message}{stop}\nSee '{path} --help'."


def _take_debug(words: list[str]) -> tuple[bool, list[str]]:
    """``--debug`` works before and behind the command."""
    end = _end(words)
    return "--debug" in words[:end], [word for i, word in enumerate(words) if i >= end or word != "--debug"]


def _end(words: list[str]) -> int:
    """Where options end: at two dashes."""
    return words.index("--") if "--" in words else len(words)


@contextlib.contextmanager
def _signals() -> Generator[list[int]]:
    """SIGTERM ends like Ctrl-C, and both do also where the shell has switched SIGINT off (``&``).

    Yields:
        The signals that came.
    """
    came: list[int] = []

    def stop(number: int, frame: FrameType | None) -> None:
        came.append(number)
        raise KeyboardInterrupt

    before: dict[signal.Signals, object] = {}
    try:
        for number in (signal.SIGINT, signal.SIGTERM):
            before[number] = signal.signal(number, stop)
    except ValueError:  # not in the main thread: signals are someone else's
        pass
    try:
        yield came
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]


def _flush() -> None:
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        raise OutputClosed from None
    except OSError as error:
        raise OSError(error.errno, error.strerror, "standard output") from None


def _say(text: str) -> None:
    """Print an error. What it quotes may come from a stranger's file: no control codes, no pages of it."""
    lines = text.split("\n")
    text = "\n".join(lines if len(lines) <= 2 else ["\\n".join(lines)])
    text = "".join(c if c.isprintable() or c == "\n" else repr(c)[1:-1] for c in text)
    text = text if len(text) <= _MOST_SAID else f"{text[:_MOST_SAID]}..."
    with contextlib.suppress(OSError, ValueError):
        print(f"grokscope: {text}", file=sys.stderr, flush=True)
