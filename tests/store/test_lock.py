"""The right to write: who has it is told, a refusal leaves nothing open, a file made anew is seen."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import platform
import resource
import signal
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from grokscope.errors import StoreError
from grokscope.store import lock as _lock
from grokscope.store.lock import CommitLock, WriterLock
from store_tests import open_files


@pytest.fixture(autouse=True)
def patience():
    """A lock is taken or refused at once; one that is tried for ever would stop all other tests."""

    def end(*_: object) -> None:
        pytest.fail("the lock was neither taken nor refused in 20 seconds")

    before = signal.signal(signal.SIGALRM, end)
    signal.alarm(20)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture
def file(tmp_path: Path):
    """The lock file, held by somebody who has not said who."""
    path = tmp_path / ".lock"
    with path.open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield path


def test_the_file_tells_who_holds_the_lock_and_nothing_of_who_held_it_before(tmp_path):
    (tmp_path / ".lock").write_text("left by a process that was killed " * 10)
    lock = WriterLock.acquire(tmp_path)
    holder = json.loads((tmp_path / ".lock").read_text())
    assert (holder["pid"], holder["host"]) == (os.getpid(), platform.node())
    assert abs(datetime.fromisoformat(holder["since"]) - datetime.now(UTC)) < timedelta(minutes=1)
    lock.release()
    assert (tmp_path / ".lock").read_text() == ""
    lock.release()  # a second time is nothing


@pytest.mark.slow
def test_a_lock_leaves_no_file_open_when_it_is_given_back_or_refused(tmp_path, monkeypatch):
    before = open_files()
    lock = WriterLock.acquire(tmp_path)
    assert open_files() == before + 1
    with pytest.raises(StoreError, match="is being written by process"):
        WriterLock.acquire(tmp_path)
    assert open_files() == before + 1
    lock.release()
    assert open_files() == before

    def no_locks(descriptor: int, how: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(_lock.fcntl, "flock", no_locks)
    with pytest.raises(StoreError, match=f"cannot be locked: {os.strerror(errno.ENOLCK)}"):
        WriterLock.acquire(tmp_path)
    assert open_files() == before


def test_a_holder_that_does_not_say_who_it_is(file):
    with pytest.raises(StoreError, match="is being written by another process; wait for it or stop it"):
        WriterLock.acquire(file.parent)


def test_a_holder_that_says_a_moment_later_who_it_is_is_waited_for(file):
    def say() -> None:
        time.sleep(0.03)
        file.write_text(json.dumps({"pid": 4321, "host": "elsewhere", "since": "2030-01-01"}))

    thread = threading.Thread(target=say)
    thread.start()
    with pytest.raises(StoreError, match="by process 4321 on elsewhere since 2030-01-01; wait"):
        WriterLock.acquire(file.parent)
    thread.join()


@pytest.mark.slow
@pytest.mark.parametrize("made_anew", [True, False])
def test_a_lock_on_a_file_that_was_removed_meanwhile_is_taken_again(tmp_path, monkeypatch, made_anew):
    flock, before = fcntl.flock, open_files()
    left = [1, 1]

    def removed_meanwhile(descriptor: int, how: int) -> None:
        flock(descriptor, how)
        if left:
            left.pop()
            (tmp_path / ".lock").unlink()
            if made_anew:
                (tmp_path / ".lock").touch()

    monkeypatch.setattr(_lock.fcntl, "flock", removed_meanwhile)
    lock = WriterLock.acquire(tmp_path)
    assert not left
    assert open_files() == before + 1
    with pytest.raises(StoreError, match=f"by process {os.getpid()} "):  # it is the file that is there
        WriterLock.acquire(tmp_path)
    lock.release()


# --- locks on commits ---


def test_readers_share_a_lock_and_a_writer_waits_for_all_of_them(tmp_path):
    file, before = tmp_path / "commit", open_files()
    file.touch()
    locks = [CommitLock.shared(file), CommitLock.shared(file)]
    assert None not in locks
    while locks:
        assert CommitLock.exclusive(file) is None
        locks.pop()
    alone = CommitLock.exclusive(file)
    assert alone
    assert CommitLock.shared(file) is None
    del alone
    assert open_files() == before


def test_what_is_no_file_is_not_locked(tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path / "file")
    os.mkfifo(tmp_path / "pipe")
    before = open_files()
    for name in ("none", "link"):
        assert CommitLock.shared(tmp_path / name) is CommitLock.exclusive(tmp_path / name) is None
    CommitLock.shared(tmp_path / "pipe")  # does not wait for somebody to write into it
    assert open_files() == before


@pytest.mark.slow
@pytest.mark.parametrize("made_anew", [True, False])
def test_a_file_that_was_removed_before_it_was_locked_is_not_locked(tmp_path, monkeypatch, made_anew):
    flock, file, before = fcntl.flock, tmp_path / "commit", open_files()
    file.touch()

    def removed_meanwhile(descriptor: int, how: int) -> None:
        flock(descriptor, how)
        file.unlink()
        if made_anew:
            file.touch()

    monkeypatch.setattr(_lock.fcntl, "flock", removed_meanwhile)
    assert CommitLock.shared(file) is None
    assert open_files() == before


@pytest.mark.parametrize(
    ("code", "is_free"), [(errno.ENOLCK, True), (errno.ENOTSUP, True), (errno.EIO, False)]
)
def test_where_there_are_no_locks_nobody_has_one(tmp_path, monkeypatch, code, is_free):
    (tmp_path / "commit").touch()

    def refuse(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(_lock.fcntl, "flock", refuse)
    assert CommitLock.shared(tmp_path / "commit") is None
    assert (CommitLock.exclusive(tmp_path / "commit") is not None) == is_free


def test_locks_leave_half_of_the_files_that_may_be_open(tmp_path):
    (tmp_path / "commit").touch()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = max(map(int, os.listdir("/proc/self/fd"))) if Path("/proc/self/fd").is_dir() else 0
    fillers = [os.dup(0)]  # no gaps: what is opened next has the numbers from `free` on
    while fillers[-1] <= highest:
        fillers.append(os.dup(0))
    free = fillers.pop()
    os.close(free)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (2 * free + 20, hard))
        locks = [CommitLock.shared(tmp_path / "commit") for _ in range(20)]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for filler in fillers:
            os.close(filler)
    assert [lock is not None for lock in locks] == [True] * 10 + [False] * 10
