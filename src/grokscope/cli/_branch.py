"""The command that starts members inside a run: branch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from grokscope.cli import _options as options
from grokscope.cli import _print as out


def branch(
    path: options.RunPath,
    at: Annotated[
        str,
        typer.Option(
            "--at",
            metavar="STEP|EVENT",
            help="Where it starts: a step (-1: the last), memorization, grokking, 'grokking - 320', "
            "'0.5 * grokking', or 'test_accuracy > 0.9 for 3'.",
        ),
    ],
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="a.b=c",
            help="Change a value of the experiment; repeatable. interventions=[{...}] says what is done.",
        ),
    ] = None,
    seeds: Annotated[
        str | None,
        typer.Option(
            "--seeds",
            metavar="S",
            help="Which members (0:10), with which other seeds (order=7,8 or data=+1000); pieces between "
            "semicolons. All of the run if not given.",
        ),
    ] = None,
    clock: Annotated[
        Literal["source", "zero"],
        typer.Option("--clock", help="Whether steps go on from the run's or begin anew."),
    ] = "source",
    folder: Annotated[
        Path | None,
        typer.Option(
            "--out", metavar="DIR", help="The branch's folder; runs/<task>-<identity> if not given."
        ),
    ] = None,
    plugin: options.Plugin = None,
    allow_other_numerics: options.OtherNumerics = False,
    json: options.Json = False,
) -> None:
    """Train members that start inside a run, with a changed experiment.

    Without a change they end like the run, bit for bit. Given again, it resumes or extends.
    """
    with out.json_only(json):
        from grokscope.progress import RichProgress

        run = options.opened(path, plugin)
        with RichProgress() as progress:
            branched = run.branch(
                at,
                *(set_ or ()),
                seeds=seeds,
                clock=clock,
                out=folder,
                progress=progress,
                allow_other_numerics=allow_other_numerics,
            )
        left_out = branched.origins.left_out
        if json:
            out.document(
                {
                    "run": branched.path,
                    "source": run.path,
                    "identity": branched.identity,
                    "members": len(branched.members),
                    "left_out": [{"seeds": list(seeds), "why": why} for seeds, why in left_out.items()],
                    "first_steps": branched.origins.steps,
                    "steps": branched.experiment.n_steps,
                    "complete": branched.is_complete,
                }
            )
            return
        done = "complete" if branched.is_complete else "not complete"
        first, last = branched.origins.steps.min(), branched.origins.steps.max()
        start = f"from step {first}" if first == last else f"from steps {first} to {last}"
        count, end = len(branched.members), branched.experiment.n_steps
        out.line(f"{branched.path}: {count} members, {start} to {end}, {done}")
        if left_out:
            seeds_of = [str(s.label) for s in left_out]
            shown = ", ".join(seeds_of[:8]) + (", ..." if len(seeds_of) > 8 else "")
            out.line(
                f"not branched: {len(left_out)} members (seeds {shown}): {next(iter(left_out.values()))}"
            )
