"""All inputs of a parity, as two classes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, model_validator

from grokscope.tasks._task import Task

if TYPE_CHECKING:
    from typing import Self

    import jax

__all__ = ["ParityTable"]


class ParityTable(Task):
    r"""The parity $\prod_{i < k} x_i$ of the first k of n bits, on all $2^n$ inputs $x \in \{-1, +1\}^n$.

    All inputs are in the training split; there is no test split. The label is a class: 0 where the product is
    $+1$, 1 where it is $-1$, so that networks have two outputs. For samples of a parity with labels
    $\pm 1$, and with held-out ones, see ``sparse_parity``.

    Attributes:
        n: number of input bits.
        k: number of hidden bits, 1 <= k <= n.
        n_train: $2^n$; do not give it.
        n_test: 0; do not give it.

    Raises:
        InputError: if k > n.

    Source: Morwani et al. 2023 (arXiv 2311.07568), Section 5.

    Example:
        >>> task = ParityTable(n=10, k=4)
        >>> task.n_train, task.n_outputs, task.facts()["support"]
        (1024, 2, [0, 1, 2, 3])
    """

    kind: Literal["parity_table"] = "parity_table"

    n: int = Field(default=10, ge=1, le=16)
    k: int = Field(default=4, ge=1)
    # follow from n; not written to specs
    n_train: int = Field(default=0, exclude=True, repr=False)
    n_test: int = Field(default=0, ge=0, le=0, exclude=True, repr=False)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.k > self.n:
            raise ValueError(f"k must be at most n = {self.n}, but k = {self.k}")
        if self.n_train not in (0, 2**self.n):
            raise ValueError(f"n_train follows from n: {2**self.n} (got {self.n_train}); leave it out")
        object.__setattr__(self, "n_train", 2**self.n)  # frozen, but still being made here
        return self

    @property
    def input_shape(self) -> tuple[int, ...]:
        """One bit per coordinate."""
        return (self.n,)

    @property
    def n_outputs(self) -> int:
        """Two: one per class."""
        return 2

    @property
    def has_binary_inputs(self) -> bool:
        """Inputs are +-1."""
        return True

    def shared_data(self) -> dict[str, jax.Array]:
        """All inputs, the first with every bit +1, and their classes; an empty test split."""
        import jax.numpy as jnp

        bits = jnp.arange(2**self.n)[:, None] >> jnp.arange(self.n) & 1
        x = 1 - 2 * bits.astype(jnp.result_type(float))
        y = jnp.sum(bits[:, : self.k], axis=1, dtype=jnp.int32) % 2
        return {"train_x": x, "train_y": y, "test_x": x[:0], "test_y": y[:0]}

    def member_data(self, data_key: jax.Array, noise_key: jax.Array) -> dict[str, jax.Array]:
        """Nothing: all members have the same data."""
        del data_key, noise_key
        return {}

    def facts(self) -> dict[str, Any]:
        """``support``: the hidden bits."""
        return {"support": list(range(self.k))}
