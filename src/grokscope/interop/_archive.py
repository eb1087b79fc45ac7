"""Checks of a ``.pt`` file before PyTorch reads it: of its zip archive, and of the pickle in it.

`torch.load(weights_only=True)` runs no code, but a pickle of a few bytes can make it take any amount of
memory (a ``bytearray`` of any size, a text that is encoded again and again, millions of empty lists).
"""

from __future__ import annotations

import pickletools
import stat
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, cast

from grokscope.errors import InputError

__all__ = ["check_archive", "refuse_pointer"]

_MAX_PICKLE_BYTES = 2**26
_MAX_OBJECT_BYTES = 2**27  # of what the pickle makes; its tensors come on top
_LFS = b"version https://git-lfs.github.com/spec/"


def refuse_pointer(path: Path) -> None:
    """Raise an error for the small text that Git LFS leaves in place of a file."""
    try:
        with path.open("rb") as stream:
            start = stream.read(len(_LFS))
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}.") from None
    if start == _LFS:
        raise InputError(
            f"{path}: is a Git LFS pointer, not the file itself; get the file by 'git lfs pull'."
        )


def check_archive(path: Path) -> None:
    """Check that a file is an archive as `torch.save` writes it.

    Plain names, no links, no compression, no more bytes than the file has, and a pickle that makes no large
    objects.

    Raises:
        InputError: naming the file and what is wrong with it.
    """
    try:
        size = path.stat().st_size
        if not zipfile.is_zipfile(path):
            raise InputError(
                f"{path}: is not a file of torch.save (a zip archive), or is truncated. Bare pickles and "
                "files from before PyTorch 1.6 are not read; save its state_dict() where it was made."
            )
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            _check_members(path, members, size)
            for member in members:
                if PurePosixPath(member.filename).name == "data.pkl":
                    _check_pickle(path, archive.read(member))
    except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise InputError(f"{path}: is damaged: {error}.") from None


def _check_members(path: Path, members: list[zipfile.ZipInfo], size: int) -> None:
    seen: set[str] = set()
    for member in members:
        name = member.filename
        place = PurePosixPath(name)
        if place.is_absolute() or ".." in place.parts or "\\" in name or "\0" in name:
            raise InputError(f"{path}: its member {name!r} points out of the archive; it is not read.")
        if stat.S_ISLNK(member.external_attr >> 16):
            raise InputError(f"{path}: its member {name!r} is a link; it is not read.")
        if name in seen:
            raise InputError(f"{path}: its member {name!r} is there twice; it is not read.")
        seen.add(name)
        if place.name == "constants.pkl" or place.parts[1:2] == ("code",):
            raise InputError(
                f"{path}: is TorchScript (torch.jit.save), which holds code; code is never run. Save "
                "model.state_dict() instead."
            )
    for member in members:
        name = member.filename
        if member.compress_type != zipfile.ZIP_STORED or member.flag_bits & 1:
            raise InputError(f"{path}: its member {name!r} is compressed or encrypted; it is not read.")
        if PurePosixPath(name).name == "data.pkl" and member.file_size > _MAX_PICKLE_BYTES:
            raise InputError(f"{path}: its table of contents has {member.file_size} bytes; it is not read.")
    claimed = sum(member.file_size for member in members)
    if claimed > size:
        raise InputError(f"{path}: its members claim {claimed} bytes, but it has {size}; it is not read.")


class _Object:
    """What is known of an object of a pickle without making it.

    Attributes:
        copied: bytes that a copy of it may take, by any function that is allowed.
        parts: the objects of a tuple.
    """

    __slots__ = ("copied", "parts")

    def __init__(self, copied: int = 0, parts: Sequence[_Object] = ()) -> None:
        self.copied = copied
        self.parts = parts


_SMALL = _Object()
_BYTES = 112  # of any object, with its place on the stack or in the memo
_BYTES_CALLED = 600  # of a small object that a function returns
_BYTES_ITEM = 128  # of an item in a set or table
_BYTES_CHARACTER = 16  # of a character, encoded in any way
_LITERALS = ("NONE", "NEWTRUE", "NEWFALSE", "BININT", "BININT1", "BININT2", "BINFLOAT", "LONG1", "GLOBAL")


def _check_pickle(path: Path, content: bytes) -> None:
    """Raise an error if unpickling may take much more memory than the tensors.

    The operations are followed with sizes in place of objects. Operations that `torch.load` does not know
    (with ``weights_only``) end the check, because it refuses them.
    """
    try:
        needed = 0
        for taken in _bytes_taken(content, path):
            needed += taken
            if needed > _MAX_OBJECT_BYTES:
                raise InputError(
                    f"{path}: what is not a tensor in it needs more than {_MAX_OBJECT_BYTES >> 20} MB; save "
                    "long lists as tensors, or the state dict alone."
                )
    except (ValueError, LookupError) as error:
        raise InputError(f"{path}: its table of contents is damaged: {error}.") from None


def _bytes_taken(content: bytes, path: Path) -> Iterator[int]:
    """Bytes that each operation of a pickle may take."""
    stack: list[_Object] = []
    marked: list[list[_Object]] = []
    memo: dict[int, _Object] = {}

    def items() -> list[_Object]:
        nonlocal stack
        found, stack = stack, marked.pop()
        return found

    for opcode, value, _ in pickletools.genops(content):
        kind, argument = opcode.name, cast(Any, value)
        taken = _BYTES
        if kind == "GLOBAL" and argument.endswith(" bytearray"):
            raise InputError(f"{path}: holds a bytearray, as no state dict does; it is not read.")
        if kind in _LITERALS:
            stack.append(_SMALL)
            taken = 40
        elif kind in ("BINUNICODE", "SHORT_BINSTRING"):
            stack.append(_Object(_BYTES_CHARACTER * len(argument)))
            taken += 4 * len(argument)
        elif kind in ("EMPTY_LIST", "EMPTY_DICT", "EMPTY_SET", "EMPTY_TUPLE"):
            stack.append(_Object())
        elif kind == "MARK":
            marked.append(stack)
            stack = []
        elif kind == "TUPLE" or kind in ("TUPLE1", "TUPLE2", "TUPLE3"):
            if kind == "TUPLE":
                parts = items()
            else:
                count = int(kind[-1])
                parts = stack[-count:]
                del stack[-count:]
            stack.append(_Object(_BYTES_ITEM * len(parts), parts))
            taken += 8 * len(parts)
        elif kind in ("APPEND", "APPENDS", "SETITEM", "SETITEMS"):
            count = {"APPEND": 1, "SETITEM": 2}.get(kind)
            if count is None:
                count = len(items())
            else:
                del stack[-count:]
            stack[-1].copied += _BYTES_ITEM * count
            taken = _BYTES_ITEM * count
        elif kind in ("REDUCE", "NEWOBJ"):
            arguments = stack.pop()
            copied = sum(part.copied for part in arguments.parts)
            stack[-1] = _Object(2 * copied)
            taken = _BYTES_CALLED + copied
        elif kind == "BUILD":
            taken += stack.pop().copied
        elif kind in ("BINGET", "LONG_BINGET"):
            stack.append(memo[argument])
            taken = 16
        elif kind in ("BINPUT", "LONG_BINPUT"):
            memo[argument] = stack[-1]
        elif kind == "BINPERSID":
            stack[-1] = _SMALL
            taken = _BYTES_CALLED
        elif kind not in ("PROTO", "STOP"):
            return
        yield taken
