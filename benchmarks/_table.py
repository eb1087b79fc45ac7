"""The ladder as a Markdown table, and its place in the project's README."""

from __future__ import annotations

from pathlib import Path

from _result import Ladder, Rung

BEGIN, END = "<!-- ladder:begin -->", "<!-- ladder:end -->"
OFFICIAL_UNITS = 8.6e6  # 887 s at U = 103 us: 66 s of training, the rest analysis at 30 epochs


def _seconds(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _units(value: float) -> str:
    """Three figures, with separators: 8,600,000 or 0.0123."""
    return f"{float(f'{value:.3g}'):,.0f}" if value >= 100 else f"{value:.3g}"


def _row(rung: Rung, base: Rung | None) -> str:
    mark = " (extrapolated)" if rung.extrapolated else ""
    ratio = f"{base.median / rung.median:.3g}" if base else "-"
    compiled = "-" if rung.compile_seconds is None else f"{rung.compile_seconds:.2g}"
    cells = [
        rung.title,
        rung.logs,
        _seconds(rung.median) + mark,
        _seconds(rung.minimum),
        _units(rung.units),
        ratio,
        compiled,
        f"{rung.peak_bytes / 1e6:,.0f}",
    ]
    return "| " + " | ".join(cells) + " |"


def render(ladder: Ladder) -> str:
    """The table with the lines above and below it; no line depends on the time of day."""
    machine = ladder.machine
    versions = ", ".join(f"{k} {v}" for k, v in sorted(_all_versions(ladder).items()))
    base = next((rung for rung in ladder.rungs if rung.name == "torch_loop"), None)
    seeds, epochs = ladder.rungs[0].seeds, ladder.rungs[0].epochs
    first = [rung for rung in ladder.rungs if rung.seeds == seeds]
    lines = [
        f"{seeds} seeds of the standard run ({epochs} epochs), each rung a whole cold process; "
        f"{machine.cpu}, {machine.cores} cores, {machine.memory_bytes / 2**30:.0f} GiB, "
        f"{ladder.date}. U = {ladder.unit.seconds * 1e6:.0f} us.",
        "",
    ]
    if ladder.quick:
        lines += ["**Quick look: times are extrapolated from short runs. Do not quote them.**", ""]
    lines += [
        f"| rung | what it logs | s, median of {ladder.repeats} | s, best | U | "
        "x faster than the loop | compile, s | peak, MB |",
        "|---|---|---:|---:|---:|---:|---:|---:|",
        *(_row(rung, base) for rung in first),
    ]
    lines += [f"| {s.name} | not run: {s.reason} | - | - | - | - | - | - |" for s in ladder.skipped]
    lines += _many([rung for rung in ladder.rungs if rung.seeds != seeds])
    lines += [
        "",
        f"For comparison, not run here: the official code, {_units(OFFICIAL_UNITS)} U for the "
        "same five seeds with its analysis at 30 epochs.",
        f"Versions: {versions}.",
    ]
    return "\n".join(lines)


def _many(rungs: list[Rung]) -> list[str]:
    """The table of further numbers of seeds, each run once: cold, and with the programs already compiled."""
    if not rungs:
        return []
    lines = [
        "",
        "More seeds, by rungs that train all at once, each run once:",
        "",
        "| rung | seeds | s | s, a seed | U, a seed | s, the second time | peak, MB |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for rung in rungs:
        warm = "-" if rung.compile_seconds is None else _seconds(rung.median - rung.compile_seconds)
        mark = " (extrapolated)" if rung.extrapolated else ""
        cells = [
            rung.title,
            f"{rung.seeds:,}",
            _seconds(rung.median) + mark,
            _seconds(rung.median / rung.seeds),
            _units(rung.units / rung.seeds),
            warm,
            f"{rung.peak_bytes / 1e6:,.0f}",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def _all_versions(ladder: Ladder) -> dict[str, str]:
    shown = ("python", "numpy", "blas", "jax", "grokscope")
    found = {k: v for k, v in ladder.machine.versions.items() if k in shown}
    for rung in ladder.rungs:
        found |= {k: v for k, v in rung.versions.items() if k not in found}
    return found


def replace_block(text: str, table: str) -> str:
    """Put ``table`` between the two markers.

    Raises:
        ValueError: The markers are not there, once each and in order.
    """
    if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(BEGIN) > text.index(END):
        raise ValueError(f"the README needs one line {BEGIN} and, below it, one line {END}")
    before, after = text.split(BEGIN)[0], text.split(END)[1]
    return f"{before}{BEGIN}\n{table}\n{END}{after}"


def update_readme(path: Path, table: str) -> None:
    """Rewrite the block in the file ``path``."""
    path.write_text(replace_block(path.read_text(), table))
