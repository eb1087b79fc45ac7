"""The base of tasks on uniform random signs: inputs, held-out sets, and true or other training labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, model_validator

from grokscope.errors import InputError
from grokscope.tasks._task import Task

if TYPE_CHECKING:
    from typing import Self

    import jax

__all__ = ["UniformBits", "class_of_sign", "signs"]

# Each held-out set is one fixed draw, the same for every member and every run.
_TEST_KEY, _PROBE_KEY = 1_000_001, 1_000_002
# The population of at most this many bits is listed in full, in chunks of this many.
_MOST_POPULATION_BITS = 16
_CHUNK_BITS = 11


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


def class_of_sign(values: jax.Array) -> jax.Array:
    """The class of each sign: 0 for +1, 1 for -1; int32.

    Example:
        >>> import jax.numpy as jnp
        >>> class_of_sign(jnp.array([1.0, -1.0])).tolist()
        [0, 1]
    """
    import jax.numpy as jnp

    return (values < 0).astype(jnp.int32)


class UniformBits(Task):
    r"""A function of $x$ uniform on $\{-1, +1\}^n$; the base of sparse parity and its relatives.

    A subclass defines `value`, and `hidden` if the function is drawn for each data seed.

    Attributes:
        n: number of input bits.
        n_train: number of training samples, drawn for each data seed.
        n_test: number of test samples: one fixed draw, the same for all seeds (100 in the paper).
        n_probe: number of samples of the probe, a larger held-out set: another fixed draw.
        labels: training labels: ``true``, ``random`` or ``shuffled`` (independent of the inputs, null
            models), or ``noisy``. Held-out labels are always true. Random labels are uniform signs or
            classes; shuffled ones, and random real ones, are the true labels of other inputs, so each label
            is as frequent as among the true ones. Online this holds for the labels of every new sample.
        noise: with ``labels = "noisy"``, the probability that a training label is flipped; for real labels
            the standard deviation of the Gaussian noise that is added to them. Drawn from the noise stream;
            online, from the order stream, with the samples.
    """

    traced = ("noise",)

    n: int = Field(default=40, ge=1, le=100_000)
    n_train: int = Field(default=1000, ge=1, le=10**9)
    n_test: int = Field(default=100, ge=1, le=10**9)
    n_probe: int = Field(default=10_000, ge=1, le=10**9)
    labels: Literal["true", "random", "shuffled", "noisy"] = "true"
    noise: float = Field(default=0.0, ge=0.0)

    @model_validator(mode="after")
    def _check_noise(self) -> Self:
        if self.noise and self.labels != "noisy":
            raise ValueError("noise needs labels = 'noisy'")
        if self.noise > 1.0 and self.label_kind != "real":
            raise InputError(f"task.noise: must be at most 1 (got {self.noise}).")
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

        inputs_key, hidden_key, coin_key = jax.random.split(data_key, 3)
        x = signs(inputs_key, (self.n_train, self.n))
        data: dict[str, jax.Array] = {}
        hidden = self.hidden(hidden_key)
        if hidden is not None:
            data["support"] = hidden
            for name, held_out in self.shared_data().items():
                data[f"{name[:-2]}_y"] = self.value(held_out, hidden)
        y = self._corrupted(self.value(x, hidden), hidden, coin_key, noise_key)
        return {**data, "train_x": x, "train_y": y}

    def sample(self, key: jax.Array, count: int) -> tuple[jax.Array, jax.Array]:
        """New uniform inputs, with labels of the same kind as those of the training set."""
        import jax

        x = signs(key, (count, self.n))
        coin_key, noise_key = (jax.random.fold_in(key, i) for i in (1, 2))
        return x, self._corrupted(self.value(x, None), None, coin_key, noise_key)

    @property
    def can_sample(self) -> bool:
        """Only with a fixed function."""
        return not self.is_drawn

    def point_facts(self, data: dict[str, jax.Array]) -> dict[str, jax.Array]:
        """The facts, with a drawn ``support``, and ``wrong_labels`` [train sample]: the label is not true."""
        hidden = data.get("support")
        facts = super().point_facts(data)
        if hidden is not None:
            facts["support"] = hidden
        if "train_x" in data:
            facts["wrong_labels"] = data["train_y"] != self.value(data["train_x"], hidden)
        return facts

    @property
    def population_names(self) -> tuple[str, ...]:
        """``loss``, and for signs and classes ``accuracy``, of at most 16 bits."""
        if self.n > _MOST_POPULATION_BITS:
            return ()
        return ("loss",) if self.label_kind == "real" else ("loss", "accuracy")

    def population(self, network: Any, loss: Any, data: dict[str, jax.Array]) -> dict[str, jax.Array]:
        r"""Loss and accuracy over all $2^n$ inputs with their true labels.

        As in `TestAccuracy`, inputs with f(x) = 0 are left out of the accuracy of one output.
        """
        import jax
        import jax.numpy as jnp

        hidden = data.get("support")
        size = 1 << min(self.n, _CHUNK_BITS)

        def of_chunk(first: jax.Array) -> tuple[jax.Array, ...]:
            index = first + jnp.arange(size)
            x = 1 - 2 * (index[:, None] >> jnp.arange(self.n) & 1)
            x = x.astype(jnp.result_type(float))
            f, y = network(x), self.value(x, hidden)
            if self.label_kind == "class":
                right, counted = jnp.sum(jnp.argmax(f, axis=-1) == y), jnp.asarray(size)
            else:
                right, counted = jnp.sum(y * f > 0), jnp.sum(f != 0)
            return jnp.mean(loss.per_sample(f, y)), right, counted

        losses, right, counted = jax.lax.map(of_chunk, jnp.arange(0, 1 << self.n, size))
        found = {"loss": jnp.mean(losses)}
        if "accuracy" in self.population_names:
            found["accuracy"] = right.sum().astype(losses.dtype) / counted.sum().astype(losses.dtype)
        return found

    def _corrupted(
        self, y: jax.Array, hidden: jax.Array | None, coin_key: jax.Array, noise_key: jax.Array
    ) -> jax.Array:
        """The labels that are learned, given the true ones."""
        import jax
        import jax.numpy as jnp

        kind = self.label_kind
        if self.labels == "shuffled" or (self.labels == "random" and kind == "real"):
            return self.value(signs(coin_key, (len(y), self.n)), hidden)
        if self.labels == "random":
            drawn = signs(coin_key, y.shape)
            return drawn if kind == "sign" else class_of_sign(drawn)
        if self.labels == "noisy" and kind != "real":
            flipped = jax.random.uniform(noise_key, y.shape, jnp.float32) < self.noise
            return jnp.where(flipped, -y if kind == "sign" else 1 - y, y)
        if self.labels == "noisy":
            return y + self.noise * jax.random.normal(noise_key, y.shape, jnp.float32).astype(y.dtype)
        return y
