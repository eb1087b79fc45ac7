"""(n, k)-sparse parity: the label is the product of k hidden coordinates of n random signs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, model_validator

from grokscope.tasks._boolean import UniformBits, class_of_sign

if TYPE_CHECKING:
    from typing import Self

    import jax

__all__ = ["SparseParity"]


class SparseParity(UniformBits):
    r"""Sparse parity: $y = \prod_{i \in S} x_i$ for $x$ uniform on $\{-1, +1\}^n$, $|S| = k$ hidden bits.

    Attributes:
        k: number of hidden bits, 1 <= k <= n.
        support: the hidden bits: ``first`` (bits 0..k-1, as in the official code) or ``drawn`` (from the data
            stream).
        output: ``sign`` (labels +-1, one output), or ``class`` (0 where the product is +1, 1 where it is -1,
            two outputs, for losses of classes).

    Raises:
        InputError: if k > n, or noise is given without noisy labels.

    Source: Merrill, Tsilivis, Shukla 2023 (arXiv 2303.11873), Section 2.

    Example:
        >>> SparseParity(n=10, k=2).facts()["support"]
        [0, 1]
    """

    kind: Literal["sparse_parity"] = "sparse_parity"
    younger = ("output",)

    k: int = Field(default=3, ge=1)
    support: Literal["first", "drawn"] = "first"
    output: Literal["sign", "class"] = "sign"

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.k > self.n:
            raise ValueError(f"k must be at most n = {self.n}, but k = {self.k}")
        return self

    @property
    def n_outputs(self) -> int:
        """One, or one for each of the two classes."""
        return 1 if self.output == "sign" else 2

    @property
    def is_drawn(self) -> bool:
        """Whether the hidden bits depend on the data seed."""
        return self.support == "drawn"

    def hidden(self, key: jax.Array) -> jax.Array | None:
        """The hidden bits, sorted, if they are drawn; else None."""
        import jax
        import jax.numpy as jnp

        if not self.is_drawn:
            return None
        return jnp.sort(jax.random.permutation(key, self.n)[: self.k]).astype(jnp.int32)

    def value(self, x: jax.Array, hidden: jax.Array | None) -> jax.Array:
        """The product of the hidden bits, or its class."""
        product = (x[:, : self.k] if hidden is None else x[:, hidden]).prod(axis=1)
        return product if self.output == "sign" else class_of_sign(product)

    def facts(self) -> dict[str, Any]:
        """``support``: the hidden bits, or None if they are drawn for each data seed."""
        return {"support": None if self.is_drawn else list(range(self.k))}
