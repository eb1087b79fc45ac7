"""The base of all starts: where a member starts."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import SerializeAsAny

from grokscope.spec.parts import Part, resolver

__all__ = ["Init", "InitField"]


class Init(Part):
    """Where members start."""

    group: ClassVar[str] = "init"

    kind: str


InitField = Annotated[SerializeAsAny[Init], resolver(Init)]
