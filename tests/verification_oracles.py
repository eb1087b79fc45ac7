"""What verification is compared with: all inputs in rational arithmetic, and its docstrings' formulas."""

from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np

from grokscope.circuits.relu_network import ReluNetwork
from grokscope.circuits.verification.certificate import Certificate, Rounded
from grokscope.circuits.verification.problem import VerificationProblem


def exact_value(weights: ReluNetwork, x: list[int]) -> Fraction:
    """f(x) in rational arithmetic."""
    total = Fraction(0)
    for j in range(len(weights.u)):
        z = Fraction(float(weights.b[j]))
        for w, s in zip(weights.W[:, j], x, strict=True):
            z += Fraction(float(w)) * int(s)
        total += Fraction(float(weights.u[j])) * max(z, Fraction(0))
    return total


def inputs_of(problem: VerificationProblem, setting: int, fixed: np.ndarray | None = None) -> list[list[int]]:
    """All inputs of a setting, or of a subcube of it (``fixed``: +-1, or 0 where free, by other bit)."""
    found = []
    for others in itertools.product((1, -1), repeat=len(problem.others)):
        if fixed is None or all(f in (0, x) for f, x in zip(fixed, others, strict=True)):
            whole = [0] * len(problem.weights.W)
            for bit, value in zip(problem.support, problem.settings[setting], strict=True):
                whole[bit] = int(value)
            for bit, value in zip(problem.others, others, strict=True):
                whole[bit] = value
            found.append(whole)
    return found


def least(problem: VerificationProblem, setting: int, fixed: np.ndarray | None = None) -> Fraction:
    """The smallest y f(x) over a setting's inputs, or over those of a subcube."""
    y = int(problem.target[setting])
    return min(y * exact_value(problem.weights, x) for x in inputs_of(problem, setting, fixed))


def lines(center: np.ndarray, reach: np.ndarray, v: np.ndarray, share: np.ndarray) -> tuple[list, list]:
    """Slopes and values at 0 of one line below each contribution v relu(z), as certificate.py has them."""
    q, t = [], []
    for c, r, one, part in zip(center, reach, v, share, strict=True):
        low, high = c - r, c + r
        if low >= 0:
            slope, at_0 = one, 0.0
        elif high <= 0:
            slope, at_0 = 0.0, 0.0
        elif one > 0:
            slope, at_0 = part * one, 0.0
        else:
            slope = one * high / (high - low)
            at_0 = min(-slope * low, (one - slope) * high)
        q.append(slope)
        t.append(at_0)
    return q, t


def bound_of(
    problem: VerificationProblem, setting: int, fixed: np.ndarray, share: np.ndarray, *, curved: bool
) -> tuple[float, float]:
    """The bound of the lines over a subcube, and what the parabolas add, by the formulas in floats."""
    free = np.flatnonzero(fixed == 0)
    A, v = problem.A, problem.v[setting]
    center = problem.B[setting] + fixed @ A
    reach = np.abs(A[free]).sum(axis=0)
    q, t = lines(center, reach, v, share)
    slope = [sum(q[j] * A[i, j] for j in range(len(v))) for i in free]
    line = sum(q[j] * center[j] + t[j] for j in range(len(v))) - sum(map(abs, slope))
    if not curved:
        return line, 0.0
    w = [
        -t[j] / (2 * reach[j] * max(center[j] + reach[j], reach[j] - center[j])) if t[j] else 0.0
        for j in range(len(v))
    ]
    gained = sum(w[j] * (reach[j] ** 2 - (A[free, j] ** 2).sum()) for j in range(len(v)))
    for i, k in itertools.combinations(free, 2):
        gained -= 2 * abs(sum(w[j] * A[i, j] * A[k, j] for j in range(len(v))))
    return line, max(0.0, gained)


