"""The command that brings in networks that were trained elsewhere: import."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from grokscope.cli import _options as options
from grokscope.cli import _print as out
from grokscope.errors import InputError, did_you_mean

_FORMATS = ("torch",)


def import_(
    what: Annotated[str, typer.Argument(metavar="torch", help="What they were trained with.")],
    path: Annotated[
        Path,
        typer.Argument(
            metavar="PATH",
            help="A folder of .pt, .pth or .safetensors files, or one file with prefixes epoch_E/, step_S/.",
        ),
    ],
    task: Annotated[
        Path | None,
        typer.Option("--task", metavar="SPEC.toml", help="A spec, of which only [task] is needed."),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            "--data",
            metavar="FILE",
            help="What they were trained on: .safetensors or .npz with train_x, train_y, test_x, test_y.",
        ),
    ] = None,
    pattern: Annotated[
        str | None,
        typer.Option(
            "--pattern",
            metavar="P",
            help="Of the names in the folder, with {step} or {epoch}, {seed}, *: 'model_{step}.pt'.",
        ),
    ] = None,
    map_: Annotated[
        Path | None,
        typer.Option("--map", metavar="FILE.toml", help="From their names to ours, if not recognized."),
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", help="The run's folder; runs/<task>-<identity> if not given."),
    ] = None,
    plugin: options.Plugin = None,
    json: options.Json = False,
) -> None:
    """Make a run of PyTorch checkpoints.

    It has all measures that apply, at every checkpoint, and no replay. Nothing in a file is executed.
    """
    with out.json_only(json):
        if what not in _FORMATS:
            raise InputError(
                f"import {what}: not known.{did_you_mean(what, _FORMATS)} Allowed: {', '.join(_FORMATS)}."
            )
        options.load_plugins(plugin)
        from grokscope.interop import import_torch
        from grokscope.progress import RichProgress

        with RichProgress() as progress:
            run = import_torch(
                path, task, data=data, pattern=pattern, map=map_, out=folder, progress=progress
            )
        steps, model = run.snapshot_steps, run.experiment.model
        found = run.provenance["imported"]
        if json:
            out.document(
                {
                    "run": run.path,
                    "identity": run.identity,
                    "members": len(run.members),
                    "steps": steps,
                    "layout": found["layout"],
                    "model": model.model_dump(mode="json"),
                    "notes": found["notes"],
                }
            )
            return
        for note in found["notes"]:
            out.note(f"note: {note}")
        shape = ", ".join(
            f"{name} {_plain(value)}" for name, value in model.model_dump().items() if name in _SAID
        )
        out.line(f"recognized: {found['layout']}; {model.kind}, {shape}")
        many = "a snapshot" if len(steps) == 1 else f"{len(steps)} snapshots"
        span = f"step {steps[0]}" if len(steps) == 1 else f"steps {steps[0]} to {steps[-1]}"
        out.line(f"{run.path}: {len(run.members)} members, {many}, {span}")


_SAID = ("width", "widths", "activation", "output_bias", "layers", "heads")


def _plain(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "-".join(map(str, value)) if isinstance(value, tuple | list) else str(value)
