"""Part: one table of a spec, typed, frozen and validated; and the registry of all kinds of parts.

A part belongs to a group (task, model, measure, ...) and has a kind. Defining a subclass with a default
``kind`` registers it, so a file with such a class (in the group's folder, behind an entry point, or named
by ``--plugin``) is all it takes to add one.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import pkgutil
import sys
from pathlib import Path
from typing import Any, ClassVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from grokscope.errors import InputError, did_you_mean

__all__ = ["Part", "kinds", "load_plugin", "lookup", "resolver"]

# group -> where its kinds live: a package (every public module in it) or a single module
_HOMES = {
    "task": "grokscope.tasks",
    "model": "grokscope.models",
    "loss": "grokscope.losses",
    "optimizer": "grokscope.optimizers",
    "rate_schedule": "grokscope.optimizers",
    "learner": "grokscope.learners",
    "measure": "grokscope.measures",
    "paper": "grokscope.papers",
}
_kinds: dict[str, dict[str, type[Part]]] = {}
_discovered: set[str] = set()


class Part(BaseModel):
    """A frozen, validated table of a spec.

    Attributes:
        group: the group it belongs to (set by the group's base class).
        traced: names of the fields that are plain numbers to the compiled program. Members that differ
            only in these share one program; inside it such a field holds a traced array.

    Raises:
        InputError: when a field is unknown, missing or out of range; one line per fault.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    group: ClassVar[str] = ""
    traced: ClassVar[tuple[str, ...]] = ()

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise InputError(_explain(type(self), error, values)) from None

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        field = cls.model_fields.get("kind")
        if cls.group and field is not None and isinstance(field.default, str):
            _kinds.setdefault(cls.group, {})[field.default] = cls

    def with_traced(self, values: dict[str, Any]) -> Part:
        """Return a copy whose traced fields hold the given (possibly traced) numbers, unvalidated."""
        known = {name: value for name, value in values.items() if name in self.traced}
        return self.model_copy(update=known) if known else self


def resolver(base: type[Part]) -> BeforeValidator:
    """What a spec field of the base's group accepts: a part, a table with a kind, or a kind's name."""

    def resolve(value: Any) -> Any:
        if isinstance(value, str):
            value = {"kind": value}
        if not isinstance(value, dict):
            return value
        table: dict[str, Any] = dict(value)
        kind = table.pop("kind", None)
        if not isinstance(kind, str):
            allowed = ", ".join(sorted(kinds(base.group)))
            raise InputError(f"{base.group}.kind: say which; allowed: {allowed}.")
        return lookup(base.group, kind)(**table)

    return BeforeValidator(resolve)


def kinds(group: str) -> dict[str, type[Part]]:
    """All kinds of a group by name: built in, from entry points (``grokscope.<group>``) and from plug-ins."""
    if group not in _discovered:
        _discovered.add(group)
        home = importlib.import_module(_HOMES[group])
        for module in pkgutil.iter_modules(getattr(home, "__path__", [])):
            if not module.name.startswith("_"):
                importlib.import_module(f"{home.__name__}.{module.name}")
        for entry in importlib.metadata.entry_points(group=f"grokscope.{group}"):
            entry.load()
    return _kinds.get(group, {})


def lookup(group: str, kind: str) -> type[Part]:
    """The class of a kind.

    Raises:
        InputError: if there is no such kind; the message lists the kinds there are.
    """
    known = kinds(group)
    if kind not in known:
        raise InputError(
            f"{group} '{kind}' is not known.{did_you_mean(kind, known)} "
            f"Known: {', '.join(sorted(known)) or 'none'}."
        )
    return known[kind]


def load_plugin(path: str | Path) -> None:
    """Import a Python file of the user's own, which defines kinds of parts. It runs with the user's rights.

    Raises:
        InputError: if the file does not exist, is not Python, or fails while it is imported.
    """
    file = Path(path)
    if file.suffix != ".py" or not file.is_file():
        raise InputError(f"plugin '{path}': not a Python file that exists.")
    name = f"grokscope_plugin_{file.stem}"
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise InputError(f"plugin '{path}': cannot be imported.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise InputError(f"plugin '{path}': {type(error).__name__}: {error}") from error


def _explain(cls: type[Part], error: ValidationError, values: dict[str, Any]) -> str:
    """One line for the first fault of a validation, with the field's full name."""
    del values
    fault = error.errors(include_url=False)[0]
    field = ".".join(str(item) for item in fault["loc"])
    where = f"{cls.group}.{field}" if cls.group not in ("", "experiment") and field else field
    where = where or cls.group or cls.__name__
    if fault["type"] == "extra_forbidden":
        allowed = [name for name in cls.model_fields if name != "kind"]
        return f"{where}: no such key.{did_you_mean(field, allowed)} Allowed: {', '.join(allowed)}."
    if fault["type"] == "missing":
        return f"{where}: this key must be given."
    message = fault["msg"].removeprefix("Value error, ")
    given = fault.get("input")
    shown = f" (got {given!r})" if isinstance(given, int | float | str | bool) else ""
    return f"{where}: {message[0].lower()}{message[1:]}{shown}."
