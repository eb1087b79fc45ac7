"""One stored array: its zarr v3 metadata (shape, chunks, type) and the encoding of its chunks.

Each chunk is compressed (zstd) and ends with its crc32c.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import google_crc32c
import numpy as np
from numcodecs.zstd import Zstd

__all__ = ["ArrayInfo", "DamagedError", "blanked", "decoded", "encoded", "fill_value"]

_ZSTD = Zstd(level=1)
_ZSTD_MAGIC = bytes.fromhex("28b52ffd")
_CODECS = [
    {"name": "bytes", "configuration": {"endian": "little"}},
    {"name": "zstd", "configuration": {"level": 1, "checksum": False}},
    {"name": "crc32c"},
]
_TYPES = (
    *("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
    *("float16", "float32", "float64"),
)
_KINDS = {np.dtype(name).newbyteorder("<").str: name for name in _TYPES}
_MOST_ROWS, _MOST_STEPS = 16, 512
_AIM_BYTES, _MOST_BYTES = 2**20, 2**22


class DamagedError(Exception):
    """Stored bytes differ from the written ones, or are missing."""


def fill_value(dtype: np.dtype) -> Any:
    """The value of unwritten entries: NaN, the least signed integer, 0 (unsigned) or False."""
    if dtype.kind == "f":
        return dtype.type("nan")
    return np.iinfo(dtype).min if dtype.kind == "i" else dtype.type(0)


def blanked(values: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """A copy with the fill value where ``kept`` (bool, over the leading axes) is False; bools become int8."""
    values = values.astype(np.int8) if values.dtype.kind == "b" else values.copy()
    values[~kept] = fill_value(values.dtype)
    return values


@dataclass(frozen=True)
class ArrayInfo:
    """Metadata of an array.

    Attributes:
        shape: shape of the array; it only grows.
        chunks: shape of a chunk.
        dtype: little-endian number or bool.
        dims: names of the axes.
        attributes: labels, unit, or other JSON values.
    """

    shape: tuple[int, ...]
    chunks: tuple[int, ...]
    dtype: np.dtype
    dims: tuple[str, ...]
    attributes: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @classmethod
    def of(
        cls,
        dtype: np.dtype,
        dims: tuple[str, ...],
        inner: tuple[int, ...],
        attributes: Mapping[str, Any] | None = None,
    ) -> ArrayInfo:
        """Metadata of an array without members and steps yet, in chunks of about 1 MiB, at most 4 MiB.

        Args:
            dtype: number or bool.
            dims: axis names. The leading axes ``member`` and ``step`` (if any) grow.
            inner: sizes of the other axes.
            attributes: see the class.

        Raises:
            TypeError: if the type cannot be stored.
        """
        dtype = np.dtype(dtype).newbyteorder("<")
        if dtype.str not in _KINDS:
            raise TypeError(f"an array of type {dtype} cannot be stored")
        most = {"member": _MOST_ROWS, "step": _MOST_STEPS}
        growing = [most[dim] for dim in dims[: len(dims) - len(inner)]]
        sizes = [*growing, *(max(1, size) for size in inner)]

        def too_big(most_bytes: int) -> bool:
            return math.prod(sizes) * dtype.itemsize > most_bytes

        # shrink the steps of a chunk first, then its members, then its longest axis
        for axis in reversed(range(len(growing))):
            while too_big(_AIM_BYTES if axis else _MOST_BYTES) and sizes[axis] > 1:
                sizes[axis] //= 2
        while too_big(_MOST_BYTES):
            longest = max(range(len(sizes)), key=sizes.__getitem__)
            sizes[longest] = math.ceil(sizes[longest] / 2)
        shape = (*(0 for _ in growing), *inner)
        return cls(shape, tuple(sizes), dtype, dims, dict(attributes or {}))

    @property
    def grid(self) -> tuple[int, ...]:
        """Number of chunks along each axis."""
        return tuple(math.ceil(size / chunk) for size, chunk in zip(self.shape, self.chunks, strict=True))

    def to_json(self) -> bytes:
        """The zarr v3 metadata document."""
        fill = fill_value(self.dtype)
        document = {
            "zarr_format": 3,
            "node_type": "array",
            "shape": self.shape,
            "data_type": _KINDS[self.dtype.str],
            "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": self.chunks}},
            "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
            "fill_value": "NaN" if self.dtype.kind == "f" else fill.item() if hasattr(fill, "item") else fill,
            "codecs": _CODECS,
            "dimension_names": self.dims,
            "attributes": dict(self.attributes),
        }
        return json.dumps(document).encode()

    @classmethod
    def from_json(cls, content: bytes) -> ArrayInfo:
        """Parse a metadata document written by `to_json`.

        Raises:
            DamagedError: if the document is invalid.
        """
        try:
            document: Any = json.loads(content)
            if document["codecs"] != _CODECS or document["data_type"] not in _TYPES:
                raise ValueError("codecs or data_type")
            dims: list[Any] = list(document["dimension_names"])
            if len(set(dims)) < len(dims) or not all(isinstance(dim, str) and dim for dim in dims):
                raise ValueError("names of axes")
            info = cls(
                tuple(int(size) for size in document["shape"]),
                tuple(int(size) for size in document["chunk_grid"]["configuration"]["chunk_shape"]),
                np.dtype(document["data_type"]).newbyteorder("<"),
                tuple(dims),
                dict(document["attributes"]),
            )
            if not len(info.shape) == len(info.chunks) == len(info.dims):
                raise ValueError("numbers of axes differ")
            labels: dict[str, list[Any]] = info.attributes.get("labels", {})
            if not all(_are_labels(of_axis) for of_axis in labels.values()):
                raise ValueError("labels")
            # check sizes before allocation: a damaged file may state any size
            if min(info.shape, default=0) < 0 or min(info.chunks, default=1) < 1:
                raise ValueError("sizes")
            if math.prod(info.chunks) * info.dtype.itemsize > _MOST_BYTES:
                raise ValueError(f"chunks of shape {info.chunks}")
            return info
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
            raise DamagedError(f"metadata of an array is damaged ({error})") from None


def _are_labels(of_axis: list[Any]) -> bool:
    """Whether the labels are all strings, or all integers (e.g. frequencies) that fit int64."""
    return all(type(one) is str for one in of_axis) or all(
        type(one) is int and abs(one) < 2**63 for one in of_axis
    )


def encoded(chunk: np.ndarray) -> bytes:
    """Compress a chunk and append its crc32c."""
    body = bytes(_ZSTD.encode(np.ascontiguousarray(chunk)))
    return body + google_crc32c.value(body).to_bytes(4, "little")


def decoded(content: bytes, info: ArrayInfo) -> np.ndarray:
    """Decode the bytes of a chunk (`encoded`) to a read-only array.

    Raises:
        DamagedError: if the checksum, the size or the compressed data is wrong.
    """
    body, checksum = content[:-4], int.from_bytes(content[-4:], "little")
    if google_crc32c.value(body) != checksum:
        raise DamagedError("its checksum does not match")
    out = np.empty(info.chunks, info.dtype)
    if _content_size(body) != out.nbytes:
        raise DamagedError(f"its uncompressed size is not {out.nbytes} bytes")
    try:
        _ZSTD.decode(body, out.reshape(-1).view(np.uint8))
    except (ValueError, RuntimeError) as error:
        raise DamagedError(str(error)) from None
    out.flags.writeable = False
    return out


def _content_size(frame: bytes) -> int:
    """Uncompressed size in the header of a zstd frame (RFC 8878, section 3.1.1.1); -1 if it is absent.

    Checked before decompression, because a frame of a kilobyte can unpack to a terabyte.
    """
    if len(frame) < 5 or frame[:4] != _ZSTD_MAGIC:
        return -1
    flag, is_single, dictionary = frame[4] >> 6, frame[4] >> 5 & 1, (0, 1, 2, 4)[frame[4] & 3]
    width = (is_single, 2, 4, 8)[flag]
    start = 5 + (not is_single) + dictionary
    size = int.from_bytes(frame[start : start + width], "little")
    return size + 256 * (width == 2) if width and len(frame) >= start + width else -1
