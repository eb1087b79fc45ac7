"""The list of commands, each with the examples in its help, and the options of the program itself."""

from __future__ import annotations

import shutil
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from grokscope.cli import output as out
from grokscope.cli.branch import branch
from grokscope.cli.circuits import circuits
from grokscope.cli.compare import compare
from grokscope.cli.doctor import doctor
from grokscope.cli.export import export
from grokscope.cli.import_ import import_
from grokscope.cli.measure import measure
from grokscope.cli.new import new
from grokscope.cli.papers import papers
from grokscope.cli.report import report
from grokscope.cli.reproduce import reproduce
from grokscope.cli.runs import runs
from grokscope.cli.show import show
from grokscope.cli.sweep import sweep
from grokscope.cli.train import train
from grokscope.cli.verify import verify

# The commands in the order of the help, each with its examples.
COMMANDS = {
    papers: ("grokscope papers", "grokscope papers --json"),
    reproduce: (
        "grokscope reproduce two-circuits standard --seeds 100:108 --out demo",
        "grokscope reproduce two-circuits --seeds 100 --dry-run",
    ),
    train: (
        "grokscope train parity.toml --seeds 100",
        "grokscope train parity.toml --set optimizer.weight_decay=0.001 --seeds 5,9,20:30 --out runs/slow",
        "grokscope train parity.toml --seeds 5 --watch",
    ),
    sweep: (
        "grokscope sweep parity.toml --over optimizer.weight_decay=log:1e-3:1e-1:7 --seeds 20",
        "grokscope sweep parity.toml --over task.n_train=500,1000 --over model.width=100,1000 --dry-run",
    ),
    branch: (
        "grokscope branch runs/slow --at memorization --set optimizer.learning_rate=0.05",
        "grokscope branch runs/slow --at 640 --seeds 'order=+1000,+2000'",
        "grokscope branch runs/slow --at grokking --set "
        '\'interventions=[{kind="prune", neurons="generalizing"}]\'',
    ),
    measure: ("grokscope measure runs/slow sensitivity effective_sparsity --steps log",),
    circuits: (
        "grokscope circuits runs/slow",
        "grokscope circuits runs/slow --seed 3 --step 4800 --prove --out pictures",
    ),
    compare: ("grokscope compare runs/slow runs/fast",),
    import_: (
        "grokscope import torch checkpoints --task parity.toml --data data.safetensors",
        "grokscope import torch runs/them --task spec.toml --pattern 'seed_{seed}/epoch_{epoch}.pt'",
    ),
    report: ("grokscope report runs/slow --out slow.html", "grokscope report runs/slow runs/fast"),
    export: (
        "grokscope export runs/slow --to slow.csv",
        "grokscope export runs/slow --to seed3.safetensors --seed 3 --step -1",
        "grokscope export runs/slow --to seed3.safetensors --seed 3 --torch-module seed3.py",
    ),
    runs: ("grokscope runs", "grokscope runs demo --json"),
    show: ("grokscope show runs/slow",),
    verify: ("grokscope verify runs/slow",),
    doctor: ("grokscope doctor", "grokscope doctor --json"),
    new: ("grokscope new task my_task", "grokscope train spec.toml --plugin my_task.py"),
}

_MOST_COLUMNS = 100


def _help_width() -> int:
    """Columns of the help: those of the terminal, where typer takes 50 at least."""
    return max(30, min(_MOST_COLUMNS, shutil.get_terminal_size().columns) - 2)


class _Group(TyperGroup):
    """Group whose help cuts no description, however narrow the terminal."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        rows = [(name, command.get_short_help_str(_MOST_COLUMNS)) for name, command in self.commands.items()]
        with formatter.section("Commands"):
            formatter.write_dl(rows)


app = typer.Typer(
    name="grokscope",
    cls=_Group,
    help="A laboratory for grokking: reproduce papers, train many seeds at once, measure and read networks.",
    epilog="\b\nExample:\n  grokscope reproduce two-circuits standard --seeds 100:108 --out demo",
    add_completion=False,
    rich_markup_mode=None,  # importing rich takes long
    context_settings={"help_option_names": ["-h", "--help"], "terminal_width": _help_width()},
)
for _command, _examples in COMMANDS.items():
    _lines = "\n".join(f"  {example}" for example in _examples)
    # import is a keyword of Python, so its function is named import_
    app.command(name=_command.__name__.rstrip("_"), epilog=f"\b\nExample:\n{_lines}")(_command)


def _print_version(wanted: bool) -> None:
    if wanted:
        import grokscope

        out.line(f"grokscope {grokscope.__version__}")
        raise typer.Exit


@app.callback()
def _program(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Print the traceback if the command fails.")] = False,
) -> None:
    del version, debug  # `_print_version` handles the first, and `guard` the second before parsing
