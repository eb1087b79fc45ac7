"""The icechunk repository of a run: opening, commits, garbage collection, translation of errors."""

from __future__ import annotations

import atexit
import os
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from grokscope.errors import StoreError
from grokscope.files import explain
from grokscope.forks import uses_threads

# Damage raises an error; at any log level but "off" the library also prints it to stdout.
os.environ.setdefault("ICECHUNK_LOG", "off")

import icechunk

from grokscope.store.arrays import DamagedError
from grokscope.store.lock import CommitLock
from grokscope.store.place import BucketPath, Place

__all__ = ["Repository", "translate_errors"]

_BRANCH = "main"
# Commits between two garbage collections. A collection keeps all commits since the previous one, for readers
# that have no lock: those of buckets.
_COLLECT_EVERY = 20
# A commit that is no longer the newest, but is being read, is kept by a branch of this name and its id.
_KEPT = "kept-"
# Folder of the files that readers lock, one for each commit, named by its id. The library writes such a file
# once. It replaces that of a snapshot when the parent expires; a lock would stay on the old one.
_LOCKED = "transactions"
_PANICS = ("PanicException", "RustPanic")
_CLOCK_TRIES, _CLOCK_WAIT = 100, 0.1
# Seconds without activity after which the library's threads count as idle, and the longest wait for that.
# A thread that waits for Python's lock wakes every 5 ms, which is seen as activity.
_IDLE_SECONDS, _MOST_SECONDS = 0.02, 5.0
_TASKS = Path("/proc/self/task")


class Repository:
    """An icechunk repository with one branch. Writing to a folder requires the run's lock."""

    def __init__(self, repository: icechunk.Repository, path: Place) -> None:
        self._repository = repository
        self._path = path
        self._commits = 0
        self._keep_since: datetime | None = None

    @classmethod
    def create(cls, path: Place) -> Repository:
        """Create an empty repository."""
        if isinstance(path, Path):
            path.mkdir()  # raises an OSError where the library would panic
        return cls(icechunk.Repository.create(_storage(path), config=_config()), path)

    @classmethod
    def open(cls, path: Place) -> Repository:
        """Open an existing repository."""
        return cls(icechunk.Repository.open(_storage(path), config=_config()), path)

    @classmethod
    def exists(cls, path: Place) -> bool:
        """Whether a repository exists at a place."""
        return icechunk.Repository.exists(_storage(path))

    def reading(self) -> tuple[Any, CommitLock | None]:
        """Begin a read-only session at the newest commit.

        Returns:
            The session, and the lock that keeps its commit; None in a bucket, and where it cannot be had.
        """
        uses_threads("icechunk")  # the repository may be from before a fork
        while True:
            tip = self.snapshot
            lock = CommitLock.shared(self._path / _LOCKED / tip) if isinstance(self._path, Path) else None
            # before it was locked, a writer may have removed the commit, but not if it is still the newest
            if lock is not None or self.snapshot == tip:
                return self._repository.readonly_session(snapshot_id=tip), lock

    def writing(self) -> Any:
        """Begin a writable session; `commit` makes its changes visible atomically."""
        uses_threads("icechunk")
        if self._keep_since is None:
            self._keep_since = self._tip.written_at
            self._commits = _COLLECT_EVERY  # the first commit collects the garbage of earlier processes
        return self._repository.writable_session(_BRANCH)

    def commit(self, session: Any, message: str) -> None:
        """Commit a session; every 20th commit also collects garbage (`collect`).

        Raises:
            StoreError: if the system clock stays before the time of the last commit.
        """
        for attempt in range(_CLOCK_TRIES):
            try:
                session.commit(message)
                break
            except icechunk.IcechunkError as error:
                # icechunk refuses a commit older than its parent (the clock was set back): wait and retry
                if "timestamp ordering" not in str(error):
                    raise
                if attempt == _CLOCK_TRIES - 1:
                    place = self._path.parent if isinstance(self._path, Path) else self._path
                    raise StoreError(
                        f"{place}: cannot be written: this machine's clock was set back before "
                        "the last commit; set it right and resume."
                    ) from error
                time.sleep(_CLOCK_WAIT)
        self._commits += 1
        if self._commits >= _COLLECT_EVERY:
            self.collect()

    def collect(self, *, everything: bool = False) -> None:
        """Expire old commits and delete the data that only they use; in a folder, not those being read.

        Args:
            everything: keep only the newest commit; False keeps all commits since the previous collection.
        """
        tip = self._tip.written_at
        keep_since = tip if everything else self._keep_since
        if keep_since is not None:
            # A folder is locked, so no other process writes: all unreferenced data is garbage, however new.
            # A bucket has no lock: a writer that was presumed lost may still commit newer data.
            all_garbage = everything and isinstance(self._path, Path)
            with self._unread(keep_since):
                self._repository.expire_snapshots(keep_since)
                self._repository.garbage_collect(
                    datetime.now(UTC) + timedelta(days=1) if all_garbage else keep_since
                )
        self._keep_since, self._commits = tip, 0

    @contextmanager
    def _unread(self, keep_since: datetime) -> Generator[None]:
        """Keep commits that are being read; until the end of the block nobody can begin to read others.

        Args:
            keep_since: commits since then are kept anyway.
        """
        if not isinstance(self._path, Path):
            yield
            return
        recent = {one.id for one in self._repository.ancestry(branch=_BRANCH) if one.written_at >= keep_since}
        kept = {name for name in self._repository.list_branches() if name.startswith(_KEPT)}
        locks: list[CommitLock] = []
        for file in sorted((self._path / _LOCKED).iterdir()):
            name = f"{_KEPT}{file.name}"
            if file.name in recent:
                continue
            if (lock := CommitLock.exclusive(file)) is None:
                if name not in kept:
                    self._repository.create_branch(name, file.name)
                continue
            locks.append(lock)
            if name in kept:
                self._repository.delete_branch(name)
                with suppress(OSError):
                    (
                        self._path / "refs" / f"branch.{name}"
                    ).rmdir()  # an empty folder, which the library leaves
        yield
        locks.clear()

    @property
    def keeps_old(self) -> bool:
        """Whether it has commits that are kept only because they were being read at the last collection."""
        return any(name.startswith(_KEPT) for name in self._repository.list_branches())

    @property
    def snapshot(self) -> str:
        """Id of the newest commit."""
        return self._repository.lookup_branch(_BRANCH)

    @property
    def _tip(self) -> Any:
        return next(iter(self._repository.ancestry(branch=_BRANCH)))


