"""Start inside another run: a branch, or a transplant."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import field_validator, model_validator

from grokscope.interventions import NeuronsField
from grokscope.spec.moments import parse_moment
from grokscope.spec.parts import find_file
from grokscope.starts._init import Init

if TYPE_CHECKING:
    from typing import Self

__all__ = ["FromRun"]


class FromRun(Init):
    """The state of another run's members at a step: a branch.

    A member branches from the source's member that shares most of its four seeds (init, data, order, noise;
    of several with as many, the one that shares the first of these). Where the source's member has not come
    to the moment, or the event was not seen in it, there is no branch.

    Attributes:
        run: the source's folder.
        source: its identity; found from the folder if not given, and compared if it is.
        at: a step, or an event of the source; each member branches at its own step then.
        parameters: ``all`` takes the whole state over (the optimizer's too); else a list of parameters
            (``hidden_weight``, ``hidden_bias``, ``output_weight``; an empty list takes none): all others
            are fresh, from the member's init stream, and so is the optimizer.
        neurons: only these neurons' parameters are taken over (a transplant); all others are fresh, and so is
            the optimizer.
        clock: ``source``: steps go on from the source's; ``zero``: they begin anew.

    Example:
        >>> FromRun(run="runs/slow", source="ab" * 32, at="memorization").clock
        'source'
    """

    kind: Literal["from_run"] = "from_run"
    not_identifying: ClassVar[tuple[str, ...]] = ("run",)

    run: str
    source: str = ""
    at: int | str
    parameters: Literal["all"] | tuple[Literal["hidden_weight", "hidden_bias", "output_weight"], ...] = "all"
    neurons: NeuronsField | None = None
    clock: Literal["source", "zero"] = "source"

    @field_validator("run", mode="after")
    @classmethod
    def _found(cls, value: str) -> str:
        return str(find_file(value))

    @field_validator("source", mode="after")
    @classmethod
    def _identity(cls, value: str) -> str:
        if value and not re.fullmatch(r"[0-9a-f]{64}", value):
            raise ValueError("must be the identity of a run, 64 hex digits")
        return value

    @field_validator("at", mode="after")
    @classmethod
    def _moment(cls, value: Any) -> Any:
        moment = parse_moment(value, "init.at")
        if moment.event in ("start", "end"):
            raise ValueError("must be a step or an event of the source run (the end of a run is a step too)")
        return value

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.neurons is not None and self.parameters != "all" and not self.parameters:
            raise ValueError("neurons with parameters = [] would take nothing over; leave one of them out")
        return self

    @property
    def takes_all(self) -> bool:
        """Whether the whole state is taken over, bit for bit."""
        return self.parameters == "all" and self.neurons is None

    def seen_from(self, folder: Path) -> FromRun:
        """The same with a path relative to a folder (where the spec will lie), so that both can be moved."""
        return self.model_copy(update={"run": os.path.relpath(Path(self.run), folder)})
