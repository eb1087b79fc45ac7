"""How members are laid out on axes, and what is read from which array: ends, gaps, and what is kept."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from grokscope.store.labeled import MemberAxes
from grokscope.store.open import create_store, open_store
from store_tests import plain


@pytest.fixture
def run(tmp_path):
    with create_store(tmp_path / "run", "", "ab" * 32, {}, {}) as store:
        yield store


def test_one_member_of_several_seeds_has_the_axis_of_its_weights():
    cohort = MemberAxes.of([(1, 2, 3, 4)])
    assert cohort.dims == ("init_seed",)
    assert cohort.member.tolist() == [0]
    assert {name: (dims, values.tolist()) for name, (dims, values) in cohort.coords.items()} == {
        "init_seed": (("init_seed",), [1]),
        "data_seed": ((), 2),
        "order_seed": ((), 3),
        "noise_seed": ((), 4),
    }


def test_a_full_box_of_many_members_keeps_its_axes():
    seeds = [(i, d, 0, 0) for i, d in itertools.product(range(12), range(11))]
    cohort = MemberAxes.of(seeds)
    assert cohort.dims == ("init_seed", "data_seed")
    np.testing.assert_array_equal(cohort.member, np.arange(132).reshape(12, 11))


def test_a_list_of_members_has_a_label_for_a_stream_that_is_the_same_for_all():
    seeds = [(s, 7 * s % 31, 11 * s % 31, 5) for s in range(31)]
    seeds = [(i, d, (o * o) % 29, n) for i, d, o, n in seeds]
    seeds += [(seeds[0][0], *seeds[1][1:])]  # so that no stream goes one to one with another
    cohort = MemberAxes.of(seeds)
    assert cohort.dims == ("member",)
    assert cohort.member.tolist() == list(range(32))
    assert cohort.coords["noise_seed"][0] == ()
    assert cohort.coords["noise_seed"][1] == 5
    assert cohort.coords["data_seed"][0] == ("member",)
    assert cohort.coords["data_seed"][1].tolist() == [seed[1] for seed in seeds]


def test_seeds_that_follow_another_stream_are_told_by_its_order():
    """Given in another order than that of their seeds."""
    seeds = [(i, {4: 40, 6: 20, 1: 30}[i], o, 9) for o in (5, 2) for i in (6, 4, 1)]
    cohort = MemberAxes.of(seeds)
    assert cohort.dims == ("init_seed", "order_seed")
    assert cohort.coords["init_seed"][1].tolist() == [1, 4, 6]
    assert cohort.coords["data_seed"][0] == ("init_seed",)
    assert cohort.coords["data_seed"][1].tolist() == [30, 40, 20]
    for (a, init), (b, order) in itertools.product(enumerate([1, 4, 6]), enumerate([2, 5])):
        assert seeds[cohort.member[a, b]][::2] == (init, order)


def test_values_of_members_are_labelled_and_blank_where_there_is_none():
    cohort = MemberAxes.of([(0, 0, 0, 0), (0, 1, 0, 0), (3, 1, 0, 0)])
    found = cohort.label(np.array([[1, 2], [3, 4], [5, 6]]), {"split": ["train", "test"]}, "x")
    assert found.name == "x"
    assert found.dims == ("init_seed", "data_seed", "split")
    assert found.values.tolist() == [[[1, 2], [3, 4]], [[0, 0], [5, 6]]]
    assert found.split.values.tolist() == ["train", "test"]
    assert found.sel(init_seed=3, data_seed=1, split="test").item() == 6
    bare = cohort.label(np.array([[True], [True], [False]]), {"neuron": None}, "y")
    assert "neuron" not in bare.coords
    assert bare.values.tolist() == [[[True], [True]], [[False], [False]]]


def test_where_there_is_no_member_nothing_was_done(run):
    with run.transaction("all") as t:
        t.add_members([(0, 0, 0, 0), (0, 1, 0, 0), (3, 1, 0, 0)])
        t.mark(range(3), steps_done=[5, 6, 7], complete=[True, True, True], diverged_step=[1, 2, 3])
    data = run.read_measures()
    assert data.steps_done.values.tolist() == [[5, 6], [0, 7]]
    assert data.complete.values.tolist() == [[True, True], [False, True]]
    assert data.diverged_step.values.tolist() == [[1, 2], [-1, 3]]


def test_an_array_of_fewer_members_and_steps_than_the_run_ends_with_its_last_chunk(run):
    """16 members and 512 steps fill one chunk, so what is beyond them is in no chunk at all."""
    loss = np.random.default_rng(0).normal(size=(16, 512))
    with run.transaction("all") as t:
        t.add_members(plain(*range(17)))
        t.write_measures("quick", range(17), range(514), {})
        t.write_measures("quick", range(16), range(512), {"loss": loss})
        t.write_measures("slow", range(17), [3, 600], {"other": np.ones((17, 2))})
        t.mark(range(17), steps_done=600)
    data = open_store(run.path).read_measures()
    assert data.step.values.tolist() == [*range(514), 600]
    np.testing.assert_array_equal(data.loss[:16, :512], loss)
    assert np.isnan(data.loss[16]).all()
    assert np.isnan(data.loss[:, 512:]).all()
    assert data.loss[16, 513].isnull().item()
    assert data.loss[2:2, 5:9].shape == (0, 4)
    np.testing.assert_array_equal(data.loss.values[3, [511, 0]], loss[3, [511, 0]])


def test_of_a_step_that_lies_in_several_schedules_the_last_counts(run):
    with run.transaction("all") as t:
        t.add_members(plain(0, 1))
        t.write_measures("a", [0, 1], [0, 8], {"loss": np.array([[1.0, 2.0], [3.0, 4.0]])})
        t.write_measures("b", [0, 1], [8, 4], {"loss": np.array([[5.0, 6.0], [np.nan, 7.0]], np.float32)})
        t.mark([0, 1], steps_done=8)
    loss = run.read_measure("loss")
    assert loss.dtype == np.float64
    np.testing.assert_array_equal(loss, [[1, 6, 5], [3, 7, 4]])  # what is not known hides nothing


def test_what_was_looked_at_is_kept(run):
    """Values that were read are there though the run's chunks are gone."""
    norm = np.random.default_rng(0).normal(size=(2, 1, 3000))
    with run.transaction("all") as t:
        t.add_members(plain(0, 1))
        t.write_measures("quick", [0, 1], [0], {"norm": norm}, dims={"norm": ("neuron",)})
    data = open_store(run.path).read_measures()
    np.testing.assert_array_equal(data.norm.values, norm)
    for chunk in (run.path / "store" / "chunks").iterdir():
        chunk.unlink()
    np.testing.assert_array_equal(data.norm.values, norm)


def test_a_measure_is_looked_at_in_any_way(run):
    """One place, a slice, or a list, on every axis; as numpy says."""
    norm = np.random.default_rng(1).normal(size=(3, 4, 5, 2))
    with run.transaction("all") as t:
        t.add_members(plain(2, 0, 1))
        t.write_measures("quick", [1, 2, 0], range(4), {"norm": norm}, dims={"norm": ("neuron", "split")})
        t.mark([0], steps_done=3)
    source = open_store(run.path)
    ways = (1, slice(0, 2), [1, 0])
    for key in itertools.product(ways, repeat=4):
        expected = norm
        for axis, item in reversed(list(enumerate(key))):
            expected = expected[(slice(None),) * axis + (item,)]
        np.testing.assert_array_equal(source.read_measure("norm").isel(dict(zip(
            ("seed", "step", "neuron", "split"), key, strict=True))), expected)  # fmt: skip
