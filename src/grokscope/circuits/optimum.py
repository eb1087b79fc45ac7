r"""The least path norm of a Boolean function, between two rational bounds that a checker proves.

For labels $y(x) = \pm 1$ at the settings x of k bits, $\nu$ is the least path norm
$\sum_j |u_j| \lVert (W_j, b_j) \rVert$ of a network $f(x) = \sum_j u_j\, \mathrm{relu}(W_j \cdot x + b_j)$
of any width with margin 1, $y f \ge 1$ at every setting. It is a linear program over measures on the sphere
of neurons $v = (w, b)$, and with $\tilde x = (x, 1)$ its dual is

$$\nu = \max_{p \ge 0} \sum_x p(x) \quad\text{such that}\quad
|G(v)| \le 1 \text{ for all } \lVert v \rVert = 1, \qquad
G(v) = \sum_x p(x) y(x)\, \mathrm{relu}(v \cdot \tilde x).$$

The steps, in this file:

1. columns (neurons) are added to the program until no neuron has $|G(v)| > 1$ (`least_norm`);
2. the greatest $\pm G(v)$ is bounded on every cell of neurons that fire at the same settings, by a tree that
   splits on the settings (`Cases`, `Implied`, `Bound`), so that no cell can be left out;
3. p, the bounds and the network are rounded to fractions, and `check_least_norm` proves that $\nu$ lies
   between the two bounds, with integers alone. It trusts nothing that was computed before.

Further input bits do not lower $\nu$: see `least_path_norm`, which is $\nu$ for a parity of up to 40 bits.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from grokscope.errors import InputError

__all__ = ["Bound", "Cases", "Implied", "LeastNorm", "check_least_norm", "least_norm"]

_MOST_BITS = 6
_SCALE = 40  # fractions have the denominator 2^40, products of two of them 2^80
_TOLERANCE = 1e-9
_MOST_ROUNDS = 100
_MOST_DENOMINATOR = 100

# ---------------------------------------------------------------- the proof, and its checker


@dataclass(frozen=True)
class Cases:
    r"""Two cases of a neuron v: it fires at a setting ($v \cdot \tilde x \ge 0$), or is silent there.

    Attributes:
        setting: its position in the order of `settings_of`.
        fires, silent: the proofs in the two cases.
    """

    setting: int
    fires: Node
    silent: Node


@dataclass(frozen=True)
class Implied:
    r"""A case that the conditions so far decide: the vector of the setting is a nonnegative sum of theirs.

    Attributes:
        setting: its position.
        fires: whether a neuron fires there.
        denominator, multipliers: $d\,(\pm\tilde x) = \sum_i m_i r_i$ over the conditions
            $r_i \cdot v \ge 0$, in whole numbers.
        then: the proof, in this case.
    """

    setting: int
    fires: bool
    denominator: int
    multipliers: tuple[int, ...]
    then: Node


@dataclass(frozen=True)
class Bound:
    r"""The end of a branch: with $\pm G(v) \le z \cdot v$ on its cell, $\pm G(v) \le \lVert z \rVert$.

    $z = \sum_x \pm p(x) y(x) s(x) \tilde x + \sum_i c_i r_i$ over the conditions $r_i \cdot v \ge 0$ with
    $c_i \ge 0$. Where $\pm y(x)$ is positive, s is 1 or 0, as the branch has decided; elsewhere any s from 0
    to 1 will do, since $\mathrm{relu}(t) \ge s t$.

    Attributes:
        shares: $2^{40} s(x)$, [setting].
        multipliers: $2^{80} c_i$.
    """

    shares: tuple[int, ...]
    multipliers: tuple[int, ...]


Node = Cases | Implied | Bound
_Network = tuple[tuple[tuple[int, ...], int, int], ...]


@dataclass(frozen=True)
class LeastNorm:
    """Certified bounds on the least path norm of a Boolean function: what `least_norm` finds.

    Attributes:
        labels: y, +1 or -1 at each setting, in the order of `settings_of`.
        weights: $2^{40} p(x)$, [setting].
        proofs: upper bounds on $G(v)$ and on $-G(v)$ over all unit v.
        network: neurons (w, b, u) in whole numbers, $2^{40}$ times the weights. Scaled to margin 1 its path
            norm is at most ``upper``.
        lower, upper: the bounds.
    """

    labels: tuple[int, ...]
    weights: tuple[int, ...]
    proofs: tuple[Node, Node]
    network: _Network
    lower: Fraction
    upper: Fraction

    def __repr__(self) -> str:
        return (
            f"LeastNorm({float(self.lower):.6f} to {float(self.upper):.6f}, {len(self.labels)} settings, "
            f"{len(self.network)} neurons)"
        )


def check_least_norm(found: LeastNorm) -> tuple[Fraction, Fraction]:
    r"""Prove the bounds of a `LeastNorm` anew, in whole numbers, from its weights, proofs and network alone.

    If $|G(v)| \le B$ for all unit v, then $\sum_x p(x) \le \sum_x p(x) y(x) f(x) = \sum_j |u_j|
    \lVert v_j \rVert\, (\pm G)(v_j / \lVert v_j \rVert)$ is at most B times the path norm of any network with
    margin 1. The network is evaluated at every setting.

    Args:
        found: the result to check.

    Returns:
        The lower and the upper bound.

    Raises:
        InputError: naming the first thing that is wrong.
    """
    lower, upper = _proved(found.labels, found.weights, found.proofs, found.network)
    if (lower, upper) != (found.lower, found.upper):
        raise InputError(f"least_norm: the bounds are {float(lower):.9f} and {float(upper):.9f}.")
    return lower, upper


def _proved(
    labels: Sequence[int], weights: Sequence[int], proofs: tuple[Node, Node], network: _Network
) -> tuple[Fraction, Fraction]:
    """The bounds that these prove."""
    inputs = _inputs((len(labels) - 1).bit_length())
    if len(inputs) != len(labels) or set(labels) - {1, -1} or len(weights) != len(labels):
        raise InputError("least_norm: labels must be 1 or -1, and weights given, at every setting.")
    if min(weights) < 0 or not any(weights):
        raise InputError("least_norm: weights must be 0 or more, and not all 0.")
    chamber = _chamber(labels, weights)
    square = max(
        _greatest(node, [sign * y * p for y, p in zip(labels, weights, strict=True)], chamber, inputs)
        for sign, node in zip((1, -1), proofs, strict=True)
    )
    lower = Fraction(sum(weights) * 2**_SCALE, max(1, _root_above(square)))
    outputs = [
        y * sum(u * max(0, _dot((*w, b), x)) for w, b, u in network)
        for x, y in zip(inputs, labels, strict=True)
    ]
    if min(outputs) <= 0:
        raise InputError("least_norm: the network is wrong at a setting.")
    norm = sum(abs(u) * _root_above(_dot((*w, b), (*w, b))) for w, b, u in network)
    return lower, Fraction(norm, min(outputs))


def _greatest(
    node: Node, terms: Sequence[int], conditions: list[tuple[int, ...]], inputs: list[tuple[int, ...]]
) -> int:
    r"""The square of the greatest bound in a proof, times $2^{160}$; every step is checked.

    Args:
        node: the proof.
        terms: $2^{40} (\pm p y)$, [setting].
        conditions: vectors r with $r \cdot v \ge 0$ for all neurons.
        inputs: $(x, 1)$, [setting].
    """
    # branches are walked with a list, since a proof may be deeper than Python's stack
    greatest = 0
    todo: list[tuple[Node, list[tuple[int, ...]], dict[int, bool]]] = [(node, list(conditions), {})]
    while todo:
        node, known, decided = todo.pop()
        if isinstance(node, Bound):
            greatest = max(greatest, _bound(node, terms, known, decided, inputs))
            continue
        x = inputs[node.setting]
        silent = tuple(-entry for entry in x)
        if isinstance(node, Implied):
            vector = x if node.fires else silent
            total = _total(node.multipliers, known)
            if node.denominator < 1 or total != tuple(node.denominator * entry for entry in vector):
                raise InputError("least_norm: a condition is not implied by the others.")
            todo.append((node.then, known, {**decided, node.setting: node.fires}))
            continue
        todo.append((node.fires, [*known, x], {**decided, node.setting: True}))
        todo.append((node.silent, [*known, silent], {**decided, node.setting: False}))
    return greatest


def _bound(
    node: Bound,
    terms: Sequence[int],
    known: list[tuple[int, ...]],
    decided: dict[int, bool],
    inputs: list[tuple[int, ...]],
) -> int:
    one = 2**_SCALE
    for i, (term, share) in enumerate(zip(terms, node.shares, strict=True)):
        if term > 0 and (i not in decided or share != one * decided[i]):
            raise InputError("least_norm: a bound takes a setting as decided that is not.")
        if not 0 <= share <= one:
            raise InputError("least_norm: a share is not from 0 to 1.")
    own = _total([t * s for t, s in zip(terms, node.shares, strict=True)], inputs, signed=True)
    more = _total(node.multipliers, known)
    return sum((a + b) ** 2 for a, b in zip(own, more or (0,) * len(own), strict=True))


def _total(
    multipliers: Sequence[int], vectors: Sequence[tuple[int, ...]], *, signed: bool = False
) -> tuple[int, ...]:
    """The sum of vectors times whole numbers, which must not be negative unless ``signed``."""
    if len(multipliers) != len(vectors) or (not signed and any(m < 0 for m in multipliers)):
        raise InputError("least_norm: multipliers must be 0 or more, one for each condition.")
    return tuple(
        sum(m * e for m, e in zip(multipliers, entries, strict=True))
        for entries in zip(*vectors, strict=True)
    )


def _inputs(k: int) -> list[tuple[int, ...]]:
    """$(x, 1)$ at each setting, in the order of `settings_of`."""
    return [(*x, 1) for x in itertools.product((1, -1), repeat=k)]


def _dot(a: Sequence[int], b: Sequence[int]) -> int:
    return sum(x * y for x, y in zip(a, b, strict=True))


def _root_above(square: int) -> int:
    root = math.isqrt(square)
    return root if root * root == square else root + 1


def _chamber(labels: Sequence[int], weights: Sequence[int]) -> list[tuple[int, ...]]:
    r"""Conditions that a neuron meets after a symmetry of the problem, which keeps $|G|$.

    Bits whose exchange keeps labels and weights: $w_i \ge w_j$. A bit whose flip keeps the weights, and keeps
    or negates all labels: $w_i \ge 0$.
    """
    k = (len(labels) - 1).bit_length()
    exchanges, flips = _symmetries(labels, weights)
    rows = [tuple(int(b == i) - int(b == j) for b in range(k + 1)) for i, j in exchanges]
    return rows + [tuple(int(b == i) for b in range(k + 1)) for i, _ in flips]


def _symmetries(
    labels: Sequence[int], weights: Sequence[int] | None = None
) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Pairs of neighbors among interchangeable bits; and bits that can be flipped, with the labels' sign."""
    settings: list[tuple[int, ...]] = [x[:-1] for x in _inputs((len(labels) - 1).bit_length())]
    place = {x: i for i, x in enumerate(settings)}
    weights = [0] * len(labels) if weights is None else weights

    def sign(order: list[int]) -> int:
        """1 or -1: labels are kept or negated in this order of settings; 0: neither, or weights change."""
        if any(weights[i] != weights[j] for i, j in enumerate(order)):
            return 0
        signs = {labels[i] * labels[j] for i, j in enumerate(order)}
        return signs.pop() if len(signs) == 1 else 0

    k = len(settings[0])
    exchanges: list[tuple[int, int]] = []
    for j in range(1, k):
        for i in reversed(range(j)):  # the nearest interchangeable bit: neighbors in its class
            swapped = [place[tuple(x[{i: j, j: i}.get(b, b)] for b in range(k))] for x in settings]
            if sign(swapped) == 1:
                exchanges.append((i, j))
                break
    flips: list[tuple[int, int]] = []
    for i in range(k):
        flipped = [place[tuple(-e if b == i else e for b, e in enumerate(x))] for x in settings]
        if (s := sign(flipped)) != 0:
            flips.append((i, s))
    return exchanges, flips


