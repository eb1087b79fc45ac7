"""Part: one table of a spec, typed, frozen and validated; and the registry of all kinds of parts.

A part belongs to a group (task, model, measure, ...) and has a kind. Defining a subclass with a default
``kind`` registers it, so a file with such a class (in the group's folder, behind an entry point, or named
by ``--plugin``) is all it takes to add one.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.metadata
import importlib.util
import pkgutil
import sys
import traceback
import typing
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError, ValidationInfo, field_validator

from grokscope.errors import InputError, did_you_mean
from grokscope.spec._faults import explain

if TYPE_CHECKING:
    from typing import Self

__all__ = ["PLUGIN_PREFIX", "Part", "find_file", "kinds", "load_plugin", "looking_in", "lookup", "resolver"]

# group -> where its kinds live: a package (every public module in it) or a single module
_HOMES = {
    "task": "grokscope.tasks",
    "model": "grokscope.models",
    "loss": "grokscope.losses",
    "optimizer": "grokscope.optimizers",
    "rate_schedule": "grokscope.optimizers",
    "learner": "grokscope.learners",
    "init": "grokscope.starts",
    "intervention": "grokscope.interventions",
    "neurons": "grokscope.interventions.neurons",
    "measure": "grokscope.measures",
    "paper": "grokscope.papers",
}
PLUGIN_PREFIX = "grokscope_plugin_"  # of the names of the modules that plug-ins are loaded as
_kinds: dict[str, dict[str, type[Part]]] = {}
_discovered: set[str] = set()
_spec_folder: ContextVar[Path | None] = ContextVar("_spec_folder", default=None)


class Part(BaseModel):
    """A frozen, validated table of a spec.

    Values are taken as they are written: no text for a number, no number for a truth value; lists become
    tuples and numpy's scalars plain numbers.

    Attributes:
        group: the group it belongs to (set by the group's base class).
        traced: names of the fields that are plain numbers to the compiled program. Members that differ
            only in these share one program; inside it such a field holds a traced array.
        not_identifying: names of the fields that do not determine the numbers (a file's path, say).

    Raises:
        InputError: when a field is unknown, missing or out of range; it says the first fault.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, strict=True)

    group: ClassVar[str] = ""
    traced: ClassVar[tuple[str, ...]] = ()
    not_identifying: ClassVar[tuple[str, ...]] = ()

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise InputError(explain(type(self), error)) from None

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        field = cls.model_fields.get("kind")
        # a subclass that inherits its kind is a helper of that kind, not another one
        if (
            cls.group
            and field is not None
            and "kind" in cls.__annotations__
            and isinstance(field.default, str)
        ):
            _register(cls, field.default)

    @field_validator("*", mode="before")
    @classmethod
    def _as_written(cls, value: Any, info: ValidationInfo) -> Any:
        annotation = cls.model_fields[info.field_name or ""].annotation
        return _frozen(value, lists=_takes_lists(annotation))

    def with_traced(self, values: dict[str, Any]) -> Self:
        """Return a copy whose traced fields hold the given (possibly traced) numbers, unvalidated."""
        known = {name: value for name, value in values.items() if name in self.traced}
        return self.model_copy(update=known) if known else self

    def identifying(self) -> dict[str, Any]:
        """The part as a JSON table, without what does not determine the numbers."""
        table = self.model_dump(mode="json")
        for name in type(self).model_fields:
            value = getattr(self, name)
            if name in self.not_identifying:
                del table[name]
            elif isinstance(value, Part):
                table[name] = value.identifying()
        return table


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
        home = importlib.import_module(_HOMES[group])
        for module in pkgutil.iter_modules(getattr(home, "__path__", [])):
            if not module.name.startswith("_"):
                importlib.import_module(f"{home.__name__}.{module.name}")
        for entry in importlib.metadata.entry_points(group=f"grokscope.{group}"):
            try:
                entry.load()
            except Exception as error:
                raise InputError(
                    f"entry point '{entry.name}' = '{entry.value}' of an installed package cannot be loaded: "
                    f"{type(error).__name__}: {error}"
                ) from error
        _discovered.add(group)
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
    # one name per file: two files may share a stem, and one file may be loaded again after a change
    digest = hashlib.sha256(str(file.resolve()).encode()).hexdigest()
    name = f"{PLUGIN_PREFIX}{file.stem}_{digest[:8]}"
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise InputError(f"plugin '{path}': cannot be imported.")
    module = importlib.util.module_from_spec(spec)
    before = {group: dict(table) for group, table in _kinds.items()}
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
        for group in [group for group, table in _kinds.items() if table != before.get(group, {})]:
            kinds(group)  # so that a kind that is there already is noticed now
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        _kinds.clear()
        _kinds.update(before)
        if isinstance(error, InputError):
            raise InputError(f"plugin '{path}': {error}") from error
        lines = [
            frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(file)
        ]
        where = f", line {lines[-1]}" if lines else ""
        raise InputError(f"plugin '{path}'{where}: {type(error).__name__}: {error}") from error


@contextmanager
def looking_in(folder: Path) -> Generator[None]:
    """While a spec file is read: files it names that are not in the working folder are looked for here."""
    token = _spec_folder.set(folder)
    try:
        yield
    finally:
        _spec_folder.reset(token)


def find_file(path: str) -> Path:
    """A file named in a spec: relative to the working folder, else beside the spec file being read."""
    beside = _spec_folder.get()
    if beside is not None and not Path(path).exists() and (beside / path).exists():
        return beside / path
    return Path(path)


def _register(cls: type[Part], kind: str) -> None:
    table = _kinds.setdefault(cls.group, {})
    taken = table.get(kind)
    # the same class again is the same file, loaded again
    if taken is not None and (taken.__module__, taken.__qualname__) != (cls.__module__, cls.__qualname__):
        raise InputError(
            f"{cls.group} '{kind}' is already defined, in {taken.__module__}; choose another kind."
        )
    table[kind] = cls


def _takes_lists(annotation: Any) -> bool:
    if annotation is list or typing.get_origin(annotation) is list:
        return True
    return any(_takes_lists(inner) for inner in typing.get_args(annotation))


def _frozen(value: Any, *, lists: bool) -> Any:
    """Lists as tuples (unless the field takes lists), numpy's scalars as plain numbers."""
    if isinstance(value, list | tuple):
        if type(value) not in (list, tuple):
            return value  # a named tuple knows itself what it is
        items = [_frozen(item, lists=lists) for item in value]
        return items if lists and isinstance(value, list) else tuple(items)
    if type(value).__module__ == "numpy" and getattr(value, "ndim", None) == 0:
        return value.item()
    return value
