"""Commands that make, extend and look at runs: train, measure, compare, runs, show, verify."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from grokscope.cli import _options as options
from grokscope.cli import _print as out
from grokscope.errors import InputError, StoreError

if TYPE_CHECKING:
    from grokscope.experiment import Experiment
    from grokscope.progress import Progress
    from grokscope.runs import Run

_MOST_CIRCUITS = 3  # of a run that is shown
_WATCHED_SECONDS = 4.0  # between commits, and so between two states of the page


def train(
    spec: Annotated[Path, typer.Argument(metavar="SPEC.toml", help="The experiment.")],
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="a.b=c", help="Change a value of the spec; repeatable."),
    ] = None,
    seeds: options.Seeds = None,
    folder: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", help="The run's folder; runs/<task>-<identity> if not given."),
    ] = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Serve the report on this machine while the run goes on.")
    ] = False,
    plugin: options.Plugin = None,
    allow_other_numerics: options.OtherNumerics = False,
    json: options.Json = False,
) -> None:
    """Train a cohort of seeds.

    Given again, it resumes, extends, or says that the run is complete.
    """
    with out.json_only(json):
        options.load_plugins(plugin)
        from grokscope import runs
        from grokscope.experiment import Experiment
        from grokscope.progress import RichProgress

        experiment = Experiment.from_toml(spec, tuple(set_ or ()))
        asked: dict[str, Any] = {"seeds": seeds or 1, "allow_other_numerics": allow_other_numerics}
        with RichProgress() as progress:
            if watch:
                run = _watched(experiment, folder or runs.default_folder(experiment), progress, asked)
            else:
                run = runs.train(experiment, out=folder, progress=progress, **asked)
        if json:
            out.document(
                {
                    "run": run.path,
                    "identity": run.identity,
                    "members": len(run.members),
                    "steps": run.experiment.n_steps,
                    "steps_saved": run.steps_saved,
                    "complete": run.is_complete,
                }
            )
            return
        done = "complete" if run.is_complete else "not complete"
        out.line(f"{run.path}: {len(run.members)} members, {run.experiment.n_steps} steps, {done}")
        if saved := run.steps_saved:
            out.line(out.saved_text(saved, run.experiment.n_steps * len(run.members), run.provenance))


def _watched(experiment: Experiment, folder: Path, progress: Progress, asked: dict[str, Any]) -> Run:
    """Train with the page open to whoever has its address; leave the page behind as a file."""
    from grokscope import runs
    from grokscope.report import LiveReport, write_report

    with LiveReport(folder) as live:
        out.note(f"grokscope: watch it at {live.address}")
        run = runs.train(experiment, out=folder, progress=progress, commit_seconds=_WATCHED_SECONDS, **asked)
        live.let_it_end()
    out.note(f"grokscope: {write_report(folder)}: written")
    return run


def measure(
    path: options.RunPath,
    measures: Annotated[list[str], typer.Argument(metavar="MEASURE...", help="Names of measures.")],
    steps: Annotated[
        str | None,
        typer.Option(
            "--steps", metavar="all|log|a:b:c", help="When; each measure's own schedule if not given."
        ),
    ] = None,
    flavor: Annotated[
        Literal["predictions", "accuracy"],
        typer.Option("--flavor", help="What the active subnetwork keeps: all predictions, or the accuracy."),
    ] = "predictions",
    plugin: options.Plugin = None,
    json: options.Json = False,
) -> None:
    """Add measures to a finished run.

    They are taken from snapshots or by replay, and are the same as if taken while training.
    """
    with out.json_only(json):
        options.load_plugins(plugin)
        from grokscope.progress import RichProgress
        from grokscope.spec.parts import lookup

        for name in measures:
            lookup("measure", name)
        run = options.opened(path, None)
        schedule = options.parse_steps(steps, run.experiment)
        with RichProgress() as progress:
            run.measure(measures, steps=schedule, flavor=flavor, progress=progress)
        if json:
            out.document({"run": run.path, "measures": list(run.measures.data_vars)})
        else:
            out.line(f"{run.path}: {', '.join(measures)} measured")


def compare(
    a: Annotated[Path, typer.Argument(metavar="RUN_A", help="A run's folder.")],
    b: Annotated[Path, typer.Argument(metavar="RUN_B", help="Another run's folder.")],
    plugin: options.Plugin = None,
    json: options.Json = False,
) -> None:
    """Compare when two runs grok, paired on seeds.

    Says the share of pairs that grokked in each, and the median ratio of grokking steps, with intervals. A
    branch is paired with its source, member by member.
    """
    with out.json_only(json):
        from grokscope.analysis.comparison import compare as compared

        run_a, run_b = options.opened(a, plugin), options.opened(b, None)
        result = compared(run_a, run_b)
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


def runs(
    folder: Annotated[
        Path | None, typer.Argument(metavar="[DIR]", help="Where to look; runs if not given.")
    ] = None,
    json: options.Json = False,
) -> None:
    """List the runs and sweeps under a folder."""
    with out.json_only(json):
        from grokscope import runs as store
        from grokscope import sweeps

        if folder is not None and not folder.is_dir():
            raise InputError(f"{folder}: there is no such folder.")
        found = store.list_runs(folder or "runs")
        grids = sweeps.list_sweeps(folder or "runs")
        if json:
            out.document([*found, *grids])
        elif not found and not grids:
            out.note(f"grokscope: no runs under {folder or 'runs'}")
        else:
            rows = [
                (
                    item.path,
                    item.identity[:8],
                    item.task,
                    item.steps,
                    item.problem or f"{item.complete} of {item.members} complete",
                )
                for item in found
            ]
            rows += [
                (
                    item.path,
                    item.identity[:8],
                    f"sweep of {item.task} over {', '.join(item.axes)}",
                    item.steps,
                    item.problem or f"{item.complete} of {item.cells} cells complete",
                )
                for item in grids
            ]
            out.table(("run", "identity", "task", "steps", "members"), rows)


def show(path: options.RunPath, plugin: options.Plugin = None, json: options.Json = False) -> None:
    """Show a run, a reproduction, or a sweep at a glance.

    Of a run: state, claims, events, curves, and the circuits of its last networks.
    """
    with out.json_only(json):
        from grokscope.analysis.overview import claims_beside, overview_of

        if options.is_sweep(path):
            from grokscope import sweeps
            from grokscope.cli._sweeps import print_sweep

            options.load_plugins(plugin)
            grid = sweeps.overview_of_sweep(sweeps.open_sweep(path))
            out.document(grid) if json else print_sweep(grid)
            return

        from grokscope.cli._show import print_claims, print_overview

        if (path / "claims.json").is_file() and not (path / "experiment.toml").is_file():
            claims = claims_beside(path)
            folders = sorted({path / one["experiment"] for one in claims})
            folders = [folder for folder in folders if (folder / "experiment.toml").is_file()]
            if len(folders) > 1:
                options.load_plugins(plugin)
                each = [overview_of(options.opened(folder, None)) for folder in folders]
                if json:
                    out.document({"claims": claims, "runs": each})
                    return
                print_claims(claims)
                for overview in each:
                    out.line()
                    print_overview(replace(overview, claims=[]))
                return
        overview = overview_of(options.opened(path, plugin), circuits=_MOST_CIRCUITS)
        if json:
            out.document(overview)
        else:
            print_overview(overview)


def verify(path: options.RunPath, json: options.Json = False) -> None:
    """Check the files of a run, or of a sweep's cells, against their checksums.

    The exit code is 1 if anything is damaged or missing.
    """
    with out.json_only(json):
        from grokscope import runs as store

        if options.is_sweep(path):
            from grokscope.sweeps import verify_sweep

            problems = verify_sweep(path)
        else:
            problems = store.verify(path)
        damage = [problem for problem in problems if problem.is_damage]
        if json:
            out.document({"run": path, "ok": not damage, "problems": problems})
        for problem in [] if json else problems:
            out.line(str(problem))
        if damage:
            raise StoreError(f"{path}: damaged ({len(damage)} found).")
        if not json and not problems:
            out.line(f"{path}: all files are as they were written")
