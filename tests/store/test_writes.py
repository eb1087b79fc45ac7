"""What may be written to a run, and what is refused before anything is: names, positions, steps, shapes."""

from __future__ import annotations

import icechunk
import numpy as np
import pytest

from grokscope.errors import InputError
from grokscope.store import icechunk as _icechunk
from grokscope.store import tree as _tree
from grokscope.store.arrays import ArrayInfo, DamagedError
from grokscope.store.icechunk import Repository
from grokscope.store.open import create_store, is_run_at, open_store
from grokscope.store.place import as_place
from grokscope.store.transaction import checked_members, leaf_name, node_name
from grokscope.store.tree import Tree


@pytest.fixture
def run(tmp_path):
    with create_store(tmp_path / "run", "", "ab" * 32, {}, {}) as store:
        with store.transaction("members") as t:
            t.add_members([(seed, seed, seed, seed) for seed in range(3)])
        yield store


@pytest.mark.parametrize(
    ("name", "node"),
    [
        (".key", "%2Ekey"),  # RFC 3986: % and the two hexadecimal digits of the byte
        ("__x", "%5F_x"),
        ("a/b", "a%2Fb"),
        ("params.w[0]['k']", "params.w[0]['k']"),
        ("x", "x"),
        ("_", "%5F"),
        ("%2E", "%252E"),
    ],
)
def test_names_of_arrays(name, node):
    assert node_name(name) == node
    assert leaf_name(node) == name


def test_a_name_is_not_empty():
    with pytest.raises(ValueError, match="must not be empty"):
        node_name("")


def members(**changed: list[int]) -> dict[str, np.ndarray]:
    sound = {"seed_init": [0, 2**31 - 1], "steps_done": [0, 7], "complete": [0, 1], "diverged_step": [-1, 0]}
    return {name: np.array(values) for name, values in {**sound, **changed}.items()}


def test_members_are_what_can_have_been_written():
    """Seeds from 0 to 2**31 - 1, steps from 0, -1 for a step that has not been."""
    assert checked_members(members()).keys() == members().keys()
    for changed in (
        {"seed_init": [0, 2**31]},
        {"seed_init": [-1, 0]},
        {"seed_init": [0]},
        {"seed_init": [0, 1, 2]},
        {"diverged_step": [-2, 0]},
        {"steps_done": [0, 2**62]},
    ):
        with pytest.raises(DamagedError, match=f"members/{next(iter(changed))} holds what cannot be"):
            checked_members(members(**changed))


@pytest.mark.parametrize("rows", [[3], [-1], [0, 0], [[0]], 0])
def test_members_are_given_by_position_each_once(run, rows):
    with (
        pytest.raises(ValueError, match=r"are not positions in 0\.\.2, each once"),
        run.transaction("x") as t,
    ):
        t.mark(rows, steps_done=1)


def test_members_are_given_as_a_list_or_a_slice(run):
    with run.transaction("x") as t:
        t.mark(slice(1, None), steps_done=np.array([4, 5]))
        t.mark([2], complete=True)
    assert run.steps_done.tolist() == [0, 4, 5]
    assert run.complete.tolist() == [False, False, True]


@pytest.mark.parametrize("steps", [[1, 1], [-1], [[1]], 1])
def test_steps_are_one_row_of_numbers_each_once(run, steps):
    with pytest.raises(ValueError, match="one row of numbers from 0, each once"), run.transaction("x") as t:
        t.write_measures("quick", [0], steps, {})


def measure(value: np.ndarray, **options: object):
    return lambda t: t.write_measures("quick", [0], [0], {"known": value}, **options)


X = {"dims": {"known": ("x",)}}
Y = {"dims": {"known": ("y",)}}
LABELED = {**X, "labels": {"x": ["a", "b"], "unused": ["c"]}}


