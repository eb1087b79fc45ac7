"""What is asked of the disk, in order, for tests of what is durable when."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


class Disk:
    """Files and folders that were made durable, and new names, in order."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, object, int]] = []

    def synced(self, file: Path, after: int = -1) -> int:
        """Where in the order a folder, or a file with all that is in it now, was made durable."""
        found = file.stat()
        size = found.st_size if file.is_file() else None
        return next(
            i
            for i, (what, which, then) in enumerate(self.asked)
            if i > after and what == "sync" and which == found.st_ino and size in (None, then)
        )

    def named(self, name: str) -> int:
        """Where in the order something got a name."""
        return next(i for i, (what, which, _) in enumerate(self.asked) if (what, which) == ("rename", name))


@pytest.fixture
def disk(monkeypatch) -> Disk:
    found = Disk()
    fsync = os.fsync

    def sync(descriptor: int) -> None:
        fsync(descriptor)
        status = os.fstat(descriptor)
        found.asked.append(("sync", status.st_ino, status.st_size))

    def naming(move):
        def moved(old, new, **more):
            move(old, new, **more)
            found.asked.append(("rename", os.path.basename(new), 0))

        return moved

    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(os, "rename", naming(os.rename))
    monkeypatch.setattr(os, "replace", naming(os.replace))
    return found
