"""Arguments and options that several commands share, and how their texts become values."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from grokscope.errors import InputError

if TYPE_CHECKING:
    from grokscope.experiment import Experiment
    from grokscope.runs import Run

_MOST_STEPS = 1_000_000

RunPath = Annotated[
    Path, typer.Argument(metavar="RUN", help="A run's folder, or a folder that holds exactly one run.")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]
Plugin = Annotated[
    list[Path] | None,
    typer.Option("--plugin", metavar="FILE.py", help="Your own parts; repeatable. The file is executed."),
]
Seeds = Annotated[
    str | None,
    typer.Option(
        "--seeds", metavar="S", help="A count (5), a list (5,9,20:30), or streams (init=0;data=0:50)."
    ),
]
OtherNumerics = Annotated[
    bool,
    typer.Option(
        "--allow-other-numerics",
        help="Go on with a run of another machine or other versions; the result is marked.",
    ),
]


def load_plugins(files: Sequence[Path] | None) -> None:
    """Import the user's own parts."""
    if files:
        from grokscope.spec.parts import load_plugin

        for file in files:
            load_plugin(file)


def opened(path: Path, plugins: Sequence[Path] | None) -> Run:
    """The run in a folder, with the user's own parts known."""
    load_plugins(plugins)
    from grokscope import runs

    return runs.open_run(path)


def is_sweep(path: Path) -> bool:
    """Whether a path is a sweep's; looks no further than that."""
    if str(path).startswith("s3:"):
        from grokscope.sweeps import is_sweep as is_remote

        return is_remote(path)
    return (path / "sweep.json").is_file()


def parse_steps(text: str | None, experiment: Experiment) -> str | list[str | int] | None:
    """The schedule in ``--steps``: ``all`` (where the quick measures are), ``log``, or ``a:b:c`` (half-open).

    Raises:
        InputError: if it is none of these.
    """
    if text is None:
        return None
    if text == "log":
        return text
    if text == "all":
        quick = experiment.schedule.measures
        return list(quick) if isinstance(quick, tuple) else [quick]
    pieces = text.split(":")
    try:
        numbers = [int(piece) if piece.strip() else None for piece in pieces]
        if not 2 <= len(numbers) <= 3:
            raise ValueError
        chosen = range(experiment.n_steps + 1)[slice(*numbers)]
    except ValueError:
        raise InputError(
            f"--steps {text}: allowed: all, log, or a:b:c like 0:9601:320 (from a to before b, every c)."
        ) from None
    if not 0 < len(chosen) <= _MOST_STEPS:
        raise InputError(f"--steps {text}: names {len(chosen)} steps; allowed: 1 to {_MOST_STEPS}.")
    return list(chosen)
