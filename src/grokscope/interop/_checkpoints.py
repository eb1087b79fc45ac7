"""Find the snapshots at a path: a folder of files, a file with several state dicts, or one state dict.

Files are looked through for the steps inside them, but the tensors of a folder's files are read when they
are needed, so that thousands of files take no more memory than one. What is in a file is found in
``_contents.py``; the step of a snapshot in ``_steps.py``.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from grokscope.errors import InputError, option
from grokscope.interop._archive import refuse_pointer
from grokscope.interop._contents import DATA_NAMES, Found, find_states, named
from grokscope.interop._logged import LoggedValue
from grokscope.interop._steps import (
    Numbers,
    Pattern,
    check_numbers,
    has_number,
    not_clear,
    numbers_in,
    numbers_in_names,
    numbers_inside,
)
from grokscope.interop._tensors import Tensors, plain_array, tensors_in_file, tensors_in_memory
from grokscope.interop._torch import load_pt

__all__ = ["ForeignSnapshot", "ForeignSnapshots", "find_snapshots"]

_TORCH = (".pt", ".pth", ".ckpt", ".bin")
_SUFFIXES = (*_TORCH, ".safetensors")
_PREFIX = re.compile(r"((?:epoch|step)_\d{1,15})/")
_HUGGING_FACE = ("model.safetensors", "pytorch_model.bin")
_SHARD = re.compile(r".*-(\d{5})-of-(\d{5})\.(?:safetensors|bin)")
_MAX_JSON_BYTES = 2**22
_MAX_FOLDERS = 3  # as lightning_logs/version_0/checkpoints
# what trainers keep beside the network
_NO_NETWORK = re.compile(r"(?:.*/)?(?:optimizer|scheduler|scaler|rng_state(?:_\d+)?|training_args)\.\w+")


@dataclass(frozen=True)
class ForeignSnapshot:
    """One network that was trained elsewhere.

    Attributes:
        said_by: what tells its step and its seed, the most trusted first.
        label: names the snapshot in messages.
        open: reads its tensors.
        logged: the losses and accuracies that its file has of it.
    """

    said_by: tuple[Numbers, ...]
    label: str
    open: Callable[[], Tensors]
    logged: tuple[LoggedValue, ...] = ()

    @property
    def seed(self) -> int:
        """The seed in its name, or 0."""
        return next((one.seed for one in self.said_by if one.seed is not None), 0)


@dataclass(frozen=True)
class ForeignSnapshots:
    """All snapshots at a path, and the data in the same file.

    Attributes:
        label: the path.
        found: what was found there, for the provenance.
        snapshots: sorted by seed and number.
        data: arrays ``train_x`` and so on, if the file has them.
        notes: what was not read, and what was assumed.
    """

    label: str
    found: str
    snapshots: list[ForeignSnapshot]
    data: Mapping[str, np.ndarray] = field(default_factory=dict[str, np.ndarray])
    notes: tuple[str, ...] = ()


def find_snapshots(path: Path, pattern: str | None = None, key: str | None = None) -> ForeignSnapshots:
    """Find the snapshots at a path.

    Args:
        path: a folder, or one file.
        pattern: pattern of the file names (or of the names in the one file), with ``{step}`` or ``{epoch}``,
            ``{seed}`` and ``*``. A step or epoch inside a file is trusted more, the rest of its name less.
        key: the keys to the table of tensors in each file, joined by dots, if it has several.

    Raises:
        InputError: if there are none, or their steps cannot be determined.
    """
    by_pattern = None if pattern is None else Pattern(pattern)
    if path.is_dir():
        if _is_hugging_face(path):
            return _of_hugging_face(path, by_pattern)
        return _in_folder(path, by_pattern, key)
    if not path.exists():
        raise InputError(f"{path}: there is no such file or folder.")
    _require_regular(path)
    if path.suffix not in _SUFFIXES:
        raise InputError(f"{path}: must be a folder, or end in {', '.join(_SUFFIXES)}.")
    return _in_file(path, by_pattern, key)


# --- one file ---


def _find(file: Path, key: str | None, pattern: Pattern | None = None, *, mapped: bool = False) -> Found:
    """What a file of torch.save holds."""
    return find_states(load_pt(file, mapped=mapped), str(file), key, pattern)


def _tensors_of(file: Path, key: str | None) -> Tensors:
    """The tensors of a safetensors file."""
    if match := _SHARD.fullmatch(file.name):
        raise InputError(
            f"{file}: is shard {int(match[1])} of {int(match[2])} of one network; give its folder, with the "
            "file model.safetensors.index.json."
        )
    tensors = tensors_in_file(file)
    if key is None:
        return tensors
    if not any(name.startswith(f"{key}.") for name in tensors.shapes):
        raise InputError(f"{file}: no tensor's name begins with '{key}.' ({option('key')}).")
    return tensors.below(f"{key}.")


def _read(
    file: Path, key: str | None, *, mapped: bool = False
) -> tuple[Tensors, tuple[Numbers, ...], Found | None]:
    """The one state dict of a file, what the file says of its step, and what else is in it."""
    refuse_pointer(file)
    if file.suffix == ".safetensors":
        tensors = _tensors_of(file, key)
        numbers = Numbers("the file", **_numbers_of_texts(tensors.metadata))
        return tensors, (numbers,) if numbers.is_known else (), None
    if file.suffix not in _TORCH:
        raise InputError(f"{file}: must end in {', '.join(_SUFFIXES)}.")
    found = _find(file, key, mapped=mapped)
    if found.is_series:
        raise InputError(f"{file}: holds several state dicts; give that file itself, not the folder.")
    return _in_memory(file, found), found.states[0].said_by, found


def _in_memory(file: Path, found: Found, index: int = 0) -> Tensors:
    state = found.states[index]
    label = f"{file} ({'.'.join(state.path)})" if found.is_series else str(file)
    return tensors_in_memory(state.tensors, label, most=2 * file.stat().st_size)


def _numbers_of_texts(texts: Mapping[str, str]) -> dict[str, int]:
    """The step and epoch in the metadata of a safetensors file."""
    values = {key: int(text) for key, text in texts.items() if text.isdecimal() and len(text) <= 15}
    return {unit: number for unit, (_, number) in numbers_inside(values).items()}


def _in_file(file: Path, pattern: Pattern | None, key: str | None) -> ForeignSnapshots:
    if file.suffix in _TORCH:
        refuse_pointer(file)
        found = _find(file, key, pattern)
        if found.is_series:
            return _of_series(file, found, pattern)
        tensors, inside = _in_memory(file, found), found.states[0].said_by
        logged = found.states[0].logged
        data = {name: plain_array(array, f"{file}: {name}") for name, array in found.data.items()}
        notes = [*found.notes, *_unread_note(str(file), [*found.unread, *tensors.wrapping])]
    else:
        tensors, inside, _ = _read(file, key)
        logged = ()
        data = {name: tensors.reader(name) for name in DATA_NAMES if name in tensors.shapes}
        tensors = tensors.subset(name for name in tensors.shapes if name not in data)
        notes = _unread_note(str(file), tensors.wrapping)
    snapshots = _by_prefix(file, tensors)
    if not snapshots:
        said_by = (*inside, *_by_name(file.name, pattern, str(file)))
        if not any(one.is_known for one in said_by):  # as in checkpoint-500/model.safetensors
            said_by = (*said_by, *_known(numbers_in(f"{file.parent.name}/{file.name}")))
        _check(str(file), said_by)
        weights = tensors.unwrapped()
        return ForeignSnapshots(
            str(file),
            "a state dict",
            [ForeignSnapshot(said_by, str(file), lambda: weights, logged)],
            data,
            tuple(notes),
        )
    for name in tensors.shapes:
        if not _PREFIX.match(name):
            raise InputError(
                f"{file}: '{name}' has no prefix like epoch_3/ or step_96/, as others have, and is none of "
                f"{', '.join(DATA_NAMES)}."
            )
    text = f"{len(snapshots)} snapshots in a file"
    return ForeignSnapshots(str(file), text, _sorted(snapshots), data, tuple(notes))


def _of_series(file: Path, found: Found, pattern: Pattern | None) -> ForeignSnapshots:
    """The snapshots of a file with a list or table of state dicts."""
    snapshots: list[ForeignSnapshot] = []
    for i, state in enumerate(found.states):
        tensors = _in_memory(file, found, i)
        _check(tensors.label, state.said_by)
        snapshots.append(ForeignSnapshot(state.said_by, tensors.label, tensors.unwrapped, state.logged))
    if pattern is not None and not any(one.source == "the pattern" for s in snapshots for one in s.said_by):
        keys = [state.path[-1] for state in found.states]
        raise InputError(f"{file}: {option('pattern')} '{pattern.text}' matches none of {named(keys)}.")
    data = {name: plain_array(array, f"{file}: {name}") for name, array in found.data.items()}
    notes = (*found.notes, *_unread_note(str(file), found.unread))
    return ForeignSnapshots(
        str(file), f"{len(snapshots)} state dicts in a file", _sorted(snapshots), data, notes
    )


def _by_prefix(file: Path, content: Tensors) -> list[ForeignSnapshot]:
    """The snapshots of a file that has ``epoch_E/`` or ``step_S/`` before its names."""
    groups: dict[str, list[str]] = {}
    for name in content.shapes:
        if match := _PREFIX.match(name):
            groups.setdefault(match[1], []).append(name)
    snapshots: list[ForeignSnapshot] = []
    for prefix, names in groups.items():
        part = content.subset(names).below(f"{prefix}/", f"{file} ({prefix})")
        said_by = (numbers_in(prefix),)
        _check(part.label, said_by)
        snapshots.append(ForeignSnapshot(said_by, part.label, part.unwrapped))
    return snapshots


def _by_name(name: str, pattern: Pattern | None, where: str) -> tuple[Numbers, ...]:
    """What the pattern and the name say."""
    if pattern is None:
        return _known(numbers_in(name))
    if (matched := pattern.match(name)) is None:
        raise InputError(f"{where}: does not match {option('pattern')} '{pattern.text}'.")
    return (matched, *_known(numbers_in(name)))


def _known(numbers: Numbers) -> tuple[Numbers, ...]:
    return (numbers,) if numbers.is_known else ()


def _check(label: str, said_by: tuple[Numbers, ...]) -> None:
    for numbers in said_by:
        check_numbers(label, numbers)


def _unread_note(label: str, keys: tuple[str, ...] | list[str]) -> list[str]:
    return [f"not read of {label}: {named(keys)}."] if keys else []


# --- a folder of files ---


def _in_folder(folder: Path, pattern: Pattern | None, key: str | None) -> ForeignSnapshots:
    if pattern is None:
        names, ignored = _files_of(folder)
        by_name, notes = _by_names(names)
    else:
        names, by_name = _match_files(folder, pattern)
        ignored, notes = [], []
    root = folder.resolve()
    snapshots: list[ForeignSnapshot] = []
    unread: dict[str, None] = {}
    for name, said_by in zip(names, by_name, strict=True):
        place = folder / name
        if _is_hugging_face(place):
            one = _of_hugging_face(place, None).snapshots[0]
            snapshots.append(ForeignSnapshot((*one.said_by, *said_by), one.label, one.open))
            continue
        _require_regular(place)
        if root not in place.resolve().parents:
            raise InputError(f"{place}: is a link that leads out of the folder; it is not read.")
        tensors, inside, found = _read(place, key, mapped=True)
        unread |= dict.fromkeys([*(() if found is None else found.unread), *tensors.wrapping])
        said_by = (*inside, *said_by)
        _check(str(place), said_by)
        logged = () if found is None else found.states[0].logged
        snapshots.append(
            ForeignSnapshot(said_by, str(place), lambda place=place: _read(place, key)[0].unwrapped(), logged)
        )
    unknown = [one for one in snapshots if not any(numbers.is_known for numbers in one.said_by)]
    if len(snapshots) > 1 and unknown:
        raise not_clear(str(folder), _listing(names))
    if not any(numbers.source == "its name" for one in snapshots for numbers in one.said_by[:1]):
        notes = []  # the names were not asked
    if ignored:
        notes.append(f"ignored: {', '.join(ignored)}.")
    notes += _unread_note(f"the files of {folder}", [*unread])
    return ForeignSnapshots(str(folder), f"{len(snapshots)} files", _sorted(snapshots), notes=tuple(notes))


def _files_of(folder: Path) -> tuple[list[str], list[str]]:
    """The files (or folders of Hugging Face) that are networks, and the others."""
    for depth in range(_MAX_FOLDERS + 1):
        every = [
            name
            for name in _names(folder, depth)
            if _is_hugging_face(folder / name)
            or (name.endswith(_SUFFIXES) and (folder / name).is_dir() is False)
        ]
        networks = [name for name in every if not _NO_NETWORK.fullmatch(name)]
        if networks:
            break
    else:
        here = [name for name in _names(folder, 0) if not (folder / name).is_dir()]
        below = [f"{name}/" for name in _names(folder, 0) if (folder / name).is_dir()]
        raise InputError(f"{folder}: holds no {', '.join(_SUFFIXES)} file.{_listing([*here, *below])}")
    names = [name for name in networks if has_number(name)] or networks
    return names, [name for name in every if name not in names]


def _by_names(names: list[str]) -> tuple[list[tuple[Numbers, ...]], list[str]]:
    """What each name says, and notes; nothing if the names do not tell the step."""
    if len(names) == 1:
        return [_known(numbers_in(names[0]))], []
    if (found := numbers_in_names(names)) is None:
        return [() for _ in names], []
    numbers, are_bare = found
    note = (
        "the numbers in the names are taken for steps; if they are epochs, give "
        f"{option('pattern')} with {{epoch}}."
    )
    return [(one,) for one in numbers], [note] if are_bare else []


def _match_files(folder: Path, pattern: Pattern) -> tuple[list[str], list[tuple[Numbers, ...]]]:
    """The files of a folder that match a pattern, and what it says of them."""
    every = _names(folder, pattern.text.count("/"))
    matched = {name: numbers for name in every if (numbers := pattern.match(name)) is not None}
    if not matched:
        raise InputError(f"{folder}: no file matches {option('pattern')} '{pattern.text}'.{_listing(every)}")
    return [*matched], [(numbers, *_known(numbers_in(name))) for name, numbers in matched.items()]


def _names(folder: Path, depth: int, below: str = "") -> list[str]:
    """Sorted names of the files and folders at a depth below a folder, relative to it."""
    try:
        entries = sorted(os.scandir(folder / below), key=lambda entry: entry.name)
    except OSError as error:
        raise InputError(f"{folder / below}: cannot be read: {error.strerror}.") from None
    if not depth:
        return [f"{below}{entry.name}" for entry in entries]
    inner = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
    return [name for one in inner for name in _names(folder, depth - 1, f"{below}{one}/")]


# --- folders as Hugging Face's libraries write them ---


def _is_hugging_face(folder: Path) -> bool:
    """Whether a folder holds one network, whole or in shards."""
    names = (*_HUGGING_FACE, *(f"{name}.index.json" for name in _HUGGING_FACE))
    return folder.is_dir() and any((folder / name).is_file() for name in names)


def _of_hugging_face(folder: Path, pattern: Pattern | None) -> ForeignSnapshots:
    """The one network of a folder: ``model.safetensors``, or shards with an index."""
    index = next((name for name in _HUGGING_FACE if (folder / f"{name}.index.json").is_file()), None)
    whole = next((name for name in _HUGGING_FACE if (folder / name).is_file()), None)
    root = folder.resolve()
    files = [whole] if whole is not None else _shards(folder, f"{index}.index.json")
    for name in files:
        _require_regular(folder / name)
        if root not in (folder / name).resolve().parents:
            raise InputError(f"{folder / name}: is a link that leads out of the folder; it is not read.")

    def opened() -> Tensors:
        if whole is not None:
            return _read(folder / whole, None)[0].unwrapped()
        return _joined(folder, f"{index}.index.json").unwrapped()

    state = folder / "trainer_state.json"
    inside = numbers_inside(_json(state)) if state.is_file() else {}
    said_by: tuple[Numbers, ...] = ()
    if "step" in inside:  # its epoch is a fraction
        said_by = (Numbers(state.name, inside["step"][1]),)
    said_by = (*said_by, *_by_name(folder.name, pattern, str(folder)))
    _check(str(folder), said_by)
    read = {*files, state.name, f"{index}.index.json"}
    others = [name for name in _names(folder, 0) if name not in read and name.endswith(_SUFFIXES)]
    notes = [f"ignored: {', '.join(others)}."] if others else []
    label = str(folder / files[0]) if whole is not None else str(folder)
    text = "a state dict" if whole is not None else f"a state dict in {len(files)} shards"
    return ForeignSnapshots(str(folder), text, [ForeignSnapshot(said_by, label, opened)], notes=tuple(notes))


def _json(file: Path) -> dict[str, Any]:
    """A small table of JSON."""
    _require_regular(file)
    try:
        if (size := file.stat().st_size) > _MAX_JSON_BYTES:
            raise InputError(f"{file}: has {size} bytes; at most {_MAX_JSON_BYTES} are read.")
        table = json.loads(file.read_bytes())
    except OSError as error:
        raise InputError(f"{file}: cannot be read: {error.strerror or error}.") from None
    except (ValueError, RecursionError):
        raise InputError(f"{file}: is not JSON, or is damaged.") from None
    if not isinstance(table, dict):
        raise InputError(f"{file}: is not a table.")
    return table


def _weight_map(folder: Path, index: str) -> dict[str, str]:
    """The file of each tensor."""
    table = _json(folder / index).get("weight_map")
    if not isinstance(table, dict) or not table:
        raise InputError(f"{folder / index}: has no table weight_map, from tensors to files.")
    for tensor, name in table.items():
        if not isinstance(name, str) or Path(name).name != name or not name.endswith(_SUFFIXES):
            raise InputError(
                f"{folder / index}: '{tensor}' is said to be in {name!r}, no file of the folder."
            )
    return table


def _shards(folder: Path, index: str) -> list[str]:
    return sorted(set(_weight_map(folder, index).values()))


def _joined(folder: Path, index: str) -> Tensors:
    """The tensors of all shards, read one by one."""
    weight_map = _weight_map(folder, index)
    shards = {name: _shard(folder / name) for name in sorted(set(weight_map.values()))}
    for tensor, name in weight_map.items():
        if tensor not in shards[name].shapes:
            raise InputError(f"{folder / name}: lacks '{tensor}', which {index} says is there.")
    for name, shard in shards.items():
        for tensor in shard.shapes:
            if weight_map.get(tensor) != name:
                raise InputError(f"{folder / name}: has '{tensor}' too, which {index} does not say.")
    return Tensors(
        str(folder),
        {tensor: shards[name].shapes[tensor] for tensor, name in weight_map.items()},
        {tensor: shards[name].dtypes[tensor] for tensor, name in weight_map.items()},
        lambda tensor: shards[weight_map[tensor]].reader(tensor),
    )


def _shard(file: Path) -> Tensors:
    refuse_pointer(file)
    if file.suffix == ".safetensors":
        return tensors_in_file(file)
    return _in_memory(file, _find(file, None, mapped=True))


def _require_regular(file: Path) -> None:
    """Raise an error for a pipe (reading it would block), a device or a broken link."""
    if not file.is_file():
        raise InputError(f"{file}: is not a regular file (a broken link, a pipe or a device).")


def _sorted(snapshots: list[ForeignSnapshot]) -> list[ForeignSnapshot]:
    def place(one: ForeignSnapshot) -> tuple[int, int]:
        first = next((numbers for numbers in one.said_by if numbers.is_known), Numbers(""))
        return one.seed, first.step if first.step is not None else first.epoch or 0

    return sorted(snapshots, key=place)


def _listing(names: list[str]) -> str:
    if not names:
        return " It has no files."
    return f" It has {', '.join(names[:6])}{', ...' if len(names) > 6 else ''}."
