"""What is in a loaded ``.pt`` file: its tables of tensors, alone or in series, wherever they stand.

A *table of tensors* is a table with a matrix of floats in it (a state dict). It may stand at any depth, under
any name. A *series* is a list of them, or a table with one under each step or epoch. The states of an
optimizer are no tables of tensors.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from grokscope.errors import InputError, option, said
from grokscope.interop._logged import LoggedValue, logged_values
from grokscope.interop._steps import Numbers, Pattern, numbers_in, numbers_inside, whole

__all__ = ["DATA_NAMES", "Found", "FoundState", "find_states", "named"]

DATA_NAMES = ("train_x", "train_y", "test_x", "test_y", "probe_x", "probe_y")
_MAX_DEPTH = 12
_MAX_PLACES = 10**5
_MAX_NAMED = 12
_BARE = "its key"  # the source of a key that is a number and no more


@dataclass(frozen=True)
class FoundState:
    """A table of tensors.

    Attributes:
        path: the keys that lead to it.
        tensors: the tensors by name.
        said_by: what the file says of its step, the most trusted first.
        logged: the losses and accuracies that the file has of it.
    """

    path: tuple[str, ...]
    tensors: dict[str, Any]
    said_by: tuple[Numbers, ...] = ()
    logged: tuple[LoggedValue, ...] = ()


@dataclass(frozen=True)
class Found:
    """What is read of a file, and what is not.

    Attributes:
        states: one state, or those of a series.
        is_series: whether they are of a series.
        data: arrays ``train_x`` and so on.
        unread: keys of what is not read.
        notes: what was assumed.
    """

    states: list[FoundState]
    is_series: bool
    data: dict[str, Any] = field(default_factory=dict[str, Any])
    unread: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Node:
    """A table of tensors (one state), or a series of them, that was found.

    Attributes:
        path: the keys that lead to it.
        states: its states.
        is_series: whether it is a series.
        used: paths of what is read beside its tensors.
        notes: what was assumed.
    """

    path: tuple[str, ...]
    states: list[FoundState]
    is_series: bool = False
    used: frozenset[tuple[str, ...]] = frozenset()
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        what = f"{len(self.states)} tables" if self.is_series else f"{len(self.states[0].tensors)} tensors"
        return f"{'.'.join(self.path) or 'the file itself'} ({what})"


def find_states(content: Any, label: str, key: str | None = None, pattern: Pattern | None = None) -> Found:
    """Find the one table of tensors, or the one series of them, in a loaded file.

    Args:
        content: what was loaded.
        label: names the file in messages.
        key: the keys to the one that is meant, joined by dots.
        pattern: how the names in a series are read.

    Raises:
        InputError: if there is none, or more than one and no key.
    """
    nodes = _Search(label, pattern).nodes(content, ())
    chosen = _choose(nodes, label, key)
    if chosen is None:  # what else it may be is said by who reads tensors
        if isinstance(content, Mapping) and any(_is_tensor(value) for value in content.values()):
            return Found([FoundState((), dict(content))], False)
        raise InputError(
            f"{label}: holds a {type(content).__name__}, and no state dict in it: no table has a matrix of "
            f"floats.{_held(content)}"
        )
    data = {name: content[name] for name in DATA_NAMES if isinstance(content, Mapping) and name in content}
    logged = logged_values(
        content, [one.path for one in chosen.states], [one.said_by for one in chosen.states]
    )
    states = [replace(one, logged=values) for one, values in zip(chosen.states, logged, strict=True)]
    used = chosen.used | {value.path for values in logged for value in values}
    unread = _left(content, replace(chosen, used=used), data)
    return Found(states, chosen.is_series, data, tuple(unread), chosen.notes)


def named(keys: Sequence[str]) -> str:
    """Some keys, joined for a message."""
    more = len(keys) - _MAX_NAMED
    return ", ".join(keys[:_MAX_NAMED]) + (f", and {more} more" if more > 0 else "")


class _Search:
    """Looks for tables of tensors in nested tables and lists."""

    def __init__(self, label: str, pattern: Pattern | None) -> None:
        self._label = label
        self._pattern = pattern
        self._known: dict[tuple[int, tuple[str, ...]], list[_Node]] = {}
        self._barren: set[int] = set()  # ids of what holds no table of tensors
        self._above: set[int] = set()  # ids of what is being looked through: a list may hold itself

    def nodes(self, value: Any, path: tuple[str, ...]) -> list[_Node]:
        """The tables and series in a value that these keys lead to."""
        if not isinstance(value, Mapping | list | tuple) or len(path) > _MAX_DEPTH:
            return []
        place = id(value)
        if place in self._barren or place in self._above or _is_optimizer(value):
            return []
        if (place, path) not in self._known:
            # one list may stand in a file at any number of places
            if len(self._known) >= _MAX_PLACES:
                raise InputError(
                    f"{self._label}: has more than {_MAX_PLACES} tables and lists in each other."
                )
            self._above.add(place)
            found = self._in_table(value, path) if isinstance(value, Mapping) else self._in_list(value, path)
            self._above.discard(place)
            if not found:
                self._barren.add(place)
            self._known[place, path] = found
        return self._known[place, path]

    def _in_table(self, table: Mapping[Any, Any], path: tuple[str, ...]) -> list[_Node]:
        if series := self._of_table(table, path):
            return [series]
        nodes: list[_Node] = []
        for key, item in table.items():
            here = (*path, str(key))
            if isinstance(item, list | tuple) and (series := self._of_list(item, here, table)):
                nodes.append(series)
            else:
                nodes += self.nodes(item, here)
        found = numbers_inside(table)
        if not nodes:
            return [self._table(table, path, found)] if _has_matrix(table) else []
        return [node if node.is_series else _with_numbers(node, path, found) for node in nodes]

    def _in_list(self, items: Sequence[Any], path: tuple[str, ...]) -> list[_Node]:
        if series := self._of_list(items, path, {}):
            return [series]
        inner = ((i, item) for i, item in enumerate(items) if isinstance(item, Mapping | list | tuple))
        return [node for i, item in inner for node in self.nodes(item, (*path, str(i)))]

    def _table(
        self, table: Mapping[Any, Any], path: tuple[str, ...], found: dict[str, tuple[str, int]]
    ) -> _Node:
        """A table of tensors; a single number in it may be its step."""
        keys = {key for key, _ in found.values()}
        tensors = {
            name: item
            for name, item in table.items()
            if _is_tensor(item) and name not in keys and (path or name not in DATA_NAMES)
        }
        return _with_numbers(_Node(path, [FoundState(path, tensors)]), path, found)

    def _of_table(self, table: Mapping[Any, Any], path: tuple[str, ...]) -> _Node | None:
        """The series in a table by step or epoch: ``{0: ..., 100: ...}``, ``{"epoch_0": ...}``."""
        entries: list[tuple[Any, _Node, Numbers]] = []
        for key, item in table.items():
            nodes = self.nodes(item, (*path, str(key)))
            numbers = self._numbers(key, path) if nodes else None
            if not nodes:
                continue
            if numbers is None or len(nodes) > 1 or nodes[0].is_series:
                return None
            entries.append((key, nodes[0], numbers))
        if not entries or (len(entries) == 1 and type(entries[0][0]) is not int):
            return None
        notes: tuple[str, ...] = ()
        if any(numbers.source == _BARE for _, _, numbers in entries):
            keys = named([str(key) for key, _, _ in entries])
            where = f"the keys {keys}" + (f" of '{'.'.join(path)}'" if path else "")
            notes = (f"{where} are taken for steps; {_if_epochs()}.",)
        states = [_also(node.states[0], numbers) for _, node, numbers in entries]
        used = frozenset(place for _, node, _ in entries for place in node.used)
        return _Node(path, states, True, used, notes)

    def _of_list(
        self, items: Sequence[Any], path: tuple[str, ...], beside: Mapping[Any, Any]
    ) -> _Node | None:
        """The series that a list is, with its steps or epochs in the entries or in a list beside it."""
        nodes: list[_Node] = []
        for i, item in enumerate(items):
            inner = self.nodes(item, (*path, str(i))) if isinstance(item, Mapping | list | tuple) else []
            if len(inner) != 1 or inner[0].is_series:
                return None
            nodes.append(inner[0])
        if not nodes:
            return None
        numbers, used = self._beside(path, len(items), beside)
        notes: tuple[str, ...] = ()
        states: list[FoundState] = []
        for i, node in enumerate(nodes):
            state = _also(node.states[0], numbers[i])
            if self._pattern is not None:
                state = _also(state, self._pattern.match(str(i)))
            if not state.said_by:
                state = _also(state, Numbers("its place", i))
                notes = (
                    f"nothing tells the steps of the {len(items)} entries of "
                    f"'{'.'.join(path) or 'the list'}': they are taken to be 0, 1, ...; {_if_epochs()}.",
                )
            states.append(state)
        return _Node(path, states, True, used | {place for node in nodes for place in node.used}, notes)

    def _numbers(self, key: Any, path: tuple[str, ...]) -> Numbers | None:
        """What the key of an entry says."""
        if self._pattern is not None:
            return self._pattern.match(str(key))
        if type(key) is int or (isinstance(key, str) and key.isdecimal() and len(key) <= 15):
            above = path[-1].lower() if path else ""
            if int(key) < 0:
                return None
            if "epoch" in above:
                return Numbers(f"the key of '{path[-1]}'", epoch=int(key))
            said_so = any(word in above for word in ("step", "iter"))
            return Numbers(f"the key of '{path[-1]}'" if said_so else _BARE, int(key))
        if not isinstance(key, str):
            return None
        numbers = numbers_in(key)
        return numbers if numbers.is_known else None

    def _beside(
        self, path: tuple[str, ...], count: int, table: Mapping[Any, Any]
    ) -> tuple[list[Numbers | None], frozenset[tuple[str, ...]]]:
        """The steps and epochs of a list's entries, from the lists of numbers beside it."""
        found: dict[str, tuple[str, list[int]]] = {}
        wrong = ""
        for name, value in table.items():
            unit = _unit_of_list(str(name))
            numbers = _numbers_of(value) if unit else None
            if unit is None or numbers is None:
                continue
            if len(numbers) == count and all(number is not None for number in numbers):
                whole_numbers = [number for number in numbers if number is not None]
                # `checkpoint_epochs` rather than `epochs`, which may be of the losses
                if unit not in found or _stem(path[-1]) in str(name).lower():
                    found[unit] = (str(name), whole_numbers)
            else:
                wrong = wrong or str(name)
        if not found and wrong:
            raise InputError(
                f"{self._label}: its {count} {'.'.join(path)} do not have a whole number each in {wrong}."
            )
        lists = {unit: numbers for unit, (_, numbers) in found.items()}
        used = frozenset((*path[:-1], name) for name, _ in found.values())
        if not found:
            return [None] * count, used
        source = f"'{' and '.join(name for name, _ in found.values())}'"
        return [Numbers(source, **{unit: lists[unit][i] for unit in lists}) for i in range(count)], used


