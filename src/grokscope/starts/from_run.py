"""Start from a state of another run: a branch, or a transplant."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BeforeValidator, PlainSerializer, PrivateAttr, field_validator, model_validator

from grokscope.interventions import NeuronsField
from grokscope.spec.moments import check_moment
from grokscope.spec.parts import find_file
from grokscope.starts._init import Init

if TYPE_CHECKING:
    from typing import Self

__all__ = ["FromRun"]


def _pairs(value: Any) -> Any:
    return tuple(value.items()) if isinstance(value, dict) else value


# a table of texts; kept as pairs, because a spec must be hashable
Names = Annotated[tuple[tuple[str, str], ...], BeforeValidator(_pairs), PlainSerializer(dict)]


class FromRun(Init):
    """A branch: start each member from a state of another run (the source run).

    A member branches from the source's member that has the most of its four seeds (init, data, order, noise)
    in common with it; among equals, an earlier stream in this list counts more. A member is left out if its
    source member has not reached the step, or the event was not seen in it.

    Attributes:
        run: the folder of the source run.
        source: the identity of the source run; read from the folder if not given, else compared with it.
        at: a step, or an event of the source; with an event each member branches at its own step.
        parameters: ``all`` copies the whole state, the optimizer's included. A list of names of the source's
            parameters, as in ``Run.networks``, or of patterns such as ``blocks.*`` (it may be empty) copies
            only these, also into another model; all other parameters are drawn from the member's init stream,
            and the optimizer state is new.
        neurons: copy only the parameters of these neurons (a transplant). All others are drawn from the
            member's init stream, and the optimizer state is new. (The intervention ``transplant`` puts
            neurons into a network that trains already.)
        rename: the names in this experiment's network of parameters that have other names in the source:
            ``{"hidden_weight" = "weights.0"}``. Without ``parameters`` all of the network are copied.
        into: what to do with a parameter of another shape: ``refuse``, or ``leading``: the leading entries on
            each axis, as many as both shapes have, are copied, and all others are drawn.
        clock: ``source``: steps are counted on from the source's step; ``zero``: they start at 0.

    Example:
        >>> FromRun(run="runs/slow", source="ab" * 32, at="memorization").clock
        'source'
        >>> names = {"hidden_weight": "weights.0"}
        >>> FromRun(run="runs/slow", source="ab" * 32, at=9, rename=names, into="leading").takes_all
        False
    """

    kind: Literal["from_run"] = "from_run"
    not_identifying = ("run",)
    younger = ("rename", "into")

    run: str
    source: str = ""
    at: int | str
    parameters: Literal["all"] | tuple[str, ...] = "all"
    neurons: NeuronsField | None = None
    rename: Names = ()
    into: Literal["refuse", "leading"] = "refuse"
    clock: Literal["source", "zero"] = "source"
    # `run`, and its absolute path when it was given
    _located: tuple[str, Path] = PrivateAttr(("", Path()))

    def model_post_init(self, context: Any) -> None:
        """Locate the source run, before the working folder can change."""
        self._located = (self.run, Path(self.run).absolute())

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
        if check_moment(value, "init.at") in ("start", "end"):
            raise ValueError("must be a step or an event of the source run; give the end of a run as a step")
        return value

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.neurons is not None and self.parameters != "all" and not self.parameters:
            raise ValueError("neurons with parameters = [] would take over nothing; leave one of them out")
        if self.neurons is not None and (self.rename or self.into != "refuse"):
            raise ValueError("neurons are copied into a network of the same form; leave rename and into out")
        here = [name for _, name in self.rename]
        if len(set(here)) != len(here):
            raise ValueError("rename gives two parameters the same name")
        return self

    @property
    def place(self) -> Path:
        """The absolute path of the source run."""
        run, place = self._located
        return place if run == self.run else Path(self.run).absolute()  # a copy may have another one

    @property
    def takes_all(self) -> bool:
        """Whether the whole state is copied, bit for bit."""
        return self.parameters == "all" and self.neurons is None and not self.rename and self.into == "refuse"

    def seen_from(self, folder: Path) -> FromRun:
        """A copy whose path is relative to the folder of the spec, so that both can be moved together."""
        return self.model_copy(update={"run": os.path.relpath(self.place, folder)})
