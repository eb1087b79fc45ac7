"""``grokscope show``: a run, a sweep, a contest or a reproduction as plain lines with sparklines."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from grokscope.cards import BARS
from grokscope.cli import options
from grokscope.cli import output as out
from grokscope.cli.sweep import print_contest, print_sweep

if TYPE_CHECKING:
    from grokscope.runs.overview import Overview

_ASCII_BARS = "_.-=+*#@"
_WIDTH = 40
_MOST_CIRCUITS = 3


def show(
    path: options.ResultPath,
    plugin: options.Plugin = None,
    full: options.FullTable = False,
    json: options.Json = False,
) -> None:
    """Show a run, a sweep, a contest, or a whole reproduction at a glance.

    For a run: state, claims, events, curves, and the circuits of its final networks. For a reproduction: its
    claims, and each experiment.
    """
    with out.json_only(json):
        from grokscope.analysis.overview import claims_beside, failures_beside, overview_of
        from grokscope.runs.overview import printable

        options.load_plugins(plugin)
        if options.holds_one_run(path):
            overview = overview_of(options.load_run(path, None), circuits=_MOST_CIRCUITS)
            out.document(overview) if json else print_overview(overview, full)
            for failure in [] if json else failures_beside(path):
                out.line(printable(failure))
            return
        from grokscope import sweeps

        results = sweeps.open_results(path)
        claims = claims_beside(path)
        failures = failures_beside(path)
        if json and list(results) == ["."]:
            out.document(_as_data(results["."]))
            return
        if json:
            documents: dict[str, list[Any]] = {"runs": [], "sweeps": [], "contests": []}
            for result in results.values():
                documents[f"{type(result).__name__.lower()}s"].append(_as_data(result))
            out.document({"claims": claims, "failures": failures, **documents})
            return
        if claims:
            print_claims(claims, full)
        for failure in failures:
            out.line(printable(failure))
        for i, result in enumerate(results.values()):
            if i or claims or failures:
                out.line()
            if isinstance(result, sweeps.Sweep):
                print_sweep(sweeps.overview_of_sweep(result))
            elif isinstance(result, sweeps.Contest):
                print_contest(result)
            else:
                print_overview(replace(overview_of(result), claims=[]))


def _as_data(result: Any) -> Any:
    """A run, a sweep or a contest as plain values."""
    from grokscope import sweeps
    from grokscope.analysis.overview import overview_of

    if isinstance(result, sweeps.Sweep):
        return sweeps.overview_of_sweep(result)
    if isinstance(result, sweeps.Contest):
        return {"path": str(result.path), "standings": result.standings}
    return overview_of(result)


def print_overview(overview: Overview, full: bool = False) -> None:
    """Print the facts, claims, curves and circuits of a run."""
    from grokscope.runs.overview import CURVE_HEADERS

    facts = overview.facts()
    width = max(len(name) for name, _ in facts)
    for name, text in facts:
        out.line(f"{name.ljust(width)}  {text}")
    if overview.claims:
        out.line()
        print_claims(overview.claims, full)
    # a terminal cuts off long lines, and the end of a curve matters most
    beside = max((len(name) for name in overview.curves), default=0) + 34
    room = shutil.get_terminal_size().columns - beside if sys.stdout.isatty() else _WIDTH
    bars = out.encodable(BARS, _ASCII_BARS)
    if curves := overview.curve_rows(min(_WIDTH, max(room, 8)), bars):
        out.line()
        out.table(CURVE_HEADERS, curves)
    for line in overview.circuit_lines():
        out.line(out.encodable(line))


def print_claims(claims: Sequence[dict[str, Any]], full: bool = False) -> None:
    """Print a table of claims: one line each, or with the paper's number, setting and sentence."""
    from grokscope.claims import STYLES, claims_overview
    from grokscope.runs.overview import CLAIM_HEADERS, claim_rows, printable

    if full:
        rows = claim_rows(claims)
        styles = {row[1]: STYLES.get(claim["verdict"], "") for row, claim in zip(rows, claims, strict=True)}
        out.table(CLAIM_HEADERS, rows, styles=styles)
        return
    # the file may hold anything
    safe = [{k: printable(v) if isinstance(v, str) else v for k, v in claim.items()} for claim in claims]
    out.styled(claims_overview(safe, shutil.get_terminal_size((100, 24)).columns))
