"""``grokscope branch``: train members that start from a state of another run."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from grokscope.cli import options
from grokscope.cli import output as out

_MOST_SEEDS = 8  # listed of the members that were left out


def branch(
    path: options.RunPath,
    at: Annotated[
        str,
        typer.Option(
            "--at",
            metavar="STEP|EVENT",
            help="Where the branch starts: a step (-1: the last), memorization, grokking, 'grokking - 320', "
            "'0.5 * grokking', or 'test_accuracy > 0.9 for 3'.",
        ),
    ],
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="a.b=c",
            help="Change a value of the experiment; repeatable. For interventions: interventions=[{...}].",
        ),
    ] = None,
    seeds: Annotated[
        str | None,
        typer.Option(
            "--seeds",
            metavar="S",
            help="Members to branch (0:10) and new seeds of streams (order=7,8 or data=+1000), separated by "
            "semicolons. Default: all members.",
        ),
    ] = None,
    clock: Annotated[
        Literal["source", "zero"],
        typer.Option("--clock", help="Count steps from the source's step, or from zero."),
    ] = "source",
    folder: options.RunFolder = None,
    plugin: options.Plugin = None,
    allow_other_numerics: options.OtherNumerics = False,
    allow_changed_code: options.ChangedCode = False,
    json: options.Json = False,
) -> None:
    """Train members that start inside another run.

    The experiment may be changed with --set; unchanged, the members end like the run, bit for bit. The same
    command again resumes or extends the branch.
    """
    with out.json_only(json):
        from grokscope.progress import RichProgress

        run = options.load_run(path, plugin)
        with RichProgress() as progress:
            branched = run.branch(
                at,
                *(set_ or ()),
                seeds=seeds,
                clock=clock,
                out=folder,
                progress=progress,
                allow_other_numerics=allow_other_numerics,
                allow_changed_code=allow_changed_code,
            )
        left_out = branched.origins.left_out
        first_steps = branched.origins.steps
        if json:
            out.document(
                {
                    "run": branched.path,
                    "source": run.path,
                    "identity": branched.identity,
                    "members": len(branched.members),
                    "left_out": [{"seeds": list(member), "why": why} for member, why in left_out.items()],
                    "first_steps": first_steps,
                    "steps": branched.experiment.n_steps,
                    "complete": branched.is_complete,
                }
            )
            return
        state = "complete" if branched.is_complete else "not complete"
        first, last = first_steps.min(), first_steps.max()
        start = f"from step {first}" if first == last else f"from steps {first} to {last}"
        count, end = len(branched.members), branched.experiment.n_steps
        out.line(f"{branched.path}: {count} members, {start} to {end}, {state}")
        if left_out:
            listed = ", ".join(str(member.label) for member in list(left_out)[:_MOST_SEEDS])
            more = ", ..." if len(left_out) > _MOST_SEEDS else ""
            reason = next(iter(left_out.values()))
            out.line(f"not branched: {len(left_out)} members (seeds {listed}{more}): {reason}")
