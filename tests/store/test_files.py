"""The files of a run: whole or not there, durable in the right order; how a folder becomes a run."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import pytest

from grokscope.errors import InputError, StoreError
from grokscope.files import atomic_write, explain
from grokscope.runs.folders import verify
from grokscope.store import folder as _folder
from grokscope.store.disk import clean_leftovers, remove_tree, walk_files
from grokscope.store.folder import find_run, lock_folder, populate_folder, require_run
from grokscope.store.open import create_store, open_store
from numbered_runs import new_run
from store_tests import open_files

FILES = {"experiment.toml": "epochs = 3\n", "provenance.json": "{}\n"}


# --- single files ---


def test_a_file_is_durable_before_it_has_its_name_and_the_name_after(tmp_path, disk):
    file, before = tmp_path / "a", open_files()
    atomic_write(file, b"content")
    assert file.read_bytes() == b"content"
    assert disk.synced(file) < disk.named("a") < disk.synced(tmp_path)
    assert open_files() == before


def test_a_write_that_fails_keeps_what_was_there_and_leaves_nothing(tmp_path, monkeypatch):
    file = tmp_path / "a"
    atomic_write(file, b"old")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match=f"{file}: cannot be written: No space left on device"):
        atomic_write(file, b"new")
    assert file.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a"]


def test_all_files_below_a_folder_links_not_followed(tmp_path):
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "x").touch()
    folder = tmp_path / "folder"
    (folder / "b" / "c").mkdir(parents=True)
    for name in ("b/c/2", "b/1", "a"):
        (folder / name).touch()
    (folder / "link").symlink_to(tmp_path / "outside")
    assert [file.relative_to(folder).as_posix() for file in walk_files(folder)] == [
        "a", "b/1", "b/c/2", "link"
    ]  # fmt: skip


def test_leftovers_of_killed_writes_are_removed_and_nothing_else(tmp_path):
    (tmp_path / "below").mkdir()
    names = {"sound", "below/chunk", "below/chunk#", ".hidden", "below/x.partial"}
    for name in (*names, "below/chunk#12", ".a.partial"):
        (tmp_path / name).touch()
    clean_leftovers(tmp_path)
    assert {file.relative_to(tmp_path).as_posix() for file in walk_files(tmp_path)} == names


def test_a_folder_that_is_not_there_need_not_be_removed(tmp_path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    remove_tree(tmp_path / "a")
    remove_tree(tmp_path / "a")
    assert os.listdir(tmp_path) == []


def test_an_error_of_the_store_is_kept_as_it_is():
    error = StoreError("said already")
    assert explain("p", "fails", error) is error


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "No space left on device"),
        (OSError("odd"), "odd"),
        (RuntimeError(""), "RuntimeError"),
        (RuntimeError("  x storage\n | object: Permission denied (os error 13)"), "Permission denied"),
        (RuntimeError("  x the thing broke\n  | context: ..."), "the thing broke"),
        # a chain of causes as the library draws it: the root is the last that has a mark of its own
        (RuntimeError("  x outer\n  |-> middle\n  `-> the only root\n"), "the only root"),
        (RuntimeError("  x outer\n  |-> middle\n  `-> first\n      `-> root of it\n"), "root of it"),
        (RuntimeError('code: "NoSuchBucket", message: "It is not there."'), "It is not there (NoSuchBucket)"),
        (RuntimeError('x code: "AccessDenied" y'), "the service refuses (AccessDenied)"),
        (RuntimeError("\n |\n  x said below a mark"), "said below a mark"),
    ],
)
def test_the_cause_of_an_error(error, cause):
    assert str(explain("p", "fails", error)) == f"p: fails: {cause}."


# --- making a run ---


def test_a_run_is_durable_before_it_is_one(tmp_path, disk):
    create_store(tmp_path / "run", "x = 1\n", "ab" * 32, {}, {}).close()
    run = tmp_path / "run"
    became = disk.named("store")
    for file in (run / "experiment.toml", run / "provenance.json", *walk_files(run / "store")):
        assert disk.synced(file) < became
    assert disk.synced(run) < disk.named("experiment.toml")  # first, that the folder is being made
    assert disk.synced(run, after=became)


def test_a_run_in_folders_that_are_not_there_yet(tmp_path):
    create_store(tmp_path / "a" / "b" / "run", "x = 1\n", "ab" * 32, {}, {}).close()
    assert verify(tmp_path / "a" / "b" / "run")[0].kind == "unfinished"


def test_a_run_that_cannot_be_made_leaves_the_folder_as_it_was(tmp_path):
    def fails(store: Path) -> None:
        store.mkdir()
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    lock = lock_folder(tmp_path / "run")
    with pytest.raises(StoreError, match=f"{tmp_path / 'run'}: cannot be written: No space left on device"):
        populate_folder(tmp_path / "run", FILES, fails)
    assert os.listdir(tmp_path / "run") == [".lock"]
    lock.release()


def test_a_run_that_is_one_stays_though_the_disk_fails_last(tmp_path, monkeypatch):
    sync = _folder.sync_folder

    def fails(folder: Path) -> None:
        if (folder / "store").exists():
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        sync(folder)

    monkeypatch.setattr(_folder, "sync_folder", fails)
    with pytest.raises(StoreError, match="cannot be written: Input/output error"):
        create_store(tmp_path, "x = 1\n", "ab" * 32, {}, {})
    assert open_store(tmp_path, "a").experiment_toml == "x = 1\n"


def assert_named(text: str, names: list[str]) -> None:
    """All are named, or the first of them and then a word that there are more."""
    said = text.split(", ")
    if said[-1] == "...":
        assert said[:-1] == names[: len(said) - 1]
        assert 1 < len(said) <= len(names)
    else:
        assert said == names


@pytest.mark.parametrize("count", range(1, 13))
def test_other_files_or_runs_in_a_folder_are_named(tmp_path, count):
    names = [f"name{i:02}" for i in range(count)]
    for name in (*names, ".DS_Store"):
        (tmp_path / "full" / name).mkdir(parents=True)
    with pytest.raises(InputError, match=r"holds other files \((.*)\); choose") as caught:
        populate_folder(tmp_path / "full", FILES, Path.mkdir)
    assert_named(str(caught.value).split("(")[1].split(")")[0], names)
    for name in (*names, ".hidden"):
        (tmp_path / "full" / name / "store").mkdir(parents=True)
    if count == 1:
        assert find_run(tmp_path / "full") == tmp_path / "full" / "name00"
        return
    with pytest.raises(InputError, match=f"holds {count} runs") as caught:
        find_run(tmp_path / "full")
    assert_named(str(caught.value).split("say which: ")[1].removesuffix("."), names)


def test_no_run_is_found_where_there_is_none(tmp_path):
    for path in (tmp_path, tmp_path / "absent"):
        with pytest.raises(InputError):
            find_run(path)
    (tmp_path / ".hidden" / "store").mkdir(parents=True)
    with pytest.raises(InputError, match="is not a run"):
        find_run(tmp_path)


def test_what_was_interrupted_or_lies_elsewhere_is_not_opened(tmp_path):
    (tmp_path / "begun" / ".creating").mkdir(parents=True)
    with pytest.raises(InputError, match="making this run was interrupted"):
        require_run(tmp_path / "begun")
    new_run(tmp_path / "run").close()
    (tmp_path / "run" / "store").rename(tmp_path / "elsewhere")
    (tmp_path / "run" / "store").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="store: is a link"):
        require_run(tmp_path / "run")


def test_a_newer_format_is_refused_before_the_store_is_looked_at(tmp_path):
    new_run(tmp_path / "run").close()
    shutil.rmtree(tmp_path / "run" / "store")
    (tmp_path / "run" / "store").mkdir()
    (tmp_path / "run" / "provenance.json").write_text('{"format_version": 2}')
    with pytest.raises(InputError, match=r"newer format version \(2; this version .* reads up to 1\)"):
        require_run(tmp_path / "run")
    for other in ('{"format_version": "2"}', "[]", "{"):  # it is for people; the store says so itself
        (tmp_path / "run" / "provenance.json").write_text(other)
        require_run(tmp_path / "run")
