"""The weights of the neurons that matter, over snapshots: rows of the heat map beside the competition."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from grokscope.report._arrays import packed

__all__ = ["Weights", "weights_of"]

# Networks that were not kept are trained again if that takes a few seconds: products of the training's
# matrices, some 30 GFLOP/s on one core of a laptop.
_REPLAY_FLOPS = 4e11
_MOST_ROWS = {0: 24, 1: 10}  # of generalizing, of memorizing neurons
_MOST_BITS = 64
_MOST_MEMBERS = 8


@dataclass(frozen=True, eq=False)
class Weights:
    """The weights of some neurons of one member.

    Attributes:
        snapshots: positions in the competition's steps, [snapshot].
        neurons: [row].
        groups: of the rows, positions in ``GROUPS``.
        bits: of the columns.
        n_support: how many of the first bits are the task's hidden ones; 0 if it does not tell.
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
        """What the page's script is given."""
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


def weights_of(
    run: Any, steps: np.ndarray, group: np.ndarray, share: np.ndarray
) -> tuple[dict[int, Weights], str]:
    """The weights of the members' neurons that matter; and what to say where some are missing.

    All snapshots of as many members as can be trained again in a few seconds; of the others those steps
    that the run has kept, where there are at least two.

    Args:
        run: to read.
        steps: of the snapshots.
        group: of each neuron [member, neuron].
        share: of the output [member, snapshot, neuron].
    """
    members = list(run.members)[: min(len(group), _MOST_MEMBERS)]
    kept = [[int(s) for s in steps if int(s) in set(run.kept_steps(member))] for member in members]
    whole = [i for i, have in enumerate(kept) if len(have) == len(steps)]
    again = [i for i in range(len(members)) if i not in whole][: _affordable(run)]
    todo = [(rows, steps) for rows in (whole, again) if rows]
    todo += [
        ([i], np.array(kept[i])) for i in range(len(members)) if i not in whole + again and len(kept[i]) > 1
    ]
    found: dict[int, Weights] = {}
    for rows, at in todo:
        arrays = run.networks(at.tolist(), [members[i] for i in rows])
        if {"hidden_weight", "hidden_bias", "output_weight"} - arrays.keys():
            return {}, "Weights are shown of networks with one hidden layer."
        if arrays["output_weight"].ndim != 3:
            return {}, "Weights are shown of networks with one output."
        for row, i in enumerate(rows):
            leaves = {name: leaf[row] for name, leaf in arrays.items()}
            found[i] = _weights(run, i, np.flatnonzero(np.isin(steps, at)), leaves, group[i], share[i])
    note = ""
    if len(again) + len(whole) < len(group):
        note = (
            "Weights over time are shown where the run has kept them or they can be trained again in "
            "seconds; train with --set schedule.snapshots=log to keep them."
        )
    return found, note


def _affordable(run: Any) -> int:
    """How many members may be trained again for the page."""
    experiment = run.experiment
    task = experiment.task
    if not run.is_complete or not experiment.learner.trains:
        return 0
    samples = task.n_train if experiment.batch_size == "full" else int(experiment.batch_size)
    flops = experiment.n_steps * samples * experiment.model.flops_per_sample(task.input_shape, task.n_outputs)
    return int(_REPLAY_FLOPS // max(flops, 1.0))


def _weights(
    run: Any,
    i: int,
    snapshots: np.ndarray,
    leaves: dict[str, np.ndarray],
    group: np.ndarray,
    share: np.ndarray,
) -> Weights:
    """Choose rows and columns of one member's networks."""
    last, peak = share[-1], np.nanmax(np.nan_to_num(share), axis=0)
    neurons: list[int] = []
    for g, most in _MOST_ROWS.items():
        own = np.flatnonzero(group == g)
        weight = last if g == 0 else peak
        neurons += own[np.argsort(-weight[own], kind="stable")][:most].tolist()
    if not neurons:
        neurons = np.argsort(-np.nan_to_num(last), kind="stable")[: _MOST_ROWS[0]].tolist()
    support = _support(run, i)
    final, out = leaves["hidden_weight"][-1], leaves["output_weight"][-1]
    n_bits = final.shape[0]
    rest = [bit for bit in range(n_bits) if bit not in support]
    if n_bits > _MOST_BITS:
        matter = np.abs(final[rest][:, neurons]) @ np.abs(out[neurons])
        rest = sorted(
            np.array(rest)[np.argsort(-matter, kind="stable")][: _MOST_BITS - len(support)].tolist()
        )
    bits = np.array([*support, *rest])

    def place(j: int) -> tuple[int, float, tuple[bool, ...], int]:
        """Neurons that want the same signs stand together."""
        signs = tuple(bool(final[bit, j] < 0) for bit in (support or bits[:3].tolist()))
        return int(group[j]), -float(np.sign(out[j])), signs, j

    rows = np.array(sorted(neurons, key=place))
    return Weights(
        snapshots,
        rows,
        group[rows],
        bits,
        len(support),
        n_bits,
        leaves["hidden_weight"][:, bits][:, :, rows].transpose(0, 2, 1),
        leaves["hidden_bias"][:, rows],
        leaves["output_weight"][:, rows],
    )


def _support(run: Any, i: int) -> list[int]:
    """The hidden bits of a member's task; empty if the task does not tell."""
    facts = getattr(run.experiment.task, "facts", dict)()
    return [int(bit) for bit in facts.get("support") or ()]


def _coded(values: np.ndarray) -> dict[str, Any]:
    """Numbers in 16 bits between minus and plus their largest."""
    finite = np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)
    scale = float(np.abs(finite).max(initial=0.0)) or 1.0
    return {"scale": scale, "codes": packed(np.round(finite / scale * 32767), "i2")}
