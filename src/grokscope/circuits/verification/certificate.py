r"""The certificate of a lower bound, and its check in exact arithmetic. Only this file has to be trusted.

A certificate is a binary tree for each setting of the support. An inner node splits a subcube along one bit,
so the leaves cover the cube, whatever the tree is. At a leaf some of the other bits are fixed, so neuron j's
pre-activation $z_j$ lies in an interval $[l_j, h_j]$, computed from the weights. There, with $v_j = y u_j$,

$v_j\, \mathrm{relu}(z_j) \ge q_j z_j + t_j$ with

- $l_j \ge 0$: $q_j = v_j$, $t_j = 0$; $h_j \le 0$: $q_j = t_j = 0$;
- $v_j > 0$: any $q_j \in [0, v_j]$, $t_j = 0$;
- $v_j < 0$: any $q_j \in [v_j, 0]$, $t_j = \min(-q_j l_j, (v_j - q_j) h_j)$, since a concave function lies
  above a line on an interval if it does at both ends;

and the sum of these lines over all neurons is linear in the free bits, so its minimum over them is known.

A concave contribution lies further above its line inside the interval than at the ends, by a parabola:
$v_j\, \mathrm{relu}(z) \ge q_j z + t_j + w_j (z - l_j)(h_j - z)$ for
$0 \le w_j \le -t_j / ((h_j - l_j) \max(h_j, -l_j))$ (on each side of 0 the left side minus the line is
linear, not negative at the end, and $-t_j$ at 0). With $R_j = \sum |A_{ij}|$ over the free bits,
$(z - l_j)(h_j - z) = R_j^2 - (A_j \cdot x)^2$, and $x_i^2 = 1$, so all neurons together add at least
$\sum_j w_j (R_j^2 - \lVert A_j \rVert^2) - 2 \sum_{i < k} |\sum_j w_j A_{ij} A_{kj}|$ to the bound. This is
large if many neurons have different directions, because they cannot all be at an end of their intervals.

The arithmetic is on whole numbers. The weights are rounded to multiples of $2^{-a}$ and $2^{-c}$ so that
every number that can occur is whole and below $2^{53}$; float64 sums and products of such numbers are exact,
in any order. The change of the output by this rounding is bounded, and the bound is subtracted. For the
parabolas, lengths are rounded once more, to multiples of $2^s$ of these units: with coarse weights A', whose
rounding errors over the free bits sum to at most d,
$(A_j \cdot x)^2 \le 4^s ((A_j' \cdot x)^2 + 2 r d + d^2)$ with $r = \sum |A'|$.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal

import numpy as np
from jaxtyping import Float, Int, UInt8

from grokscope.circuits.verification.problem import VerificationProblem, kept_weights
from grokscope.errors import InputError

__all__ = ["SLOPES", "Certificate", "Rounded", "check_certificate", "exact_lowers", "exact_output"]

SLOPES = 255  # a slope is a multiple of v_j / SLOPES
_BITS = 52  # whole numbers stay below 2^52, half of the range that float64 holds exactly
_MOST_SHIFT = 400  # largest exponent of a power of two: no weight underflows
_ROWS = 256  # leaves at a time
Arithmetic = Literal["float64", "integers"]


@dataclass(frozen=True, eq=False)
class Certificate:
    """A cover of all inputs by subcubes, with the slopes that bound the output on each.

    Attributes:
        bit: the bit that each node is split along (a position in ``VerificationProblem.others``); -1 at a
            leaf. The first nodes are the roots, one for each setting.
        child: the child nodes for +1 and -1, [node, 2]; each comes after its parent.
        shares: at each leaf, in the order of the nodes, $q_j / v_j$ in 255ths, [leaf, neuron]; used for
            neurons with $v_j > 0$ and $l_j < 0 < h_j$.
        curved: whether parabolas are used.
    """

    bit: Int[np.ndarray, " node"]
    child: Int[np.ndarray, "node 2"]
    shares: UInt8[np.ndarray, "leaf neuron"]
    curved: bool

    @property
    def n_leaves(self) -> int:
        """The number of subcubes."""
        return int((self.bit < 0).sum())


def check_certificate(
    certificate: Certificate,
    network: Any,
    support: Any,
    *,
    target: Any = None,
    neurons: Any = None,
    arithmetic: Arithmetic = "float64",
) -> list[Fraction]:
    r"""The lower bounds of $y f(x)$ that a certificate proves, one for each setting of the support.

    Args:
        certificate: to check.
        network: as in `verify`.
        support: as in `verify`.
        target: as in `verify`.
        neurons: as in `verify`.
        arithmetic: ``float64`` (on whole numbers below $2^{53}$), or ``integers`` (Python's, of any length):
            the same bounds, about a hundred times slower.

    Raises:
        InputError: if the certificate does not fit the network, or its nodes are no tree of subcubes.

    Example:
        >>> from grokscope.circuits import proposition_2
        >>> from grokscope.circuits.verification import verify
        >>> network = proposition_2(n=40)
        >>> verdict = verify(network, (0, 1, 2))
        >>> min(check_certificate(verdict.certificate, network, (0, 1, 2), arithmetic="integers"))
        Fraction(1, 1)
    """
    problem = VerificationProblem.of(kept_weights(network, neurons), support, target)
    return exact_lowers(certificate, problem, Rounded.of(problem), arithmetic)


@dataclass(frozen=True, eq=False)
class Rounded:
    r"""The network of a problem with its weights rounded to whole numbers of a small unit.

    Attributes:
        A, B, v: as in `VerificationProblem`, of the rounded weights, as whole numbers in float64: A and B in
            units of $2^{-a}$, v in units of $2^{-c}$.
        coarse: A in units of $2^s$, rounded; whole numbers.
        shift: s.
        scale: $2^{a+c}$; the rounded network's output is a whole number divided by it.
        error: upper bound of the distance between the outputs of the two networks, over all inputs.
    """

    A: Float[np.ndarray, "other neuron"]
    B: Float[np.ndarray, "setting neuron"]
    v: Float[np.ndarray, "setting neuron"]
    coarse: Float[np.ndarray, "other neuron"]
    shift: int
    scale: Fraction
    error: Fraction

    @classmethod
    def of(cls, problem: VerificationProblem) -> Rounded:
        """Round the weights as finely as whole numbers below 2^52 allow.

        Raises:
            InputError: if the weights are too large or too small for that.
        """
        W, b, u = problem.weights
        reach = np.abs(W).sum(axis=0) + np.abs(b)
        a, c = _shifts(reach, np.abs(u), len(W) + 1)
        inner = np.rint(np.ldexp(np.vstack([W, b]), a))
        outer = np.rint(np.ldexp(u, c))
        whole_reach = np.abs(inner).sum(axis=0)
        # every number that occurs is a sum of at most three terms of this size
        largest = max(3 * float(np.abs(outer) @ whole_reach), float(whole_reach.max(initial=0.0)))
        if not largest < 2.0**_BITS:
            raise InputError("verify: the weights are too large to be rounded to whole numbers.")
        unequal = (np.ldexp(inner, -a) != np.vstack([W, b])).sum(axis=0)
        # |u relu(z) - u' relu(z')| <= |u| |z - z'| + |u - u'| |z'|, in units of 2^-(a + c + 1)
        units = 0
        for count, off, size, most in zip(
            unequal.tolist(),
            (np.ldexp(outer, -c) != u).tolist(),
            np.abs(outer).tolist(),
            whole_reach.tolist(),
            strict=True,
        ):
            units += count * (int(size) + off) + off * int(most)
        scale = Fraction(2) ** (a + c)
        settings, target = problem.settings, problem.target
        A = inner[problem.others]
        shift = _coarse_shift(np.abs(A).sum(axis=0), np.abs(outer))
        return cls(
            A=A,
            coarse=np.rint(np.ldexp(A, -shift)),
            shift=shift,
            B=settings @ inner[list(problem.support)] + inner[-1],
            v=target[:, None] * outer,
            scale=scale,
            error=Fraction(units, 2) / scale,
        )


def _shifts(reach: np.ndarray, u: np.ndarray, n_terms: int) -> tuple[int, int]:
    """The exponents a and c: as large as possible, with about equal errors of both roundings.

    Raises:
        InputError: if the exponents would be too large.
    """
    most = float(u @ reach)
    if most == 0.0:
        return 0, 0
    total = _BITS - 3 - math.frexp(most)[1]
    balance = math.log2(float(u.sum()) * n_terms / float(reach.sum()))
    a = min(round((total + balance) / 2), _BITS - 2 - math.frexp(float(reach.max()))[1])
    c = min(total - a, _BITS - 2 - math.frexp(float(u.max()))[1])
    if not (abs(a) <= _MOST_SHIFT and abs(c) <= _MOST_SHIFT):
        raise InputError("verify: the weights are too large or too small to be rounded to whole numbers.")
    return a, c


def _coarse_shift(reach: np.ndarray, u: np.ndarray) -> int:
    """The exponent s: large enough to give the parabolas' weights, about u / (4 reach) 4^s, ten bits."""
    if not (reach * u).any():
        return 0
    typical = float(np.average(np.log2(np.maximum(reach, 1.0) / np.maximum(u, 1.0)), weights=reach * u))
    return min(max(0, round((12 + typical) / 2)), 30)


def exact_lowers(
    certificate: Certificate,
    problem: VerificationProblem,
    rounded: Rounded,
    arithmetic: Arithmetic = "float64",
) -> list[Fraction]:
    """The lower bounds that a certificate proves, see `check_certificate`.

    Raises:
        InputError: if the certificate does not fit the problem, or its nodes are no tree of subcubes.
    """
    n_settings, n_others = len(problem.settings), len(problem.others)
    is_leaf = certificate.bit < 0
    if certificate.shares.shape != (is_leaf.sum(), problem.v.shape[1]) or len(is_leaf) < n_settings:
        raise InputError("certificate: it is of another network or another number of bits.")
    row = np.cumsum(is_leaf) - 1
    exact: Any = _as_integers if arithmetic == "integers" else _as_is
    leaves = _Leaves.of(rounded, exact, curved=certificate.curved)
    lowest: list[Any] = [None] * n_settings
    node = setting = np.arange(n_settings)
    fixed = np.zeros((n_settings, n_others))
    while len(node):
        ends = np.flatnonzero(is_leaf[node])
        for start in range(0, len(ends), _ROWS):
            part = ends[start : start + _ROWS]
            shares = certificate.shares[row[node[part]]].astype(np.float64)
            bounds = leaves.bounds(setting[part], exact(fixed[part]), exact(shares))
            for one, bound in zip(setting[part].tolist(), bounds.tolist(), strict=True):
                lowest[one] = bound if lowest[one] is None else min(lowest[one], bound)
        inner = ~is_leaf[node]
        node, setting, fixed = _children(certificate, node[inner], setting[inner], fixed[inner])
    return [Fraction(int(bound)) / rounded.scale - rounded.error for bound in lowest]


def _as_is(array: np.ndarray) -> np.ndarray:
    return array


def _as_integers(array: np.ndarray) -> np.ndarray:
    return array.astype(np.int64).astype(object)


def _children(
    certificate: Certificate, node: np.ndarray, setting: np.ndarray, fixed: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The two halves of each subcube."""
    rows = np.arange(len(node))
    bit, child = certificate.bit[node], certificate.child[node]
    if len(node) and (
        bit.max() >= fixed.shape[1]
        or (fixed[rows, bit] != 0).any()
        or (child <= node[:, None]).any()
        or child.max() >= len(certificate.bit)
    ):
        raise InputError("certificate: its nodes are no tree of subcubes.")
    halves = [fixed.copy(), fixed.copy()]
    halves[0][rows, bit], halves[1][rows, bit] = 1.0, -1.0
    return child.T.reshape(-1), np.concatenate([setting, setting]), np.concatenate(halves)


@dataclass(frozen=True, eq=False)
class _Leaves:
    """The arrays from which bounds at leaves are computed: whole numbers, as floats or as Python integers."""

    A: np.ndarray
    B: np.ndarray
    v: np.ndarray
    coarse: np.ndarray
    off: np.ndarray  # |A - 2^s coarse|
    unit: int  # 2^s
    pairs: np.ndarray
    products: np.ndarray | None

    @classmethod
    def of(cls, rounded: Rounded, exact: Any, *, curved: bool) -> _Leaves:
        A, coarse, unit = exact(rounded.A), exact(rounded.coarse), 2**rounded.shift
        pairs = np.array(np.triu_indices(len(A), 1))
        # squares of lengths must be exact too; without that, parabolas are not used
        farthest = np.abs(rounded.B).max(initial=0.0) + np.abs(rounded.A).sum(axis=0).max(initial=0.0)
        curved = curved and 8 * (float(farthest) / unit + len(A) + 1) ** 2 < 2.0**_BITS
        products = (coarse[pairs[0]] * coarse[pairs[1]]).T if curved else None
        off = np.abs(A - unit * coarse)
        return cls(A, exact(rounded.B), exact(rounded.v), coarse, off, unit, pairs, products)

    def bounds(self, setting: np.ndarray, fixed: np.ndarray, shares: np.ndarray) -> np.ndarray:
        """The lower bound at each leaf, a whole number; the formulas are at the top of this file."""
        free = np.where(fixed == 0, 1, 0).astype(fixed.dtype)
        center = self.B[setting] + fixed @ self.A
        reach = free @ np.abs(self.A)
        low, high = center - reach, center + reach
        v = self.v[setting]
        between = (low < 0) & (high > 0)
        chord = _floor(v * np.where(between, high, 0), np.where(between, high - low, 1))
        q = np.clip(np.where(v > 0, _floor(shares * v, SLOPES), chord), np.minimum(v, 0), np.maximum(v, 0))
        q = np.where(between, q, np.where(low >= 0, v, 0))
        t = np.where(between & (v < 0), np.minimum(-q * low, (v - q) * high), 0)
        lines = (q * center).sum(axis=1) + t.sum(axis=1) - (free * np.abs(q @ self.A.T)).sum(axis=1)
        return lines + self._parabolas(free, reach, np.maximum(high, -low), t)

    def _parabolas(self, free: np.ndarray, reach: np.ndarray, farthest: np.ndarray, t: np.ndarray) -> Any:
        """What the parabolas add to the bound, at least 0; lengths are in units of 2^s."""
        if self.products is None:
            return 0
        width = 2 * np.maximum(-_floor(-reach, self.unit), 1)
        w = _floor(-t, width * np.maximum(-_floor(-farthest, self.unit), 1))
        r = free @ np.abs(self.coarse)
        d = -_floor(-(free @ self.off), self.unit)
        bulge = _floor(reach, self.unit) ** 2 - 2 * r * d - d**2 - free @ self.coarse**2
        w = np.where(bulge > 0, w, 0)
        both = free[:, self.pairs[0]] * free[:, self.pairs[1]]
        mixed = np.abs(w @ self.products) * both
        return np.maximum((w * bulge).sum(axis=1) - 2 * mixed.sum(axis=1), 0)


def _floor(above: np.ndarray, below: Any) -> np.ndarray:
    """The quotient of whole numbers, rounded down.

    A quotient that is not whole is at least 1 / below away from the next whole number. With |above| < 2^53,
    float rounding moves it by less than that, so it is never rounded up to a whole number.
    """
    return above // below if above.dtype == object else np.floor(above / below)


def exact_output(problem: VerificationProblem, setting: int, x: np.ndarray) -> Fraction:
    """The exact value y f(x) of the network: every float is a whole number divided by a power of two.

    Args:
        problem: of the network.
        setting: of the support.
        x: the other bits, +-1.
    """
    W, b, u = problem.weights
    signed = np.vstack([W * np.array(problem.input(setting, x))[:, None], b])
    inner, inner_scale = _over_power_of_two(signed)
    outer, outer_scale = _over_power_of_two(u)
    hidden = [max(0, sum(row[j] for row in inner)) for j in range(len(u))]
    total = sum(v * h for v, h in zip(outer, hidden, strict=True))
    return Fraction(int(problem.target[setting]) * total, inner_scale * outer_scale)


def _over_power_of_two(values: np.ndarray) -> tuple[Any, int]:
    """Floats as (nested lists of) whole numbers, and the power of two that divides them all."""
    ratios = [value.as_integer_ratio() for value in values.ravel().tolist()]
    most = max((below for _, below in ratios), default=1)
    whole = [above * (most // below) for above, below in ratios]
    if values.ndim == 1:
        return whole, most
    rows, width = values.shape
    return [whole[row * width : (row + 1) * width] for row in range(rows)], most
