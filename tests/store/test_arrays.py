"""An array as a document and a chunk as bytes: what the formats say, and what is refused as damage."""

from __future__ import annotations

import json

import google_crc32c
import numpy as np
import pytest

from grokscope.store.arrays import ArrayInfo, DamagedError, blanked, decoded, encoded, fill_value
from grokscope.store.arrays import _content_size as content_size

LEAST = {8: -128, 16: -32768, 32: -2147483648, 64: -9223372036854775808}


@pytest.mark.parametrize("bits", LEAST)
def test_what_stands_where_nothing_was_written(bits):
    assert fill_value(np.dtype(f"i{bits // 8}")) == LEAST[bits]
    assert fill_value(np.dtype(f"u{bits // 8}")) == 0
    if bits > 8:
        assert np.isnan(fill_value(np.dtype(f"f{bits // 8}")))
    assert fill_value(np.dtype(bool)) is np.False_


def test_values_that_are_not_kept_are_blanked_in_a_copy():
    values = np.array([[1.0, 2.0], [3.0, 4.0]])
    np.testing.assert_array_equal(blanked(values, np.array([False, True])), [[np.nan] * 2, [3, 4]])
    np.testing.assert_array_equal(values, [[1, 2], [3, 4]])
    bools = blanked(np.array([True, False, True]), np.array([True, True, False]))
    assert bools.dtype == np.int8
    assert bools.tolist() == [1, 0, -128]


def test_a_document_is_as_the_formats_say():
    """Zarr v3 (core), and its codecs bytes, zstd and crc32c; older runs have these very words."""
    info = ArrayInfo((5, 7), (2, 3), np.dtype("<f4"), ("member", "step"), {"unit": "nats"})
    expected = {
        "zarr_format": 3,
        "node_type": "array",
        "shape": [5, 7],
        "data_type": "float32",
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [2, 3]}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "fill_value": "NaN",
        "codecs": [
            {"name": "bytes", "configuration": {"endian": "little"}},
            {"name": "zstd", "configuration": {"level": 1, "checksum": False}},
            {"name": "crc32c"},
        ],
        "dimension_names": ["member", "step"],
        "attributes": {"unit": "nats"},
    }
    assert json.loads(info.to_json()) == expected
    assert ArrayInfo.from_json(json.dumps(expected).encode()) == info
    assert info.grid == (3, 3)
    fills = {name: json.loads(ArrayInfo((), (), np.dtype(name), ()).to_json())["fill_value"]
             for name in ("bool", "uint8", "int8")}  # fmt: skip
    assert fills == {"bool": False, "uint8": 0, "int8": -128}


@pytest.mark.parametrize(
    ("dims", "inner"),
    [
        (("member", "step"), ()),
        (("member", "neuron"), (2**20,)),  # a chunk as large as there can be
        (("member", "step", "neuron"), (300_000,)),
        (("axis_0",), (0,)),
        (("axis_0", "axis_1"), (3, 0)),
        ((), ()),
    ],
)
def test_whatever_is_made_can_be_read(dims, inner):
    info = ArrayInfo.of(np.dtype("f4"), dims, inner)
    assert info.shape == (*(0 for dim in dims if dim in ("member", "step")), *inner)
    # in the document they are whole numbers, which other readers ask for
    assert all(type(size) is int and size >= 1 for size in info.chunks)
    assert ArrayInfo.from_json(info.to_json()) == info


@pytest.mark.parametrize("size", [40, 1000, 10_000])
def test_a_chunk_has_fewer_steps_before_it_has_fewer_members(size):
    """As many steps of all its members as a mebibyte holds."""
    all_members = ArrayInfo.of(np.dtype("f4"), ("member", "step"), ()).chunks[0]
    chunks = ArrayInfo.of(np.dtype("f4"), ("member", "step", "neuron"), (size,)).chunks
    assert (chunks[0], chunks[2]) == (all_members, size)
    assert 4 * np.prod(chunks) <= 2**20 < 2 * 4 * np.prod(chunks)


def test_the_largest_chunk_is_one_member_of_four_mebibytes():
    assert ArrayInfo.of(np.dtype("f4"), ("member", "neuron"), (2**20,)).chunks == (1, 2**20)


