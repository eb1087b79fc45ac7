"""Looking for damage in a run: by its checksums when it is finished, else by what protects itself."""

from __future__ import annotations

from pathlib import Path

from grokscope.errors import GrokscopeError
from grokscope.store.checksums import RUN_FILES, STORE_FOLDER, Problem, check_files
from grokscope.store.folder import require_run

__all__ = ["verify"]


def verify(path: str | Path) -> list[Problem]:
    """What is wrong with a run; an empty list: it is finished and not one bit has changed since.

    A finished run's files are compared with ``checksums.json`` (sha256): missing, extra and changed ones are
    found. An unfinished run has none; this is said (a problem of kind ``unfinished``, which is no damage),
    and every chunk of every array is read and compared with its crc32c.

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
    from grokscope.store.run_store import RunStore

    problems = [Problem(name, "missing", "is missing") for name in RUN_FILES if not (folder / name).is_file()]
    try:
        store = RunStore.open(folder)
    except GrokscopeError as error:
        return [*problems, Problem(STORE_FOLDER, "unreadable", str(error))]
    problems += [Problem(f"{STORE_FOLDER} ({array})", "unreadable", text) for array, text in store.damage()]
    return problems
