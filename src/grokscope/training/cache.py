"""Persistent cache of compiled programs. Cached programs are executed, so never share the folder."""

from __future__ import annotations

import functools
import os
import re
import sys
import warnings
from pathlib import Path
from typing import Any

import jax

from grokscope.errors import tell

__all__ = ["cache_folder", "kept_folder", "say_once", "use_compile_cache"]

_FAILED = re.compile("Error (reading|writing) persistent compilation cache entry")  # of jax
_DONE = {"reading": "read", "writing": "written"}
_enabled: list[Path] = []  # the folder, once the cache is enabled


def cache_folder() -> Path:
    """Folder of compiled programs, below ``$XDG_CACHE_HOME`` or the system's cache folder."""
    if base := os.environ.get("XDG_CACHE_HOME"):
        return Path(base) / "grokscope" / "programs"
    home = Path.home()
    base_folder = home / "Library" / "Caches" if sys.platform == "darwin" else home / ".cache"
    return base_folder / "grokscope" / "programs"


def use_compile_cache() -> Path | None:
    """Enable the cache, unless jax has one configured or ``GROKSCOPE_COMPILE_CACHE=off``.

    Returns:
        The folder; None if the cache was not enabled here, also because the folder cannot be written.
    """
    if os.environ.get("GROKSCOPE_COMPILE_CACHE") == "off" or getattr(
        jax.config, "jax_compilation_cache_dir", None
    ):
        return None
    folder = cache_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        return say_once(folder, f"cannot be made: {error.strerror}")
    if not os.access(folder, os.W_OK):
        return say_once(folder, "cannot be written")
    _say_failures_once(folder)
    _enabled[:] = [folder]
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)
    return folder


def kept_folder() -> Path | None:
    """Folder of whole executables (`grokscope.training.executables`); None where the cache is not enabled.

    It is not used while jax has another folder for its cache.
    """
    if not _enabled or getattr(jax.config, "jax_compilation_cache_dir", None) != str(_enabled[0]):
        return None
    return _enabled[0] / "executables"


@functools.cache
def say_once(folder: Path, what: str) -> None:
    """Say once that something is wrong with a folder of compiled programs."""
    tell(f"compile cache {folder}: {what}; programs are compiled anew each time (see grokscope doctor).")


@functools.cache
def _say_failures_once(folder: Path) -> None:
    """Replace jax's warnings of each program that cannot be cached by one line."""
    show = warnings.showwarning

    def show_once(message: Warning | str, *rest: Any, **options: Any) -> None:
        if found := _FAILED.match(str(message)):
            reason = str(message).partition("[Errno ")[2].partition("] ")[2].partition(": '")[0]
            say_once(folder, f"cannot be {_DONE[found[1]]}" + (f": {reason}" if reason else ""))
        else:
            show(message, *rest, **options)

    warnings.showwarning = show_once
