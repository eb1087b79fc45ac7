"""The reader of safetensors files: right on what the library writes, and strict on all else."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save

from grokscope.errors import InputError
from grokscope.interop._safetensors import SafetensorsFile

RNG = np.random.default_rng(0)
TYPES = ("?", "u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f2", "f4", "f8")


def raw(header: object, data: bytes = b"", length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def entry(start: int, stop: int, dtype: str = "F32", shape: object = None) -> dict[str, object]:
    return {
        "dtype": dtype,
        "shape": [(stop - start) // 4] if shape is None else shape,
        "data_offsets": [start, stop],
    }


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "a.safetensors"


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 0, 3), (2, 3)])
def test_reads_what_the_library_writes(file, kind, shape):
    first = np.asarray(RNG.integers(0, 2, shape) * 3).astype(kind)
    second = np.arange(4).astype(kind)
    file.write_bytes(save({"b": second, "a/x": first}, metadata={"k": "v"}))
    found = SafetensorsFile(file)
    assert found.metadata == {"k": "v"}
    assert {name: info.shape for name, info in found.tensors.items()} == {"b": (4,), "a/x": shape}
    for name, array in (("a/x", first), ("b", second)):
        read = found.read(name)
        assert read.dtype == array.dtype
        np.testing.assert_array_equal(read, array)


def test_bfloat16_becomes_float32(file):
    # 1, -2.5 and 3 * 2^-20 are the upper halves of these float32 patterns
    halves = np.array([0x3F80, 0xC020, 0x3640], np.uint16)
    file.write_bytes(raw({"w": entry(0, 6, "BF16", [3])}, halves.tobytes()))
    read = SafetensorsFile(file).read("w")
    assert read.dtype == np.float32
    assert read.tolist() == [1.0, -2.5, 3 * 2.0**-20]


FLOAT = b"\0" * 4
BAD = [
    (b"", "has 0 bytes, fewer than a header needs"),
    (b"\x10\0\0", "has 3 bytes, fewer"),
    (raw({}, length=2**60), "its header claims 1152921504606846976 bytes of 10"),
    (raw(b"{" * 9), "its header is not JSON"),
    (raw(b"[" * 100_000), "its header is not JSON"),
    (raw(b"\xff\xfe"), "its header is not JSON"),
    (raw([1]), "its header is not a table"),
    (raw(b'{"w": 1, "w": 2}'), "its header names 'w' twice"),
    (raw({"__metadata__": {"a": 1}}), "its metadata is not a table of texts"),
    (raw({"w": 3}), "tensor 'w' lacks dtype, shape or data_offsets"),
    (raw({"w": {"dtype": "F32", "shape": [1]}}), "tensor 'w' lacks"),
    (raw({"w": {**entry(0, 4), "data_offsets": [0]}}, FLOAT), "tensor 'w' lacks"),
    (raw({"w": entry(0, 4, "F8")}, FLOAT), "tensor 'w' has type 'F8'; known: BOOL, "),
    (raw({"w": {**entry(0, 4), "dtype": ["F32"]}}, FLOAT), "tensor 'w' has type"),
    (raw({"w": entry(0, 4, shape=[-1])}, FLOAT), "whole numbers from 0"),
    (raw({"w": entry(0, 4, shape=[1.0])}, FLOAT), "whole numbers from 0"),
    (raw({"w": entry(0, 4, shape=[True])}, FLOAT), "whole numbers from 0"),
    (raw({"w": entry(0, 4, shape=[1] * 40)}, FLOAT), "whole numbers from 0"),
    (raw({"w": entry(-4, 0)}, FLOAT), "whole numbers from 0"),
    (raw({"w": entry(4, 0, shape=[1])}, FLOAT), "of F32 and shape [1] needs 4 bytes, but has -4"),
    (raw({"w": entry(0, 4, shape=[10**12, 10**12])}, FLOAT), "needs 4000000000000000000000000 bytes"),
    (raw({"w": entry(0, 8)}, FLOAT), "its tensors need 77 bytes, but it has 73; it is truncated"),
    (raw({"v": entry(0, 8), "w": entry(4, 12)}, FLOAT * 3), "tensor 'w' overlaps tensor 'v'"),
    (raw({"v": entry(0, 8), "w": entry(0, 8)}, FLOAT * 2), "overlaps"),
    (raw({"v": entry(0, 4), "w": entry(8, 12)}, FLOAT * 3), "tensor 'w' leaves a gap behind tensor 'v'"),
    (raw({"w": entry(4, 8)}, FLOAT * 2), "tensor 'w' leaves a gap behind the header"),
    (raw({"w": entry(0, 4)}, FLOAT * 2), "it has 4 bytes behind its last tensor"),
]


@pytest.mark.parametrize(("content", "text"), BAD, ids=range(len(BAD)))
def test_bad_files_are_named_with_the_fault(file, content, text):
    file.write_bytes(content)
    with pytest.raises(InputError) as error:
        SafetensorsFile(file)
    assert str(error.value).startswith(f"{file}: ")
    assert text in str(error.value)


def test_a_header_larger_than_any_real_one_is_not_read(file):
    with file.open("wb") as stream:
        stream.write(struct.pack("<Q", 2**30))
        stream.truncate(2**31)  # a sparse file: there are as many bytes as it claims
    with pytest.raises(InputError, match="its header claims 1073741824 bytes; at most 67108864 are read"):
        SafetensorsFile(file)


def test_every_truncation_is_noticed(file):
    whole = save({"a": np.ones(3, np.float32), "b": np.ones((2, 2))})
    for length in range(len(whole)):
        file.write_bytes(whole[:length])
        with pytest.raises(InputError):
            SafetensorsFile(file)


def test_a_file_that_shrinks_while_it_is_read(file):
    file.write_bytes(save({"a": np.ones(300, np.float32)}))
    found = SafetensorsFile(file)
    file.write_bytes(file.read_bytes()[:-7])
    with pytest.raises(InputError, match="it ends within tensor 'a'; it changed while it was read"):
        found.read("a")


@given(data=st.data())
def test_a_changed_byte_is_refused_or_read_like_the_library_does(data, tmp_path_factory):
    from safetensors.numpy import load

    file = tmp_path_factory.mktemp("flip") / "a.safetensors"
    content = bytearray(save({"a": np.arange(3.0), "b": np.ones((2, 1), np.int16)}))
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] = data.draw(st.integers(0, 255))
    file.write_bytes(content)
    try:
        found = SafetensorsFile(file)
    except InputError:
        return
    theirs = load(bytes(content))
    assert set(theirs) == set(found.tensors)
    for name, array in theirs.items():
        assert found.read(name).tobytes() == array.tobytes()