# ---------------------------------------------------------------- finding it


def least_norm(labels: Any, *, tolerance: float = 1e-6) -> LeastNorm:
    r"""The least path norm of a network with margin 1 for a Boolean function, certified.

    Functions with symmetries (parities, majorities, ANDs) are quick up to 6 bits. Others take a second or so
    with 4 bits, and minutes with 5.

    Args:
        labels: the label +1 or -1 at each setting of k bits, in the order of `settings_of`; k from 1 to 6.
        tolerance: the largest relative distance of the two bounds.

    Raises:
        InputError: if the labels are none of that, or all the same; or if the bounds do not meet.

    Example:
        >>> from grokscope.circuits.support import settings_of
        >>> found = least_norm(settings_of(3).prod(axis=1))  # the parity of three bits
        >>> found
        LeastNorm(8.000000 to 8.000000, 8 settings, 8 neurons)
        >>> check_least_norm(found) == (found.lower, found.upper)
        True
    """
    array = np.asarray(labels)
    k = max(array.size - 1, 0).bit_length()
    if array.ndim != 1 or array.size != 2**k or not 1 <= k <= _MOST_BITS or not np.isin(array, (-1, 1)).all():
        raise InputError(
            f"least_norm: labels must be 1 or -1 at each of the 2^k settings, k from 1 to {_MOST_BITS}."
        )
    y = tuple(int(label) for label in array)
    program = _Program(y)
    cells = [_Cells(y, sign, program.chamber) for sign in (1, -1)]
    p = program.solve()
    for _ in range(_MOST_ROUNDS):
        gains, neurons = zip(*(one.greatest(p) for one in cells), strict=True)
        if max(gains) <= 1 + tolerance / 4:
            break
        program.add(np.concatenate(neurons))
        p = program.solve()
    weights = tuple(round(float(entry) * 2**_SCALE) for entry in p)
    plus, minus = (one.proof(np.array(weights) / 2**_SCALE) for one in cells)
    network = program.network()
    lower, upper = _proved(y, weights, (plus, minus), network)
    if upper > lower * (1 + Fraction(tolerance)):
        raise InputError(
            f"least_norm: the bounds {float(lower):.6f} and {float(upper):.6f} do not meet to {tolerance:g}."
        )
    return LeastNorm(y, weights, (plus, minus), network, lower, upper)


