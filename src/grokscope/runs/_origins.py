"""Where members start and what is done to them, as it lies in the store; and the cohort that does it.

By path, arrays [member, ...]: ``origin`` (the step at which it starts), ``source`` (the seeds of the
source's member, -1 for none), ``state/...`` (the state in which it starts, where that is another run's), and
``targets/0/mask``, ... for each intervention. Nothing of it is looked up again: a run needs its source only
for new members.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from grokscope.interventions import Target
from grokscope.spec.streams import Members
from grokscope.training.cohort import Cohort
from grokscope.training.intervening import Orders

if TYPE_CHECKING:
    from grokscope.experiment import Experiment
    from grokscope.store.reader import RunReader
    from grokscope.training.devices import Execution
    from grokscope.training.loop import MemberLoop

__all__ = ["cohort_of", "origins_of", "packed_targets", "state_leaves"]

_STATE = "state/"


def packed_targets(targets: Sequence[Target]) -> dict[str, np.ndarray]:
    """Targets [member, ...] by path."""
    packed: dict[str, np.ndarray] = {}
    for i, target in enumerate(targets):
        for name in ("mask", "bits", "at", "until"):
            packed[f"targets/{i}/{name}"] = np.asarray(getattr(target, name))
        packed |= {f"targets/{i}/more/{name}": np.asarray(array) for name, array in target.more.items()}
    return packed


def unpacked_targets(leaves: dict[str, np.ndarray]) -> tuple[Target, ...]:
    """What `packed_targets` packed."""
    targets: list[Target] = []
    while f"targets/{len(targets)}/mask" in leaves:
        at = f"targets/{len(targets)}/"
        more = {
            name.removeprefix(f"{at}more/"): v for name, v in leaves.items() if name.startswith(f"{at}more/")
        }
        begin, end = (leaves[at + name].astype(np.int32) for name in ("at", "until"))
        targets.append(Target(leaves[f"{at}mask"], leaves[f"{at}bits"], begin, end, more))
    return tuple(targets)


def state_leaves(leaves: dict[str, np.ndarray]) -> dict[str, np.ndarray] | None:
    """The states in which members start, by path; None where they start fresh."""
    found = {name.removeprefix(_STATE): leaf for name, leaf in leaves.items() if name.startswith(_STATE)}
    return found or None


def origins_of(store: RunReader, rows: Sequence[int]) -> np.ndarray:
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
    orders = Orders(leaves["origin"].astype(np.int32), unpacked_targets(leaves))
    return Cohort(loop, members, execution, orders=orders, origins=state_leaves(leaves))
