"""Read TOML: spec files, weight maps, specs kept in a store, and values on the command line."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from grokscope.errors import InputError

__all__ = ["parse_toml", "parse_value", "read_toml"]


def read_toml(file: Path, text: str | None = None) -> dict[str, Any]:
    """The table in a TOML file.

    Args:
        file: the file.
        text: its content, if it has been read already.

    Raises:
        InputError: if the file cannot be read, or is not TOML (with the line).
    """
    try:
        text = file.read_text(encoding="utf-8") if text is None else text
        return tomllib.loads(text.removeprefix("\ufeff"))  # some editors begin with a byte order mark
    except OSError as error:
        raise InputError(f"{file}: cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise InputError(f"{file}: is not UTF-8 text.") from None
    except RecursionError:
        raise InputError(f"{file}: not valid TOML: it is nested too deeply.") from None
    except ValueError as error:  # TOMLDecodeError is one; a number of thousands of digits is another
        raise InputError(f"{file}: not valid TOML: {str(error).partition(';')[0]}.") from None


def parse_toml(text: str) -> dict[str, Any]:
    """The table in a TOML text that the program wrote itself.

    Raises:
        ValueError: if it is not TOML.
    """
    return tomllib.loads(text)


def parse_value(text: str) -> Any:
    """A TOML value, or the text itself, stripped, where it is not TOML.

    Raises:
        ValueError: if it is nested too deeply, or is a number of thousands of digits.

    Example:
        >>> parse_value("[1, 2]"), parse_value("adamw")
        ([1, 2], 'adamw')
    """
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text.strip()
    except RecursionError:
        raise ValueError("nested too deeply") from None
