"""Origins: where members start and what interventions act on, as stored; and the cohort that they make.

Stored by path, arrays [member, ...]: ``origin`` (the step at which it starts), ``source`` (the seeds of the
source's member, -1 for none), ``state/...`` (the state in which it starts, where that is another run's), and
``targets/0/mask``, ... for each intervention. A run needs its source only to add members.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from grokscope.interventions import Target
from grokscope.spec.streams import Members, Seeds
from grokscope.training.cohort import Cohort
from grokscope.training.intervening import MemberPlan

if TYPE_CHECKING:
    import xarray as xr

    from grokscope.experiment import Experiment
    from grokscope.store.reader import RunReader
    from grokscope.training.devices import Execution
    from grokscope.training.loop import MemberLoop

__all__ = ["Origins", "cohort_of", "pack_targets", "start_steps"]

_STATE = "state/"


@dataclass(frozen=True)
class Origins:
    """Where the members of a run start, and which neurons interventions act on.

    Members are in order of addition.

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
    from grokscope.store.labeled import MemberAxes

    labels = [item.label for item in experiment.interventions]
    labels = [name if labels.count(name) == 1 else f"{name} {i}" for i, name in enumerate(labels)]
    axes = MemberAxes.of(store.seeds)

    def stacked(name: str) -> np.ndarray:
        return np.stack([leaves[f"targets/{i}/{name}"] for i in range(len(labels))], axis=1)

    sets = axes.label(stacked("mask"), {"intervention": labels, "neuron": None}, name="neurons")
    return sets.assign_coords(
        {name: axes.label(stacked(name), {"intervention": labels}, name=name) for name in ("at", "until")}
    )


def pack_targets(targets: Sequence[Target]) -> dict[str, np.ndarray]:
    """Arrays [member, ...] by path of the targets of all interventions."""
    packed: dict[str, np.ndarray] = {}
    for i, target in enumerate(targets):
        for name in ("mask", "bits", "at", "until"):
            packed[f"targets/{i}/{name}"] = np.asarray(getattr(target, name))
        packed |= {f"targets/{i}/more/{name}": np.asarray(array) for name, array in target.more.items()}
    return packed


def _unpack_targets(leaves: dict[str, np.ndarray]) -> tuple[Target, ...]:
    """The inverse of `pack_targets`."""
    targets: list[Target] = []
    while f"targets/{len(targets)}/mask" in leaves:
        at = f"targets/{len(targets)}/"
        more = {
            name.removeprefix(f"{at}more/"): v for name, v in leaves.items() if name.startswith(f"{at}more/")
        }
        begin, end = (leaves[at + name].astype(np.int32) for name in ("at", "until"))
        targets.append(Target(leaves[f"{at}mask"], leaves[f"{at}bits"], begin, end, more))
    return tuple(targets)


def _starting_states(leaves: dict[str, np.ndarray]) -> dict[str, np.ndarray] | None:
    """The states in which members start, by path; None where they start from fresh networks."""
    found = {name.removeprefix(_STATE): leaf for name, leaf in leaves.items() if name.startswith(_STATE)}
    return found or None


def start_steps(store: RunReader, rows: Sequence[int]) -> np.ndarray:
    """The step at which each member starts."""
    leaves = store.read_origins(rows)
    return leaves["origin"].astype(np.int64) if leaves else np.zeros(len(rows), np.int64)


def cohort_of(
    store: RunReader, experiment: Experiment, loop: MemberLoop, rows: Sequence[int], execution: Execution
) -> Cohort:
    """The cohort of some members of a run."""
    members = Members(tuple(store.seeds[row] for row in rows))
    if experiment.is_plain:
        return Cohort(loop, members, execution)
    leaves = store.read_origins(rows)
    member_plan = MemberPlan(leaves["origin"].astype(np.int32), _unpack_targets(leaves))
    return Cohort(loop, members, execution, member_plan=member_plan, initial_states=_starting_states(leaves))
