"""Small helpers for files: atomic writes, what a failed operation means, leftovers of interrupted writes."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from grokscope.errors import StoreError
from grokscope.store.place import Place

__all__ = ["atomic_write", "clean_leftovers", "explain", "remove_tree", "sync_folder", "walk_files"]

_OS_ERROR = re.compile(r"os error (\d+)")
# how the library writes down what a service of buckets answered
_OF_A_SERVICE = re.compile(r'code: "(?P<code>\w+)"(?:, message: "(?P<message>[^"]*)")?')
# the local object store stages a file as NAME#NUMBER, we as .NAME.partial; both are renamed when complete
_LEFTOVER = re.compile(r".*#\d+|\..*\.partial")


def atomic_write(file: Path, content: bytes) -> None:
    """Write a file so that it is seen whole or not at all, also after a power cut.

    Raises:
        StoreError: naming the file and the cause; what was there before is kept.
    """
    partial = file.with_name(f".{file.name}.partial")
    try:
        with partial.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        partial.replace(file)
        sync_folder(file.parent)
    except OSError as error:
        with contextlib.suppress(OSError):  # a disk that failed once may fail again; the first cause counts
            partial.unlink(missing_ok=True)
        raise explain(file, "cannot be written", error) from error


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def walk_files(folder: Path) -> Iterator[Path]:
    """All files below a folder, sorted, links not followed (a link counts as a file)."""
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        if entry.is_dir(follow_symlinks=False):
            yield from walk_files(Path(entry.path))
        else:
            yield Path(entry.path)


def clean_leftovers(folder: Path) -> None:
    """Remove the staged files of writes that were killed. Only for the holder of the lock."""
    for file in walk_files(folder):
        if _LEFTOVER.fullmatch(file.name):
            file.unlink(missing_ok=True)


def remove_tree(folder: Path) -> None:
    """Remove a folder and what is in it, if it is there."""
    shutil.rmtree(folder, ignore_errors=True)


def explain(path: Place | str, what: str, error: BaseException) -> StoreError:
    """The error for the user: the path, what failed, and the cause found in a system or library error."""
    if isinstance(error, StoreError):
        return error
    return StoreError(f"{path}: {what}: {_cause(error)}.")


def _cause(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    text = str(error)
    if said := _OF_A_SERVICE.search(text):
        return f"{(said['message'] or '').rstrip('.') or 'the service refuses'} ({said['code']})"
    if found := _OS_ERROR.search(text):
        return os.strerror(int(found[1]))
    lines = text.splitlines()
    # the root of a chain of errors comes last, with a mark of its own
    roots = [line for line in lines if line.strip().startswith("`-> ")]
    for line in [*roots[-1:], *lines]:
        # the library draws its chain of errors with these marks
        if words := line.strip(" |`->x\t").strip():
            return words.rstrip(".")
    return type(error).__name__