@pytest.mark.parametrize(
    ("first", "then", "match"),
    [
        (None, measure(np.zeros((1, 1, 2))), "is not 1 members x 1 steps"),  # an axis without a name
        (None, measure(np.zeros((1, 1)), **X), "is not 1 members x 1 steps"),
        (None, measure(np.zeros((1, 1, 3)), **LABELED), "2 labels for the axis x"),
        (measure(np.zeros((1, 1, 2)), **X), measure(np.zeros((1, 1, 2)), **Y), "differ from what is stored"),
        (measure(np.zeros((1, 1, 2)), **X), measure(np.zeros((1, 1, 3)), **X), "differ from what is stored"),
        (measure(np.zeros((1, 1, 2)), **X), measure(np.zeros((1, 1, 2)), **LABELED), "differ from what"),
        (measure(np.zeros((1, 1), np.int64)), measure(np.zeros((1, 1))), "differ from what is stored"),
        (
            lambda t: t.write_checkpoint([0], 0, {"a": np.zeros(1), "b": np.zeros(1)}),
            lambda t: t.write_checkpoint([0], 1, {"a": np.zeros(1)}),
            "the same leaves every time",
        ),
        (
            None,
            lambda t: t.write_subnetworks("f", [0], np.zeros((1, 2)), steps=0, labels=["a", "b"]),
            "are not 1 members x 2 subnetworks",
        ),
        (
            None,
            lambda t: t.write_subnetworks("f", [0], np.zeros((1, 1, 5)), steps=0, labels=["a", "b"]),
            "are not 1 members x 2 subnetworks",
        ),
        (
            None,
            lambda t: t.write_subnetworks("f", [0], np.zeros((2, 2, 5)), steps=0, labels=["a", "b"]),
            "are not 1 members x 2 subnetworks",
        ),
    ],
)
def test_what_does_not_fit_is_refused(run, first, then, match):
    if first is not None:
        with run.transaction("first") as t:
            first(t)
    before = open_store(run.path).version
    with pytest.raises(ValueError, match=match), run.transaction("then") as t:
        then(t)
    assert open_store(run.path).version == before


def test_what_fits_is_written_again(run):
    with run.transaction("all") as t:
        measure(np.zeros((1, 1, 2)), **LABELED)(t)
        measure(np.array([[[1, 2]]], np.float32), **LABELED)(t)  # fewer bits fit
    nan = np.nan
    np.testing.assert_array_equal(run.read_measure("known"), [[[1, 2]], [[nan, nan]], [[nan, nan]]])
    assert run.read_measure("known").x.values.tolist() == ["a", "b"]


def test_counts_without_a_sign_are_measures_too(run):
    with run.transaction("all") as t:
        t.write_measures("quick", [0], [0], {"count": np.array([[2**40]], np.uint64)})
    assert run.read_measure("count").values[0].tolist() == [2**40]
    assert np.isnan(run.read_measure("count").values[1:]).all()


def test_checkpoints_of_members_at_several_steps_each_have_their_hash(run):
    with run.transaction("all") as t:
        hashes = t.write_checkpoint([2, 0, 1], np.array([8, 4, 8]), {"w": np.array([1.0, 2.0, 3.0])})
    assert [run.checkpoint_trail(member) for member in (2, 0, 1)] == [
        {8: hashes[0]}, {4: hashes[1]}, {8: hashes[2]}
    ]  # fmt: skip
    assert [run.read_checkpoint(member).leaves["w"].item() for member in range(3)] == [2, 3, 1]


def test_facts_of_a_run_are_added_to_those_that_are_there(run):
    with run.transaction("all") as t:
        t.note(a=1)
        t.note(b=2)
        t.set_attributes(other=[3])
        t.identify("cd" * 32)
        t.mark_measured([0], ["loss", "loss", "norm"], 3)
    store = open_store(run.path)
    assert store.notes == {"a": 1, "b": 2}
    assert store.identity == "cd" * 32
    assert (store._tree.attributes["other"], store._tree.attributes["measured"]) == ([3], ["loss", "norm"])


