"""The tree of arrays in an icechunk session, in the zarr v3 format; chunks are read and written directly.

Any zarr reader can open the arrays. This module replaces zarr's array class for three reasons. It writes
every chunk of a grid when the grid grows, so a missing chunk is an error and never a fill value. It transfers
all chunks of a transaction together, which is several times as fast. It lists no keys: the attributes of the
root name all arrays.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import math
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
from zarr.core.buffer import default_buffer_prototype
from zarr.core.sync import sync

from grokscope.store.arrays import ArrayInfo, DamagedError, decoded, encoded, fill_value
from grokscope.store.lock import CommitLock

__all__ = ["Tree"]

_AT_ONCE = 32  # concurrent operations
_LARGE, _MANY = 2**26, 1000  # bytes and chunks from which an array's chunks are counted first


class Tree:
    """The arrays of one icechunk session. Writes are buffered until `flush` or the next read.

    Args:
        session: of the library.
        lock: keeps the commit of the session as long as the tree, or a lazy array of it, is alive.

    Attributes:
        attributes: attributes of the root except the list of arrays; set by `set_attributes`.
        paths: paths of all arrays, sorted.
    """

    def __init__(self, session: Any, lock: CommitLock | None = None) -> None:
        self._store = session.store
        self._lock = lock
        self._prototype = default_buffer_prototype()
        self._known: dict[str, ArrayInfo] = {}
        self._documents: dict[str, bytes] = {}
        self._writes: dict[str, list[_Write]] = {}
        self.attributes: dict[str, Any] = {}
        self.paths: list[str] = []

    def on(self, session: Any, lock: CommitLock | None = None) -> Tree:
        """The same arrays in another session, begun at the current state of this one."""
        tree = Tree(session, lock)
        tree._known = dict(self._known)
        tree.attributes, tree.paths = dict(self.attributes), list(self.paths)
        return tree

    def has_root(self) -> bool:
        """Whether the root document exists."""
        return sync(self._get("zarr.json")) is not None

    def load(self) -> Tree:
        """Read the attributes of the root and the list of arrays.

        Raises:
            DamagedError: if the root is missing or invalid.
        """
        content = sync(self._get("zarr.json"))
        if content is None:
            raise DamagedError("its root is missing")
        try:
            attributes: Any = json.loads(content)["attributes"]
            self.paths = [str(path) for path in attributes.pop("arrays")]
            self.attributes = dict(attributes)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise DamagedError(f"its attributes are damaged ({error})") from None
        return self

    def set_attributes(self, attributes: Mapping[str, Any]) -> None:
        """Replace the attributes of the root."""
        self.attributes = dict(attributes)
        self._save_root()

    def info(self, path: str) -> ArrayInfo:
        """Metadata of an array.

        Raises:
            KeyError: if no array has this path.
            DamagedError: if its metadata is damaged or chunks are missing.
        """
        return self.infos([path])[path]

    def infos(self, paths: Sequence[str]) -> dict[str, ArrayInfo]:
        """`info` for several arrays at once."""
        for path in paths:
            if path not in self.paths:
                raise KeyError(path)
        unknown = [path for path in paths if path not in self._known]
        if unknown:
            documents = self._all(self._get(f"{path}/zarr.json") for path in unknown)
            for path, content in zip(unknown, documents, strict=True):
                if content is None:
                    raise DamagedError(f"the metadata of {path} is missing")
                info = ArrayInfo.from_json(content)
                if (
                    math.prod(info.shape) * info.dtype.itemsize > _LARGE or math.prod(info.grid) > _MANY
                ):  # check before memory is allocated: a damaged document may state any shape
                    self._check_grid(path, info)
                self._known[path] = info
        return {path: self._known[path] for path in paths}

    def _check_grid(self, path: str, info: ArrayInfo) -> None:
        """Raise a DamagedError if an array has fewer chunks than its shape needs."""

        async def count() -> int:
            keys = [key async for key in self._store.list_prefix(path)]  # the prefix must name a node
            return sum(key.startswith(f"{path}/c/") for key in keys)

        if sync(count()) < math.prod(info.grid):
            raise DamagedError(f"chunks of {path}, of shape {list(info.shape)}, are missing")

    def below(self, group: str) -> list[str]:
        """Paths of all arrays in a group and its subgroups."""
        return [path for path in self.paths if path.startswith(f"{group}/")]

    def create(self, arrays: Mapping[str, ArrayInfo]) -> None:
        """Add empty arrays and their groups."""
        groups = {str(parent) for path in arrays for parent in _parents(path)}
        have = {str(parent) for path in self.paths for parent in _parents(path)}
        document = json.dumps({"zarr_format": 3, "node_type": "group", "attributes": {}}).encode()
        for group in sorted(groups - have):  # a group before its subgroups
            self._documents[f"{group}/zarr.json"] = document
        for path, info in arrays.items():
            self._documents[f"{path}/zarr.json"] = info.to_json()
        self._known.update(arrays)
        self.paths = sorted({*self.paths, *arrays})
        self._save_root()

    def read(self, path: str, indices: Sequence[np.ndarray]) -> np.ndarray:
        """Values at the outer product of indices; axes without an index are read whole.

        Raises:
            DamagedError: if a chunk is missing or does not match its checksum.
        """
        self.flush()
        info = self.info(path)
        full = _completed(indices, info.shape)
        out = np.empty([len(index) for index in full], info.dtype)

        async def place(piece: _Piece) -> None:
            out[piece.outside] = (await self._chunk(path, info, piece.chunk))[piece.inside]

        if out.size:
            self._all(place(piece) for piece in _pieces(full, info.chunks))
        return out

    def write(self, path: str, indices: Sequence[np.ndarray], values: np.ndarray) -> None:
        """Set values at the outer product of indices; the array grows as needed."""
        old = self.info(path)
        grown = [
            max(size, int(index.max(initial=-1)) + 1) for size, index in zip(old.shape, indices, strict=False)
        ]
        info = replace(old, shape=(*grown, *old.shape[len(grown) :]))
        full = _completed(indices, info.shape)
        array = np.array(values, info.dtype).reshape([len(index) for index in full])
        self._known[path] = info
        if info.shape != old.shape:
            self._documents[f"{path}/zarr.json"] = info.to_json()
        self._writes.setdefault(path, []).append(_Write(old.grid, info, full, array))

    def flush(self) -> None:
        """Execute the buffered writes: the documents in order, then all arrays concurrently."""
        if not self._documents and not self._writes:
            return
        documents, self._documents = self._documents, {}
        writes, self._writes = self._writes, {}

        async def put_all(path: str, several: list[_Write]) -> None:
            for write in several:  # in order: writes may share chunks
                await self._put(path, write)

        async def run() -> None:
            for key, content in documents.items():
                await self._set(key, content)
            await _gathered(put_all(path, several) for path, several in writes.items())

        sync(run())

    async def _put(self, path: str, write: _Write) -> None:
        info, old_grid = write.info, write.old_grid
        pieces = _pieces(write.indices, info.chunks) if write.values.size else []

        async def put(piece: _Piece) -> None:
            is_new = any(i >= n for i, n in zip(piece.chunk, old_grid, strict=True))
            if is_new or piece.covers(info):
                chunk = np.full(info.chunks, fill_value(info.dtype), info.dtype)
            else:
                chunk = (await self._chunk(path, info, piece.chunk)).copy()
            chunk[piece.inside] = write.values[piece.outside]
            await self._set(_key(path, piece.chunk), encoded(chunk))

        if info.grid != old_grid:
            had = set(itertools.product(*(range(n) for n in old_grid)))
            empty = encoded(np.full(info.chunks, fill_value(info.dtype), info.dtype))
            rest = set(itertools.product(*(range(n) for n in info.grid))) - had
            for chunk in sorted(rest - {piece.chunk for piece in pieces}):
                await self._set(_key(path, chunk), empty)
        for piece in pieces:
            await put(piece)

    def check(self, path: str) -> None:
        """Read every chunk of an array.

        Raises:
            DamagedError: see `read`.
        """
        info = self.info(path)
        chunks = itertools.product(*(range(n) for n in info.grid))
        self._all(self._chunk(path, info, chunk) for chunk in chunks)

    async def _chunk(self, path: str, info: ArrayInfo, chunk: tuple[int, ...]) -> np.ndarray:
        content = await self._get(_key(path, chunk))
        if content is None:
            raise DamagedError(f"chunk {list(chunk)} of {path} is missing")
        try:
            return decoded(content, info)
        except DamagedError as error:
            raise DamagedError(f"chunk {list(chunk)} of {path} is damaged ({error})") from None

    async def _get(self, key: str) -> bytes | None:
        content = await self._store.get(key, self._prototype)
        return None if content is None else content.to_bytes()

    async def _set(self, key: str, content: bytes) -> None:
        await self._store.set(key, self._prototype.buffer.from_bytes(content))

    def _save_root(self) -> None:
        attributes = {**self.attributes, "arrays": self.paths}
        document = {"zarr_format": 3, "node_type": "group", "attributes": attributes}
        self._documents["zarr.json"] = json.dumps(document).encode()

    @staticmethod
    def _all(work: Iterator[Coroutine[Any, Any, Any]]) -> list[Any]:
        return sync(_gathered(work))


async def _gathered(work: Iterator[Coroutine[Any, Any, Any]]) -> list[Any]:
    """Results of coroutines in order; few run at a time, so that few decoded chunks are in memory."""
    done: list[Any] = []
    for batch in iter(lambda: list(itertools.islice(work, _AT_ONCE)), []):
        done += await asyncio.gather(*batch)
    return done


@dataclass(frozen=True)
class _Write:
    """A buffered write.

    Attributes:
        old_grid: number of chunks along each axis before the write.
        info: metadata of the array after the write.
        indices: indices along every axis.
        values: values at the outer product of the indices.
    """

    old_grid: tuple[int, ...]
    info: ArrayInfo
    indices: list[np.ndarray]
    values: np.ndarray


@dataclass(frozen=True)
class _Piece:
    """The part of a selection in one chunk."""

    chunk: tuple[int, ...]
    outside: tuple[Any, ...]  # index into the selection
    inside: tuple[Any, ...]  # index into the chunk

    def covers(self, info: ArrayInfo) -> bool:
        """Whether the piece is all of the chunk inside the array's shape."""
        for number, inside, size, chunk in zip(self.chunk, self.inside, info.shape, info.chunks, strict=True):
            if not isinstance(inside, slice) or inside != slice(0, min(chunk, size - number * chunk)):
                return False
        return True


