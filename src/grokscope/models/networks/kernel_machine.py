"""Kernel machines with a feature matrix: the predictor of the learner ``recursive_features``."""

from __future__ import annotations

from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

__all__ = ["Kernel", "KernelMachine", "psd_power"]

Kernel = Literal["quadratic", "gaussian"]


class KernelMachine(eqx.Module):
    r"""$f_c(z) = \sum_i \alpha_{ic}\, k_M(x_i, z)$, with the training inputs $x_i$ as centers.

    Kernels: ``quadratic`` $k_M(x, z) = (x^T M z)^2$, ``gaussian`` $k_M(x, z) = e^{-g\, (x-z)^T M (x-z)}$.
    Inputs of any shape are flattened to d numbers.

    Attributes:
        alpha: $\alpha$ [training sample, output].
        feature_matrix: M [d, d], symmetric, without negative eigenvalues.
        centers: the $x_i$ [training sample, d].
        rate: g of the Gaussian kernel; it has no effect on the quadratic one.
        kernel: the kernel.

    Example:
        >>> machine = KernelMachine(jnp.ones((1, 1)), jnp.eye(2), jnp.array([[1.0, 2.0]]), 1.0, "quadratic")
        >>> machine(jnp.array([[3.0, 0.0], [0.0, 1.0]])).tolist()  # (1 * 3)^2 and (2 * 1)^2
        [9.0, 4.0]
    """

    alpha: Float[Array, "*member sample output"]
    feature_matrix: Float[Array, "*member feature feature"]
    centers: Float[Array, "*member sample feature"]
    rate: Float[Array, "*member"] | float
    kernel: Kernel = eqx.field(static=True)

    def __call__(self, x: Float[Array, "sample ..."]) -> Float[Array, "sample ..."]:
        """The outputs; [sample] if there is one."""
        outputs = self.gram(x.reshape(len(x), -1)) @ self.alpha
        return outputs[:, 0] if outputs.shape[1] == 1 else outputs

    def gram(self, x: Float[Array, "sample feature"]) -> Float[Array, "sample center"]:
        """The kernel of inputs with all centers."""
        products = x @ self.feature_matrix @ self.centers.T
        if self.kernel == "quadratic":
            return jnp.square(products)
        ours, theirs = self._squares(x), self._squares(self.centers)
        return jnp.exp(-self.rate * (ours[:, None] + theirs[None, :] - 2 * products))

    def _squares(self, x: jax.Array) -> jax.Array:
        return jnp.sum((x @ self.feature_matrix) * x, axis=1)

    def solved(self, targets: Float[Array, "sample output"], ridge: jax.Array | float) -> KernelMachine:
        r"""The machine with $\alpha = (K + \lambda I)^{-1} Y$, K the kernel of the centers.

        The system is solved by an LU factorization.

        Args:
            targets: Y.
            ridge: $\lambda$; with 0 the targets are interpolated.
        """
        gram = self.gram(self.centers)
        system = gram + ridge * jnp.eye(len(gram), dtype=gram.dtype)
        return eqx.tree_at(lambda m: m.alpha, self, jnp.linalg.solve(system, targets))

    def average_gradient_outer_product(self, *, centered: bool = False) -> Float[Array, "feature feature"]:
        r"""The average gradient outer product at the centers, $G = \frac1n \sum_j J_j J_j^T$.

        $J_j$ [d, output] has the gradient of each output at $x_j$. With X the centers in rows, it is
        $J_j = s\, M X^T w_j$ with $w_j$ [sample, output]: quadratic $w_{j,ic} = \alpha_{ic}\, x_i^T M x_j$
        and
        s = 2; Gaussian $w_{j,ic} = \alpha_{ic} k_{ij} - \delta_{ij} f_c(x_j)$ and s = 2 g. So
        $G = \frac{s^2}{n} M X^T \big(\sum_j w_j w_j^T\big) X M$, and the sum is
        $(\alpha\alpha^T) \circ (SS^T)$ with $S_{ij} = x_i^T M x_j$; for the Gaussian kernel
        $(\alpha\alpha^T) \circ (KK^T) - (\alpha f^T) \circ K - ((\alpha f^T) \circ K)^T
        + \mathrm{diag}(\lVert f(x_j) \rVert^2)$. One product of [sample, sample] matrices takes the place of
        one product for each output.

        Args:
            centered: subtract from each $J_j$ the mean over j.
        """
        alpha, x, n = self.alpha, self.centers, len(self.centers)
        if self.kernel == "quadratic":
            weights = x @ self.feature_matrix @ x.T
            scale: jax.Array | float = 2.0
        else:
            weights = self.gram(x)
            scale = 2.0 * self.rate
        inner = (alpha @ alpha.T) * (weights @ weights.T)
        total = alpha * jnp.sum(weights, axis=1)[:, None]  # sum of w_j over j
        if self.kernel == "gaussian":
            f = weights @ alpha
            mixed = (alpha @ f.T) * weights
            inner = inner - mixed - mixed.T + jnp.diag(jnp.sum(jnp.square(f), axis=1))
            total = total - f
        if centered:
            inner = inner - total @ total.T / n
        left = self.feature_matrix @ x.T
        return scale**2 / n * (left @ inner @ left.T)


def psd_power(matrix: Float[Array, "d d"], power: jax.Array | float) -> Float[Array, "d d"]:
    """A power of a symmetric matrix, with negative eigenvalues set to 0.

    Example:
        >>> psd_power(jnp.array([[4.0, 0.0], [0.0, -1.0]]), 0.5).tolist()
        [[2.0, 0.0], [0.0, 0.0]]
    """
    values, vectors = jnp.linalg.eigh((matrix + matrix.T) / 2)
    return (vectors * jnp.maximum(values, 0) ** power) @ vectors.T
