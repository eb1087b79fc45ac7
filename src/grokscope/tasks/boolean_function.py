"""Any function of sign inputs, given by its Walsh spectrum: majority, staircases, ANDs, and your own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import Field, field_validator, model_validator

from grokscope.errors import InputError
from grokscope.spec.parts import Part
from grokscope.tasks._boolean import UniformBits

if TYPE_CHECKING:
    from typing import Self

    import jax

__all__ = ["BooleanFunction", "Term"]

# Functions of at most this many bits are listed in full: for ties, and for the spectrum of their sign.
_MOST_LISTED = 16
_MOST_FACTS = 1024
# The error of a float32 sum of t terms is below (t + 1) times this times the sum of |c_S|.
_ROUNDING = 2.0**-23


class Term(Part):
    r"""One term $c_S \chi_S(x)$ with $\chi_S(x) = \prod_{i \in S} x_i$; no bits: a constant.

    Example:
        >>> Term(bits=[0, 1], coefficient=0.5).bits
        (0, 1)
    """

    group = "task.terms"

    bits: tuple[int, ...]
    coefficient: float = 1.0

    @field_validator("bits", mode="after")
    @classmethod
    def _distinct(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(value)) != len(value):
            raise ValueError(f"a bit is named twice in {list(value)}")
        if value and min(value) < 0:
            raise ValueError(f"bits count from 0, but one is {min(value)}")
        return tuple(sorted(value))


class BooleanFunction(UniformBits):
    r"""A Boolean or real function of bits: $y = \mathrm{sign}\, s(x)$ or $y = s(x)$; s is a sum of parities.

    $s(x) = \sum_S c_S \prod_{i \in S} x_i$ with $x \in \{-1, +1\}^n$ (the Walsh expansion of s).

    Presets, on the first k bits: ``parity`` $x_1 \cdots x_k$; ``majority`` $x_1 + \dots + x_k$ (k odd);
    ``and`` $x_1 + \dots + x_k - k + 1$ (its sign is $+1$ where all bits are $+1$); ``staircase``
    $x_1 + x_1 x_2 + \dots + x_1 \cdots x_k$.

    Attributes:
        terms: the terms of s; each is a table with ``bits`` (S, counted from 0) and ``coefficient`` ($c_S$).
        preset: a named function of the first k bits, instead of ``terms``.
        k: the number of bits of the preset.
        output: ``sign`` (labels +-1), or ``real`` (labels s(x), for the squared loss).

    With ``output = "sign"``, $s(x) = 0$ for some x (a tie) is an error. Functions of more than 16 bits are
    not searched for ties; their label is +1 where s is 0.

    Raises:
        InputError: if a bit is not below n, a term is given twice or is zero, neither or both of terms and
            preset are given, or the sum is 0 for some setting of the bits.

    Source: O'Donnell 2014, Analysis of Boolean Functions, Section 1.2; staircases: Abbe et al. 2021
        (arXiv 2108.10573).

    Example:
        >>> BooleanFunction(n=10, preset="majority", k=3).facts()["spectrum"][0]
        {'bits': [0], 'coefficient': 0.5}
    """

    kind: Literal["boolean_function"] = "boolean_function"

    terms: tuple[Term, ...] = ()
    preset: Literal["parity", "majority", "and", "staircase"] | None = None
    k: int | None = Field(default=None, ge=1)
    output: Literal["sign", "real"] = "sign"

    @field_validator("terms", mode="before")
    @classmethod
    def _terms(cls, value: Any) -> Any:
        if isinstance(value, tuple | list):
            return tuple(Term(**item) if isinstance(item, dict) else item for item in value)
        return value

    @model_validator(mode="after")
    def _check(self) -> Self:
        if bool(self.terms) == (self.preset is not None):
            raise ValueError("give exactly one of terms and preset")
        if (self.preset is None) != (self.k is None):
            raise ValueError("k and preset belong together: give both, or neither")
        if self.k is not None and self.k > self.n:
            raise ValueError(f"k must be at most n = {self.n}, but k = {self.k}")
        if self.preset == "majority" and self.k is not None and self.k % 2 == 0:
            raise ValueError(f"preset 'majority' needs an odd k (got {self.k})")
        named = [term.bits for term in self.terms]
        for term in self.terms:
            if term.bits and term.bits[-1] >= self.n:
                raise ValueError(
                    f"terms have bit {term.bits[-1]}; the last of n = {self.n} bits is {self.n - 1}"
                )
            if named.count(term.bits) > 1:
                raise ValueError(f"terms have bits {list(term.bits)} twice")
            if term.coefficient == 0.0:
                raise ValueError(f"the term of bits {list(term.bits)} has coefficient 0; leave it out")
        if self.output == "real":
            if self.preset in ("majority", "and"):
                raise ValueError(
                    f"preset '{self.preset}' is a sign; output = 'real' needs terms or another preset"
                )
        elif len(self.support) <= _MOST_LISTED:
            self._check_ties()
        return self

    def _check_ties(self) -> None:
        sums = self._listed()
        sizes = [abs(c) for _, c in self._sum()]
        tied = np.flatnonzero(np.abs(sums) <= _ROUNDING * (len(sizes) + 1) * sum(sizes))
        if tied.size:
            setting = ", ".join(
                f"x[{bit}] = {-1 if int(tied[0]) >> i & 1 else 1}" for i, bit in enumerate(self.support)
            )
            raise InputError(
                f"task.{'preset' if self.preset else 'terms'}: the sum is 0 (a tie) at "
                f"{setting or 'every input'}; change a coefficient, or take output = 'real'."
            )

    @property
    def label_kind(self) -> Literal["sign", "real", "class"]:
        """Signs, or real numbers with ``output = "real"``."""
        return self.output

    @property
    def support(self) -> tuple[int, ...]:
        """The bits of all terms, sorted."""
        return tuple(sorted({bit for bits, _ in self._sum() for bit in bits}))

    def value(self, x: jax.Array, hidden: jax.Array | None) -> jax.Array:
        """The sign of the sum, or the sum. Terms are added one by one, in their order."""
        import jax
        import jax.numpy as jnp

        del hidden
        terms = self._sum()
        # every term has as many factors as the longest; the column after the last holds ones
        length = max(1, *(len(bits) for bits, _ in terms))
        table = np.array([[*bits, *[self.n] * (length - len(bits))] for bits, _ in terms], dtype=np.int32)
        padded = jnp.concatenate([x, jnp.ones_like(x[:, :1])], axis=1)

        def add(total: jax.Array, term: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, None]:
            bits, coefficient = term
            return total + coefficient * padded[:, bits].prod(axis=1), None

        coefficients = jnp.asarray(np.array([c for _, c in terms]), x.dtype)
        total, _ = jax.lax.scan(add, jnp.zeros_like(x[:, 0]), (jnp.asarray(table), coefficients))
        return total if self.output == "real" else jnp.where(total >= 0, 1.0, -1.0).astype(x.dtype)

    def walsh_spectrum(self) -> list[Term]:
        r"""The spectrum of the labels, $\hat y(S) = E_x[y(x) \chi_S(x)]$ where not 0; smallest sets first.

        Raises:
            InputError: with ``output = "sign"``, if the function has more than 16 bits.
        """
        if self.output == "real":
            found = [Term(bits=bits, coefficient=c) for bits, c in self._sum()]
        elif len(self.support) > _MOST_LISTED:
            raise InputError(
                f"task: the spectrum of a sign of more than {_MOST_LISTED} bits is not computed."
            )
        else:
            y = np.where(self._listed() >= 0, 1.0, -1.0)
            coefficients = _hadamard(y) / y.size
            found = [
                Term(bits=self._bits(int(index)), coefficient=float(coefficients[index]))
                for index in np.flatnonzero(coefficients)
            ]
        return sorted(found, key=lambda term: (len(term.bits), term.bits))

    def facts(self) -> dict[str, Any]:
        """``support``, and ``spectrum`` of the labels (None if it has over 1,024 terms or is not known)."""
        spectrum = None
        if self.output == "real" or len(self.support) <= _MOST_LISTED:
            terms = self.walsh_spectrum()
            if len(terms) <= _MOST_FACTS:
                spectrum = [{"bits": list(term.bits), "coefficient": term.coefficient} for term in terms]
        return {"support": list(self.support), "spectrum": spectrum}

    def _sum(self) -> list[tuple[tuple[int, ...], float]]:
        """The terms, also for a preset."""
        k = self.k or 0
        if self.preset == "parity":
            return [(tuple(range(k)), 1.0)]
        if self.preset == "staircase":
            return [(tuple(range(i + 1)), 1.0) for i in range(k)]
        if self.preset is not None:
            bits = [((i,), 1.0) for i in range(k)]
            return [*bits, ((), 1.0 - k)] if self.preset == "and" and k > 1 else bits
        return [(term.bits, term.coefficient) for term in self.terms]

    def _bits(self, index: int) -> tuple[int, ...]:
        return tuple(bit for i, bit in enumerate(self.support) if index >> i & 1)

    def _listed(self) -> np.ndarray:
        """The sum at every setting of the support; bit i of the index is 1 where support[i] is -1."""
        place = {bit: i for i, bit in enumerate(self.support)}
        coefficients = np.zeros(2 ** len(place))
        for bits, c in self._sum():
            coefficients[sum(1 << place[bit] for bit in bits)] = c
        return _hadamard(coefficients)


def _hadamard(values: np.ndarray) -> np.ndarray:
    r"""$\sum_j (-1)^{|i \wedge j|} v_j$ for every i, by doubling."""
    values = values.astype(np.float64)
    width = 1
    while width < values.size:
        pairs = values.reshape(-1, 2, width)
        values = np.stack([pairs[:, 0] + pairs[:, 1], pairs[:, 0] - pairs[:, 1]], axis=1).reshape(-1)
        width *= 2
    return values
