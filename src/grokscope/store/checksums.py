"""Checksums of a finished run: written by `RunStore.finish`, compared by ``grokscope verify``.

``checksums.json`` holds the sha256 of every file of the run except the empty lock file, and a summary of the
run for lists of runs. Its JSON text is canonical and ends with a hash of the rest, so damage to the file
itself is detected. An unfinished run has no such file.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from grokscope.errors import StoreError
from grokscope.files import atomic_write, explain, sync_folder
from grokscope.store.disk import walk_files

__all__ = [
    "ATTRIBUTES_FILE",
    "CHECKSUMS_FILE",
    "RUN_FILES",
    "STORE_FOLDER",
    "Problem",
    "check_files",
    "drop_checksums",
    "read_checksums",
    "read_summary",
    "state_sha256",
    "write_checksums",
]

CHECKSUMS_FILE = "checksums.json"
STORE_FOLDER = "store"
RUN_FILES = ("experiment.toml", "provenance.json")
# tells git to leave the files as they are: with other line endings they would not match their checksums
ATTRIBUTES_FILE = ".gitattributes"
_REF = f"{STORE_FOLDER}/refs/branch.main/ref.json"  # names the newest commit
# user-supplied arrays, stored beside the spec that names them
_DATA_FILES = "arrays-*.safetensors"
_OWN_HASH = "zz_sha256"
_CHUNKS = f"{STORE_FOLDER}/chunks/"


@dataclass(frozen=True)
class Problem:
    """A finding of ``grokscope verify``.

    Attributes:
        file: path relative to the run folder.
        kind: ``missing``, ``extra``, ``changed`` or ``unreadable`` mean damage; ``unfinished``: the run has
            no checksums, so only checksums inside the store were compared.
        message: one line.
    """

    file: str
    kind: Literal["missing", "extra", "changed", "unreadable", "unfinished"]
    message: str

    @property
    def is_damage(self) -> bool:
        """Whether the finding is damage (every kind but ``unfinished``)."""
        return self.kind != "unfinished"

    def __str__(self) -> str:
        return f"{self.file}: {self.message}"


_DAMAGED = Problem(CHECKSUMS_FILE, "changed", "is damaged")


def state_sha256(leaves: Mapping[str, np.ndarray]) -> str:
    """Hash of a state: sha256 over name, type, shape and little-endian bytes of its leaves, sorted by name.

    Example:
        >>> state_sha256({"w": np.zeros(2)}) == state_sha256({"w": np.zeros((2, 1))})
        False
    """
    digest = hashlib.sha256()
    for name in sorted(leaves):
        leaf = np.asarray(leaves[name])
        leaf = np.ascontiguousarray(leaf, dtype=leaf.dtype.newbyteorder("<")).reshape(leaf.shape)
        digest.update(json.dumps([name, leaf.dtype.str, leaf.shape]).encode())
        digest.update(leaf.tobytes())
    return digest.hexdigest()


def write_checksums(
    folder: Path, format_version: int, snapshot: str, summary: Mapping[str, Any] | None = None
) -> None:
    """Hash every file of a run, sync it to disk, and write ``checksums.json``.

    Args:
        folder: the run folder.
        format_version: of the run.
        snapshot: id of the newest commit.
        summary: see `read_summary`.

    Raises:
        StoreError: if a file cannot be read or the result cannot be written.
    """
    files: dict[str, str] = {}
    for file in _run_files(folder):
        files[_name(folder, file)] = _sha256(file, durable=True)
    for path in sorted({(folder / name).parent for name in files}):
        sync_folder(path)
    table: dict[str, Any] = {"format_version": format_version, "snapshot": snapshot, "files": files}
    if summary is not None:
        table["summary"] = dict(summary)
    atomic_write(folder / CHECKSUMS_FILE, _serialized(table))


def drop_checksums(folder: Path) -> None:
    """Remove ``checksums.json`` and sync the folder. Called before every write to a run."""
    try:
        (folder / CHECKSUMS_FILE).unlink()
        sync_folder(folder)
    except FileNotFoundError:
        pass
    except OSError as error:
        raise explain(folder / CHECKSUMS_FILE, "cannot be removed", error) from error


def read_checksums(folder: Path) -> dict[str, str] | None:
    """The sha256 of each file of a finished run, by relative path; None for an unfinished run.

    Raises:
        StoreError: if ``checksums.json`` is damaged or cannot be read.
    """
    table = _read_table(folder)
    return None if table is None else table["files"]


def read_summary(folder: Path, format_version: int) -> dict[str, Any] | None:
    """The summary that a finished run keeps for lists, read from three small files.

    Returns:
        The summary; None if the run must be opened to learn it: it is not finished or keeps none, has another
        format version, or its spec or newest commit are not those of the summary.

    Raises:
        StoreError: see `read_checksums`.
    """
    table = _read_table(folder)
    if table is None or table.get("format_version") != format_version or (folder / STORE_FOLDER).is_symlink():
        return None
    try:
        same = all(_is_file_of(folder / name, table["files"].get(name)) for name in (RUN_FILES[0], _REF))
    except (FileNotFoundError, StoreError):
        return None
    return table.get("summary") if same else None


def _read_table(folder: Path) -> dict[str, Any] | None:
    """The content of ``checksums.json``; see `read_checksums`."""
    content = _content(folder)
    return None if content is None else _parsed(folder, content)


def _content(folder: Path) -> bytes | None:
    file = folder / CHECKSUMS_FILE
    try:
        return file.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise explain(file, "cannot be read", error) from error


def _parsed(folder: Path, content: bytes) -> dict[str, Any]:
    try:
        table: Any = json.loads(content)
        table["files"] = {str(name): str(digest) for name, digest in table["files"].items()}
        if _serialized(table) != content:
            raise ValueError
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise StoreError(f"{folder / CHECKSUMS_FILE}: is damaged.") from None
    return table


def check_files(folder: Path, *, chunks: bool = True) -> list[Problem]:
    """Compare a finished run's files with its checksums.

    A writer removes the checksums before it changes anything. If they have changed when a difference is
    found, a writer has begun meanwhile, and the files are compared again.

    Args:
        folder: the run folder.
        chunks: whether to compare the chunks and the user's arrays too, which are most of the bytes and have
            hashes of their own, compared on every read; and what is not needed to read the run.

    Raises:
        StoreError: if a folder of the store cannot be read.
    """
    while True:
        try:
            before = _content(folder)
        except StoreError:
            return [_DAMAGED]
        try:
            problems = _differences(folder, before, chunks=chunks)
        except OSError as error:
            if _content(folder) == before:
                raise explain(folder, "cannot be read", error) from error
        else:
            if not any(problem.is_damage for problem in problems) or _content(folder) == before:
                return problems


def _differences(folder: Path, checksums: bytes | None, *, chunks: bool) -> list[Problem]:
    if checksums is None:
        return [Problem(CHECKSUMS_FILE, "unfinished", "is not there: the run is not finished")]
    try:
        expected = _parsed(folder, checksums)["files"]
    except StoreError:
        return [_DAMAGED]
    if not chunks:
        expected = {name: digest for name, digest in expected.items() if not _is_extra(name)}
    problems: list[Problem] = []
    for name, digest in expected.items():
        file = folder / name
        try:
            if not _is_file_of(file, digest):
                problems.append(Problem(name, "changed", "changed since the run was finished"))
        except FileNotFoundError:
            problems.append(Problem(name, "missing", "is missing"))
        except StoreError as error:
            problems.append(Problem(name, "unreadable", str(error)))
    if chunks:
        # a folder may keep user arrays that its spec no longer names, and have git's file from its user
        found = {_name(folder, file) for file in _run_files(folder) if not file.match(_DATA_FILES)}
        found.discard(ATTRIBUTES_FILE)
        extra = sorted(found - set(expected))
        problems += [Problem(name, "extra", "is not part of the finished run") for name in extra]
    return problems


def _run_files(folder: Path) -> list[Path]:
    """The files of a run; other files in its folder (a report, notes) are not checked."""
    own = [folder / name for name in (*RUN_FILES, ATTRIBUTES_FILE) if (folder / name).exists()]
    own += sorted(folder.glob(_DATA_FILES))
    store = folder / STORE_FOLDER
    return own + (list(walk_files(store)) if store.is_dir() else [])


def _is_extra(name: str) -> bool:
    """Whether a file is compared by `verify` only."""
    is_bulk = name.startswith(_CHUNKS) or ("/" not in name and Path(name).match(_DATA_FILES))
    return is_bulk or name == ATTRIBUTES_FILE


def _is_file_of(file: Path, digest: str | None) -> bool:
    """Whether a file, which is no link, has this sha256."""
    return not file.is_symlink() and _sha256(file) == digest


def _name(folder: Path, file: Path) -> str:
    return file.relative_to(folder).as_posix()


def _sha256(file: Path, *, durable: bool = False) -> str:
    try:
        with file.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
            if durable:
                os.fsync(stream.fileno())
            return digest
    except FileNotFoundError:
        raise
    except OSError as error:
        raise explain(file, "cannot be read", error) from error


def _serialized(table: Any) -> bytes:
    """Canonical content of the file; ``zz_sha256`` (which sorts last) is the hash of the other entries."""
    body = {name: value for name, value in table.items() if name != _OWN_HASH}
    digest = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
    return (json.dumps({**body, _OWN_HASH: digest}, indent=1, sort_keys=True) + "\n").encode()
