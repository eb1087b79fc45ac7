"""The icechunk repository of a run: opening, committing, collecting old snapshots, what its errors mean."""

from __future__ import annotations

import os
import time
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from grokscope.errors import StoreError
from grokscope.store.disk import explain

# Damage is raised as an error; at any level but "off" the library also prints it, and on stdout.
os.environ.setdefault("ICECHUNK_LOG", "off")

import icechunk

from grokscope.store.arrays import DamagedError
from grokscope.store.place import BucketPath, Place

__all__ = ["Repository", "guard"]

_BRANCH = "main"
# Commits between two collections. What a collection keeps lives on for that many commits more, so that
# somebody who reads the run while it is written does not lose what they have just opened.
_COLLECT_EVERY = 20
_PANICS = ("PanicException", "RustPanic")
_CLOCK_TRIES, _CLOCK_WAIT = 100, 0.1


class Repository:
    """An icechunk repository with one branch. In a folder, writing needs the run's lock."""

    def __init__(self, repository: icechunk.Repository, path: Place) -> None:
        self._repository = repository
        self._path = path
        self._commits = 0
        self._keep_since: datetime | None = None

    @classmethod
    def create(cls, path: Place) -> Repository:
        """Make an empty repository."""
        if isinstance(path, Path):
            path.mkdir()  # the library panics where it cannot
        return cls(icechunk.Repository.create(_storage(path), config=_config()), path)

    @classmethod
    def open(cls, path: Place) -> Repository:
        """Open a repository."""
        return cls(icechunk.Repository.open(_storage(path), config=_config()), path)

    @classmethod
    def exists(cls, path: Place) -> bool:
        """Whether there is a repository."""
        return icechunk.Repository.exists(_storage(path))

    def reading(self) -> Any:
        """A session that sees the newest commit, and no later one."""
        return self._repository.readonly_session(_BRANCH)

    def writing(self) -> Any:
        """A session whose changes become visible by `commit`, all at once, or never."""
        if self._keep_since is None:
            self._keep_since = self._tip.written_at
            self._commits = _COLLECT_EVERY  # collect what an earlier process left, at the first commit
        return self._repository.writable_session(_BRANCH)

    def commit(self, session: Any, message: str) -> None:
        """Make a session's changes visible, and now and then collect what old commits alone need."""
        for attempt in range(_CLOCK_TRIES):
            try:
                session.commit(message)
                break
            except icechunk.IcechunkError as error:
                # a commit older than the one before it is refused: the clock was set back; wait a little
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
        """Delete what only old commits need.

        Args:
            everything: keep the newest commit only; else also those since the collection before.
        """
        tip = self._tip.written_at
        if everything:
            self._repository.expire_snapshots(tip)
            # In a folder nothing is being written: what is not referred to is garbage, however new. A bucket
            # has no lock: somebody who was given up for lost may be about to commit what is newer.
            locked = isinstance(self._path, Path)
            self._repository.garbage_collect(datetime.now(UTC) + timedelta(days=1) if locked else tip)
        elif self._keep_since is not None:
            self._repository.expire_snapshots(self._keep_since)
            self._repository.garbage_collect(self._keep_since)
        self._keep_since, self._commits = tip, 0

    @property
    def snapshot(self) -> str:
        """The id of the newest commit."""
        return self._repository.lookup_branch(_BRANCH)

    @property
    def _tip(self) -> Any:
        return next(iter(self._repository.ancestry(branch=_BRANCH)))


@contextmanager
def guard(path: Place, what: str) -> Generator[None]:
    """Turn what the store raises into a `StoreError` that names the path and the cause."""
    try:
        yield
    except icechunk.ConflictError as error:
        raise StoreError(
            f"{path}: {what}: another process wrote it meanwhile; nothing was changed. Resume."
        ) from error
    except (icechunk.IcechunkError, DamagedError, OSError) as error:
        raise explain(path, what, error) from error
    except BaseException as error:
        # native code that meets damaged bytes or a failing disk may panic; that is no Exception
        if type(error).__name__ in _PANICS:
            if "(os error " in str(error):
                raise explain(path, what, error) from error
            raise StoreError(f"{path}: {what}: the store is damaged.") from error
        raise


def _storage(path: Place) -> icechunk.Storage:
    if not isinstance(path, BucketPath):
        return icechunk.local_filesystem_storage(str(path))
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    return icechunk.s3_storage(
        bucket=path.bucket,
        prefix=path.prefix,
        region=os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION"),
        endpoint_url=endpoint,
        allow_http=bool(endpoint and endpoint.startswith("http://")),
        # services other than Amazon's seldom have a host name for every bucket
        force_path_style=endpoint is not None,
        from_env=True,
    )


def _config() -> icechunk.RepositoryConfig:
    """The defaults, with fewer small files, and caches that cannot grow to gigabytes."""
    config = icechunk.RepositoryConfig.default()
    config.inline_chunk_threshold_bytes = 2048
    config.caching = icechunk.CachingConfig(
        num_snapshot_nodes=10_000, num_chunk_refs=100_000, num_transaction_changes=0, num_bytes_chunks=0
    )
    return config
