"""The page of what lies in a folder: a run, a run beside another, or a paper's reproduction."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grokscope.errors import InputError
from grokscope.report._page import write_page
from grokscope.report._reproduction import RECORD, remake
from grokscope.report._views import view_of

if TYPE_CHECKING:
    from grokscope.store.place import Place

__all__ = ["write_report"]


def write_report(path: str | Path, other: str | Path | None = None, out: str | Path | None = None) -> Path:
    """Write the page of a run, of two side by side, of a sweep, a contest, or a paper's reproduction.

    Args:
        path: a run's folder, a sweep's folder or address, or what ``grokscope reproduce`` wrote.
        other: a run to compare the first one with.
        out: the page; None takes ``report.html`` in the folder.

    Returns:
        Where the page is.

    Raises:
        InputError: if there is no run, or the two cannot be compared.
        StoreError: if the page cannot be written.
    """
    from grokscope.report._contest import finish_contest
    from grokscope.store.place import as_place
    from grokscope.sweeps import is_contest, is_sweep, open_contest

    place = as_place(path)
    if other is None and is_sweep(place):
        return _of_sweep(place, out)
    folder = Path(path)
    if other is None and is_contest(folder):
        return finish_contest(open_contest(folder), None if out is None else Path(out))
    record = folder / RECORD
    if record.is_file() and other is None:
        return _of_reproduction(folder, record, out)
    from grokscope.runs import open_run

    run = open_run(folder)
    to = Path(out) if out is not None else folder / "report.html"
    if other is not None:
        return _of_two(run, open_run(other), (folder, Path(other)), to)
    name = run.experiment.name or folder.name
    return write_page(
        to,
        name,
        views=[view_of(run, name)],
        kicker="grokscope run",
        lead=_what(run),
        command=f"grokscope report {shlex.quote(str(folder))}",
    )


def _of_sweep(place: Place, out: str | Path | None) -> Path:
    from grokscope.report._sweep import report_sweep
    from grokscope.sweeps import open_sweep

    if out is None and not isinstance(place, Path):
        raise InputError(f"{place}: lies in a bucket; say where the page goes with --out FILE.html.")
    return report_sweep(open_sweep(place), Path(out) if out is not None else Path(str(place)) / "report.html")


def _what(run: Any) -> str:
    """What was trained, in a sentence."""
    experiment = run.experiment
    size = experiment.model.n_neurons
    model = experiment.model.kind + (f", {size} neurons" if size else "")
    if experiment.learner.kind == "imported":
        return (
            f"Imported · {experiment.task.kind.replace('_', ' ')} · {model} · {len(run.snapshot_steps)} "
            f"snapshots, up to step {int(max(run.steps_done))}"
        )
    return (
        f"{experiment.task.kind.replace('_', ' ')} · {model} · {experiment.loss.kind} loss · "
        f"{experiment.optimizer.kind} · {experiment.n_steps} steps"
    )


def _of_two(run: Any, second: Any, folders: tuple[Path, Path], to: Path) -> Path:
    from grokscope.analysis.comparison import compare

    result = compare(run, second)
    names = [one.experiment.name or place.name for one, place in zip((run, second), folders, strict=True)]
    if names[0] == names[1]:
        names = [f"{name} ({place})" for name, place in zip(names, folders, strict=True)]
    rows = [
        ("event", result.event),
        (
            "members paired",
            f"{result.n}; only in one of the runs: {result.unpaired[0]}, {result.unpaired[1]}",
        ),
        (f"share, {names[0]}", str(result.share_a)),
        (f"share, {names[1]}", str(result.share_b)),
        ("ratio of times, first over second", str(result.ratio)),
    ]
    command = shlex.join(["grokscope", "report", *map(str, folders)])
    return write_page(
        to,
        f"{names[0]} and {names[1]}",
        kicker="grokscope: two runs",
        lead="Solid lines: the first run, in blue; the second one in orange.",
        command=command,
        tables=[("Comparison", rows)],
        views=[view_of(one, name) for name, one in zip(names, (run, second), strict=True)],
        overlay=True,
    )


def _of_reproduction(folder: Path, record: Path, out: str | Path | None) -> Path:
    from grokscope.papers import find_paper
    from grokscope.plots.save import write_atomically

    try:
        paper = find_paper(json.loads(record.read_text(encoding="utf-8"))["paper"])
    except (OSError, ValueError, KeyError, TypeError):
        raise InputError(f"{record}: cannot be read.") from None
    report = Path(remake(paper, folder).report)
    if out is None:
        return report
    write_atomically(out, report.read_bytes())
    return Path(out)
