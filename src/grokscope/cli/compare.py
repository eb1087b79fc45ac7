"""``grokscope compare``: when two runs grok, paired on seeds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from grokscope.cli import options
from grokscope.cli import output as out


def compare(
    a: Annotated[Path, typer.Argument(metavar="RUN_A", help="A run folder.")],
    b: Annotated[Path, typer.Argument(metavar="RUN_B", help="The folder of another run.")],
    event: Annotated[
        str,
        typer.Option(
            "--event", metavar="EVENT", help="An event of both runs, or a condition: 'test_loss < 0.1 for 3'."
        ),
    ] = "grokking",
    plugin: options.Plugin = None,
    json: options.Json = False,
) -> None:
    """Compare when two runs grok, or have another event, paired on seeds.

    Prints the share of pairs that had the event in each run and the median ratio of its steps, with
    intervals. A branch is paired with its source, member by member.
    """
    with out.json_only(json):
        from grokscope.analysis.comparison import compare as compare_runs

        run_a, run_b = options.load_run(a, plugin), options.load_run(b, None)
        result = compare_runs(run_a, run_b, event)
        if json:
            out.document({"run_a": run_a.path, "run_b": run_b.path, **out.plain(result)})
            return
        out.line(f"A: {run_a.path}\nB: {run_b.path}")
        only_a, only_b = result.unpaired
        out.line(f"{result.n} pairs: {result.pairing}; members only in A: {only_a}, only in B: {only_b}")
        out.line(f"{event}: {result.event}\n")
        words = "grokked" if event == "grokking" else "with the event"
        rows = [
            (f"share {words} in A", result.share_a),
            (f"share {words} in B", result.share_b),
            (f"{event} step, A / B", result.ratio),
        ]
        out.table(("what", "value [interval]"), rows)
