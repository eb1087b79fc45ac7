"""The base of all starts."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import SerializeAsAny

from grokscope.spec.parts import Part, resolver

__all__ = ["Init", "InitField"]


class Init(Part):
    """The state in which members start."""

    group: ClassVar[str] = "init"

    kind: str


InitField = Annotated[SerializeAsAny[Init], resolver(Init)]
