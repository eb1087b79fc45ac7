"""The store of one cell, opened for writing: made if it is not there."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from grokscope.experiment import Experiment
from grokscope.runs.numerics import TO_TRAIN, check_numerics
from grokscope.starts import FromRun
from grokscope.store.open import create_store
from grokscope.store.place import Place
from grokscope.store.run_store import RunStore

__all__ = ["OpenCell", "open_cell"]


@dataclass
class OpenCell:
    """A cell that is being worked on.

    Attributes:
        experiment: what is trained there.
        store: open for writing.
        toml: the resolved spec, as it lies beside the store.
    """

    experiment: Experiment
    store: RunStore
    toml: str


@contextmanager
def open_cell(
    place: Place,
    experiment: Experiment,
    numerics: dict[str, Any],
    facts: Mapping[str, Any],
    allowed: Sequence[str],
) -> Generator[OpenCell]:
    """Open a cell's store for writing.

    Args:
        place: of the cell.
        experiment: what is trained there.
        numerics: the fingerprint of this process.
        facts: the provenance of a new cell.
        allowed: how the fingerprint differs from the sweep's, where that was allowed: the cell is marked.

    Raises:
        InputError: if another run is there, or it was made with other numerics and that is not allowed.
        StoreError: if the store does not let us.
    """
    asked = experiment
    if isinstance(place, Path) and isinstance(experiment.init, FromRun):
        experiment = experiment.model_copy(update={"init": experiment.init.seen_from(place)})
    toml = experiment.to_toml()
    with create_store(
        place,
        toml,
        experiment.identity,
        numerics,
        facts,
        steps_per_epoch=experiment.steps_per_epoch,
        exist_ok=True,
    ) as store:
        check_numerics(store, numerics, allow=bool(allowed), advice=TO_TRAIN)
        if allowed:
            noted = sorted({*store.notes.get("other_numerics", []), *allowed})
            if noted != store.notes.get("other_numerics"):
                with store.transaction("other numerics were allowed") as t:
                    t.note(other_numerics=noted)
        yield OpenCell(asked, store, toml)
