"""What a reader finds at the ends: step 0, members without, arrays shorter than the run, records that lie."""

from __future__ import annotations

import numpy as np
import pytest

from grokscope.errors import InputError, StoreError
from grokscope.runs.folders import verify
from grokscope.store.open import create_store, is_run_at, open_store
from store_tests import plain


@pytest.fixture
def run(tmp_path):
    with create_store(tmp_path / "run", "", "ab" * 32, {"jax": "0"}, {}) as store:
        yield store


def test_up_to_where_members_have_a_measure(run):
    assert run.measured_to("loss").tolist() == []
    with run.transaction("first") as t:
        t.add_members(plain(0, 1, 2))
        t.mark_measured([1], ["loss", "norm"], 8)
        t.mark_measured([0, 1], ["norm", "share"], np.array([0, 16]))
    with run.transaction("more") as t:
        t.add_members(plain(3))
    assert run.measured_to("loss").tolist() == [-1, 8, -1, -1]
    assert run.measured_to("norm").tolist() == [0, 16, -1, -1]
    assert run.measured_to("share").tolist() == [0, 16, -1, -1]
    assert run.measured_to("other").tolist() == [-1] * 4
    with run.transaction("listed, but never written") as t:
        t.set_attributes(measured=["loss", "norm", "share", "late"])
    assert run.measured_to("late").tolist() == [-1] * 4


def test_steps_that_no_member_has_come_to_are_left_out(run):
    with run.transaction("all") as t:
        t.add_members(plain(0))
        t.write_measures("quick", [0], [0, 1, 2], {})
        t.write_measures("quick", [0], [0], {"loss": np.zeros((1, 1))})
    assert run.read_measures().step.values.tolist() == [0]
    with run.transaction("more") as t:
        t.mark([0], steps_done=1)
    assert run.read_measures().step.values.tolist() == [0, 1]
    assert run.read_measures([]).step.values.tolist() == []


def test_an_epoch_is_a_step_where_nothing_else_is_said(run):
    with run.transaction("all") as t:
        t.add_members(plain(0))
        t.write_measures("quick", [0], [0, 3], {"loss": np.zeros((1, 2))})
        t.mark([0], steps_done=3)
    assert run.read_measures().epoch.values.tolist() == [0, 3]


def test_a_schedule_without_measures_has_none(run):
    with run.transaction("all") as t:
        t.add_members(plain(0))
        t.write_measures("later", [0], [0, 5], {})
        t.write_measures("quick", [0], [0], {"a b/c": np.zeros((1, 1))})
    assert run.measures == {"later": [], "quick": ["a b/c"]}
    assert list(run.sources()) == ["a b/c"]


def test_the_measures_that_there_are_are_named(run):
    with pytest.raises(InputError, match=r"'x' is not in the run\. There are: none\."):
        run.read_measure("x")
    with run.transaction("all") as t:
        t.add_members(plain(0))
        t.write_measures("quick", [0], [0], {"norm": np.zeros((1, 1)), "loss": np.zeros((1, 1))})
    with pytest.raises(InputError, match=r"'x' is not in the run\. There are: loss, norm\."):
        run.read_measure("x")


def test_measures_that_do_not_fit_together_are_said(run):
    with run.transaction("all") as t:
        t.add_members(plain(0))
        for name, size in (("one", 2), ("other", 3)):
            t.write_measures("quick", [0], [0], {name: np.zeros((1, 1, size))}, dims={name: ("split",)})
    with pytest.raises(StoreError, match=r"^\S+run: its measures do not fit together: .*'split'.*\.$"):
        run.read_measures()


def test_a_block_of_a_measure_on_given_axes(run):
    with run.transaction("all") as t:
        t.add_members(plain(0, 1))
        t.write_measures("quick", [0, 1], [0, 4], {"loss": np.array([[1.0, 2.0], [3.0, 4.0]])})
    members = np.array([[1, -1], [0, 1]])
    every = (slice(None),) * 3
    found = run.read_block("loss", members, np.array([4, 5]), every)
    assert found is not None
    nan = np.nan
    np.testing.assert_array_equal(found, [[[4, nan], [nan, nan]], [[2, nan], [4, nan]]])
    assert run.read_block("norm", members, np.array([4, 5]), every) is None


