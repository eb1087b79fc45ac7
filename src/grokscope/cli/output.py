"""Standard output and standard error: one JSON document, or tables and lines for people."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import sys
from collections.abc import Generator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from grokscope.cards import plain_table

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

_ASCII = str.maketrans({"¬": "~", "·": "*", "±": "+-"})
_MANY_ROWS, _NARROW = 1000, 60
_stdout_for_json: list[Any] = []


class OutputClosed(Exception):
    """Raised when the reader of standard output has closed the pipe (``grokscope papers | head -1``)."""


@contextlib.contextmanager
def json_only(active: bool) -> Generator[None]:
    """While active, send all prints of libraries and plug-ins to stderr; only `document` writes to stdout."""
    if not active:
        yield
        return
    _stdout_for_json.append(sys.stdout)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        _stdout_for_json.pop()


def result(as_json: bool, value: Any, text: str) -> None:
    """Print a command's result: the value as JSON, or the text."""
    document(value) if as_json else line(text)


def document(value: Any) -> None:
    """Print a value as one JSON document."""
    stream = _stdout_for_json[-1] if _stdout_for_json else sys.stdout
    _write(json.dumps(plain(value), indent=2, ensure_ascii=False, allow_nan=False), stream)


def line(text: str = "") -> None:
    """Print a line of a result."""
    _write(text, sys.stdout)


def note(text: str) -> None:
    """Print a line on stderr, for what is not part of the result."""
    with contextlib.suppress(OSError):
        print(text, file=sys.stderr, flush=True)


def table(
    headers: Sequence[str], rows: Sequence[Sequence[Any]], styles: Mapping[str, str] | None = None
) -> None:
    """Print a table: drawn by rich on a terminal, aligned plain text elsewhere.

    No cell is cut: on a narrow terminal, into which the longest words of the columns do not fit, each row is
    a paragraph. Drawing thousands of rows would take seconds, so that these are plain text, too.

    Args:
        headers: one per column.
        rows: the cells of each row.
        styles: rich styles by the text of a cell; used on a terminal only.
    """
    cells = [["" if cell is None else str(cell) for cell in row] for row in rows]
    if sys.stdout.isatty() and len(cells) <= _MANY_ROWS:
        from rich.text import Text

        _draw_table(
            headers, [[Text(cell, style=(styles or {}).get(cell, "")) for cell in row] for row in cells]
        )
        return
    for text in plain_table(headers, cells):
        line(text)


def styled(text: Text) -> None:
    """Print lines of a result, in color on a terminal."""
    if sys.stdout.isatty():
        _console().print(text)
    else:
        line(encodable(text.plain))


def _draw_table(headers: Sequence[str], rows: Sequence[Sequence[Text]]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    drawn = Table(box=SIMPLE_HEAD, pad_edge=False)
    for header in headers:
        drawn.add_column(header, overflow="fold")
    for row in rows:
        drawn.add_row(*row)
    console = _console()
    needed = console.measure(drawn, options=console.options.update(width=999)).minimum
    if console.width >= min(needed, _NARROW):
        console.print(drawn)
        return
    for row in rows:
        cells = (Text(f"{header}: ") + cell for header, cell in zip(headers, row, strict=True) if cell)
        console.print(Text("\n").join([*cells, Text()]))


def _console() -> Console:
    from rich.console import Console

    class Piped(Console):
        def on_broken_pipe(self) -> None:
            raise OutputClosed

    return Piped()


def flush() -> None:
    """Write out what standard output still buffers.

    Raises:
        OutputClosed: if nobody reads it any more.
        OSError: if it cannot be written, naming standard output.
    """
    with _errors():
        sys.stdout.flush()


def plain(value: Any) -> Any:
    """Convert a value to JSON types: dataclasses to objects, arrays to lists, NaN and infinity to null."""
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


def encodable(text: str, otherwise: str | None = None) -> str:
    """The text if the encoding of standard output has its characters, else a replacement in ASCII."""
    try:
        text.encode(sys.stdout.encoding or "ascii")
    except (LookupError, UnicodeEncodeError):
        return text.translate(_ASCII) if otherwise is None else otherwise
    return text


def _write(text: str, stream: Any) -> None:
    with _errors():
        stream.write(f"{text}\n")


@contextlib.contextmanager
def _errors() -> Generator[None]:
    try:
        yield
    except BrokenPipeError:
        raise OutputClosed from None
    except OSError as error:
        raise OSError(error.errno, error.strerror, "standard output") from None
