"""Pages of results: of a run, two runs side by side, a sweep, a contest, or a paper's reproduction."""

from __future__ import annotations

import functools
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grokscope.errors import InputError, option
from grokscope.papers import Paper
from grokscope.report._figures import ReportFigure
from grokscope.report._page import write_page
from grokscope.report._runs import RunView, view_of
from grokscope.report._sweeps import contest_lead, standing_text, sweep_info, sweep_lead, sweep_view
from grokscope.reproduction import Plan, Reproduction, judge_again
from grokscope.reproduction import reproduce as reproduce_without_page
from grokscope.sweeps import Contest, Sweep

if TYPE_CHECKING:
    from grokscope.progress import Progress
    from grokscope.runs import Run
    from grokscope.store.place import Place
    from grokscope.training.rates import Rates

__all__ = ["finish_contest", "finish_sweep", "reproduce", "show", "write_report"]


@functools.singledispatch
def show(result: Any, name: str = "", sentence: str = "") -> dict[str, Any]:
    """The parts of a page (`page_html`) that show a result: a run, a `Sweep` or a `Contest`.

    Args:
        result: a sweep, a contest; anything else is treated as a run (see `view_of`).
        name: of the experiment.
        sentence: what the experiment is.
    """
    return {
        "kicker": "grokscope run",
        "lead": _run_lead(result),
        "views": [view_of(result, name, sentence)],
    }


@show.register
def _(result: Sweep, name: str = "", sentence: str = "") -> dict[str, Any]:
    from grokscope.sweeps import overview_of_sweep

    overview = overview_of_sweep(result)
    return {
        "kicker": "grokscope sweep",
        "lead": sweep_lead(result, overview),
        "sweep": sweep_view(result, overview),
        "runs": [sweep_info(result, name, sentence)],
    }


@show.register
def _(result: Contest, name: str = "", sentence: str = "") -> dict[str, Any]:
    del name, sentence  # the page shows the runs of the contenders, by their names
    rows = [(one.name, standing_text(one)) for one in result.standings]
    return {
        "kicker": "grokscope contest",
        "lead": contest_lead(result),
        "tables": [("Standings on fresh seeds", rows)],
        "views": [view_of(run, contender, with_networks=False) for contender, run in result.runs.items()],
        "overlay": True,
    }


def write_report(
    path: str | Path,
    other: str | Path | None = None,
    out: str | Path | None = None,
    *,
    shown: Place | None = None,
) -> Path:
    """Write the page of a run, of two side by side, of a sweep, a contest, or a paper's reproduction.

    Args:
        path: a run's folder, a sweep's folder or address, or the folder of ``grokscope reproduce``.
        other: a run to compare the first one with.
        out: the page; None takes ``report.html`` in the folder.
        shown: how the page writes the path of a run or sweep; None: as it is given.

    Returns:
        The path of the page.

    Raises:
        InputError: if there is no run, or the two cannot be compared.
        StoreError: if the page cannot be written.
    """
    from grokscope.runs import open_run
    from grokscope.store.folder import holding, results_in
    from grokscope.store.place import as_place
    from grokscope.sweeps import is_sweep, open_contest

    place, folder, to = as_place(path), Path(path), None if out is None else Path(out)
    if other is not None:
        return _write_two((open_run(folder), open_run(other)), (folder, Path(other)), to)
    kind = "sweep" if not isinstance(place, Path) and is_sweep(place) else holding(folder)
    if kind == "other":  # perhaps the only result below it
        found = results_in(folder)
        if len(found) == 1 and found[0] != folder:
            return write_report(found[0], out=to or folder / "report.html")
    if kind == "sweep":
        if to is None and not isinstance(place, Path):
            raise InputError(
                f"{place}: lies in a bucket; say where the page goes with {option('out')} FILE.html."
            )
        return _write_sweep(Sweep(place, shown=shown), to or Path(str(place)) / "report.html")
    if kind == "contest":
        return finish_contest(open_contest(folder), to)
    if kind == "reproduction":
        done = judge_again(folder)
        return _write_reproduction(done, _show_together(done.paper, done.runs), to)
    return _write_result(open_run(folder), shown or folder, to or folder / "report.html")


