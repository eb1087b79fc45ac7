"""The Marchenko-Pastur law: eigenvalues of empirical covariance matrices."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from grokscope.errors import InputError
from grokscope.statistics._estimate import FloatArray

__all__ = ["MarchenkoPastur", "marchenko_pastur"]

_NODES = 4000


@dataclass(frozen=True)
class MarchenkoPastur:
    r"""The Marchenko-Pastur law of ratio $\lambda$ (see `marchenko_pastur`).

    Attributes:
        ratio: $\lambda$.
        nodes: positive eigenvalues $\nu_i$ [node].
        weights: their weights [node]; with ``atom`` they sum to 1.
        atom: the share of eigenvalues that are 0: $1 - 1/\lambda$ above 1, else 0.
    """

    ratio: float
    nodes: FloatArray
    weights: FloatArray
    atom: float

    @property
    def edges(self) -> tuple[float, float]:
        r"""The ends of the support of positive eigenvalues, $(1 \mp \sqrt\lambda)^2$."""
        root = math.sqrt(self.ratio)
        return (1 - root) ** 2, (1 + root) ** 2

    def density(self, nu: FloatArray) -> FloatArray:
        """The density at positive eigenvalues; 0 outside the support."""
        low, high = self.edges
        nu = np.asarray(nu, np.float64)
        inside = np.maximum((nu - low) * (high - nu), 0.0)
        return np.sqrt(inside) / (2 * math.pi * self.ratio * nu)

    def mean(self, function: Callable[[FloatArray], FloatArray]) -> float:
        """The mean of a function of the eigenvalue [node] -> [node], with that of eigenvalues 0."""
        value = float(self.weights @ function(self.nodes))
        return value + (self.atom * float(function(np.zeros(1))[0]) if self.atom else 0.0)


def marchenko_pastur(ratio: float, nodes: int = _NODES) -> MarchenkoPastur:
    r"""The law of the eigenvalues of $X^\top X / N$ for N inputs of d independent standard entries.

    For d and N to infinity with $d / N = \lambda$ the eigenvalues $\nu$ have the density
    $\sqrt{(\nu - \nu_-)(\nu_+ - \nu)} / (2 \pi \lambda \nu)$ between $\nu_\mp = (1 \mp \sqrt\lambda)^2$, and
    for $\lambda > 1$ a share $1 - 1/\lambda$ of them is 0. Expectations are by the midpoint rule in
    $\theta$, with $\nu = 1 + \lambda - 2 \sqrt\lambda \cos\theta$: the integrand is smooth and periodic, so
    the error falls exponentially with the number of nodes, but for $\lambda$ near 1.

    Args:
        ratio: $\lambda$.
        nodes: number of nodes.

    Raises:
        InputError: if the ratio is not positive and finite.

    Source: Marchenko and Pastur 1967; moments 1, $1 + \lambda$.

    Example:
        >>> law = marchenko_pastur(0.5)
        >>> [round(law.mean(lambda nu: nu**k), 6) for k in (0, 1, 2)]
        [1.0, 1.0, 1.5]
    """
    if not (math.isfinite(ratio) and ratio > 0):
        raise InputError(f"ratio = {ratio}: must be positive and finite")
    angle = (np.arange(nodes) + 0.5) * math.pi / nodes
    nu = 1 + ratio - 2 * math.sqrt(ratio) * np.cos(angle)
    # 2 sin^2 / nu, without 0/0 where the ratio is 1
    density = 1 + np.cos(angle) if ratio == 1 else 2 * np.sin(angle) ** 2 / nu
    return MarchenkoPastur(ratio, nu, density / nodes, max(0.0, 1 - 1 / ratio))
