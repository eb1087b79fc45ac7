"""``grokscope train``: train a cohort of seeds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from grokscope.cli import options
from grokscope.cli import output as out

if TYPE_CHECKING:
    from grokscope.experiment import Experiment
    from grokscope.runs import Run

_WATCH_SECONDS = 4.0  # between commits, and so between updates of the watched page


def train(
    spec: Annotated[Path, typer.Argument(metavar="SPEC.toml", help="The experiment.")],
    set_: options.Set = None,
    seeds: options.Seeds = None,
    folder: options.RunFolder = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Serve the report on this machine while the run trains.")
    ] = False,
    yes: options.Yes = False,
    plugin: options.Plugin = None,
    allow_other_numerics: options.OtherNumerics = False,
    allow_changed_code: options.ChangedCode = False,
    json: options.Json = False,
) -> None:
    """Train a cohort of seeds.

    The same command again resumes or extends the run, or reports that it is complete.
    """
    with out.json_only(json):
        options.load_plugins(plugin)
        from grokscope import runs
        from grokscope.experiment import Experiment
        from grokscope.progress import RichProgress

        experiment = Experiment.from_toml(spec, tuple(set_ or ()))
        wanted = 1 if seeds is None else seeds
        seconds = runs.seconds_to_train(experiment, wanted, out=folder)
        options.confirm(seconds, yes, advice=", or --seeds for fewer members")
        with RichProgress() as progress:
            choices: dict[str, Any] = {
                "seeds": wanted,
                "progress": progress,
                "allow_other_numerics": allow_other_numerics,
                "allow_changed_code": allow_changed_code,
            }
            if watch:
                run = _train_watched(experiment, folder or runs.default_folder(experiment), choices)
            else:
                run = runs.train(experiment, out=folder, **choices)
        n_steps, n_members = run.experiment.n_steps, len(run.members)
        if json:
            out.document(
                {
                    "run": run.path,
                    "identity": run.identity,
                    "members": n_members,
                    "steps": n_steps,
                    "steps_saved": run.steps_saved,
                    "complete": run.is_complete,
                }
            )
            return
        state = "complete" if run.is_complete else "not complete"
        out.line(f"{run.path}: {n_members} members, {n_steps} steps, {state}")
        if run.steps_saved:
            from grokscope.runs.overview import early_stopping

            out.line(early_stopping(run.steps_saved, n_steps * n_members, run.provenance))


def _train_watched(experiment: Experiment, folder: Path, choices: dict[str, Any]) -> Run:
    """Train while the report is served; write the report as a file when the run ends."""
    from grokscope import runs
    from grokscope.report import LiveReport, write_report

    with LiveReport(folder) as live:
        out.note(f"grokscope: watch it at {live.address}")
        run = runs.train(experiment, out=folder, commit_seconds=_WATCH_SECONDS, **choices)
        live.let_it_end()
    out.note(f"grokscope: {write_report(folder)}: written")
    return run
