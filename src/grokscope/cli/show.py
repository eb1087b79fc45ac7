"""``grokscope show``: a run, a reproduction or a sweep as plain lines with sparklines."""

from __future__ import annotations

import math
import shutil
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from grokscope.cli import options
from grokscope.cli import output as out
from grokscope.cli.sweep import print_sweep

if TYPE_CHECKING:
    from grokscope.analysis.overview import Overview
    from grokscope.statistics import Estimate

_VERDICTS = {"holds": "bold green", "fails": "bold red", "undecided": "yellow", "not testable": "dim"}
_BARS = "▁▂▃▄▅▆▇█"
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
    kinds = overview.kinds
    seeds = [str(seed) for seed in overview.seeds]
    listed = ", ".join(seeds if len(seeds) <= 10 else [*seeds[:5], "...", seeds[-1]])
    state = "complete" if overview.complete else "unfinished"
    if kinds["learner"] == "imported":
        state = "imported: no replay"
    facts = [
        ("run", overview.path),
        ("identity", overview.identity[:16]),
        ("experiment", f"{kinds['task']}, {_learned(kinds)}, {kinds['loss']} loss{_optimizer(kinds)}"),
        ("members", f"{len(seeds)} (seeds {listed})"),
        ("steps", f"{overview.steps_done} of {overview.n_steps}, {state}"),
    ]
    if overview.stop:
        facts.append(("stops", overview.stop))
    if overview.steps_saved:
        planned = overview.n_steps * len(overview.seeds)
        facts.append(("stopped", out.early_stopping(overview.steps_saved, planned, overview.provenance)))
    if overview.start:
        facts.insert(3, ("starts", overview.start))
    if overview.interventions:
        facts.append(("interventions", ", ".join(overview.interventions)))
    for event in overview.events:
        seen = f"seen in {round(event.share.value * event.share.n)} of {event.share.n}"
        facts.append((event.name, f"{seen}; median step {_median(event.step)}; {event.definition}"))
    width = max(len(name) for name, _ in facts)
    for name, text in facts:
        out.line(f"{name.ljust(width)}  {text}")
    if overview.claims:
        out.line()
        print_claims(overview.claims)
    curves = [(name, values) for name, values in overview.curves.items() if any(values)]
    if curves:
        _print_curves(curves)
    for circuit in overview.circuits:
        out.line()
        if circuit.formula:
            bits = ", ".join(map(str, circuit.support))
            out.line(
                f"circuit of seed {circuit.seed}: {circuit.neurons} neurons on bits {bits}, the parity at "
                f"{circuit.right} of {circuit.settings} settings"
            )
            out.line(out.encodable(f"  {circuit.formula}"))
        else:
            out.line(f"circuit of seed {circuit.seed}: none ({circuit.why})")


def print_claims(claims: Sequence[dict[str, Any]]) -> None:
    """Print a table of claims: verdict, our number with its interval, the paper's number, the sentence."""
    rows = [
        (
            claim["id"],
            claim["verdict"],
            _number(claim.get("value")),
            _interval(claim.get("interval")),
            _number(claim.get("paper_value")),
            claim.get("seeds", ""),
            claim["sentence"],
        )
        for claim in claims
    ]
    rows = [tuple(_printable(str(cell)) for cell in row) for row in rows]
    out.table(("claim", "verdict", "ours", "interval", "paper", "n", "sentence"), rows, styles=_VERDICTS)


def _print_curves(curves: Sequence[tuple[str, Sequence[float]]]) -> None:
    from grokscope.statistics import format_number

    out.line()
    bars = out.encodable(_BARS, _ASCII_BARS)
    # a terminal cuts off long lines, and the end of a curve matters most
    beside = max(len(name) for name, _ in curves) + 34
    room = shutil.get_terminal_size().columns - beside if sys.stdout.isatty() else _WIDTH
    width = min(_WIDTH, max(room, 8))
    rows = [
        (name, format_number(values[0]), sparkline(values, width, bars), format_number(values[-1]))
        for name, values in curves
    ]
    out.table(("measure (mean)", "first", "curve", "last"), rows)


def sparkline(values: Sequence[float], width: int = _WIDTH, bars: str = _BARS) -> str:
    """Draw a curve in one line of at most ``width`` characters, scaled to its own range.

    Example:
        >>> sparkline([0.0, 0.5, 1.0], bars="_-#")
        '_-#'
    """
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        return ""
    count = min(width, len(finite))
    cells = [finite[i * len(finite) // count : (i + 1) * len(finite) // count] for i in range(count)]
    means = [sum(cell) / len(cell) for cell in cells]
    low, span = min(means), max(means) - min(means)
    top = len(bars) - 1
    return "".join(bars[round(top * (mean - low) / span) if span > 0 else 0] for mean in means)


def _number(value: Any) -> str:
    from grokscope.statistics import format_number

    if isinstance(value, int | float):
        return format_number(float(value))
    return "-" if value is None else str(value)


def _interval(ends: Any) -> str:
    if not isinstance(ends, list) or len(ends) != 2:
        return "-"
    low, high = ends
    return f"{'-inf' if low is None else _number(low)} to {'inf' if high is None else _number(high)}"


def _printable(text: str) -> str:
    """Replace control characters: the text is read from a file and must not steer the terminal."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def _optimizer(kinds: dict[str, str]) -> str:
    words = {"unknown": ", optimizer not known", "none": ""}
    return words.get(kinds["optimizer"], f", {kinds['optimizer']}")


def _learned(kinds: dict[str, str]) -> str:
    return f"learner {kinds['learner']}" if kinds["model"] == "none" else kinds["model"]


def _median(step: Estimate) -> str:
    from grokscope.statistics import format_number

    if math.isinf(step.value):
        return "not reached"
    if math.isinf(step.high) or math.isinf(step.low):
        return format_number(step.value)
    return f"{format_number(step.value)} [{format_number(step.low)}, {format_number(step.high)}]"