class _Program:
    """The linear program over a growing set of neurons, reduced by the symmetries of the labels.

    Args:
        y: the labels.
    """

    def __init__(self, y: tuple[int, ...]) -> None:
        self.y = y
        self.exchanges, self.flips = _symmetries(y)
        self.chamber = _chamber(y, [0] * len(y))
        self.x = np.array(_inputs((len(y) - 1).bit_length()), np.float64)
        k = self.x.shape[1] - 1
        orbits = {frozenset(self._images(tuple(x))) for x in self.x[:, :k].tolist()}
        place = {tuple(x): i for i, x in enumerate(self.x[:, :k].tolist())}
        self.orbits = [sorted(place[x] for x in orbit) for orbit in orbits]
        self.neurons = np.zeros((0, k + 1))
        self.u = np.zeros(0)
        grid = itertools.product((-1.0, 0.0, 1.0), repeat=k)
        self.add(np.array([(*w, float(b)) for w in grid for b in range(-k, k + 1) if any(w) or b]))

    def add(self, neurons: np.ndarray) -> None:
        """Add neurons, [neuron, k + 1]."""
        unit = neurons / np.linalg.norm(neurons, axis=1, keepdims=True)
        self.neurons = np.unique(np.concatenate([self.neurons, unit]).round(15), axis=0)

    def solve(self) -> np.ndarray:
        """The weights p, [setting], with the neurons so far."""
        from scipy.optimize import linprog

        each = np.array(self.y)[:, None] * np.maximum(self.x @ self.neurons.T, 0.0)
        rows = np.array([each[orbit].mean(axis=0) for orbit in self.orbits])
        signed = np.concatenate([rows, -rows], axis=1)
        found = linprog(np.ones(signed.shape[1]), -signed, -np.ones(len(rows)), method="highs")
        self.u = found.x[: len(self.neurons)] - found.x[len(self.neurons) :]
        p = np.zeros(len(self.y))
        for orbit, price in zip(self.orbits, -found.ineqlin.marginals, strict=True):
            p[orbit] = max(0.0, float(price)) / len(orbit)
        return p

    def network(self) -> _Network:
        """The network of the last solution: each neuron with all its images under the symmetries."""
        neurons: list[tuple[tuple[int, ...], int, int]] = []
        for (*w, b), u in zip(self.neurons.tolist(), self.u.tolist(), strict=True):
            if abs(u) > _TOLERANCE:
                images = self._images(tuple(round(entry * 2**_SCALE) for entry in w))
                each = round(u * 2**_SCALE / len(images))
                neurons += [(image, round(b * 2**_SCALE), sign * each) for image, sign in images.items()]
        return tuple(neurons)

    def _images(self, w: tuple[Any, ...]) -> dict[tuple[Any, ...], int]:
        """The images of weights (or of a setting) under the symmetries, and what they do to the labels."""
        found, todo = {w: 1}, [w]
        while todo:
            one = todo.pop()
            moved = [
                (tuple(one[{i: j, j: i}.get(b, b)] for b in range(len(one))), 1) for i, j in self.exchanges
            ]
            moved += [(tuple(-e if b == i else e for b, e in enumerate(one)), s) for i, s in self.flips]
            for image, sign in moved:
                if image not in found:
                    found[image] = sign * found[one]
                    todo.append(image)
        return found