def test_states_of_step_0_and_members_without(run):
    """Arrays end with the last member that has something; before it there are members without."""
    w = np.arange(6, dtype=np.float32).reshape(3, 2)
    with run.transaction("all") as t:
        t.add_members(plain(0, 1, 2, 3))
        t.write_checkpoint([0, 2], 0, {"w": w[[0, 2]]})
        t.write_snapshots([0, 2], [0, 3], {"w": w[[0, 2]][:, None].repeat(2, 1)}, np.eye(2, dtype=bool))
        t.write_subnetworks("accuracy", [0, 2], np.ones((2, 1, 4)), steps=0, labels=["g"])
    point = run.read_checkpoint(2)
    assert point.step == 0
    assert point.leaves["w"].tolist() == [4, 5]
    assert run.checkpoint_trail(2) == {0: point.sha256}
    for member in (1, 3):
        with pytest.raises(KeyError, match=f"no checkpoint of member {member}"):
            run.read_checkpoints([0, member])
        assert run.checkpoint_trail(member) == {}
        assert run.snapshot_steps(member) == []
        assert run.read_subnetworks("accuracy", member) is None
    assert (run.snapshot_steps(0), run.snapshot_steps(2)) == ([0], [3])
    with pytest.raises(KeyError):
        run.read_snapshot(2, 0)
    found = run.read_subnetworks("accuracy", 2)
    assert found is not None
    assert (found.step, found.masks.tolist()) == (0, [[True] * 4])
    assert not [problem for problem in verify(run.path) if problem.is_damage]


def test_a_run_without_states_has_none(run):
    with run.transaction("all") as t:
        t.add_members(plain(0))
    assert run.checkpoint_trail(0) == {}
    assert run.snapshot_steps(0) == run.flavors == []
    assert run.read_origins([0]) == {}
    with pytest.raises(KeyError):
        run.read_checkpoint(0)


def test_origins_of_members(run):
    with run.transaction("all") as t:
        t.add_members(plain(0, 1, 2))
        t.write_origins([0, 1, 2], {"start/w": np.array([[1.0], [2.0], [3.0]]), "at": np.array([7, 8, 9])})
    found = run.read_origins([2, 0])
    assert found["start/w"].tolist() == [[3], [1]]
    assert found["at"].tolist() == [9, 7]


def test_a_checkpoint_of_another_state_than_its_hash_is_damage(run):
    with run.transaction("all") as t:
        t.add_members(plain(0, 1))
        t.write_checkpoint([0, 1], 4, {"w": np.array([1.0, 2.0])})
        t._tree.write("checkpoints/leaves/w", [np.array([1])], np.array([2.5]))
    assert run.read_checkpoint(0).leaves["w"] == 1
    text = "the checkpoint of member 1 does not match its hash"
    with pytest.raises(StoreError, match=text):
        run.read_checkpoints([0, 1])
    assert [(path, text in said) for path, said in run.damage()] == [("checkpoints", True)]


def test_members_that_cannot_be_are_damage(run):
    with run.transaction("all") as t:
        t.add_members(plain(0))
        t.write_checkpoint([0], 4, {"w": np.array([1.0])})
        t._tree.write("members/steps_done", [np.array([0])], np.array([-5]))
    (found,) = open_store(run.path).damage()
    assert found[0] == "members"
    assert "members/steps_done holds what cannot be" in found[1]


