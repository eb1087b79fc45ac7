"""The page of what lies in a folder: a run, a run beside another, or a paper's reproduction."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grokscope.errors import InputError
from grokscope.report._page import ReportFigure, write_page
from grokscope.report._reproduction import RECORD, remake
from grokscope.report._sections import run_info

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from grokscope.runs._place import Place

__all__ = ["write_report"]


def write_report(path: str | Path, other: str | Path | None = None, out: str | Path | None = None) -> Path:
    """Write the page of a run, of two runs side by side, of a sweep, or of a paper's reproduction.

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
    from grokscope.runs._place import as_place
    from grokscope.sweeps import is_sweep

    place = as_place(path)
    if other is None and is_sweep(place):
        return _of_sweep(place, out)
    folder = Path(path)
    record = folder / RECORD
    if record.is_file() and other is None:
        return _of_reproduction(folder, record, out)
    from grokscope.runs import open_run

    run = open_run(folder)
    to = Path(out) if out is not None else folder / "report.html"
    if other is None:
        name = run.experiment.name or folder.name
        command = f"grokscope report {folder}"
        return write_page(
            to,
            f"Run: {name}",
            command=command,
            tables=[("Events", _events(run))],
            figures=run_figures(run, command),
            runs=[run_info(name, run)],
        )
    return _of_two(run, open_run(other), (folder, Path(other)), to)


def _of_sweep(place: Place, out: str | Path | None) -> Path:
    from grokscope.report._sweep import report_sweep
    from grokscope.sweeps import open_sweep

    if out is None and not isinstance(place, Path):
        raise InputError(f"{place}: lies in a bucket; say where the page goes with --out FILE.html.")
    return report_sweep(open_sweep(place), Path(out) if out is not None else Path(str(place)) / "report.html")


def run_figures(run: Any, command: str = "", prefix: str = "") -> list[ReportFigure]:
    """The figures for which a run has the measures."""
    from grokscope.plots.neurons import neuron_figure
    from grokscope.plots.save import render
    from grokscope.plots.subnetworks import sensitivity_figure, subnetwork_figure
    from grokscope.plots.training import training_figure

    measures = run.measures
    width = getattr(run.experiment.model, "width", None)
    drawn: list[tuple[str, str, Figure]] = []
    if "train_loss" in measures or "train_accuracy" in measures:
        figure = training_figure(measures, width, command)
        drawn.append(("training", "Accuracy, loss and effective sparsity.", figure))
    if "subnetwork_norm" in measures:
        figure = subnetwork_figure(measures, command=command)
        drawn.append(("subnetworks", "Norm and faithfulness of subnetworks.", figure))
    subnetworks = _subnetworks(run)
    if "neuron_norm" in measures and "seed" in measures.sizes and subnetworks is not None:
        figure = neuron_figure(measures, subnetworks, command=command)
        drawn.append(("neurons", "Norms of single neurons.", figure))
    if "sensitivity" in measures:
        drawn.append(("sensitivity", "Sensitivity of subnetworks.", sensitivity_figure(measures, command)))
    return [
        ReportFigure(f"{prefix}{name}", title, render(figure, ("svg",))["svg"])
        for name, title, figure in drawn
    ]


def _subnetworks(run: Any) -> Any:
    """The subnetworks of a run, or None where none were asked for."""
    try:
        return getattr(run, "subnetworks", None)
    except InputError:
        return None


def _events(run: Any) -> list[tuple[str, str]]:
    """When what happened, in words."""
    from grokscope.overview import overview_of

    return [
        (event.name, f"{event.definition}: share of members {event.share}; median {event.step}")
        for event in overview_of(run).events
    ]


def _of_two(run: Any, second: Any, folders: tuple[Path, Path], to: Path) -> Path:
    from grokscope.comparison import compare

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
    command = f"grokscope report {folders[0]} {folders[1]}"
    figures = [
        *run_figures(run, command, "first-"),
        *run_figures(second, command, "second-"),
    ]
    return write_page(
        to,
        f"Runs: {names[0]} and {names[1]}",
        command=command,
        tables=[("Comparison", rows)],
        figures=figures,
        runs=[run_info(name, one) for name, one in zip(names, (run, second), strict=True)],
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
