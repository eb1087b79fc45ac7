"""Binary operators on residues mod p: addition, division and the polynomials of Power et al."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import numpy as np
from pydantic import Field, model_validator

from grokscope.tasks.pairs import OperatorTable, Pairs

__all__ = ["FORMULAS", "CyclicOrder", "ModularOperator"]

Name = Literal[
    "addition",
    "subtraction",
    "multiplication",
    "division",
    "division_or_subtraction",
    "sum_of_squares",
    "square_of_sum",
    "quadratic",
    "quadratic_plus_x",
    "cubic_plus_xy",
    "cubic_plus_xy2_plus_y",
]


class _Operator(NamedTuple):
    formula: str
    function: Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]  # of x, y and the inverse of y
    inverts: bool = False
    allows_zero: bool = True


_OPERATORS: dict[str, _Operator] = {
    "addition": _Operator("x + y", lambda x, y, _: x + y),
    "subtraction": _Operator("x - y", lambda x, y, _: x - y),
    "multiplication": _Operator("x y", lambda x, y, _: x * y),
    "division": _Operator("x / y, y != 0", lambda x, y, i: x * i, inverts=True, allows_zero=False),
    "division_or_subtraction": _Operator(
        "x / y for odd y, else x - y", lambda x, y, i: np.where(y % 2, x * i, x - y), inverts=True
    ),
    "sum_of_squares": _Operator("x^2 + y^2", lambda x, y, _: x**2 + y**2),
    "square_of_sum": _Operator("(x + y)^2", lambda x, y, _: (x + y) ** 2),
    "quadratic": _Operator("x^2 + x y + y^2", lambda x, y, _: x**2 + x * y + y**2),
    "quadratic_plus_x": _Operator("x^2 + x y + y^2 + x", lambda x, y, _: x**2 + x * y + y**2 + x),
    "cubic_plus_xy": _Operator("x^3 + x y", lambda x, y, _: x**3 + x * y),
    "cubic_plus_xy2_plus_y": _Operator("x^3 + x y^2 + y", lambda x, y, _: x**3 + x * y**2 + y),
}
FORMULAS = {name: operator.formula for name, operator in _OPERATORS.items()}


class CyclicOrder(NamedTuple):
    """An order of residues in which an operator is addition or subtraction of their indices mod m.

    Attributes:
        residues: the m residues: all in their order for addition and subtraction; the powers of the smallest
            generator for multiplication and division modulo a prime, by which the index of a residue is its
            discrete logarithm. 0 has none and is left out.
        sign: 1 for addition and multiplication, -1 for subtraction and division.
        places: the coordinates of these residues in a flattened input, as the first and as the second
            operand.

    Example:
        >>> order = ModularOperator(operator="multiplication", p=5).cyclic_order
        >>> order.residues.tolist(), order.sign  # 2^0, 2^1, 2^2, 2^3 mod 5
        ([1, 2, 4, 3], 1)
    """

    residues: np.ndarray
    sign: int
    places: tuple[np.ndarray, np.ndarray]


class ModularOperator(Pairs):
    r"""Modular arithmetic: $c = a \circ b \bmod p$ for a, b from 0 to p - 1 (b > 0 for division).

    Operators: ``addition`` $x + y$, ``subtraction`` $x - y$, ``multiplication`` $x y$, ``division`` $x / y$,
    ``division_or_subtraction`` ($x / y$ where y is odd, else $x - y$), ``sum_of_squares`` $x^2 + y^2$,
    ``square_of_sum`` $(x + y)^2$, ``quadratic`` $x^2 + x y + y^2$, ``quadratic_plus_x``
    $x^2 + x y + y^2 + x$, ``cubic_plus_xy`` $x^3 + x y$, ``cubic_plus_xy2_plus_y`` $x^3 + x y^2 + y$.

    Attributes:
        operator: the operator.
        p: the modulus; it must be prime if the operator divides.

    Raises:
        InputError: if the operator divides and p is not prime, or a split would be empty.

    Source: Power et al. 2022 (arXiv 2201.02177), Appendix A.1.1; the product is in Figure 2 right.
        ``square_of_sum``: Gromov 2023 (arXiv 2301.02679).

    Example:
        >>> task = ModularOperator(operator="division", p=97)
        >>> task.n_train, task.n_test, task.input_shape
        (4656, 4656, (4, 99))
        >>> task.facts()["commutative"]
        False
    """

    kind: Literal["modular_operator"] = "modular_operator"

    operator: Name = "addition"
    p: int = Field(default=97, ge=2, le=2000)

    @model_validator(mode="before")
    @classmethod
    def _check_inverses(cls, values: dict[str, Any]) -> dict[str, Any]:
        # checked before the table of equations is made, which needs the inverses
        operator = _OPERATORS.get(values.get("operator", "addition"))
        p = values.get("p", 97)
        if operator is not None and operator.inverts and type(p) is int and p >= 2 and not _is_prime(p):
            raise ValueError(f"operator '{values['operator']}' divides, so p must be prime, but p = {p}")
        return values

    @property
    def elements(self) -> int:
        """The residues 0..p-1."""
        return self.p

    @property
    def table(self) -> OperatorTable:
        """All equations of the operator."""
        return _table(self.operator, self.p)

    @property
    def axes(self) -> dict[str, tuple[Any, ...]]:
        """``group``, and for addition and subtraction ``frequency``: 1..p // 2 (the Fourier measures)."""
        if self.operator not in ("addition", "subtraction"):
            return super().axes
        return {**super().axes, "frequency": tuple(range(1, self.p // 2 + 1))}

    @property
    def cyclic_order(self) -> CyclicOrder | None:
        """The order of the residues in which the operator is addition or subtraction; None without one."""
        if self.operator in ("addition", "subtraction"):
            residues = np.arange(self.p)
        elif self.operator in ("multiplication", "division") and _is_prime(self.p):
            residues = _powers_of_generator(self.p)
        else:
            return None
        sign = 1 if self.operator in ("addition", "multiplication") else -1
        second = (1 + self.operator_token) * self.vocabulary
        return CyclicOrder(residues, sign, (residues, second + residues))

    def facts(self) -> dict[str, Any]:
        """The facts of all pairs, and the ``formula``."""
        return {"formula": f"{FORMULAS[self.operator]} (mod {self.p})", **super().facts()}


@functools.lru_cache(maxsize=32)
def _table(name: str, p: int) -> OperatorTable:
    operator = _OPERATORS[name]
    x, y = (grid.ravel() for grid in np.meshgrid(np.arange(p), np.arange(p), indexing="ij"))
    if not operator.allows_zero:
        x, y = x[y != 0], y[y != 0]
    inverse = np.zeros(p, np.int64)
    if operator.inverts:
        inverse[1:] = [pow(value, -1, p) for value in range(1, p)]
    return OperatorTable.of(np.stack([x, y, operator.function(x, y, inverse[y]) % p], axis=1))


def _powers_of_generator(p: int) -> np.ndarray:
    """1, g, g^2, ... mod a prime p, with g the smallest generator of its nonzero residues; int [p - 1]."""
    for g in range(1, p):
        powers = [1]
        while (following := powers[-1] * g % p) != 1:
            powers.append(following)
        if len(powers) == p - 1:
            return np.array(powers)
    raise AssertionError(f"{p} is no prime")


def _is_prime(p: int) -> bool:
    return p >= 2 and all(p % d for d in range(2, int(p**0.5) + 1))
