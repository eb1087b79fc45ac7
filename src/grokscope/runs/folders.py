"""Find, open, list and verify run folders."""

from __future__ import annotations

from pathlib import Path

from grokscope.errors import GrokscopeError, StoreError
from grokscope.progress import Progress, SilentProgress
from grokscope.runs.run import Run
from grokscope.runs.summary import RunSummary, summary_of
from grokscope.store.checksums import RUN_FILES, STORE_FOLDER, Problem, check_files
from grokscope.store.folder import find_run, require_run, run_folders
from grokscope.store.open import open_store

_MANY = 100  # runs from which on reading them takes seconds, so that progress is shown

__all__ = ["RunSummary", "open_run", "run_summaries", "verify"]


def open_run(path: str | Path) -> Run:
    """Open the run in a folder, or the only run below it.

    Raises:
        InputError: if there is no run, or several.
    """
    return Run(find_run(path))


def run_summaries(folder: str | Path, progress: Progress | None = None) -> list[RunSummary]:
    """Summaries of all runs at or below a folder, and of folders that cannot be read."""
    unreadable: list[StoreError] = []
    paths = run_folders(Path(folder), unreadable=unreadable)
    summaries: list[RunSummary] = []
    shown = progress or SilentProgress()
    if len(paths) > _MANY:
        shown.start(len(paths), "reading runs")
    for path in paths:
        summaries.append(summary_of(path))
        if len(paths) > _MANY:
            shown.advance(1)
    shown.finish()
    return summaries + [RunSummary(Path(folder), problem=str(error)) for error in unreadable]


def verify(path: str | Path) -> list[Problem]:
    """The problems of a run; an empty list if it is finished and no bit has changed since.

    A finished run's files are compared with ``checksums.json`` (sha256); missing, extra and changed files are
    problems. An unfinished run has no such file: this is a problem of kind ``unfinished``, which is not
    damage, and every chunk of every array is read and compared with its crc32c.

    Raises:
        InputError: if there is no run at the path, or one from a newer format version.
    """
    folder = Path(path)
    require_run(folder)
    problems = check_files(folder)
    if any(problem.kind == "unfinished" for problem in problems):
        problems += _check_unfinished(folder)
    return problems


def _check_unfinished(folder: Path) -> list[Problem]:
    problems = [Problem(name, "missing", "is missing") for name in RUN_FILES if not (folder / name).is_file()]
    try:
        store = open_store(folder)
    except GrokscopeError as error:
        return [*problems, Problem(STORE_FOLDER, "unreadable", str(error))]
    problems += [Problem(f"{STORE_FOLDER} ({array})", "unreadable", text) for array, text in store.damage()]
    return problems
