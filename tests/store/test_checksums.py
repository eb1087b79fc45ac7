"""Checksums: their spelling, what they find, and what is refused when a run is opened or verified."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from grokscope.errors import InputError, StoreError
from grokscope.runs.folders import verify
from grokscope.store import checksums as _checksums
from grokscope.store.checksums import (
    check_files,
    drop_checksums,
    read_checksums,
    state_sha256,
    write_checksums,
)
from grokscope.store.lock import WriterLock
from grokscope.store.open import create_store, open_store
from numbered_runs import new_run, write

FILES = {"experiment.toml": "epochs = 3\n", "provenance.json": "{}\n"}


@pytest.fixture
def run(tmp_path):
    """A small folder with the files of a run, and checksums as an independent program writes them."""
    folder = tmp_path / "run"
    (folder / "store" / "chunks").mkdir(parents=True)
    for name, content in FILES.items():
        (folder / name).write_text(content)
    (folder / "store" / "refs").write_bytes(b"refs")
    (folder / "store" / "chunks" / "one").write_bytes(b"chunk")
    (folder / "arrays-x.safetensors").write_bytes(b"arrays")
    (folder / "report.html").write_text("not ours to judge")
    (folder / "checksums.json").write_bytes(CHECKSUMS)
    return folder


# docs/runs.md: sha256 of every file; the last line is the hash of all before it, without line breaks
CHECKSUMS = b"""{
 "files": {
  "arrays-x.safetensors": "381d5d94e168a810f723a90993e1a424589391db725bf0a4d9b91579f757ddc6",
  "experiment.toml": "4f9956ddafcb72d47aa00744489aed038070f7e3097ddc95fbf9e28893edbeab",
  "provenance.json": "ca3d163bab055381827226140568f3bef7eaac187cebd76878e0b63e9e442356",
  "store/chunks/one": "6c87f68371b28954707ebb92afee7ccffb74c6f71ec8fea8a98cf6104289585b",
  "store/refs": "e812cd2db8f9490936cf5228b2824e4e442987905f8e4cbde97bcba867d38949"
 },
 "format_version": 1,
 "snapshot": "SNAP",
 "zz_sha256": "ac78738ecb2a7d86890b19fa657c88cb8734850a2543f9b1a97596f63956c358"
}
"""


def test_checksums_are_written_as_older_versions_did(run):
    assert check_files(run) == []
    written = (run / "checksums.json").read_bytes()
    drop_checksums(run)
    drop_checksums(run)
    assert read_checksums(run) is None
    write_checksums(run, 1, "SNAP")
    assert (run / "checksums.json").read_bytes() == written


def test_checksums_have_one_spelling(run):
    table = json.loads((run / "checksums.json").read_bytes())
    for other in (
        json.dumps(table),
        json.dumps(dict(reversed(table.items())), indent=1) + "\n",
        CHECKSUMS.decode().rstrip("\n"),
        json.dumps({**table, "files": dict(reversed(table["files"].items()))}, indent=1) + "\n",
    ):
        (run / "checksums.json").write_text(other)
        with pytest.raises(StoreError, match=r"checksums.json: is damaged"):
            read_checksums(run)
        assert [(p.file, p.kind) for p in check_files(run)] == [("checksums.json", "changed")]


def test_checksums_are_durable_and_so_is_all_that_they_speak_of(run, disk):
    write_checksums(run, 1, "SNAP")
    there = disk.named("checksums.json")
    for name in (
        "experiment.toml",
        "provenance.json",
        "arrays-x.safetensors",
        "store/refs",
        "store/chunks/one",
    ):
        assert disk.synced(run / name) < there
    for name in ("", "store", "store/chunks"):
        assert disk.synced(run / name) < there
    gone = len(disk.asked)
    drop_checksums(run)
    assert disk.synced(run, after=gone - 1) == gone


def test_looking_asks_nothing_of_the_disk(run, disk):
    assert check_files(run) == []
    assert disk.asked == []


def test_what_may_have_happened_to_a_file_of_a_finished_run(run):
    (run / "experiment.toml").rename(run / "store" / "chunks" / "moved")
    (run / "store" / "chunks" / "one").unlink()
    (run / "store" / "chunks" / "one").mkdir()
    (run / "arrays-x.safetensors").write_bytes(b"changed")
    (run / "arrays-y.safetensors").write_bytes(b"of a longer run that was given up")
    # a link is not the file that was there, even to the same bytes
    (run / "store" / "refs").rename(run.parent / "refs")
    (run / "store" / "refs").symlink_to(run.parent / "refs")
    assert {(p.file, p.kind) for p in check_files(run)} == {
        ("experiment.toml", "missing"),
        ("store/chunks/moved", "extra"),
        ("store/chunks/one", "unreadable"),
        ("arrays-x.safetensors", "changed"),
        ("store/refs", "changed"),
    }
    # without the chunks and arrays, which have hashes of their own
    assert {(p.file, p.kind) for p in check_files(run, chunks=False)} == {
        ("experiment.toml", "missing"),
        ("store/refs", "changed"),
    }


def test_a_run_without_its_store_is_missing_all_its_files(run):
    shutil.rmtree(run / "store")
    assert {(p.file, p.kind) for p in check_files(run)} == {
        ("store/refs", "missing"),
        ("store/chunks/one", "missing"),
    }


def test_a_state_without_axes_has_the_hash_of_its_bytes():
    """sha256 over the name, type and shape as JSON, then the little-endian bytes."""
    expected = hashlib.sha256(b'["b", "<f8", []]' + bytes(6) + b"\xf0\x3f")
    assert state_sha256({"b": np.array(1.0)}) == expected.hexdigest()


# --- verify ---


def test_only_a_run_can_be_verified(tmp_path):
    with pytest.raises(InputError, match="no such folder"):
        verify(tmp_path / "absent")
    with pytest.raises(InputError, match="is not a run"):
        verify(tmp_path)


def test_an_unfinished_run_without_some_of_its_files(tmp_path):
    new_run(tmp_path / "run").close()
    (tmp_path / "run" / "provenance.json").unlink()
    assert [(p.file, p.kind) for p in verify(tmp_path / "run")] == [
        ("checksums.json", "unfinished"),
        ("provenance.json", "missing"),
    ]
    shutil.rmtree(tmp_path / "run" / "store" / "refs")
    (tmp_path / "run" / "store" / "repo").unlink(missing_ok=True)
    found = verify(tmp_path / "run")
    assert [(p.file, p.kind) for p in found[1:]] == [("provenance.json", "missing"), ("store", "unreadable")]
    assert "cannot be opened" in found[-1].message


# --- opening ---


@pytest.fixture
def finished(tmp_path):
    with new_run(tmp_path / "finished") as store:
        with store.transaction("more") as t:
            write(t, 1)
        store.finish()
    return tmp_path / "finished"


def test_a_finished_run_with_a_damaged_chunk_opens_and_the_rest_can_be_read(finished):
    for chunk in (finished / "store" / "chunks").iterdir():
        chunk.write_bytes(bytes(chunk.stat().st_size))
    data = open_store(finished).read_measures()
    assert data.loss.values.tolist() == [[0, 1]] * 3
    with pytest.raises(StoreError, match="measure 'norm' cannot be read"):
        data.norm.load()


def test_all_that_is_changed_of_a_finished_run_is_counted(finished):
    (finished / "experiment.toml").write_text("x = 2\n")
    with pytest.raises(StoreError, match=r"experiment.toml: changed since the run was finished\.$"):
        open_store(finished)
    (finished / "provenance.json").unlink()
    with pytest.raises(StoreError, match=r"experiment.toml: changed since .* \(and 1 more\)\.$"):
        open_store(finished)


def test_an_opening_that_fails_gives_the_lock_back(finished):
    (finished / "experiment.toml").write_text("x = 2\n")
    with pytest.raises(StoreError, match="changed"):
        open_store(finished, "a")
    WriterLock.acquire(finished).release()


def test_leftovers_go_when_an_unfinished_run_is_opened_for_writing_or_finished(finished, tmp_path):
    def leave(run: Path) -> Path:
        leftover = run / "store" / "chunks" / "ABC#1"
        leftover.touch()
        return leftover

    new_run(tmp_path / "run").close()
    leftover = leave(tmp_path / "run")
    open_store(tmp_path / "run")
    assert leftover.exists()
    with open_store(tmp_path / "run", "a") as store:
        assert not leftover.exists()
        leave(tmp_path / "run")
        store.finish()
        assert not leftover.exists()
    assert verify(tmp_path / "run") == []
    leftover = leave(finished)
    open_store(finished, "a").close()  # of a finished run nothing is changed by opening it
    assert leftover.exists()


def test_a_run_with_links_among_its_files_is_not_written(tmp_path):
    new_run(tmp_path / "run").close()
    chunk = min((tmp_path / "run" / "store" / "chunks").iterdir())
    chunk.rename(tmp_path / "elsewhere")
    chunk.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreError, match="is a link; a run's files lie in its own folder"):
        open_store(tmp_path / "run", "a")
    assert len(open_store(tmp_path / "run").read_measures().norm.values) == 3


def test_what_is_no_run_is_not_touched_by_opening_it_for_writing(tmp_path):
    with pytest.raises(InputError, match="no such folder"):
        open_store(tmp_path / "absent", "a")
    with pytest.raises(InputError, match="is not a run"):
        open_store(tmp_path, "a")
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_may_not_be_opened_is_not_made_over_either(tmp_path):
    new_run(tmp_path / "run").close()
    (tmp_path / "run" / "store").rename(tmp_path / "elsewhere")
    (tmp_path / "run" / "store").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="store: is a link"):
        create_store(tmp_path / "run", "x = 1\n", "ab" * 32, {}, {}, exist_ok=True)
    WriterLock.acquire(tmp_path / "run").release()


@pytest.mark.parametrize("finishes", [True, False])
def test_what_a_writer_changes_meanwhile_is_no_damage(run, monkeypatch, finishes):
    sha256, left = _checksums._sha256, [1]

    def changed_meanwhile(file, **options):
        if left:
            left.pop()
            drop_checksums(run)
            (run / "experiment.toml").write_text("epochs = 4")
            (run / "store" / "chunks" / "one").unlink()
            if finishes:
                write_checksums(run, 1, "NEXT")
        return sha256(file, **options)

    monkeypatch.setattr(_checksums, "_sha256", changed_meanwhile)
    assert [problem.kind for problem in check_files(run)] == ([] if finishes else ["unfinished"])
