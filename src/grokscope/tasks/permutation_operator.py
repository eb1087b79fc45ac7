"""Binary operators on permutations: the group tasks of Power et al."""

from __future__ import annotations

import functools
import itertools
import math
from typing import Any, Literal

import numpy as np
from pydantic import Field

from grokscope.tasks.groups import partitions
from grokscope.tasks.pairs import OperatorTable, Pairs

__all__ = ["PermutationOperator"]

Name = Literal["composition", "conjugation", "triple_product"]
_FORMULAS = {"composition": "x y", "conjugation": "x y x^-1", "triple_product": "x y x"}


class PermutationOperator(Pairs):
    r"""Operators on permutations: $c = a \circ b$ for a and b in $S_n$ (n is ``degree``; $S_5$ has 120).

    Operators: ``composition`` $x y$, ``conjugation`` $x y x^{-1}$, ``triple_product`` $x y x$. The product
    applies its right factor first: $(x y)(i) = x(y(i))$. Permutations are numbered in lexicographic order, so
    0 is the identity.

    Attributes:
        operator: the operator.
        degree: number of elements that are permuted.

    Raises:
        InputError: if a split would be empty.

    Source: Power et al. 2022 (arXiv 2201.02177), Appendix A.1.1.

    Example:
        >>> task = PermutationOperator(operator="conjugation", degree=3)
        >>> task.elements, task.facts()["equations"]
        (6, 36)
    """

    kind: Literal["permutation_operator"] = "permutation_operator"

    operator: Name = "composition"
    degree: int = Field(default=5, ge=2, le=6)

    @property
    def elements(self) -> int:
        """``degree`` factorial."""
        return math.factorial(self.degree)

    @property
    def axes(self) -> dict[str, tuple[Any, ...]]:
        """``irrep``: the irreducible representations, for composition (`symmetric_characters`)."""
        if self.operator != "composition":
            return {}
        return {"irrep": tuple("+".join(map(str, shape)) for shape in partitions(self.degree))}

    @property
    def table(self) -> OperatorTable:
        """All equations of the operator."""
        return _table(self.operator, self.degree)

    def facts(self) -> dict[str, Any]:
        """The facts of all pairs, and the ``formula``."""
        return {"formula": f"{_FORMULAS[self.operator]} in S_{self.degree}", **super().facts()}


@functools.lru_cache(maxsize=8)
def _table(name: str, degree: int) -> OperatorTable:
    permutations = np.array(list(itertools.permutations(range(degree))))
    place = degree ** np.arange(degree)
    number = np.zeros(degree**degree, np.int64)
    number[permutations @ place] = np.arange(len(permutations))

    def product(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return np.take_along_axis(x, y, axis=1)

    n = len(permutations)
    a, b = np.repeat(np.arange(n), n), np.tile(np.arange(n), n)
    x, y = permutations[a], permutations[b]
    answer = product(x, y)
    if name == "conjugation":
        answer = product(answer, np.argsort(x, axis=1))
    elif name == "triple_product":
        answer = product(answer, x)
    return OperatorTable.of(np.stack([a, b, number[answer @ place]], axis=1))
