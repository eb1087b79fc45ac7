"""``grokscope import``: make a run from networks that were trained elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from grokscope.cli import options
from grokscope.cli import output as out
from grokscope.errors import InputError, did_you_mean

_FORMATS = ("torch",)
_SHOWN = ("width", "widths", "activation", "output_bias", "layers", "heads")  # fields of the model


def import_(
    what: Annotated[str, typer.Argument(metavar="torch", help="The framework that trained the networks.")],
    path: Annotated[
        Path,
        typer.Argument(
            metavar="PATH",
            help="A folder of .pt, .pth, .ckpt, .bin or .safetensors files, or one such file.",
        ),
    ],
    task: Annotated[
        Path | None,
        typer.Option("--task", metavar="SPEC.toml", help="A spec; only its table [task] is required."),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            "--data",
            metavar="FILE",
            help="Training and test data: .safetensors or .npz with train_x, train_y, test_x, test_y.",
        ),
    ] = None,
    pattern: Annotated[
        str | None,
        typer.Option(
            "--pattern",
            metavar="P",
            help="Pattern of the file names, with {step} or {epoch}, {seed} and *: 'model_{step}.pt'. Inside "
            "one file with several state dicts, of their keys.",
        ),
    ] = None,
    key: Annotated[
        str | None,
        typer.Option(
            "--key",
            metavar="A.B",
            help="Keys to the state dict in each file, if it holds several (the error lists them).",
        ),
    ] = None,
    map_: Annotated[
        Path | None,
        typer.Option(
            "--map",
            metavar="FILE.toml",
            help="Maps our array names to theirs, if the layout is not recognized.",
        ),
    ] = None,
    write_map: Annotated[
        Path | None,
        typer.Option(
            "--write-map",
            metavar="FILE.toml",
            help="If the layout is not recognized, write a map to start from.",
        ),
    ] = None,
    allow_other_forward: Annotated[
        bool,
        typer.Option(
            "--allow-other-forward",
            help="Go on if logged losses or accuracies are not those of our forward pass, and mark the run.",
        ),
    ] = False,
    folder: options.RunFolder = None,
    plugin: options.Plugin = None,
    json: options.Json = False,
) -> None:
    """Make a run from PyTorch checkpoints.

    The run has all measures that apply, at every checkpoint. It cannot be replayed. No code in a file is
    executed.
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
                path,
                task,
                data=data,
                pattern=pattern,
                key=key,
                map=map_,
                write_map=write_map,
                out=folder,
                allow_other_forward=allow_other_forward,
                progress=progress,
            )
        steps, model = run.snapshot_steps, run.experiment.model
        imported = run.provenance["imported"]
        fields = model.model_dump(mode="json")
        if json:
            out.document(
                {
                    "run": run.path,
                    "identity": run.identity,
                    "members": len(run.members),
                    "steps": steps,
                    "layout": imported["layout"],
                    "model": fields,
                    "notes": imported["notes"],
                }
            )
            return
        for note in imported["notes"]:
            out.note(f"note: {note}")
        shape = ", ".join(f"{name} {_text(value)}" for name, value in fields.items() if name in _SHOWN)
        out.line(f"recognized: {imported['layout']}; {model.kind}, {shape}")
        count = "a snapshot" if len(steps) == 1 else f"{len(steps)} snapshots"
        span = f"step {steps[0]}" if len(steps) == 1 else f"steps {steps[0]} to {steps[-1]}"
        out.line(f"{run.path}: {len(run.members)} members, {count}, {span}")


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "-".join(map(str, value)) if isinstance(value, tuple | list) else str(value)
