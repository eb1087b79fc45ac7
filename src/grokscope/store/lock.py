"""OS locks on files of a run: the lock of its writer, and those of readers on the commits that they read.

Both end with the process that holds them. The file of the writer's lock names the holder; release empties the
file and does not remove it.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import platform
import resource
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from grokscope.errors import StoreError, said
from grokscope.files import explain

__all__ = ["LOCK_FILE", "CommitLock", "WriterLock"]

LOCK_FILE = ".lock"
_SAFELY = os.O_NOFOLLOW | os.O_NONBLOCK  # in a store made by somebody else it may be a link or a pipe
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP)


class WriterLock:
    """Lock of the one process that writes a run folder. Readers need no lock.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     lock = WriterLock.acquire(Path(folder))
        ...     lock.release()
    """

    def __init__(self, file: Path, descriptor: int) -> None:
        self._file = file
        self._descriptor: int | None = descriptor

    @classmethod
    def acquire(cls, folder: Path) -> WriterLock:
        """Take the lock of a run folder without waiting.

        Raises:
            StoreError: if another process (or this one) holds the lock (names process id, host and time), or
                if the lock file cannot be written.
        """
        file = folder / LOCK_FILE
        while True:
            try:
                descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)
            except OSError as error:
                raise explain(folder, "cannot be written", error) from error
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                # if the folder was removed and recreated meanwhile, the path names another file
                if _same_file(descriptor, file):
                    _write_holder(descriptor)
                    return cls(file, descriptor)
            except BlockingIOError:
                os.close(descriptor)
                raise StoreError(f"{folder}: {_holder_message(file)}") from None
            except OSError as error:
                os.close(descriptor)
                raise explain(folder, "cannot be locked", error) from error
            os.close(descriptor)

    def require_place(self) -> None:
        """Check that the locked folder is still where it was when its lock was taken.

        Raises:
            StoreError: if it was moved or deleted meanwhile, also if another folder has its name now.
        """
        if self._descriptor is None or _same_file(self._descriptor, self._file):
            return
        folder, file = self._file.parent, _place_of(self._descriptor)
        if file is None:
            raise StoreError(f"{folder}: was deleted while it was written; start again.")
        go_on = said(command=f"--out {file.parent}", python=f'out="{file.parent}"')
        raise StoreError(
            f"{folder}: was moved to {file.parent} while it was written; all that was committed is there. "
            f"Resume with {go_on}."
        )

    def release(self) -> None:
        """Release the lock. Further calls do nothing."""
        if self._descriptor is None:
            return
        descriptor, self._descriptor = self._descriptor, None
        # an error here must not hide an earlier one; the lock is free even if the file keeps its text
        with contextlib.suppress(OSError):
            os.ftruncate(descriptor, 0)
        with contextlib.suppress(OSError):
            os.close(descriptor)


class CommitLock:
    """Lock on a file of a commit that is being read; held as long as the object lives.

    A reader has the shared lock. Before a writer removes the data of a commit it takes the exclusive lock,
    and keeps the commit if that fails. Readers lock a file that is there anyway, so they need no right to
    write, and a reader that is killed leaves nothing behind; see
    docs/decisions/0027-readers-lock-their-commit.md.

    Example:
        >>> import tempfile
        >>> with tempfile.NamedTemporaryFile() as stream:
        ...     read = CommitLock.shared(Path(stream.name))
        ...     while_read = CommitLock.exclusive(Path(stream.name))
        ...     del read
        ...     while_read is None, CommitLock.exclusive(Path(stream.name)) is None
        (True, False)
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def __del__(self) -> None:
        os.close(self._descriptor)

    @classmethod
    def shared(cls, file: Path) -> CommitLock | None:
        """The lock of a reader.

        Returns:
            None if the file is gone or its commit is being removed; if the file system has no locks; or if
            this process has opened half of the files that it may open.
        """
        try:
            lock = cls(os.open(file, os.O_RDONLY | _SAFELY))
            if lock._descriptor >= resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2:
                return None
            fcntl.flock(lock._descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
            # a writer may have removed the file between opening and locking it
            return lock if _same_file(lock._descriptor, file) else None
        except OSError:
            return None

    @classmethod
    def exclusive(cls, file: Path) -> CommitLock | None:
        """The lock of a writer; None if a reader has one, or that cannot be known."""
        try:
            lock = cls(os.open(file, os.O_RDWR | _SAFELY))
        except OSError:
            return None
        try:
            fcntl.flock(lock._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            return lock if error.errno in _NO_LOCKS else None  # where there are no locks, nobody has one
        return lock


def _same_file(descriptor: int, file: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), file.stat())
    except FileNotFoundError:
        return False


def _place_of(descriptor: int) -> Path | None:
    """Where an open file is now; None if it was deleted, or where the system does not say."""
    try:
        if (ask := getattr(fcntl, "F_GETPATH", None)) is not None:  # macOS
            found = os.fsdecode(fcntl.fcntl(descriptor, ask, bytes(1024)).rstrip(b"\0"))
        else:
            found = os.readlink(f"/proc/self/fd/{descriptor}")
        place = Path(found)
        return place if _same_file(descriptor, place) else None
    except OSError:
        return None


def _write_holder(descriptor: int) -> None:
    holder = {
        "pid": os.getpid(),
        "host": platform.node(),
        "since": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, json.dumps(holder).encode(), 0)


def _holder_message(file: Path) -> str:
    for _ in range(20):
        try:
            holder: Any = json.loads(file.read_text(encoding="utf-8"))
            return (
                f"is being written by process {int(holder['pid'])} on {holder['host']} "
                f"since {holder['since']}; wait for it or stop it."
            )
        except (OSError, ValueError, KeyError, TypeError):
            time.sleep(0.01)  # the holder has just taken the lock and not yet written the file
    return "is being written by another process; wait for it or stop it."
