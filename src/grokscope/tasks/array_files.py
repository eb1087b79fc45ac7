"""Read, check and hash a user's arrays, for the task in ``arrays.py``."""

from __future__ import annotations

import hashlib
import struct
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np

from grokscope.errors import InputError, did_you_mean

__all__ = ["CheckedArrays", "check", "load", "read", "remembered", "save"]

_NEEDED = ("train_x", "train_y")
_HELD_OUT = ("test", "probe")  # optional splits
_ALLOWED = (*_NEEDED, *(f"{split}_{part}" for split in _HELD_OUT for part in "xy"))
_MOST_HEADER = 1_000_000
_MOST_CLASSES = 1_000_000
_MOST_UNPACKED = 100_000_000  # bytes beyond the file's size: a small archive can expand to a terabyte


@dataclass(frozen=True)
class CheckedArrays:
    """Checked arrays.

    Attributes:
        arrays: by name, as given.
        sha256: hash of their names, types, shapes and bytes.
        label_kind: ``sign``, ``real`` or ``class``.
        n_outputs: 1, the number of classes, or the length of real vectors.
    """

    arrays: dict[str, np.ndarray]
    sha256: str
    label_kind: Literal["sign", "real", "class"]
    n_outputs: int

    def count(self, split: str) -> int:
        """Number of rows of a split; 0 if the split is missing."""
        return len(self.arrays.get(f"{split}_x", ()))

    @cached_property
    def has_binary_inputs(self) -> bool:
        """Whether all inputs are +-1."""
        return all(bool(np.all(np.abs(a) == 1)) for name, a in self.arrays.items() if name.endswith("_x"))


# arrays by hash, from memory and from files; an unchanged file is read once
remembered: dict[str, CheckedArrays] = {}
_stamps: dict[tuple[str, int, int], str] = {}


def check(arrays: Mapping[str, Any], source: str) -> CheckedArrays:
    """Check arrays and detect the kind of their labels.

    Raises:
        InputError: naming the source and the array.
    """
    for name in arrays:
        if name not in _ALLOWED:
            raise InputError(
                f"{source}: array '{name}' is not known.{did_you_mean(name, _ALLOWED)} "
                f"Allowed: {', '.join(_ALLOWED)}."
            )
    given = [split for split in _HELD_OUT if {f"{split}_x", f"{split}_y"} & set(arrays)]
    needed = (*_NEEDED, *(f"{split}_{part}" for split in given for part in "xy"))
    for name in needed:
        if name not in arrays:
            raise InputError(f"{source}: array '{name}' is missing; needed: {', '.join(needed)}.")
    checked = {name: _numbers(arrays[name], f"{source}: {name}") for name in needed}
    for name, array in checked.items():
        _check_shape(name, array, checked, f"{source}: {name}")
    labels = {name: array for name, array in checked.items() if name.endswith("_y")}
    if checked["train_y"].ndim == 2:
        kind, n_outputs = "real", checked["train_y"].shape[1]
    elif all(np.all(np.abs(y.astype(np.float64)) == 1) for y in labels.values()):
        kind, n_outputs = "sign", 1
    elif all(np.issubdtype(y.dtype, np.floating) for y in labels.values()):
        kind, n_outputs = "real", 1
    else:
        kind, n_outputs = "class", _n_classes(labels, source)
    return CheckedArrays(checked, _hash(checked), kind, n_outputs)


def read(file: Path, shown: str) -> CheckedArrays:
    """Read and check a file.

    Raises:
        InputError: if it is no .safetensors or .npz file, is damaged, or its arrays are not valid.
    """
    if not file.is_file():
        raise InputError(f"task.path: '{shown}' is not a file that exists.")
    if file.suffix not in _READERS:
        raise InputError(f"task.path: '{shown}' must end in .safetensors or .npz.")
    status = file.stat()
    stamp = (str(file.resolve()), status.st_mtime_ns, status.st_size)
    if stamp in _stamps:
        return remembered[_stamps[stamp]]
    samples = check(load(file, shown), shown)
    _stamps[stamp] = samples.sha256
    return remembered.setdefault(samples.sha256, samples)


def load(file: Path, shown: str) -> dict[str, np.ndarray]:
    """All arrays of a ``.safetensors`` or ``.npz`` file, unchecked.

    Raises:
        InputError: if it is damaged.
    """
    try:
        return _READERS[file.suffix](file)
    except InputError:
        raise
    except OSError as error:
        raise InputError(f"{shown}: cannot be read: {error.strerror or error}.") from None
    except Exception as error:
        first = str(error).strip().splitlines() or [type(error).__name__]
        raise InputError(f"{shown}: not a readable {file.suffix} file: {first[0]}") from None


