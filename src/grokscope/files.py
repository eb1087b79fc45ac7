"""Writing files as a whole, and messages for operations on files that failed."""

from __future__ import annotations

import contextlib
import errno
import os
import re
from pathlib import Path
from uuid import uuid4

from grokscope.errors import StoreError

__all__ = ["atomic_write", "explain", "sync_folder"]

_OS_ERROR = re.compile(r"os error (\d+)")
# error of an object-store service, as printed by the library
_SERVICE_ERROR = re.compile(r'code: "(?P<code>\w+)"(?:, message: "(?P<message>[^"]*)")?')
_GONE = "; if it was written since it was opened, open it again"


def atomic_write(path: str | Path, content: bytes | str, *, parents: bool = False) -> None:
    """Write a file atomically: it has the old or the new content, also after a power failure.

    Args:
        path: of the file.
        content: its bytes, or text, written as UTF-8; bytes of a path that are not UTF-8 are escaped.
        parents: make the folders above the file where they are missing.

    Raises:
        StoreError: if writing fails (names the file and the cause); the old content stays.
    """
    file = Path(path)
    # no other process stages the same name
    partial = file.with_name(f".{file.name}.{os.getpid()}-{uuid4().hex[:8]}.partial")
    try:
        if parents:
            file.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as stream:
            stream.write(content.encode("utf-8", "backslashreplace") if isinstance(content, str) else content)
            stream.flush()
            os.fsync(stream.fileno())
        partial.replace(file)
        sync_folder(file.parent)
    except OSError as error:
        with contextlib.suppress(OSError):  # cleanup may fail too; report the first cause
            partial.unlink(missing_ok=True)
        raise explain(str(file), "cannot be written", error) from error


def sync_folder(folder: Path) -> None:
    """Sync the entries of a folder to disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def explain(path: object, what: str, error: BaseException) -> StoreError:
    """Convert an error to a `StoreError` that names the path, the failed operation and the cause."""
    if isinstance(error, StoreError):
        return error
    return StoreError(f"{path}: {what}: {_cause(error)}.")


def _cause(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    text = str(error)
    if said := _SERVICE_ERROR.search(text):
        gone = _GONE if said["code"] == "NoSuchKey" else ""
        return f"{(said['message'] or '').rstrip('.') or 'the service refuses'} ({said['code']}){gone}"
    if found := _OS_ERROR.search(text):
        return os.strerror(int(found[1])) + (_GONE if int(found[1]) == errno.ENOENT else "")
    lines = text.splitlines()
    # the library prints a chain of errors; the root cause is the last line marked "`-> "
    roots = [line for line in lines if line.strip().startswith("`-> ")]
    for line in [*roots[-1:], *lines]:
        if words := line.strip(" |`->x\t").strip():
            return words.rstrip(".")
    return type(error).__name__