def finish_sweep(sweep: Sweep) -> Path | None:
    """Draw the figures of a sweep into its folder and write its page; None for one in a bucket.

    Raises:
        StoreError: if something cannot be written.
    """
    if not isinstance(sweep.place, Path):
        return None
    return _write_sweep(sweep, sweep.place / "report.html", figures=sweep.place / "figures")


def finish_contest(contest: Contest, to: Path | None = None) -> Path:
    """Write the page of a contest, into its folder where no other path is given.

    Raises:
        StoreError: if it cannot be written.
    """
    return _write_result(contest, contest.path, to or contest.place / "report.html")


def reproduce(
    paper: str | Paper | Plan,
    experiments: Sequence[str] | str | None = None,
    seeds: int | str | None = None,
    *,
    out: str | Path | None = None,
    profile: str | None = None,
    rates: Rates | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> Reproduction:
    """Reproduce a paper: train its experiments, judge its claims, draw its figures and write its page.

    The same call again resumes or extends the runs in the folder.

    Args:
        paper: the name of a paper, a paper, or a plan (`grokscope.reproduction.plan`), which replaces
            ``experiments``, ``seeds`` and ``profile``.
        experiments: names of experiments; None takes the default ones.
        seeds: a number of seeds, or a text like ``5,9,20:30``; None takes the profile's.
        out: the folder; None takes ``runs/<paper>``.
        profile: ``paper`` (full size), ``quick`` (reduced), or None: full if it takes under 10 minutes.
        rates: speed of this machine; None measures it.
        progress: receives the plan and the steps done (`grokscope.progress.RichProgress` shows a bar).
        options: passed to `grokscope.train`: ``allow_other_numerics``, ...

    Returns:
        Runs, verdicts, figures and the path of the page.

    Raises:
        InputError: for an unknown paper, experiment or profile, seeds that cannot be read, or a folder that
            holds another paper's reproduction.
        StoreError: if something cannot be written.

    Example:
        >>> reproduce("two-circuits", "standard", seeds="100:108", out="demo").report  # doctest: +SKIP
        PosixPath('demo/report.html')
    """
    import time

    shown: dict[str, Any] = {}
    done = reproduce_without_page(
        paper,
        experiments,
        seeds,
        out=out,
        profile=profile,
        rates=rates,
        progress=progress,
        meanwhile=lambda paper, runs: shown.update(_show_together(paper, runs)),
        **options,
    )
    began = time.perf_counter()
    page = _write_reproduction(done, shown)
    return replace(done, report=page, seconds=done.seconds + time.perf_counter() - began)


def _write_result(result: Any, path: Any, to: Path, **parts: Any) -> Path:
    """Write the page of one result, named by its experiment or its folder."""
    name = result.experiment.name or path.name
    command = f"grokscope report {shlex.quote(str(path))}"
    return write_page(to, name, command=command, **{**show(result, name), **parts})


def _write_sweep(sweep: Sweep, to: Path, figures: Path | None = None) -> Path:
    """Write the page of a sweep with its figures, and these as files where a folder is given."""
    from grokscope.plots.save import render, save_figure
    from grokscope.sweeps import sweep_figures

    drawn: list[ReportFigure] = []
    for name, title, figure in sweep_figures(sweep, f"grokscope report {shlex.quote(str(sweep.path))}"):
        files = save_figure(figure, figures, name) if figures is not None else render(figure, ("svg",))
        drawn.append(ReportFigure(name, title, files["svg"]))
    info = sweep_info(sweep, "the base experiment, which the cells change")
    return _write_result(sweep, sweep.path, to, figures=drawn, runs=[info])


def _write_two(runs: tuple[Run, Run], folders: tuple[Path, Path], to: Path | None) -> Path:
    from grokscope.analysis.comparison import compare

    result = compare(*runs)
    names = [run.experiment.name or folder.name for run, folder in zip(runs, folders, strict=True)]
    if names[0] == names[1]:
        names = [f"{name} ({folder})" for name, folder in zip(names, folders, strict=True)]
    unpaired = f"only in one of the runs: {result.unpaired[0]}, {result.unpaired[1]}"
    rows = [
        ("event", result.event),
        ("members paired", f"{result.n}; {unpaired}"),
        (f"share, {names[0]}", str(result.share_a)),
        (f"share, {names[1]}", str(result.share_b)),
        ("ratio of times, first over second", str(result.ratio)),
    ]
    return write_page(
        to or folders[0] / "report.html",
        f"{names[0]} and {names[1]}",
        kicker="grokscope: two runs",
        lead="Solid lines: the first run, in blue; the second one in orange.",
        command=shlex.join(["grokscope", "report", *map(str, folders)]),
        tables=[("Comparison", rows)],
        views=[view_of(run, name) for name, run in zip(names, runs, strict=True)],
        overlay=True,
    )


def _write_reproduction(done: Reproduction, shown: Mapping[str, Any], to: Path | None = None) -> Path:
    """Write the page of a reproduction, into its folder where no other path is given."""
    paper = done.paper
    arxiv = f" (arXiv {paper.arxiv})" if paper.arxiv else ""
    drawn = {figure.id: svg for figure, svg in done.drawn}
    why = {one.name: str(one) for one in done.failures if one.part == "figure"}
    failed = [(f"{one.part} {one.name}", one.reason) for one in done.failures]
    return write_page(
        to or done.place / "report.html",
        paper.title,
        **{
            **shown,
            "tables": [*([("Failed", failed)] if failed else []), *shown.get("tables", ())],
            "kicker": f"grokscope reproduction: {paper.kind}",
            "lead": f"{paper.authors}, {paper.year}{arxiv}. Profile: {done.profile} ({done.reason}).",
        },
        judged=done.shown,
        evidence=done.evidence,
        figures=[
            ReportFigure(one.id, one.title, drawn.get(one.id, b""), why.get(one.id, ""))
            for one in paper.figures
            if one.id in drawn or one.id in why
        ],
        command=done.command,
        bibtex=paper.bibtex,
    )


def _show_together(paper: Paper, runs: Mapping[str, Any]) -> dict[str, Any]:
    """Parts of a reproduction's page: its runs; without runs its first contest, else its first sweep."""
    sentences = {one.name: one.sentence for one in paper.experiments}
    contests = {name: one for name, one in runs.items() if isinstance(one, Contest)}
    sweeps = {name: one for name, one in runs.items() if isinstance(one, Sweep)}
    infos = {name: sweep_info(one, name, sentences[name]) for name, one in sweeps.items()}
    views: list[RunView] = []
    for name, run in runs.items():
        if name not in contests and name not in sweeps:
            views += show(run, name, sentences[name])["views"]
    if views:
        infos |= {view.name: view.info for view in views}
        return {"views": views, "runs": [infos[name] for name in runs if name in infos]}
    if contests:
        return show(next(iter(contests.values())))
    return {**show(next(iter(sweeps.values()))), "runs": list(infos.values())}


def _run_lead(run: Any) -> str:
    """The experiment in a sentence."""
    experiment = run.experiment
    size = experiment.model.n_neurons
    learned = experiment.model if experiment.learner.uses_model else experiment.learner
    model = learned.kind + (f", {size} neurons" if size else "")
    task = experiment.task.kind.replace("_", " ")
    if experiment.learner.kind == "imported":
        last = int(max(run.steps_done))
        return f"Imported · {task} · {model} · {len(run.snapshot_steps)} snapshots, up to step {last}"
    return (
        f"{task} · {model} · {experiment.loss.kind} loss · "
        + (f"{experiment.penalty.kind} penalty · " if experiment.has_penalty else "")
        + (f"{experiment.optimizer.kind} · " if experiment.states_optimizer else "")
        + f"{experiment.n_steps} steps"
    )
