"""Add to a run what was computed outside it: measures, for example verdicts of proofs, and notes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from grokscope.store.open import open_store

if TYPE_CHECKING:
    import xarray as xr

    from grokscope.runs.run import Run

__all__ = ["GivenMeasures", "add_notes"]


class GivenMeasures:
    """Context manager that holds the lock of a run and writes measures to it; each write is committed.

    If the run was finished before, its checksums are written again on exit.

    Args:
        run: the run to write to.
        group: name of the group in the store; its measures share one axis of steps.

    Raises:
        StoreError: if another process writes the run, or the disk cannot be written.

    Example:
        >>> import tempfile
        >>> import grokscope as gs
        >>> run = gs.train(gs.Experiment(task={"kind": "sparse_parity", "n": 6, "k": 2, "n_train": 32},
        ...                              model={"kind": "fully_connected", "width": 8}, epochs=2),
        ...                out=tempfile.mkdtemp() + "/run")
        >>> with GivenMeasures(run, "mine") as given:
        ...     given.write([0], [2], {"my_number": np.array([[5.0]])})
        >>> gs.open_run(run.path).measures.my_number.sel(seed=0, step=2).item()
        5.0
    """

    def __init__(self, run: Run, group: str) -> None:
        self._run, self._group = run, group

    def __enter__(self) -> Self:
        self._store = open_store(self._run.path, "a")
        self._was_finished = self._store.is_finished
        return self

    def write(self, positions: Sequence[int], steps: Sequence[int], values: Mapping[str, np.ndarray]) -> None:
        """Write and commit measures.

        Args:
            positions: the members' positions in the store.
            steps: steps at which the measures were taken.
            values: measures by name, arrays [member, step].
        """
        with self._store.transaction(f"{', '.join(values)}: {len(positions)} members") as t:
            t.write_measures(self._group, positions, steps, values)

    def read(self, names: Sequence[str]) -> xr.Dataset | None:
        """The named measures of the run; None unless it has all of them."""
        known = self._store.sources()
        return self._store.read_measures(list(names)).load() if all(n in known for n in names) else None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self._was_finished:
                self._store.finish()
        finally:
            self._store.close()
            self._run.reread()


def add_notes(folder: Path, **notes: Any) -> None:
    """Add notes (JSON values) to a run, which `Run.notes` returns; those that it has are not written again.

    Raises:
        StoreError: if another process writes the run, or the disk cannot be written.
    """
    known = open_store(folder).notes
    if all(name in known and known[name] == note for name, note in notes.items()):
        return
    with open_store(folder, "a") as store:
        was_finished = store.is_finished
        with store.transaction("notes are added") as t:
            t.note(**notes)
        if was_finished:
            store.finish()
