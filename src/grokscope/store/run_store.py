"""RunStore: one run on disk. What it holds is described in `grokscope.store.transaction`.

A run folder has ``experiment.toml``, ``provenance.json``, ``store/`` (an icechunk repository: every
transaction is seen whole or not at all) and, when the run is finished, ``checksums.json``. One process
writes, under a lock; readers need none and see the newest commit as of opening or `refresh`.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np

from grokscope.errors import InputError, StoreError
from grokscope.store.checksums import (
    RUN_FILES,
    STORE_FOLDER,
    check_files,
    drop_checksums,
    read_checksums,
    write_checksums,
)
from grokscope.store.disk import atomic_write, clean_leftovers, walk_files
from grokscope.store.folder import FORMAT_VERSION, claim, fill, is_run, require_run
from grokscope.store.icechunk import Repository, guard
from grokscope.store.lock import WriterLock
from grokscope.store.place import BucketPath, Place, as_place
from grokscope.store.reader import RunReader
from grokscope.store.transaction import Transaction, member_arrays
from grokscope.store.tree import Tree

__all__ = ["RunStore", "is_run_at"]

_EXPERIMENT, _PROVENANCE = RUN_FILES


class RunStore(RunReader):
    """A run on disk, or (see `RemoteRunStore`) in a bucket.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp()) / "run"
        >>> with RunStore.create(folder, "", "ab" * 32, {}, {}) as store, store.transaction("first") as t:
        ...     t.add_members([(0, 0, 0, 0)])
        ...     t.write_measures("quick", [0], [0, 32], {"train_loss": np.ones((1, 2))})
        ...     t.mark([0], steps_done=32)
        >>> RunStore.open(folder).read_measures().train_loss.sel(seed=0, step=32).item()
        1.0
    """

    def __init__(self, path: Place, repository: Repository, lock: WriterLock | None) -> None:
        super().__init__(path, repository)
        self._lock = lock
        self._steps: dict[str, np.ndarray] = {}  # by group, for the writer

    @classmethod
    def create(
        cls,
        path: str | Place,
        experiment_toml: str,
        identity: str,
        fingerprint: Mapping[str, Any],
        provenance: Mapping[str, Any],
        *,
        steps_per_epoch: int = 1,
        exist_ok: bool = False,
    ) -> RunStore:
        """Make a run folder and open it for writing.

        Args:
            path: new, empty, or left behind by a creation that was killed; or an address in a bucket.
            experiment_toml: the resolved spec.
            identity: what the run's numbers are a function of, as a hash.
            fingerprint: of the numerics.
            provenance: see `grokscope.runs.provenance`.
            steps_per_epoch: for the coordinate ``epoch``.
            exist_ok: open the run if it is there already (with this identity).

        Raises:
            InputError: if the path is a file, holds other files, or another run.
            StoreError: if the disk does not let us, or another process writes it.
        """
        folder = as_place(path)
        attributes = {
            "format_version": FORMAT_VERSION,
            "identity": identity,
            "fingerprint": dict(fingerprint),
            "steps_per_epoch": steps_per_epoch,
        }
        files = {_EXPERIMENT: experiment_toml, _PROVENANCE: _provenance_text(provenance)}
        if isinstance(folder, BucketPath):
            from grokscope.store.remote import RemoteRunStore

            return RemoteRunStore.create_at(folder, files, attributes, exist_ok=exist_ok)
        lock = claim(folder)
        try:
            if is_run(folder):
                store = cls._opened(folder, lock)
                store.require_identity(identity)
                if not exist_ok:
                    raise InputError(f"{folder}: holds this run already; open it.")
                return store
            fill(folder, files, lambda store: _make_store(store, attributes))
            return cls._opened(folder, lock)
        except BaseException:
            lock.release()
            raise

    @classmethod
    def open(cls, path: str | Place, mode: Literal["r", "a"] = "r") -> RunStore:
        """Open a run for reading, or for reading and writing.

        Raises:
            InputError: if there is no run at the path, or one from a newer format version.
            StoreError: if it is damaged or cannot be read, or (mode ``a``) another process writes it.
        """
        folder = as_place(path)
        if isinstance(folder, BucketPath):
            from grokscope.store.remote import RemoteRunStore

            return RemoteRunStore.open_at(folder, mode)
        require_run(folder)
        if mode == "r":
            return cls._opened(folder, None)
        lock = WriterLock.acquire(folder)
        try:
            return cls._opened(folder, lock)
        except BaseException:
            lock.release()
            raise

    @classmethod
    def _opened(cls, folder: Path, lock: WriterLock | None) -> RunStore:
        require_run(folder)
        # a finished run's own bookkeeping is compared with its checksums before native code reads it
        if damage := [problem for problem in check_files(folder, chunks=False) if problem.is_damage]:
            more = f" (and {len(damage) - 1} more)" if len(damage) > 1 else ""
            raise StoreError(f"{folder / damage[0].file}: {damage[0].message}{more}.")
        if lock is not None:
            with guard(folder, "cannot be written"):
                for file in walk_files(folder / STORE_FOLDER):
                    if file.is_symlink():  # what is written must not go elsewhere
                        raise StoreError(f"{file}: is a link; a run's files lie in its own folder.")
                if read_checksums(folder) is None:
                    clean_leftovers(folder / STORE_FOLDER)
        with guard(folder, "cannot be opened"):
            return cls(folder, Repository.open(folder / STORE_FOLDER), lock)

    def require_identity(self, identity: str) -> None:
        """Check that this is the run of an identity.

        Raises:
            InputError: if it is another one.
        """
        if self.identity != identity:
            raise InputError(
                f"{self.path}: holds another run (identity {self.identity[:8]}, not {identity[:8]}); "
                "choose another folder."
            )

    def close(self) -> None:
        """Give back the lock, if this store holds it."""
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def __enter__(self) -> RunStore:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- writing ---

    @contextmanager
    def transaction(self, message: str) -> Generator[Transaction]:
        """Write to the run: everything in the block is committed at its end; on an error, nothing is.

        Raises:
            StoreError: if the disk does not let us; the run stays as it was.
        """
        self._begin_writing()
        with guard(self.path, "cannot be written"):
            session = self._repository.writing()
            tree, steps = self._tree.on(session), dict(self._steps)
            yield Transaction(tree, steps)
            tree.flush()
            if session.has_uncommitted_changes:
                self._repository.commit(session, message)
        self._see(tree.on(self._repository.reading()))
        self._steps = steps

    def update_experiment(self, experiment_toml: str) -> None:
        """Replace ``experiment.toml`` (a longer run, or more measures, of the same identity)."""
        if experiment_toml != self.experiment_toml:
            self._begin_writing()
            atomic_write(self._folder / _EXPERIMENT, experiment_toml.encode())

    def update_provenance(self, provenance: Mapping[str, Any]) -> None:
        """Replace ``provenance.json``."""
        self._begin_writing()
        atomic_write(self._folder / _PROVENANCE, _provenance_text(provenance).encode())

    def finish(self) -> None:
        """Say that the run is finished: delete what is not needed, write the checksums.

        Any later write takes them away again, until the next call.
        """
        self._begin_writing()
        with guard(self.path, "cannot be finished"):
            self._repository.collect(everything=True)
            clean_leftovers(self._folder / STORE_FOLDER)
            write_checksums(self._folder, FORMAT_VERSION, self._repository.snapshot)
        self._see(self._tree.on(self._repository.reading()))

    def _begin_writing(self) -> None:
        if self._lock is None:
            raise RuntimeError("the store is open for reading only")
        drop_checksums(self._folder)


def is_run_at(place: Place) -> bool:
    """Whether there is a run at a place (of any identity and format version)."""
    if isinstance(place, BucketPath):
        from grokscope.store.remote import is_remote_run

        return is_remote_run(place)
    return is_run(place)


def _make_store(path: Path, attributes: Mapping[str, Any]) -> None:
    """Make the icechunk repository of a run without members."""
    with guard(path, "cannot be written"):
        repository = Repository.create(path)
        session = repository.writing()
        tree = Tree(session)
        tree.set_attributes(attributes)
        tree.create(member_arrays())
        tree.flush()
        repository.commit(session, "the run is made")


def _provenance_text(provenance: Mapping[str, Any]) -> str:
    return json.dumps({**provenance, "format_version": FORMAT_VERSION}, indent=1, ensure_ascii=False) + "\n"
