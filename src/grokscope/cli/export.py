"""``grokscope export``: write measures or weights to a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from grokscope.cli import options
from grokscope.cli import output as out


def export(
    path: options.RunPath,
    to: Annotated[
        Path,
        typer.Option(
            "--to",
            metavar="FILE",
            help="The file; ends in .csv, .parquet, .nc (measures) or .safetensors (weights).",
        ),
    ],
    seed: Annotated[int | None, typer.Option("--seed", metavar="S", help="Only this member.")] = None,
    step: Annotated[
        int | None,
        typer.Option(
            "--step", metavar="T", help="Only this step; -1 is the final state, the default for weights."
        ),
    ] = None,
    torch_module: Annotated[
        Path | None,
        typer.Option(
            "--torch-module",
            metavar="FILE.py",
            help="Also write a PyTorch module that loads the weights and predicts the same.",
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it exists.")] = False,
    plugin: options.Plugin = None,
    json: options.Json = False,
) -> None:
    """Write a run's measures or weights to a file.

    Measures become a table (.csv, .parquet) or netCDF (.nc); the weights of one member become .safetensors.
    """
    with out.json_only(json):
        from grokscope.interop import export_run

        run = options.load_run(path, plugin)
        exported = export_run(run, to, seed=seed, step=step, torch_module=torch_module, force=force)
        if exported.left_out:
            names = ", ".join(exported.left_out)
            out.note(f"left out, because they have a value per neuron (.nc holds them): {names}")
        out.result(json, exported, f"{exported.path}: {exported.what}")
