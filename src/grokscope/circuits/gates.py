"""Neurons as gates: the truth table of each neuron over all settings of the support bits.

A hidden neuron is a threshold on a weighted sum of the bits, so its table is a threshold function: it never
depends on one bit in both directions, and a gate has one sign for each bit. Formulas of gates are in
``formula.py``, pictures in ``diagram.py``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from grokscope.circuits.relu_network import ReluNetwork, as_relu_network, width_of
from grokscope.circuits.support import settings_of
from grokscope.errors import InputError

__all__ = ["TOLERANCE", "Gate", "arity", "least_weights", "opposites", "read_gates"]

# A neuron counts as silent at a setting if its activation is below this share of its largest. Training
# leaves the kinks of the neurons near settings of the bits: once a circuit has settled, activations that
# should be 0 are below 0.08 of the largest, and the next larger ones are at 0.4; in the paper's constructions
# the smallest positive one is 1/3.
TOLERANCE = 0.1


@dataclass(frozen=True, eq=False)
class Gate:
    r"""One neuron, or several with the same truth table and the same output sign.

    Attributes:
        neurons: their indices, rising.
        bits: the input bits that the table depends on, rising; empty if the table is constant.
        signs: for each of the bits, the value +1 or -1 that makes the gate fire.
        kind: ``and`` (fires at one setting of its bits; with one bit it is that bit), ``or`` (fires at all
            settings but one), or ``other``.
        output_sign: +1 or -1, the sign of the output weights.
        strength: the sum of the neurons' path norms $|u_j|\, \lVert (W_j, b_j) \rVert$.
        fires: the table, bool [setting], in the order of `settings_of` the support.
        levels: the gate's contribution to the output at each setting, [setting], with all other bits at
            their mean, 0.
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
        """Whether the gate fires at every setting: it is a constant, or a linear function of its bits."""
        return bool(self.fires.all())

    def at_least(self, support: tuple[int, ...]) -> int | None:
        """The t such that the gate fires where at least t of its bits have their sign; None without such a t.

        An ``and`` has t = number of bits, an ``or`` t = 1; a majority of three has t = 2.
        """
        if self.is_always_on or not self.bits:
            return None
        columns = [support.index(bit) for bit in self.bits]
        met = (settings_of(len(support))[:, columns] == np.array(self.signs)).sum(axis=1)
        least = int(met[self.fires].min())
        return least if bool((self.fires == (met >= least)).all()) else None

    def as_json(self) -> dict[str, object]:
        """The gate as plain values, for ``grokscope circuits --json``."""
        return {
            "neurons": list(self.neurons),
            "bits": list(self.bits),
            "signs": list(self.signs),
            "kind": self.kind,
            "output_sign": self.output_sign,
            "strength": self.strength,
        }


def read_gates(
    weights: ReluNetwork,
    bits: tuple[int, ...],
    neurons: tuple[int, ...],
    tolerance: float = TOLERANCE,
) -> tuple[tuple[Gate, ...], tuple[int, ...]]:
    r"""Read neurons as gates over the support bits.

    The activation of neuron j at each of the $2^k$ settings s of the support is
    $a = \mathrm{relu}(\sum_i W_{ij} s_i + b_j)$, with all other bits at their mean, 0. The neuron fires
    where a exceeds ``tolerance`` times its largest value. Neurons with the same table and output sign are
    one gate: where they are silent they add nothing, and elsewhere their sum is linear, so one neuron with
    weights $\sum_j |u_j| W_j$ computes the same (exactly, with tolerance 0).

    Args:
        weights: of the network.
        bits: the support.
        neurons: indices of the neurons to read.
        tolerance: at least 0 (fires where the activation is positive) and below 1.

    Returns:
        The gates, the strongest first, each followed by its strongest opposite (see `opposites`); and the
        neurons that are silent at every setting or have output weight 0.

    Example:
        >>> from grokscope.circuits.relu_network import as_relu_network
        >>> from grokscope.circuits import proposition_3
        >>> gates, _ = read_gates(as_relu_network(proposition_3(n=3)), (0, 1, 2), (1, 2, 3))
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
    """Whether one gate fires at x exactly where the other fires at -x; their output signs may differ.

    A parity of an odd number of bits is an odd function, so its gates come in opposite pairs with opposite
    output signs.
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
    """Positions of the bits that a table depends on.

    If the neuron always fires, the bits whose flip changes its activation by more than ``least``.
    """
    if fires.all():
        return tuple(int(i) for i in np.flatnonzero(2 * np.abs(w) > least))
    cube = fires.reshape((2,) * len(w))
    return tuple(i for i in range(len(w)) if (np.take(cube, 0, i) != np.take(cube, 1, i)).any())


def _merged(
    weights: ReluNetwork,
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
    """Sort gates by strength; each gate is followed by its strongest opposite."""
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


def arity(network: Any, neuron: int, x: np.ndarray) -> int:
    r"""How many of a neuron's largest incoming weights are needed to keep every prediction.

    The smallest m in 0..n such that sign f stays the same at every row of x if all but the m largest
    $|W_{ij}|$ of neuron j are set to 0 (among equal weights the lower bit is kept first; the bias stays). All
    m are tried, because predictions may differ again at m + 1. Rows with f(x) = 0 are left out; an output
    that becomes 0 counts as a different prediction.

    The official code masks other weights than intended: it compares the permutation that sorts the weights
    with a rank, which agree only if the weights are sorted already.

    Args:
        network: one hidden layer of relu, one output.
        neuron: j.
        x: inputs, [sample, bit].

    Raises:
        InputError: if the neuron does not exist, or the network cannot be read.

    Source: defined in the official code of Merrill, Tsilivis, Shukla 2023.

    Example:
        >>> from grokscope.circuits import proposition_1
        >>> from grokscope.circuits.support import settings_of
        >>> arity(proposition_1(n=5, bits=(4, 1)), 0, settings_of(5))
        2
    """
    weights = as_relu_network(network)
    p = width_of(network)
    if not 0 <= neuron < p:
        raise InputError(f"neuron {neuron}: the network has neurons 0 to {p - 1}.")
    x = np.asarray(x, dtype=np.float64).reshape(len(x), -1)
    w, b, u = weights.W[:, neuron], weights.b[neuron], weights.u[neuron]
    # summed, not f minus this neuron: the sum of the others may be exactly 0
    others = weights.only(np.arange(len(weights.u)) != neuron).outputs(x)
    return least_weights(w, b, u, x, others)


def least_weights(w: np.ndarray, b: float, u: float, x: np.ndarray, others: np.ndarray) -> int:
    """`arity` of one neuron.

    Args:
        w: incoming weights, [bit].
        b: bias.
        u: output weight.
        x: inputs, [sample, bit].
        others: what all other neurons add to the output, [sample].
    """
    f = others + np.maximum(x @ w + b, 0.0) * u
    largest = np.argsort(-np.abs(w), kind="stable")
    z = np.full(len(x), b)
    counted = f != 0
    for m in range(len(w) + 1):
        if m > 0:
            z = z + x[:, largest[m - 1]] * w[largest[m - 1]]
        masked = others + np.maximum(z, 0.0) * u
        if (np.sign(masked) == np.sign(f))[counted].all():
            return m
    return len(w)  # reached only if rounding makes the full sum differ from f
