"""A reader of untrusted safetensors files, which checks the whole header before it uses any of it.

It reads one tensor at a time, so memory does not grow with the file. The safetensors library maps the whole
file and accepts some of what is refused here; we use it only to write files.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from grokscope.errors import InputError

__all__ = ["SafetensorsFile", "TensorInfo"]

_MAX_HEADER_BYTES = 64 * 2**20
_MAX_AXES = 32
_DTYPES = {
    "BOOL": "?",
    "U8": "<u1",
    "I8": "<i1",
    "U16": "<u2",
    "I16": "<i2",
    "U32": "<u4",
    "I32": "<i4",
    "U64": "<u8",
    "I64": "<i8",
    "F16": "<f2",
    "BF16": "<u2",  # the upper half of a float32; `read` converts it
    "F32": "<f4",
    "F64": "<f8",
}


@dataclass(frozen=True)
class TensorInfo:
    """Type, shape and place of a tensor in a file.

    Attributes:
        dtype: the format's name of the type, such as ``F32``.
        shape: the shape of the tensor.
        start, stop: byte offsets in the file; ``stop`` is exclusive.
    """

    dtype: str
    shape: tuple[int, ...]
    start: int
    stop: int


class SafetensorsFile:
    """A file with a valid header: known types, and tensors that fill the file without gap or overlap.

    Attributes:
        path: the file.
        tensors: by name.
        metadata: the text entries of the header.

    Raises:
        InputError: naming the file and what is wrong with it.

    Example:
        >>> import tempfile
        >>> from safetensors.numpy import save_file
        >>> name = tempfile.mkdtemp() + "/a.safetensors"
        >>> save_file({"w": np.array([1.0, 2.0], np.float32)}, name)
        >>> SafetensorsFile(Path(name)).read("w").tolist()
        [1.0, 2.0]
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with path.open("rb") as stream:
                size = stream.seek(0, 2)
                stream.seek(0)
                start = stream.read(8)
                length = struct.unpack("<Q", start)[0] if len(start) == 8 else -1
                if length < 0:
                    raise self._error(f"has {size} bytes, fewer than a header needs; it is truncated")
                if length > size - 8:
                    raise self._error(
                        f"its header claims {length} bytes of {size}; it is truncated or damaged"
                    )
                if length > _MAX_HEADER_BYTES:
                    raise self._error(
                        f"its header claims {length} bytes; at most {_MAX_HEADER_BYTES} are read"
                    )
                header = self._parse_header(stream.read(length))
        except OSError as error:
            raise InputError(f"{path}: cannot be read: {error.strerror or error}.") from None
        self.metadata: dict[str, str] = self._metadata(header.pop("__metadata__", {}))
        self.tensors = {name: self._info(name, entry, 8 + length) for name, entry in header.items()}
        self._check_places(8 + length, size)

    def read(self, name: str) -> np.ndarray:
        """Read a tensor; ``BF16`` becomes float32.

        Raises:
            KeyError: if the file has no tensor of this name.
            InputError: if the file became shorter, or cannot be read.
        """
        info = self.tensors[name]
        try:
            with self.path.open("rb") as stream:
                stream.seek(info.start)
                content = stream.read(info.stop - info.start)
        except OSError as error:
            raise InputError(f"{self.path}: cannot be read: {error.strerror or error}.") from None
        if len(content) != info.stop - info.start:
            raise self._error(f"it ends within tensor '{name}'; it changed while it was read")
        array = np.frombuffer(content, _DTYPES[info.dtype]).reshape(info.shape)
        if info.dtype == "BF16":
            return (array.astype(np.uint32) << 16).view(np.float32)
        return array

    def _error(self, what: str) -> InputError:
        return InputError(f"{self.path}: {what}.")

    def _parse_header(self, content: bytes) -> dict[str, Any]:
        def unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
            table = dict(pairs)
            if len(table) < len(pairs):
                names = [name for name, _ in pairs]
                twice = next(name for name in names if names.count(name) > 1)
                raise self._error(f"its header names '{twice}' twice")
            return table

        try:
            header = json.loads(content, object_pairs_hook=unique_keys)
        except (ValueError, RecursionError):
            raise self._error(
                "its header is not JSON; this is no safetensors file, or it is damaged"
            ) from None
        if not isinstance(header, dict):
            raise self._error("its header is not a table")
        return header

    def _metadata(self, entry: Any) -> dict[str, str]:
        if not isinstance(entry, Mapping) or not all(isinstance(value, str) for value in entry.values()):
            raise self._error("its metadata is not a table of texts")
        return dict(entry)

    def _info(self, name: str, entry: Any, begin: int) -> TensorInfo:
        try:
            dtype, shape, (start, stop) = entry["dtype"], entry["shape"], entry["data_offsets"]
            numbers = [*shape, start, stop]
        except (KeyError, TypeError, ValueError):
            raise self._error(f"tensor '{name}' lacks dtype, shape or data_offsets") from None
        if not isinstance(dtype, str) or dtype not in _DTYPES:
            known = ", ".join(_DTYPES)
            raise self._error(f"tensor '{name}' has type {str(dtype)[:20]!r}; known: {known}")
        if any(type(number) is not int or number < 0 for number in numbers) or len(shape) > _MAX_AXES:
            raise self._error(f"tensor '{name}' has a shape or offsets that are not whole numbers from 0")
        claimed = math.prod(shape) * np.dtype(_DTYPES[dtype]).itemsize
        if stop - start != claimed:
            raise self._error(
                f"tensor '{name}' of {dtype} and shape {shape} needs {claimed} bytes, but has {stop - start}"
            )
        return TensorInfo(dtype, tuple(shape), begin + start, begin + stop)

    def _check_places(self, begin: int, size: int) -> None:
        at, last = begin, "the header"
        for name, info in sorted(self.tensors.items(), key=lambda item: (item[1].start, item[1].stop)):
            if info.start != at:
                fault = "overlaps" if info.start < at else "leaves a gap behind"
                raise self._error(f"tensor '{name}' {fault} {last}")
            at, last = info.stop, f"tensor '{name}'"
        if at > size:
            raise self._error(f"its tensors need {at} bytes, but it has {size}; it is truncated")
        if at < size:
            raise self._error(f"it has {size - at} bytes behind its last tensor")
