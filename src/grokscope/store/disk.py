"""File helpers of the store: walking, cleanup after interrupted writes, removal."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

__all__ = ["clean_leftovers", "remove_tree", "walk_files"]

# names of staged files, renamed when complete: NAME#NUMBER (icechunk) and .NAME.PROCESS-RANDOM.partial
# (`grokscope.files.atomic_write`)
_LEFTOVER = re.compile(r".*#\d+|\..*\.partial")


def walk_files(folder: Path) -> Iterator[Path]:
    """All files below a folder, sorted. Links are listed as files and not followed."""
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        if entry.is_dir(follow_symlinks=False):
            yield from walk_files(Path(entry.path))
        else:
            yield Path(entry.path)


def clean_leftovers(folder: Path) -> None:
    """Remove staged files of killed writes. The caller must hold the writer lock."""
    for file in walk_files(folder):
        if _LEFTOVER.fullmatch(file.name):
            file.unlink(missing_ok=True)


def remove_tree(folder: Path) -> None:
    """Remove a folder and its content; errors are ignored."""
    shutil.rmtree(folder, ignore_errors=True)