def _choose(nodes: list[_Node], label: str, key: str | None) -> _Node | None:
    """The node that is meant: by its key, or the only series, or the only table."""
    if key is not None:
        entries = [_Node(state.path, [state]) for node in nodes if node.is_series for state in node.states]
        for node in (*nodes, *entries):
            if ".".join(node.path) == key:
                return node
        below = [node for node in nodes if ".".join(node.path).startswith(f"{key}.")]
        if len(below) == 1:
            return below[0]
        listed = named([str(node) for node in nodes]) or "none"
        raise InputError(f"{label}: has no table of tensors '{key}' ({option('key')}). It has {listed}.")
    likely = [node for node in nodes if node.is_series] or nodes
    if len(likely) > 1:
        example = ".".join(likely[0].path)
        raise InputError(
            f"{label}: holds several tables of tensors: {named([str(node) for node in likely])}. Say which "
            f"is meant, for example {said(command=f'--key {example}', python=f'key={example!r}')}."
        )
    return next(iter(likely), None)


def _left(content: Any, chosen: _Node, data: Mapping[str, Any]) -> list[str]:
    """Keys of what is not read; for the entries of a series with ``*`` for their place in it."""
    read = chosen.used | {(name,) for name in data}
    leading = {state.path[:i] for state in chosen.states for i in range(len(state.path) + 1)}
    tables = {state.path: state.tensors for state in chosen.states}
    left: dict[str, None] = {}

    def look(value: Any, path: tuple[str, ...]) -> None:
        for key, item in _items(value):
            here = (*path, key)
            if here in leading:
                look(item, here)
            elif here not in read and key not in tables.get(path, {}):
                depth = len(chosen.path)
                is_entry = chosen.is_series and len(here) > depth + 1 and here[:depth] == chosen.path
                left[".".join((*here[:depth], "*", *here[depth + 1 :]) if is_entry else here)] = None

    look(content, ())
    return [*left]