@pytest.mark.parametrize("name", ["identity", "fingerprint", "notes", "steps_per_epoch", "measured"])
def test_a_fact_of_another_type_is_damage_and_an_absent_one_is_none(run, name):
    with run.transaction("other") as t:
        t.set_attributes(**{name: 1.5})
    with pytest.raises(StoreError, match=f"cannot be read: its attribute '{name}' is no "):
        run.refresh()
    with run.transaction("absent") as t:
        t._tree.set_attributes({"format_version": 1})
    store = open_store(run.path)
    assert (store.identity, store.fingerprint, store.notes, store.steps_per_epoch) == ("", {}, {}, 1)
    assert store.measured_to("loss").tolist() == []


# --- writing ---


def test_a_reader_changes_nothing(run):
    run.finish()
    store = open_store(run.path)
    for write in (
        store.finish,
        lambda: store.update_experiment("other"),
        lambda: store.update_provenance({}),
        lambda: store.transaction("x").__enter__(),
    ):
        with pytest.raises(RuntimeError, match="reading only"):
            write()
    assert verify(run.path) == []


def test_every_write_to_a_finished_run_takes_its_checksums_away(run):
    for write in (
        lambda: run.update_experiment("x = 2\n"),
        lambda: run.update_provenance({"host": "x"}),
        lambda: run.transaction("x").__enter__(),
    ):
        run.finish()
        assert run.is_finished
        write()
        assert not run.is_finished
    assert run.experiment_toml == "x = 2\n"
    run.finish()
    run.update_experiment("x = 2\n")  # as it is: nothing is written
    assert run.is_finished


def test_a_finished_run_holds_the_newest_state_only(run):
    rng = np.random.default_rng(0)
    with run.transaction("members") as t:
        t.add_members(plain(0))
    for step in range(4):
        w = rng.normal(size=(1, 3000))  # too much to lie in the bookkeeping
        with run.transaction("more") as t:
            t.write_checkpoint([0], step, {"w": w})
    chunks = run.path / "store" / "chunks"
    assert len(list(chunks.iterdir())) > 1
    run.finish()
    assert len(list(chunks.iterdir())) == 1
    for store in (run, open_store(run.path)):
        assert store.read_checkpoint(0).step == 3
        np.testing.assert_array_equal(store.read_checkpoint(0).leaves["w"], w[0])


def test_a_transaction_that_writes_nothing_is_no_commit(run):
    before = open_store(run.path).version
    with run.transaction("nothing") as t:
        assert t is not None
    assert open_store(run.path).version == before
    with run.transaction("something") as t:
        t.note(x=1)
    assert open_store(run.path).version != before


def test_what_is_in_provenance_stays_readable(run):
    run.update_provenance({"host": "Käfer"})
    assert "Käfer" in (run.path / "provenance.json").read_text(encoding="utf-8")
    assert run.provenance == {"host": "Käfer", "format_version": 1}


def test_a_place_is_a_run_or_not(run, tmp_path):
    assert is_run_at(run.path) is True
    assert is_run_at(tmp_path) is False


def test_members_behind_the_last_chunk_have_nothing(run):
    """Arrays end with the last member that has something, here where a chunk ends."""
    with run.transaction("all") as t:
        t.add_members(plain(*range(17)))
        first = list(range(16))
        t.write_checkpoint(first, 4, {"w": np.zeros((16, 2), np.float32)})
        t.write_subnetworks("accuracy", first, np.ones((16, 1, 4)), steps=4, labels=["g"])
    assert run.checkpoint_trail(15).keys() == {4}
    assert run.checkpoint_trail(16) == {}
    assert run.read_subnetworks("accuracy", 16) is None
    with pytest.raises(KeyError, match="no checkpoint of member 16"):
        run.read_checkpoint(16)


def test_an_array_that_cannot_be_read_is_damage(run):
    with run.transaction("all") as t:
        t.add_members(plain(0))
        t.write_measures("quick", [0], [0], {"loss": np.zeros((1, 1)), "norm": np.zeros((1, 1))})
    assert run.damage() == []
    with run.transaction("a chunk that does not match its checksum") as t:
        t._tree._documents["measures/quick/norm/c/0/0"] = b"not a chunk"
    ((path, said),) = run.damage()
    assert path == "measures/quick/norm"
    assert "its checksum does not match" in said
