"""The right to write: who has it is told, a refusal leaves nothing open, a file made anew is seen."""

from __future__ import annotations

import errno
import fcntl
import gc
import json
import os
import platform
import signal
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from grokscope.errors import StoreError
from grokscope.store import lock as _lock
from grokscope.store.lock import WriterLock


def open_files() -> int:
    gc.collect()  # what an earlier test left open is not counted once and then not again
    return len(os.listdir("/dev/fd"))


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
