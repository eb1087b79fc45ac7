"""What pydantic finds wrong with a part, said in one line in the words of a spec."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from grokscope.errors import did_you_mean

if TYPE_CHECKING:
    from pydantic import ValidationError
    from pydantic_core import ErrorDetails

    from grokscope.spec.parts import Part

__all__ = ["explain"]

# how the table of a group is written in a spec, where that is not the group's name
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


def explain(cls: type[Part], error: ValidationError) -> str:
    """One line for the first fault of a validation, with the field's full name.

    Unknown keys come first: a mistyped key is the reason why another is missing.
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
    # the alternatives of a union fail one by one; what is wrong with one item says more than with the list
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
    """What a value must be, as far as the fault's type says it."""
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