def test_numbers_that_cannot_be_stored():
    for name in ("complex64", "U3", "datetime64[s]", "O"):
        with pytest.raises(TypeError, match="cannot be stored"):
            ArrayInfo.of(np.dtype(name), ("axis_0",), (3,))


@pytest.mark.parametrize(
    "change",
    [
        {"data_type": "complex64"},
        {"codecs": []},
        {"dimension_names": ["member", "member"]},
        {"dimension_names": ["member", ""]},
        {"dimension_names": ["member", 1]},
        {"dimension_names": ["member"]},
        {"shape": [5]},
        {"shape": [5, 7, 1]},
        {"shape": [-1, 7]},
        {"shape": [5, -1]},
        {"chunk_grid": {"configuration": {"chunk_shape": [2]}}},
        {"chunk_grid": {"configuration": {"chunk_shape": [2, 0]}}},
        {"chunk_grid": {"configuration": {"chunk_shape": [2**20, 2]}}},
        {"attributes": {"labels": {"step": [1, "a"]}}},
        {"attributes": {"labels": {"step": [-(2**63)]}}},
        {"attributes": [1]},
    ],
    ids=str,
)
def test_a_document_that_we_cannot_have_written_is_damaged(change):
    info = ArrayInfo((5, 7), (2, 3), np.dtype("<f4"), ("member", "step"))
    document = json.loads(info.to_json())
    assert ArrayInfo.from_json(json.dumps(document).encode()) == info
    with pytest.raises(DamagedError, match="metadata of an array is damaged"):
        ArrayInfo.from_json(json.dumps({**document, **change}).encode())


@pytest.mark.parametrize("label", [2**63 - 1, 1 - 2**63])
def test_labels_are_as_large_as_an_array_can_hold(label):
    info = ArrayInfo.of(np.dtype("f4"), ("x",), (1,), {"labels": {"x": [label]}})
    assert ArrayInfo.from_json(info.to_json()).attributes["labels"]["x"] == [label]


def test_a_chunk_that_was_read_cannot_be_changed():
    info = ArrayInfo((3,), (3,), np.dtype("f4"), ("x",))
    chunk = decoded(encoded(np.arange(3, dtype=np.float32)[::-1]), info)
    assert chunk.tolist() == [2, 1, 0]
    with pytest.raises(ValueError, match="read-only"):
        chunk[0] = 5


def test_a_chunk_of_another_size_or_no_chunk_at_all_is_damaged_under_a_right_checksum():
    info = ArrayInfo((3,), (3,), np.dtype("f4"), ("x",))
    sound = encoded(np.arange(3, dtype=np.float32))[:-4]
    for body in (
        encoded(np.arange(4, dtype=np.float32))[:-4],
        b"",
        sound[:4],
        sound[:-2],
        sound[:9] + b"xyz",
    ):
        with pytest.raises(DamagedError):
            decoded(body + google_crc32c.value(body).to_bytes(4, "little"), info)


@pytest.mark.parametrize("dictionary", [0, 1, 2, 3])
@pytest.mark.parametrize("is_single", [True, False])
@pytest.mark.parametrize("flag", [0, 1, 2, 3])
def test_the_size_that_a_frame_claims(flag, is_single, dictionary):
    """The frame header by RFC 8878, 3.1.1.1: descriptor, window, dictionary, content size."""
    size = 201 + 256 * (flag == 1)
    field = {0: bytes([201]) if is_single else b"", 1: bytes([201, 0]), 2: bytes([201, 0, 0, 0]),
             3: bytes([201, 0, 0, 0, 0, 0, 0, 0])}[flag]  # fmt: skip
    descriptor = flag * 64 + is_single * 32 + dictionary
    window = b"" if is_single else b"\x58"
    identifier = {0: b"", 1: b"\x07", 2: b"\x07\x07", 3: b"\x07\x07\x07\x07"}[dictionary]
    header = b"\x28\xb5\x2f\xfd" + bytes([descriptor]) + window + identifier + field
    expected = size if field else -1
    assert content_size(header) == content_size(header + b"\x01\x00\x00") == expected
    assert content_size(b"\x28\xb5\x2f\xfe" + header[4:] + b"\x01\x00\x00") == -1
    for shorter in range(len(header)):
        assert content_size(header[:shorter]) == -1
