"""The run store: what is written is read back, labelled; formats that others can read; folders; locks."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from grokscope.errors import InputError, StoreError
from grokscope.store.arrays import ArrayInfo
from grokscope.store.checksums import check_files, state_sha256
from grokscope.store.disk import walk_files
from grokscope.store.folder import find_run, is_run
from grokscope.store.lock import CommitLock
from grokscope.store.open import create_store, open_store
from grokscope.store.run_store import RunStore
from store_tests import plain

IDENTITY = "ab" * 32


def make(path: Path, **options: object) -> RunStore:
    return create_store(path, "epochs = 3\n", IDENTITY, {"jax": "0"}, {"host": "h"}, **options)  # type: ignore[arg-type]


@pytest.fixture
def run(tmp_path: Path):
    with make(tmp_path / "run", steps_per_epoch=32) as store:
        yield store


NEW_FILES = [".gitattributes", ".lock", "experiment.toml", "provenance.json", "store"]


def test_a_new_run_has_its_files_and_facts(run):
    assert run.experiment_toml == "epochs = 3\n"
    assert run.identity == IDENTITY
    assert run.fingerprint == {"jax": "0"}
    assert run.provenance == {"host": "h", "format_version": 1}
    assert run.seeds == []
    assert run.read_measures().sizes == {"seed": 0, "step": 0}
    assert sorted(os.listdir(run.path)) == NEW_FILES
    run.update_provenance({"host": "other"})
    assert run.provenance["host"] == "other"


def test_members_are_added_once_in_order_and_marked(run):
    with run.transaction("members") as t:
        t.add_members([*plain(3, 1), (1, 2, 3, 4)])
    with run.transaction("more") as t:
        t.add_members(plain(1, 0, 3))
        t.mark([1, 3], steps_done=np.array([64, 32]), complete=np.array([True, False]))
        t.mark([0], diverged_step=7)
    assert run.seeds == [*plain(3, 1), (1, 2, 3, 4), *plain(0)]
    again = open_store(run.path)
    assert again.seeds == run.seeds
    assert again.steps_done.tolist() == [0, 64, 0, 32]
    assert again.complete.tolist() == [False, True, False, False]
    assert again.diverged_step.tolist() == [7, -1, -1, -1]


def test_measures_of_any_blocks_and_steps_come_back_sorted(run):
    rng = np.random.default_rng(0)
    n_members, steps = 37, np.array([*range(800), 10_000])
    loss = rng.normal(size=(n_members, len(steps))).astype(np.float32)
    count = rng.integers(-5, 5, (n_members, len(steps))).astype(np.int32)
    norm = rng.normal(size=(n_members, len(steps), 3, 2))
    order = rng.permutation(n_members)
    with run.transaction("members") as t:
        t.add_members(plain(*order.tolist()))
        t.mark(range(n_members), steps_done=10_000)
    blocks = [np.sort(block) for block in np.array_split(rng.permutation(n_members), 5)]
    for block in blocks:
        for columns in (slice(300, 801), slice(0, 300)):  # steps in no particular order
            with run.transaction("measures") as t:
                where = np.ix_(order[block], np.arange(len(steps))[columns])
                t.write_measures(
                    "quick",
                    block,
                    steps[columns],
                    {"loss": loss[where], "count": count[where], "norm": norm[where]},
                    dims={"norm": ("subnetwork", "split")},
                    labels={"subnetwork": ["a", "b", "c"], "split": ["train", "test"]},
                    units={"loss": "nats"},
                )
    data = open_store(run.path).read_measures()
    assert data.loss.dims == ("seed", "step")
    assert data.norm.dims == ("seed", "step", "subnetwork", "split")
    np.testing.assert_array_equal(data.seed, np.arange(n_members))
    np.testing.assert_array_equal(data.step, steps)
    np.testing.assert_array_equal(data.epoch, steps / 32)
    assert data.loss.dtype == np.float32
    assert data.loss.attrs == {"units": "nats"}
    np.testing.assert_array_equal(data.loss.values, loss)
    np.testing.assert_array_equal(data["count"].values, count)
    np.testing.assert_array_equal(data.norm.values, norm)
    np.testing.assert_array_equal(
        data.norm.sel(seed=[5, 2], step=[10_000, 31], subnetwork="b", split="test").values,
        norm[np.ix_([5, 2], [800, 31], [1], [1])][..., 0, 0],
    )
    assert data.loss.isel(seed=3, step=-1).item() == loss[3, -1]
    np.testing.assert_array_equal(data.norm[::-2, 5:700:3].values, norm[::-2, 5:700:3])


def test_what_was_not_measured_is_nan_and_schedules_are_joined(run):
    with run.transaction("all") as t:
        t.add_members(plain(0, 1))
        t.write_measures("quick", [0], [0, 32, 64, 96], {})
        t.write_measures(
            "quick", [0], [0, 32], {"count": np.array([[4, 5]]), "right": np.array([[True, False]])}
        )
        t.write_measures("slow", [1], [0, 48], {"probe": np.array([[1.0, np.nan]])})
        t.write_measures("extra", [1], [32], {"count": np.array([[9]])})
        t.mark([0, 1], steps_done=64)
    data = run.read_measures()
    assert data.step.values.tolist() == [0, 32, 48, 64]  # 96 has not been reached
    nan = np.nan
    np.testing.assert_array_equal(data["count"], [[4, 5, nan, nan], [nan, 9, nan, nan]])
    np.testing.assert_array_equal(data.right, [[1, 0, nan, nan], [nan] * 4])
    np.testing.assert_array_equal(data.probe, [[nan] * 4, [1, nan, nan, nan]])
    assert run.read_measure("probe").step.values.tolist() == [0, 48]
    assert run.measures == {"quick": ["count", "right"], "slow": ["probe"], "extra": ["count"]}
    assert data.steps_done.values.tolist() == [64, 64]


def test_crossed_streams_are_axes(run):
    members = [(0, d, o, 5) for d in (7, 3) for o in (1, 2, 9)][:-1]
    with run.transaction("all") as t:
        t.add_members(members)
        t.write_measures("quick", range(5), [0], {"loss": np.arange(5.0)[:, None]})
        t.mark([4], diverged_step=0)
    data = run.read_measures()
    assert data.loss.dims == ("data_seed", "order_seed", "step")
    assert (data.init_seed.item(), data.noise_seed.item()) == (0, 5)
    for i, (_, d, o, _) in enumerate(members):
        assert data.loss.sel(data_seed=d, order_seed=o, step=0).item() == i
    assert np.isnan(data.loss.sel(data_seed=3, order_seed=9, step=0).item())
    assert data.diverged_step.sel(data_seed=3).values.tolist() == [-1, 0, -1]


def test_streams_that_vary_together_share_an_axis(run):
    with run.transaction("all") as t:
        t.add_members([(s, s, o, s) for s in (4, 6) for o in (0, 1)])
        t.write_measures("quick", range(4), [0], {"loss": np.arange(4.0)[:, None]})
    data = run.read_measures()
    assert data.loss.dims == ("init_seed", "order_seed", "step")
    assert data.data_seed.dims == ("init_seed",)
    np.testing.assert_array_equal(data.loss[..., 0], [[0, 1], [2, 3]])


def test_seeds_drawn_at_random_stay_a_list(run):
    seeds = [tuple(int(s) for s in row) for row in np.random.default_rng(0).integers(0, 25, (30, 4))]
    with run.transaction("all") as t:
        t.add_members(seeds)
        t.write_measures("quick", range(30), [0], {"loss": np.arange(30.0)[:, None]})
    data = run.read_measures()
    assert data.loss.dims == ("member", "step")
    assert data.order_seed.values.tolist() == [seed[2] for seed in seeds]


def test_looking_at_one_measure_reads_no_other(run):
    with run.transaction("all") as t:
        t.add_members(plain(*range(3)))
        t.write_measures("quick", range(3), [0], {"small": np.ones((3, 1))})
        big = np.random.default_rng(0).normal(size=(3, 1, 5000))
        t.write_measures("quick", range(3), [0], {"big": big}, dims={"big": ("neuron",)})
    data = open_store(run.path).read_measures()
    for chunk in (run.path / "store" / "chunks").iterdir():
        chunk.unlink()
    assert data.small.values.sum() == 3  # it is small enough to lie in the bookkeeping
    with pytest.raises(StoreError, match="measure 'big' cannot be read"):
        data.big.load()


def test_checkpoints_snapshots_and_subnetworks(run):
    rng = np.random.default_rng(1)
    w = rng.normal(size=(20, 2, 5, 3)).astype(np.float32)
    key = rng.integers(0, 2**32, (20, 2), dtype=np.uint32)
    on = rng.random((20, 4)) < 0.5
    with run.transaction("all") as t:
        t.add_members(plain(*range(20)))
        first = t.write_checkpoint(range(20), 32, {"params.w": w[:, 0], ".key": key, "on": on})
        t.write_checkpoint(
            [3, 17], np.array([64, 96]), {"params.w": w[[3, 17], 1], ".key": key[:2], "on": on[:2]}
        )
        t.write_snapshots([2, 5], [96, 0], {"w": w[[2, 5]], "bias/b": np.ones((2, 2))})
        masks = rng.random((2, 3, 7)) < 0.5
        t.write_subnetworks("accuracy", [1, 4], masks, steps=np.array([32, 64]), labels=["g", "c", "m"])
        t.note(other_numerics=["jax: 1 there, 2 here"])
    store = open_store(run.path)
    point = store.read_checkpoint(0)
    assert point.step == 32
    assert point.sha256 == first[0] == state_sha256({"params.w": w[0, 0], ".key": key[0], "on": on[0]})
    assert {name: leaf.dtype for name, leaf in point.leaves.items()} == {
        "params.w": np.dtype("f4"), ".key": np.dtype("u4"), "on": np.dtype(bool)
    }  # fmt: skip
    points = store.read_checkpoints([17, 3])
    assert [p.step for p in points] == [96, 64]
    np.testing.assert_array_equal(points[0].leaves["params.w"], w[17, 1])
    np.testing.assert_array_equal(points[1].leaves[".key"], key[0])
    assert store.checkpoint_trail(3) == {32: first[3], 64: points[1].sha256}
    assert (store.snapshot_steps(2), store.snapshot_steps(3)) == ([0, 96], [])
    np.testing.assert_array_equal(store.read_snapshot(5, 0)["w"], w[5, 1])
    assert set(store.read_snapshot(2, 96)) == {"w", "bias/b"}
    with pytest.raises(KeyError):
        store.read_snapshot(2, 32)
    found = store.read_subnetworks("accuracy", 4)
    assert found is not None
    assert (found.step, found.labels, found.masks.dtype) == (64, ("g", "c", "m"), bool)
    np.testing.assert_array_equal(found.masks, masks[1])
    assert store.read_subnetworks("accuracy", 0) is store.read_subnetworks("accuracy", 19) is None
    assert store.read_subnetworks("predictions", 4) is None
    assert store.flavors == ["accuracy"]
    assert store.notes == {"other_numerics": ["jax: 1 there, 2 here"]}


def test_any_zarr_reader_reads_the_store(run):
    """An independent reader agrees: zarr's own arrays on icechunk's own repository."""
    import icechunk
    import zarr

    rng = np.random.default_rng(2)
    loss, wide = rng.normal(size=(18, 600)), rng.normal(size=(18, 40, 2000)).astype(np.float32)
    with run.transaction("all") as t:
        t.add_members(plain(*range(18)))
        t.write_measures("quick", range(18), range(600), {"loss": loss})
        t.write_measures("slow", range(18), range(40), {"wide": wide}, dims={"wide": ("neuron",)})
    repository = icechunk.Repository.open(icechunk.local_filesystem_storage(str(run.path / "store")))
    root = zarr.open_group(repository.readonly_session("main").store, mode="r")
    np.testing.assert_array_equal(root["measures/quick/loss"][:], loss)
    np.testing.assert_array_equal(root["measures/slow/wide"][:], wide)
    assert root["measures/slow/wide"].metadata.dimension_names == ("member", "step", "neuron")
    assert all(1e5 <= np.prod(a.chunks) * a.dtype.itemsize <= 4e6 for a in [root["measures/slow/wide"]])
    np.testing.assert_array_equal(root["members/seed_data"][:], np.arange(18))
    assert sorted(root.attrs["arrays"]) == sorted(
        f"{group}/{name}".removeprefix("/")
        for group in ("members", "measures/quick", "measures/slow")
        for name, _ in root[group].arrays()
    )


def test_a_failed_transaction_changes_nothing(run):
    with run.transaction("first") as t:
        t.add_members(plain(0, 1))
        t.write_measures("quick", [0, 1], [0], {"loss": np.zeros((2, 1))})

    def fail():
        with run.transaction("fails") as t:
            t.add_members(plain(2))
            t.write_measures("quick", [0, 1], [0, 9], {"loss": np.ones((2, 2))})
            t.mark([0], steps_done=9)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    for store in (run, open_store(run.path)):
        assert store.seeds == plain(0, 1)
        np.testing.assert_array_equal(store.read_measures().loss, [[0], [0]])
    with run.transaction("works again") as t:
        t.write_measures("quick", [1], [5], {"loss": np.full((1, 1), 5.0)})
        t.mark([1], steps_done=5)
    assert run.read_measures().step.values.tolist() == [0, 5]


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (([0], [0], {"loss": np.zeros((2, 1))}), "is not 1 members x 1 steps"),
        (([5], [0], {"loss": np.zeros((1, 1))}), "not positions in 0..1"),
        (([0, 0], [0], {"loss": np.zeros((2, 1))}), "each once"),
        (([0], [-1], {"loss": np.zeros((1, 1))}), "numbers from 0"),
        (([0], [0], {"loss": np.zeros((1, 1), np.complex64)}), "differ|cannot be stored"),
        (([0], [0], {"known": np.zeros((1, 1), np.float64)}), "differ from what is stored"),
    ],
)
def test_wrong_writes_are_refused(run, arguments, match):
    with run.transaction("first") as t:
        t.add_members(plain(0, 1))
        t.write_measures("quick", [0], [0], {"known": np.zeros((1, 1), np.float32)})
    with pytest.raises((ValueError, TypeError), match=match), run.transaction("wrong") as t:
        t.write_measures("quick", *arguments)


def test_a_record_of_the_store_that_is_of_another_type_is_damage(run):
    with run.transaction("first") as t:
        t.add_members(plain(0))
        t._tree.create({"measured/to": ArrayInfo.of(np.dtype(np.int32), ("member", "step"), ())})
    with (
        pytest.raises(StoreError, match=r"measured/to: its type, axes or labels"),
        run.transaction("more") as t,
    ):
        t.mark_measured([0], ["train_loss"], 5)


def test_an_unknown_measure_is_named(run):
    with run.transaction("first") as t:
        t.add_members(plain(0))
        t.write_measures("quick", [0], [0], {"train_loss": np.zeros((1, 1))})
    with pytest.raises(InputError, match=r"'trian_loss' is not in the run. Did you mean 'train_loss'\?"):
        run.read_measures(["trian_loss"])


def test_readers_see_the_commit_they_opened(run):
    with run.transaction("first") as t:
        t.add_members(plain(0))
        t.write_measures("quick", [0], [0], {"loss": np.zeros((1, 1))})
    reader = open_store(run.path)
    old = reader.read_measures()
    for i in range(1, 20):
        with run.transaction("more") as t:
            t.write_measures("quick", [0], [i], {"loss": np.full((1, 1), i)})
            t.mark([0], steps_done=i)
    assert old.loss.values.tolist() == [[0]]
    assert reader.steps_done.tolist() == [0]
    reader.refresh()
    assert reader.read_measures().loss.values.tolist() == [list(range(20))]


def write_loss(run, i):
    """A commit with one more step, larger than what the library keeps in its own files."""
    with run.transaction("more") as t:
        t.add_members(plain(*range(8)))
        t.write_measures("quick", range(8), [i], {"loss": np.random.default_rng(i).normal(size=(8, 1, 500))},
                         dims={"loss": ("x",)})  # fmt: skip
        t.mark(range(8), steps_done=i)


def stored_files(run):
    return {file.relative_to(run.path).as_posix() for file in walk_files(run.path / "store")}


@pytest.mark.slow
def test_a_commit_is_kept_as_long_as_it_is_read(run):
    write_loss(run, 1)
    reader, loss = open_store(run.path), open_store(run.path).read_measures().loss  # the array keeps it, too
    expected = open_store(run.path).read_measures().loss.values
    for i in range(2, 60):  # collects old commits twice
        write_loss(run, i)
    run.finish()
    assert check_files(run.path) == []
    np.testing.assert_array_equal(loss.values, expected)
    del loss
    run.finish()
    np.testing.assert_array_equal(reader.read_measures().loss.values, expected)
    assert (reader.steps_done.tolist(), run.keeps_old) == ([1] * 8, True)
    kept = stored_files(run)
    reader.refresh()
    assert reader.read_measures().loss.sizes["step"] == 59
    run.finish()
    assert not run.keeps_old
    assert stored_files(run) < kept
    assert check_files(run.path) == []


def test_a_reader_whose_commit_is_removed_while_it_opens_reads_the_newest(run, monkeypatch):
    write_loss(run, 1)
    shared, left = CommitLock.shared, [1]

    def removed_meanwhile(file):
        if left:
            left.pop()
            write_loss(run, 2)
            run.finish()
            assert not file.exists()
        return shared(file)

    monkeypatch.setattr(CommitLock, "shared", removed_meanwhile)
    reader = open_store(run.path)
    monkeypatch.undo()
    write_loss(run, 3)
    run.finish()
    assert reader.read_measures().loss.step.values.tolist() == [1, 2]
    assert reader.read_measures().loss.notnull().all()


def test_a_reader_without_a_lock_is_told_to_open_the_run_again(run, monkeypatch):
    write_loss(run, 1)
    monkeypatch.setattr(CommitLock, "shared", lambda file: None)
    loss = open_store(run.path).read_measures().loss
    write_loss(run, 2)
    run.finish()
    match = (
        "measure 'loss' cannot be read: No such file .*; if it was written since it was opened, open it again"
    )
    with pytest.raises(StoreError, match=match):
        _ = loss.values


def test_a_reader_cannot_write(run):
    with pytest.raises(RuntimeError, match="reading only"), open_store(run.path).transaction("x"):
        pass


def test_a_moved_run_opens(run, tmp_path):
    with run.transaction("first") as t:
        t.add_members(plain(8))
    run.finish()
    run.close()
    shutil.move(run.path, tmp_path / "elsewhere")
    assert open_store(tmp_path / "elsewhere", "a").seeds == plain(8)


# --- folders ---


def test_create_refuses_what_is_not_its_own(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="is a file"):
        make(tmp_path / "file")
    with pytest.raises(InputError, match="is a file, or lies below one"):
        make(tmp_path / "file" / "below")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "experiment.toml").write_text("mine")
    with pytest.raises(InputError, match=r"holds other files \(experiment.toml\)"):
        make(tmp_path / "full")
    assert (tmp_path / "full" / "experiment.toml").read_text() == "mine"
    make(tmp_path / "run").close()
    with pytest.raises(InputError, match=r"another run \(identity abababab, not cdcdcdcd\)"):
        create_store(tmp_path / "run", "", "cd" * 32, {}, {}, exist_ok=True)
    with pytest.raises(InputError, match="holds this run already"):
        make(tmp_path / "run")
    make(tmp_path / "run", exist_ok=True).close()


def test_open_refuses_what_is_no_run(tmp_path):
    for name, match in (("absent", "no such folder"), ("file", "is a file"), ("empty", "is not a run")):
        if name == "file":
            (tmp_path / name).write_text("")
        if name == "empty":
            (tmp_path / name).mkdir()
        with pytest.raises(InputError, match=match):
            open_store(tmp_path / name)


def test_a_run_is_found_in_the_folder_above_it(tmp_path):
    make(tmp_path / "one").close()
    assert find_run(tmp_path) == tmp_path / "one" == find_run(tmp_path / "one")
    make(tmp_path / "two").close()
    with pytest.raises(InputError, match="holds 2 runs; say which: one, two"):
        find_run(tmp_path)


def test_a_newer_format_is_refused(tmp_path):
    make(tmp_path / "run").close()
    file = tmp_path / "run" / "provenance.json"
    file.write_text(json.dumps({"format_version": 99}))
    with pytest.raises(InputError, match=r"newer format version \(99;"):
        open_store(tmp_path / "run")
    file.write_text("{}")  # the store itself says so too
    with open_store(tmp_path / "run", "a") as store:
        session = store._repository.writing()
        tree = store._tree.on(session)
        tree.set_attributes({**tree.attributes, "format_version": 2})
        tree.flush()
        store._repository.commit(session, "from the future")
    with pytest.raises(InputError, match=r"newer format version \(2;"):
        open_store(tmp_path / "run")


@pytest.mark.slow
@pytest.mark.parametrize("after", ["provenance_text", "mkdir", "experiment", "store", "rename"])
def test_a_creation_that_stops_anywhere_can_be_done_over(tmp_path, monkeypatch, after):
    """The process ends between any two steps (nothing is cleaned up): no run is there, the next try works."""
    script = f"""
