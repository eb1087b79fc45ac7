"""A task in a file of its own: is the number of ones among the first bits divisible by three?

    grokscope train SPEC.toml --plugin examples/own_task.py --seeds 5

with a SPEC.toml that says ``epochs = 300`` and ``task = "ones_mod_3"``. Run the file itself to check it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, model_validator

from grokscope.tasks import Task

if TYPE_CHECKING:
    import jax

TEST_SEED = 20_261_101  # the test set is the same for every member


class OnesMod3(Task):
    """Label +1 where the number of ones (bits that are -1) among the first k is a multiple of 3, else -1.

    Attributes:
        n: number of input bits.
        k: number of bits that matter, 1 <= k <= n.
        n_train: training samples, drawn anew for each data seed.
        n_test: test samples, one fixed draw for all seeds.
    """

    kind: Literal["ones_mod_3"] = "ones_mod_3"

    n: int = Field(default=30, ge=1)
    k: int = Field(default=5, ge=1)
    n_train: int = Field(default=1000, ge=1)
    n_test: int = Field(default=1000, ge=1)

    @model_validator(mode="after")
    def _check(self) -> OnesMod3:
        if self.k > self.n:
            raise ValueError(f"k must be at most n = {self.n}, but k = {self.k}")
        return self

    @property
    def input_shape(self) -> tuple[int, ...]:
        """One number per bit."""
        return (self.n,)

    @property
    def has_binary_inputs(self) -> bool:
        """Inputs are +-1, so that sensitivity can be measured."""
        return True

    def shared_data(self) -> dict[str, jax.Array]:
        """The test set."""
        import jax

        x, y = self.sample(jax.random.key(TEST_SEED), self.n_test)
        return {"test_x": x, "test_y": y}

    def member_data(self, data_key: jax.Array, noise_key: jax.Array) -> dict[str, jax.Array]:
        """The training set of one data seed."""
        x, y = self.sample(data_key, self.n_train)
        return {"train_x": x, "train_y": y}

    def sample(self, key: jax.Array, count: int) -> tuple[jax.Array, jax.Array]:
        """Fresh samples."""
        import jax
        import jax.numpy as jnp

        bits = jax.random.bits(key, (count, self.n), "uint8") & 1
        ones = bits[:, : self.k].astype(jnp.int32).sum(axis=1)
        real = jnp.result_type(float)
        return 1 - 2 * bits.astype(real), jnp.where(ones % 3 == 0, 1, -1).astype(real)

    def facts(self) -> dict[str, Any]:
        """The bits that matter."""
        return {"support": list(range(self.k))}


if __name__ == "__main__":
    from grokscope.tasks.check import check_task

    check_task(OnesMod3())
    print("ones_mod_3 is a valid task.")
