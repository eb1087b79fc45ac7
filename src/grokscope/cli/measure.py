"""``grokscope measure``: add measures to a finished run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from grokscope.cli import options
from grokscope.cli import output as out
from grokscope.errors import InputError

if TYPE_CHECKING:
    from grokscope.experiment import Experiment

_MOST_STEPS = 1_000_000


def measure(
    path: options.RunPath,
    measures: Annotated[list[str], typer.Argument(metavar="MEASURE...", help="Names of measures.")],
    steps: Annotated[
        str | None,
        typer.Option(
            "--steps", metavar="all|log|a:b:c", help="Steps to measure. Default: each measure's own schedule."
        ),
    ] = None,
    flavor: Annotated[
        Literal["predictions", "accuracy"],
        typer.Option("--flavor", help="What the active subnetwork preserves: all predictions, or accuracy."),
    ] = "predictions",
    plugin: options.Plugin = None,
    allow_changed_code: options.ChangedCode = False,
    json: options.Json = False,
) -> None:
    """Add measures to a finished run.

    They are computed from snapshots or by replay, and equal those taken while training.
    """
    with out.json_only(json):
        options.load_plugins(plugin)
        from grokscope.progress import RichProgress
        from grokscope.spec.parts import lookup

        for name in measures:  # an unknown name is an error before the run is opened
            lookup("measure", name)
        run = options.load_run(path, None)
        schedule = parse_steps(steps, run.experiment)
        with RichProgress() as progress:
            run.measure(
                measures,
                steps=schedule,
                flavor=flavor,
                progress=progress,
                allow_changed_code=allow_changed_code,
            )
        found = {"run": run.path, "measures": list(run.measures.data_vars)} if json else None
        out.result(json, found, f"{run.path}: {', '.join(measures)} measured")


def parse_steps(text: str | None, experiment: Experiment) -> str | list[str | int] | None:
    """Parse ``--steps``: ``all`` (the schedule of the quick measures), ``log``, or ``a:b:c`` (b excluded).

    Raises:
        InputError: if it is none of these.
    """
    if text is None or text == "log":
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
