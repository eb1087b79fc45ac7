"""A run's spec as text, and the files that it names."""

from __future__ import annotations

import tempfile
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from pathlib import Path

from grokscope.experiment import Experiment
from grokscope.starts import FromRun
from grokscope.store.disk import atomic_write

__all__ = ["keep_files", "written_spec"]


@contextmanager
def written_spec(experiment: Experiment, folder: Path | None = None) -> Generator[tuple[str, list[Path]]]:
    """The spec as text, and the files that it names because they lay only in memory (a task's arrays).

    Args:
        experiment: what is written.
        folder: where it will lie; a run in which members start is named as seen from there.
    """
    if folder is not None and isinstance(experiment.init, FromRun):
        experiment = experiment.model_copy(update={"init": experiment.init.seen_from(folder)})
    with tempfile.TemporaryDirectory(prefix="grokscope-") as name:
        yield experiment.to_toml(name), sorted(Path(name).iterdir())


def keep_files(folder: Path, files: Iterable[Path]) -> None:
    """Copy such files beside the spec, where they are not there already."""
    for file in files:
        if not (folder / file.name).exists():
            atomic_write(folder / file.name, file.read_bytes())
