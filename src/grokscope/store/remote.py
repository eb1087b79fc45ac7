"""Runs in a bucket: the same store through icechunk, with the small files as attributes inside it.

What differs from a folder. There is no lock: a writer whose commit is overtaken by another one's is told so,
and has changed nothing. There is no ``checksums.json``: object stores protect what they keep, and every chunk
still ends with its own checksum; that the run is finished is an attribute. Credentials and the address of
the service are taken from the usual environment variables (``AWS_ACCESS_KEY_ID``, ``AWS_ENDPOINT_URL``, ...).
"""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any, Literal

from grokscope.errors import InputError
from grokscope.store.checksums import RUN_FILES
from grokscope.store.folder import FORMAT_VERSION, check_format
from grokscope.store.icechunk import Repository, guard
from grokscope.store.place import BucketPath
from grokscope.store.run_store import RunStore
from grokscope.store.transaction import Transaction, member_arrays
from grokscope.store.tree import Tree

__all__ = ["RemoteRunStore", "is_remote_run"]

_EXPERIMENT, _PROVENANCE = RUN_FILES
_FILES, _FINISHED = "files", "finished"


def is_remote_run(place: BucketPath) -> bool:
    """Whether there is a run at an address."""
    with guard(place, "cannot be read"):
        return Repository.exists(place)


class RemoteRunStore(RunStore):
    """A run in a bucket; made by `create_store` and `open_store`."""

    path: BucketPath

    def __init__(self, path: BucketPath, repository: Repository, *, writable: bool) -> None:
        super().__init__(path, repository, None)
        self._writable = writable

    @classmethod
    def create_remote(
        cls, place: BucketPath, files: Mapping[str, str], attributes: Mapping[str, Any], *, exist_ok: bool
    ) -> RemoteRunStore:
        """Make a run, or open the one that is there, for writing.

        Raises:
            InputError: if another run is there.
            StoreError: if the bucket does not let us.
        """
        identity = str(attributes["identity"])
        if not is_remote_run(place):
            with guard(place, "cannot be written"):
                repository = Repository.create(place)
                session = repository.writing()
                tree = Tree(session)
                tree.set_attributes({**attributes, _FILES: dict(files), _FINISHED: False})
                tree.create(member_arrays())
                tree.flush()
                repository.commit(session, "the run is made")
            return cls(place, repository, writable=True)
        store = cls._begun(place, files, attributes)
        store.require_identity(identity)
        if not exist_ok:
            raise InputError(f"{place}: holds this run already; open it.")
        return store

    @classmethod
    def _begun(
        cls, place: BucketPath, files: Mapping[str, str], attributes: Mapping[str, Any]
    ) -> RemoteRunStore:
        """The run that is there; what a maker that was killed left out is added."""
        with guard(place, "cannot be opened"):
            repository = Repository.open(place)
            session = repository.writing()
            if not Tree(session).is_made():
                tree = Tree(session)
                tree.set_attributes({**attributes, _FILES: dict(files), _FINISHED: False})
                tree.create(member_arrays())
                tree.flush()
                repository.commit(session, "the run is made")
            return cls(place, repository, writable=True)

    @classmethod
    def open_remote(cls, place: BucketPath, mode: Literal["r", "a"]) -> RemoteRunStore:
        """Open a run.

        Raises:
            InputError: if there is none, or one from a newer format version.
            StoreError: if it cannot be read.
        """
        if not is_remote_run(place):
            raise InputError(f"{place}: there is no run.")
        with guard(place, "cannot be opened"):
            store = cls(place, Repository.open(place), writable=mode == "a")
        check_format(place, store._tree.attributes.get("format_version"))
        return store

    @property
    def is_finished(self) -> bool:
        """Whether the run was marked as finished."""
        return bool(self._tree.attributes.get(_FINISHED))

    def _text(self, name: str) -> str:
        return str(self._tree.attributes[_FILES][name])

    @contextmanager
    def transaction(self, message: str) -> Generator[Transaction]:
        """Write to the run; see `RunStore.transaction`. A run that was finished is not any more."""
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

    def finish(self) -> None:
        """Say that the run is finished, and delete what is not needed."""
        with super().transaction("the run is finished") as t:
            t.set_attributes(**{_FINISHED: True})
        with guard(self.path, "cannot be finished"):
            self._repository.collect(everything=True)
        self._see(self._tree.on(self._repository.reading()))

    def close(self) -> None:
        """Nothing is held."""

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
