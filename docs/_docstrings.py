"""Sections of our docstrings (google convention), for the pages that are generated from them."""

from __future__ import annotations

import inspect
import re

__all__ = ["attributes_of", "markdown", "sections"]

_HEADS = ("Args", "Attributes", "Example", "Raises", "Returns", "Source")
_HEAD = re.compile(rf"^({'|'.join(_HEADS)}):(.*)$")
_ENTRY = re.compile(r"^(\w+(?:, \w+)*): (.*)$")


def sections(cls: type) -> dict[str, str]:
    """The docstring's text under ``""`` and the text of each of its sections."""
    found: dict[str, list[str]] = {"": []}
    at = ""
    for line in (inspect.cleandoc(cls.__dict__.get("__doc__") or "")).splitlines():
        if head := _HEAD.match(line):
            at = head[1]
            found[at] = [head[2].strip()]
        else:
            if line and not line[0].isspace():
                at = ""  # what is not indented belongs to no section
            found[at].append(line)
    return {name: inspect.cleandoc("\n".join(lines)).strip() for name, lines in found.items()}


def attributes_of(cls: type) -> dict[str, str]:
    """What the docstrings of a class and of its bases say of each attribute."""
    texts: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        names: list[str] = []
        for line in sections(base).get("Attributes", "").splitlines():
            if entry := _ENTRY.match(line):
                names = entry[1].split(", ")
                texts |= dict.fromkeys(names, entry[2])
            elif line.strip():
                texts |= {name: f"{texts[name]} {line.strip()}" for name in names}
    return texts


def markdown(text: str, *, one_line: bool = False) -> str:
    """Double backticks become single ones; for a cell of a table, lines are joined and bars escaped."""
    text = text.replace("``", "`")
    return " ".join(text.split()).replace("|", "\\|") if one_line else text
