"""Finding sweeps below a folder, and looking for damage in one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from grokscope.errors import GrokscopeError
from grokscope.runs.folders import verify
from grokscope.store.checksums import Problem
from grokscope.store.folder import is_run
from grokscope.sweeps._home import CELLS, is_sweep
from grokscope.sweeps._sweep import Sweep

__all__ = ["SweepSummary", "list_sweeps", "verify_sweep"]

_DEPTH = 3


@dataclass(frozen=True)
class SweepSummary:
    """A line about a sweep.

    Attributes:
        path: its folder.
        task, identity: what it is of.
        axes: the names of its axes.
        cells, complete: how many cells were asked for, and how many of them are finished.
        members: of each cell.
        steps: the base experiment's length.
        problem: why it cannot be opened, or None.
    """

    path: Path
    task: str = ""
    identity: str = ""
    axes: tuple[str, ...] = ()
    cells: int = 0
    complete: int = 0
    members: int = 0
    steps: int = 0
    problem: str | None = None


def list_sweeps(folder: str | Path = "runs") -> list[SweepSummary]:
    """Summaries of all sweeps at or below a folder, sorted; it does not look into runs."""
    summaries: list[SweepSummary] = []
    for path in _sweep_folders(Path(folder), _DEPTH):
        try:
            sweep = Sweep(path)
            summaries.append(
                SweepSummary(
                    path,
                    sweep.experiment.task.kind,
                    sweep.identity,
                    sweep.names,
                    len(sweep.cells),
                    sweep.cells_complete,
                    len(sweep.members),
                    sweep.experiment.n_steps,
                )
            )
        except GrokscopeError as error:
            summaries.append(SweepSummary(path, problem=str(error)))
    return summaries


def verify_sweep(path: str | Path) -> list[Problem]:
    """What is wrong with the cells of a sweep; see `grokscope.runs.folders`. Files are named from its folder.

    Raises:
        InputError: if there is no sweep.
        StoreError: if its manifest is damaged.
    """
    sweep = Sweep(path)
    folder = Path(path)
    problems: list[Problem] = []
    for name in sorted(sweep.cells.values()):
        cell = folder / CELLS / name
        if not cell.is_dir():
            problems.append(Problem(f"{CELLS}/{name}", "unfinished", "has not been begun"))
            continue
        problems += [Problem(f"{CELLS}/{name}/{one.file}", one.kind, one.message) for one in verify(cell)]
    return problems


def _sweep_folders(folder: Path, depth: int) -> list[Path]:
    if is_sweep(folder):
        return [folder]
    if depth == 0 or not folder.is_dir() or is_run(folder):
        return []
    below = sorted(entry for entry in folder.iterdir() if entry.is_dir() and not entry.is_symlink())
    return [found for entry in below for found in _sweep_folders(entry, depth - 1)]
