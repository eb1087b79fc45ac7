"""The networks on the page: snapshots of some members, kept or trained again, and their weights to draw."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from grokscope.errors import GrokscopeError
from grokscope.report._arrays import packed

__all__ = ["MemberNetworks", "WeightHeatMap", "networks_of", "weight_map"]

# Networks that were not kept are trained again if that takes a few seconds: so many operations of the
# training's matrix products, which one core of a laptop does some 30 billion of in a second.
_REPLAY_FLOPS = 4e11
_MOST_MEMBERS = 8
_ONE_LAYER = {"hidden_weight", "hidden_bias", "output_weight"}
_MOST_ROWS = {0: 24, 1: 10}  # of the heat map: generalizing, memorizing neurons (by position in GROUPS)
_MOST_BITS = 64


@dataclass(frozen=True, eq=False)
class MemberNetworks:
    """The networks of one member.

    Attributes:
        snapshots: positions in the requested steps, ascending.
        leaves: arrays [snapshot, ...] by name.
    """

    snapshots: np.ndarray
    leaves: dict[str, np.ndarray]


def networks_of(run: Any, steps: np.ndarray, most: int) -> tuple[dict[int, MemberNetworks], str]:
    """The networks of a run's first members, by position; and a note where some are missing.

    Of members whose networks were kept, or can be trained again in a few seconds: all steps. Of the others:
    the steps that were kept, where these are two or more.

    Args:
        run: to read; for made-up runs without networks the result is empty.
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
    starts = run.origins.steps  # a branch has no networks before its members start
    try:
        for rows in (whole, again):
            for start in sorted({int(starts[i]) for i in rows}):
                own = [i for i in rows if starts[i] == start]
                found |= _read(run, members, own, steps[steps >= start], steps)
    except GrokscopeError as error:
        note = f"Weights over time are not shown: {error}"
    for i in range(len(members)):
        if i not in found and len(kept[i]) > 1:
            found |= _read(run, members, [i], np.array(kept[i]), steps)
    n_whole = sum(len(one.snapshots) == (steps >= starts[i]).sum() for i, one in found.items())
    if not note and n_whole < most:
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
    """Number of members that may be trained again for the page."""
    experiment = run.experiment
    if not run.is_complete or not experiment.learner.trains:
        return 0
    task = experiment.task
    samples = task.n_train if experiment.batch_size == "full" else int(experiment.batch_size)
    flops = experiment.n_steps * samples * experiment.model.flops_per_sample(task.input_shape, task.n_outputs)
    return int(_REPLAY_FLOPS // max(flops, 1.0))


@dataclass(frozen=True, eq=False)
class WeightHeatMap:
    """The weights of some neurons of one member over snapshots: a heat map.

    Attributes:
        snapshots: positions in the competition's steps, [snapshot].
        neurons: [row].
        groups: of the rows, positions in ``GROUPS``.
        bits: of the columns.
        n_support: number of the first bits that are the task's hidden ones; 0 if these are not known.
        n_bits: of the inputs in all.
        hidden: incoming weights, [snapshot, row, bit].
        bias, output: [snapshot, row].
    """

    snapshots: np.ndarray
    neurons: np.ndarray
    groups: np.ndarray
    bits: np.ndarray
    n_support: int
    n_bits: int
    hidden: np.ndarray
    bias: np.ndarray
    output: np.ndarray

    def data(self) -> dict[str, Any]:
        """The numbers for the page's script."""
        return {
            "snapshots": packed(self.snapshots, "i4"),
            "neurons": self.neurons.tolist(),
            "groups": self.groups.tolist(),
            "bits": self.bits.tolist(),
            "support": self.n_support,
            "inputs": self.n_bits,
            "hidden": _coded(self.hidden),
            "bias": _coded(self.bias),
            "output": _coded(self.output),
        }


def weight_map(
    networks: MemberNetworks, group: np.ndarray, share: np.ndarray, support: tuple[int, ...]
) -> WeightHeatMap:
    """Choose the rows and columns of one member's networks.

    Rows: the generalizing neurons with the largest share of the output at the end, and the memorizing ones
    with the largest share they ever had. Columns: the support, then the other bits; of very many those with
    the largest weights.

    Args:
        networks: with one hidden layer and one output.
        group: of each neuron, a position in ``GROUPS``.
        share: of the output, [snapshot, neuron].
        support: the task's hidden bits; empty if these are not known.
    """
    last, peak = np.nan_to_num(share[-1]), np.nan_to_num(share).max(axis=0)
    neurons: list[int] = []
    for g, most in _MOST_ROWS.items():
        own = np.flatnonzero(group == g)
        neurons += own[np.argsort(-(peak if g else last)[own], kind="stable")][:most].tolist()
    if not neurons:
        neurons = np.argsort(-last, kind="stable")[: _MOST_ROWS[0]].tolist()
    hidden, bias, output = (
        networks.leaves[name] for name in ("hidden_weight", "hidden_bias", "output_weight")
    )
    n_bits = hidden.shape[1]
    rest = [bit for bit in range(n_bits) if bit not in support]
    if n_bits > _MOST_BITS:
        matter = np.abs(hidden[-1][rest][:, neurons]) @ np.abs(output[-1][neurons])
        largest = np.argsort(-matter, kind="stable")[: _MOST_BITS - len(support)]
        rest = sorted(np.array(rest)[largest].tolist())
    bits = np.array([*support, *rest])
    rows = np.array(sorted(neurons, key=lambda j: _sort_key(j, group, hidden[-1], output[-1], bits, support)))
    return WeightHeatMap(
        networks.snapshots,
        rows,
        group[rows],
        bits,
        len(support),
        n_bits,
        hidden[:, bits][:, :, rows].transpose(0, 2, 1),
        bias[:, rows],
        output[:, rows],
    )


def _sort_key(
    j: int,
    group: np.ndarray,
    hidden: np.ndarray,
    output: np.ndarray,
    bits: np.ndarray,
    support: tuple[int, ...],
) -> tuple[int, float, tuple[bool, ...], int]:
    """Order of the rows: by group, sign of the output weight, signs of the weights from the support."""
    signs = tuple(bool(hidden[bit, j] < 0) for bit in (support or bits[:3]))
    return int(group[j]), -float(np.sign(output[j])), signs, j


def _coded(values: np.ndarray) -> dict[str, Any]:
    """Numbers in 16 bits between minus and plus their largest."""
    finite = np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)
    scale = float(np.abs(finite).max(initial=0.0)) or 1.0
    return {"scale": scale, "codes": packed(np.round(finite / scale * 32767), "i2")}
