"""``grokscope new``: write a small, complete part or paper, to be changed into your own."""

from __future__ import annotations

import keyword
import re
from pathlib import Path
from string import Template
from typing import Annotated

import typer

from grokscope.cli import options
from grokscope.cli import output as out
from grokscope.errors import InputError, did_you_mean

TEMPLATES = (
    "task",
    "model",
    "loss",
    "penalty",
    "optimizer",
    "rate_schedule",
    "learner",
    "intervention",
    "measure",
    "paper",
)
_TEMPLATE_FOLDER = Path(__file__).parent / "templates"
_NAME = re.compile(r"[a-z][a-z0-9_]*")


def new(
    what: Annotated[
        str, typer.Argument(metavar="KIND", help=f"What to write: {', '.join(TEMPLATES[:-1])} or paper.")
    ],
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the new kind, as my_task.")],
    folder: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where to write the file.")] = Path(),
    json: options.Json = False,
) -> None:
    """Write a template for a part of your own: a task, model, loss, ..., or a paper.

    The file is a complete example, which works at once with --plugin; change it into what you need. Run it
    (python NAME.py) to check it.
    """
    with out.json_only(json):
        file = write_template(what, name, folder)
        out.result(json, {"path": file}, f"{file}: written; use it with --plugin {file}")


def write_template(what: str, name: str, folder: str | Path = ".") -> Path:
    """Write ``<name>.py``, which works with ``--plugin`` at once, and return its path.

    Args:
        what: the kind of part, one of `TEMPLATES`.
        name: the new kind; small letters, digits and underscores. The name of a paper may have hyphens.
        folder: an existing folder.

    Raises:
        InputError: if there is no such template, the name is not allowed or taken, or the file exists or
            cannot be written.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_template("task", "last_bits", folder).name
        'last_bits.py'
    """
    from grokscope.spec.parts import kinds

    if what not in TEMPLATES:
        raise InputError(
            f"new '{what}': no such template.{did_you_mean(what, TEMPLATES)} Allowed: {', '.join(TEMPLATES)}."
        )
    kind = name
    if what == "paper":  # the name of a paper may have hyphens; that of its file has underscores
        name = name.replace("-", "_")
    if not _NAME.fullmatch(name) or keyword.iskeyword(name):
        near = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
        hint = f" Did you mean '{near}'?" if _NAME.fullmatch(near) and not keyword.iskeyword(near) else ""
        raise InputError(f"new {what} '{name}': a name is small letters, digits and underscores.{hint}")
    if kind in kinds(what):
        words = what.replace("_", " ")
        raise InputError(f"new {what} '{kind}': there is a {words} of this name already; choose another.")
    file = Path(folder) / f"{name}.py"
    template = _TEMPLATE_FOLDER.joinpath(f"{what}.py.txt").read_text(encoding="utf-8")
    class_name = "".join(word.capitalize() for word in name.split("_"))
    text = Template(template).substitute(name=name, kind=kind, class_name=class_name, file=file.name)
    try:
        with file.open("x", encoding="utf-8") as stream:
            stream.write(text)
    except FileExistsError:
        raise InputError(f"new {what} '{name}': {file} exists; it is left as it is.") from None
    except OSError as error:
        raise InputError(f"new {what} '{name}': {file} cannot be written: {error.strerror}.") from None
    return file
