"""Runs in a bucket: the same icechunk store as in a folder; the small files are attributes of its root.

There is no lock: a commit that conflicts with another writer's commit raises an error and changes nothing.
There is no ``checksums.json``: the object store protects its data, and every chunk ends with a checksum; an
attribute marks a finished run. Credentials and the address of the service come from the usual environment
variables (``AWS_ACCESS_KEY_ID``, ``AWS_ENDPOINT_URL``, ...).
"""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any, Literal

from grokscope.errors import InputError
from grokscope.store.checksums import RUN_FILES
from grokscope.store.folder import FORMAT_VERSION, check_format
from grokscope.store.icechunk import Repository, translate_errors
from grokscope.store.place import BucketPath
from grokscope.store.run_store import RunStore, commit_empty_run
from grokscope.store.transaction import Transaction
from grokscope.store.tree import Tree

__all__ = ["RemoteRunStore", "is_remote_run"]

_EXPERIMENT, _PROVENANCE = RUN_FILES
_FILES, _FINISHED = "files", "finished"


def is_remote_run(place: BucketPath) -> bool:
    """Whether an address contains a run."""
    with translate_errors(place, "cannot be read"):
        return Repository.exists(place)


class RemoteRunStore(RunStore):
    """A run in a bucket; created by `create_store` and `open_store`."""

    def __init__(self, place: BucketPath, repository: Repository, *, writable: bool) -> None:
        super().__init__(place, repository, None)
        self._writable = writable

    @property
    def _is_writable(self) -> bool:
        return self._writable

    @classmethod
    def create_remote(
        cls, place: BucketPath, files: Mapping[str, str], attributes: Mapping[str, Any], *, exist_ok: bool
    ) -> RemoteRunStore:
        """Create a run, or open the existing one, for writing.

        Raises:
            InputError: if the address contains another run, or (not ``exist_ok``) this one.
            StoreError: if the bucket cannot be written.
        """
        all_attributes = {**attributes, _FILES: dict(files), _FINISHED: False}
        if not is_remote_run(place):
            with translate_errors(place, "cannot be written"):
                repository = Repository.create(place)
                commit_empty_run(repository, repository.writing(), all_attributes)
            return cls(place, repository, writable=True)
        store = cls._open_or_complete(place, all_attributes)
        store.require_identity(str(attributes["identity"]))
        if not exist_ok:
            raise InputError(f"{place}: holds this run already; open it.")
        return store

    @classmethod
    def _open_or_complete(cls, place: BucketPath, attributes: Mapping[str, Any]) -> RemoteRunStore:
        """Open a run; if its creation was interrupted, complete it first."""
        with translate_errors(place, "cannot be opened"):
            repository = Repository.open(place)
            session = repository.writing()
            if not Tree(session).has_root():
                commit_empty_run(repository, session, attributes)
            return cls(place, repository, writable=True)

    @classmethod
    def open_remote(cls, place: BucketPath, mode: Literal["r", "a"]) -> RemoteRunStore:
        """Open an existing run for reading (mode ``r``) or also for writing (``a``).

        Raises:
            InputError: if the address is not a run, or the run has a newer format version.
            StoreError: if the run cannot be read.
        """
        if not is_remote_run(place):
            raise InputError(f"{place}: there is no run.")
        with translate_errors(place, "cannot be opened"):
            store = cls(place, Repository.open(place), writable=mode == "a")
        check_format(place, store._tree.attributes.get("format_version"))
        return store

    @property
    def is_finished(self) -> bool:
        """Whether the run is marked as finished."""
        return bool(self._tree.attributes.get(_FINISHED))

    def _text(self, name: str) -> str:
        return str(self._tree.attributes[_FILES][name])

    @contextmanager
    def transaction(self, message: str) -> Generator[Transaction]:
        """Write to the run; see `RunStore.transaction`. Any write marks the run as unfinished."""
        with super().transaction(message) as t:
            self._unfinish(t)
            yield t

    def update_experiment(self, experiment_toml: str) -> None:
        """Replace the resolved spec."""
        self._set_file(_EXPERIMENT, experiment_toml)

    def update_provenance(self, provenance: Mapping[str, Any]) -> None:
        """Replace the provenance."""
        table = {**provenance, "format_version": FORMAT_VERSION}
        self._set_file(_PROVENANCE, json.dumps(table, ensure_ascii=False))

    def finish(self, summary: Mapping[str, Any] | None = None) -> None:
        """Mark the run as finished and delete the data of old commits; no summary is kept."""
        with super().transaction("the run is finished") as t:
            t.set_attributes(**{_FINISHED: True})
        with translate_errors(self.path, "cannot be finished"):
            self._repository.collect(everything=True)
        self._set_tree(self._tree.on(*self._repository.reading()))

    def close(self) -> None:
        """Do nothing: a bucket has no lock."""

    def _set_file(self, name: str, text: str) -> None:
        if self._text(name) == text:
            return
        with super().transaction(f"{name} is replaced") as t:
            self._unfinish(t)
            t.set_attributes(**{_FILES: {**self._tree.attributes[_FILES], name: text}})

    def _unfinish(self, t: Transaction) -> None:
        if self.is_finished:
            t.set_attributes(**{_FINISHED: False})

    def _begin_writing(self) -> None:
        if not self._writable:
            raise RuntimeError("the store is open for reading only")
