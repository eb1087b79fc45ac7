"""The weights of the neurons that matter, over snapshots: rows of the heat map beside the competition."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from grokscope.report._arrays import packed
from grokscope.report._networks import MemberNetworks

__all__ = ["Weights", "weights_of"]

_MOST_ROWS = {0: 24, 1: 10}  # of generalizing, of memorizing neurons
_MOST_BITS = 64


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
    networks: MemberNetworks, group: np.ndarray, share: np.ndarray, support: tuple[int, ...]
) -> Weights:
    """Choose the rows and columns of one member's networks.

    Rows: the generalizing neurons with the largest share of the output at the end, and the memorizing ones
    with the largest share they ever had. Columns: the support, then the other bits; of very many those with
    the largest weights.

    Args:
        networks: with one hidden layer and one output.
        group: of each neuron, a position in ``GROUPS``.
        share: of the output, [snapshot, neuron].
        support: the task's hidden bits; empty if it does not tell.
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
    rows = np.array(sorted(neurons, key=lambda j: _place(j, group, hidden[-1], output[-1], bits, support)))
    return Weights(
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


def _place(
    j: int,
    group: np.ndarray,
    hidden: np.ndarray,
    output: np.ndarray,
    bits: np.ndarray,
    support: tuple[int, ...],
) -> tuple[int, float, tuple[bool, ...], int]:
    """Where a neuron's row stands: with those of its group and output sign that want the same signs."""
    signs = tuple(bool(hidden[bit, j] < 0) for bit in (support or bits[:3]))
    return int(group[j]), -float(np.sign(output[j])), signs, j


def _coded(values: np.ndarray) -> dict[str, Any]:
    """Numbers in 16 bits between minus and plus their largest."""
    finite = np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)
    scale = float(np.abs(finite).max(initial=0.0)) or 1.0
    return {"scale": scale, "codes": packed(np.round(finite / scale * 32767), "i2")}
