"""Neurons as gates: what each says of the support bits, by its truth table over all their settings.

A hidden neuron is a threshold on a weighted sum of the bits, so its table is always a threshold function: it
never wants one bit both ways, which is why a gate has one sign per bit. Formulas are made in ``formula.py``,
pictures in ``diagram.py``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from grokscope.circuits.support import settings_of
from grokscope.circuits.weights import Weights

__all__ = ["TOLERANCE", "Gate", "opposites", "read_gates"]

# A neuron counts as silent where its activation is below this share of its largest. Training leaves the
# kinks of the neurons near settings of the bits, within 0.08 of the largest activation once a circuit has
# settled, and the next larger activations are at 0.4; in the paper's constructions the smallest is 1/3.
TOLERANCE = 0.1


@dataclass(frozen=True, eq=False)
class Gate:
    r"""One gate: a neuron, or several with the same truth table and the same output sign, as one.

    Attributes:
        neurons: which, rising.
        bits: the input bits that the table depends on, rising; none if it is constant.
        signs: for each of them +1 or -1: the value that the gate wants.
        kind: ``and`` (fires at one setting of its bits, which for one bit is the bit itself), ``or`` (fires
            at all but one), or ``other``.
        output_sign: +1 or -1, the sign of the output weights.
        strength: the sum of the neurons' path norms $|u_j|\, \lVert (W_j, b_j) \rVert$.
        fires: the table, bool [setting], in the order of `settings_of` the support.
        levels: what the gate adds to the output at each setting, [setting] (other bits at their mean, 0).
        weight: $\sum_j |u_j| W_{ij}$ of the support bits, [support bit].
        bias: $\sum_j |u_j| b_j$.
    """

    neurons: tuple[int, ...]
    bits: tuple[int, ...]
    signs: tuple[int, ...]
    kind: Literal["and", "or", "other"]
    output_sign: int
    strength: float
    fires: np.ndarray
    levels: np.ndarray
    weight: np.ndarray
    bias: float

    @property
    def is_always_on(self) -> bool:
        """Whether it fires at every setting: a constant, or a linear function of its bits."""
        return bool(self.fires.all())

    def at_least(self, support: tuple[int, ...]) -> int | None:
        """The t for which it fires where at least t of its bits have the wanted value; None if there is none.

        ``and`` has t = number of bits, ``or`` t = 1; a majority of three has t = 2.
        """
        if self.is_always_on or not self.bits:
            return None
        columns = [support.index(bit) for bit in self.bits]
        met = (settings_of(len(support))[:, columns] == np.array(self.signs)).sum(axis=1)
        least = int(met[self.fires].min())
        return least if bool((self.fires == (met >= least)).all()) else None

    def as_json(self) -> dict[str, object]:
        """The gate as plain values, as ``grokscope circuits --json`` has it."""
        return {
            "neurons": list(self.neurons),
            "bits": list(self.bits),
            "signs": list(self.signs),
            "kind": self.kind,
            "output_sign": self.output_sign,
            "strength": self.strength,
        }


def read_gates(
    weights: Weights,
    bits: tuple[int, ...],
    neurons: tuple[int, ...],
    tolerance: float = TOLERANCE,
) -> tuple[tuple[Gate, ...], tuple[int, ...]]:
    r"""The gates that neurons make of the support bits, and the neurons that make none.

    For each neuron j and each of the $2^k$ settings s of the support: the activation
    $a = \mathrm{relu}(\sum_i W_{ij} s_i + b_j)$ with the other bits at their mean, 0. It fires where a
    exceeds ``tolerance`` times its largest value. Neurons with the same table and output sign are one gate:
    where they are silent together they add nothing, and elsewhere their sum is linear, so one neuron with
    weights $\sum_j |u_j| W_j$ does what they do (exactly so with tolerance 0). Opposites, see `opposites`,
    stand next to each other, and the strongest first.

    Args:
        weights: of the network.
        bits: the support.
        neurons: which to read.
        tolerance: from 0 (fires wherever the activation is positive) to below 1.

    Returns:
        The gates; and the neurons that are silent at every setting, or have output weight 0.

    Example:
        >>> from grokscope.circuits.weights import weights_of
        >>> from grokscope.circuits.constructions import proposition_3
        >>> gates, _ = read_gates(weights_of(proposition_3(n=3)), (0, 1, 2), (1, 2, 3))
        >>> [(gate.neurons, gate.kind, gate.signs, gate.output_sign) for gate in gates]
        [((1,), 'and', (1, 1, 1), 1), ((3,), 'and', (-1, -1, -1), -1), ((2,), 'other', (1, 1, 1), -1)]
    """
    settings = settings_of(len(bits))
    read: dict[tuple[int, bytes, tuple[int, ...], tuple[int, ...]], list[int]] = {}
    tables: dict[bytes, np.ndarray] = {}
    silent: list[int] = []
    for j in sorted(neurons):
        w, u = weights.W[list(bits), j], weights.u[j]
        activation = np.maximum(settings @ w + weights.b[j], 0.0)
        if activation.max() <= 0 or u == 0:
            silent.append(j)
            continue
        fires = activation > tolerance * activation.max()
        columns = _needed(fires, w, tolerance * activation.max())
        signs = tuple(int(np.sign(w[i])) for i in columns)
        read.setdefault((int(np.sign(u)), fires.tobytes(), columns, signs), []).append(j)
        tables[fires.tobytes()] = fires
    gates = [
        _merged(weights, bits, members, tables[table], columns, signs, output_sign)
        for (output_sign, table, columns, signs), members in read.items()
    ]
    return _in_order(gates), tuple(silent)


def opposites(one: Gate, other: Gate) -> bool:
    """Whether each does at x what the other does at -x (their output signs may be alike or not).

    A parity of an odd number of bits is an odd function, so there they come in pairs of opposite output
    signs.
    """
    return (
        one is not other
        and one.kind == other.kind
        and one.bits == other.bits
        and bool(one.bits)
        and one.signs == tuple(-sign for sign in other.signs)
        # negating a setting reverses its place in the list
        and bool((one.fires == other.fires[::-1]).all())
    )


def _needed(fires: np.ndarray, w: np.ndarray, least: float) -> tuple[int, ...]:
    """The positions of the bits that a table depends on; of one that always fires, those that move it."""
    if fires.all():
        return tuple(int(i) for i in np.flatnonzero(2 * np.abs(w) > least))
    cube = fires.reshape((2,) * len(w))
    return tuple(i for i in range(len(w)) if (np.take(cube, 0, i) != np.take(cube, 1, i)).any())


def _merged(
    weights: Weights,
    bits: tuple[int, ...],
    members: list[int],
    fires: np.ndarray,
    columns: tuple[int, ...],
    signs: tuple[int, ...],
    output_sign: int,
) -> Gate:
    size = np.abs(weights.u[members])
    support = weights.W[np.ix_(list(bits), members)]
    settings = settings_of(len(bits))
    activations = np.maximum(settings @ support + weights.b[members], 0.0)
    share = fires.mean() * 2 ** len(columns)  # settings of its own bits at which it fires
    kind: Literal["and", "or", "other"] = "other"
    if columns and not fires.all():
        kind = "and" if share == 1 else "or" if share == 2 ** len(columns) - 1 else "other"
    return Gate(
        neurons=tuple(members),
        bits=tuple(bits[i] for i in columns),
        signs=signs,
        kind=kind,
        output_sign=output_sign,
        strength=float(weights.path_norm[members].sum()),
        fires=fires,
        levels=output_sign * (activations @ size),
        weight=support @ size,
        bias=float(weights.b[members] @ size),
    )


def _in_order(gates: list[Gate]) -> tuple[Gate, ...]:
    """The strongest first, each followed by its strongest opposite."""
    left = sorted(gates, key=lambda gate: -gate.strength)
    ordered: list[Gate] = []
    while left:
        gate = left.pop(0)
        ordered.append(gate)
        mirror = next((other for other in left if opposites(gate, other)), None)
        if mirror is not None:
            left.remove(mirror)
            ordered.append(mirror)
    return tuple(ordered)
