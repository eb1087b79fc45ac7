"""Overrides of a spec: ``--set a.b=value``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from grokscope.errors import InputError, did_you_mean, said
from grokscope.spec.parts import Part, lookup
from grokscope.spec.toml import parse_value

__all__ = ["merged", "overridden", "without_none"]

# fields that hold a list of parts -> the group of these parts
_LISTS = {"interventions": "intervention", "measures": "measure"}


def overridden(cls: type[Part], table: dict[str, Any], overrides: Iterable[str]) -> dict[str, Any]:
    """A copy of a spec's table with the overrides ``a.b=value`` applied; a value is TOML, else a bare string.

    Items of a list are numbered from 0 (``interventions.0.factor=2``). A table that the spec does not have
    starts from its default. A new ``kind`` resets its table; kinds are changed first, so that they reset no
    other override.

    Raises:
        InputError: if an override has another form, or its key does not exist or is not inside a table.

    Example:
        >>> from grokscope.experiment import Experiment
        >>> overridden(Experiment, {"epochs": 3, "task": "sparse_parity"}, ["task.k=4"])["task"]
        {'kind': 'sparse_parity', 'k': 4}
    """
    for override in sorted(overrides, key=lambda override: not _sets_table(cls, override)):
        table = _one(cls, table, override)
    return table


def merged(cls: type[Part], table: dict[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of a spec's table with values merged into it: dicts into tables, anything else in its place.

    A dict with another ``kind`` replaces its table. None takes the default.

    Raises:
        InputError: if a key does not exist.

    Example:
        >>> from grokscope.experiment import Experiment
        >>> table = {"task": {"kind": "sparse_parity", "k": 4}, "epochs": 3}
        >>> merged(Experiment, table, {"task": {"n": 20}, "steps": 96})
        {'task': {'kind': 'sparse_parity', 'k': 4, 'n': 20}, 'steps': 96}
    """
    changed = dict(table)
    for name, value in values.items():
        if name != "kind" and name not in cls.model_fields:
            allowed = ", ".join(key for key in cls.model_fields if key != "kind")
            where = "" if cls.group == "experiment" else f"{cls.group}."
            hint = did_you_mean(name, cls.model_fields)
            raise InputError(f"{where}{name}: no such key.{hint} Allowed: {allowed}.")
        # the length has two keys, of which a spec has one: setting one removes the other
        if value is not None and (other := {"epochs": "steps", "steps": "epochs"}.get(name)) is not None:
            changed.pop(other, None)
        if value is None:
            changed.pop(name, None)
        else:
            changed[name] = _merged_field(cls, changed, name, value)
    return changed


def _merged_field(cls: type[Part], table: Mapping[str, Any], name: str, value: Any) -> Any:
    """The new value of one field."""
    base = _part_class(cls, name)
    if base is None or not isinstance(value, Mapping):
        return value
    below: Any = table.get(name, cls.model_fields[name].default)
    if isinstance(below, Part):  # not as JSON, which has no arrays in memory
        below = {key: item for key in type(below).model_fields if (item := getattr(below, key)) is not None}
    below = _table(below)
    kind = below.get("kind")
    if value.get("kind", kind) != kind:
        return dict(value)
    return merged(lookup(base.group, kind) if isinstance(kind, str) else base, below, value)


def _sets_table(cls: type[Part], override: str) -> bool:
    """Whether an override sets a whole table or its kind."""
    *above, last = (name.strip() for name in override.partition("=")[0].split("."))
    level: type[Part] | None = cls
    for name in above:
        level = _part_class(level, name) if level is not None else None
    return last == "kind" or (level is not None and _part_class(level, last) is not None)


def _one(cls: type[Part], table: dict[str, Any], override: str) -> dict[str, Any]:
    path, equals, text = override.partition("=")
    names = [name.strip() for name in path.split(".")]
    if not equals or not all(names):
        raise InputError(f"{_set()}'{override}': write a.b=value, for example optimizer.weight_decay=0.001.")
    try:
        value = parse_value(text)
    except ValueError:
        raise InputError(f"{_set()}{path.strip()}: '{text[:20]}...' is not a value.") from None
    changed = dict(table)
    if len(names) > 2 and names[0] in _LISTS:
        changed[names[0]] = _item(names, text, changed.get(names[0], ()))
        return changed
    if len(names) == 2 and names[0] == "events":  # a table of any names
        changed["events"] = {**(changed.get("events") or {}), names[1]: value}
        return changed
    # the length has two keys, of which a spec has one: setting one removes the other
    for one, other in (("epochs", "steps"), ("steps", "epochs")):
        if names == [one]:
            changed.pop(other, None)
    inner, level = changed, cls
    for depth, name in enumerate(names):
        if name != "kind" and name not in level.model_fields:
            allowed = ", ".join(level.model_fields)
            shown = ".".join(names[: depth + 1])
            hint = did_you_mean(name, level.model_fields)
            raise InputError(f"{_set()}{shown}: no such key.{hint} Allowed: {allowed}.")
        if depth == len(names) - 1:
            break
        base = _part_class(level, name)
        if base is None:
            raise InputError(f"{_set()}{path.strip()}: '{name}' is not a table.")
        below = _table(inner.get(name, level.model_fields[name].default))
        inner[name] = below
        inner = below
        level = base
        kind = below.get("kind")
        if isinstance(kind, str) and names[depth + 1] != "kind":
            level = lookup(base.group, kind)
    if names[-1] == "kind" and inner.get("kind") != value:
        inner.clear()
    if isinstance(value, str) and _part_class(level, names[-1]) is not None:
        value = {"kind": value}
    inner[names[-1]] = value
    return changed


def _item(names: list[str], text: str, items: Any) -> list[Any]:
    """The list of tables with a value changed in one of them."""
    field, place, *inside = names
    listed = list(items) if isinstance(items, list | tuple) else []
    if not place.isdigit() or int(place) >= len(listed):
        valid = f"valid: 0 to {len(listed) - 1}" if listed else "the list is empty"
        raise InputError(f"{_set()}{field}.{place}: index out of range; {valid}.")
    item = _table(listed[int(place)])
    kind = item.get("kind")
    if not isinstance(kind, str):
        raise InputError(f"{_set()}{field}.{place}: is not a table with a kind.")
    try:
        listed[int(place)] = _one(lookup(_LISTS[field], kind), item, f"{'.'.join(inside)}={text}")
    except InputError as error:
        raise InputError(f"{_set()}{field}.{place}.{str(error).removeprefix(_set())}") from None
    return listed


def _set() -> str:
    """How messages about an override begin."""
    return said(command="--set ", python="")


def without_none(value: Any) -> Any:
    """A JSON value without the keys that are None, which TOML cannot express."""
    if isinstance(value, dict):
        return {key: without_none(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [without_none(item) for item in value]
    return value


def _part_class(level: type[Part], name: str) -> type[Part] | None:
    """The class of the part in a field, or None where the field holds plain values."""
    field = level.model_fields.get(name)
    kind = field.annotation if field is not None else None
    return kind if isinstance(kind, type) and issubclass(kind, Part) else None


def _table(value: Any) -> dict[str, Any]:
    if isinstance(value, str):
        return {"kind": value}
    if isinstance(value, Part):
        return without_none(value.model_dump(mode="json"))
    return dict(value) if isinstance(value, dict) else {}
