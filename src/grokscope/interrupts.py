"""Interrupts: Ctrl-C and SIGTERM end the work even where Python loses the exception.

A signal handler raises KeyboardInterrupt wherever the main thread is. If that is a callback of the garbage
collector (jax has one), a destructor or the callback of a weak reference, Python reports the exception
("Exception ignored in") and goes on. Therefore the handler also leaves a note: a lost exception is raised
again a moment later, and loops call `raise_if_interrupted` at every segment, part or file.

``grokscope/__init__.py`` imports this module before all others if the process is the command line. So it
imports only what Python has loaded at its start: meanwhile a signal would print a traceback.
"""

import _thread
import os
import sys

TYPE_CHECKING = False  # typing takes 10 ms to import; type checkers know the name
if TYPE_CHECKING:
    import signal
    from collections.abc import Callable
    from types import FrameType, TracebackType
    from typing import Any, ParamSpec, TypeVar

    P = ParamSpec("P")
    T = TypeVar("T")
else:
    import _signal as signal  # without the enumerations, which take 5 ms

__all__ = [
    "SIGNALS",
    "Interruptible",
    "discard",
    "end_on_signals",
    "interruptible",
    "is_command",
    "raise_if_interrupted",
]

SIGNALS = (signal.SIGINT, signal.SIGTERM)
_AGAIN = 0.01  # seconds until a lost exception is raised again

_active: "Interruptible | None" = None


def is_command() -> bool:
    """Whether this process is the command line (``grokscope`` or ``python -m grokscope``)."""
    name = next(iter(getattr(sys, "argv", ())), "")
    if name == "-m":  # the package of a module that Python runs
        return "grokscope" in sys.orig_argv
    return os.path.basename(name) == "grokscope"  # pathlib takes 10 ms


def end_on_signals(code: int = 130, text: str = "grokscope: stopped\n") -> None:
    """Let SIGINT and SIGTERM end the process at once, with a text on stderr and without a traceback.

    For the start of the command line, before there is anything to unwind, and for its end. It must be called
    in the main thread.
    """

    def end(number: int, frame: "FrameType | None") -> None:
        try:
            os.write(2, text.encode())
        finally:
            os._exit(code)

    for number in SIGNALS:
        signal.signal(number, end)


def raise_if_interrupted() -> None:
    """Raise KeyboardInterrupt if a signal has come whose exception was lost.

    Loops call it before each segment, part or file; it costs less than a microsecond. Outside the main
    thread, and without an `Interruptible`, it does nothing.
    """
    if _active is not None and _active.pending and _thread.get_ident() == _active.thread:
        _active.pending = False
        raise KeyboardInterrupt


class Interruptible:
    """Context in which signals raise KeyboardInterrupt, and raise it again if it is lost.

    Whatever the work has made of the interrupt by its end (a result, another error), the context ends with
    KeyboardInterrupt. It then restores the handlers that it found.

    Args:
        numbers: signals to handle, whatever handled them before. None: SIGINT, and only if Python's own
            handler is in place: a handler of the user's, and that of an outer context, stay.

    Example:
        >>> import gc, signal
        >>> def callback(phase, info):
        ...     gc.callbacks.remove(callback)
        ...     signal.raise_signal(signal.SIGINT)  # Python loses what is raised here
        >>> try:
        ...     with Interruptible((signal.SIGINT,)):
        ...         gc.callbacks.append(callback)
        ...         found = gc.collect()
        ...         raise_if_interrupted()
        ... except KeyboardInterrupt:
        ...     print("stopped")
        stopped
    """

    def __init__(self, numbers: "tuple[int, ...] | None" = None) -> None:
        self._numbers = numbers
        self._before: dict[int, Any] = {}
        self._outer: Interruptible | None = None
        self._hook: Any = None
        self._received: list[int] = []
        self._open = False
        self.pending = False
        self.thread = _thread.get_ident()

    def __enter__(self) -> "Interruptible":
        global _active
        numbers = self._numbers
        if numbers is None:
            default = signal.getsignal(signal.SIGINT) is signal.default_int_handler
            numbers = (signal.SIGINT,) if default else ()
        try:
            for number in numbers:
                before = signal.getsignal(number)
                signal.signal(number, self._handle)
                self._before[number] = before
        except ValueError:  # only the main thread may set handlers
            return self
        if numbers:
            self._outer, _active = _active, self
            self._hook, sys.unraisablehook = sys.unraisablehook, self._lost
        if self._received:
            self.__exit__(None, None, None)
        self._open = True
        return self

    def __exit__(
        self, kind: "type[BaseException] | None", error: BaseException | None, trace: "TracebackType | None"
    ) -> None:
        global _active
        self._open = self.pending = False  # from here on nothing is raised, so that all handlers are restored
        for number, handler in self._before.items():
            if signal.getsignal(number) == self._handle:
                # None: it was not set in Python, and cannot be restored
                signal.signal(number, signal.SIG_DFL if handler is None else handler)
        if self._before:
            _active = self._outer
            if sys.unraisablehook == self._lost:
                sys.unraisablehook = self._hook
        # a callback of compiled code may turn KeyboardInterrupt into another error
        if self._received and not isinstance(error, KeyboardInterrupt):
            raise KeyboardInterrupt from error

    def _handle(self, number: int, frame: "FrameType | None") -> None:
        self._received.append(number)
        if self._open:
            self.pending = True
            raise KeyboardInterrupt

    def _lost(self, lost: "sys.UnraisableHookArgs") -> None:
        """Python's hook for exceptions that it cannot raise."""
        if not self._received:
            self._hook(lost)
            return
        if not (self.pending and issubclass(lost.exc_type, KeyboardInterrupt)):
            return  # the destructor of what was interrupted while it was made
        # what is raised here would be lost, too; and `threading` may be what was interrupted
        _thread.start_new_thread(self._send_again, (self._received[-1],))

    def _send_again(self, number: int) -> None:
        import time

        time.sleep(_AGAIN)
        if self.pending:
            signal.pthread_kill(self.thread, number)


def discard(error: BaseException | None) -> None:
    """Free what the frames of an interrupt hold, without a word.

    An object that was interrupted while it was made (an event loop, say) may have a destructor that fails;
    Python would report that with a traceback.
    """
    from traceback import clear_frames

    hook, sys.unraisablehook = sys.unraisablehook, lambda lost: None
    try:
        while error is not None:
            clear_frames(error.__traceback__)
            error = error.__cause__ or error.__context__
    finally:
        sys.unraisablehook = hook


def interruptible(function: "Callable[P, T]") -> "Callable[P, T]":
    """Decorator: the function runs in an `Interruptible`, so that Ctrl-C in Python ends it wherever it is."""
    import functools

    @functools.wraps(function)
    def run(*arguments: "P.args", **options: "P.kwargs") -> "T":
        with Interruptible():
            return function(*arguments, **options)

    return run
