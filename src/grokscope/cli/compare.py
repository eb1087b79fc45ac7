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
    plugin: options.Plugin = None,
    json: options.Json = False,
) -> None:
    """Compare the grokking steps of two runs, paired on seeds.

    Prints the share of pairs that grokked in each run and the median ratio of their grokking steps, with
    intervals. A branch is paired with its source, member by member.
    """
    with out.json_only(json):
        from grokscope.analysis.comparison import compare as compare_runs

        run_a, run_b = options.load_run(a, plugin), options.load_run(b, None)
        result = compare_runs(run_a, run_b)
        if json:
            out.document({"run_a": run_a.path, "run_b": run_b.path, **out.plain(result)})
            return
        out.line(f"A: {run_a.path}\nB: {run_b.path}")
        only_a, only_b = result.unpaired
        out.line(f"{result.n} pairs: {result.pairing}; members only in A: {only_a}, only in B: {only_b}")
        out.line(f"grokking: {result.event}\n")
        rows = [
            ("share grokked in A", result.share_a),
            ("share grokked in B", result.share_b),
            ("grokking step, A / B", result.ratio),
        ]
        out.table(("what", "value [interval]"), rows)
