"""The manifest of a sweep in a bucket: an attribute of a small icechunk repository beside the cells.

Its commits are atomic: of two that were begun at the same state one fails. That also makes the lease, by
which one driver at a time plans a sweep: whoever holds it renews it, and one whose holder has gone runs out.
"""

from __future__ import annotations

import os
import platform
import threading
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from typing import Any

from grokscope.errors import InputError, StoreError
from grokscope.store.icechunk import Repository, guard
from grokscope.store.place import BucketPath
from grokscope.store.tree import Tree
from grokscope.sweeps._manifest import Manifest

__all__ = ["RemoteHome", "is_remote_sweep", "read_remote_manifest", "writing_remote"]

_NAME = "manifest"
LEASE_SECONDS = 120.0  # without a renewal
_RENEW_SECONDS = 30.0


class RemoteHome:
    """A sweep's address, held for writing; made by `writing_remote`."""

    def __init__(self, place: BucketPath, repository: Repository, holder: str) -> None:
        self.place = place
        self._repository = repository
        self._holder = holder
        self._turn = threading.Lock()  # the renewal is another thread's

    def load(self) -> Manifest | None:
        """The manifest; None where there is none yet."""
        with self._turn, guard(self.place, "cannot be read"):
            table = Tree(self._repository.reading()).load().attributes.get("sweep")
        return None if table is None else Manifest.from_json(table, str(self.place))

    def save(self, manifest: Manifest) -> None:
        """Write the manifest."""
        self._change(lambda attributes: {**attributes, "sweep": manifest.to_json()})

    def renew(self) -> None:
        """Hold the lease for another while.

        Raises:
            StoreError: if somebody else has it.
        """
        self._change(lambda attributes: attributes)

    def release(self) -> None:
        """Give the lease back."""
        self._change(lambda attributes: attributes, lease=None)

    def _change(self, change: Callable[[dict[str, Any]], Mapping[str, Any]], lease: Any = "mine") -> None:
        with self._turn, guard(self.place, "cannot be written"):
            session = self._repository.writing()
            tree = Tree(session).load()
            held = tree.attributes.get("lease") or {}
            if held.get("holder") not in (None, self._holder) and held.get("until", 0) > time.time():
                raise StoreError(f"{self.place}: {_says(held)}")
            mine = {"holder": self._holder, "until": time.time() + LEASE_SECONDS}
            changed = {**change(tree.attributes), "lease": mine if lease == "mine" else lease}
            tree.set_attributes(changed)
            tree.flush()
            self._repository.commit(session, "the manifest")


def is_remote_sweep(place: BucketPath) -> bool:
    """Whether there is a sweep at an address."""
    with guard(place, "cannot be read"):
        return Repository.exists(place / _NAME)


def read_remote_manifest(place: BucketPath) -> Manifest:
    """The manifest of a sweep in a bucket.

    Raises:
        InputError: if there is no sweep, or one of a newer format.
        StoreError: if it cannot be read.
    """
    if not is_remote_sweep(place):
        raise InputError(f"{place}: there is no sweep.")
    with guard(place, "cannot be read"):
        table = Tree(Repository.open(place / _NAME).reading()).load().attributes.get("sweep")
    if table is None:
        raise InputError(f"{place}: this sweep was stopped before it began; give its command again.")
    return Manifest.from_json(table, str(place))


@contextmanager
def writing_remote(place: BucketPath) -> Generator[RemoteHome]:
    """Hold a sweep's address for writing.

    Raises:
        StoreError: if the bucket does not let us, or another process holds the sweep.
    """
    holder = f"process {os.getpid()} on {platform.node()}"
    with guard(place, "cannot be written"):
        repository = _opened(place / _NAME)
    home = RemoteHome(place, repository, holder)
    home.renew()
    stop = threading.Event()

    def keep() -> None:
        while not stop.wait(_RENEW_SECONDS):
            try:
                home.renew()
            except StoreError:  # the next writing of the manifest says so
                continue

    threading.Thread(target=keep, daemon=True).start()
    try:
        yield home
    finally:
        stop.set()
        home.release()


def _opened(place: BucketPath) -> Repository:
    if Repository.exists(place):
        return Repository.open(place)
    repository = Repository.create(place)
    session = repository.writing()
    tree = Tree(session)
    tree.set_attributes({})
    tree.flush()
    repository.commit(session, "the sweep is made")
    return repository


def _says(held: Mapping[str, Any]) -> str:
    left = max(1, round(float(held["until"]) - time.time()))
    return (
        f"is being worked on by {held['holder']}; wait for it or stop it (if it is gone, its claim runs "
        f"out in {left} s)."
    )
