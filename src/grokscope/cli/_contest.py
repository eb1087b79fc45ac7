"""A contest by the command line: what ``grokscope sweep`` does with a spec of ``kind = "contest"``."""

from __future__ import annotations

import sys
from pathlib import Path

import typer

from grokscope.cli import _print as out
from grokscope.errors import InputError

# A plan that takes longer is confirmed: by --yes, or by a person.
_ASK_SECONDS = 3600.0


def contest(
    spec: Path,
    overrides: tuple[str, ...],
    seeds: str | None,
    folder: str | None,
    yes: bool,
    dry_run: bool,
    allow_other_numerics: bool,
    json: bool,
) -> None:
    """Tune every contender, compare them on fresh seeds, print the standings."""
    from grokscope import sweeps
    from grokscope.progress import RichProgress
    from grokscope.report import finish_contest
    from grokscope.statistics import format_number

    asked = sweeps.ContestSpec.from_toml(spec, overrides, seeds)
    planned = (
        f"contest of {len(asked.contenders)}: each {asked.n_settings} settings x {len(asked.tuning)} seeds, "
        f"then {len(asked.fresh)} fresh seeds; {asked.n_members} members in all"
    )
    if dry_run:
        facts = {"settings": asked.n_settings, "members": asked.n_members}
        out.document(facts) if json else out.line(planned)
        return
    place = folder or str(Path("runs") / f"{asked.base.task.kind}-contest-{asked.base.identity[:8]}")
    if place.startswith("s3://"):
        raise InputError(f"--out {place}: a contest lives in a folder of this machine.")
    with RichProgress() as progress:
        progress.plan(planned)
        done = sweeps.run_contest(
            asked,
            place,
            progress=progress,
            confirm=lambda text, seconds, always: confirm_sweep(text, seconds, yes=yes, always=always),
            allow_other_numerics=allow_other_numerics,
        )
    page = finish_contest(done)
    if json:
        out.document({"path": str(done.path), "standings": out.plain(done.standings), "report": page})
        return
    rows = [
        [
            one.name,
            sweeps.settings_text(one.chosen),
            sweeps.estimate_text(one.share),
            sweeps.estimate_text(one.step),
            "reference" if one.speedup is None else sweeps.estimate_text(one.speedup),
            format_number(one.tuned),
        ]
        for one in done.standings
    ]
    out.line(f"{done.path}: {len(rows)} contenders on {len(asked.fresh)} fresh seeds")
    out.table(["contender", "chosen", "grokked", "grokking step", "speed-up", "tuning score"], rows)
    for one in done.standings:
        if one.ends:
            out.line(f"{one.name}: {one.ends_text}")
    out.line(f"report: {page}")


def confirm_sweep(text: str, seconds: float, *, yes: bool, always: bool) -> None:
    """Ask before work of more than an hour or a huge grid; where nobody can answer, want ``--yes``."""
    from grokscope.progress import duration

    if yes or (seconds <= _ASK_SECONDS and not always):
        return
    took = text if always else f"this takes about {duration(seconds)} here"
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise InputError(f"{took}: add --yes to go on.")
    typer.confirm(f"{took}; go on?", abort=True, err=True)
