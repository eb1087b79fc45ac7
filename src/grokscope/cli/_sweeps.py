"""The command that runs a grid of experiments: sweep."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from grokscope.cli import _options as options
from grokscope.cli import _print as out
from grokscope.cli._contest import confirm_sweep, contest
from grokscope.errors import InputError

if TYPE_CHECKING:
    from grokscope.sweeps import SweepOverview

_MOST_ROWS = 60


def sweep(
    spec: Annotated[
        Path, typer.Argument(metavar="SPEC.toml", help="The experiment, perhaps with a table [sweep].")
    ],
    over: Annotated[
        list[str] | None,
        typer.Option(
            "--over",
            metavar="a.b=VALUES",
            help="An axis: 1,2,3 or log:1e-3:1e-1:7 or lin:0:1:5; repeatable.",
        ),
    ] = None,
    zip_: Annotated[
        list[str] | None,
        typer.Option(
            "--zip", metavar="a.b=VALUES;c.d=VALUES", help="An axis on which keys go in step; repeatable."
        ),
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="a.b=c", help="Change a value of the spec; repeatable."),
    ] = None,
    seeds: options.Seeds = None,
    engine: Annotated[
        Literal["local", "ray"],
        typer.Option("--engine", help="Who does the work: this process, or the machines of a Ray cluster."),
    ] = "local",
    address: Annotated[
        str | None,
        typer.Option(
            "--address",
            metavar="ADDRESS",
            help="Of the cluster: auto (this machine's), HOST:PORT, ray://HOST:PORT, or local to start one.",
        ),
    ] = None,
    folder: Annotated[
        str | None,
        typer.Option(
            "--out", metavar="DIR", help="A folder, or s3://BUCKET/PREFIX; runs/<task>-sweep-<identity> else."
        ),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before long work.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")] = False,
    plugin: options.Plugin = None,
    allow_other_numerics: options.OtherNumerics = False,
    json: options.Json = False,
) -> None:
    """Train a grid of experiments, or a contest of tuned contenders.

    A contest is a spec with kind = "contest" in its table [sweep]. Says the plan first. Given
    again, it resumes; with more values or seeds it does only what is new.
    """
    with out.json_only(json):
        options.load_plugins(plugin)
        from grokscope import sweeps
        from grokscope.progress import RichProgress

        if sweeps.is_contest_file(spec):
            if over or zip_:
                raise InputError("--over: a contest has its axes in the spec, one set for each contender.")
            contest(spec, tuple(set_ or ()), seeds, folder, yes, dry_run, allow_other_numerics, json)
            return
        asked = sweeps.SweepSpec.from_toml(
            spec, tuple(set_ or ()), tuple(over or ()), tuple(zip_ or ()), seeds
        )
        if dry_run and (many := sweeps.huge_grid_estimate(asked)) is not None:
            facts = {"cells": asked.n_cells, "members": asked.n_members, "seconds": many[1]}
            out.document(facts) if json else out.line(many[0])
            return
        if dry_run:
            planned = sweeps.plan_for(asked, folder)
            out.document(planned.facts) if json else out.line(str(planned))
            return
        worker = sweeps.engine_named(engine, address)

        def confirm(text: str, seconds: float, always: bool) -> None:
            confirm_sweep(text, seconds, yes=yes, always=always)

        with contextlib.closing(worker), RichProgress() as progress:
            done = sweeps.run_sweep(
                asked,
                out=folder,
                engine=worker,
                progress=progress,
                confirm=confirm,
                allow_other_numerics=allow_other_numerics,
            )
        overview = sweeps.overview_of_sweep(done)
        from grokscope.report import finish_sweep

        page = finish_sweep(done)
        if json:
            out.document({**out.plain(overview), "report": page})
            return
        print_sweep(overview)
        if page is not None:
            out.line(f"report: {page}")


def print_sweep(overview: SweepOverview) -> None:
    """Print what there is to know of a sweep at a glance."""
    state = "complete" if overview.complete else "unfinished"
    out.line(f"{overview.path}: {len(overview.cells)} cells, {overview.members} members, {state}")
    if overview.steps_saved:
        out.line(f"early stopping left out {overview.steps_saved:,} member-steps")
    headers, rows = overview.table(_MOST_ROWS)
    out.table(headers, rows)
    if len(overview.cells) > _MOST_ROWS:
        out.line(f"({len(overview.cells) - _MOST_ROWS} more cells)")
