"""The networks behind the page: all snapshots of some members, kept by the run or trained again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from grokscope.errors import GrokscopeError

__all__ = ["MemberNetworks", "networks_of"]

# Networks that were not kept are trained again if that takes a few seconds: so many operations of the
# training's matrix products, which one core of a laptop does some 30 billion of in a second.
_REPLAY_FLOPS = 4e11
_MOST_MEMBERS = 8
_ONE_LAYER = {"hidden_weight", "hidden_bias", "output_weight"}


@dataclass(frozen=True, eq=False)
class MemberNetworks:
    """The networks of one member.

    Attributes:
        snapshots: positions in the steps that were asked for, rising.
        leaves: arrays [snapshot, ...] by name.
    """

    snapshots: np.ndarray
    leaves: dict[str, np.ndarray]


def networks_of(run: Any, steps: np.ndarray, most: int) -> tuple[dict[int, MemberNetworks], str]:
    """The networks of a run's first members, by position; and what to say where some are missing.

    All steps of the members that have kept them, or that can be trained again in a few seconds; of the
    others those steps that were kept, where they are two or more.

    Args:
        run: to read; one that has no networks gives none.
        steps: [snapshot].
        most: members, at most.
    """
    if not hasattr(run, "networks"):
        return {}, ""
    from grokscope.runs.networks import network_shapes

    shapes = network_shapes(run.experiment)
    if not shapes.keys() >= _ONE_LAYER or len(shapes["output_weight"]) != 1:
        return {}, "Weights are shown of networks with one hidden layer and one output."
    members = list(run.members)[: min(most, _MOST_MEMBERS)]
    kept = [sorted(set(map(int, steps)) & set(run.kept_steps(member))) for member in members]
    whole = [i for i, have in enumerate(kept) if len(have) == len(steps)]
    again = [i for i in range(len(members)) if i not in whole][: _affordable(run)]
    found: dict[int, MemberNetworks] = {}
    note = ""
    try:
        for rows in filter(None, (whole, again)):
            found |= _read(run, members, rows, steps, steps)
    except GrokscopeError as error:
        note = f"Weights over time are not shown: {error}"
    for i in range(len(members)):
        if i not in found and len(kept[i]) > 1:
            found |= _read(run, members, [i], np.array(kept[i]), steps)
    if not note and sum(len(one.snapshots) == len(steps) for one in found.values()) < most:
        note = (
            "Weights over time are shown of members whose networks the run has kept, or that can be trained "
            "again in seconds; train with --set schedule.snapshots=log to keep them all."
        )
    return found, note


def _read(
    run: Any, members: list[Any], rows: list[int], at: np.ndarray, steps: np.ndarray
) -> dict[int, MemberNetworks]:
    arrays = run.networks(at.tolist(), [members[i] for i in rows])
    snapshots = np.flatnonzero(np.isin(steps, at))
    return {
        i: MemberNetworks(snapshots, {name: leaf[row] for name, leaf in arrays.items()})
        for row, i in enumerate(rows)
    }


def _affordable(run: Any) -> int:
    """How many members may be trained again for the page."""
    experiment = run.experiment
    if not run.is_complete or not experiment.learner.trains:
        return 0
    task = experiment.task
    samples = task.n_train if experiment.batch_size == "full" else int(experiment.batch_size)
    flops = experiment.n_steps * samples * experiment.model.flops_per_sample(task.input_shape, task.n_outputs)
    return int(_REPLAY_FLOPS // max(flops, 1.0))
