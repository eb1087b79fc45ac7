"""Run a command so that every error and signal ends in one or two lines on stderr and an exit code.

Ctrl-C and SIGTERM raise KeyboardInterrupt in the running command (`grokscope.interrupts`). Committed work
stays in the store, later work is lost, and `run_guarded` prints how to resume.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import io
import logging
import os
import shlex
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from grokscope.cli import output
from grokscope.errors import GrokscopeError, PartError, did_you_mean, speaking_commands
from grokscope.interrupts import SIGNALS, Interruptible, discard, end_on_signals

if TYPE_CHECKING:
    import typer

# Commands that resume when they are repeated after an interrupt.
_RESUMABLE = ("train", "sweep", "branch", "reproduce", "measure")
# Out of memory, as compiled code says it: jax, the loader of libraries, the system, threads.
_NO_MEMORY = (
    "RESOURCE_EXHAUSTED",
    "failed to map segment",
    "Cannot allocate memory",
    "can't start new thread",
)
_MAX_MESSAGE = 1500  # characters; our longest message lists all measures


def run_guarded(load_app: Callable[[], typer.Typer], arguments: Sequence[str] | None = None) -> int:
    """Run a command; on any error print at most two lines and return the exit code.

    Args:
        load_app: imports and returns the app; it is called inside the error handling.
        arguments: the command-line arguments; by default ``sys.argv[1:]``.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug, words = _take_debug(words)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without UTF-8 is no error
    with speaking_commands():
        try:
            with Interruptible(SIGNALS):  # even if the shell ignores SIGINT (``&``)
                code = _run(load_app(), words or ["--help"])
                output.flush()
            return code
        except BaseException as error:
            if debug and not isinstance(error, SystemExit | output.OutputClosed):
                traceback.print_exc()
            return _report(error, words)


def open_closed_streams() -> None:
    """Open the null device for standard streams that are closed (``>&-``).

    Otherwise the next file that is opened takes the number, and what a library prints lands in that file.
    """
    for descriptor, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, which is this one
        if getattr(sys, name) is None:
            mode = "w" if descriptor else "r"
            setattr(sys, name, open(descriptor, mode, encoding="utf-8", closefd=False))  # noqa: SIM115


def end_process(code: int) -> NoReturn:
    """Run the functions registered with atexit and end the process without waiting for threads.

    A background thread of the store's library may still run, although its result has been used. If the
    interpreter shut down normally, such a thread could abort the process.
    """
    end_on_signals(code, "")  # the work is done
    atexit._run_exitfuncs()  # pyright: ignore[reportPrivateUsage]
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


@functools.cache
def _command(app: typer.Typer) -> Any:
    """The command of an app; building it reads the signatures of all commands (0.15 s)."""
    import typer

    # Calling app() would let typer handle interrupts and broken pipes.
    return typer.main.get_command(app)


def _run(app: typer.Typer, words: list[str]) -> int:
    import typer

    command = _command(app)
    help_text = _help_text(command, words)
    if help_text is not None:
        output.line(help_text)
        return 0
    try:
        with command.make_context("grokscope", words) as context:
            command.invoke(context)
    except typer.Exit as stop:
        return stop.exit_code
    except typer.Abort:
        _print_error("stopped: not confirmed.")
        return 130
    return 0


def _help_text(command: Any, words: list[str]) -> str | None:
    """The help text if ``--help`` is given, else None. Parsing the command with typer would load pydantic."""
    import typer

    if not {"-h", "--help"} & set(words[: _end_of_options(words)]):
        return None
    program = typer.Context(command, info_name="grokscope", **command.context_settings)
    name = next((word for word in words if not word.startswith("-")), None)
    if name is None:
        return command.get_help(program)
    if name not in command.commands:
        return None
    chosen = command.commands[name]
    return chosen.get_help(typer.Context(chosen, info_name=name, parent=program))


