"""Origins: the stored start steps, start states and intervention targets of members.

They are arrays [member, ...] in the store: ``origin`` (the step at which the member starts), ``source`` (the
seeds of its source member, -1 without a source), ``state/...`` (its start state, if taken from another run),
and ``targets/0/mask``, ... for each intervention. With them a branch is resumed and replayed without its
source run, which is read only to add members.
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
    """Start steps, source members and intervention targets of a run's members, in order of addition.

    Attributes:
        steps: the step at which each member starts, [member].
        source_members: the seeds of each member's source member; None without a source.
        neurons: the neurons that each intervention acts on, bool over (seed, intervention, neuron) with
            coordinates ``at`` and ``until`` (seed, intervention); None without interventions. The axis
            ``neuron`` is empty if the network has not exactly one hidden layer.
        left_out: the reason for each requested member that could not start, by its seeds.
    """

    steps: np.ndarray
    source_members: tuple[Seeds, ...] | None
    neurons: xr.DataArray | None
    left_out: dict[Seeds, str]

    @classmethod
    def read(cls, store: RunReader, experiment: Experiment) -> Origins:
        """Read the origins of all members from the store of a run."""
        rows = range(len(store.seeds))
        left_out = {Seeds(*s): str(reason) for s, reason, _ in store.notes.get("left_out", [])}
        leaves = {} if experiment.is_plain else store.read_origins(rows)
        if not leaves:
            return cls(np.zeros(len(rows), np.int64), None, None, left_out)
        source = [Seeds(*map(int, row)) for row in leaves["source"].tolist()]
        return cls(
            leaves["origin"].astype(np.int64),
            tuple(source) if leaves["source"].min() >= 0 else None,
            _neuron_sets(store, experiment, leaves) if experiment.interventions else None,
            left_out,
        )


def _neuron_sets(store: RunReader, experiment: Experiment, leaves: dict[str, np.ndarray]) -> xr.DataArray:
    """`Origins.neurons` from the stored arrays."""
    from grokscope.store.labeled import MemberAxes

    targets = _unpack_targets(leaves)

    labels = [item.label for item in experiment.interventions]
    labels = [name if labels.count(name) == 1 else f"{name} {i}" for i, name in enumerate(labels)]
    axes = MemberAxes.of(store.seeds)

    def over_interventions(name: str) -> np.ndarray:
        return np.stack([getattr(target, name) for target in targets], axis=1)

    sets = axes.label(over_interventions("mask"), {"intervention": labels, "neuron": None}, name="neurons")
    return sets.assign_coords(
        {
            name: axes.label(over_interventions(name), {"intervention": labels}, name=name)
            for name in ("at", "until")
        }
    )


def pack_targets(targets: Sequence[Target]) -> dict[str, np.ndarray]:
    """The targets of all interventions as arrays [member, ...] by path."""
    packed: dict[str, np.ndarray] = {}
    for i, target in enumerate(targets):
        for name in ("mask", "bits", "at", "until"):
            array = np.asarray(getattr(target, name))
            if array.ndim == 1 or array.shape[1]:  # a network without such neurons has none to store
                packed[f"targets/{i}/{name}"] = array
        packed |= {f"targets/{i}/more/{name}": np.asarray(array) for name, array in target.more.items()}
    return packed


def _unpack_targets(leaves: dict[str, np.ndarray]) -> tuple[Target, ...]:
    """The inverse of `pack_targets`."""
    targets: list[Target] = []
    while f"targets/{len(targets)}/at" in leaves:
        at = f"targets/{len(targets)}/"
        more = {
            name.removeprefix(f"{at}more/"): v for name, v in leaves.items() if name.startswith(f"{at}more/")
        }
        begin, end = (leaves[at + name].astype(np.int32) for name in ("at", "until"))
        none = np.zeros((len(begin), 0), bool)
        mask, bits = (leaves.get(at + name, none) for name in ("mask", "bits"))
        targets.append(Target(mask, bits, begin, end, more))
    return tuple(targets)


def start_steps(store: RunReader, rows: Sequence[int]) -> np.ndarray:
    """The step at which each member starts, int64 [member]."""
    leaves = store.read_origins(rows)
    return leaves["origin"].astype(np.int64) if leaves else np.zeros(len(rows), np.int64)


def cohort_of(
    store: RunReader, experiment: Experiment, loop: MemberLoop, rows: Sequence[int], execution: Execution
) -> Cohort:
    """The cohort of some members of a run, with their stored origins.

    Args:
        store: the store of the run.
        experiment: the experiment of the run.
        loop: the functions of one member.
        rows: the members' positions in the store.
        execution: the layout on the devices.
    """
    members = Members(tuple(store.seeds[row] for row in rows))
    if experiment.is_plain:
        return Cohort(loop, members, execution)
    leaves = store.read_origins(rows)
    member_plan = MemberPlan(leaves["origin"].astype(np.int32), _unpack_targets(leaves))
    states = {name.removeprefix(_STATE): leaf for name, leaf in leaves.items() if name.startswith(_STATE)}
    return Cohort(loop, members, execution, member_plan=member_plan, initial_states=states or None)
