"""Folders of results: what is in one, and the run folder (format check, creation, files beside the spec).

A folder is a run once it contains ``store``, which is renamed into place last. Until then a folder
``.creating`` marks the other files as an unfinished creation, which the next one replaces.
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from grokscope.errors import InputError, StoreError
from grokscope.files import atomic_write, explain, sync_folder
from grokscope.starts import FromRun
from grokscope.store.checksums import ATTRIBUTES_FILE, CHECKSUMS_FILE, RUN_FILES, STORE_FOLDER
from grokscope.store.disk import remove_tree, walk_files
from grokscope.store.lock import LOCK_FILE, WriterLock
from grokscope.store.place import Place

if TYPE_CHECKING:
    from grokscope.experiment import Experiment

__all__ = [
    "CONTEST_FILE",
    "FORMAT_VERSION",
    "REPRODUCTION_FILE",
    "SWEEP_FILE",
    "Holding",
    "check_format",
    "find_run",
    "holding",
    "is_run",
    "keep_files",
    "lock_folder",
    "populate_folder",
    "refuse_inside_store",
    "require_run",
    "results_in",
    "run_folders",
    "runs_in",
    "sweep_folders",
    "written_spec",
]

# increased when older versions cannot read the new format
FORMAT_VERSION = 1
# files that mark folders of several runs: a sweep, a contest (of sweeps and runs), a reproduction of a paper
SWEEP_FILE, CONTEST_FILE, REPRODUCTION_FILE = "sweep.json", "contest.json", "reproduction.json"
Holding = Literal["run", "sweep", "contest", "reproduction", "other"]
_DEPTH = 3  # folder of several papers / paper / experiment
_DEEPEST = 6  # from there on: contest / tuning / contender / cells / cell
_CREATING = ".creating"
_IGNORED = {LOCK_FILE, ".DS_Store", "lost+found"}


def is_run(path: str | Path) -> bool:
    """Whether a folder contains a run, of any identity and format version."""
    return _is_dir(Path(path) / STORE_FOLDER)


def holding(path: str | Path) -> Holding:
    """What a folder is: a run, a sweep, a contest, the reproduction of a paper, or another folder.

    This is the only place that decides it.
    """
    folder = Path(path)
    if is_run(folder):
        return "run"
    marks: tuple[tuple[str, Holding], ...] = (
        (SWEEP_FILE, "sweep"),
        (CONTEST_FILE, "contest"),
        (REPRODUCTION_FILE, "reproduction"),
    )
    for file, kind in marks:
        with contextlib.suppress(PermissionError):
            if (folder / file).is_file():
                return kind
    return "other"


def results_in(folder: Path, depth: int = _DEPTH) -> list[Path]:
    """The runs, sweeps and contests at or below a folder, sorted; what is inside of them is not searched."""
    if holding(folder) in ("run", "sweep", "contest"):
        return [folder]
    return [found for below in _below(folder, depth) for found in results_in(below, depth - 1)]


def run_folders(folder: Path, depth: int = _DEPTH, unreadable: list[StoreError] | None = None) -> list[Path]:
    """The runs at or below a folder, sorted; those inside of sweeps are not searched.

    Args:
        folder: where to search.
        depth: how many folders deep.
        unreadable: gets the errors of folders that cannot be read; None: the first is raised.
    """
    if is_run(folder):
        return [folder]
    if holding(folder) == "sweep":
        return []
    below = _below(folder, depth, unreadable)
    return [found for one in below for found in run_folders(one, depth - 1, unreadable)]


def sweep_folders(folder: Path, depth: int = _DEPTH) -> list[Path]:
    """The sweeps at or below a folder, sorted; runs and folders that cannot be read are not searched."""
    if holding(folder) in ("run", "sweep"):
        return [folder] if holding(folder) == "sweep" else []
    return [found for below in _below(folder, depth, []) for found in sweep_folders(below, depth - 1)]


def runs_in(folder: Path, depth: int = _DEPTH + _DEEPEST) -> list[Path]:
    """All runs at or below a folder, sorted; also the cells of sweeps, and the runs of contests."""
    if is_run(folder):
        return [folder]
    return [found for below in _below(folder, depth) for found in runs_in(below, depth - 1)]


def _below(folder: Path, depth: int, unreadable: list[StoreError] | None = None) -> list[Path]:
    """The folders in a folder, without links and hidden ones; none at depth 0."""
    if depth == 0 or not _is_dir(folder):
        return []
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        found = explain(folder, "cannot be read", error)
        if unreadable is None:
            raise found from error
        unreadable.append(found)
        return []
    return [one for one in entries if _is_dir(one) and not one.is_symlink() and not one.name.startswith(".")]


def _is_dir(path: Path) -> bool:
    """Whether it is a folder; False where that may not be known (until Python 3.13 pathlib raises there)."""
    try:
        return path.is_dir()
    except PermissionError:
        return False


def find_run(path: str | Path) -> Path:
    """Resolve a path to a run: the folder itself, or the only run below it.

    Raises:
        InputError: if there is no run, or more than one.
    """
    folder = Path(path)
    if not is_run(folder) and folder.is_dir() and not (folder / _CREATING).is_dir():
        if holding(folder) == "sweep":
            raise InputError(f"{folder}: is a sweep, of many runs; name one below {folder / 'cells'}.")
        runs = run_folders(folder)
        if len(runs) == 1:
            folder = runs[0]
        elif runs:
            raise InputError(f"{folder}: holds {len(runs)} runs; say which: {_listed(folder, runs)}.")
        else:
            raise InputError(f"{folder}: is not a run (it has no '{STORE_FOLDER}'), and holds no run.")
    require_run(folder)
    return folder


def _listed(folder: Path, runs: list[Path]) -> str:
    """The first runs, relative to a folder."""
    names = ", ".join(str(run.relative_to(folder)) for run in runs[:8])
    return names + (", ..." if len(runs) > 8 else "")


def require_run(folder: Path) -> None:
    """Check that a folder is a run of a readable format version.

    Raises:
        InputError: if it is not a run, or has a newer format version.
        StoreError: if the folder cannot be read.
    """
    try:
        if not folder.exists():
            raise InputError(f"{folder}: there is no such folder.")
        if not folder.is_dir():
            raise InputError(f"{folder}: is a file, not a run folder.")
        if not is_run(folder):
            if (folder / _CREATING).is_dir():
                raise InputError(f"{folder}: making this run was interrupted; it is empty. Start it again.")
            raise InputError(f"{folder}: is not a run (it has no '{STORE_FOLDER}').")
        if (folder / STORE_FOLDER).is_symlink():
            raise InputError(f"{folder / STORE_FOLDER}: is a link; a run's files lie in its own folder.")
        check_format(folder, _format_of(folder))
    except OSError as error:
        raise explain(folder, "cannot be read", error) from error


def check_format(folder: Place, version: Any) -> None:
    """Raise an InputError if a format version is newer than this version of grokscope reads."""
    if isinstance(version, int) and version > FORMAT_VERSION:
        raise InputError(
            f"{folder}: is from a newer format version ({version}; this version of grokscope reads up to "
            f"{FORMAT_VERSION}). Update grokscope."
        )


def refuse_inside_store(path: Path) -> None:
    """Raise an InputError if a path lies inside the store of a run, whose files are not to be added to."""
    place = path.absolute()
    for store in (place, *place.parents):
        if store.name == STORE_FOLDER and (store / "snapshots").is_dir() and (store / "refs").is_dir():
            raise InputError(f"{path}: is inside the store of the run {store.parent}; choose another folder.")


def lock_folder(folder: Path) -> WriterLock:
    """Create a folder if needed and take its writer lock.

    Raises:
        InputError: if the path is a file or lies below one, or inside the store of a run.
        StoreError: if the folder cannot be created or written, or another process holds its lock.
    """
    refuse_inside_store(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise InputError(f"{folder}: is a file, or lies below one; choose another folder.") from None
    except OSError as error:
        raise explain(folder, "cannot be made", error) from error
    return WriterLock.acquire(folder)


def populate_folder(folder: Path, files: dict[str, str], make_store: Callable[[Path], None]) -> None:
    """Create a run in a locked folder. The run becomes visible to readers by one atomic rename.

    Args:
        folder: a locked folder (`lock_folder`), empty or left by an interrupted creation.
        files: contents of `RUN_FILES`, by name.
        make_store: creates the store at a given path.

    Raises:
        InputError: if the folder contains other files.
        StoreError: if writing fails; the folder is then as before.
    """
    creating = folder / _CREATING
    found = {entry.name for entry in os.scandir(folder)} - _IGNORED
    if found and _CREATING not in found:
        some = ", ".join(sorted(found)[:3]) + (", ..." if len(found) > 3 else "")
        raise InputError(f"{folder}: holds other files ({some}); choose an empty or a new folder.")
    try:
        contents = {name: files[name].encode() for name in RUN_FILES}
        contents[ATTRIBUTES_FILE] = b"* -text\n"
    except UnicodeEncodeError as error:
        near = error.object[max(0, error.start - 20) : error.end]
        raise InputError(
            f"{folder}: its spec names a path that is not UTF-8 text ({near!r}); rename it."
        ) from None
    try:
        remove_tree(creating)
        creating.mkdir()
        sync_folder(folder)
        for name, content in contents.items():
            atomic_write(folder / name, content)
        store = creating / STORE_FOLDER
        make_store(store)
        for file in walk_files(store):
            with file.open("rb") as stream:
                os.fsync(stream.fileno())
        store.rename(folder / STORE_FOLDER)
        sync_folder(folder)
        remove_tree(creating)
    except (OSError, StoreError) as error:
        # if this cleanup fails too, the folder `.creating` stays and marks the files as unfinished
        with contextlib.suppress(OSError):
            if not is_run(folder):
                for name in (*RUN_FILES, ATTRIBUTES_FILE, CHECKSUMS_FILE):
                    (folder / name).unlink(missing_ok=True)
                remove_tree(creating)
        raise explain(folder, "cannot be written", error) from error


def _format_of(folder: Path) -> Any:
    """The format version in ``provenance.json``; None if it cannot be read."""
    try:
        provenance: Any = json.loads((folder / RUN_FILES[1]).read_text(encoding="utf-8"))
        return provenance.get("format_version")
    except (OSError, ValueError, AttributeError, RecursionError):
        return None


@contextmanager
def written_spec(experiment: Experiment, folder: Path | None = None) -> Generator[tuple[str, list[Path]]]:
    """The spec as TOML, and temporary files of the in-memory arrays (of a task) that it names.

    Args:
        experiment: the experiment to write.
        folder: folder of the spec; the path of a source run (`FromRun`) is made relative to it.
    """
    if folder is not None and isinstance(experiment.init, FromRun):
        experiment = experiment.model_copy(update={"init": experiment.init.seen_from(folder)})
    with tempfile.TemporaryDirectory(prefix="grokscope-") as name:
        yield experiment.to_toml(name), sorted(Path(name).iterdir())


def keep_files(folder: Path, files: Iterable[Path]) -> None:
    """Copy the files of `written_spec` beside the spec, except those that exist there."""
    for file in files:
        if not (folder / file.name).exists():
            atomic_write(folder / file.name, file.read_bytes())
