"""(n, k)-sparse parity: the label is the product of k hidden coordinates of n random signs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, model_validator

from grokscope.tasks._task import Task

if TYPE_CHECKING:
    from typing import Self

    import jax

__all__ = ["SparseParity"]

# The held-out inputs are one fixed draw each, the same for every member and every run.
_TEST_KEY, _PROBE_KEY = 1_000_001, 1_000_002


class SparseParity(Task):
    r"""Sparse parity: $y = \prod_{i \in S} x_i$ for $x$ uniform on $\{-1, +1\}^n$, $|S| = k$ hidden bits.

    Attributes:
        n: number of input bits.
        k: number of hidden bits, 1 <= k <= n.
        n_train: training samples, drawn anew for each data seed.
        n_test: test samples, one fixed draw for all seeds (the paper has 100).
        n_probe: probe samples, another fixed draw.
        support: ``first`` (bits 0..k-1, as in the official code) or ``drawn`` (from the data stream).
        labels: ``true``, ``random`` (fair coins on the training set: nothing to generalize), or ``noisy``.
        noise: with ``labels = "noisy"``, the share of training labels that are flipped (each one
            independently with this probability, from the noise stream). Held-out labels are always true.

    Source: Merrill, Tsilivis, Shukla 2023 (arXiv 2303.11873), Section 2.

    Example:
        >>> SparseParity(n=10, k=2).facts()["support"]
        [0, 1]
    """

    kind: Literal["sparse_parity"] = "sparse_parity"
    traced: ClassVar[tuple[str, ...]] = ("noise",)

    n: int = Field(default=40, ge=1, le=100_000)
    k: int = Field(default=3, ge=1)
    n_train: int = Field(default=1000, ge=1)
    n_test: int = Field(default=100, ge=1)
    n_probe: int = Field(default=10_000, ge=1)
    support: Literal["first", "drawn"] = "first"
    labels: Literal["true", "random", "noisy"] = "true"
    noise: float = Field(default=0.0, ge=0.0, le=1.0)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.k > self.n:
            raise ValueError(f"k must be at most n = {self.n}, but k = {self.k}")
        if self.noise and self.labels != "noisy":
            raise ValueError("noise needs labels = 'noisy'")
        return self

    @property
    def input_shape(self) -> tuple[int, ...]:
        """One bit per coordinate."""
        return (self.n,)

    @property
    def has_binary_inputs(self) -> bool:
        """Inputs are +-1."""
        return True

    def shared_data(self) -> dict[str, jax.Array]:
        """The fixed test and probe inputs, and their labels where the hidden bits are the same for all."""
        import jax

        data: dict[str, jax.Array] = {}
        for split, seed, count in (
            ("test", _TEST_KEY, self.n_test),
            ("probe", _PROBE_KEY, self.n_probe),
        ):
            x = self._inputs(jax.random.key(seed), count)
            data[f"{split}_x"] = x
            if self.support == "first":
                data[f"{split}_y"] = x[:, : self.k].prod(axis=1)
        return data

    def member_data(self, data_key: jax.Array, noise_key: jax.Array) -> dict[str, jax.Array]:
        """The training set of one data seed (and, where hidden bits are drawn, everything they decide)."""
        import jax
        import jax.numpy as jnp

        inputs_key, support_key, coin_key = jax.random.split(data_key, 3)
        x = self._inputs(inputs_key, self.n_train)
        data: dict[str, jax.Array] = {}
        bits = jnp.arange(self.k)
        if self.support == "drawn":
            bits = jnp.sort(jax.random.permutation(support_key, self.n)[: self.k])
            data["support"] = bits
            for split, held_out in self.shared_data().items():
                data[f"{split[:-2]}_y"] = held_out[:, bits].prod(axis=1)
        y = x[:, bits].prod(axis=1)
        if self.labels == "random":
            y = jax.random.rademacher(coin_key, (self.n_train,), dtype=x.dtype)
        elif self.labels == "noisy":
            flipped = jax.random.uniform(noise_key, (self.n_train,)) < self.noise
            y = jnp.where(flipped, -y, y)
        return {**data, "train_x": x, "train_y": y}

    def sample(self, key: jax.Array, count: int) -> tuple[jax.Array, jax.Array]:
        """Fresh uniform inputs with true labels."""
        x = self._inputs(key, count)
        return x, x[:, : self.k].prod(axis=1)

    @property
    def can_sample(self) -> bool:
        """Online samples have true labels of the first k bits; anything else needs a finite set."""
        return self.support == "first" and self.labels == "true"

    def facts(self) -> dict[str, Any]:
        """``support``: the hidden bits (None where they are drawn per data seed)."""
        return {"support": list(range(self.k)) if self.support == "first" else None}

    def _inputs(self, key: jax.Array, count: int) -> jax.Array:
        import jax

        return jax.random.rademacher(key, (count, self.n), dtype="float32")
