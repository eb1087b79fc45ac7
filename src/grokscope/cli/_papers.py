"""Commands about papers: papers, reproduce."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from grokscope.cli import _options as options
from grokscope.cli import _print as out
from grokscope.errors import InputError

if TYPE_CHECKING:
    from grokscope.reproduction import Plan

# A plan that takes longer is confirmed: by --yes, or by a person.
_ASK_SECONDS = 3600.0


def papers(plugin: options.Plugin = None, json: options.Json = False) -> None:
    """List the papers: claims, cost on this machine.

    For each experiment: its claims, and the time it would take here at full size, or that it needs a GPU.
    """
    with out.json_only(json):
        options.load_plugins(plugin)
        from grokscope.cli.doctor import expected_times, measure_rates
        from grokscope.papers import papers as known
        from grokscope.progress import duration

        expected = expected_times(measure_rates(1.0))
        times = {(item.paper, item.experiment): item.seconds for item in expected}
        if json:
            out.document(
                [
                    {
                        "name": name,
                        "title": paper.title,
                        "arxiv": paper.arxiv,
                        "experiments": [one.name for one in paper.experiments],
                        "claims": [claim.id for claim in paper.claims],
                        "cost": {one.name: times[name, one.name] for one in paper.experiments},
                    }
                    for name, paper in known().items()
                ]
            )
            return
        for name, paper in known().items():
            arxiv = f"; arXiv {paper.arxiv}" if paper.arxiv else ""
            out.line(f"{name}: {paper.title} ({paper.authors}, {paper.year}{arxiv})")
            rows: list[tuple[str, str, str, str]] = []
            for one in paper.experiments:
                seconds = times[name, one.name]
                cost = "needs a GPU" if seconds is None else f"about {duration(seconds)}"
                claims = ", ".join(claim.id for claim in paper.claims if claim.experiment == one.name)
                rows.append((one.name, claims, cost, one.sentence))
            out.table(("experiment", "claims", "on this machine", "what it is"), rows)


def reproduce(
    paper: Annotated[str, typer.Argument(metavar="PAPER", help="As listed by `grokscope papers`.")],
    experiments: Annotated[
        list[str] | None,
        typer.Argument(metavar="[EXPERIMENT...]", help="Which; the paper's default ones if none is named."),
    ] = None,
    seeds: options.Seeds = None,
    folder: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="For runs, claims.json, figures, report.html.")
    ] = None,
    profile: Annotated[
        Literal["quick", "paper"] | None,
        typer.Option("--profile", help="How much; paper if that takes under 10 minutes here, else quick."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before long work.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")] = False,
    plugin: options.Plugin = None,
    allow_other_numerics: options.OtherNumerics = False,
    json: options.Json = False,
) -> None:
    """Run a paper's experiments and judge its claims.

    Writes a run per experiment, claims.json, the figures and report.html. Given again, it resumes.
    """
    with out.json_only(json):
        options.load_plugins(plugin)
        from grokscope.progress import RichProgress
        from grokscope.report import reproduce_with_page
        from grokscope.reproduction import plan

        planned = plan(paper, experiments or None, seeds=seeds, profile=profile)
        if dry_run:
            out.document(planned) if json else out.line(str(planned))
            return
        out.note(str(planned))
        _confirm(planned, yes)
        with RichProgress() as progress:
            done = reproduce_with_page(
                planned, out=folder, progress=progress, allow_other_numerics=allow_other_numerics
            )
        if json:
            out.document(done.to_json())
        else:
            out.line(done.summary)


def _confirm(planned: Plan, yes: bool) -> None:
    """Ask before work of more than an hour; where nobody can answer, want ``--yes``."""
    from grokscope.progress import duration

    if yes or planned.seconds <= _ASK_SECONDS:
        return
    took = f"this takes about {duration(planned.seconds)} here"
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise InputError(f"{took}: add --yes to go on, or --profile quick for less.")
    typer.confirm(f"{took}; go on?", abort=True, err=True)
