"""Seeds: their grammar, crossing, and keys that are all different."""

import itertools

import hypothesis.strategies as st
import numpy as np
import pytest
import xarray as xr
from hypothesis import given

from grokscope import InputError, Members
from grokscope.spec.streams import STREAMS, on_members, parse_seeds, stream_key

MOST = 2**31 - 1


@pytest.mark.parametrize(
    ("text", "seeds"),
    [
        ("5", [0, 1, 2, 3, 4]),
        (5, [0, 1, 2, 3, 4]),
        (" 1 ", [0]),
        ("7,", [7]),
        ("5,9,20:23", [5, 9, 20, 21, 22]),
        ("100:103", [100, 101, 102]),
        (" 3 , 1 ", [3, 1]),
        ([4, 2], [4, 2]),
        (range(3), [0, 1, 2]),
        (np.arange(2), [0, 1]),
    ],
)
def test_parse_seeds(text, seeds):
    assert parse_seeds(text) == seeds
    assert Members.parse(text).seeds == tuple((seed,) * 4 for seed in seeds)
    assert Members.parse(text).is_plain


@given(st.lists(st.tuples(st.integers(0, 99), st.integers(1, 5)), min_size=2, max_size=6))
def test_parse_ranges(ranges):
    text = ",".join(f"{low}:{low + count}" if count > 1 else str(low) for low, count in ranges)
    assert parse_seeds(text) == [seed for low, count in ranges for seed in range(low, low + count)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0", "seeds: the count must be at least 1 (got 0)."),
        (-2, "seeds: the count must be at least 1 (got -2)."),
        ("x", "seeds: 'x' is neither a seed nor a range like 20:30."),
        ("1,2:x", "seeds: '2:x' is neither a seed nor a range like 20:30."),
        ("1.5", "seeds: '1.5' is neither a seed nor a range like 20:30."),
        ("", "seeds: '' has no seed; write a count (5) or a list (5,9,20:30)."),
        (",", "seeds: ',' has no seed; write a count (5) or a list (5,9,20:30)."),
        ("1,9:9", "seeds: the range '9:9' is empty; its end is excluded."),
        ("30:20", "seeds: the range '30:20' is empty; its end is excluded."),
        ("0:1000000000000", "seeds: 1000000000000 are too many; at most 10000000."),
        ("1000000000000", "seeds: 1000000000000 are too many; at most 10000000."),
        ("1,1", "seeds: a member is given twice."),
        ("1,-3", f"seeds: -3 is not in 0..{MOST}."),
        (f"1,{MOST + 1}", f"seeds: {MOST + 1} is not in 0..{MOST}."),
        (True, "seeds: True is not a count or a list like 5,9,20:30."),
        ([], "seeds: at least one is needed."),
        ("int=3", "seeds: 'int=3' is not STREAM=SEEDS with one of init, data, order, noise."),
        ("init=3;init=4", "seeds: 'init=4' is not STREAM=SEEDS with one of init, data, order, noise."),
        ("init=", "seeds: '' has no seed; write a count (5) or a list (5,9,20:30)."),
    ],
)
def test_bad_seeds(text, message):
    with pytest.raises(InputError) as error:
        Members.parse(text)
    assert str(error.value) == message


def test_a_seed_is_a_whole_number():
    with pytest.raises(TypeError):
        parse_seeds([1.5])


def test_crossed_streams():
    members = Members.parse("init=0;data=3,5:7")
    assert members.seeds == ((0, 3, 0, 0), (0, 5, 0, 0), (0, 6, 0, 0))
    assert not members.is_plain
    assert Members.parse(members) is members


@given(
    init=st.sets(st.integers(0, 9), min_size=1, max_size=3),
    data=st.sets(st.integers(0, 9), min_size=1, max_size=3),
    noise=st.sets(st.integers(0, 9), min_size=1, max_size=3),
)
def test_crossing_makes_every_combination_once(init, data, noise):
    members = Members.crossed(init=sorted(init), data=sorted(data), noise=sorted(noise))
    assert set(members) == set(itertools.product(init, data, {0}, noise))
    assert len(members) == len(init) * len(data) * len(noise)
    text = ";".join(
        f"{name}=" + ",".join(map(str, sorted(seeds)))
        for name, seeds in [("init", init), ("data", data), ("noise", noise)]
    )
    assert Members.parse(text) == members


def test_slices_and_what_is_left_to_do():
    members = Members.of_seeds([3, 1, 2])
    assert members[1:].seeds == ((1,) * 4, (2,) * 4)
    assert members.without([(1,) * 4]) == [(3,) * 4, (2,) * 4]


def test_keys_of_all_streams_and_seeds_differ():
    import jax

    seeds = jax.numpy.array([0, 1, 2, 3, 1000, MOST], dtype="uint32")
    keys = np.concatenate(
        [
            jax.vmap(lambda seed, name=name: jax.random.key_data(stream_key(name, seed)))(seeds)
            for name in STREAMS
        ]
    )
    assert len(np.unique(keys, axis=0)) == len(STREAMS) * len(seeds)


def test_key_is_a_function_of_stream_and_seed_alone():
    import jax

    plain = jax.random.key_data(stream_key("order", 7))
    traced = jax.jit(lambda seed: jax.random.key_data(stream_key("order", seed)))(7)
    np.testing.assert_array_equal(plain, traced)


def test_streams_are_uncorrelated():
    import jax

    draws = np.stack([np.asarray(jax.random.normal(stream_key(name, 5), (20_000,))) for name in STREAMS])
    correlation = np.corrcoef(draws) - np.eye(len(STREAMS))
    assert np.abs(correlation).max() < 5 / np.sqrt(20_000)


def box():
    members = Members(((0, 10, 5, 5), (1, 11, 5, 5), (1, 10, 5, 5)))
    values = np.array([[1.0, np.nan], [3.0, 4.0]])  # [init, data]
    coords = {"init_seed": [0, 1], "data_seed": [10, 11], "order_seed": 5, "noise_seed": 5}
    return members, xr.Dataset({"m": (("init_seed", "data_seed"), values)}, coords)


def scattered():
    members = Members(((0, 10, 5, 5), (1, 11, 5, 5), (1, 10, 5, 5)))
    coords = {"init_seed": ("member", [0, 1, 1]), "data_seed": ("member", [10, 11, 10])}
    coords |= {"order_seed": 5, "noise_seed": 5}
    return members, xr.Dataset({"m": (("member",), [1.0, 4.0, 3.0])}, coords)


@pytest.mark.parametrize("layout", [box, scattered])
def test_members_of_crossed_streams_are_found_on_their_axes(layout):
    members, data = layout()
    assert on_members(data, members)["m"].to_numpy().tolist() == [1.0, 4.0, 3.0]
    assert on_members(data, [(1, 10, 5, 5)])["m"].dims == ("seed",)
    assert on_members(data, [(1, 10, 5, 5)])["m"].to_numpy().tolist() == [3.0]
