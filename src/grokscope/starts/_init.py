"""The base of all kinds of initial states."""

from __future__ import annotations

from typing import Annotated

from pydantic import SerializeAsAny

from grokscope.spec.parts import Kind, Part, resolver

__all__ = ["Init", "InitField"]


class Init(Part):
    """The initial state of members."""

    group = "init"

    kind: Kind


InitField = Annotated[SerializeAsAny[Init], resolver(Init)]
