"""PyTorch's own files (``.pt``, ``.pth``): looked through as zip archives, then loaded without running code.

A file is loaded by ``torch.load(weights_only=True)`` and by nothing else. Before that the archive is checked:
what `torch.save` writes has plain names, no links, nothing compressed, and no more bytes than the file.
"""

from __future__ import annotations

import importlib
import importlib.util
import stat
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from grokscope.errors import InputError

__all__ = ["NO_TORCH", "load_pt", "torch_here"]

NO_TORCH = "needs PyTorch: pip install grokscope[torch]"
_MAPPED = 2**28  # larger files are mapped, not read
_MOST_PICKLE = 2**26


def torch_here(what: str) -> Any:
    """The module ``torch``.

    Args:
        what: needs it, for the message.

    Raises:
        InputError: if it is not installed.
    """
    if importlib.util.find_spec("torch") is None:
        raise InputError(f"{what} {NO_TORCH}")
    return importlib.import_module("torch")


def load_pt(path: Path) -> Mapping[Any, Any]:
    """What `torch.save` wrote to a file, without running anything in it.

    Raises:
        InputError: naming the file, if it is not such a file, is damaged, would run code, or holds no
            table of tensors; or if PyTorch is not installed.
    """
    torch = torch_here(f"{path}:")
    _check_archive(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of old storages and the like; not about what is in it
            found = torch.load(
                path, map_location="cpu", weights_only=True, mmap=path.stat().st_size > _MAPPED
            )
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}.") from None
    except Exception as error:
        raise InputError(f"{path}: {_told(error)}") from None
    if not isinstance(found, Mapping):
        raise InputError(f"{path}: holds a {type(found).__name__}, not a state dict.")
    return found


def _check_archive(path: Path) -> None:
    """Refuse what `torch.save` does not write."""
    try:
        size = path.stat().st_size
        if not zipfile.is_zipfile(path):
            raise InputError(
                f"{path}: is not a file of torch.save (a zip archive), or is truncated. Bare pickles and "
                "files from before PyTorch 1.6 are not read; save its state_dict() where it was made."
            )
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise InputError(f"{path}: is damaged: {error}.") from None
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
        if member.compress_type != zipfile.ZIP_STORED or member.flag_bits & 1:
            raise InputError(f"{path}: its member {name!r} is compressed or encrypted; it is not read.")
        if place.name == "data.pkl" and member.file_size > _MOST_PICKLE:
            raise InputError(f"{path}: its table of contents has {member.file_size} bytes; it is not read.")
    claimed = sum(member.file_size for member in members)
    if claimed > size:
        raise InputError(f"{path}: its members claim {claimed} bytes, but it has {size}; it is not read.")


def _told(error: Exception) -> str:
    """A failure of torch.load in one line."""
    text = " ".join(str(error).split())
    if "Weights only load failed" in text or "Unsupported" in text or "GLOBAL" in text:
        named = text.partition("GLOBAL ")[2].split(" ")[0]
        what = f" ({named})" if named and len(named) < 80 else ""
        return (
            f"holds more than tensors{what}, and loading it would run code from the file; that is never "
            "done. Save model.state_dict() instead."
        )
    return f"cannot be loaded: {text[:200] or type(error).__name__}"
