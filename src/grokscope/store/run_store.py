"""The store of one run in a folder; `grokscope.store.transaction` describes its groups and arrays.

A run folder contains ``experiment.toml``, ``provenance.json``, ``store/`` (an icechunk repository with
atomic transactions) and, once the run is finished, ``checksums.json``. One process writes, under a lock.
Readers see the newest commit as of opening or `RunReader.refresh`, which they lock: a writer keeps it.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np

from grokscope.errors import InputError, StoreError, flag
from grokscope.files import atomic_write
from grokscope.spec.code import Code, short
from grokscope.spec.events import Events
from grokscope.spec.toml import parse_toml
from grokscope.store.checksums import (
    RUN_FILES,
    STORE_FOLDER,
    check_files,
    drop_checksums,
    read_checksums,
    write_checksums,
)
from grokscope.store.disk import clean_leftovers, walk_files
from grokscope.store.folder import FORMAT_VERSION, is_run, lock_folder, populate_folder, require_run
from grokscope.store.icechunk import Repository, translate_errors
from grokscope.store.lock import WriterLock
from grokscope.store.place import Place, shown_as
from grokscope.store.reader import RunReader
from grokscope.store.transaction import Transaction, member_arrays
from grokscope.store.tree import Tree

__all__ = [
    "CODE_ADVICE",
    "RunStore",
    "code_difference",
    "commit_empty_run",
    "fingerprint_difference",
    "provenance_text",
]

_EXPERIMENT, _PROVENANCE = RUN_FILES
_ADVICE = {
    "train": "Choose another folder, or go on with {allow} (the run is then marked).",
    "replay": "A replay must repeat them: do so where the run was made, or train again into another folder.",
}
_GO_ON = "go on with --allow-changed-code (Python: allow_changed_code=True; the result is then marked)."
CODE_ADVICE = {
    "train": f"restore the file, choose another folder (--out), or {_GO_ON}",
    "replay": f"a replay must repeat the training: restore the file, or {_GO_ON}",
}


class RunStore(RunReader):
    """A run in a folder, open for reading or also for writing; created by `create_store` and `open_store`.

    `RemoteRunStore` is the counterpart for a run in a bucket.
    """

    def __init__(self, place: Place, repository: Repository, lock: WriterLock | None) -> None:
        super().__init__(place, repository)
        self._lock = lock
        self._steps: dict[str, np.ndarray] = {}  # steps of the columns by group, used by transactions

    @classmethod
    def create_at(
        cls, folder: Path, files: dict[str, str], attributes: Mapping[str, Any], *, exist_ok: bool
    ) -> RunStore:
        """Create a run folder, or open the existing one, for writing; see `create_store`."""
        lock = lock_folder(folder)
        try:
            if is_run(folder):
                store = cls._opened(folder, lock)
                store.require_identity(str(attributes["identity"]))
                if not exist_ok:
                    raise InputError(f"{folder}: holds this run already; open it.")
                return store
            populate_folder(folder, files, lambda store: _make_store(store, attributes))
            return cls._opened(folder, lock)
        except BaseException:
            lock.release()
            raise

    @classmethod
    def open_at(cls, folder: Path, mode: Literal["r", "a"]) -> RunStore:
        """Open an existing run folder; see `open_store`."""
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
        # compare a finished run's metadata with its checksums before native code reads it
        if damage := [problem for problem in check_files(folder, chunks=False) if problem.is_damage]:
            more = f" (and {len(damage) - 1} more)" if len(damage) > 1 else ""
            raise StoreError(f"{folder / damage[0].file}: {damage[0].message}{more}.")
        if lock is not None:
            with translate_errors(folder, "cannot be written"):
                for file in walk_files(folder / STORE_FOLDER):
                    if file.is_symlink():  # a write must not leave the run folder
                        raise StoreError(f"{file}: is a link; a run's files lie in its own folder.")
                if read_checksums(folder) is None:
                    clean_leftovers(folder / STORE_FOLDER)
        with translate_errors(folder, "cannot be opened"):
            return cls(folder, Repository.open(folder / STORE_FOLDER), lock)

    def require_identity(self, identity: str) -> None:
        """Check that the run's identity equals ``identity``.

        Raises:
            InputError: if the identities differ.
        """
        if self.identity != identity:
            raise InputError(
                f"{self.path}: holds another run (identity {self.identity[:8]}, not {identity[:8]}); "
                "choose another folder."
            )

    def require_numerics(
        self, here: Mapping[str, Any], *, to: Literal["train", "replay"], allow: bool = False
    ) -> None:
        """Check that this process has the same numerics fingerprint as the run.

        Args:
            here: the fingerprint of this process.
            to: the planned operation; selects the advice in the message.
            allow: accept a difference and note it in the run.

        Raises:
            InputError: if the fingerprints differ and ``allow`` is False.
        """
        difference = fingerprint_difference(self.fingerprint, here)
        if not difference:
            return
        if not allow:
            raise InputError(
                f"{self.path}: was made with other numerics ({'; '.join(difference)}), so bits would not "
                f"match. {_ADVICE[to].format(allow=flag('allow-other-numerics'))}"
            )
        with self.transaction("other numerics were allowed") as t:
            t.note_more(other_numerics=difference)

    def require_code(
        self, here: Mapping[str, Code], *, to: Literal["train", "replay"], allow: bool = False
    ) -> list[str]:
        """Check that the parts of the user's own that train have the code that the run was made with.

        Args:
            here: the code of the parts in this process, by part.
            to: the planned operation; selects the advice in the message.
            allow: accept a difference and, if the store is open for writing, note it in the run.

        Returns:
            The accepted differences.

        Raises:
            InputError: if the code of a part differs and ``allow`` is False.
        """
        differences = code_difference(self.code or {}, here)
        if differences and not allow:
            raise InputError(f"{self.path}: code has changed: {', '.join(differences)}; {CODE_ADVICE[to]}")
        if not self._is_writable:
            return differences
        if differences or (here and self.code is None):
            with self.transaction("the code of its parts") as t:
                t.note_more(changed_code=differences)
                if self.code is None:  # a run from before it was recorded
                    t.set_attributes(code={part: code.to_json() for part, code in here.items()})
        return differences

    @property
    def _is_writable(self) -> bool:
        return self._lock is not None

    def close(self) -> None:
        """Release the lock, if this store holds it."""
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
        """Write to the run: the end of the block commits all its changes; an error discards them.

        Raises:
            StoreError: if writing fails; the run stays as before.
        """
        self._begin_writing()
        with shown_as(self.place, self.path), translate_errors(self.path, "cannot be written"):
            session = self._repository.writing()
            tree, steps = self._tree.on(session), dict(self._steps)
            yield Transaction(tree, steps)
            self._require_place()
            tree.flush()
            if session.has_uncommitted_changes:
                self._repository.commit(session, message)
        self._set_tree(tree.on(*self._repository.reading()))
        self._steps = steps

    def update_experiment(self, experiment_toml: str) -> None:
        """Replace ``experiment.toml`` by a spec of the same identity (a longer run, more measures)."""
        if experiment_toml != self.experiment_toml:
            self._begin_writing()
            self._replace(_EXPERIMENT, experiment_toml)
            self._spec = experiment_toml

    def update_events(self, events: Events) -> None:
        """Replace the table ``[events]`` of ``experiment.toml``, which changes no number of the run."""
        import tomli_w

        if self.events == events:
            return
        table = parse_toml(self.experiment_toml)
        table["events"] = events.unusual
        if not table["events"]:
            del table["events"]
        self.update_experiment(tomli_w.dumps(table))

    def update_provenance(self, provenance: Mapping[str, Any]) -> None:
        """Replace ``provenance.json``."""
        self._begin_writing()
        self._replace(_PROVENANCE, provenance_text(provenance))

    def _replace(self, name: str, text: str) -> None:
        with shown_as(self.place, self.path):
            atomic_write(self._folder / name, text.encode())

    def finish(self, summary: Mapping[str, Any] | None = None) -> None:
        """Finish the run: delete the data of old commits that nobody reads, and write the checksums.

        Any later write removes the checksums until the next call.

        Args:
            summary: kept beside the checksums for lists of runs; see `grokscope.runs.summary.finish_run`.
        """
        self._begin_writing()
        with shown_as(self.place, self.path), translate_errors(self.path, "cannot be finished"):
            self._repository.collect(everything=True)
            clean_leftovers(self._folder / STORE_FOLDER)
            write_checksums(self._folder, FORMAT_VERSION, self._repository.snapshot, summary)
        self._set_tree(self._tree.on(*self._repository.reading()))

    def _begin_writing(self) -> None:
        if self._lock is None:
            raise RuntimeError("the store is open for reading only")
        self._require_place()
        with shown_as(self.place, self.path):
            drop_checksums(self._folder)

    @property
    def keeps_old(self) -> bool:
        """Whether data of old commits is kept because it was being read when the run was last finished."""
        return self._repository.keeps_old

    def _require_place(self) -> None:
        if self._lock is not None:  # a run in a bucket has none
            self._lock.require_place()


def fingerprint_difference(there: Mapping[str, Any], here: Mapping[str, Any]) -> list[str]:
    """Differences between two fingerprints, one text each; empty if the numerics are the same.

    Example:
        >>> fingerprint_difference({"jax": "0.10.1"}, {"jax": "0.10.2"})
        ['jax: 0.10.1 there, 0.10.2 here']
    """
    absent = "absent"
    return [
        f"{name}: {there.get(name, absent)} there, {here.get(name, absent)} here"
        for name in dict.fromkeys([*there, *here])
        if there.get(name, absent) != here.get(name, absent)
    ]


def code_difference(there: Mapping[str, Mapping[str, str]], here: Mapping[str, Code]) -> list[str]:
    """The parts whose code differs, one text each: part, file and both hashes.

    Args:
        there: file and hash as recorded, by part; a part that was not recorded is not compared.
        here: the code in this process.

    Example:
        >>> code_difference({"optimizer mine": {"file": "/a.py", "sha256": "12" * 32}}, {})
        ["optimizer mine (/a.py: 121212121212 then, the package's own now)"]
    """
    found: list[str] = []
    for part, recorded in there.items():
        was, now = recorded.get("sha256", ""), here.get(part)
        if now is not None and now.sha256 == was:
            continue
        file = (now.file if now is not None else "") or recorded.get("file") or "its source"
        is_now = "the package's own" if now is None else short(now.sha256)
        found.append(f"{part} ({file}: {short(was)} then, {is_now} now)")
    return found


def commit_empty_run(repository: Repository, session: Any, attributes: Mapping[str, Any]) -> None:
    """Commit the root and the member arrays of a run without members."""
    tree = Tree(session)
    tree.set_attributes(attributes)
    tree.create(member_arrays())
    tree.flush()
    repository.commit(session, "the run is made")


def _make_store(path: Path, attributes: Mapping[str, Any]) -> None:
    with translate_errors(path, "cannot be written"):
        repository = Repository.create(path)
        commit_empty_run(repository, repository.writing(), attributes)


def provenance_text(provenance: Mapping[str, Any]) -> str:
    """Content of ``provenance.json``, format version included."""
    return json.dumps({**provenance, "format_version": FORMAT_VERSION}, indent=1, ensure_ascii=False) + "\n"
