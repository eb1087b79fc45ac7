"""``grokscope export``: write measures or weights to a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from grokscope.cli import options
from grokscope.cli import output as out
from grokscope.errors import InputError


def export(
    path: options.ResultPath,
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
    """Write measures or weights to a file.

    Measures become a table (.csv, .parquet) or netCDF (.nc); the weights of one member become .safetensors.
    The measures of a sweep or of a whole reproduction become one table; its axes and experiments are columns.
    """
    with out.json_only(json):
        options.load_plugins(plugin)
        if options.holds_one_run(path):
            from grokscope.interop import export_run

            run = options.load_run(path, None)
            exported = export_run(run, to, seed=seed, step=step, torch_module=torch_module, force=force)
        else:
            from grokscope.sweeps import export_results

            if torch_module is not None:
                raise InputError(f"--torch-module {torch_module}: is for the weights of one run; name a run.")
            exported = export_results(path, to, seed, step, force=force)
        if exported.left_out:
            names = ", ".join(exported.left_out)
            out.note(f"left out, for they have an axis of numbers or of neurons (.nc holds them): {names}")
        out.result(json, exported, f"{exported.path}: {exported.what}")
