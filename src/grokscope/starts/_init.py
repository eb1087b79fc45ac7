"""The base of all starts."""

from __future__ import annotations

from typing import Annotated

from pydantic import SerializeAsAny

from grokscope.spec.parts import Part, resolver

__all__ = ["Init", "InitField"]


class Init(Part):
    """The state in which members start."""

    group = "init"

    kind: str


InitField = Annotated[SerializeAsAny[Init], resolver(Init)]
