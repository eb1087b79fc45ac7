"""The folder or bucket prefix of a sweep: find, read and write its manifest, with one writer at a time.

In a folder the manifest is ``sweep.json`` and the writer holds an OS lock. In a bucket it is an attribute of
a small icechunk repository beside the cells, whose commits are atomic: of two begun at the same state one
fails. Another attribute holds the writer's lease, which the writer renews; without renewal it expires.
"""

from __future__ import annotations

import json
import os
import platform
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from grokscope.errors import InputError, StoreError, run_again
from grokscope.files import atomic_write, explain
from grokscope.store.folder import SWEEP_FILE, is_run, lock_folder
from grokscope.store.icechunk import Repository, translate_errors
from grokscope.store.lock import LOCK_FILE, WriterLock
from grokscope.store.place import BucketPath, Place, as_place
from grokscope.store.tree import Tree
from grokscope.sweeps._manifest import Manifest

__all__ = [
    "CELLS",
    "OUTCOMES",
    "SweepBucket",
    "SweepFolder",
    "check_place",
    "is_sweep",
    "read_manifest",
    "writing",
]

CELLS = "cells"  # subfolder with the cells
OUTCOMES = "outcomes"  # subfolder with the outcomes of cells of which nothing else is kept
_IGNORED = {LOCK_FILE, ".DS_Store", "lost+found", f".{SWEEP_FILE}.partial"}
_REPOSITORY = "manifest"
_LEASE_SECONDS = 120.0
_RENEW_SECONDS = 30.0


class SweepFolder:
    """A sweep's folder, locked for writing; made by `writing`."""

    def __init__(self, place: Path, lock: WriterLock) -> None:
        self.place = place
        self._lock = lock

    def require_place(self) -> None:
        """Raise a StoreError if the folder was moved or deleted meanwhile."""
        self._lock.require_place()

    def load(self) -> Manifest | None:
        """The manifest; None if there is none yet."""
        return read_manifest(self.place) if is_sweep(self.place) else None

    def save(self, manifest: Manifest) -> None:
        """Write the manifest."""
        self.require_place()
        text = json.dumps(manifest.to_json(), indent=1, ensure_ascii=False)
        atomic_write(self.place / SWEEP_FILE, f"{text}\n".encode())


class SweepBucket:
    """A sweep's bucket prefix, leased for writing; made by `writing`."""

    def __init__(self, place: BucketPath) -> None:
        self.place = place
        self._holder = f"process {os.getpid()} on {platform.node()}"
        self._mutex = threading.Lock()  # a background thread renews the lease
        with translate_errors(place, "cannot be written"):
            self._repository = _open_or_create(place / _REPOSITORY)

    def require_place(self) -> None:
        """Do nothing: a prefix is not moved."""

    def load(self) -> Manifest | None:
        """The manifest; None if there is none yet."""
        with self._mutex:
            return _load_remote(self.place, self._repository)

    def save(self, manifest: Manifest | None = None, *, keep_lease: bool = True) -> None:
        """Write the manifest, if one is given; take or renew the lease, or release it.

        Raises:
            StoreError: if another process holds the lease.
        """
        with self._mutex, translate_errors(self.place, "cannot be written"):
            session = self._repository.writing()
            tree = Tree(session).load()
            held = tree.attributes.get("lease") or {}
            left = held.get("until", 0) - time.time()
            if held.get("holder") not in (None, self._holder) and left > 0:
                raise StoreError(
                    f"{self.place}: is being worked on by {held['holder']}; wait for it or stop it (if it is "
                    f"gone, its lease expires in {max(1, round(left))} s)."
                )
            lease = {"holder": self._holder, "until": time.time() + _LEASE_SECONDS} if keep_lease else None
            content = {} if manifest is None else {"sweep": manifest.to_json()}
            tree.set_attributes({**tree.attributes, **content, "lease": lease})
            tree.flush()
            self._repository.commit(session, "the manifest")


def is_sweep(place: str | Place) -> bool:
    """Whether there is a sweep in a folder or at an address."""
    place = as_place(place)
    if isinstance(place, BucketPath):
        with translate_errors(place, "cannot be read"):
            return Repository.exists(place / _REPOSITORY)
    return (place / SWEEP_FILE).is_file()


def read_manifest(place: Place) -> Manifest:
    """Read the manifest of a sweep.

    Raises:
        InputError: if there is no sweep, or its format is newer.
        StoreError: if the manifest cannot be read or is damaged.
    """
    if isinstance(place, BucketPath):
        return _read_remote(place)
    file = place / SWEEP_FILE
    if not place.exists():
        raise InputError(f"{place}: there is no such folder.")
    if not file.is_file():
        raise InputError(f"{place}: is not a sweep (it has no '{SWEEP_FILE}').")
    try:
        return Manifest.from_json(json.loads(file.read_text(encoding="utf-8")), str(file))
    except OSError as error:
        raise explain(file, "cannot be read", error) from error
    except (ValueError, RecursionError):
        raise StoreError(f"{file}: is damaged.") from None


def check_place(place: Place) -> None:
    """Check that a folder holds a sweep, is empty, or does not exist. A bucket is checked when it is written.

    Raises:
        InputError: if it holds a run or other files.
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
def writing(place: Place) -> Generator[SweepFolder | SweepBucket]:
    """Lock a sweep's folder, or lease its bucket prefix, for writing; a missing folder is made.

    Raises:
        InputError: if the folder holds a run or other files.
        StoreError: if the place cannot be written, or another process is writing it.
    """
    if isinstance(place, Path):
        check_place(place)
        lock = lock_folder(place)
        try:
            yield SweepFolder(place, lock)
        finally:
            lock.release()
        return
    bucket = SweepBucket(place)
    bucket.save()
    stop = threading.Event()

    def keep_lease() -> None:
        while not stop.wait(_RENEW_SECONDS):
            try:
                bucket.save()
            except StoreError:  # the next save raises it
                continue

    threading.Thread(target=keep_lease, daemon=True).start()
    try:
        yield bucket
    finally:
        stop.set()
        bucket.save(keep_lease=False)


def _read_remote(place: BucketPath) -> Manifest:
    if not is_sweep(place):
        raise InputError(f"{place}: there is no sweep.")
    with translate_errors(place, "cannot be read"):
        repository = Repository.open(place / _REPOSITORY)
    manifest = _load_remote(place, repository)
    if manifest is None:
        raise InputError(f"{place}: this sweep was stopped before its first cell; {run_again()}.")
    return manifest


def _load_remote(place: BucketPath, repository: Repository) -> Manifest | None:
    with translate_errors(place, "cannot be read"):
        table = Tree(*repository.reading()).load().attributes.get("sweep")
    return None if table is None else Manifest.from_json(table, str(place))


def _open_or_create(place: BucketPath) -> Repository:
    if Repository.exists(place):
        return Repository.open(place)
    repository = Repository.create(place)
    session = repository.writing()
    tree = Tree(session)
    tree.set_attributes({})
    tree.flush()
    repository.commit(session, "the sweep is made")
    return repository
