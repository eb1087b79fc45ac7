"""``grokscope sweep``: train a grid of experiments, or run a contest of tuned contenders."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from grokscope.cli import options
from grokscope.cli import output as out
from grokscope.errors import InputError

if TYPE_CHECKING:
    from grokscope.sweeps import Contest, ContestSpec, SweepOverview


def sweep(
    spec: Annotated[
        Path, typer.Argument(metavar="SPEC.toml", help="The experiment; may have a table [sweep].")
    ],
    over: Annotated[
        list[str] | None,
        typer.Option(
            "--over",
            metavar="a.b=VALUES",
            help="An axis of the grid: 1,2,3 or log:1e-3:1e-1:7 or lin:0:1:5; repeatable.",
        ),
    ] = None,
    zip_: Annotated[
        list[str] | None,
        typer.Option(
            "--zip",
            metavar="a.b=VALUES;c.d=VALUES",
            help="An axis along which several keys change together; repeatable.",
        ),
    ] = None,
    set_: options.Set = None,
    seeds: options.Seeds = None,
    engine: Annotated[
        Literal["local", "ray"],
        typer.Option("--engine", help="Train in this process, or on the machines of a Ray cluster."),
    ] = "local",
    address: Annotated[
        str | None,
        typer.Option(
            "--address",
            metavar="ADDRESS",
            help="The Ray cluster: auto (this machine's), HOST:PORT, ray://HOST:PORT, or local to start one.",
        ),
    ] = None,
    folder: Annotated[
        str | None,
        typer.Option(
            "--out",
            metavar="DIR",
            help="A folder or s3://BUCKET/PREFIX. Default: runs/<task>-sweep-<identity>.",
        ),
    ] = None,
    keep: Annotated[
        Literal["all", "outcomes"] | None,
        typer.Option(
            "--keep",
            help="outcomes: of a finished cell keep only event times and final values. Default: all.",
        ),
    ] = None,
    yes: options.Yes = False,
    dry_run: options.DryRun = False,
    plugin: options.Plugin = None,
    allow_other_numerics: options.OtherNumerics = False,
    allow_changed_code: options.ChangedCode = False,
    json: options.Json = False,
) -> None:
    """Train a grid of experiments, or a contest of tuned contenders.

    A spec with kind = "contest" in its table [sweep] is a contest. The plan is printed first. The same
    command again resumes; with more values or seeds it trains only what is new.
    """
    with out.json_only(json):
        options.load_plugins(plugin)
        from grokscope import sweeps
        from grokscope.progress import RichProgress

        overrides = tuple(set_ or ())
        if sweeps.is_contest_file(spec):
            if keep is not None:
                raise InputError("--keep: a contest compares its runs, and keeps them.")
            if over or zip_:
                raise InputError("--over: a contest has its axes in the spec, one set for each contender.")
            contest = sweeps.ContestSpec.from_toml(spec, overrides, seeds)
            _run_contest(contest, folder, yes, dry_run, allow_other_numerics, allow_changed_code, json)
            return
        grid = sweeps.SweepSpec.from_toml(spec, overrides, tuple(over or ()), tuple(zip_ or ()), seeds)
        if dry_run and (many := sweeps.huge_grid_estimate(grid)) is not None:
            text, seconds = many
            out.result(json, {"cells": grid.n_cells, "members": grid.n_members, "seconds": seconds}, text)
            return
        if dry_run:
            planned = sweeps.plan_for(grid, folder)
            out.result(json, planned.facts, str(planned))
            return
        worker = sweeps.engine_named(engine, address)
        with contextlib.closing(worker), RichProgress() as progress:
            done = sweeps.run_sweep(
                grid,
                out=folder,
                engine=worker,
                progress=progress,
                confirm=lambda text, seconds, always: _confirm(text, seconds, always, yes),
                keep=keep,
                allow_other_numerics=allow_other_numerics,
                allow_changed_code=allow_changed_code,
            )
        from grokscope.report import finish_sweep

        overview, page = sweeps.overview_of_sweep(done), finish_sweep(done)
        if json:
            out.document({**out.plain(overview), "report": page})
            return
        print_sweep(overview)
        if page is not None:
            out.line(f"report: {page}")


def print_sweep(overview: SweepOverview) -> None:
    """Print the state of a sweep and a table of its cells."""
    above, below = overview.lines()
    for line in above:
        out.line(line)
    out.table(*overview.table())
    for line in below:
        out.line(line)


def _run_contest(
    contest: ContestSpec,
    folder: str | None,
    yes: bool,
    dry_run: bool,
    allow_other_numerics: bool,
    allow_changed_code: bool,
    json: bool,
) -> None:
    """Tune every contender, compare them on fresh seeds, print the standings."""
    from grokscope import sweeps
    from grokscope.progress import RichProgress
    from grokscope.report import finish_contest

    planned = (
        f"contest of {len(contest.contenders)}: each {contest.n_settings} settings x {len(contest.tuning)} "
        f"seeds, then {len(contest.fresh)} fresh seeds; {contest.n_members} members in all"
    )
    if dry_run:
        out.result(json, {"settings": contest.n_settings, "members": contest.n_members}, planned)
        return
    base = contest.base
    place = folder or str(Path("runs") / f"{base.task.kind}-contest-{base.identity[:8]}")
    if place.startswith("s3://"):
        raise InputError(f"--out {place}: a contest can only be written to a folder of this machine.")
    with RichProgress() as progress:
        progress.plan(planned)
        done = sweeps.run_contest(
            contest,
            place,
            progress=progress,
            confirm=lambda text, seconds, always: _confirm(text, seconds, always, yes),
            allow_other_numerics=allow_other_numerics,
            allow_changed_code=allow_changed_code,
        )
    page = finish_contest(done)
    if json:
        out.document({"path": str(done.path), "standings": done.standings, "report": page})
        return
    print_contest(done)
    out.line(f"report: {page}")


def print_contest(done: Contest) -> None:
    """Print the standings of a contest."""
    from grokscope import sweeps
    from grokscope.statistics import format_number

    rows = [
        (
            one.name,
            sweeps.settings_text(one.chosen),
            sweeps.estimate_text(one.share),
            sweeps.estimate_text(one.step),
            "reference" if one.speedup is None else sweeps.estimate_text(one.speedup),
            format_number(one.tuned),
        )
        for one in done.standings
    ]
    fresh = len(next(iter(done.runs.values())).members)
    out.line(f"{done.path}: {len(rows)} contenders on {fresh} fresh seeds")
    out.table(("contender", "chosen", "grokked", "grokking step", "speed-up", "tuning score"), rows)
    for one in done.standings:
        if one.ends:
            out.line(f"{one.name}: {one.ends_text}")


def _confirm(text: str, seconds: float, always: bool, yes: bool) -> None:
    options.confirm(seconds, yes, warning=text if always else "")
