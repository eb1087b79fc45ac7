"""Cells in training: open their stores."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from grokscope.experiment import Experiment
from grokscope.runs.same import require_same
from grokscope.starts import FromRun
from grokscope.store.allow import Allow
from grokscope.store.open import create_store
from grokscope.store.place import Place
from grokscope.store.run_store import RunStore

__all__ = ["OpenCell", "open_cell"]


@dataclass(frozen=True, eq=False)
class OpenCell:
    """A cell whose store is open for writing.

    Attributes:
        experiment: the cell's experiment.
        store: its store.
        toml: its resolved spec, as written beside the store.
    """

    experiment: Experiment
    store: RunStore
    toml: str


@contextmanager
def open_cell(
    place: Place,
    experiment: Experiment,
    numerics: dict[str, Any],
    provenance: Mapping[str, Any],
    allowed: Sequence[str],
    *,
    allow: Allow,
) -> Generator[OpenCell]:
    """Open a cell's store for writing, or create it.

    Args:
        place: the cell's folder or address.
        experiment: the cell's experiment.
        numerics: the fingerprint of this process.
        provenance: written into a new store.
        allowed: differences from the sweep's fingerprint that the user allowed; they are noted in the store.
        allow: the differences that the user accepts.

    Raises:
        InputError: if the folder holds another run, or one with other numerics or code that is not
            allowed.
        StoreError: if the store cannot be read or written.
    """
    stored = experiment
    if isinstance(place, Path) and isinstance(experiment.init, FromRun):
        stored = experiment.model_copy(update={"init": experiment.init.seen_from(place)})
    toml = stored.to_toml()
    with create_store(
        place,
        toml,
        stored.identity,
        numerics,
        provenance,
        steps_per_epoch=stored.steps_per_epoch,
        code=stored.training_code,
        exist_ok=True,
    ) as store:
        accepted = Allow(numerics=bool(allowed), code=allow.code)
        require_same(store, experiment, to="train", allow=accepted, numerics=numerics)
        if set(allowed) - set(store.notes.get("other_numerics", [])):
            with store.transaction("other numerics were allowed") as t:
                t.note_more(other_numerics=allowed)
        yield OpenCell(experiment, store, toml)
