"""Which snapshot a file is, by its name: from a pattern, or from the one number in which names differ."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Literal

from grokscope.errors import InputError
from grokscope.spec.streams import MAX_INT32

__all__ = ["SUFFIXES", "Found", "Unit", "check_numbers", "guessed", "matched", "matching", "told"]

SUFFIXES = (".pt", ".pth", ".safetensors")
_NUMBER = re.compile(r"\d+")
_EPOCH_BEFORE = re.compile(r"(?:^|[^a-z])(?:epochs?|ep|e)[-_=. ]?$", re.IGNORECASE)
_STEP_BEFORE = re.compile(r"(?:^|[^a-z])(?:steps?|iter|iterations?)[-_=. ]?$", re.IGNORECASE)
_FIELDS = {name: rf"(?P<{name}>\d{{1,15}})" for name in ("step", "epoch", "seed")}
_IN_PATTERN = re.compile(r"\{(\w*)\}|(\*)")
_MOST = 10**12

Unit = Literal["step", "epoch"]
Found = tuple[int | None, Unit, int | None]


def guessed(folder: Path) -> tuple[list[tuple[str, Found]], list[str]]:
    """Files whose names differ in one number only; and the names without a number, where others have some."""
    every = [name for name in _names(folder, 0) if name.endswith(SUFFIXES)]
    names = [name for name in every if _NUMBER.search(name)] or every
    others = [name for name in every if name not in names]
    if not names:
        raise InputError(f"{folder}: holds no {', '.join(SUFFIXES)} file.{_some(_names(folder, 0))}")
    if len(names) == 1:
        return [(names[0], told(names[0]))], others
    forms = {_NUMBER.sub("0", name) for name in names}
    numbers = [[int(text) for text in _NUMBER.findall(name)] for name in names]
    places = [i for i, column in enumerate(zip(*numbers, strict=False)) if len(set(column)) > 1]
    if len(forms) != 1 or len(places) != 1:
        raise InputError(
            f"{folder}: which number in the names is the step? The files do not differ in one number only; "
            f"say so, for example --pattern 'model_{{step}}.pt'.{_some(names)}"
        )
    place = places[0]
    before = [*_NUMBER.finditer(names[0])][place].start()
    unit: Unit = "epoch" if _EPOCH_BEFORE.search(names[0][:before]) else "step"
    return [(name, (row[place], unit, None)) for name, row in zip(names, numbers, strict=True)], others


def matching(folder: Path, pattern: str) -> list[tuple[str, Found]]:
    """The files of a folder that match a pattern.

    Raises:
        InputError: if it is no pattern, or none do.
    """
    depth = pattern.count("/")
    names = _names(folder, depth)
    form = _form(pattern)
    named = [(name, found) for name in names if (found := _by_form(form, name)) is not None]
    if not named:
        raise InputError(f"{folder}: no file matches --pattern '{pattern}'.{_some(names)}")
    return named


def told(name: str) -> Found:
    """What a name by itself tells: a number behind ``step`` or ``epoch``, if there is one."""
    for match in _NUMBER.finditer(name):
        if _EPOCH_BEFORE.search(name[: match.start()]):
            return int(match[0]), "epoch", None
        if _STEP_BEFORE.search(name[: match.start()]):
            return int(match[0]), "step", None
    return None, "step", None


def matched(pattern: str, name: str) -> Found | None:
    """What a pattern says of a name; None if it does not match."""
    return _by_form(_form(pattern), name)


def check_numbers(label: str, number: int | None, seed: int | None) -> None:
    """Refuse numbers that no step or seed has."""
    if number is not None and number > _MOST:
        raise InputError(f"{label}: {number} is too large for a step; at most {_MOST}.")
    if seed is not None and seed > MAX_INT32:
        raise InputError(f"{label}: {seed} is too large for a seed; at most {MAX_INT32}.")


def _names(folder: Path, depth: int, below: str = "") -> list[str]:
    """Names of files, relative to the folder, at a depth of folders below it, sorted."""
    try:
        entries = sorted(os.scandir(folder / below), key=lambda entry: entry.name)
    except OSError as error:
        raise InputError(f"{folder / below}: cannot be read: {error.strerror}.") from None
    found: list[str] = []
    for entry in entries:
        if depth and entry.is_dir():
            found += _names(folder, depth - 1, f"{below}{entry.name}/")
        elif not depth and not entry.is_dir():
            found.append(f"{below}{entry.name}")
    return found


def _form(pattern: str) -> re.Pattern[str]:
    """A pattern as a regular expression."""
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
                f"--pattern '{pattern}': '{{{name}}}' is not known, or is there twice. Allowed: {{step}} or "
                "{epoch}, {seed}, and * for anything."
            )
        else:
            seen.append(name)
            pieces.append(_FIELDS[name])
    if len({"step", "epoch"} & set(seen)) != 1:
        raise InputError(f"--pattern '{pattern}': must hold {{step}} or {{epoch}}, as 'model_{{step}}.pt'.")
    return re.compile("".join([*pieces, re.escape(pattern[at:])]))


def _by_form(form: re.Pattern[str], name: str) -> Found | None:
    match = form.fullmatch(name)
    if match is None:
        return None
    groups = match.groupdict()
    unit: Unit = "epoch" if groups.get("epoch") is not None else "step"
    seed = groups.get("seed")
    return int(groups[unit]), unit, None if seed is None else int(seed)


def _some(names: list[str]) -> str:
    if not names:
        return " It has no files."
    return f" It has {', '.join(names[:6])}{', ...' if len(names) > 6 else ''}."
