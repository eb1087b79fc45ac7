"""Functions of higher rooms that objects of lower rooms have as methods.

``run.report()`` belongs to a run, but pages are written in `grokscope.report`, which stands above
`grokscope.runs` and imports it. Such a method asks here for the function by its name. The file
``grokscope/__init__.py``, which stands above all rooms and is imported before any of them, says where each
function is. See docs/decisions/0025-methods-from-higher-rooms.md.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

__all__ = ["provide", "provided"]

_homes: dict[str, str] = {}


def provide(homes: Mapping[str, str]) -> None:
    """Say in which module each function is; nothing is imported yet."""
    _homes.update(homes)


def provided(name: str) -> Any:
    """The function of a name; its module is imported at the first use.

    Example:
        >>> import grokscope
        >>> provided("overview_of").__module__
        'grokscope.analysis.overview'
    """
    return getattr(importlib.import_module(_homes[name]), name)
