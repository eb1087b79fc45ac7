"""Start from a fresh network."""

from __future__ import annotations

from typing import Literal

from grokscope.starts._init import Init

__all__ = ["Fresh"]


class Fresh(Init):
    """A fresh network, drawn by the model from each member's init stream.

    Example:
        >>> Fresh().kind
        'fresh'
    """

    kind: Literal["fresh"] = "fresh"