def _completed(indices: Sequence[np.ndarray], shape: tuple[int, ...]) -> list[np.ndarray]:
    return [np.asarray(index, np.int64) for index in indices] + [
        np.arange(size) for size in shape[len(indices) :]
    ]


def _pieces(indices: list[np.ndarray], chunks: tuple[int, ...]) -> list[_Piece]:
    axes: list[list[tuple[int, Any, Any]]] = []
    for index, chunk in zip(indices, chunks, strict=True):
        numbers = index // chunk
        order = np.argsort(numbers, kind="stable")
        met, starts = np.unique(numbers[order], return_index=True)
        axes.append(
            [
                (int(number), _slice(outside), _slice(index[outside] - number * chunk))
                for number, outside in zip(met, np.split(order, starts)[1:], strict=True)
            ]
        )
    pieces: list[_Piece] = []
    for combination in itertools.product(*axes):
        number, outside, inside = zip(*combination, strict=True) if combination else ((), (), ())
        pieces.append(_Piece(number, _outer(outside), _outer(inside)))
    return pieces


def _slice(index: np.ndarray) -> slice | np.ndarray:
    """Consecutive indices as a slice; others unchanged."""
    first = int(index[0])
    if np.array_equal(index, np.arange(first, first + len(index))):
        return slice(first, first + len(index))
    return index


def _outer(index: tuple[Any, ...]) -> tuple[Any, ...]:
    if all(isinstance(item, slice) for item in index):
        return index
    arrays = [np.arange(item.start, item.stop) if isinstance(item, slice) else item for item in index]
    return cast("tuple[Any, ...]", np.ix_(*arrays))


def _key(path: str, chunk: tuple[int, ...]) -> str:
    return "/".join([path, "c", *map(str, chunk)])


def _parents(path: str) -> list[str]:
    parts = path.split("/")[:-1]
    return ["/".join(parts[: i + 1]) for i in range(len(parts))]
