"""Classification in which all labels are equal, of Gaussian inputs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from grokscope.tasks._task import Task

if TYPE_CHECKING:
    import jax

__all__ = ["ConstantLabel"]

# The test set is one fixed draw, the same for every member and every run.
_TEST_KEY = 1_000_003
# The integral over the output: nodes at even distances, to so many standard deviations on each side.
_NODES, _REACH = 8193, 12.0


class ConstantLabel(Task):
    r"""Gaussian inputs that all have one label: $x \sim N(0, \sigma^2 I_d)$, $y = -1$.

    A linear model $f(x) = S x + b$ is right everywhere if b falls to minus infinity, which it does if the
    training inputs are not linearly separable from the origin. For d, N to infinity they are not where
    $\lambda = d / N$ is below 1/2.

    Expectations over all inputs are exact for networks that are affine functions (the model ``linear``):
    $f \sim N(b, \sigma^2 \lVert S \rVert^2)$, so that accuracy is
    $\Phi(-b / (\sigma \lVert S \rVert))$, and the loss is an integral over f (the trapezoidal rule with 8,193
    nodes to 12 standard deviations on each side: exact to rounding for losses that are smooth on the scale of
    a thousandth of the standard deviation). True labels are all -1, those of flipped samples, too.

    Memorization and grokking are accuracies of 95 % at one measured point, on training samples and on test
    samples (or, without these, `population_accuracy`).

    Attributes:
        d: number of inputs.
        n_train: number N of training samples.
        n_test: number of test samples: one fixed draw, the same for all seeds; 0: none.
        sigma: $\sigma$, the scale of the inputs.
        flipped: share of the training labels that are +1 in place of -1, drawn from the noise stream.

    Source: Beck, Levi, Bar-Sinai 2024 (arXiv 2410.04489), Sections 2 and 3.

    Example:
        >>> import jax.numpy as jnp
        >>> from grokscope.losses import Logistic
        >>> from grokscope.models.networks.linear_network import LinearNetwork
        >>> network = LinearNetwork((jnp.array([3.0, 4.0]),), jnp.array(-5.0))
        >>> found = ConstantLabel(d=2).population(network, Logistic(), {})
        >>> round(float(found["accuracy"]), 4)  # one standard deviation
        0.8413
    """

    kind: Literal["constant_label"] = "constant_label"
    traced = ("sigma", "flipped")
    population_is_affine = True

    d: int = Field(default=100, ge=1, le=10**9)
    n_train: int = Field(default=250, ge=1, le=10**9)
    n_test: int = Field(default=1000, ge=0, le=10**9)
    sigma: float = Field(default=1.0, gt=0.0, le=1e6)
    flipped: float = Field(default=0.0, ge=0.0, le=1.0)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """``(d,)``."""
        return (self.d,)

    @property
    def events(self) -> dict[str, str]:
        """Accuracies of 95 % at one measured point: of training samples, and of others or exactly."""
        other = "test" if self.n_test else "population"
        return {
            "memorization": "train_accuracy >= 0.95 for 1",
            "grokking": f"{other}_accuracy >= 0.95 for 1",
        }

    @property
    def has_fixed_test(self) -> bool:
        """False: the test inputs are one draw, but times sigma, which may differ between members."""
        return False

    def member_data(self, data_key: jax.Array, noise_key: jax.Array) -> dict[str, jax.Array]:
        """Inputs and labels of both splits."""
        import jax
        import jax.numpy as jnp

        is_flipped = jax.random.uniform(noise_key, (self.n_train,), jnp.float32) < self.flipped
        y = self._labels(self.n_train)
        return {
            "train_x": self._inputs(data_key, self.n_train),
            "train_y": jnp.where(is_flipped, -y, y),
            "test_x": self._inputs(jax.random.key(_TEST_KEY), self.n_test),
            "test_y": self._labels(self.n_test),
        }

    def sample(self, key: jax.Array, count: int) -> tuple[jax.Array, jax.Array]:
        """New inputs, and labels of which a share is flipped."""
        import jax

        data = self.model_copy(update={"n_train": count}).member_data(*jax.random.split(key))
        return data["train_x"], data["train_y"]

    def _inputs(self, key: jax.Array, count: int) -> jax.Array:
        import jax
        import jax.numpy as jnp

        # drawn as float32 in both precisions, which then learn from the same data
        drawn = jax.random.normal(key, (count, self.d), jnp.float32)
        return drawn.astype(jnp.result_type(float)) * self.sigma

    def _labels(self, count: int) -> jax.Array:
        import jax.numpy as jnp

        return -jnp.ones(count, jnp.result_type(float))

    @property
    def population_names(self) -> tuple[str, ...]:
        """``loss`` and ``accuracy``, ``output_mean`` and ``output_std``."""
        return ("loss", "accuracy", "output_mean", "output_std")

    def population(self, network: Any, loss: Any, data: dict[str, jax.Array]) -> dict[str, jax.Array]:
        """Loss and accuracy over all inputs, with the label -1; the accuracy is NaN where f is 0."""
        import jax.numpy as jnp
        from jax.scipy.special import ndtr

        del data
        weight, bias = network.affine
        mean, spread = bias[0], self.sigma * jnp.linalg.norm(weight)
        z = jnp.linspace(-_REACH, _REACH, _NODES, dtype=weight.dtype)
        density = jnp.exp(-jnp.square(z) / 2)
        each = loss.per_sample(mean + spread * z, -jnp.ones_like(z))
        return {
            "loss": jnp.sum(each * density) / jnp.sum(density),
            "accuracy": ndtr(-mean / spread),
            "output_mean": mean,
            "output_std": spread,
        }