# --- arrays in chunks ---


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    return Repository.create(tmp_path_factory.mktemp("tree") / "store").writing()


def test_an_array_that_is_not_there(session):
    tree = Tree(session)
    tree.create({"a/b": ArrayInfo((2,), (2,), np.dtype("i4"), ("x",))})
    assert tree.below("a") == ["a/b"]
    assert tree.below("b") == []
    for asked in ("a", "a/c"):
        with pytest.raises(KeyError, match=f"'{asked}'"):
            tree.info(asked)


def test_a_root_that_is_not_there_or_not_ours(tmp_path):
    tree = Tree(Repository.create(tmp_path / "store").writing())
    assert tree.has_root() is False
    with pytest.raises(DamagedError, match="its root is missing"):
        tree.load()
    tree.set_attributes({"a": 1})
    tree.flush()
    assert tree.has_root() is True
    tree._documents["zarr.json"] = b'{"zarr_format": 3, "node_type": "group", "attributes": {}}'
    tree.flush()
    with pytest.raises(DamagedError, match="its attributes are damaged"):
        tree.load()


def test_metadata_that_is_missing_is_damage(session):
    tree = Tree(session)
    tree.create({"m/a": ArrayInfo((0,), (2,), np.dtype("i4"), ("x",))})
    tree._documents.clear()
    other = Tree(session)
    other.paths = ["m/a"]
    with pytest.raises(DamagedError, match="the metadata of m/a is missing"):
        other.info("m/a")


@pytest.mark.parametrize("step", [1, -1, 2])
def test_an_index_in_a_chunk_is_a_slice_only_where_that_is_the_same(step):
    index = np.arange(6)[::step]
    assert isinstance(_tree._slice(index), slice) == (step == 1)
    np.testing.assert_array_equal(np.arange(6)[_tree._slice(index)], index)


# --- in a bucket ---


@pytest.fixture
def bucket(tmp_path, monkeypatch):
    """An address whose bucket is a folder here; a service is asked in tests/sweeps/test_s3.py."""

    def storage(path: object) -> icechunk.Storage:
        return icechunk.local_filesystem_storage(str(tmp_path / str(path).removeprefix("s3://")))

    monkeypatch.setattr(_icechunk, "_storage", storage)
    return "s3://bucket/run"


def test_a_run_in_a_bucket_is_made_found_opened_and_written(bucket):
    assert is_run_at(as_place(bucket)) is False
    with pytest.raises(InputError, match="there is no run"):
        open_store(bucket)
    with create_store(bucket, "x = 1\n", "ab" * 32, {"jax": "0"}, {"host": "h"}, steps_per_epoch=2) as store:
        with store.transaction("all") as t:
            t.add_members([(4, 4, 4, 4)])
            t.write_measures("quick", [0], [0, 6], {"loss": np.array([[1.0, 2.0]])})
            t.mark([0], steps_done=6)
        store.finish()
    assert is_run_at(as_place(bucket)) is True
    reader = open_store(bucket)
    assert reader.is_finished
    assert reader.experiment_toml == "x = 1\n"
    assert reader.provenance == {"host": "h", "format_version": 1}
    assert reader.read_measures().epoch.values.tolist() == [0, 3]
    with pytest.raises(RuntimeError, match="reading only"):
        reader.finish()
    open_store(bucket, "a").update_experiment("x = 2\n")
    assert not open_store(bucket).is_finished
    assert create_store(bucket, "", "ab" * 32, {}, {}, exist_ok=True).experiment_toml == "x = 2\n"
    with pytest.raises(InputError, match="holds this run already"):
        create_store(bucket, "", "ab" * 32, {}, {})
    with pytest.raises(InputError, match="another run"):
        create_store(bucket, "", "cd" * 32, {}, {}, exist_ok=True)
