"""The base of tasks on uniform random signs: inputs, held-out sets, and random or noisy training labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field, model_validator

from grokscope.tasks._task import Task

if TYPE_CHECKING:
    from typing import Self

    import jax

__all__ = ["UniformBits", "signs"]

# Each held-out set is one fixed draw, the same for every member and every run.
_TEST_KEY, _PROBE_KEY = 1_000_001, 1_000_002


def signs(key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """Random signs +-1, uniform, from single random bits; the same in every precision.

    Example:
        >>> import jax
        >>> sorted(set(signs(jax.random.key(0), (100,)).tolist()))
        [-1.0, 1.0]
    """
    import jax
    import jax.numpy as jnp

    bits = jax.random.bits(key, shape, "uint8") & 1
    return 1.0 - 2.0 * bits.astype(jnp.result_type(float))


class UniformBits(Task):
    r"""A function of $x$ uniform on $\{-1, +1\}^n$; the base of sparse parity and its relatives.

    A subclass defines `value`, and `hidden` if the function is drawn for each data seed.

    Attributes:
        n: number of input bits.
        n_train: number of training samples, drawn for each data seed.
        n_test: number of test samples: one fixed draw, the same for all seeds (100 in the paper).
        n_probe: number of samples of the probe, a larger held-out set: another fixed draw.
        labels: training labels: ``true``, ``random`` (uniform, a null model), or ``noisy``. Held-out labels
            are always true.
        noise: with ``labels = "noisy"``, the probability that a training label is flipped; drawn from the
            noise stream.
    """

    traced = ("noise",)

    n: int = Field(default=40, ge=1, le=100_000)
    n_train: int = Field(default=1000, ge=1, le=10**9)
    n_test: int = Field(default=100, ge=1, le=10**9)
    n_probe: int = Field(default=10_000, ge=1, le=10**9)
    labels: Literal["true", "random", "noisy"] = "true"
    noise: float = Field(default=0.0, ge=0.0, le=1.0)

    @model_validator(mode="after")
    def _check_noise(self) -> Self:
        if self.noise and self.labels != "noisy":
            raise ValueError("noise needs labels = 'noisy'")
        return self

    def value(self, x: jax.Array, hidden: jax.Array | None) -> jax.Array:
        """The true label of each input, [sample], given what `hidden` returned."""
        raise NotImplementedError

    def hidden(self, key: jax.Array) -> jax.Array | None:
        """Parameters of the function drawn from the data seed's key (stored as ``support``), or None."""
        del key
        return None

    @property
    def is_drawn(self) -> bool:
        """Whether the function itself depends on the data seed."""
        return False

    @property
    def input_shape(self) -> tuple[int, ...]:
        """One bit per coordinate."""
        return (self.n,)

    @property
    def has_binary_inputs(self) -> bool:
        """Inputs are +-1."""
        return True

    def shared_data(self) -> dict[str, jax.Array]:
        """The fixed test and probe inputs, with labels unless the function is drawn for each data seed."""
        import jax

        data: dict[str, jax.Array] = {}
        for split, seed, count in (("test", _TEST_KEY, self.n_test), ("probe", _PROBE_KEY, self.n_probe)):
            x = signs(jax.random.key(seed), (count, self.n))
            data[f"{split}_x"] = x
            if not self.is_drawn:
                data[f"{split}_y"] = self.value(x, None)
        return data

    def member_data(self, data_key: jax.Array, noise_key: jax.Array) -> dict[str, jax.Array]:
        """The training set; with a drawn function also its parameters and the held-out labels."""
        import jax
        import jax.numpy as jnp

        inputs_key, hidden_key, coin_key = jax.random.split(data_key, 3)
        x = signs(inputs_key, (self.n_train, self.n))
        data: dict[str, jax.Array] = {}
        hidden = self.hidden(hidden_key)
        if hidden is not None:
            data["support"] = hidden
            for name, held_out in self.shared_data().items():
                data[f"{name[:-2]}_y"] = self.value(held_out, hidden)
        y = self.value(x, hidden)
        if self.labels == "random":
            y = signs(coin_key, (self.n_train,))
        elif self.labels == "noisy":
            flipped = jax.random.uniform(noise_key, (self.n_train,), jnp.float32) < self.noise
            y = jnp.where(flipped, -y, y)
        return {**data, "train_x": x, "train_y": y}

    def sample(self, key: jax.Array, count: int) -> tuple[jax.Array, jax.Array]:
        """New uniform inputs with true labels."""
        x = signs(key, (count, self.n))
        return x, self.value(x, None)

    @property
    def can_sample(self) -> bool:
        """Only with true labels of a fixed function."""
        return self.labels == "true" and not self.is_drawn
