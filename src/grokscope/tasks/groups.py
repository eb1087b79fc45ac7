r"""Irreducible representations of the symmetric groups, as characters.

An irreducible representation of $S_n$ belongs to a partition of n. The trivial one belongs to (n), the sign
to (1, ..., 1), and that of permutation matrices, less the trivial one, to (n - 1, 1).
"""

from __future__ import annotations

import functools
import itertools

import numpy as np

__all__ = ["irrep_projectors", "partitions", "symmetric_characters"]

Partition = tuple[int, ...]


@functools.lru_cache(maxsize=16)
def partitions(n: int) -> tuple[Partition, ...]:
    """The partitions of n, parts from large to small, in reverse lexicographic order: (n) is the first.

    Example:
        >>> partitions(3)
        ((3,), (2, 1), (1, 1, 1))
    """

    def below(rest: int, most: int) -> list[Partition]:
        if rest == 0:
            return [()]
        return [
            (part, *others) for part in range(min(rest, most), 0, -1) for others in below(rest - part, part)
        ]

    return tuple(below(n, n))


@functools.lru_cache(maxsize=8)
def symmetric_characters(n: int) -> np.ndarray:
    r"""Characters $\chi_\rho(g)$ of $S_n$, int64 [irrep, permutation]. Row i is that of ``partitions(n)[i]``.

    By the Murnaghan-Nakayama rule. Permutations are in lexicographic order, as in
    `grokscope.tasks.permutation_operator.PermutationOperator`. The first column has the dimensions.

    Source: Sagan 2001, The Symmetric Group, Theorem 4.10.2.

    Example:
        >>> symmetric_characters(3).tolist()
        [[1, 1, 1, 1, 1, 1], [2, 0, 0, -1, -1, 0], [1, -1, -1, 1, 1, -1]]
    """
    cycles = [_cycles(g) for g in itertools.permutations(range(n))]
    return np.array([[_character(shape, kind) for kind in cycles] for shape in partitions(n)])


@functools.lru_cache(maxsize=8)
def irrep_projectors(n: int) -> np.ndarray:
    r"""Orthogonal projections of functions on $S_n$ onto each irrep, [irrep, permutation, permutation].

    $P_\rho[g, h] = \frac{d_\rho}{n!} \chi_\rho(g h^{-1})$ projects onto the span of the matrix entries of
    $\rho$, which has $d_\rho^2$ dimensions. Their sum is the identity.

    Example:
        >>> [round(float(np.trace(P)), 6) for P in irrep_projectors(3)]
        [1.0, 4.0, 1.0]
    """
    group = np.array(list(itertools.permutations(range(n))))
    place = n ** np.arange(n)
    number = np.zeros(n**n, np.int64)
    number[group @ place] = np.arange(len(group))
    inverse = np.argsort(group, axis=1)
    # (g h^-1)(i) = g(h^-1(i))
    quotient = number[group[:, inverse] @ place]
    characters = symmetric_characters(n)
    return characters[:, :1, None] / len(group) * characters[:, quotient]


def _cycles(permutation: tuple[int, ...]) -> Partition:
    """The lengths of a permutation's cycles, from large to small."""
    rest, lengths = set(range(len(permutation))), []
    while rest:
        at, length = min(rest), 0
        while at in rest:
            rest.remove(at)
            at, length = permutation[at], length + 1
        lengths.append(length)
    return tuple(sorted(lengths, reverse=True))


@functools.lru_cache(maxsize=4096)
def _character(shape: Partition, cycles: Partition) -> int:
    """Murnaghan-Nakayama: remove rim hooks of the length of the first cycle in every way, with their signs.

    With the beta numbers (part i plus the number of parts after it) a rim hook of length k is removed where a
    beta number is lowered by k to one that is not taken; its height is the number of those that are passed.
    """
    if not cycles:
        return 1
    k, *others = cycles
    betas = [part + len(shape) - 1 - i for i, part in enumerate(shape)]
    total = 0
    for beta in betas:
        if beta < k or beta - k in betas:
            continue
        height = sum(beta - k < other < beta for other in betas)
        lowered = sorted((set(betas) - {beta}) | {beta - k}, reverse=True)
        parts = [low - (len(lowered) - 1 - i) for i, low in enumerate(lowered)]
        total += (-1) ** height * _character(tuple(part for part in parts if part), tuple(others))
    return total
