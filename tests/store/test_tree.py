"""Arrays in chunks against numpy: any writes in any order, growing; every chunk of the grid exists."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grokscope.store import tree as _tree
from grokscope.store.arrays import ArrayInfo, DamagedError, decoded, encoded, fill_value
from grokscope.store.icechunk import Repository
from grokscope.store.tree import Tree


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    return Repository.create(tmp_path_factory.mktemp("tree") / "store")


def indices(most: int):
    return st.lists(st.integers(0, most), min_size=0, max_size=5, unique=True)


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(
    writes=st.lists(st.tuples(indices(9), indices(11), st.booleans()), min_size=1, max_size=6),
    chunks=st.tuples(st.integers(1, 4), st.integers(1, 5), st.integers(1, 3)),
    dtype=st.sampled_from(["f4", "f8", "i4", "i8", "i1", "u1", "u4", "?"]),
)
def test_any_writes_read_back_as_numpy_says(repository, writes, chunks, dtype):
    dtype = np.dtype(dtype)
    tree = Tree(repository.writing())
    info = ArrayInfo((0, 0, 3), chunks, dtype, ("member", "step", "neuron"))
    tree.create({"a/b": info})
    model = np.full((10, 12, 3), fill_value(dtype), dtype)
    height = width = 0
    for i, (rows, columns, flush) in enumerate(writes):
        values = np.random.default_rng(i).integers(0, 100, (len(rows), len(columns), 3)).astype(dtype)
        model[np.ix_(rows, columns, range(3))] = values
        tree.write("a/b", [np.array(rows, int), np.array(columns, int)], values)
        height = tree.info("a/b").shape[0]
        width = tree.info("a/b").shape[1]
        assert (height, width) == (
            max((row + 1 for write in writes[: i + 1] for row in write[0]), default=0),
            max((column + 1 for write in writes[: i + 1] for column in write[1]), default=0),
        )
        if flush:
            tree.flush()
    np.testing.assert_array_equal(tree.read("a/b", []), model[:height, :width])
    rows, columns = np.arange(height)[::-1], np.arange(width)[::2]
    some = tree.read("a/b", [rows, columns, np.array([2, 0])])
    np.testing.assert_array_equal(some, model[np.ix_(rows, columns, [2, 0])])
    tree.check("a/b")  # raises if a chunk of the grid is not there


@pytest.mark.parametrize(("limit", "value"), [("_LARGE", 10), ("_LARGE", 6000), ("_MANY", 8)])
def test_a_large_array_is_read_if_all_its_chunks_are_there(repository, monkeypatch, limit, value):
    monkeypatch.setattr(_tree, limit, value)
    session = repository.writing()
    tree = Tree(session)
    values = np.arange(60.0).reshape(5, 12)
    tree.create({"a/large": ArrayInfo((0, 0), (2, 5), np.dtype("f8"), ("member", "step"))})
    tree.write("a/large", [np.arange(5), np.arange(12)], values)
    tree.flush()
    np.testing.assert_array_equal(Tree(session).load().read("a/large", []), values)
    claimed = ArrayInfo((500, 12), (2, 5), np.dtype("f8"), ("member", "step"))
    tree.create({"a/large": claimed})
    tree.flush()
    with pytest.raises(DamagedError, match=r"chunks of a/large, of shape \[500, 12\], are missing"):
        Tree(session).load().read("a/large", [])


@given(
    index=st.lists(st.integers(0, 40), unique=True, max_size=20),
    chunk=st.integers(1, 9),
)
def test_the_pieces_of_an_index_are_its_parts_by_chunk(index, chunk):
    pieces = _tree._pieces([np.array(index, int)], (chunk,))
    assert [piece.chunk for piece in pieces] == [(n,) for n in sorted({i // chunk for i in index})]
    places = np.arange(len(index))
    for piece in pieces:
        (number,), (outside,), (inside,) = piece.chunk, piece.outside, piece.inside
        expected = [(place, i % chunk) for place, i in enumerate(index) if i // chunk == number]
        assert list(zip(places[outside], np.arange(chunk)[inside], strict=True)) == expected


@pytest.mark.parametrize("labels", [["train", "test"], [1, 2, 23], []])
def test_labels_are_texts_or_whole_numbers(labels):
    info = ArrayInfo.of(np.dtype("f4"), ("member", "x"), (2,), {"labels": {"x": labels}})
    assert ArrayInfo.from_json(info.to_json()).attributes["labels"]["x"] == labels


@pytest.mark.parametrize("labels", [["a", 1], [1.5], [True], [None], [2**63], [["a"]]])
def test_other_labels_are_refused(labels):
    info = ArrayInfo.of(np.dtype("f4"), ("member", "x"), (2,), {"labels": {"x": labels}})
    with pytest.raises(DamagedError, match="labels"):
        ArrayInfo.from_json(info.to_json())


def test_an_array_survives_its_document():
    info = ArrayInfo.of(np.dtype("f4"), ("member", "step", "neuron"), (1000,), {"unit": "x"})
    assert ArrayInfo.from_json(info.to_json()) == info
    for damaged in (b"", b"{}", b"[1]", info.to_json().replace(b"crc32c", b"crc32d"), b"\xff"):
        with pytest.raises(DamagedError):
            ArrayInfo.from_json(damaged)


@pytest.mark.parametrize("inner", [(), (5, 2), (1000,), (40, 1000), (10_000_000,), (3000, 3000)])
@pytest.mark.parametrize("leading", [("member", "step"), ("member",), ()])
def test_chunks_are_of_a_sensible_size(leading, inner):
    dims = (*leading, *(f"axis_{i}" for i in range(len(inner))))
    info = ArrayInfo.of(np.dtype("f4"), dims, inner)
    size = 4 * int(np.prod(info.chunks))
    assert size <= 4 * 2**20
    if leading == ("member", "step"):
        assert size >= 30_000
        assert info.chunks[0] in (16, 8, 4, 2, 1)
    files = int(np.prod([-(-n // c) for n, c in zip((1000, 301), info.chunks, strict=False)]))
    if leading == ("member", "step") and np.prod(inner, dtype=int) <= 10:
        assert files <= 126


def test_any_flipped_bit_of_a_chunk_is_an_error():
    info = ArrayInfo((3,), (4,), np.dtype("f4"), ("x",))
    content = encoded(np.arange(4, dtype=np.float32))
    np.testing.assert_array_equal(decoded(content, info), np.arange(4))
    for byte, bit in itertools.product(range(len(content)), range(8)):
        flipped = bytearray(content)
        flipped[byte] ^= 1 << bit
        with pytest.raises(DamagedError):
            decoded(bytes(flipped), info)
    for shorter in (b"", content[:3], content[:-1]):
        with pytest.raises(DamagedError):
            decoded(shorter, info)
