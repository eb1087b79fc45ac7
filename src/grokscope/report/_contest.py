"""The page of a contest: how the contenders did on fresh seeds, and their curves over each other."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grokscope.report._page import write_page
from grokscope.report._views import view_of
from grokscope.statistics import format_number
from grokscope.sweeps import estimate_text, settings_text

if TYPE_CHECKING:
    from grokscope.sweeps import Contest, Standing

__all__ = ["contest_parts", "ends_text", "finish_contest", "standing_text"]


def finish_contest(contest: Contest, to: Path | None = None) -> Path:
    """Write the page of a contest, into its folder where no other place is given.

    Raises:
        StoreError: if it cannot be written.
    """
    command = f"grokscope report {shlex.quote(str(contest.path))}"
    return write_page(
        to or contest.path / "report.html",
        contest.experiment.name or contest.path.name,
        kicker="grokscope contest",
        lead=_lead(contest),
        command=command,
        **contest_parts(contest),
    )


def contest_parts(contest: Contest) -> dict[str, Any]:
    """What a page shows of a contest: the standings, and the runs on the fresh seeds."""
    rows = [(one.name, standing_text(one)) for one in contest.standings]
    views = [view_of(run, name, with_networks=False) for name, run in contest.runs.items()]
    return {"tables": [("Standings on fresh seeds", rows)], "views": views, "overlay": True}


def standing_text(one: Standing) -> str:
    """How a contender did, in a line."""
    versus = "the reference" if one.speedup is None else f"speed-up {estimate_text(one.speedup)}"
    return (
        f"{versus}; grokked {estimate_text(one.share)}; median step {estimate_text(one.step)}; "
        f"chosen: {settings_text(one.chosen)} (tuning score {format_number(one.tuned)} steps)"
        + (f"; {ends_text(one)}" if one.ends else "")
    )


def ends_text(one: Standing) -> str:
    """Which numbers of the chosen setting are at an end of what was tried."""
    return f"at an end of what was tried, so that a better one may lie beyond: {', '.join(one.ends)}"


def _lead(contest: Contest) -> str:
    first = next(iter(contest.tuning.values()))
    run = next(iter(contest.runs.values()))
    return (
        f"{len(contest.contenders)} contenders, each tuned over {len(first.cells)} settings on "
        f"{len(first.members)} seeds and compared on {len(run.members)} fresh ones. Speed-ups: the "
        "reference's grokking step over the contender's own, paired on seeds."
    )