def _with_numbers(node: _Node, path: tuple[str, ...], found: Mapping[str, tuple[str, int]]) -> _Node:
    """A single table with the step and epoch that a table around it tells, where none is nearer."""
    [state] = node.states
    own = state.said_by[0] if state.said_by else Numbers("the file")
    new = {unit: key_number for unit, key_number in found.items() if getattr(own, unit) is None}
    if not new:
        return node
    own = own._replace(**{unit: number for unit, (_, number) in new.items()})
    used = node.used | {(*path, key) for key, _ in new.values()}
    return replace(node, states=[replace(state, said_by=(own,))], used=used)


def _also(state: FoundState, numbers: Numbers | None) -> FoundState:
    return state if numbers is None else replace(state, said_by=(*state.said_by, numbers))


def _items(value: Any) -> list[tuple[str, Any]]:
    if isinstance(value, Mapping):
        return [(str(key), item) for key, item in value.items()]
    return [(str(i), item) for i, item in enumerate(value)] if isinstance(value, list | tuple) else []


def _is_tensor(value: Any) -> bool:
    return hasattr(value, "shape") and hasattr(value, "dtype")


def _has_matrix(table: Mapping[Any, Any]) -> bool:
    """Whether a table has a matrix of floats that is not data."""
    return any(
        isinstance(name, str)
        and name not in DATA_NAMES
        and _is_tensor(value)
        and len(value.shape) > 1
        and "float" in str(value.dtype)
        for name, value in table.items()
    )


def _is_optimizer(value: Any) -> bool:
    return isinstance(value, Mapping) and "param_groups" in value and "state" in value


def _numbers_of(value: Any) -> list[int | None] | None:
    """The whole numbers of a list, a tensor or an array of one axis; None if it is none of them."""
    if _is_tensor(value):
        if len(value.shape) != 1 or "object" in str(value.dtype):
            return None
        value = value.tolist() if hasattr(value, "tolist") else value.__array__().tolist()
    return [whole(number) for number in value] if isinstance(value, list | tuple) else None


def _unit_of_list(name: str) -> str | None:
    """Whether a name is one of a list of steps or of epochs."""
    words = name.lower().replace("-", "_").split("_")
    if "epochs" in words or "epoch" in words:
        return "epoch"
    return "step" if {"steps", "step", "iterations", "iters"} & set(words) else None


def _stem(name: str) -> str:
    return name.lower().rstrip("s")


def _if_epochs() -> str:
    return f"{option('pattern')} '{{epoch}}' takes them for epochs"


def _held(content: Any) -> str:
    keys = [key for key, _ in _items(content)] if isinstance(content, Mapping) else []
    return f" It has {named(keys)}." if keys else ""
