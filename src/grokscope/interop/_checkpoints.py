"""Find the snapshots at a path: a folder of files, a file with a step in every prefix, or one state dict.

Snapshots are listed by seed and step (or epoch) without reading them. Each is opened when it is needed, so
that thousands of files take no more memory than one. The step and seed of a file come from its name: by a
pattern, or by the one number in which the names of a folder differ.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from grokscope.errors import InputError, option, said
from grokscope.interop._tensors import Tensors, tensors_in_file, tensors_in_memory
from grokscope.interop._torch import load_pt
from grokscope.spec.streams import MAX_INT32

__all__ = ["DATA_NAMES", "MAX_STEP", "ForeignSnapshot", "ForeignSnapshots", "find_snapshots"]

DATA_NAMES = ("train_x", "train_y", "test_x", "test_y", "probe_x", "probe_y")
MAX_STEP = 10**12
_SUFFIXES = (".pt", ".pth", ".safetensors")
_STATE_KEYS = ("state_dict", "model_state_dict", "model")  # of the state dict in a saved checkpoint
_PREFIX = re.compile(r"(epoch|step)_(\d{1,15})/")
_NUMBER = re.compile(r"\d+")
_EPOCH_BEFORE = re.compile(r"(?:^|[^a-z])(?:epochs?|ep|e)[-_=. ]?$", re.IGNORECASE)
_STEP_BEFORE = re.compile(r"(?:^|[^a-z])(?:steps?|iter|iterations?)[-_=. ]?$", re.IGNORECASE)
_FIELDS = {name: rf"(?P<{name}>\d{{1,15}})" for name in ("step", "epoch", "seed")}
_IN_PATTERN = re.compile(r"\{(\w*)\}|(\*)")

Unit = Literal["step", "epoch"]


class NameNumbers(NamedTuple):
    """The numbers in the name of a snapshot.

    Attributes:
        number: the step or epoch, or None if the name has neither.
        unit: which of the two.
        seed: the seed, or None.
    """

    number: int | None = None
    unit: Unit = "step"
    seed: int | None = None


@dataclass(frozen=True)
class ForeignSnapshot:
    """One network that was trained elsewhere.

    Attributes:
        place: its step or epoch, and its seed, where they are known.
        label: names the snapshot in messages.
        open: reads its tensors.
    """

    place: NameNumbers
    label: str
    open: Callable[[], Tensors]


@dataclass(frozen=True)
class ForeignSnapshots:
    """All snapshots at a path, and the data in the same file.

    Attributes:
        label: the path.
        found: what was found there, for the provenance.
        snapshots: sorted by seed and number.
        data: arrays ``train_x`` and so on, if the file has them.
        ignored: names of files that are not snapshots.
    """

    label: str
    found: str
    snapshots: list[ForeignSnapshot]
    data: Mapping[str, np.ndarray] = field(default_factory=dict[str, np.ndarray])
    ignored: tuple[str, ...] = ()


def find_snapshots(path: Path, pattern: str | None = None) -> ForeignSnapshots:
    """Find the snapshots at a path.

    Args:
        path: a folder, or one file.
        pattern: pattern of the file names, with ``{step}`` or ``{epoch}``, ``{seed}`` and ``*``. Without it
            the number in which the names differ is the step, or the epoch if the name says so.

    Raises:
        InputError: if there are none, or their steps cannot be determined.
    """
    if path.is_dir():
        return _in_folder(path, pattern)
    if not path.exists():
        raise InputError(f"{path}: there is no such file or folder.")
    _require_regular(path)
    if path.suffix not in _SUFFIXES:
        raise InputError(f"{path}: must be a folder, or end in {', '.join(_SUFFIXES)}.")
    return _in_file(path, pattern)


def _in_folder(folder: Path, pattern: str | None) -> ForeignSnapshots:
    root = folder.resolve()
    named, ignored = _infer_numbers(folder) if pattern is None else (_match_files(folder, pattern), [])
    snapshots: list[ForeignSnapshot] = []
    for name, place in named:
        file = folder / name
        _require_regular(file)
        if root not in file.resolve().parents:
            raise InputError(f"{file}: is a link that leads out of the folder; it is not read.")
        _check_numbers(str(file), place)
        snapshots.append(ForeignSnapshot(place, str(file), lambda file=file: _single_state(file)))
    found = f"{len(snapshots)} files"
    return ForeignSnapshots(str(folder), found, _sorted(snapshots), ignored=tuple(ignored))


def _single_state(file: Path) -> Tensors:
    """Read a file of a folder, which must have one state dict."""
    content = _read(file)
    if isinstance(content, Tensors):
        return content.unwrapped()
    raise InputError(f"{file}: holds several state dicts; give that file itself, not the folder.")


def _read(file: Path) -> Tensors | list[tuple[int, Tensors]]:
    """Read a file: tensors, or several state dicts with their epochs."""
    if file.suffix == ".safetensors":
        return tensors_in_file(file)
    if file.suffix not in _SUFFIXES:
        raise InputError(f"{file}: must end in {', '.join(_SUFFIXES)}.")
    table = load_pt(file)
    if isinstance(table.get("state_dicts"), list | tuple) and isinstance(table.get("epochs"), list | tuple):
        return _state_list(file, table["epochs"], table["state_dicts"])
    for name in _STATE_KEYS:
        if isinstance(inner := table.get(name), Mapping) and any(hasattr(v, "shape") for v in inner.values()):
            table = inner
            break
    return tensors_in_memory(table, str(file))


def _state_list(file: Path, epochs: Any, states: Any) -> list[tuple[int, Tensors]]:
    if len(epochs) != len(states) or not all(type(number) is int for number in epochs):
        raise InputError(f"{file}: its {len(states)} state_dicts do not have a whole number each in epochs.")
    if not states or not all(isinstance(state, Mapping) for state in states):
        raise InputError(f"{file}: its state_dicts must be tables of tensors, one at least.")
    return [
        (number, tensors_in_memory(state, f"{file} (epoch {number})").unwrapped())
        for number, state in zip(epochs, states, strict=True)
    ]


def _in_file(file: Path, pattern: str | None) -> ForeignSnapshots:
    content = _read(file)
    if isinstance(content, list):
        snapshots = [
            ForeignSnapshot(NameNumbers(number, "epoch"), tensors.label, lambda tensors=tensors: tensors)
            for number, tensors in content
        ]
        for one in snapshots:
            _check_numbers(one.label, one.place)
        return ForeignSnapshots(str(file), f"{len(snapshots)} state dicts in a file", _sorted(snapshots))
    snapshots = _by_prefix(file, content)
    data = {name: content.reader(name) for name in DATA_NAMES if name in content.shapes}
    if not snapshots:
        place = _numbers_in(file.name) if pattern is None else _match_name(_compile(pattern), file.name)
        if place is None:
            raise InputError(f"{file}: does not match {option('pattern')} '{pattern}'.")
        _check_numbers(str(file), place)
        weights = content.subset(name for name in content.shapes if name not in data).unwrapped()
        return ForeignSnapshots(
            str(file), "a state dict", [ForeignSnapshot(place, str(file), lambda: weights)], data
        )
    for name in content.shapes:
        if not _PREFIX.match(name) and name not in data:
            raise InputError(
                f"{file}: '{name}' has no prefix like epoch_3/ or step_96/, as others have, and is none of "
                f"{', '.join(DATA_NAMES)}."
            )
    return ForeignSnapshots(str(file), f"{len(snapshots)} snapshots in a file", _sorted(snapshots), data)


def _by_prefix(file: Path, content: Tensors) -> list[ForeignSnapshot]:
    """The snapshots of a file that has ``epoch_E/`` or ``step_S/`` before its names."""
    groups: dict[str, list[str]] = {}
    for name in content.shapes:
        if match := _PREFIX.match(name):
            groups.setdefault(match[0], []).append(name)
    snapshots: list[ForeignSnapshot] = []
    for prefix, names in groups.items():
        unit, _, number = prefix[:-1].partition("_")
        place = NameNumbers(int(number), "epoch" if unit == "epoch" else "step")
        part = content.subset(names).below(prefix, f"{file} ({prefix[:-1]})")
        _check_numbers(part.label, place)
        snapshots.append(ForeignSnapshot(place, part.label, part.unwrapped))
    return snapshots


def _require_regular(file: Path) -> None:
    """Raise an error for a pipe (reading it would block), a device or a broken link."""
    if not file.is_file():
        raise InputError(f"{file}: is not a regular file (a broken link, a pipe or a device).")


def _sorted(snapshots: list[ForeignSnapshot]) -> list[ForeignSnapshot]:
    return sorted(snapshots, key=lambda one: (one.place.seed or 0, one.place.number or 0))


def _infer_numbers(folder: Path) -> tuple[list[tuple[str, NameNumbers]], list[str]]:
    """The files of a folder whose names differ in one number only, and the names without any number."""
    every = [name for name in _file_names(folder, 0) if name.endswith(_SUFFIXES)]
    names = [name for name in every if _NUMBER.search(name)] or every
    ignored = [name for name in every if name not in names]
    if not names:
        raise InputError(f"{folder}: holds no {', '.join(_SUFFIXES)} file.{_listing(_file_names(folder, 0))}")
    if len(names) == 1:
        return [(names[0], _numbers_in(names[0]))], ignored
    forms = {_NUMBER.sub("0", name) for name in names}
    numbers = [[int(text) for text in _NUMBER.findall(name)] for name in names]
    places = [i for i, column in enumerate(zip(*numbers, strict=False)) if len(set(column)) > 1]
    if len(forms) != 1 or len(places) != 1:
        text = "'model_{step}.pt'"
        example = said(command=f"--pattern {text}", python=f"pattern={text}")
        raise InputError(
            f"{folder}: the step is not clear: the file names do not differ in exactly one number. Give a "
            f"pattern, for example {example}.{_listing(names)}"
        )
    place = places[0]
    before = [*_NUMBER.finditer(names[0])][place].start()
    unit: Unit = "epoch" if _EPOCH_BEFORE.search(names[0][:before]) else "step"
    named = [(name, NameNumbers(row[place], unit)) for name, row in zip(names, numbers, strict=True)]
    return named, ignored


def _match_files(folder: Path, pattern: str) -> list[tuple[str, NameNumbers]]:
    """The files of a folder that match a pattern."""
    names = _file_names(folder, pattern.count("/"))
    compiled = _compile(pattern)
    named = [(name, place) for name in names if (place := _match_name(compiled, name)) is not None]
    if not named:
        raise InputError(f"{folder}: no file matches {option('pattern')} '{pattern}'.{_listing(names)}")
    return named


def _numbers_in(name: str) -> NameNumbers:
    """The number behind ``step`` or ``epoch`` in a name, if there is one."""
    for match in _NUMBER.finditer(name):
        if _EPOCH_BEFORE.search(name[: match.start()]):
            return NameNumbers(int(match[0]), "epoch")
        if _STEP_BEFORE.search(name[: match.start()]):
            return NameNumbers(int(match[0]), "step")
    return NameNumbers()


def _check_numbers(label: str, place: NameNumbers) -> None:
    """Refuse numbers that are too large for a step or a seed."""
    if place.number is not None and place.number > MAX_STEP:
        raise InputError(f"{label}: {place.number} is too large for a step; at most {MAX_STEP}.")
    if place.seed is not None and place.seed > MAX_INT32:
        raise InputError(f"{label}: {place.seed} is too large for a seed; at most {MAX_INT32}.")


def _file_names(folder: Path, depth: int, below: str = "") -> list[str]:
    """Sorted names of the files at a depth below a folder, relative to it."""
    try:
        entries = sorted(os.scandir(folder / below), key=lambda entry: entry.name)
    except OSError as error:
        raise InputError(f"{folder / below}: cannot be read: {error.strerror}.") from None
    found: list[str] = []
    for entry in entries:
        if depth and entry.is_dir():
            found += _file_names(folder, depth - 1, f"{below}{entry.name}/")
        elif not depth and not entry.is_dir():
            found.append(f"{below}{entry.name}")
    return found


def _compile(pattern: str) -> re.Pattern[str]:
    """Turn a pattern into a regular expression."""
    pieces: list[str] = []
    at = 0
    seen: list[str] = []
    for match in _IN_PATTERN.finditer(pattern):
        pieces.append(re.escape(pattern[at : match.start()]))
        at = match.end()
        name = match[1]
        if match[2]:
            pieces.append("[^/]*")
        elif name not in _FIELDS or name in seen:
            raise InputError(
                f"{option('pattern')} '{pattern}': '{{{name}}}' is not known, or is there twice. "
                "Allowed: {step} or {epoch}, {seed}, and * for anything."
            )
        else:
            seen.append(name)
            pieces.append(_FIELDS[name])
    if len({"step", "epoch"} & set(seen)) != 1:
        raise InputError(
            f"{option('pattern')} '{pattern}': must hold {{step}} or {{epoch}}, as 'model_{{step}}.pt'."
        )
    return re.compile("".join([*pieces, re.escape(pattern[at:])]))


def _match_name(pattern: re.Pattern[str], name: str) -> NameNumbers | None:
    match = pattern.fullmatch(name)
    if match is None:
        return None
    groups = match.groupdict()
    unit: Unit = "epoch" if groups.get("epoch") is not None else "step"
    seed = groups.get("seed")
    return NameNumbers(int(groups[unit]), unit, None if seed is None else int(seed))


def _listing(names: list[str]) -> str:
    if not names:
        return " It has no files."
    return f" It has {', '.join(names[:6])}{', ...' if len(names) > 6 else ''}."
