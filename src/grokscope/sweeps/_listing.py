"""List all runs and sweeps below a folder."""

from __future__ import annotations

from pathlib import Path
from typing import TypeAlias

from grokscope.cards import html_table, plain_table
from grokscope.errors import InputError
from grokscope.progress import Progress
from grokscope.runs.folders import RunSummary, run_summaries
from grokscope.sweeps._sweep import SweepSummary, list_sweeps

__all__ = ["RunList", "list_runs"]

_HEADERS = ("run", "identity", "task", "steps", "members")
Listed: TypeAlias = RunSummary | SweepSummary


class RunList(list[Listed]):
    """Summaries of runs and sweeps; its `repr`, and its card in notebooks, is a table.

    Example:
        >>> RunList([RunSummary(Path("runs/a"), "sparse_parity", "1b2c3d4e", 5, 4, 9600)])
        run     identity  task           steps  members
        runs/a  1b2c3d4e  sparse_parity  9600   4 of 5 complete
    """

    def __repr__(self) -> str:
        return "\n".join(plain_table(*self.table())) if self else "no runs"

    def _repr_html_(self) -> str:
        return html_table(*self.table()) if self else "no runs"

    def table(self) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
        """Headers and rows of the table, as ``grokscope runs`` prints it."""
        return _HEADERS, [_row(one) for one in self]


def list_runs(folder: str | Path = "runs", progress: Progress | None = None) -> RunList:
    """Summaries of all runs, then of all sweeps, at or below a folder.

    A run or sweep that cannot be opened is listed, with the error in ``problem``.

    Args:
        folder: where to search; a missing folder ``runs`` is empty.
        progress: shown while many runs are read. Default: none.

    Raises:
        InputError: if there is no such folder.

    Example:
        >>> import tempfile
        >>> list_runs(tempfile.mkdtemp())
        no runs
    """
    place = Path(folder)
    if not place.is_dir() and place != Path("runs"):
        raise InputError(f"{place}: there is no such folder.")
    return RunList([*run_summaries(place, progress), *list_sweeps(place)])


def _row(one: Listed) -> tuple[str, ...]:
    if isinstance(one, RunSummary):
        task, done = one.task, f"{one.complete} of {one.members} complete"
    else:
        task = f"sweep of {one.task} over {', '.join(one.axes)}"
        done = f"{one.complete} of {one.cells} cells complete"
    return str(one.path), one.identity[:8], task, str(one.steps), one.problem or done
