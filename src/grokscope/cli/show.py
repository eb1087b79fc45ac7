"""``grokscope show``: a run, a reproduction or a sweep as plain lines with sparklines."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from grokscope.cards import BARS
from grokscope.cli import options
from grokscope.cli import output as out
from grokscope.cli.sweep import print_sweep

if TYPE_CHECKING:
    from grokscope.runs.overview import Overview

_VERDICTS = {"holds": "bold green", "fails": "bold red", "undecided": "yellow", "not testable": "dim"}
_ASCII_BARS = "_.-=+*#@"
_WIDTH = 40
_MOST_CIRCUITS = 3


def show(path: options.RunPath, plugin: options.Plugin = None, json: options.Json = False) -> None:
    """Show a run, a reproduction, or a sweep at a glance.

    For a run: state, claims, events, curves, and the circuits of its final networks.
    """
    with out.json_only(json):
        from grokscope.analysis.overview import claims_beside, overview_of

        options.load_plugins(plugin)
        if options.is_sweep(path):
            from grokscope import sweeps

            grid = sweeps.overview_of_sweep(sweeps.open_sweep(path))
            out.document(grid) if json else print_sweep(grid)
            return
        if (path / "claims.json").is_file() and not (path / "experiment.toml").is_file():
            claims = claims_beside(path)
            folders = sorted({path / claim["experiment"] for claim in claims})
            folders = [folder for folder in folders if (folder / "experiment.toml").is_file()]
            if len(folders) > 1:
                overviews = [overview_of(options.load_run(folder, None)) for folder in folders]
                if json:
                    out.document({"claims": claims, "runs": overviews})
                    return
                print_claims(claims)
                for overview in overviews:
                    out.line()
                    print_overview(replace(overview, claims=[]))
                return
        overview = overview_of(options.load_run(path, None), circuits=_MOST_CIRCUITS)
        out.document(overview) if json else print_overview(overview)


def print_overview(overview: Overview) -> None:
    """Print the facts, claims, curves and circuits of a run."""
    from grokscope.runs.overview import CURVE_HEADERS

    facts = overview.facts()
    width = max(len(name) for name, _ in facts)
    for name, text in facts:
        out.line(f"{name.ljust(width)}  {text}")
    if overview.claims:
        out.line()
        print_claims(overview.claims)
    # a terminal cuts off long lines, and the end of a curve matters most
    beside = max((len(name) for name in overview.curves), default=0) + 34
    room = shutil.get_terminal_size().columns - beside if sys.stdout.isatty() else _WIDTH
    bars = out.encodable(BARS, _ASCII_BARS)
    if curves := overview.curve_rows(min(_WIDTH, max(room, 8)), bars):
        out.line()
        out.table(CURVE_HEADERS, curves)
    for line in overview.circuit_lines():
        out.line(out.encodable(line))


def print_claims(claims: Sequence[dict[str, Any]]) -> None:
    """Print a table of claims: verdict, our number with its interval, the paper's number, the sentence."""
    from grokscope.runs.overview import CLAIM_HEADERS, claim_rows

    out.table(CLAIM_HEADERS, claim_rows(claims), styles=_VERDICTS)
