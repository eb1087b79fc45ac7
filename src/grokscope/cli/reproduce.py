"""``grokscope reproduce``: run a paper's experiments and judge its claims."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from grokscope.cli import options
from grokscope.cli import output as out


def reproduce(
    paper: Annotated[str, typer.Argument(metavar="PAPER", help="A name listed by `grokscope papers`.")],
    experiments: Annotated[
        list[str] | None,
        typer.Argument(metavar="[EXPERIMENT...]", help="Experiments to run. Default: the paper's choice."),
    ] = None,
    seeds: options.Seeds = None,
    folder: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", help="Where to write runs, claims.json, figures, report.html."),
    ] = None,
    profile: Annotated[
        Literal["quick", "paper"] | None,
        typer.Option(
            "--profile", help="Full or reduced size. Default: paper if it takes under 10 minutes, else quick."
        ),
    ] = None,
    yes: options.Yes = False,
    dry_run: options.DryRun = False,
    plugin: options.Plugin = None,
    allow_other_numerics: options.OtherNumerics = False,
    allow_changed_code: options.ChangedCode = False,
    full: options.FullTable = False,
    json: options.Json = False,
) -> None:
    """Run a paper's experiments and judge its claims.

    Writes a run per experiment, claims.json, the figures and report.html. The same command again resumes.
    If an experiment, analysis, claim or figure fails, the rest is finished; the exit code is then 1.
    """
    with out.json_only(json):
        options.load_plugins(plugin)
        from grokscope.progress import RichProgress
        from grokscope.report import reproduce
        from grokscope.reproduction import PartsFailed, failures_group, plan

        planned = plan(paper, experiments or None, seeds=seeds, profile=profile)
        if dry_run:
            out.result(json, planned, str(planned))
            return
        out.note(str(planned))
        options.confirm(planned.seconds, yes, advice=", or --profile quick for less")
        with RichProgress() as progress:
            reproduction = reproduce(
                planned,
                out=folder,
                progress=progress,
                allow_other_numerics=allow_other_numerics,
                allow_changed_code=allow_changed_code,
            )
        out.result(json, reproduction.to_json() if json else None, reproduction.summary(full=full))
        if reproduction.failures:
            raise PartsFailed(reproduction.failures) from failures_group(reproduction.failures)
