"""Results on standard output: one JSON document, or tables and lines for people."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import sys
from collections.abc import Generator, Mapping, Sequence
from typing import Any

from grokscope.cli._guard import OutputClosed

__all__ = ["document", "json_only", "line", "note", "plain", "saved_text", "table"]

_stdout_for_json: list[Any] = []


@contextlib.contextmanager
def json_only(active: bool) -> Generator[None]:
    """Within it nothing but `document` reaches standard output, whatever libraries or plug-ins print."""
    if not active:
        yield
        return
    _stdout_for_json.append(sys.stdout)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        _stdout_for_json.pop()


def document(value: Any) -> None:
    """Print one JSON document."""
    out = _stdout_for_json[-1] if _stdout_for_json else sys.stdout
    _write(json.dumps(plain(value), indent=2, ensure_ascii=False, allow_nan=False), out)


def line(text: str = "") -> None:
    """Print a line for people."""
    _write(text, sys.stdout)


def note(text: str) -> None:
    """Print a line that is no result: on stderr."""
    with contextlib.suppress(OSError):
        print(text, file=sys.stderr, flush=True)


def table(
    headers: Sequence[str], rows: Sequence[Sequence[Any]], styles: Mapping[str, str] | None = None
) -> None:
    """Print a table: drawn on a terminal, aligned plain text elsewhere.

    Args:
        headers: of the columns.
        rows: of cells.
        styles: how words look on a terminal, by the word; a cell that is one of them gets its style.
    """
    cells = [["" if cell is None else str(cell) for cell in row] for row in rows]
    if sys.stdout.isatty():
        from rich.box import SIMPLE_HEAD
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        class Piped(Console):
            def on_broken_pipe(self) -> None:
                raise OutputClosed

        drawn = Table(*headers, box=SIMPLE_HEAD, pad_edge=False)
        for row in cells:
            drawn.add_row(*(Text(cell, style=(styles or {}).get(cell, "")) for cell in row))
        Piped().print(drawn)
        return
    grid = [list(headers), *cells]
    widths = [max(len(row[i]) for row in grid) for i in range(len(headers))]
    for row in grid:
        line("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def plain(value: Any) -> Any:
    """A value as JSON knows it: what is not finite becomes null, arrays become lists, paths text."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, bool | int | str):
        return value
    listed = getattr(value, "tolist", None)  # numpy's arrays and scalars
    return str(value) if listed is None else plain(listed())


def _write(text: str, out: Any) -> None:
    try:
        out.write(f"{text}\n")
    except BrokenPipeError:
        raise OutputClosed from None
    except OSError as error:
        raise OSError(error.errno, error.strerror, "standard output") from None


def saved_text(saved: int, asked: int, provenance: Mapping[str, Any]) -> str:
    """What early stopping left out, in member-steps and (at the pace of those that were run) in time."""
    from grokscope.progress import duration

    text = f"early stopping left out {saved:,} of {asked:,} member-steps ({saved / asked:.0%})"
    spent = float(provenance.get("wall_seconds") or 0.0)
    return f"{text}, about {duration(spent * saved / (asked - saved))}" if spent and asked > saved else text
