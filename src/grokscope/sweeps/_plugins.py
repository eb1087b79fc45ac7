"""The plug-ins of this process, as sources that a worker can load."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from grokscope.spec.parts import PLUGIN_PREFIX, load_plugin

__all__ = ["load_sources", "plugin_sources"]


def plugin_sources() -> tuple[tuple[str, str], ...]:
    """File name and source of every plug-in that was loaded with ``--plugin``."""
    files = [
        Path(str(module.__file__))
        for name, module in sorted(sys.modules.items())
        if name.startswith(PLUGIN_PREFIX) and getattr(module, "__file__", None)
    ]
    return tuple((file.name, file.read_text(encoding="utf-8")) for file in files)


def load_sources(sources: tuple[tuple[str, str], ...]) -> None:
    """Load plug-ins that another process sent; those that this one has already are left as they are."""
    have = set(plugin_sources())
    for name, text in sources:
        if (name, text) not in have:
            # the file stays for as long as the process: tracebacks and loading again need it
            file = Path(tempfile.mkdtemp(prefix="grokscope-plugin-")) / name
            file.write_text(text, encoding="utf-8")
            load_plugin(file)
