"""Formulas of gates and circuits as text.

Bits are written x0, x1, ..., counted from 0; ``¬x1`` is true where bit 1 is -1.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from grokscope.circuits.gates import Gate
from grokscope.circuits.support import settings_of

__all__ = ["arithmetic", "gate_formula", "literal", "logic"]

_ALIKE = 0.1  # weights within this share of their mean are written as one number


def literal(bit: int, sign: int) -> str:
    """A bit with its sign: ``x3``, or ``¬x3`` for sign -1."""
    return f"x{bit}" if sign > 0 else f"¬x{bit}"


def gate_formula(gate: Gate, support: tuple[int, ...]) -> str:
    """A gate as a Boolean formula of its bits.

    ``AND(...)``, ``OR(...)``, ``ATLEAST2(...)`` (true if two or more are true), ``1`` for a constant,
    ``LINEAR(...)`` for a gate that fires at every setting. Any other gate is an OR of ANDs, its prime
    implicants, which are unique for a threshold gate.

    Args:
        gate: the gate.
        support: of the gate's circuit.

    Example:
        >>> from grokscope.circuits.relu_network import as_relu_network
        >>> from grokscope.circuits import proposition_2
        >>> from grokscope.circuits.gates import read_gates
        >>> gates, _ = read_gates(as_relu_network(proposition_2(n=3)), (0, 1, 2), (0, 1))
        >>> [gate_formula(gate, (0, 1, 2)) for gate in gates]
        ['AND(¬x0, ¬x1, x2)', 'OR(AND(¬x0, x2), AND(¬x1, x2))']
    """
    literals = [literal(bit, sign) for bit, sign in zip(gate.bits, gate.signs, strict=True)]
    if gate.is_always_on:
        return f"LINEAR({', '.join(literals)})" if literals else "1"
    if len(literals) == 1:
        return literals[0]
    joined = ", ".join(literals)
    if gate.kind != "other":
        return f"{gate.kind.upper()}({joined})"
    least = gate.at_least(support)
    if least is not None:
        return f"ATLEAST{least}({joined})"
    terms = [
        literals[term[0]] if len(term) == 1 else f"AND({', '.join(literals[i] for i in term)})"
        for term in _prime_implicants(gate, support)
    ]
    return f"OR({', '.join(terms)})"


def logic(gates: Iterable[Gate], support: tuple[int, ...], output_bias: float = 0.0) -> str:
    """A circuit as the sign of a sum of gates without their weights (see `arithmetic` for weights)."""
    terms = [f"{'+' if gate.output_sign > 0 else '-'} {gate_formula(gate, support)}" for gate in gates]
    terms += [f"{'+' if output_bias > 0 else '-'} 1"] if terms and output_bias else []
    return f"sign({' '.join(terms).removeprefix('+ ')})" if terms else ""


def arithmetic(gates: Iterable[Gate], support: tuple[int, ...], output_bias: float = 0.0) -> str:
    """A circuit as the function that its gates compute of the support bits, other bits at their mean, 0.

    A gate whose weights are within a tenth of their mean is written with one number,
    ``1.6 relu(x0 + x1 - 1.1)``. Weights below a tenth of the largest are left out.
    """
    terms = [_rectified(gate, support) for gate in gates]
    terms += [f"{'+' if output_bias > 0 else '-'} {abs(output_bias):.3g}"] if terms and output_bias else []
    return f"f(x) = {' '.join(terms).removeprefix('+ ')}" if terms else ""


def _rectified(gate: Gate, support: tuple[int, ...]) -> str:
    """A gate's term, ``+ 1.6 relu(x0 - x1 - 1.1)``."""
    sign = "+" if gate.output_sign > 0 else "-"
    size = np.abs(gate.weight)
    large = np.flatnonzero((size > 0) & (size >= _ALIKE * size.max()))
    if gate.is_always_on and not gate.bits:
        return f"{sign} {gate.bias:.3g}"
    mean = float(size[large].mean())
    alike = float(np.abs(size[large] - mean).max()) < _ALIKE * mean
    unit = mean if alike else 1.0
    terms = [(gate.weight[i], f"{_times(size[i] / unit if not alike else 1.0)}x{support[i]}") for i in large]
    terms += [(gate.bias, f"{abs(gate.bias) / unit:.3g}")] if gate.bias else []
    body = " ".join(f"{'-' if value < 0 else '+'} {text}" for value, text in terms)
    body = f"-{body[2:]}" if body[0] == "-" else body[2:]
    return f"{sign} {_times(unit)}relu({body})"


def _times(number: float) -> str:
    """A factor with a space, ``1.6 ``; empty for 1."""
    text = f"{number:.3g}"
    return "" if text == "1" else f"{text} "


def _prime_implicants(gate: Gate, support: tuple[int, ...]) -> list[tuple[int, ...]]:
    """The minimal sets of true literals at which a gate fires, as positions among its bits."""
    settings = settings_of(len(support))
    met = settings[:, [support.index(bit) for bit in gate.bits]] == np.array(gate.signs)
    firing = {frozenset(np.flatnonzero(row).tolist()) for row in met[gate.fires]}
    # a threshold gate is monotone in its literals: a set is minimal if dropping any one literal silences it
    smallest = [term for term in firing if not any(term - {i} in firing for i in term)]
    return sorted((tuple(sorted(term)) for term in smallest), key=lambda term: (len(term), term))
