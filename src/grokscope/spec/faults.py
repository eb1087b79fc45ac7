"""Failures of users' parts: which part it was, in which file and method, and what is wrong with it."""

from __future__ import annotations

import contextlib
import sys
import traceback
from collections.abc import Generator
from pathlib import Path
from types import FrameType
from typing import Any

from grokscope.errors import GrokscopeError, PartError
from grokscope.spec.parts import Part, registered

__all__ = ["calling", "fault", "is_builtin", "part_fault"]

_MOST_CHARACTERS = 300


def is_builtin(part: Part | type[Part]) -> bool:
    """Whether a part is the package's own, and not a user's."""
    cls = part if isinstance(part, type) else type(part)
    return cls.__module__.partition(".")[0] == "grokscope"


def fault(part: Part | type[Part], text: str) -> PartError:
    """The error about a user's part: its group, kind and file, and what is wrong."""
    return PartError(f"{_name(part)}: {text}.")


@contextlib.contextmanager
def calling(part: Part, what: str) -> Generator[None]:
    """Context manager for a call of a part: its exceptions become errors that name the part.

    Args:
        part: the part; if it is built in, only exceptions in users' code are converted.
        what: the method that is called, for the message.

    Raises:
        PartError: if the call raises anything else than a `GrokscopeError`.
    """
    try:
        yield
    except GrokscopeError:
        raise
    except Exception as error:
        if (found := part_fault(error)) is None and not is_builtin(part):
            found = fault(part, _failure(what, error, None))
        if found is None:
            raise
        raise found from error


def part_fault(error: BaseException) -> PartError | None:
    """The error as one about the user's part in whose code it was raised; None if there is no such part."""
    found: tuple[Part | type[Part], str, FrameType] | None = None
    last: tuple[FrameType, int] | None = None  # the innermost line of users' code
    homes = {cls.__module__: cls for cls in registered() if not is_builtin(cls)}
    for frame, line in traceback.walk_tb(error.__traceback__):
        if (part := _owner(frame)) is not None:
            found = (part, frame.f_code.co_name, frame)
        if frame.f_globals.get("__name__") in homes:
            last = (frame, line)
            if found is None or _module(found[0]) != frame.f_globals["__name__"]:
                found = (homes[frame.f_globals["__name__"]], frame.f_code.co_name, frame)
    if found is None:
        return None
    part, method, frame = found
    is_base = frame.f_globals.get("__name__") != _module(part)
    if isinstance(error, NotImplementedError) and is_base:
        return fault(part, f"has no {method} of its own, and needs one")
    line = last[1] if last is not None and last[0].f_globals["__name__"] == _module(part) else None
    return fault(part, _failure(method, error, line))


def _failure(what: str, error: BaseException, line: int | None) -> str:
    """Text: what failed, where, and the first line of the error."""
    first = next(iter(str(error).strip().splitlines()), "").rstrip(".")
    if len(first) > _MOST_CHARACTERS:
        first = f"{first[:_MOST_CHARACTERS]}..."
    where = "" if line is None else f" in line {line}"
    return f"{what} failed{where}: {type(error).__name__}" + (f": {first}" if first else "")


def _owner(frame: FrameType) -> Part | type[Part] | None:
    """The user's part whose method a frame runs."""
    for name in ("self", "cls"):
        owner: Any = frame.f_locals.get(name)
        is_part = isinstance(owner, Part) or (isinstance(owner, type) and issubclass(owner, Part))
        if is_part and not is_builtin(owner):
            return owner
    return None


def _module(part: Part | type[Part]) -> str:
    return (part if isinstance(part, type) else type(part)).__module__


def _name(part: Part | type[Part]) -> str:
    """The group and kind of a part, and its file."""
    cls = part if isinstance(part, type) else type(part)
    field = cls.model_fields.get("kind")
    kind = field.default if field is not None and isinstance(field.default, str) else cls.__name__
    file = getattr(sys.modules.get(cls.__module__), "__file__", None)
    return f"{cls.group} '{kind}'" + (f" ({Path(file).name})" if file else "")
