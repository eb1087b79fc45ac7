"""Gates and circuits as formulas, for people.

Bits are written x0, x1, ... as they are counted; ``¬x1`` is true where bit 1 is -1.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from grokscope.circuits.gates import Gate
from grokscope.circuits.support import settings_of

__all__ = ["arithmetic", "gate_formula", "literal", "logic"]

_ALIKE = 0.1  # weights that differ by less than this share of their mean are written as one number


def literal(bit: int, sign: int) -> str:
    """``x3``, or ``¬x3`` for sign -1."""
    return f"x{bit}" if sign > 0 else f"¬x{bit}"


def gate_formula(gate: Gate, support: tuple[int, ...]) -> str:
    """A gate as a Boolean formula of its bits.

    ``AND(...)``, ``OR(...)``, ``ATLEAST2(...)`` (true where two or more are), ``1`` for a constant,
    ``LINEAR(...)`` for one that is always on; anything else as an OR of ANDs, which for a threshold gate is
    unique: its prime implicants.

    Args:
        gate: the gate.
        support: of the circuit it belongs to.

    Example:
        >>> from grokscope.circuits.weights import weights_of
        >>> from grokscope.circuits.constructions import proposition_2
        >>> from grokscope.circuits.gates import read_gates
        >>> gates, _ = read_gates(weights_of(proposition_2(n=3)), (0, 1, 2), (0, 1))
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
    """A circuit as the sign of a sum of gates; their weights are left out (see `arithmetic`)."""
    terms = [f"{'+' if gate.output_sign > 0 else '-'} {gate_formula(gate, support)}" for gate in gates]
    terms += [f"{'+' if output_bias > 0 else '-'} 1"] if terms and output_bias else []
    return f"sign({' '.join(terms).removeprefix('+ ')})" if terms else ""


def arithmetic(gates: Iterable[Gate], support: tuple[int, ...], output_bias: float = 0.0) -> str:
    """A circuit as the function that its gates compute on the support bits, other bits at their mean, 0.

    A gate whose weights differ by less than a tenth is written with one number, ``1.6 relu(x0 + x1 - 1.1)``;
    weights below a tenth of the largest are left out.
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
    """A factor, as ``1.6 ``; nothing for 1."""
    text = f"{number:.3g}"
    return "" if text == "1" else f"{text} "


def _prime_implicants(gate: Gate, support: tuple[int, ...]) -> list[tuple[int, ...]]:
    """The smallest sets of a gate's literals that make it fire, as positions among its bits."""
    settings = settings_of(len(support))
    met = settings[:, [support.index(bit) for bit in gate.bits]] == np.array(gate.signs)
    firing = {frozenset(np.flatnonzero(row).tolist()) for row in met[gate.fires]}
    # a threshold gate keeps firing when more literals hold, so what cannot lose one literal is smallest
    smallest = [term for term in firing if not any(term - {i} in firing for i in term)]
    return sorted((tuple(sorted(term)) for term in smallest), key=lambda term: (len(term), term))