def whole_bound(rounded: Rounded, setting: int, fixed: list[int], shares: list[int], *, curved: bool) -> int:
    """The bound at a leaf in Python's whole numbers: slopes and parabolas' weights rounded down."""
    A = [[int(w) for w in row] for row in rounded.A]
    coarse = [[int(w) for w in row] for row in rounded.coarse]
    free, unit = [i for i, f in enumerate(fixed) if f == 0], 2**rounded.shift
    total, q, w = 0, [], []
    for j in range(rounded.v.shape[1]):
        v = int(rounded.v[setting, j])
        center = int(rounded.B[setting, j]) + sum(fixed[i] * A[i][j] for i in range(len(A)))
        reach = sum(abs(A[i][j]) for i in free)
        low, high = center - reach, center + reach
        slope, at_0, weight = 0, 0, 0
        if low >= 0:
            slope = v
        elif high > 0:
            slope = shares[j] * v // 255 if v > 0 else v * high // (high - low)
            if v < 0:
                slope = max(slope, v)
                at_0 = min(-slope * low, (v - slope) * high)
                weight = -at_0 // (2 * -(-reach // unit) * -(-max(high, -low) // unit))
        total += slope * center + at_0
        # (A x)^2 is at most unit^2 ((coarse x)^2 + 2 r d + d^2)
        r = sum(abs(coarse[i][j]) for i in free)
        d = -(-sum(abs(A[i][j] - unit * coarse[i][j]) for i in free) // unit)
        bulge = (reach // unit) ** 2 - 2 * r * d - d * d - sum(coarse[i][j] ** 2 for i in free)
        q.append(slope)
        w.append((weight, bulge) if bulge > 0 else (0, 0))
    total -= sum(abs(sum(q[j] * A[i][j] for j in range(len(q)))) for i in free)
    gained = sum(weight * bulge for weight, bulge in w)
    for i, k in itertools.combinations(free, 2):
        gained -= 2 * abs(sum(w[j][0] * coarse[i][j] * coarse[k][j] for j in range(len(w))))
    return total + (max(0, gained) if curved else 0)


def tree_of(
    problem: VerificationProblem, cuts: int, rng: np.random.Generator, *, curved: bool
) -> tuple[Certificate, list]:
    """A random certificate: so many cuts of random leaves; and (setting, fixed, shares) of each leaf."""
    n_settings, n_others, width = len(problem.settings), len(problem.others), problem.v.shape[1]
    bit, child = [-1] * n_settings, [[-1, -1]] * n_settings
    of = {node: (node, np.zeros(n_others)) for node in range(n_settings)}
    for _ in range(cuts):
        leaves = [node for node in of if bit[node] < 0 and (of[node][1] == 0).any()]
        if not leaves:
            break
        node = leaves[int(rng.integers(len(leaves)))]
        setting, fixed = of[node]
        at = int(rng.choice(np.flatnonzero(fixed == 0)))
        bit[node], child[node] = at, [len(bit), len(bit) + 1]
        for sign in (1, -1):
            half = fixed.copy()
            half[at] = sign
            of[len(bit)] = (setting, half)
            bit.append(-1)
            child.append([-1, -1])
    leaves = [node for node in range(len(bit)) if bit[node] < 0]
    shares = rng.integers(0, 256, (len(leaves), width)).astype(np.uint8)
    made = Certificate(np.array(bit), np.array(child), shares, curved)
    return made, [(*of[node], shares[row]) for row, node in enumerate(leaves)]


def whole_numbers(rng: np.random.Generator, n: int, width: int, most: int = 4) -> ReluNetwork:
    """A network of small whole numbers, which rounding leaves as they are."""
    W = rng.integers(-most, most + 1, (n, width)).astype(np.float64)
    b, u = (rng.integers(-most, most + 1, width).astype(np.float64) for _ in range(2))
    return ReluNetwork(W, b, u)


def any_numbers(rng: np.random.Generator, n: int, width: int) -> ReluNetwork:
    """A network of normal weights, of any size."""
    W, b, u = (rng.standard_normal(shape) for shape in ((n, width), (width,), (width,)))
    return ReluNetwork(W * 10.0 ** rng.uniform(-3, 3), b, u * 10.0 ** rng.uniform(-3, 3))