@contextmanager
def translate_errors(path: Place, what: str) -> Generator[None]:
    """Convert errors of the store to a `StoreError` of path, failed operation (``what``) and cause."""
    try:
        yield
    except icechunk.ConflictError as error:
        raise StoreError(
            f"{path}: {what}: another process wrote it meanwhile; nothing was changed. Resume."
        ) from error
    except (icechunk.IcechunkError, DamagedError, OSError) as error:
        raise explain(path, what, error) from error
    except BaseException as error:
        # native code may panic on damaged bytes or a failing disk; a panic is a BaseException
        if type(error).__name__ in _PANICS:
            if "(os error " in str(error):
                raise explain(path, what, error) from error
            raise StoreError(f"{path}: {what}: the store is damaged.") from error
        raise


def _storage(path: Place) -> icechunk.Storage:
    uses_threads("icechunk")
    if not isinstance(path, BucketPath):
        return icechunk.local_filesystem_storage(str(path))
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    return icechunk.s3_storage(
        bucket=path.bucket,
        prefix=path.prefix,
        region=os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION"),
        endpoint_url=endpoint,
        allow_http=bool(endpoint and endpoint.startswith("http://")),
        # services other than Amazon's rarely have a host name per bucket
        force_path_style=endpoint is not None,
        from_env=True,
    )


def _config() -> icechunk.RepositoryConfig:
    """The default configuration with fewer small files and smaller caches."""
    config = icechunk.RepositoryConfig.default()
    config.inline_chunk_threshold_bytes = 2048
    config.caching = icechunk.CachingConfig(
        num_snapshot_nodes=10_000, num_chunk_refs=100_000, num_transaction_changes=0, num_bytes_chunks=0
    )
    return config


def _wait_for_threads() -> None:
    """Wait until the library's threads are idle; called when the interpreter is about to shut down.

    Such a thread may still release Python objects of a read whose result has been used already. If it asks
    for Python's lock while Python 3.11 to 3.13 shuts down, it aborts the process.
    """
    if not _TASKS.is_dir():  # no Linux: what threads do cannot be read
        time.sleep(2 * _IDLE_SECONDS)
        return
    deadline = time.monotonic() + _MOST_SECONDS
    seen = _activity()
    while seen and time.monotonic() < deadline:
        time.sleep(_IDLE_SECONDS)  # releases Python's lock
        before, seen = seen, _activity()
        if seen == before and all(state.startswith("S") for state, *_ in seen.values()):
            return


def _activity() -> dict[str, tuple[str, str, str]]:
    """State and counts of context switches of each thread of the library, by its id."""
    found: dict[str, tuple[str, str, str]] = {}
    for task in _TASKS.iterdir():
        try:
            lines = (task / "status").read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:  # the thread has ended
            continue
        pairs = (line.partition(":\t") for line in lines)
        fields = {name: value for name, _, value in pairs}
        if fields["Name"].startswith("tokio"):
            switches = fields["voluntary_ctxt_switches"], fields["nonvoluntary_ctxt_switches"]
            found[task.name] = (fields["State"], *switches)
    return found


atexit.register(_wait_for_threads)
