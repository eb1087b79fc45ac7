"""Part: one table of a spec, typed, frozen and validated; and the registry of all kinds of parts.

A part belongs to a group (task, model, measure, ...) and has a kind. Defining a subclass with a default
``kind`` registers it, so a file with such a class (in the group's folder, behind an entry point, or named
by ``--plugin``) is all it takes to add one.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.machinery
import importlib.metadata
import importlib.util
import pkgutil
import re
import sys
import traceback
import typing
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import (
    BaseModel,
    ConfigDict,
    PrivateAttr,
    ValidationError,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    field_validator,
)

from grokscope.errors import InputError, did_you_mean, said
from grokscope.spec.code import code_of, edited_beside, is_own, original_path, source_file

if TYPE_CHECKING:
    from typing import Self

    from pydantic_core import ErrorDetails

__all__ = [
    "PLUGIN_PREFIX",
    "Kind",
    "MissingPart",
    "Part",
    "find_file",
    "kinds",
    "load_plugin",
    "looking_in",
    "lookup",
    "missing_allowed",
    "part_of",
    "parts_in",
    "registered",
    "resolver",
]

# group -> where its kinds are defined: a package (every public module in it) or a single module
_HOMES = {
    "task": "grokscope.tasks",
    "model": "grokscope.models",
    "loss": "grokscope.losses",
    "penalty": "grokscope.losses",
    "optimizer": "grokscope.optimizers",
    "rate_schedule": "grokscope.optimizers",
    "learner": "grokscope.learners",
    "init": "grokscope.starts",
    "intervention": "grokscope.interventions",
    "neurons": "grokscope.interventions.neurons",
    "measure": "grokscope.measures",
    "paper": "grokscope.papers",
}
# the name of a group's table in a spec, where it is not the group's name
_TABLES = {"experiment": "", "rate_schedule": "optimizer.schedule", "intervention": "interventions"}
_WANTED = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "string_type": "a text",
    "tuple_type": "a list",
    "list_type": "a list",
    "dict_type": "a table",
    "model_type": "a table",
    "model_attributes_type": "a table",
}
_BOUNDS = {
    "greater_than_equal": ("ge", "at least"),
    "greater_than": ("gt", "greater than"),
    "less_than_equal": ("le", "at most"),
    "less_than": ("lt", "less than"),
}
if TYPE_CHECKING:
    Kind = Any  # subclasses narrow it to a literal, which type checkers allow of no other type
else:
    Kind = str
PLUGIN_PREFIX = "grokscope_plugin_"  # of the module names of plug-ins
_kinds: dict[str, dict[str, type[Part]]] = {}
_discovered: set[str] = set()
_spec_folder: ContextVar[Path | None] = ContextVar("_spec_folder", default=None)
# inside `missing_allowed`: part ("task my_task") -> the file that defines it
_missing: ContextVar[Mapping[str, str] | None] = ContextVar("_missing", default=None)


class Part(BaseModel):
    """A frozen, validated table of a spec.

    Values are not converted: no text for a number, no number for a truth value. Lists become tuples, and
    numpy scalars plain numbers.

    Attributes:
        group: the group it belongs to (set by the group's base class).
        traced: names of the number fields that the compiled program takes as traced values. Members that
            differ only in these share one program.
        not_identifying: names of the fields that do not determine the results (a file's path, say).
        younger: names of the fields that recorded identities do not have; they are part of the identity only
            where they differ from their defaults.

    Raises:
        InputError: if a field is unknown, missing or out of range; the message names the first such field.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, strict=True)

    group: ClassVar[str] = ""
    traced: ClassVar[tuple[str, ...]] = ()
    not_identifying: ClassVar[tuple[str, ...]] = ()
    younger: ClassVar[tuple[str, ...]] = ()

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise InputError(_one_line(type(self), error)) from None

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        field = cls.model_fields.get("kind")
        # a subclass that inherits its kind is not a new kind
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

    def __repr_args__(self) -> Generator[tuple[str | None, Any]]:
        """What `repr` shows: the fields that differ from their defaults."""
        for name, field in type(self).model_fields.items():
            value = getattr(self, name)
            if name != "kind" and (
                field.is_required() or value != field.get_default(call_default_factory=True)
            ):
                yield name, value

    def with_traced(self, values: dict[str, Any]) -> Self:
        """A copy with other (possibly traced) numbers in its traced fields, not validated."""
        known = {name: value for name, value in values.items() if name in self.traced}
        return self.model_copy(update=known) if known else self

    def identifying(self) -> dict[str, Any]:
        """The part as a JSON table, without the fields that do not determine the results."""
        table = self.model_dump(mode="json")
        for name, field in type(self).model_fields.items():
            value = getattr(self, name)
            is_default = name in self.younger and value == field.get_default(call_default_factory=True)
            if name in self.not_identifying or is_default:
                del table[name]
            elif isinstance(value, Part):
                table[name] = value.identifying()
        return table


# What reading a run asks of its parts, for one that is not loaded.
_NEUTRAL: dict[str, Any] = {"n_neurons": 0, "trains": True, "events": {}}


class MissingPart(Part):
    """Stands for a part of a stored run whose kind is not loaded: it keeps the fields as they were stored.

    Anything else that is asked of it raises an InputError that names the file to load.
    """

    model_config = ConfigDict(extra="allow")

    kind: str
    _reason: str = PrivateAttr("")

    @property
    def label(self) -> str:
        """The kind, as label of an intervention or a set of neurons."""
        return self.kind

    @property
    def reason(self) -> str:
        """One line: which part it is, and how it is loaded."""
        return self._reason

    def because(self, reason: str) -> MissingPart:
        """The part itself, with the reason that it gives."""
        self._reason = reason
        return self

    def written(self, folder: Path | None) -> MissingPart:
        """The part itself: its arrays are files already."""
        del folder
        return self

    if not TYPE_CHECKING:  # type checkers would take any name for an attribute

        def __getattr__(self, name: str) -> Any:
            try:
                return super().__getattr__(name)
            except AttributeError:
                if name.startswith("_"):
                    raise
            if name in _NEUTRAL:
                return _NEUTRAL[name]
            raise InputError(self._reason)


@contextmanager
def missing_allowed(files: Mapping[str, str]) -> Generator[None]:
    """Context manager for reading stored specs: kinds that are not known become `MissingPart`.

    Args:
        files: part (``task my_task``) -> the file that defined it, where that was recorded.
    """
    token = _missing.set(files)
    try:
        yield
    finally:
        _missing.reset(token)


def _missing_part(group: str, kind: str, table: dict[str, Any], files: Mapping[str, str]) -> MissingPart:
    file = files.get(f"{group} {kind}", "")
    how = "(Python: grokscope.load_plugin)"
    if not file:
        reason = f"{group} '{kind}' is not known; add --plugin FILE with the file that defines it {how}."
    elif Path(file).is_file():
        reason = f"{group} '{kind}' is defined in {file}, which is not loaded; add --plugin {file} {how}."
    else:
        reason = (
            f"{group} '{kind}' was defined in {file}, which is gone; restore it and add --plugin FILE {how}."
        )
    return MissingPart(kind=kind, **table).because(reason)


def resolver(base: type[Part], form: Callable[[Any], Any] = lambda value: value) -> WrapValidator:
    """A pydantic validator for fields of the base's group: applies `part_of` to the value.

    Args:
        base: the group's base class.
        form: applied first; it makes tables of other forms of the value.
    """

    def resolve(value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
        part = part_of(base.group, form(value))
        return part if isinstance(part, MissingPart) else handler(part)

    return WrapValidator(resolve)


def parts_in(part: Part) -> Iterator[Part]:
    """A part and all parts in its fields, also in lists and in the fields of these."""
    yield part
    for name in type(part).model_fields:
        value = getattr(part, name)
        for item in value if isinstance(value, tuple | list) else (value,):
            if isinstance(item, Part):
                yield from parts_in(item)


def part_of(group: str, value: Any) -> Any:
    """Make the part of a group that a value of a spec describes.

    Args:
        group: the group, for example ``task``.
        value: a table with a ``kind``, or the name of a kind. Anything else is returned unchanged: a part
            is one already, and other values are for pydantic to report.

    Raises:
        InputError: if the kind is missing or not known, or a field of the part is not valid.

    Example:
        >>> part_of("task", "sparse_parity") == part_of("task", {"kind": "sparse_parity", "k": 3})
        True
    """
    if isinstance(value, str):
        value = {"kind": value}
    if not isinstance(value, dict):
        return value
    table: dict[str, Any] = dict(value)
    kind = table.pop("kind", None)
    if not isinstance(kind, str):
        table_name, allowed = _TABLES.get(group, group), ", ".join(sorted(kinds(group)))
        raise InputError(f"{table_name}.kind is required; allowed: {allowed}.")
    files = _missing.get()
    if files is not None and kind not in kinds(group):
        return _missing_part(group, kind, table, files)
    return lookup(group, kind)(**table)


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


def _at_home(group: str, kind: str) -> type[Part] | None:
    """A built-in kind whose module has its name, imported alone; None for all others.

    All modules of papers together take a second to import.
    """
    home = importlib.import_module(_HOMES[group])
    name = f"{home.__name__}.{kind.replace('-', '_')}"
    is_name = re.fullmatch(r"[a-z][a-z0-9_-]*", kind) is not None
    if not is_name or not hasattr(home, "__path__") or importlib.util.find_spec(name) is None:
        return None
    importlib.import_module(name)
    return _kinds.get(group, {}).get(kind)


def registered() -> list[type[Part]]:
    """All kinds of all groups that this process has loaded so far."""
    return [cls for table in _kinds.values() for cls in table.values()]


def lookup(group: str, kind: str) -> type[Part]:
    """The class of a kind.

    Raises:
        InputError: if the kind is not known; the message lists the known kinds.
    """
    if group not in _discovered and (found := _at_home(group, kind)) is not None:
        return found
    known = kinds(group)
    if kind not in known:
        near = did_you_mean(kind, known)
        own = said(command="--plugin FILE", python="gs.load_plugin(FILE)")
        raise InputError(
            f"{group} '{kind}' is not known.{near} Known: {', '.join(sorted(known)) or 'none'}"
            f"{'' if near else f'; if it is in a file of your own: {own}'}."
        )
    return known[kind]


class _FreshLoader(importlib.machinery.SourceFileLoader):
    """Compiles the file as it is: cached code is taken for current until the second after an edit."""

    def get_code(self, fullname: str) -> Any:
        path = self.get_filename(fullname)
        return self.source_to_code(self.get_data(path), path)


_loading: list[Path] = []  # plug-ins that are being loaded, which may ask to load themselves


def load_plugin(path: str | Path, *, original: str | None = None) -> None:
    """Import a user's Python file that defines kinds of parts. It runs with the user's rights.

    Loaded again, after an edit or by ``import``, its parts replace those that it defined before. Files beside
    it can be imported by it.

    Args:
        path: the file.
        original: where the file is a copy: the path of the original, which runs record.

    Raises:
        InputError: if the file does not exist, is not Python, fails while it is imported, or defines no part.
    """
    file = Path(path).absolute()
    if file.suffix != ".py" or not file.is_file():
        raise InputError(f"plugin '{path}': not a Python file that exists.")
    place = file.resolve()
    main = getattr(sys.modules.get("__main__"), "__file__", None)
    if place in _loading or (main and Path(main).resolve() == place):
        return  # it is running, and defines its parts by itself
    original_path(place, original)
    # one name per file: two files may share a stem, and one file may be loaded again after a change
    digest = hashlib.sha256(str(place).encode()).hexdigest()
    name = f"{PLUGIN_PREFIX}{file.stem}_{digest[:8]}"
    spec = importlib.util.spec_from_file_location(name, file, loader=_FreshLoader(name, str(file)))
    if spec is None or spec.loader is None:
        raise InputError(f"plugin '{path}': cannot be imported.")
    module = importlib.util.module_from_spec(spec)
    before, module_before = {group: dict(table) for group, table in _kinds.items()}, sys.modules.get(name)
    for table in _kinds.values():  # what it defines no longer must not stay
        for kind in [kind for kind, cls in table.items() if source_file(cls) == place]:
            del table[kind]
    if str(place.parent) not in sys.path:
        sys.path.append(str(place.parent))
    sys.modules[name] = module
    _loading.append(place)
    try:
        for edited in edited_beside(module):  # python would keep them as they were
            del sys.modules[edited]
        spec.loader.exec_module(module)
        for group in [group for group, table in _kinds.items() if table != before.get(group, {})]:
            kinds(group)  # a kind that exists already is reported now, not at its first use
        _check_defines_parts(module, before)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        if module_before is not None:
            sys.modules[name] = module_before
        _kinds.clear()
        _kinds.update(before)
        if isinstance(error, InputError):
            raise InputError(f"plugin '{path}': {error}") from error
        lines = [
            frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(file)
        ]
        where = f", line {lines[-1]}" if lines else ""
        text = str(error).strip().partition("\n")[0]
        raise InputError(f"plugin '{path}'{where}: {type(error).__name__}: {text}") from error
    finally:
        _loading.remove(place)


def _check_defines_parts(module: Any, before: Mapping[str, Mapping[str, type[Part]]]) -> None:
    """Refuse a plug-in that neither defines nor imports a kind of its own."""
    now = {cls for table in _kinds.values() for cls in table.values()}
    if now - {cls for table in before.values() for cls in table.values()}:
        return
    classes = [item for item in vars(module).values() if isinstance(item, type) and issubclass(item, Part)]
    if any(cls in now and not is_own(cls) for cls in classes):
        return
    for cls in classes:
        if cls.__module__ == module.__name__ and cls.group:
            raise InputError(
                f'{cls.__name__} has no kind; add the line kind: Literal["my_{cls.group}"] = '
                f'"my_{cls.group}" to the class.'
            )
    raise InputError("defines no part: no subclass of Task, Model, Measure, Paper, ... with a kind.")


@contextmanager
def looking_in(folder: Path) -> Generator[None]:
    """Context manager: `find_file` also searches this folder for files named in a spec."""
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
    if taken is not None and not _is_newer(cls, taken):
        raise InputError(
            f"{cls.group} '{kind}' is already defined, in {_place(taken)}; choose another kind"
            + (f" in {_place(cls)}." if not is_own(taken) else ".")
        )
    code_of(cls)  # reads the source while it is the one that runs
    table[kind] = cls


def _is_newer(cls: type[Part], taken: type[Part]) -> bool:
    """Whether a class is another one again: from the same file, loaded again or under another name."""
    if (taken.__module__, taken.__qualname__) == (cls.__module__, cls.__qualname__):
        return True
    file = source_file(cls)
    return file is not None and (source_file(taken), taken.__qualname__) == (file, cls.__qualname__)


def _place(cls: type[Part]) -> str:
    return cls.__module__ if is_own(cls) else original_path(source_file(cls)) or cls.__module__


def _takes_lists(annotation: Any) -> bool:
    if annotation is list or typing.get_origin(annotation) is list:
        return True
    return any(_takes_lists(inner) for inner in typing.get_args(annotation))


def _frozen(value: Any, *, lists: bool) -> Any:
    """Convert lists to tuples (unless the field takes lists) and numpy scalars to Python numbers."""
    if isinstance(value, list | tuple):
        if type(value) not in (list, tuple):
            return value  # a named tuple stays one
        items = [_frozen(item, lists=lists) for item in value]
        return items if lists and isinstance(value, list) else tuple(items)
    if type(value).__module__ == "numpy" and getattr(value, "ndim", None) == 0:
        return value.item()
    return value


def _one_line(cls: type[Part], error: ValidationError) -> str:
    """Turn a pydantic error into a one-line message about the first invalid field.

    Unknown keys come first: a mistyped key is often the reason why another is missing.
    """
    faults = sorted(error.errors(include_url=False), key=lambda fault: fault["type"] != "extra_forbidden")
    first = faults[0]
    table = _TABLES.get(cls.group, cls.group)
    field = str(first["loc"][0]) if first["loc"] else ""
    if not field:
        return f"{table or cls.group or cls.__name__}: {_lower(first['msg'])}."
    where = f"{table}.{field}" if table else field
    if first["type"] == "extra_forbidden":
        allowed = [name for name in cls.model_fields if name != "kind"]
        return f"{where}: no such key.{did_you_mean(field, allowed)} Allowed: {', '.join(allowed)}."
    if first["type"] == "missing":
        return f"{where}: this key must be given."
    # the members of a union fail one by one; an error in one item says more than an error in the list
    same = [fault for fault in faults if fault["loc"][:1] == first["loc"][:1]]
    same = [fault for fault in same if _index(fault) is not None] or same
    index = _index(same[0])
    same = [fault for fault in same if _index(fault) == index]
    where += "" if index is None else f"[{index}]"
    given = same[0]["input"]
    wanted = list(dict.fromkeys(filter(None, (_wanted(fault) for fault in same))))
    if not wanted:
        return f"{where}: {_lower(same[0]['msg'])}{_got(given)}."
    words = [word for fault in same for word in re.findall(r"'([^']*)'", _expected(fault))]
    hint = did_you_mean(given, words) if isinstance(given, str) else ""
    return f"{where}: must be {' or '.join(wanted)}{_got(given)}.{hint}"


def _index(fault: ErrorDetails) -> int | None:
    return next((item for item in fault["loc"] if isinstance(item, int)), None)


def _expected(fault: ErrorDetails) -> str:
    return str(fault.get("ctx", {}).get("expected", ""))


def _wanted(fault: ErrorDetails) -> str:
    """The allowed values as text; empty if they cannot be derived from the type of the error."""
    kind = fault["type"]
    if kind in _BOUNDS:
        key, words = _BOUNDS[kind]
        bound = fault.get("ctx", {})[key]
        return f"{words} {bound}" if isinstance(bound, int) else f"{words} {bound:g}"
    if kind == "literal_error":
        return _expected(fault)
    return _WANTED.get(kind, "")


def _lower(message: str) -> str:
    message = message.removeprefix("Value error, ")
    return message[:1].lower() + message[1:]


def _got(value: Any) -> str:
    if isinstance(value, bool):
        return f" (got {str(value).lower()})"
    if isinstance(value, int | float):
        return f" (got {value})"
    if isinstance(value, str):
        return f" (got {value!r})" if len(value) <= 60 else f" (got {value[:60]!r}...)"
    return ""
