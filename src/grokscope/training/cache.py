"""Persistent cache of compiled programs. Cached programs are executed, so never share the folder."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import jax

__all__ = ["cache_folder", "use_compile_cache"]


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
    except OSError:
        return None
    if not os.access(folder, os.W_OK):
        return None
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)
    return folder