class _Cells:
    """The cells of neurons that fire at the same settings of one label, as a tree of proofs without numbers.

    Args:
        y: the labels.
        sign: 1 to bound $G$, -1 to bound $-G$; cells are those of the settings with this label.
        chamber: conditions that hold everywhere.
    """

    def __init__(self, y: tuple[int, ...], sign: int, chamber: list[tuple[int, ...]]) -> None:
        self.y, self.sign, self.chamber = y, sign, chamber
        self.x = np.array(_inputs((len(y) - 1).bit_length()), np.float64)
        self.positive = [i for i, label in enumerate(y) if label == sign]
        self.leaves: list[tuple[np.ndarray, np.ndarray]] = []  # conditions, and which positives fire
        self.last: list[tuple[np.ndarray, np.ndarray] | None] = []
        self.root = self._grown(0, np.array(chamber, np.float64).reshape(-1, self.x.shape[1]), {})

    def _grown(self, depth: int, rows: np.ndarray, fires: dict[int, bool]) -> Any:
        """The tree below a case: (setting, fires, silent), (setting, side, d, m, then), or a leaf's place."""
        if depth == len(self.positive):
            self.leaves.append((rows, np.array([fires.get(i, False) for i in range(len(self.y))])))
            self.last.append(None)
            return len(self.leaves) - 1
        i = self.positive[depth]
        for side in (True, False):
            found = _whole_multipliers(rows, self.x[i] if side else -self.x[i])
            if found is not None:
                return (i, side, *found, self._grown(depth + 1, rows, {**fires, i: side}))
        both = [
            self._grown(depth + 1, np.concatenate([rows, [vector]]), {**fires, i: side})
            for side, vector in ((True, self.x[i]), (False, -self.x[i]))
        ]
        return (i, *both)

    def greatest(self, p: np.ndarray) -> tuple[float, np.ndarray]:
        r"""The greatest $\pm G$ of a unit neuron, and neurons that exceed 1, [neuron, k + 1]."""
        greatest, found = 0.0, [np.zeros((0, self.x.shape[1]))]
        for place in range(len(self.leaves)):
            last = self.last[place]
            if (
                last is not None
                and (bound := np.linalg.norm(self._vector(place, p, *last))) <= 1 + _TOLERANCE
            ):
                greatest = max(greatest, float(bound))
                continue
            vector = self._vector(place, p, *self._solved(place, p))
            size = float(np.linalg.norm(vector))
            greatest = max(greatest, size)
            if size > 1 + _TOLERANCE:
                found.append(vector[None])
        return greatest, np.concatenate(found)

    def proof(self, p: np.ndarray) -> Node:
        """The tree with bounds for the weights p."""
        return self._written(self.root, p)

    def _written(self, tree: Any, p: np.ndarray) -> Node:
        if isinstance(tree, int):
            shares, multipliers = self._solved(tree, p)
            return Bound(
                tuple(round(float(s) * 2**_SCALE) for s in shares),
                tuple(round(float(c) * 2 ** (2 * _SCALE)) for c in multipliers),
            )
        if len(tree) == 3:
            return Cases(tree[0], self._written(tree[1], p), self._written(tree[2], p))
        return Implied(tree[0], tree[1], tree[2], tree[3], self._written(tree[4], p))

    def _solved(self, place: int, p: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The shares and multipliers with the least bound on a cell."""
        from scipy.optimize import lsq_linear

        rows, fires = self.leaves[place]
        q = self.sign * np.array(self.y) * p
        shares = fires.astype(np.float64)
        free = np.flatnonzero(q < 0)
        columns = np.concatenate([q[free, None] * self.x[free], rows]).T
        upper = np.concatenate([np.ones(len(free)), np.full(len(rows), np.inf)])
        target = -(q * shares) @ self.x
        if columns.shape[1] and target.any():
            found = lsq_linear(columns, target, (0.0, upper), method="bvls", tol=1e-14).x
            shares[free] = np.clip(found[: len(free)], 0.0, 1.0)
            multipliers = np.maximum(found[len(free) :], 0.0)
        else:
            multipliers = np.zeros(len(rows))
        self.last[place] = (shares, multipliers)
        return shares, multipliers

    def _vector(self, place: int, p: np.ndarray, shares: np.ndarray, multipliers: np.ndarray) -> np.ndarray:
        return (self.sign * np.array(self.y) * p * shares) @ self.x + multipliers @ self.leaves[place][0]


def _whole_multipliers(rows: np.ndarray, vector: np.ndarray) -> tuple[int, tuple[int, ...]] | None:
    """Whole numbers d and m >= 0 with d times the vector = the sum of m times rows; None without."""
    from scipy.optimize import nnls

    if not len(rows):
        return None
    found, distance = nnls(rows.T, vector)
    if distance > _TOLERANCE:
        return None
    for d in range(1, _MOST_DENOMINATOR + 1):
        m = np.round(d * found)
        if np.abs(m - d * found).max() < 1e-6 and (m @ rows == d * vector).all():
            return d, tuple(int(entry) for entry in m)
    return None
