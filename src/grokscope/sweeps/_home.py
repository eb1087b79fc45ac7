"""The folder of a sweep: finding, reading and writing its manifest."""

from __future__ import annotations

import json
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from grokscope.errors import InputError, StoreError
from grokscope.store.disk import atomic_write, explain
from grokscope.store.folder import SWEEP_FILE, claim, is_run
from grokscope.store.lock import LOCK_FILE
from grokscope.store.place import BucketPath, Place, as_place
from grokscope.sweeps._manifest import Manifest

if TYPE_CHECKING:
    from grokscope.sweeps._remote_home import RemoteHome

__all__ = ["CELLS", "MANIFEST", "Home", "check_place", "is_sweep", "read_manifest", "writing"]

MANIFEST = SWEEP_FILE
CELLS = "cells"  # the folder of the cells in that of the sweep
_IGNORED = {LOCK_FILE, ".DS_Store", "lost+found", f".{MANIFEST}.partial"}


class Home:
    """A sweep's folder, held for writing; made by `writing`."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def load(self) -> Manifest | None:
        """The manifest; None where there is none yet."""
        return read_manifest(self.place) if is_sweep(self.place) else None

    def save(self, manifest: Manifest) -> None:
        """Write the manifest."""
        text = json.dumps(manifest.to_json(), indent=1, ensure_ascii=False)
        atomic_write(self.place / MANIFEST, f"{text}\n".encode())


def is_sweep(place: str | Place) -> bool:
    """Whether there is a sweep at a place."""
    place = as_place(place)
    if isinstance(place, BucketPath):
        from grokscope.sweeps._remote_home import is_remote_sweep

        return is_remote_sweep(place)
    return (place / MANIFEST).is_file()


def read_manifest(place: Place) -> Manifest:
    """The manifest of a sweep.

    Raises:
        InputError: if there is no sweep, or one of a newer format.
        StoreError: if it cannot be read, or is damaged.
    """
    if isinstance(place, BucketPath):
        from grokscope.sweeps._remote_home import read_remote_manifest

        return read_remote_manifest(place)
    file = place / MANIFEST
    if not place.exists():
        raise InputError(f"{place}: there is no such folder.")
    if not file.is_file():
        raise InputError(f"{place}: is not a sweep (it has no '{MANIFEST}').")
    try:
        return Manifest.from_json(json.loads(file.read_text(encoding="utf-8")), str(file))
    except OSError as error:
        raise explain(file, "cannot be read", error) from error
    except (ValueError, RecursionError):
        raise StoreError(f"{file}: is damaged.") from None


def check_place(place: Place) -> None:
    """Check that a folder is a sweep's, empty, or not there yet. A bucket is checked by its writer.

    Raises:
        InputError: if it is a run's folder, or holds other files.
    """
    if isinstance(place, BucketPath) or not place.is_dir() or is_sweep(place):
        return
    if is_run(place):
        raise InputError(f"{place}: is a run; choose another folder for the sweep.")
    others = sorted({entry.name for entry in os.scandir(place)} - _IGNORED)
    if others:
        some = ", ".join(others[:3]) + (", ..." if len(others) > 3 else "")
        raise InputError(f"{place}: holds other files ({some}); choose an empty or a new folder.")


@contextmanager
def writing(place: Place) -> Generator[Home | RemoteHome]:
    """Hold a sweep's folder for writing; it is made if it is not there.

    Raises:
        InputError: if it is a run's folder, or holds other files.
        StoreError: if the disk does not let us, or another process writes it.
    """
    if isinstance(place, BucketPath):
        from grokscope.sweeps._remote_home import writing_remote

        with writing_remote(place) as home:
            yield home
        return
    check_place(place)
    lock = claim(place)
    try:
        yield Home(place)
    finally:
        lock.release()
