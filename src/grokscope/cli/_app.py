"""The table of commands, each with the examples that its help shows; and the options of the whole program."""

from __future__ import annotations

from typing import Annotated

import typer

from grokscope.cli import _branch, _circuits, _files, _import, _papers, _runs, _sweeps, _tools

__all__ = ["app"]

# command -> examples; the order is that of the help
_COMMANDS = {
    _papers.papers: ("grokscope papers", "grokscope papers --json"),
    _papers.reproduce: (
        "grokscope reproduce two-circuits standard --seeds 5 --out demo",
        "grokscope reproduce two-circuits --seeds 100 --dry-run",
    ),
    _runs.train: (
        "grokscope train parity.toml --seeds 100",
        "grokscope train parity.toml --set optimizer.weight_decay=0.001 --seeds 5,9,20:30 --out runs/slow",
        "grokscope train parity.toml --seeds 5 --watch",
    ),
    _sweeps.sweep: (
        "grokscope sweep parity.toml --over optimizer.weight_decay=log:1e-3:1e-1:7 --seeds 20",
        "grokscope sweep parity.toml --over task.n_train=500,1000 --over model.width=100,1000 --dry-run",
    ),
    _branch.branch: (
        "grokscope branch runs/slow --at memorization --set optimizer.learning_rate=0.05",
        "grokscope branch runs/slow --at 640 --seeds 'order=+1000,+2000'",
        "grokscope branch runs/slow --at grokking --set "
        '\'interventions=[{kind="prune", neurons="generalizing"}]\'',
    ),
    _runs.measure: ("grokscope measure runs/slow sensitivity effective_sparsity --steps log",),
    _circuits.circuits: (
        "grokscope circuits runs/slow",
        "grokscope circuits runs/slow --seed 3 --step 4800 --prove --out pictures",
    ),
    _runs.compare: ("grokscope compare runs/slow runs/fast",),
    _import.import_: (
        "grokscope import torch checkpoints --task parity.toml --data data.safetensors",
        "grokscope import torch runs/them --task spec.toml --pattern 'seed_{seed}/epoch_{epoch}.pt'",
    ),
    _files.report: ("grokscope report runs/slow --out slow.html", "grokscope report runs/slow runs/fast"),
    _files.export: (
        "grokscope export runs/slow --to slow.csv",
        "grokscope export runs/slow --to seed3.safetensors --seed 3 --step -1",
        "grokscope export runs/slow --to seed3.safetensors --seed 3 --torch-module seed3.py",
    ),
    _runs.runs: ("grokscope runs", "grokscope runs demo --json"),
    _runs.show: ("grokscope show runs/slow",),
    _runs.verify: ("grokscope verify runs/slow",),
    _tools.doctor: ("grokscope doctor", "grokscope doctor --json"),
    _files.new: ("grokscope new task my_task", "grokscope train spec.toml --plugin my_task.py"),
}

app = typer.Typer(
    name="grokscope",
    help="A laboratory for grokking: reproduce papers, train cohorts of seeds, measure what goes on inside.",
    epilog="\b\nExample:\n  grokscope reproduce two-circuits standard --seeds 5 --out demo",
    add_completion=False,
    rich_markup_mode=None,  # rich takes long to import
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
for _command, _examples in _COMMANDS.items():
    _shown = "\n".join(f"  {example}" for example in _examples)
    # `import` is a word of Python's own, so its function is named import_
    app.command(name=_command.__name__.rstrip("_"), epilog=f"\b\nExample:\n{_shown}")(_command)


def _version(wanted: bool) -> None:
    if wanted:
        import grokscope
        from grokscope.cli import _print as out

        out.line(f"grokscope {grokscope.__version__}")
        raise typer.Exit


@app.callback()
def _program(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    del version, debug  # seen to by their callback, and before anything is parsed