def _report(error: BaseException, words: list[str]) -> int:
    """Print the message of an error and return the exit code."""
    if isinstance(error, KeyboardInterrupt):
        # asyncio would report the interrupted write when the process ends
        logging.getLogger("asyncio").disabled = True
        resume = (
            f"; resume with: {shlex.join(['grokscope', *words])}"
            if words[:1] and words[0] in _RESUMABLE
            else ""
        )
        _print_error(f"stopped{resume}")
        discard(error)
        return 130
    if isinstance(error, output.OutputClosed):
        # Otherwise the interpreter reports an error when it flushes the closed pipe at exit.
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else int(error.code is not None)
    if isinstance(error, GrokscopeError):
        hint = " (--debug shows the traceback)" if isinstance(error, PartError) and error.__cause__ else ""
        _print_error(f"{error}{hint}")
        return error.exit_code
    if hasattr(error, "format_message"):  # typer could not parse the command
        _print_error(_usage_message(error))
        return 2
    if isinstance(error, MemoryError) or any(
        text in str(one) for one in _chain(error) for text in _NO_MEMORY
    ):
        _print_error("not enough memory; try fewer seeds at once, a smaller width or fewer snapshots.")
        return 1
    if (found := _device_fault(error)) is not None:
        _print_error(str(found))
        return found.exit_code
    if (found := _part_fault(error)) is not None:
        _print_error(f"{found} (--debug shows the traceback)")
        return found.exit_code
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename is not None else ""
        _print_error(f"{where}{error.strerror}.")
        return 1
    first = str(error).strip().partition("\n")[0]
    _print_error(f"internal error: {type(error).__name__}: {first} (run again with --debug)")
    return 1


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error and its causes: a package says "cannot be imported" where its library does not fit."""
    while error is not None:
        yield error
        error = error.__cause__


def _device_fault(error: BaseException) -> GrokscopeError | None:
    """The error as one about JAX_PLATFORMS, if jax could not set up its devices."""
    if "jax" not in sys.modules:
        return None
    from grokscope.training.devices import device_fault

    return device_fault(error)


def _part_fault(error: BaseException) -> GrokscopeError | None:
    """The error as one about a user's part, if it was raised in one."""
    from grokscope.spec.faults import part_fault

    return part_fault(error)


def _usage_message(error: BaseException) -> str:
    """The message of a command-line parsing error in one line, and a second line that names the help."""
    message = " ".join(str(error.format_message()).split()).replace("Value error, ", "")  # type: ignore[attr-defined]
    if getattr(error, "possibilities", None):
        name = str(getattr(error, "option_name", ""))
        known = [str(word) for word in getattr(error, "possibilities", ())]
        message = f"No such option: {name}.{did_you_mean(name, known)}"
    path = getattr(getattr(error, "ctx", None), "command_path", None) or "grokscope"
    period = "" if message.endswith((".", "?", ")")) else "."
    return f"{message}{period}\nSee '{path} --help'."


def _take_debug(words: list[str]) -> tuple[bool, list[str]]:
    """Whether ``--debug`` is given, before or after the command; and the words without it."""
    end = _end_of_options(words)
    return "--debug" in words[:end], [word for i, word in enumerate(words) if i >= end or word != "--debug"]


def _end_of_options(words: list[str]) -> int:
    """Index of ``--``, which ends the options; without it the number of words."""
    return words.index("--") if "--" in words else len(words)


def _print_error(text: str) -> None:
    """Print an error on stderr, escaped and shortened: it may quote an untrusted file."""
    lines = text.split("\n")
    text = "\n".join(lines if len(lines) <= 2 else ["\\n".join(lines)])
    text = "".join(c if c.isprintable() or c == "\n" else repr(c)[1:-1] for c in text)
    text = text if len(text) <= _MAX_MESSAGE else f"{text[:_MAX_MESSAGE]}..."
    with contextlib.suppress(OSError, ValueError):
        print(f"grokscope: {text}", file=sys.stderr, flush=True)