def save(samples: CheckedArrays, file: Path) -> None:
    """Write arrays to a new file; a file with the same arrays is left as it is.

    Raises:
        InputError: if the name ends in neither .safetensors nor .npz, the file cannot be written, or it
            exists with other arrays.
    """
    if file.suffix not in (".safetensors", ".npz"):
        raise InputError(f"'{file}' must end in .safetensors or .npz.")
    if file.exists():
        if read(file, str(file)).sha256 != samples.sha256:
            raise InputError(f"'{file}' exists and holds other arrays; choose another name.")
        return
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        if file.suffix == ".npz":
            np.savez(file, allow_pickle=False, **samples.arrays)
        else:
            from safetensors.numpy import save_file

            save_file({name: np.ascontiguousarray(array) for name, array in samples.arrays.items()}, file)
    except OSError as error:
        raise InputError(f"'{file}' cannot be written: {error.strerror or error}.") from None


def _read_safetensors(file: Path) -> dict[str, np.ndarray]:
    from safetensors.numpy import load_file

    size = file.stat().st_size
    with file.open("rb") as stream:
        start = stream.read(8)
    length = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
    if length > min(_MOST_HEADER, max(0, size - 8)):
        raise InputError(f"{file.name}: its header claims {length} bytes; the file is damaged.")
    return load_file(file)


def _read_npz(file: Path) -> dict[str, np.ndarray]:
    size = file.stat().st_size
    with zipfile.ZipFile(file) as archive:
        unpacked = sum(member.file_size for member in archive.infolist())
        if unpacked > size + _MOST_UNPACKED:
            raise InputError(
                f"{file.name}: its {size} bytes would unpack to {unpacked}; save without compression, "
                "by numpy.savez or as .safetensors."
            )
        for member in archive.infolist():
            with archive.open(member) as stream:
                _check_npy_header(stream, member, file.name)
    with np.load(file, allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


_READERS = {".safetensors": _read_safetensors, ".npz": _read_npz}


def _check_npy_header(stream: Any, member: zipfile.ZipInfo, source: str) -> None:
    """Refuse an array whose header claims more than the file holds, before memory is taken for it."""
    name = member.filename.removesuffix(".npy")
    version = np.lib.format.read_magic(stream)
    header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = header(stream)
    if dtype.hasobject:
        raise InputError(f"{source}: {name} holds Python objects, which could run code; save numbers.")
    claimed = dtype.itemsize * int(np.prod(np.array(shape, dtype=object), initial=1))
    if claimed > member.file_size:
        raise InputError(
            f"{source}: the header of {name} claims {claimed} bytes, but it has {member.file_size}."
        )


def _numbers(array: Any, where: str) -> np.ndarray:
    array = np.asarray(array)
    if array.dtype.kind not in "biuf":
        raise InputError(f"{where}: must hold real numbers, not {array.dtype}.")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        first = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        place = ", ".join(str(i) for i in first)
        raise InputError(f"{where}: [{place}] is {array[first]}; numbers must be finite.")
    return array


def _check_shape(name: str, array: np.ndarray, arrays: dict[str, np.ndarray], where: str) -> None:
    split, part = name.split("_")
    if part == "y":
        rows = len(arrays[f"{split}_x"])
        first = arrays["train_y"]
        are_vectors = first.ndim == 2 and first.shape[1] > 1 and first.dtype.kind == "f"
        wanted = (rows, first.shape[1]) if are_vectors else (rows,)
        if array.shape != wanted:
            raise InputError(
                f"{where}: must have shape {wanted}, one label per row of {split}_x (got {array.shape})."
            )
        return
    if array.ndim < 2 or array.size == 0:
        raise InputError(
            f"{where}: must have shape (samples, ...) with at least one number (got {array.shape})."
        )
    wanted = arrays["train_x"].shape[1:]
    if array.shape[1:] != wanted:
        raise InputError(f"{where}: rows must have the shape of train_x's, {wanted} (got {array.shape[1:]}).")


def _n_classes(labels: dict[str, np.ndarray], source: str) -> int:
    for name, y in labels.items():
        if y.dtype.kind not in "iu":
            raise InputError(
                f"{source}: {name}: labels must all be +-1, or all class numbers of an integer type, "
                f"or all real numbers (got {y.dtype})."
            )
        if y.min() < 0 or y.max() >= _MOST_CLASSES:
            worst = y.min() if y.min() < 0 else y.max()
            raise InputError(f"{source}: {name}: class numbers must be 0..{_MOST_CLASSES - 1} (got {worst}).")
    return max(2, 1 + max(int(y.max()) for y in labels.values()))


def _hash(arrays: dict[str, np.ndarray]) -> str:
    digest = hashlib.sha256()
    for name in sorted(arrays):
        array = arrays[name]
        little = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
        digest.update(f"{name} {little.dtype.str} {little.shape}\n".encode())
        digest.update(little.data)
    return digest.hexdigest()
