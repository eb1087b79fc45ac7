"""Commands that write files beside a run: report, export, new."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from grokscope.cli import _options as options
from grokscope.cli import _print as out


def export(
    path: options.RunPath,
    to: Annotated[
        Path,
        typer.Option(
            "--to", metavar="FILE", help="Ends in .csv, .parquet, .nc (measures) or .safetensors (weights)."
        ),
    ],
    seed: Annotated[int | None, typer.Option("--seed", metavar="S", help="Only this member.")] = None,
    step: Annotated[
        int | None,
        typer.Option(
            "--step", metavar="T", help="Only this step; -1 is the final state (weights: the default)."
        ),
    ] = None,
    torch_module: Annotated[
        Path | None,
        typer.Option(
            "--torch-module", metavar="FILE.py", help="Beside weights: a PyTorch module that loads them."
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it exists.")] = False,
    plugin: options.Plugin = None,
    json: options.Json = False,
) -> None:
    """Write a run's measures or weights to a file.

    Measures as a table (.csv, .parquet) or netCDF (.nc), one member's weights as .safetensors.
    """
    with out.json_only(json):
        from grokscope.interop import export_run

        run = options.opened(path, plugin)
        done = export_run(run, to, seed=seed, step=step, torch_module=torch_module, force=force)
        if done.left_out:
            out.note(
                f"left out, because they have a value per neuron (.nc holds them): {', '.join(done.left_out)}"
            )
        if json:
            out.document(done)
        else:
            out.line(f"{done.path}: {done.what}")


def new(
    what: Annotated[str, typer.Argument(metavar="task|measure|paper")],
    name: Annotated[str, typer.Argument(metavar="NAME", help="Of the new kind, as my_task.")],
    folder: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where to write it.")] = Path(),
    json: options.Json = False,
) -> None:
    """Start a new task, measure or paper of your own.

    Writes a file that defines it and works as it is, to be changed, and used by --plugin.
    """
    with out.json_only(json):
        from grokscope.cli.new import write_template

        file = write_template(what, name, folder)
        if json:
            out.document({"path": file})
        else:
            out.line(f"{file}: written; use it with --plugin {file}")


def report(
    path: Annotated[
        Path,
        typer.Argument(
            metavar="RUN|SWEEP|OUTPUT", help="A run's folder, a sweep's, or what reproduce wrote."
        ),
    ],
    other: Annotated[Path | None, typer.Argument(metavar="[RUN_B]", help="A run to compare it with.")] = None,
    to: Annotated[
        Path | None,
        typer.Option(
            "--out", metavar="FILE.html", help="Where to write it; report.html in the folder if not given."
        ),
    ] = None,
    plugin: options.Plugin = None,
    json: options.Json = False,
) -> None:
    """Write an HTML page about a run, a sweep or a reproduction.

    It is one file that needs nothing else.
    """
    with out.json_only(json):
        options.load_plugins(plugin)
        from grokscope.report import write_report

        file = write_report(path, other, out=to)
        if json:
            out.document({"path": file})
        else:
            out.line(f"{file}: written")
