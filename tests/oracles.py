"""Brute-force versions of what the package computes, in float64 numpy, used only by tests.

Written from the definitions, with plain loops, so that they share no idea and no fault with the fast ones.
A network is (W [bit, neuron], b [neuron], u [neuron]) with relu.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

Network = tuple[np.ndarray, np.ndarray, np.ndarray]


def sign(value: float) -> int:
    return int(value > 0) - int(value < 0)


def outputs(network: Network, x: np.ndarray, neurons: Iterable[int] | None = None) -> list[float]:
    """f(x) of every row, with only some neurons kept."""
    W, b, u = (np.asarray(a, dtype=np.float64) for a in network)
    kept = range(len(u)) if neurons is None else list(neurons)
    values = []
    for row in np.asarray(x, dtype=np.float64):
        total = 0.0
        for j in kept:
            total += u[j] * max(0.0, float(row @ W[:, j]) + b[j])
        values.append(total)
    return values


def norms(network: Network, kind: str = "incoming_norm") -> list[float]:
    W, b, u = (np.asarray(a, dtype=np.float64) for a in network)
    if kind == "incoming_norm":
        return [math.sqrt(sum(w * w for w in W[:, j])) for j in range(len(u))]
    return [abs(u[j]) * math.sqrt(sum(w * w for w in W[:, j]) + b[j] ** 2) for j in range(len(u))]


def pruning_order(network: Network, kind: str = "incoming_norm") -> list[int]:
    """Largest norm first, the lower index of equals first."""
    size = norms(network, kind)
    return sorted(range(len(size)), key=lambda j: (-size[j], j))


def effective_sparsity(
    network: Network, x: np.ndarray, order: str = "incoming_norm", share: tuple[int, int] = (1, 1)
) -> int:
    """The smallest m with sign f_m = sign f on a share (numerator, denominator) of the rows with f != 0."""
    whole = [sign(value) for value in outputs(network, x)]
    ranked = pruning_order(network, order)
    for m in range(1, len(ranked)):
        part = [sign(value) for value in outputs(network, x, ranked[:m])]
        rows = [i for i, s in enumerate(whole) if s != 0]
        agree = sum(part[i] == whole[i] for i in rows)
        if agree * share[1] >= len(rows) * share[0]:
            return m
    return len(ranked)


def effective_sparsity_accuracy(
    network: Network, x: np.ndarray, y: np.ndarray, order: str = "incoming_norm"
) -> int:
    """The smallest m for which f_m is right on as many rows with f != 0 as f is."""
    whole = [sign(value) for value in outputs(network, x)]
    rows = [i for i, s in enumerate(whole) if s != 0]
    right = sum(whole[i] == y[i] for i in rows)
    ranked = pruning_order(network, order)
    for m in range(1, len(ranked)):
        part = [sign(value) for value in outputs(network, x, ranked[:m])]
        if sum(part[i] == y[i] for i in rows) == right:
            return m
    return len(ranked)


def faithfulness(
    network: Network, x: np.ndarray, members: list[int], mean_of: np.ndarray | None = None
) -> float:
    """Share of rows with f != 0 on which the members predict the same; others at 0, or at a mean."""
    if not members:
        return math.nan
    whole, part = outputs(network, x), outputs(network, x, members)
    dropped = [j for j in range(len(network[2])) if j not in members]
    if mean_of is not None:
        constant = sum(float(np.mean(outputs(network, mean_of, [j]))) for j in dropped)
        part = [value + constant for value in part]
    rows = [i for i, value in enumerate(whole) if value != 0]
    if not rows:
        return math.nan
    return sum(sign(part[i]) == sign(whole[i]) for i in rows) / len(rows)


def kappa(network: Network, x: np.ndarray, members: list[int]) -> float:
    """Cohen's kappa from the table of both signs."""
    if not members:
        return math.nan
    whole, part = outputs(network, x), outputs(network, x, members)
    table = np.zeros((3, 3))
    for a, c in zip(whole, part, strict=True):
        if a != 0:
            table[sign(a) + 1, sign(c) + 1] += 1
    if table.sum() == 0:
        return math.nan
    table /= table.sum()
    expected = float(table.sum(axis=0) @ table.sum(axis=1))
    return math.nan if expected >= 1 else (float(np.trace(table)) - expected) / (1 - expected)


def sensitivity(network: Network, x: np.ndarray, members: list[int] | None = None) -> float:
    """Mean number of single-bit flips that change the sign."""
    if members is not None and not members:
        return math.nan
    changes = 0
    for row in np.asarray(x, dtype=np.float64):
        here = sign(outputs(network, row[None], members)[0])
        for bit in range(len(row)):
            flipped = row.copy()
            flipped[bit] = -flipped[bit]
            changes += sign(outputs(network, flipped[None], members)[0]) != here
    return changes / len(x)


def norm_matched(mask: list[bool], norm: list[float]) -> list[bool]:
    """Members by falling norm take the free outsider of closest norm."""
    members = sorted((j for j, m in enumerate(mask) if m), key=lambda j: (-norm[j], j))
    free = [j for j, m in enumerate(mask) if not m]
    taken: list[int] = []
    for j in members:
        if free:
            best = min(free, key=lambda i: (abs(norm[i] - norm[j]), i))
            free.remove(best)
            taken.append(best)
    return [j in taken for j in range(len(mask))]