import os, sys
sys.path[:0] = {sys.path!r}
from pathlib import Path
import grokscope.store.folder as folder, grokscope.store.open as opening, grokscope.store.run_store as store
stop = {after!r}
old_write, old_make, old_sync = folder.atomic_write, store._make_store, folder.sync_folder
def write(file, content):
    old_write(file, content)
    if stop == "experiment": os._exit(9)
def make(path, attributes):
    old_make(path, attributes)
    if stop == "store": os._exit(9)
def sync(path):
    old_sync(path)
    if stop == "mkdir" or (stop == "rename" and (path / "store").exists()): os._exit(9)
folder.atomic_write, store._make_store, folder.sync_folder = write, make, sync
if stop == "provenance_text":
    opening.provenance_text = lambda _: os._exit(9)
opening.create_store(sys.argv[1], "old", "{IDENTITY}", {{}}, {{}})
"""
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path / "run")], check=False)
    assert done.returncode == 9
    if after == "rename":
        assert is_run(tmp_path / "run")
        return open_store(tmp_path / "run", "a").close()
    with pytest.raises(InputError):
        open_store(tmp_path / "run")
    with make(tmp_path / "run") as store:
        assert store.experiment_toml == "epochs = 3\n"
    assert sorted(os.listdir(tmp_path / "run")) == NEW_FILES
    return None


# --- two writers ---


def test_two_writers_one_proceeds(run):
    for attempt in (lambda: open_store(run.path, "a"), lambda: make(run.path, exist_ok=True)):
        with pytest.raises(StoreError, match=f"is being written by process {os.getpid()} on .* since 20"):
            attempt()
    assert open_store(run.path).seeds == []  # readers need no lock
    run.close()
    with open_store(run.path, "a"):
        pass


def test_of_many_that_start_at_once_one_proceeds(tmp_path):
    for round_ in range(10):
        start = threading.Barrier(6)

        def attempt(
            start: threading.Barrier = start, path: Path = tmp_path / f"run{round_}"
        ) -> RunStore | str:
            start.wait()
            try:
                return make(path, exist_ok=True)
            except StoreError as error:
                return str(error)

        with ThreadPoolExecutor(6) as pool:
            outcomes = [future.result() for future in [pool.submit(attempt) for _ in range(6)]]
        (winner,) = (outcome for outcome in outcomes if isinstance(outcome, RunStore))
        assert all("is being written by" in outcome for outcome in outcomes if outcome is not winner)
        winner.close()


def test_a_dead_writer_is_taken_over(tmp_path):
    make(tmp_path / "run").close()
    script = f"""
