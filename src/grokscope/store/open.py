"""Open or create the store of a run, in a folder or in a bucket."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from grokscope.spec.code import Code
from grokscope.store.checksums import RUN_FILES
from grokscope.store.folder import FORMAT_VERSION, is_run
from grokscope.store.place import BucketPath, Place, as_place, located, shown_as
from grokscope.store.run_store import RunStore, provenance_text

__all__ = ["create_store", "is_run_at", "open_again", "open_store"]


def create_store(
    path: str | Place,
    experiment_toml: str,
    identity: str,
    fingerprint: Mapping[str, Any],
    provenance: Mapping[str, Any],
    *,
    steps_per_epoch: int = 1,
    code: Mapping[str, Code] | None = None,
    exist_ok: bool = False,
    shown: Place | None = None,
) -> RunStore:
    """Create the store of a run and open it for writing.

    Args:
        path: a folder that is new, empty, or left by an interrupted creation; or an address in a bucket.
        experiment_toml: the resolved spec.
        identity: hash of everything that determines the run's numbers.
        fingerprint: the numerics fingerprint.
        provenance: see `grokscope.runs.provenance`.
        steps_per_epoch: updates per epoch, for the coordinate ``epoch``.
        code: the code of the parts that are not the package's own, by part.
        exist_ok: open an existing run of this identity instead of raising.
        shown: see `open_store`.

    Raises:
        InputError: if the path is a file, or contains other files or another run.
        StoreError: if the disk or bucket cannot be written, or another process writes the run.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> folder = tempfile.mkdtemp() + "/run"
        >>> with create_store(folder, "", "ab" * 32, {}, {}) as store, store.transaction("first") as t:
        ...     t.add_members([(0, 0, 0, 0)])
        ...     t.write_measures("quick", [0], [0, 32], {"train_loss": np.ones((1, 2))})
        ...     t.mark([0], steps_done=32)
        >>> open_store(folder).read_measures().train_loss.sel(seed=0, step=32).item()
        1.0
    """
    place, shown = located(path), shown or as_place(path)
    attributes: dict[str, Any] = {
        "format_version": FORMAT_VERSION,
        "identity": identity,
        "fingerprint": dict(fingerprint),
        "steps_per_epoch": steps_per_epoch,
    }
    if code:
        attributes["code"] = {part: one.to_json() for part, one in code.items()}
    files: dict[str, str] = dict(zip(RUN_FILES, (experiment_toml, provenance_text(provenance)), strict=True))
    with shown_as(place, shown):
        if isinstance(place, BucketPath):
            from grokscope.store.remote import RemoteRunStore

            return RemoteRunStore.create_remote(place, files, attributes, exist_ok=exist_ok)
        store = RunStore.create_at(place, files, attributes, exist_ok=exist_ok)
    store.path = shown
    return store


def open_store(path: str | Place, mode: Literal["r", "a"] = "r", *, shown: Place | None = None) -> RunStore:
    """Open the store of a run for reading, or for reading and writing.

    Args:
        path: the run.
        mode: ``r`` or ``a``.
        shown: how messages write the path, where another one was given.

    Raises:
        InputError: if the path is not a run, or the run has a newer format version.
        StoreError: if the run is damaged or cannot be read, or (mode ``a``) another process writes it.
    """
    place, shown = located(path), shown or as_place(path)
    with shown_as(place, shown):
        if isinstance(place, BucketPath):
            from grokscope.store.remote import RemoteRunStore

            return RemoteRunStore.open_remote(place, mode)
        store = RunStore.open_at(place, mode)
    store.path = shown
    return store


def open_again(store: RunStore, mode: Literal["r", "a"] = "r") -> RunStore:
    """Open the run of a store again, at its newest commit; see `open_store`.

    Raises:
        InputError: also if its place holds another run by now.
    """
    found = open_store(store.place, mode, shown=store.path)
    try:
        found.require_identity(store.identity)
    except BaseException:
        found.close()
        raise
    return found


def is_run_at(place: Place) -> bool:
    """Whether a place contains a run, of any identity and format version."""
    if isinstance(place, BucketPath):
        from grokscope.store.remote import is_remote_run

        return is_remote_run(place)
    return is_run(place)
