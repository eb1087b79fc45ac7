"""Where snapshots lie: a folder of files, one file with a step in every prefix, or one file of one snapshot.

A source lists its snapshots by seed and step (or epoch) without reading them; each is opened when it is
asked for, so that thousands of files take no more memory than one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from grokscope.errors import InputError
from grokscope.interop._names import SUFFIXES, Unit, check_numbers, guessed, matched, matching, told
from grokscope.interop._pt import load_pt
from grokscope.interop._tensors import Tensors, of_file, of_memory

__all__ = ["DATA_NAMES", "Snapshot", "Source", "open_source"]

DATA_NAMES = ("train_x", "train_y", "test_x", "test_y", "probe_x", "probe_y")
_PREFIX = re.compile(r"(epoch|step)_(\d{1,15})/")
# where training loops put the state dict in what they save
_INSIDE = ("state_dict", "model_state_dict", "model")


@dataclass(frozen=True)
class Snapshot:
    """One network of a source.

    Attributes:
        number: its step or epoch; None where nothing tells.
        unit: which of the two.
        seed: its seed, or None where nothing tells.
        label: where it is, for messages.
        opened: its tensors.
    """

    number: int | None
    unit: Unit
    seed: int | None
    label: str
    opened: Callable[[], Tensors]


@dataclass(frozen=True)
class Source:
    """Snapshots, and the data that lie beside them.

    Attributes:
        label: the path.
        what: in words, for people.
        snapshots: sorted by seed and number.
        data: arrays ``train_x`` and so on, where one file holds them too.
        passed_over: names of files that were not taken for snapshots.
    """

    label: str
    what: str
    snapshots: list[Snapshot]
    data: Mapping[str, np.ndarray] = field(default_factory=dict[str, np.ndarray])
    passed_over: tuple[str, ...] = ()


def open_source(path: Path, pattern: str | None = None) -> Source:
    """Look for snapshots at a path.

    Args:
        path: a folder, or one file.
        pattern: of the files' names, with ``{step}`` or ``{epoch}``, ``{seed}`` and ``*``; without one the
            number in which the names differ is the step (the epoch, if the name says so).

    Raises:
        InputError: if there are none, or it cannot be told which is which.
    """
    if path.is_dir():
        return _folder(path, pattern)
    if not path.exists():
        raise InputError(f"{path}: there is no such file or folder.")
    _require_regular(path)
    if path.suffix not in SUFFIXES:
        raise InputError(f"{path}: must be a folder, or end in {', '.join(SUFFIXES)}.")
    found = _tensors_of(path)
    return _one_file(path, found, pattern)


# --- folders ---


def _folder(folder: Path, pattern: str | None) -> Source:
    root = folder.resolve()
    named, passed_over = guessed(folder) if pattern is None else (matching(folder, pattern), [])
    snapshots: list[Snapshot] = []
    for name, (number, unit, seed) in named:
        file = folder / name
        _require_regular(file)
        if root not in file.resolve().parents:
            raise InputError(f"{file}: is a link that leads out of the folder; it is not read.")
        check_numbers(str(file), number, seed)
        snapshots.append(Snapshot(number, unit, seed, str(file), lambda file=file: _single(file)))
    what = f"{len(snapshots)} files"
    return Source(str(folder), what, _sorted(snapshots), passed_over=tuple(passed_over))


def _single(file: Path) -> Tensors:
    """The one state dict of a file of a folder."""
    found = _tensors_of(file)
    if isinstance(found, Tensors):
        return found.unwrapped()
    raise InputError(f"{file}: holds several state dicts; give that file itself, not the folder.")


# --- single files ---


def _tensors_of(file: Path) -> Tensors | list[tuple[int, Tensors]]:
    """What is in a file: tensors, or several state dicts with their epochs."""
    if file.suffix == ".safetensors":
        return of_file(file)
    if file.suffix not in SUFFIXES:
        raise InputError(f"{file}: must end in {', '.join(SUFFIXES)}.")
    table = load_pt(file)
    if isinstance(table.get("state_dicts"), list | tuple) and isinstance(table.get("epochs"), list | tuple):
        return _listed(file, table["epochs"], table["state_dicts"])
    for name in _INSIDE:
        if isinstance(inner := table.get(name), Mapping) and any(hasattr(v, "shape") for v in inner.values()):
            table = inner
            break
    return of_memory(table, str(file))


def _listed(file: Path, epochs: Any, states: Any) -> list[tuple[int, Tensors]]:
    if len(epochs) != len(states) or not all(type(number) is int for number in epochs):
        raise InputError(f"{file}: its {len(states)} state_dicts do not have a whole number each in epochs.")
    if not states or not all(isinstance(state, Mapping) for state in states):
        raise InputError(f"{file}: its state_dicts must be tables of tensors, one at least.")
    return [
        (number, of_memory(state, f"{file} (epoch {number})").unwrapped())
        for number, state in zip(epochs, states, strict=True)
    ]


def _one_file(file: Path, found: Tensors | list[tuple[int, Tensors]], pattern: str | None) -> Source:
    if isinstance(found, list):
        for number, tensors in found:
            check_numbers(tensors.label, number, None)
        several = [
            Snapshot(number, "epoch", None, tensors.label, lambda tensors=tensors: tensors)
            for number, tensors in found
        ]
        return Source(str(file), f"{len(several)} state dicts in a file", _sorted(several))
    names = list(found.shapes)
    prefixes = dict.fromkeys(match[0] for name in names if (match := _PREFIX.match(name)))
    data = [name for name in DATA_NAMES if name in found.shapes]
    if not prefixes:
        number, unit, seed = told(file.name)
        if pattern is not None:
            found_name = matched(pattern, file.name)
            if found_name is None:
                raise InputError(f"{file}: does not match --pattern '{pattern}'.")
            number, unit, seed = found_name
        check_numbers(str(file), number, seed)
        weights = Tensors(
            found.label, {n: s for n, s in found.shapes.items() if n not in data}, found.dtypes, found.reader
        ).unwrapped()
        one = Snapshot(number, unit, seed, str(file), lambda: weights)
        return Source(str(file), "a state dict", [one], {name: found.reader(name) for name in data})
    for name in names:
        if not _PREFIX.match(name) and name not in data:
            raise InputError(
                f"{file}: '{name}' has no prefix like epoch_3/ or step_96/, as others have, and is none of "
                f"{', '.join(DATA_NAMES)}."
            )
    return Source(
        str(file),
        f"{len(prefixes)} snapshots in a file",
        _sorted(list(_prefixed(file, found, list(prefixes)))),
        {name: found.reader(name) for name in data},
    )


def _prefixed(file: Path, found: Tensors, prefixes: list[str]) -> Iterator[Snapshot]:
    groups: dict[str, list[str]] = {prefix: [] for prefix in prefixes}
    for name in found.shapes:
        if match := _PREFIX.match(name):
            groups[match[0]].append(name)
    for prefix, names in groups.items():
        match = _PREFIX.fullmatch(prefix)
        assert match is not None
        unit: Unit = "epoch" if match[1] == "epoch" else "step"
        label = f"{file} ({prefix[:-1]})"
        check_numbers(label, int(match[2]), None)
        yield Snapshot(int(match[2]), unit, None, label, _below(found, names, prefix, label))


def _below(found: Tensors, names: list[str], prefix: str, label: str) -> Callable[[], Tensors]:
    part = Tensors(label, {n: found.shapes[n] for n in names}, found.dtypes, found.reader)
    return lambda: part.below(prefix, label).unwrapped()


# --- both ---


def _require_regular(file: Path) -> None:
    """Refuse what is no file to be read: a pipe would block, a broken link has nothing."""
    if not file.is_file():
        raise InputError(f"{file}: is not a regular file (a broken link, a pipe or a device).")


def _sorted(snapshots: list[Snapshot]) -> list[Snapshot]:
    return sorted(snapshots, key=lambda one: (one.seed or 0, one.number or 0))
