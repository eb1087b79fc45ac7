"""Our docstrings have one `Example:`; what makes the pages of the API knows the section as `Examples:`."""

from __future__ import annotations

import re
from typing import Any

import griffe

__all__ = ["Examples"]

_HEAD = re.compile(r"^Example:$", re.MULTILINE)


class Examples(griffe.Extension):
    """Renames the section, so that examples are shown as code."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Look at every docstring."""
        if obj.docstring is not None:
            obj.docstring.value = _HEAD.sub("Examples:", obj.docstring.value)
