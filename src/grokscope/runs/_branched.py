"""Where a run's members start and what is done to them, as an analyst sees it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from grokscope.spec.streams import Seeds

if TYPE_CHECKING:
    import xarray as xr

    from grokscope.experiment import Experiment
    from grokscope.store.reader import RunReader

__all__ = ["Origins"]


@dataclass(frozen=True)
class Origins:
    """Where the members of a run start and what is done to them; members in order of addition.

    Attributes:
        steps: the step at which each member starts, [member].
        source_members: the seeds of the source's member that each branches from; None without a source.
        neurons: the sets that interventions act on, bool over (seed, intervention, neuron) with coordinates
            ``at`` and ``until`` (seed, intervention); None without interventions.
        left_out: members that were asked for and do not exist: their seeds, and why.
    """

    steps: np.ndarray
    source_members: tuple[Seeds, ...] | None
    neurons: xr.DataArray | None
    left_out: dict[Seeds, str]

    @classmethod
    def read(cls, store: RunReader, experiment: Experiment) -> Origins:
        """From the store of a run."""
        rows = range(len(store.seeds))
        left_out = {Seeds(*s): str(why) for s, why, _ in store.notes.get("left_out", [])}
        leaves = {} if experiment.is_plain else store.read_origins(rows)
        if not leaves:
            return cls(np.zeros(len(rows), np.int64), None, None, left_out)
        source = [Seeds(*map(int, row)) for row in leaves["source"].tolist()]
        return cls(
            leaves["origin"].astype(np.int64),
            tuple(source) if leaves["source"].min() >= 0 else None,
            _sets(store, experiment, leaves) if experiment.interventions else None,
            left_out,
        )


def _sets(store: RunReader, experiment: Experiment, leaves: dict[str, np.ndarray]) -> xr.DataArray:
    from grokscope.store.labeled import Cohort

    labels = [item.label for item in experiment.interventions]
    labels = [name if labels.count(name) == 1 else f"{name} {i}" for i, name in enumerate(labels)]
    cohort = Cohort.of(store.seeds)

    def stacked(name: str) -> np.ndarray:
        return np.stack([leaves[f"targets/{i}/{name}"] for i in range(len(labels))], axis=1)

    sets = cohort.label(stacked("mask"), {"intervention": labels, "neuron": None}, name="neurons")
    return sets.assign_coords(
        {name: cohort.label(stacked(name), {"intervention": labels}, name=name) for name in ("at", "until")}
    )