import sys; sys.path[:0] = {sys.path!r}
from grokscope.store.open import create_store, open_store
from grokscope.store.run_store import RunStore
store = open_store(sys.argv[1], "a")
print("ready", flush=True); sys.stdin.read()
"""
    child = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path / "run")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        with pytest.raises(StoreError, match=f"process {child.pid} "):
            open_store(tmp_path / "run", "a")
        child.kill()
        child.wait()
    with open_store(tmp_path / "run", "a") as store, store.transaction("mine") as t:
        t.add_members(plain(1))
    assert (tmp_path / "run" / ".lock").read_bytes() == b""


# --- the clock ---


class BackInTime:
    """A session whose commit is refused a number of times, as when the clock was set back."""

    def __init__(self, times: int) -> None:
        self.left = times

    def commit(self, message: str) -> None:
        import icechunk

        if self.left:
            self.left -= 1
            raise icechunk.IcechunkError("session error: invalid snapshot timestamp ordering. parent: ...")


def test_a_clock_set_back_a_little_is_waited_for_and_a_lot_is_said(run, monkeypatch):
    monkeypatch.setattr("grokscope.store.icechunk._CLOCK_WAIT", 0.0)
    session = BackInTime(3)
    run._repository.commit(session, "x")
    assert session.left == 0
    with pytest.raises(StoreError, match=f"{run.path}: cannot be written: this machine's clock was set back"):
        run._repository.commit(BackInTime(10**6), "x")
