"""What may happen to a run on disk: kills, a full disk, flipped bits, missing files, many commits."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from grokscope.errors import StoreError
from grokscope.runs.folders import verify
from grokscope.store.open import create_store, open_store
from numbered_runs import new_run, state_of, write

# a process that has imported what it needs, and is copied for every kill
NURSERY = f"""
import os, sys
sys.path[:0] = {sys.path!r}
import numpy, xarray
from numbered_runs import write
from grokscope.store.open import create_store, open_store
for line in sys.stdin:
    if child := os.fork():
        print("child", child, flush=True)
        os.waitpid(child, 0)
        print("dead", flush=True)
        continue
    with open_store(sys.argv[1], "a") as store:
        n = int(store.steps_done[0])
        os.write(1, b"open 0\\n")
        while True:
            n += 1
            with store.transaction(str(n)) as t:
                write(t, n)
            os.write(1, b"done %d\\n" % n)
            if n % 7 == 0:
                store.finish()
"""


@pytest.mark.slow
def test_killed_at_random_moments_the_store_holds_the_old_or_the_new_state(tmp_path):
    path = tmp_path / "run"
    new_run(path).close()
    rng = random.Random(0)
    with subprocess.Popen(
        [sys.executable, "-c", NURSERY, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as nursery:
        assert nursery.stdin is not None
        assert nursery.stdout is not None
        last = 0
        for _ in range(15):
            nursery.stdin.write("go\n")
            nursery.stdin.flush()
            _, child = nursery.stdout.readline().split()
            assert nursery.stdout.readline() == "open 0\n"
            time.sleep(rng.uniform(0, 0.4))
            os.kill(int(child), signal.SIGKILL)
            told = [line.split() for line in iter(nursery.stdout.readline, "dead\n")]
            acknowledged = int(told[-1][1]) if told else last
            now = state_of(path)
            assert now in (acknowledged, acknowledged + 1)
            assert not [problem for problem in verify(path) if problem.is_damage]
            last = now
        nursery.stdin.close()
    assert last > 15
    with open_store(path, "a") as store:
        store.finish()
    assert verify(path) == []
    names = [file.name for file in (path / "store").rglob("*")]
    assert not [name for name in names if "#" in name or name.endswith(".partial")]


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 2 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(place)]
    if shutil.which("mount") is None or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small file system needs root on Linux")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_full_disk_is_named_and_loses_nothing(small_disk):
    path = small_disk / "run"
    store = new_run(path)
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(700_000))
    n = 0

    def fill_up() -> None:
        nonlocal n
        while n < 200:
            with store.transaction("more") as t:
                write(t, n + 1)
            n += 1

    with pytest.raises(StoreError, match="No space left on device") as caught:
        fill_up()
    assert str(path) in str(caught.value)
    assert caught.value.exit_code == 1
    assert state_of(path) == n > 0
    ballast.unlink()
    with store.transaction("again") as t:
        write(t, n + 1)
    assert state_of(path) == n + 1
    store.close()


def test_no_run_comes_to_be_on_a_full_disk(small_disk):
    with contextlib.suppress(OSError):
        (small_disk / "ballast").write_bytes(bytes(4_000_000))
    with pytest.raises(StoreError, match="No space left on device"):
        create_store(small_disk / "run", "x" * 5000, "ab" * 32, {}, {})
    (small_disk / "ballast").unlink()
    new_run(small_disk / "run").close()
    assert state_of(small_disk / "run") == 0


def test_a_folder_without_permission_is_named(tmp_path):
    if os.geteuid() == 0:
        # root may write anywhere but here
        with pytest.raises(StoreError, match="/proc/run: cannot be made: No such file"):
            create_store("/proc/run", "", "ab" * 32, {}, {})
        return
    tmp_path.chmod(0o500)
    with pytest.raises(StoreError, match="cannot be made: Permission denied"):
        create_store(tmp_path / "run", "", "ab" * 32, {}, {})


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    path = tmp_path_factory.mktemp("finished") / "run"
    with new_run(path) as store:
        for n in range(1, 4):
            with store.transaction("more") as t:
                write(t, n)
                t.write_snapshots(range(3), [n], {"w": np.random.default_rng(n).normal(size=(3, 1, 300))})
        store.finish()
    return path


def files_of(path: Path) -> list[Path]:
    return sorted(file for file in path.rglob("*") if file.is_file() and file.name != ".lock")


def test_one_flipped_bit_in_any_file_of_a_finished_run_is_found(finished):
    assert verify(finished) == []
    rng = random.Random(1)
    files = files_of(finished)
    assert len(files) > 10
    for file in files:
        sound = file.read_bytes()
        for _ in range(5):
            bit = rng.randrange(8 * len(sound))
            flipped = bytearray(sound)
            flipped[bit // 8] ^= 1 << bit % 8
            file.write_bytes(flipped)
            found = verify(finished)
            assert [(p.file, p.kind) for p in found] == [(file.relative_to(finished).as_posix(), "changed")]
        file.write_bytes(sound)
    assert verify(finished) == []


def test_missing_and_extra_files_of_a_finished_run_are_found(finished):
    for file in files_of(finished):
        aside = finished.parent / "aside"
        file.rename(aside)
        found = verify(finished)
        if file.name == "checksums.json":
            assert [problem.kind for problem in found] == ["unfinished"]
        else:
            assert [(p.file, p.kind) for p in found] == [(file.relative_to(finished).as_posix(), "missing")]
        aside.rename(file)
    extra = finished / "store" / "chunks" / "EXTRA"
    extra.symlink_to("/etc/hostname")
    assert [(p.file, p.kind) for p in verify(finished)] == [("store/chunks/EXTRA", "extra")]
    extra.unlink()
    assert verify(finished) == []


def test_damaged_bookkeeping_of_a_finished_run_stops_its_opening(finished):
    (file,) = (finished / "store" / "refs").rglob("ref.json")
    sound = file.read_bytes()
    file.write_bytes(sound.replace(b'"', b"'", 1))
    with pytest.raises(
        StoreError, match=r"store/refs/branch.main/ref.json: changed since the run was finished"
    ):
        open_store(finished)
    file.write_bytes(sound)
    open_store(finished)


def test_a_write_takes_the_checksums_away(tmp_path):
    with new_run(tmp_path / "run") as store:
        store.finish()
        assert store.is_finished
        with store.transaction("more") as t:
            write(t, 1)
        assert not store.is_finished
        assert [problem.kind for problem in verify(tmp_path / "run")] == ["unfinished"]
        store.finish()
        store.update_provenance({"host": "x"})
        assert not store.is_finished
        store.finish()
    assert verify(tmp_path / "run") == []


@pytest.mark.slow
def test_damaged_or_missing_chunks_of_an_unfinished_run_are_errors(tmp_path):
    path = tmp_path / "run"
    new_run(path).close()
    assert [(p.kind, p.is_damage) for p in verify(path)] == [("unfinished", False)]
    chunks = sorted((path / "store" / "chunks").iterdir())
    assert len(chunks) == 2  # the norm and the weights, of which everything else is a function
    rng = random.Random(2)
    for chunk in chunks:
        sound = chunk.read_bytes()
        for _ in range(20):
            bit = rng.randrange(8 * len(sound))
            flipped = bytearray(sound)
            flipped[bit // 8] ^= 1 << bit % 8
            chunk.write_bytes(flipped)
            damage = [problem for problem in verify(path) if problem.is_damage]
            assert damage
            assert "checksum does not match" in str(damage[0])
        chunk.unlink()
        assert "No such file or directory" in str(verify(path)[1])
        store = open_store(path)
        with pytest.raises(StoreError, match="cannot be read"):
            _ = (store.read_checkpoint(1), store.read_measures().norm.load())
        chunk.write_bytes(sound)
    assert state_of(path) == 0


def test_a_chunk_that_the_store_does_not_know_is_an_error_not_a_fill_value(tmp_path):
    with new_run(tmp_path / "run") as store:
        tree = store._tree
        info = tree.info("measures/slow/norm")
        grown = type(info)((40, *info.shape[1:]), info.chunks, info.dtype, info.dims, info.attributes)
        tree._known["measures/slow/norm"] = grown
        with pytest.raises(Exception, match=r"chunk \[2, 0, 0\] of measures/slow/norm is missing"):
            tree.read("measures/slow/norm", [np.array([33]), np.array([0])])


@pytest.mark.slow
def test_files_and_open_files_stay_bounded_over_150_commits(tmp_path):
    def files() -> int:
        return sum(len(names) for _, _, names in os.walk(tmp_path))

    most, first = 0, files()
    with new_run(tmp_path / "run") as store:
        first = files()
        for n in range(1, 151):
            with store.transaction("more") as t:
                t.write_measures("quick", range(3), [n], {"loss": np.full((3, 1), n, np.float32)})
                t.mark(range(3), steps_done=n)
            if n % 10 == 0:
                most = max(most, files())
        store.finish()
        np.testing.assert_array_equal(store.read_measures().loss.sel(seed=1), np.arange(151))
    # per commit: manifests of three arrays, a snapshot, its log, and at most two chunks; kept for 40 commits
    assert most < first + 40 * 8
    assert files() < first + 5
    assert verify(tmp_path / "run") == []
